"""The explicit INT8 model: a float graph with QuantizeLinear and DequantizeLinear where TensorRT shall use INT8.

The only way to INT8 in TensorRT 11, and one of two before; a runtime on a CPU computes the same, so it also tells what
INT8 costs. Where pairs stand decides what TensorRT can fuse (its guide to explicit quantisation):

- in front of a convolution's input, one pair for all that read the tensor, and at its weights, one scale an output
  channel. A convolution followed by another one then reads and writes INT8;
- not between a convolution and its PReLU: a pair there would split them, and PReLU is reported to block fusion in
  TensorRT 8 as it is (NVIDIA/TensorRT#2162). It stays in floats and can quantise on the way out, for the next one;
- at the other summand of an addition to which a quantised convolution alone gives the first: the addition can then
  happen in the convolution's kernel. Any other addition, normalisation or pooling stays in floats;
- nowhere behind the head's features: the head runs in a kernel of its own.

Grouped transposed convolutions stay in floats because TensorRT 8.0 refuses them quantised (NVIDIA/TensorRT#1934).
Depth-wise convolutions are the caller's choice: 8.5 and 8.6 found no implementation for some (NVIDIA/TensorRT#3385,
#4060).

Weights stay FP32 in the file with a pair behind them, as NVIDIA's own toolkit writes them; zero points are there, and
0. Biases stay in floats. ``onnxruntime.quantization.quantize_static`` can be told most of this, but it calibrates by
itself, with every activation in memory, and puts no pair at a single summand.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ccc_jetson.calib.ranges import LEVELS
from ccc_jetson.errors import UsageError

_FIRST_OPSET = 13  # with scales per channel
_MOST = LEVELS - 1
_TINY = np.finfo(np.float32).tiny  # below it a step has few bits left, and then none
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_ONNX_DOMAINS = ("", "ai.onnx")


class Layer(NamedTuple):
    """A convolution that can be quantised: the node's name, its input, weights, and the axis of output channels."""

    node: str
    read: str
    weight: str
    axis: int
    depthwise: bool


def convolutions(model: onnx.ModelProto, features: str | None) -> list[Layer]:
    """All convolutions that may be quantised, in the order of the graph: see the module's text for what is left out.

    Args:
        model: the float model; its nodes have names, as the exporter writes them.
        features: the tensor from which on the head begins, or None where there is no head.
    """
    constants = {each.name: each for each in model.graph.initializer}
    behind: set[str] = set() if features is None else {features}
    found = []
    for node in model.graph.node:
        if any(name in behind for name in node.input):
            behind.update(node.output)
        elif node.op_type in _CONVOLUTIONS and node.domain in _ONNX_DOMAINS and node.input[1] in constants:
            groups = next((each.i for each in node.attribute if each.name == "group"), 1)
            transposed = node.op_type == "ConvTranspose"
            if transposed and groups > 1:
                continue
            shape = constants[node.input[1]].dims
            depthwise = groups > 1 and shape[1] == 1
            found.append(Layer(node.name, node.input[0], node.input[1], int(transposed), depthwise))
    return found


def quantised(
    model: onnx.ModelProto, ranges: dict[str, float], layers: Iterable[Layer], keep: Collection[str] = ()
) -> onnx.ModelProto:
    """A copy of the model with pairs around ``layers``, but for those whose node ``keep`` names.

    Metadata, and so the contract, stay; so do all tensor names. The file grows by some bytes for each scale.

    Args:
        model: opset 13 or newer; is not changed.
        ranges: amax by tensor, of the layers' inputs and of summands.
        layers: of ``convolutions``.

    Raises:
        UsageError: the opset is too old, or ``keep`` names no layer.
    """
    chosen = {each.node: each for each in layers}
    unknown = sorted(set(keep) - set(chosen))
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no layer that would be in INT8", hint="ccc-inspect MODEL lists the nodes")
    for name in keep:
        chosen.pop(name, None)
    reads = {node: [0] for node in chosen}
    reads.update((node, [position]) for node, position in _summands(model, chosen, ranges).items())
    return with_pairs(model, ranges, chosen, reads)


def with_pairs(
    model: onnx.ModelProto,
    ranges: dict[str, float],
    weights: Mapping[str, Layer],
    reads: Mapping[str, Sequence[int]],
) -> onnx.ModelProto:
    """A copy of the model with pairs at weights of layers and at inputs of nodes, both by the node's name.

    Raises:
        UsageError: the opset is too old.
    """
    opset = next(each.version for each in model.opset_import if each.domain in _ONNX_DOMAINS)
    if opset < _FIRST_OPSET:
        raise UsageError(
            f"the model has opset {opset}; scales per channel take opset {_FIRST_OPSET}",
            hint="export it again: ccc-export CHECKPOINT MODEL.onnx",
        )
    result = onnx.ModelProto()
    result.CopyFrom(model)
    _Writer(result, ranges).write(weights, reads)
    return result


