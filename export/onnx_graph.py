"""A PyTorch network as an ONNX graph that the target's runtime accepts.

The TorchScript-based exporter is used on purpose: the newer one, asked for opset 13, fails to convert and writes opset
18 with IR 10, which TensorRT 8.2's parser and ONNX Runtime 1.10 cannot read.
"""

import io
import warnings

import onnx
import onnx_ir as ir
import onnxsim
import torch
from onnx import ModelProto
from onnx_ir.passes import common
from torch import Tensor, nn

from ccc_jetson import __version__
from ccc_jetson.contract import CLASS_MAP, LOGITS
from ccc_jetson.engines.compatibility import hardware_problems, problems
from ccc_jetson.errors import CccError, DependencyMissing, VerificationError
from ccc_jetson.export.passes.graph import tensor_named
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import OnnxFile, parse_onnx
from ccc_jetson.targets import Target

INPUT = "image"


class _ClassMap(nn.Module):
    """Class numbers instead of logits: int32, because TensorRT 8.2 parses neither a UINT8 cast nor a UINT8 output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image).argmax(dim=1).to(torch.int32)


def build_graph(network: nn.Module, shape: tuple[int, int, int, int], output: str, target: Target) -> ir.Model:
    """Exports without changing anything that a pass is there for, and simplifies: constants, identities, shapes.

    Args:
        network: gives logits, or a picture's scores, for images.
        shape: of the input, (N, 3, H, W); static.
        output: one of ``contract.OUTPUT_KINDS``.
        target: decides the opset.

    Returns:
        the graph, with the shapes of all tensors; the one that decides the class is called ``logits``, or ``scores``.
    """
    model = onnxsim.simplify(torch_export(network, shape, output, target, fold=False), skip_fuse_bn=True)[0]
    del model.graph.value_info[:]
    inferred = ir.from_proto(onnx.shape_inference.infer_shapes(model, strict_mode=True))
    _name_logits(inferred.graph, output)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(inferred)
    return inferred


def finished(model: ir.Model, target: Target) -> ModelProto:
    """The graph as it is written, checked as ONNX does."""
    common.ClearMetadataAndDocStringPass()(model)
    proto = ir.to_proto(model)
    proto.ir_version = target.ir_version
    proto.producer_name, proto.producer_version = "ccc-jetson", __version__
    del proto.metadata_props[:]
    onnx.checker.check_model(proto, full_check=True)
    return proto


def torch_export(
    network: nn.Module, shape: tuple[int, int, int, int], output: str, target: Target, fold: bool = True
) -> ModelProto:
    """The graph as PyTorch's exporter gives it; arguments as for ``build_graph``.

    ``fold`` lets the exporter fold normalisations into convolutions, which it does by itself.
    """
    wrapped = (_ClassMap(network) if output == CLASS_MAP else network).eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's deprecation, and of tracing static shapes
        try:
            torch.onnx.export(
                wrapped,
                (torch.zeros(shape),),
                buffer,  # type: ignore[arg-type]  # takes a file object too, in this exporter
                dynamo=False,
                opset_version=target.opset,
                input_names=[INPUT],
                output_names=[output],
                training=torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE,
            )
        except TypeError as error:
            raise DependencyMissing(
                f"torch {torch.__version__} has no TorchScript-based ONNX exporter: {error}",
                hint="pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu",
            ) from None
    return onnx.load_from_string(buffer.getvalue())


def _name_logits(graph: ir.Graph, output: str) -> None:
    """Gives the tensor that decides the class its name."""
    if output == CLASS_MAP:
        narrowed = tensor_named(graph, CLASS_MAP).producer()
        argmax = narrowed.inputs[0].producer() if narrowed is not None and narrowed.inputs[0] is not None else None
        if argmax is None or argmax.op_type != "ArgMax" or argmax.inputs[0] is None:
            raise CccError(f"internal: the class map comes from {argmax and argmax.op_type}, expected ArgMax")
        argmax.inputs[0].name = LOGITS


def assert_readable(data: bytes, target: Target) -> OnnxFile:
    """Asks the written bytes, as a device's reader sees them, whether the target can take them; returns what was read.

    Raises:
        VerificationError: opset, IR version, an operator, a type or an attribute is not for this target.
    """
    found = parse_onnx(data)
    if found.opsets != {"": target.opset} or found.ir_version > target.ir_version:
        raise VerificationError(
            f"the exported graph has operator sets {found.opsets} and IR {found.ir_version}; {target.title} takes "
            f"opset {target.opset} and IR up to {target.ir_version}",
            hint="install the versions in constraints/workstation.txt",
        )
    known = [*problems(found, target.tensorrt, constant_arrays(data)), *hardware_problems(found, target)]
    if known:
        first = known[0]
        raise VerificationError(
            f"{target.title} cannot take the exported graph: {first.operator} ({', '.join(first.nodes[:3])}) "
            f"{first.sentence}" + (f"; and {len(known) - 1} more" if len(known) > 1 else ""),
            hint=first.cure,
        )
    return found
