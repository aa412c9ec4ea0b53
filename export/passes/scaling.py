"""Positive factors per channel, moved through a network without changing what it computes.

A factor on a channel of a convolution's output can be taken back by whoever reads the channel: convolutions and
normalisations carry it in their weights; PReLU, pooling, interpolation, concatenation and sums let it through. So the
channels of all activations fall into groups that share one factor, found here by following the graph.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.graph import (
    Affine,
    activations,
    affine,
    channels,
    constant,
    convolution,
    is_channel_concat,
    set_affine,
)

# What lets a positive factor of each channel through
_HOMOGENEOUS = (
    "AveragePool", "Dropout", "GlobalAveragePool", "Identity", "LeakyRelu", "MaxPool", "Relu", "Resize", "Upsample",
)  # fmt: skip
_SUMS = ("Add", "Sub", "Sum", "Max", "Min")


class Groups(NamedTuple):
    """Which channels belong together: share a factor, or go together.

    ``of`` maps a tensor's name to (channels,) group numbers; ``fixed`` is the group that stays as it is (outputs,
    and what unknown operators touch), ``input`` that of the graph's input, ``number`` how many there are.
    """

    of: dict[str, np.ndarray]
    fixed: int
    input: int
    number: int


class _Union:
    """Disjoint sets of numbers."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))

    def root(self, item: int) -> int:
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def join(self, first: Sequence[int], second: Sequence[int]) -> None:
        for one, other in zip(first, second, strict=True):
            self.parent[self.root(one)] = self.root(other)


def groups(graph: ir.Graph, keep: Sequence[str], links: Callable[[ir.Node], bool | None] | None = None) -> Groups:
    """Follows the graph.

    Args:
        keep: names of tensors whose channels must stay as they are.
        links: says of a convolution or normalisation whether a channel of its output belongs to the group of the same
            channel of its input; None fixes both. Without it none does: their weights take any factors.
    """
    numbers: dict[str, np.ndarray] = {}
    count = 2  # 0: fixed, 1: the input
    tensors = [value for value in graph.inputs if channels(value) is not None] + list(activations(graph))
    for value in tensors:
        size = channels(value) or 0
        numbers[value.name or ""] = np.arange(count, count + size)
        count += size
    union = _Union(count)

    def ids(value: ir.Value | None) -> np.ndarray | None:
        return None if value is None else numbers.get(value.name or "")

    def fix(values: Sequence[ir.Value | None]) -> None:
        for value in values:
            found = ids(value)
            if found is not None:
                union.join(found.tolist(), [0] * len(found))

    for value in graph.inputs:
        found = ids(value)
        if found is not None:
            union.join(found.tolist(), [1] * len(found))
    for node in graph:
        output = ids(node.outputs[0])
        inputs = [ids(value) for value in node.inputs]
        if convolution(node) is not None or affine(node) is not None:
            linked = links(node) if links is not None else False
            if linked and inputs[0] is not None and output is not None:
                union.join(inputs[0].tolist(), output.tolist())
            elif linked is None:
                fix([*node.inputs, *node.outputs])
            continue
        if output is not None and is_channel_concat(node) and all(each is not None for each in inputs):
            union.join(np.concatenate([each for each in inputs if each is not None]).tolist(), output.tolist())
        elif output is not None and _ties(node, inputs, output):
            for each in inputs:
                if each is not None:
                    union.join(each.tolist(), output.tolist())
        else:
            fix([*node.inputs, *node.outputs])
    fix([value for value in tensors if value.name in keep or value.is_graph_output()])
    roots = {root: index for index, root in enumerate(sorted({union.root(item) for item in range(count)}))}
    of = {name: np.array([roots[union.root(item)] for item in found.tolist()]) for name, found in numbers.items()}
    return Groups(of, roots[union.root(0)], roots[union.root(1)], len(roots))


def _ties(node: ir.Node, inputs: list[np.ndarray | None], output: np.ndarray) -> bool:
    """Whether the node's output has, channel by channel, the factor of its inputs."""
    if node.domain not in ("", "ai.onnx"):
        return False
    first = inputs[0]
    if node.op_type == "PRelu":
        return first is not None and len(first) == len(output) and constant(node.inputs[1]) is not None
    if node.op_type in _HOMOGENEOUS:
        return first is not None and len(first) == len(output)
    return node.op_type in _SUMS and all(each is not None and len(each) == len(output) for each in inputs)


def rescale(graph: ir.Graph, found: Groups, factors: np.ndarray) -> None:
    """Multiplies every channel by its group's factor, by way of the weights around it.

    Args:
        factors: (number,), positive; that of the fixed group is 1. The caller feeds an input that is larger by
            ``factors[found.input]``.
    """

    def of(value: ir.Value | None) -> np.ndarray:
        assert value is not None
        return factors[found.of[value.name or ""]]

    for node in list(graph):
        part = convolution(node)
        if part is not None:
            inwards, outwards = of(node.inputs[0]), of(node.outputs[0])
            if (inwards != 1).any() or (outwards != 1).any():
                part.scale_inputs(1 / inwards)
                part.scale_outputs(outwards)
                part.write()
            continue
        transform = affine(node)
        if transform is not None:
            inwards, outwards = of(node.inputs[0]), of(node.outputs[0])
            if (inwards != 1).any() or (outwards != 1).any():
                set_affine(node, Affine(transform.scale * outwards / inwards, transform.shift * outwards))
