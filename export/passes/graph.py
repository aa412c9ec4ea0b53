"""What passes need of a graph beyond onnx_ir: constants as arrays, convolutions seen one way, who reads a tensor."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir

ACTIVATION_RANK = 4  # (N, C, H, W)
_LARGEST = float(np.finfo(np.float32).max)


def constant(value: ir.Value | None) -> np.ndarray | None:
    """The array behind a value that is an initializer; None for anything that is computed or given."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return value.const_value.numpy()


def operator(node: ir.Node | None) -> str:
    """The operator of ONNX's own domain that a node is; nothing for others'."""
    return node.op_type if node is not None and node.domain in ("", "ai.onnx") else ""


def add_constant(graph: ir.Graph, stem: str, array: np.ndarray) -> ir.Value:
    """A new initializer. Its name is ``stem``, a tilde and a number, which no exporter writes."""
    stem, number = stem.split("~")[0], 0
    while (name := f"{stem}~{number}") in graph.initializers:
        number += 1
    value = ir.val(name, const_value=ir.tensor(np.ascontiguousarray(array), name=name))
    graph.register_initializer(value)
    return value


def insert(
    before: ir.Node, operator: str, inputs: list[ir.Value], attributes: dict[str, Any] | None = None, like: Any = None
) -> ir.Value:
    """A new FP32 node in front of ``before``; returns its output, which has the shape of ``like`` (value or shape)."""
    graph = before.graph
    assert isinstance(graph, ir.Graph)
    node = ir.node(operator, inputs, attributes)
    graph.insert_before(before, [node])
    output = node.outputs[0]
    output.dtype = ir.DataType.FLOAT
    output.shape = like.shape if isinstance(like, ir.Value) else ir.Shape(like)
    return output


def replace(node: ir.Node, new: ir.Value) -> None:
    """Lets ``new``, which must have been inserted before it, stand for the output of ``node``, under the same name."""
    graph, old = node.graph, node.outputs[0]
    assert isinstance(graph, ir.Graph)
    name = old.name
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    old.name, new.name = None, name


def tensor_named(graph: ir.Graph, name: str) -> ir.Value:
    """The tensor of that name that a node writes."""
    return next(value for node in graph for value in node.outputs if value.name == name)


def expose(graph: ir.Graph, names: Sequence[str]) -> None:
    """Makes tensors that nodes write outputs of the graph, where they are none yet."""
    for name in names:
        if all(value.name != name for value in graph.outputs):
            graph.outputs.append(tensor_named(graph, name))


def channels(value: ir.Value) -> int | None:
    """Channels of an activation (N, C, H, W); None where the shape is another or not known."""
    if value.shape is None or len(value.shape) != ACTIVATION_RANK or not isinstance(value.shape[1], int):
        return None
    return int(value.shape[1])


def only_reader(value: ir.Value) -> ir.Node | None:
    """The one node that reads ``value``, at one place; None where several do or the graph gives it out."""
    uses = value.uses()
    return None if value.is_graph_output() or len(uses) != 1 else next(iter(uses)).node