def quantised_beside(
    model: onnx.ModelProto, ranges: dict[str, float], layers: Iterable[Layer]
) -> tuple[onnx.ModelProto, list[tuple[str, str]]]:
    """The float model with every layer a second time, in INT8 from the float input; (float, INT8) output of each."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    return result, _Writer(result, ranges).write_beside({each.node: each for each in layers})


def activation_scale(amax: float) -> np.float32:
    """INT8 step of a tensor; a tensor that is always zero has any."""
    scale = np.float32(amax / _MOST)
    return scale if scale >= _TINY else np.float32(1)


def weight_scales(weight: np.ndarray, axis: int) -> np.ndarray:
    """(channels,) float32 steps of weights, by output channel."""
    others = tuple(each for each in range(weight.ndim) if each != axis)
    largest = np.abs(weight).max(axis=others)
    scales = (largest / np.float32(_MOST)).astype(np.float32)
    return np.where(scales >= _TINY, scales, np.float32(1)).astype(np.float32)


def _summands(model: onnx.ModelProto, chosen: dict[str, Layer], ranges: dict[str, float]) -> dict[str, int]:
    """By Add node: the position of the summand that gets a pair, so that the other one's convolution can add it."""
    writers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, int] = {}
    for node in model.graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    given_out = {each.name for each in model.graph.output}
    found = {}
    for node in model.graph.node:
        if node.op_type != "Add" or len(set(node.input)) != 2:
            continue
        for position in (0, 1):
            name, other = node.input[position], node.input[1 - position]
            writer = writers.get(name)
            alone = readers[name] == 1 and name not in given_out
            if alone and writer is not None and writer.name in chosen and other in ranges:
                found[node.name] = 1 - position
                break
    return found


class _Writer:
    """Puts the pairs into a model."""

    def __init__(self, model: onnx.ModelProto, ranges: dict[str, float]) -> None:
        self._graph = model.graph
        self._ranges = ranges
        self._weights = {each.name: each for each in model.graph.initializer}
        self._taken = set(self._weights) | {name for node in model.graph.node for name in (*node.output, node.name)}
        self._nodes: list[onnx.NodeProto] = []
        self._done: dict[tuple[str, int], str] = {}

    def write(self, weights: Mapping[str, Layer], reads: Mapping[str, Sequence[int]]) -> None:
        for node in list(self._graph.node):
            for position in reads.get(node.name, ()):
                node.input[position] = self._activation(node.input[position])
            if node.name in weights:
                node.input[1] = self._weight(weights[node.name])
            self._nodes.append(node)
        self._replace_nodes()

    def write_beside(self, layers: dict[str, Layer]) -> list[tuple[str, str]]:
        found = {}
        for node in self._graph.node:
            self._nodes.append(node)
            if node.name in layers:
                layer = layers[node.name]
                inputs = [self._activation(layer.read), self._weight(layer), *node.input[2:]]
                copy = onnx.NodeProto.FromString(node.SerializeToString())
                copy.name = self._name(f"{node.name} int8")
                copy.input[:], copy.output[:] = inputs, [copy.name]
                self._nodes.append(copy)
                found[node.name] = (node.output[0], copy.name)
        self._replace_nodes()
        return [found[name] for name in layers]

    def _replace_nodes(self) -> None:
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in self._nodes]
        del self._graph.node[:]
        self._graph.node.extend(nodes)

    def _activation(self, tensor: str) -> str:
        return self._pair(tensor, activation_scale(self._ranges[tensor]), None)

    def _weight(self, layer: Layer) -> str:
        array = numpy_helper.to_array(self._weights[layer.weight])
        return self._pair(layer.weight, weight_scales(array, layer.axis), layer.axis)

    def _pair(self, tensor: str, scale: np.ndarray | np.float32, axis: int | None) -> str:
        """The name of ``tensor`` behind a pair, which is written once for all its readers."""
        key = (tensor, -1 if axis is None else axis)
        if key not in self._done:
            names = [self._name(f"{tensor} {what}") for what in ("scale", "zero", "int8", "dequantised")]
            scale_name, zero, stored, result = names
            steps = np.asarray(scale, np.float32)
            self._graph.initializer.append(numpy_helper.from_array(steps, scale_name))
            self._graph.initializer.append(numpy_helper.from_array(np.zeros(steps.shape, np.int8), zero))
            attributes = {} if axis is None else {"axis": axis}
            for operator, given, output in (("QuantizeLinear", tensor, stored), ("DequantizeLinear", stored, result)):
                node = helper.make_node(operator, [given, scale_name, zero], [output], output, **attributes)
                self._nodes.append(node)
            self._done[key] = result
        return self._done[key]

    def _name(self, wanted: str) -> str:
        """A name that nothing in the graph has."""
        name = wanted
        while name in self._taken:
            name += "~"
        self._taken.add(name)
        return name
