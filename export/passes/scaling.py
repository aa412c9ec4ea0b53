"""Positive factors per channel, moved through a network without changing what it computes.

A factor on a channel of a convolution's output can be taken back by whoever reads the channel: convolutions and
normalisations carry it in their weights; PReLU, pooling, interpolation, concatenation and sums let it through. So the
channels of all activations fall into groups that share one factor, found here by following the graph.
"""

from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.graph import (
    Affine,
    activations,
    affine,
    channels,
    convolution,
    is_channel_concat,
    is_interpolation,
    operator,
    prelu_slopes,
    set_affine,
)

# What lets a positive factor of each channel through
_HOMOGENEOUS = ("AveragePool", "Dropout", "GlobalAveragePool", "Identity", "LeakyRelu", "MaxPool", "Relu")
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
        if output is not None and takes_factors(node, numbers):
            linked = links(node) if links is not None else False
            if linked and inputs[0] is not None:
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
    if not inputs or any(value.uses() for value in node.outputs[1:]):  # indices of a pooling count channels
        return False
    first = inputs[0]
    alone = operator(node) in _HOMOGENEOUS or is_interpolation(node) or prelu_slopes(node, len(output)) is not None
    if alone:
        return first is not None and len(first) == len(output)
    return operator(node) in _SUMS and all(each is not None and len(each) == len(output) for each in inputs)


def takes_factors(node: ir.Node, known: Container[str]) -> bool:
    """Whether a node can take factors of its input and output into its weights: both must be ``known`` activations."""
    if convolution(node) is None and affine(node) is None:
        return False
    return all(value is not None and value.name in known for value in (node.inputs[0], node.outputs[0]))


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
        if not takes_factors(node, found.of):
            continue
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
