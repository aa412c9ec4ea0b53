"""Rewriting for ONNX Runtime's CPU kernels, which are fast where they may keep channels in blocks of 16 (or 8).

The runtime holds activations in that layout from convolution to convolution, and fuses into a convolution a sum and a
ReLU that follow it. PReLU, a normalisation of something that is no convolution's output, and a concatenation of odd
channel counts make it go back to the plain layout and again. All three can be said with convolutions:

    PReLU(y) with slopes a       = a * y + ReLU((1 - a) * y)          for a <= 1, else a * y + (1 - a) * ReLU(y)
    BN(x + conv)                 = scale * x + conv'
    conv(PReLU(BN(concat(x, z)))) = conv_1(PReLU(BN(x))) + conv_2(PReLU(BN(z)))

where a factor per channel is a 1x1 depth-wise convolution. These add work that costs little and save the passes over
memory that cost much; TensorRT has other habits and gets none of this.
"""

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.batchnorm import fold_into, writers
from ccc_jetson.export.passes.graph import (
    Convolution,
    add_constant,
    affine,
    channels,
    convolution,
    insert,
    is_channel_concat,
    only_reader,
    prelu_slopes,
    replace,
)

BLOCK = 16  # of AVX-512; AVX2 and NEON use 8, which divides it
NARROW = 8  # up to so many channels a convolution reads the plain layout without being slowed down


def normalise_before_sum(graph: ir.Graph) -> int:
    """Moves a normalisation of ``x + convolutions`` into its two summands; returns how many."""
    moved = 0
    for node in [node for node in graph if node.op_type == "BatchNormalization"]:
        transform, total = affine(node), node.inputs[0]
        assert total is not None
        add = total.producer()
        if transform is None or add is None or add.op_type != "Add" or only_reader(total) is not node:
            continue
        if not has_whole_blocks(total):
            continue
        for index in (0, 1):
            mine, other = add.inputs[index], add.inputs[1 - index]
            assert mine is not None and other is not None
            parts = writers(mine.producer()) if only_reader(mine) is add and channels(other) == channels(mine) else None
            if parts is not None and fold_into(parts, transform):
                residual = scaled(add, other, transform.scale)
                replace(node, insert(node, "Add", [residual, mine], like=total))
                graph.remove(add, safe=True)
                moved += 1
                break
    return moved


def split_concats(graph: ir.Graph) -> int:
    """Lets convolutions read the parts of a concatenation whose channels don't fill blocks; returns how many do."""
    total = 0
    while found := _split_once(graph):  # a concatenation that became flat may be split in turn
        total += found
    return total


def _split_once(graph: ir.Graph) -> int:
    split = 0
    for concat in [node for node in graph if is_channel_concat(node)]:
        current = concat
        if all(has_whole_blocks(value) for value in current.inputs if value is not None):
            continue
        while (reader := only_reader(current.outputs[0])) is not None and (pushed := pushed_through(current, reader)):
            current = pushed
        split += read_in_parts(current)
    return split


def prelu_as_convolutions(graph: ir.Graph) -> int:
    """Rewrites every PReLU on whole blocks; on others as a maximum where that is the same. Returns how many."""
    rewritten = 0
    for node in [node for node in graph if node.op_type == "PRelu"]:
        value = node.inputs[0]
        assert value is not None
        slopes = prelu_slopes(node, channels(value))
        if slopes is None:
            continue
        convex = bool((slopes <= 1).all())
        if not has_whole_blocks(value):
            if convex and (channels(value) or 0) > NARROW:
                bent = insert(node, "Mul", [value, node.inputs[1]], like=value)  # type: ignore[list-item]
                replace(node, insert(node, "Max", [value, bent], like=value))
                rewritten += 1
            continue
        if convex:
            positive = insert(node, "Relu", [scaled(node, value, 1 - slopes)], like=value)
        else:
            positive = scaled(node, insert(node, "Relu", [value], like=value), 1 - slopes)
        replace(node, insert(node, "Add", [scaled(node, value, slopes), positive], like=value))
        rewritten += 1
    return rewritten


def has_whole_blocks(value: ir.Value) -> bool:
    """Whether the channels of an activation fill blocks."""
    return (channels(value) or 1) % BLOCK == 0


