"""Channels that hold the same number everywhere, whatever the picture, and those that nobody reads: taken out.

Training with weight decay kills channels: a normalisation's gamma goes to 1e-40, which is zero. What such a channel
holds moves into the biases of those who read it. A channel can go only together with all that it is summed, joined or
convolved channel by channel with, so a dead channel of a residual stream stays unless it is dead in every module.
"""

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.graph import (
    Affine,
    Convolution,
    activations,
    add_constant,
    affine,
    channels,
    constant,
    convolution,
    is_channel_concat,
    is_interpolation,
    operator,
    prelu_slopes,
    set_affine,
)
from ccc_jetson.export.passes.scaling import groups, takes_factors


def prune_dead_channels(graph: ir.Graph, logits: str) -> int:
    """Takes out what can go; returns how many channels of activations that were."""
    found = groups(graph, [logits], _links)
    values = _constants(graph)
    gone = np.ones(found.number, bool)
    gone[[found.fixed, found.input]] = False
    read = np.zeros(found.number, bool)
    known = np.ones(found.number, bool)
    for name, numbers in found.of.items():
        np.logical_and.at(known, numbers, np.isfinite(values[name]))
    for node in graph:
        part = convolution(node)
        if part is not None and takes_factors(node, found.of) and not _depthwise(part):
            numbers, held = found.of[_name(node.inputs[0])], values[_name(node.inputs[0])]
            weights = part.largest_by_input() > 0
            np.logical_or.at(read, numbers, weights)
            np.logical_and.at(known, numbers, ~weights | (held == 0) | (not _sees_borders(part)))
    gone &= known | ~read
    for numbers in found.of.values():  # a tensor keeps at least one channel
        if gone[numbers].all():
            gone[numbers[0]] = False
    if not gone.any():
        return 0
    _take_out(graph, {name: np.flatnonzero(~gone[numbers]) for name, numbers in found.of.items()}, values)
    return int(sum(gone[numbers].sum() for numbers in found.of.values()))


def _name(value: ir.Value | None) -> str:
    return (value.name if value is not None else None) or ""


def _depthwise(part: Convolution) -> bool:
    return part.groups == part.inputs == part.outputs > 1


def _links(node: ir.Node) -> bool | None:
    """Normalisations and depth-wise convolutions handle a channel alone; other grouped convolutions are left alone."""
    part = convolution(node)
    if part is None or _depthwise(part):
        return True
    return False if part.groups == 1 else None


def _sees_borders(part: Convolution) -> bool:
    """Whether a constant input, other than zero, gives an output that is not constant."""
    return part.padded or part.transposed


def _constants(graph: ir.Graph) -> dict[str, np.ndarray]:
    """What every channel of every activation holds wherever one looks; NaN where that is not known."""
    held: dict[str, np.ndarray] = {}
    for value in graph.inputs:
        held[_name(value)] = np.full(channels(value) or 0, np.nan)
    for value in activations(graph):
        node = value.producer()
        assert node is not None
        inputs = [held.get(_name(each)) for each in node.inputs]
        result = _constant(node, [each for each in inputs if each is not None])
        size = channels(value) or 0
        held[_name(value)] = result if result is not None and len(result) == size else np.full(size, np.nan)
    return held


def _constant(node: ir.Node, inputs: list[np.ndarray]) -> np.ndarray | None:
    """The constants of a node's output channels from those of its inputs; None for operators that are not known."""
    if not inputs:
        return None
    first = inputs[0]
    part, transform = convolution(node), affine(node)
    if part is not None:
        return _convolved(part, first)
    if transform is not None:
        return np.where(transform.scale == 0, 0.0, transform.scale * first) + transform.shift
    slopes = prelu_slopes(node, len(first))
    if slopes is not None:
        return np.where(first > 0, first, first * slopes)
    if is_channel_concat(node):
        return np.concatenate(inputs)
    if operator(node) == "Add" and len(inputs) == 2 and len(first) == len(inputs[1]):
        return first + inputs[1]
    if operator(node) == "Relu":
        return np.maximum(first, 0)
    if operator(node) == "AveragePool" or is_interpolation(node):  # zeros around the picture may be averaged in
        return np.where(first == 0, 0.0, np.nan)
    return first if operator(node) in ("MaxPool", "Identity") else None


def _convolved(part: Convolution, held: np.ndarray) -> np.ndarray:
    kernel = tuple(range(3, part.weight.ndim))
    reads = (part.weight != 0).any(axis=kernel)  # (groups, outputs, inputs)
    given = held.reshape(part.groups, 1, -1)
    varies = np.isnan(given) | ((given != 0) & _sees_borders(part))
    total = (part.weight.sum(axis=kernel) * np.where(np.isnan(given), 0, given)).sum(axis=2)
    return np.where((reads & varies).any(axis=2), np.nan, total).reshape(-1) + part.bias


def _take_out(graph: ir.Graph, keep: dict[str, np.ndarray], held: dict[str, np.ndarray]) -> None:
    """Leaves the channels ``keep`` of every tensor."""
    for node in list(graph):
        source, output = _name(node.inputs[0] if node.inputs else None), _name(node.outputs[0])
        if source not in keep or output not in keep:
            continue
        part, transform = convolution(node), affine(node)
        slopes = prelu_slopes(node, len(held[source]))
        if part is not None and (len(keep[source]) < part.inputs or len(keep[output]) < part.outputs):
            _shrink(part, keep[source], keep[output], held[source])
        elif transform is not None and len(keep[source]) < len(transform.scale):
            set_affine(node, Affine(*(array[keep[source]] for array in transform)))
        elif slopes is not None and len(keep[source]) < len(slopes):
            kept = slopes[keep[source]].astype(np.float32).reshape(-1, 1, 1)
            node.replace_input_with(1, add_constant(graph, "slopes", kept))
        elif node.op_type == "Resize" and len(node.inputs) > 3 and (sizes := constant(node.inputs[3])) is not None:
            sizes = np.array(sizes)
            sizes[1] = len(keep[source])
            node.replace_input_with(3, add_constant(graph, "sizes", sizes))
    for value in activations(graph):
        assert value.shape is not None
        shape = list(value.shape)
        shape[1] = len(keep[_name(value)])
        value.shape = ir.Shape(shape)


def _shrink(part: Convolution, inputs: np.ndarray, outputs: np.ndarray, held: np.ndarray) -> None:
    if part.groups > 1:  # depth-wise: inputs and outputs go together
        part.weight, part.bias = part.weight[outputs], part.bias[outputs]
        part.groups = len(outputs)
        part.node.attributes["group"] = ir.AttrInt64("group", part.groups)
    else:
        lost = np.setdiff1d(np.arange(part.inputs), inputs)
        kernel = tuple(range(3, part.weight.ndim))
        constants = np.where(np.isfinite(held[lost]), held[lost], 0)  # of those that nobody reads, weights are zero
        part.bias = part.bias + part.weight[0][:, lost].sum(axis=tuple(axis - 1 for axis in kernel)) @ constants
        part.weight = part.weight[:, outputs][:, :, inputs]
        part.bias = part.bias[outputs]
    part.write()