def attribute(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute."""
    return int(node.attributes[name].as_int()) if name in node.attributes else default


def integers(node: ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """An attribute that is a list of integers."""
    return tuple(node.attributes[name].as_ints()) if name in node.attributes else default


def is_channel_concat(node: ir.Node | None) -> bool:
    """Whether a node joins activations along their channels."""
    if node is None or operator(node) != "Concat" or channels(node.outputs[0]) is None:
        return False
    return attribute(node, "axis", 0) in (1, 1 - ACTIVATION_RANK)


def is_interpolation(node: ir.Node) -> bool:
    """Whether a node resizes pictures, each pixel a mean of pixels: nothing comes from outside the picture."""
    coordinates = node.attributes.get("coordinate_transformation_mode")
    crops = coordinates is not None and coordinates.as_string() == "tf_crop_and_resize"
    return operator(node) in ("Resize", "Upsample") and not crops


class Convolution:
    """A Conv or ConvTranspose with constant weights, seen the same way.

    ``weight`` is float64 (groups, outputs per group, inputs per group, *kernel), ``bias`` (outputs,). Changes count
    when ``write`` is called.
    """

    def __init__(self, node: ir.Node, stored: np.ndarray, bias: np.ndarray | None) -> None:
        self.node = node
        self.transposed = node.op_type == "ConvTranspose"
        self.groups = attribute(node, "group", 1)
        kernel = stored.shape[2:]
        if self.transposed:  # stored as (inputs, outputs / groups, *kernel)
            inputs, outputs = stored.shape[0], stored.shape[1] * self.groups
            grouped = stored.reshape(self.groups, inputs // self.groups, outputs // self.groups, *kernel)
            self.weight = grouped.swapaxes(1, 2).astype(np.float64)
        else:  # stored as (outputs, inputs / groups, *kernel)
            outputs = stored.shape[0]
            self.weight = stored.reshape(self.groups, outputs // self.groups, *stored.shape[1:]).astype(np.float64)
        self.bias = np.zeros(outputs) if bias is None else bias.astype(np.float64)

    @property
    def inputs(self) -> int:
        return self.groups * self.weight.shape[2]

    @property
    def outputs(self) -> int:
        return self.groups * self.weight.shape[1]

    @property
    def padded(self) -> bool:
        """Whether zeros around the picture can reach the output, or parts of it are cut off."""
        pads = integers(self.node, "pads", ())
        named = self.node.attributes["auto_pad"].as_string() if "auto_pad" in self.node.attributes else "NOTSET"
        return any(pads) or named not in ("NOTSET", "VALID") or "output_shape" in self.node.attributes

    @property
    def pointwise(self) -> bool:
        """Whether it is a 1x1 convolution of stride 1: every output pixel sees one input pixel."""
        ones = (1,) * (self.weight.ndim - 3)
        return (
            not self.transposed
            and not self.padded
            and self.weight.shape[3:] == ones
            and integers(self.node, "strides", ones) == ones
        )

    @property
    def makes_squares(self) -> bool:
        """Whether it is a transposed convolution in which each input pixel alone makes 2x2 output pixels."""
        plain = (("strides", (1, 1), (2, 2)), ("dilations", (1, 1), (1, 1)), ("output_padding", (0, 0), (0, 0)))
        return (
            self.transposed
            and self.groups == 1
            and not self.padded
            and self.weight.shape[3:] == (2, 2)
            and all(integers(self.node, name, default) == wanted for name, default, wanted in plain)
        )

    def scale_outputs(self, factors: np.ndarray) -> None:
        """Multiplies every output channel by its factor."""
        self.weight = self.weight * self._outwards(factors)
        self.bias = self.bias * factors

    def scale_inputs(self, factors: np.ndarray) -> None:
        """Multiplies the weights that read an input channel by that channel's factor."""
        self.weight = self.weight * self._inwards(factors)

    def largest_by_input(self) -> np.ndarray:
        """(inputs,) largest magnitude among the weights that read a channel."""
        return np.abs(self.weight).max(axis=(1, *range(3, self.weight.ndim))).reshape(-1)

    def fits(self) -> bool:
        """Whether float32 can hold weights and bias."""
        return all(np.isfinite(array).all() and np.abs(array).max() < _LARGEST for array in (self.weight, self.bias))

    def write(self) -> None:
        """Puts weights and bias into the graph as float32; other readers of the old ones keep those."""
        weight, bias = self.stored().astype(np.float32), self.bias.astype(np.float32)
        graph = self.node.graph
        assert isinstance(graph, ir.Graph)
        self.node.replace_input_with(1, add_constant(graph, _stem(self.node.inputs[1]), weight))
        if len(self.node.inputs) > 2 and self.node.inputs[2] is not None:
            self.node.replace_input_with(2, add_constant(graph, _stem(self.node.inputs[2]), bias))
        elif bias.any():
            self.node.resize_inputs(3)
            self.node.replace_input_with(
                2, add_constant(graph, _stem(self.node.inputs[1]).split("~")[0] + "_bias", bias)
            )

    def stored(self) -> np.ndarray:
        """The weights in ONNX's order of axes, float64."""
        kernel = self.weight.shape[3:]
        if self.transposed:
            return self.weight.swapaxes(1, 2).reshape(self.inputs, self.weight.shape[1], *kernel)
        return self.weight.reshape(self.outputs, self.weight.shape[2], *kernel)

    def _outwards(self, factors: np.ndarray) -> np.ndarray:
        return factors.reshape(self.groups, self.weight.shape[1], *(1,) * (self.weight.ndim - 2))

    def _inwards(self, factors: np.ndarray) -> np.ndarray:
        return factors.reshape(self.groups, 1, self.weight.shape[2], *(1,) * (self.weight.ndim - 3))


def _stem(value: ir.Value | None) -> str:
    return (value.name if value is not None else None) or "weight"


def convolution(node: ir.Node | None) -> Convolution | None:
    """The convolution that ``node`` is; None where it is something else or its weights are computed."""
    if node is None or operator(node) not in ("Conv", "ConvTranspose"):
        return None
    weight = constant(node.inputs[1])
    bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if weight is None or (len(node.inputs) > 2 and node.inputs[2] is not None and bias is None):
        return None
    return Convolution(node, weight, bias)


class Affine(NamedTuple):
    """What a BatchNormalization computes on each channel: ``x * scale + shift``, float64."""

    scale: np.ndarray
    shift: np.ndarray


def affine(node: ir.Node | None) -> Affine | None:
    """The affine map of a BatchNormalization in inference mode with constant statistics; None for anything else."""
    if node is None or operator(node) != "BatchNormalization" or len(node.outputs) != 1:
        return None
    if attribute(node, "training_mode", 0):
        return None
    arrays = [constant(value) for value in node.inputs[1:]]
    if any(array is None for array in arrays):
        return None
    gamma, beta, mean, variance = (np.asarray(array, np.float64) for array in arrays)
    epsilon = node.attributes["epsilon"].as_float() if "epsilon" in node.attributes else 1e-5
    scale = gamma / np.sqrt(variance + epsilon)
    return Affine(scale, beta - mean * scale)


def set_affine(node: ir.Node, new: Affine) -> None:
    """Makes a BatchNormalization compute ``new``, as float32: mean 0, variance 1, epsilon 0."""
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    plain = (new.scale, new.shift, np.zeros_like(new.scale), np.ones_like(new.scale))
    for index, array in enumerate(plain, start=1):
        node.replace_input_with(index, add_constant(graph, _stem(node.inputs[index]), array.astype(np.float32)))
    node.attributes["epsilon"] = ir.AttrFloat32("epsilon", 0.0)


def prelu_slopes(node: ir.Node | None, count: int | None) -> np.ndarray | None:
    """(count,) slopes of a PRelu with one constant slope a channel (or one for all); None for anything else."""
    if node is None or operator(node) != "PRelu" or count is None:
        return None
    slopes = constant(node.inputs[1])
    if slopes is None or slopes.size not in (1, count) or (slopes.size > 1 and slopes.shape[-3:] != (count, 1, 1)):
        return None
    return np.broadcast_to(slopes.reshape(-1), (count,)).astype(np.float64)


def remove(node: ir.Node) -> None:
    """Takes out a node that is the only reader of its first input: that tensor takes the name of the node's output."""
    graph, source, output = node.graph, node.inputs[0], node.outputs[0]
    assert isinstance(graph, ir.Graph) and source is not None and only_reader(source) is node
    name = output.name
    ir.convenience.replace_all_uses_with(output, source, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    source.name = name


def activations(graph: ir.Graph) -> Iterator[ir.Value]:
    """Every (N, C, H, W) tensor that a node writes, in the order of the nodes."""
    for node in graph:
        for value in node.outputs:
            if channels(value) is not None and value.dtype == ir.DataType.FLOAT:
                yield value