def scaled(before: ir.Node, value: ir.Value, factors: np.ndarray) -> ir.Value:
    """``value`` times a factor per channel, as a depth-wise 1x1 convolution."""
    graph, count = before.graph, len(factors)
    assert isinstance(graph, ir.Graph)
    weight = add_constant(graph, "factors", factors.astype(np.float32).reshape(count, 1, 1, 1))
    bias = add_constant(graph, "zeros", np.zeros(count, np.float32))  # the runtime fuses a sum only beside a bias
    return insert(before, "Conv", [value, weight, bias], {"kernel_shape": [1, 1], "group": count}, value)


def _convolved(
    before: ir.Node, part: Convolution, source: ir.Value | None, weight: np.ndarray, bias: np.ndarray
) -> ir.Value:
    """The convolution ``part`` of another input, with other weights."""
    graph = before.graph
    assert isinstance(graph, ir.Graph) and source is not None
    constants = [add_constant(graph, stem, array.astype(np.float32)) for stem, array in (("w", weight), ("b", bias))]
    attributes = {name: attribute.value for name, attribute in part.node.attributes.items()}
    return insert(before, "Conv", [source, *constants], attributes, part.node.outputs[0])


def slices(values: list[ir.Value]) -> list[slice]:
    """Where the channels of each value lie in the concatenation of all."""
    ends = np.cumsum([channels(value) or 0 for value in values])
    return [slice(int(end) - (channels(value) or 0), int(end)) for value, end in zip(values, ends, strict=True)]


def pushed_through(concat: ir.Node, reader: ir.Node) -> ir.Node | None:
    """Applies a per-channel ``reader`` to the parts instead of the whole; returns the concatenation behind it."""
    values = [value for value in concat.inputs if value is not None]
    transform, slopes = affine(reader), prelu_slopes(reader, channels(concat.outputs[0]))
    if (transform is None and slopes is None) or reader.inputs[0] is not concat.outputs[0]:
        return None
    graph = concat.graph
    assert isinstance(graph, ir.Graph)
    parts = []
    for value, here in zip(values, slices(values), strict=True):
        if transform is not None:
            count = here.stop - here.start
            arrays = (transform.scale[here], transform.shift[here], np.zeros(count), np.ones(count))
            constants = [add_constant(graph, "bn", array.astype(np.float32)) for array in arrays]
            parts.append(insert(reader, "BatchNormalization", [value, *constants], {"epsilon": 0.0}, value))
        elif slopes is not None:
            constant = add_constant(graph, "slopes", slopes[here].astype(np.float32).reshape(-1, 1, 1))
            parts.append(insert(reader, "PRelu", [value, constant], like=value))
    joined = insert(reader, "Concat", parts, {"axis": 1}, reader.outputs[0])
    replace(reader, joined)
    graph.remove(concat, safe=True)
    return joined.producer()


def read_in_parts(concat: ir.Node, pointwise_only: bool = False) -> int:
    """Lets the readers of a concatenation read its parts, where that suits them; returns how many do.

    ``pointwise_only``: 1x1 convolutions do, whatever the parts; else all convolutions, of parts that suit them.
    """
    values = [value for value in concat.inputs if value is not None]
    graph, output, changed = concat.graph, concat.outputs[0], 0
    assert isinstance(graph, ir.Graph)
    for reader in dict.fromkeys(use.node for use in output.uses()):  # a set would have another order every time
        part = convolution(reader)
        if is_channel_concat(reader):
            flat = [each for value in reader.inputs for each in (values if value is output else [value])]
            replace(reader, insert(reader, "Concat", flat, {"axis": 1}, reader.outputs[0]))  # type: ignore[arg-type]
            changed += 1
        elif part is not None and part.groups == 1 and (part.pointwise if pointwise_only else _suits(part, values)):
            total: ir.Value | None = None
            for value, here in zip(values, slices(values), strict=True):
                bias = part.bias if total is None else np.zeros(part.outputs)
                product = _convolved(reader, part, value, part.stored()[:, here], bias)
                total = product if total is None else insert(reader, "Add", [product, total], like=product)
            assert total is not None
            replace(reader, total)
            changed += 1
    if not output.uses() and not output.is_graph_output():
        graph.remove(concat, safe=True)
    return changed


def _suits(part: Convolution, values: list[ir.Value]) -> bool:
    return not part.transposed and all(has_whole_blocks(value) or (channels(value) or 0) <= NARROW for value in values)
