"""A PyTorch network as an ONNX graph that the target's runtime accepts.

The TorchScript-based exporter is used on purpose: the newer one, asked for opset 13, fails to convert and writes opset
18 with IR 10, which TensorRT 8.2's parser and ONNX Runtime 1.10 cannot read.
"""

import io
import warnings
from typing import NamedTuple

import numpy as np
import onnx
import onnxsim
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from ccc_jetson import __version__
from ccc_jetson.contract import Head
from ccc_jetson.errors import CccError, DependencyMissing, VerificationError
from ccc_jetson.head import HeadWeights
from ccc_jetson.onnx_file import DATA_TYPES, OnnxFile
from ccc_jetson.targets import Target

INPUT, CLASS_MAP, LOGITS, FEATURES = "image", "class_map", "logits", "head_features"

# What the ONNX importer of TensorRT 8.0 and 8.2 knows (docs/operators.md of its 8.2 branch): no UINT8, no FLOAT64
TENSORRT_8_TYPES = ("float32", "float16", "int32", "int64", "int8", "bool")


class Graph(NamedTuple):
    """An exported network before contract and verification are added to it."""

    model: ModelProto
    head: Head | None
    head_weights: HeadWeights | None
    nodes_before: int
    denormals: int


class _ClassMap(nn.Module):
    """Class numbers instead of logits: int32, because TensorRT 8.2 parses neither a UINT8 cast nor a UINT8 output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image).argmax(dim=1).to(torch.int32)


def build_graph(network: nn.Module, shape: tuple[int, int, int, int], output: str, target: Target) -> Graph:
    """Exports, simplifies, tidies and checks.

    Args:
        network: gives logits for images.
        shape: of the input, (N, 3, H, W); static.
        output: ``class_map`` or ``logits``.
        target: decides opset and IR version.
    """
    exported = torch_export(network, shape, output, target)
    nodes_before = len(exported.graph.node)
    model = _simplified(exported)
    denormals = _flush_denormal_weights(model)
    _name_inner_tensors(model, output)
    head, head_weights = _find_head(model)
    model.ir_version = target.ir_version
    model.producer_name, model.producer_version = "ccc-jetson", __version__
    del model.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return Graph(model, head, head_weights, nodes_before, denormals)


def torch_export(network: nn.Module, shape: tuple[int, int, int, int], output: str, target: Target) -> ModelProto:
    """The graph as PyTorch's exporter gives it, before anything is done to it; arguments as for ``build_graph``."""
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
            )
        except TypeError as error:
            raise DependencyMissing(
                f"torch {torch.__version__} has no TorchScript-based ONNX exporter: {error}",
                hint="pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu",
            ) from None
    return onnx.load_from_string(buffer.getvalue())


def _simplified(model: ModelProto) -> ModelProto:
    return onnxsim.simplify(model)[0]  # whether it still computes the same is for verify.py to say


def _flush_denormal_weights(model: ModelProto) -> int:
    """Replaces denormal numbers in the weights by zero; returns how many there were."""
    flushed = 0
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        array, denormals = without_denormals(numpy_helper.to_array(tensor))
        if denormals:
            flushed += denormals
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return flushed


def without_denormals(array: np.ndarray) -> tuple[np.ndarray, int]:
    """A float32 array with its denormal numbers as zero, and how many they were.

    Looks at the bits: where the processor is told to treat denormals as zero, comparing finds none.
    """
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    denormal = ((bits & 0x7F800000) == 0) & ((bits & 0x007FFFFF) != 0)
    return np.where(denormal, np.uint32(0), bits).view(np.float32), int(denormal.sum())


def _producer(model: ModelProto, tensor: str) -> NodeProto:
    for node in model.graph.node:
        if tensor in node.output:
            return node
    raise CccError(f"internal: no node of the exported graph writes {tensor!r}")


def _rename(model: ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new


def _name_inner_tensors(model: ModelProto, output: str) -> None:
    """Gives the logits and what the head reads names that the contract can rely on; drops inner shape notes."""
    if output == CLASS_MAP:
        argmax = _producer(model, _producer(model, CLASS_MAP).input[0])
        if argmax.op_type != "ArgMax":
            raise CccError(f"internal: the class map comes from {argmax.op_type}, expected ArgMax")
        _rename(model, argmax.input[0], LOGITS)
    head = _producer(model, LOGITS)
    if head.op_type == "ConvTranspose":
        _rename(model, head.input[0], FEATURES)
    del model.graph.value_info[:]


def _find_head(model: ModelProto) -> tuple[Head | None, HeadWeights | None]:
    """The 2x2 stride-2 transposed convolution that ends the network, with its weights; none where it ends otherwise."""
    node = _producer(model, LOGITS)
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    plain = {"group": 1, "dilations": [1, 1], "pads": [0, 0, 0, 0], "output_padding": [0, 0], "auto_pad": b"NOTSET"}
    wanted = {**plain, "kernel_shape": [2, 2], "strides": [2, 2]}
    if node.op_type != "ConvTranspose" or any(
        attributes.get(name, plain.get(name)) != value for name, value in wanted.items()
    ):
        return None, None
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    weight = numpy_helper.to_array(arrays[node.input[1]]).astype(np.float32)
    bias = np.zeros(weight.shape[1], np.float32)
    if len(node.input) > 2:
        bias = numpy_helper.to_array(arrays[node.input[2]]).astype(np.float32)
    head = Head("transposed_conv_2x2", FEATURES, weight.shape[0], weight.shape[1])
    return head, HeadWeights(weight, bias)


def assert_readable(found: OnnxFile, target: Target) -> None:
    """Asks the written bytes, as a device's reader sees them: opset, IR version and tensor types that the target takes.

    Raises:
        VerificationError: something in them is newer than the target.
    """
    types = {tensor.dtype for tensor in (*found.inputs, *found.outputs, *found.initializers)}
    for node in found.nodes:
        if node.operator == "Cast" and isinstance(to := node.attributes["to"], int):
            types.add(DATA_TYPES.get(to, f"type {to}"))
    unknown = sorted(types - set(TENSORRT_8_TYPES))
    if found.opsets != {"": target.opset} or found.ir_version > target.ir_version or unknown:
        raise VerificationError(
            f"the exported graph has operator sets {found.opsets}, IR {found.ir_version}, types {sorted(types)}; "
            f"{target.title} takes opset {target.opset}, IR up to {target.ir_version}, types {TENSORRT_8_TYPES}",
            hint="install the versions in constraints/workstation.txt",
        )
