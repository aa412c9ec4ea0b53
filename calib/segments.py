"""Every activation of a network on ONNX Runtime, without holding all of them: the graph is run piece by piece.

A piece is as many nodes as give about 64 MB of activations. What a later piece reads is kept until that one has run,
all else is forgotten as soon as the caller has looked at it. So memory depends neither on the number of frames nor
on the depth of the network: CCC2 at 1024x512 has 0.9 GB of activations a frame, the process here takes 0.54 GB.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper

from ccc_jetson.errors import BackendError
from ccc_jetson.graph_shapes import infer_shapes
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import DATA_TYPES, Tensor, parse_onnx
from ccc_jetson.ort import cpu_session
from ccc_jetson.shape_terms import elements

SEGMENT_BYTES = 64 << 20
_NUMBER_OF_TYPE = {name: number for number, name in DATA_TYPES.items()}


class _Segment(NamedTuple):
    session: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    done: tuple[str, ...]  # what no later segment reads


class Segments:
    """A network with one input, ready to run.

    Args:
        model: the ONNX file's bytes, with fixed shapes.
        threads: of ONNX Runtime; 0 takes all cores.
        segment_bytes: how large a piece's activations may be, unless one tensor alone is larger.

    Raises:
        BackendError: a shape is open or unknown, or ONNX Runtime cannot run the model.
    """

    def __init__(self, model: bytes, threads: int = 0, segment_bytes: int = SEGMENT_BYTES) -> None:
        proto = onnx.load_model_from_string(model)
        self._threads = threads
        self._tensors = infer_shapes(parse_onnx(model), constant_arrays(model))
        constants = {each.name: each for each in proto.graph.initializer}
        (self._given,) = (each.name for each in proto.graph.input if each.name not in constants)
        pieces = self._pieces(proto.graph.node, segment_bytes)
        self._segments: list[_Segment] = []
        later: set[str] = set()
        for nodes in reversed(pieces):
            inner = {name for node in nodes for name in node.output}
            read = {name for node in nodes for name in node.input if name}
            inputs = tuple(sorted(read - inner - set(constants)))
            outputs = tuple(name for node in nodes for name in node.output if name)
            done = tuple(sorted((set(inputs) | set(outputs)) - later))
            session = self._session(proto, nodes, inputs, outputs, [constants[each] for each in read & set(constants)])
            self._segments.insert(0, _Segment(session, inputs, outputs, done))
            later |= set(inputs)

    @property
    def floats(self) -> tuple[str, ...]:
        """The network's input and every float32 tensor that a node writes, in the order of the nodes."""
        written = [name for segment in self._segments for name in segment.outputs]
        return tuple(name for name in (self._given, *written) if self._tensors[name].dtype == "float32")

    def __len__(self) -> int:
        """How many pieces there are."""
        return len(self._segments)

    def run(self, image: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """(name, array) of each of ``floats``, in their order; an array is valid until the next one is asked for.

        Args:
            image: (N, 3, H, W) float32.
        """
        free: list[np.ndarray] = []  # used again: large blocks that come and go leave a heap full of holes
        blocks: dict[str, np.ndarray] = {}
        alive = {self._given: np.ascontiguousarray(image, np.float32)}
        yield self._given, image
        for segment in self._segments:
            binding = segment.session.io_binding()
            for name in segment.inputs:
                binding.bind_cpu_input(name, alive[name])
            for name in segment.outputs:
                tensor = self._tensors[name]
                blocks[name] = _block(free, self._bytes(name))
                alive[name] = blocks[name][: self._bytes(name)].view(tensor.dtype).reshape(tensor.shape)
                binding.bind_output(name, "cpu", 0, alive[name].dtype, tensor.shape, alive[name].ctypes.data)
            segment.session.run_with_iobinding(binding)
            for name in segment.outputs:
                if self._tensors[name].dtype == "float32":
                    yield name, alive[name]
            for name in segment.done:
                del alive[name]
                if name in blocks:
                    free.append(blocks.pop(name))

    def _pieces(self, nodes: Any, segment_bytes: int) -> list[list[onnx.NodeProto]]:
        """The nodes in groups, in their order."""
        pieces: list[list[onnx.NodeProto]] = []
        room = 0
        for node in nodes:
            size = sum(self._bytes(name) for name in node.output if name)
            if size > room or not pieces:
                pieces.append([])
                room = segment_bytes
            pieces[-1].append(node)
            room -= size
        return pieces

    def _bytes(self, name: str) -> int:
        tensor = self._tensors.get(name, Tensor(name, "", ("?",)))
        count = elements(tensor.shape)
        if count is None or tensor.dtype not in _NUMBER_OF_TYPE:
            raise BackendError(
                f"the shape of tensor {name!r} is not known, so its range cannot be measured",
                hint="export the model with ccc-export: all its shapes are fixed",
            )
        return count * np.dtype(tensor.dtype).itemsize

    def _session(
        self,
        whole: onnx.ModelProto,
        nodes: list[onnx.NodeProto],
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        constants: list[TensorProto],
    ) -> Any:
        ends = [[self._described(name) for name in names] for names in (inputs, outputs)]
        graph = helper.make_graph(nodes, "segment", *ends, initializer=constants)
        model = helper.make_model(graph, opset_imports=whole.opset_import, ir_version=whole.ir_version)
        return cpu_session(model.SerializeToString(), f"the piece from {outputs[0]!r} on", self._threads, lean=True)

    def _described(self, name: str) -> onnx.ValueInfoProto:
        tensor = self._tensors[name]
        return helper.make_tensor_value_info(name, _NUMBER_OF_TYPE[tensor.dtype], tensor.shape)


def _block(free: list[np.ndarray], size: int) -> np.ndarray:
    """The smallest block that is free and large enough, taken from the list; a new one where there is none."""
    fitting = [index for index, block in enumerate(free) if block.nbytes >= size]
    if not fitting:
        return np.empty(size, np.uint8)
    return free.pop(min(fitting, key=lambda index: free[index].nbytes))
