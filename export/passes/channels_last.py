"""Rewriting for OpenVINO's CPU plugin, which keeps the channels of a pixel together where convolutions let it.

It fuses into a convolution the sum and the PReLU that follow, whatever the slopes and the number of channels. What
stands between two convolutions and is neither makes it go to the plain layout and back, in 13 ms where the arithmetic
takes one: a PReLU of something that is no convolution's output, an average pooling of the image, an ArgMax over logits.
All of it can be said otherwise:

    PReLU(y) with slopes a        = a * y + (1 - a) * ReLU(y)
    average pooling, k x k         = a convolution with 1 / k^2 on its diagonal
    argmax(transposed conv 2x2)    = the argmax for each of the four pixels of a product of matrices, interleaved
    argmax(interpolated scores)    = the argmax of their product with the identity, which lies class by class

and the residual sum of concatenated branches is the concatenation of the branches' sums, each of which a convolution
takes along. Seen with OpenVINO 2024.6 to 2026.4.
"""

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.blocked import (
    NARROW,
    has_whole_blocks,
    pushed_through,
    read_in_parts,
    scaled,
    slices,
)
from ccc_jetson.export.passes.graph import (
    add_constant,
    attribute,
    channels,
    convolution,
    insert,
    integers,
    is_channel_concat,
    only_reader,
    operator,
    prelu_slopes,
    replace,
    tensor_named,
)

_STRIP_BYTES = 6 << 20  # of scores; with 5 MB a frame takes 7 to 9 % less than with all 40 MB at once (measured)
_BYTES = 4  # of a float32
_OF_EACH_CHANNEL = ("BatchNormalization", "PRelu")
_WRITERS = ("Add", "Conv")  # a convolution, or a sum that one takes along


def sum_branches(graph: ir.Graph) -> int:
    """Moves residual sums and their PReLUs in front of the concatenation; 1x1 convolutions read its parts.

    Returns how many nodes were moved.
    """
    moved = 0
    for node in list(graph):
        if node.graph is None:
            continue
        if operator(node) == "Add":
            moved += _summed_in_parts(node)
        elif operator(node) == "PRelu":
            concat = node.inputs[0].producer() if node.inputs[0] is not None else None
            behind = is_channel_concat(concat) and only_reader(concat.outputs[0]) is node  # type: ignore[union-attr]
            if concat is not None and behind and all(_is_written_by_convolution(part) for part in concat.inputs):
                moved += pushed_through(concat, node) is not None
    if moved:
        for concat in [node for node in graph if is_channel_concat(node)]:
            whole = all(has_whole_blocks(part) for part in concat.inputs if part is not None)
            if concat.graph is not None and whole:  # it may have been joined with another one
                moved += read_in_parts(concat, pointwise_only=True)
    return moved


def prelu_apart(graph: ir.Graph) -> int:
    """Rewrites the PReLUs that no convolution takes along; returns how many."""
    rewritten = 0
    for node in [node for node in graph if operator(node) == "PRelu"]:
        value = node.inputs[0]
        assert value is not None
        slopes = prelu_slopes(node, channels(value))
        if slopes is None or _fuses(node, value):
            continue
        bent, straight = (
            add_constant(graph, stem, array.astype(np.float32).reshape(-1, 1, 1))
            for stem, array in (("slopes", slopes), ("rest", 1 - slopes))
        )
        positive = insert(node, "Mul", [insert(node, "Relu", [value], like=value), straight], like=value)
        replace(node, insert(node, "Add", [insert(node, "Mul", [value, bent], like=value), positive], like=value))
        rewritten += 1
    return rewritten


def pooling_as_convolution(graph: ir.Graph) -> int:
    """Rewrites average pooling of a few channels, whole windows side by side; returns how many."""
    rewritten = 0
    for node in [node for node in graph if operator(node) == "AveragePool"]:
        value, window = node.inputs[0], integers(node, "kernel_shape", ())
        count = channels(value) if value is not None else None
        if value is None or count is None or count > NARROW or not _side_by_side(node, value, window):
            continue
        weight = np.zeros((count, count, *window), np.float32)
        weight[range(count), range(count)] = 1 / np.prod(window)
        attributes = {"kernel_shape": list(window), "strides": list(window)}
        pooled = [value, add_constant(graph, "pooling", weight)]
        replace(node, insert(node, "Conv", pooled, attributes, node.outputs[0]))
        rewritten += 1
    return rewritten


def argmax_before_interleaving(graph: ir.Graph, logits: str) -> int:
    """Takes the argmax of a last 2x2 transposed convolution before its pixels are interleaved; 1 where it did.

    The logits stay in the graph for those who ask.
    """
    whole, argmax = _class_map_of(graph, logits)
    part = convolution(whole.producer())
    if argmax is None or part is None or not part.makes_squares:
        return 0
    source, classes = part.node.inputs[0], part.outputs
    if source is None or source.shape is None or not source.shape.is_static():
        return 0
    batch, inputs, height, width = source.shape.numpy()
    weight = part.weight[0].transpose(2, 3, 0, 1).reshape(4 * classes, inputs)  # rows, columns, classes
    rows = batch * height
    winners = _winners(argmax, source, classes, weight.astype(np.float32), np.tile(part.bias, 4).astype(np.float32))
    squares = _reshaped(argmax, winners, (2, 2, rows, width))
    order = {"perm": [2, 0, 3, 1]}  # (row, column, N * H, W) -> (N * H, row, W, column)
    lines = _integers(insert(argmax, "Transpose", [squares], order, (rows, 2, width, 2)))
    replace(argmax, _reshaped(argmax, lines, (batch, 2 * height, 2 * width)))
    return 1


def argmax_class_by_class(graph: ir.Graph, logits: str) -> int:
    """Takes the argmax of interpolated logits where each class's lie side by side; 1 where it did.

    OpenVINO interpolates a pixel's classes together and takes 17 ms for their argmax (20 classes, 1024x512; 7 ms as
    TopK, which gives any of equal classes instead of the first). A product with the identity lays them out anew and
    changes no finite score. The logits stay in the graph for those who ask.
    """
    whole, argmax = _class_map_of(graph, logits)
    if argmax is None or operator(whole.producer()) != "Resize":
        return 0
    if whole.shape is None or not whole.shape.is_static():
        return 0
    batch, classes, height, width = whole.shape.numpy()
    winners = _winners(argmax, whole, classes, np.eye(classes, dtype=np.float32))
    replace(argmax, _reshaped(argmax, winners, (batch, height, width)))
    return 1


def _class_map_of(graph: ir.Graph, logits: str) -> tuple[ir.Value, ir.Node | None]:
    """The logits, and the node that makes the class map of them where there is one."""
    whole = tensor_named(graph, logits)
    argmax = next((use.node for use in whole.uses() if operator(use.node) == "ArgMax"), None)
    if argmax is None or attribute(argmax, "axis", 0) != 1 or attribute(argmax, "keepdims", 1) != 0:
        return whole, None
    return whole, argmax


def _winners(
    argmax: ir.Node, source: ir.Value, classes: int, weight: np.ndarray, bias: np.ndarray | None = None
) -> ir.Value:
    """(sets, N * H, W): the winner in each set of scores that ``weight`` makes of a pixel of ``source`` (N, C, H, W).

    The scores come from products of matrices, whose results have the pixels of a class side by side as the argmax wants
    them; strip by strip, so that they stay in the processor's cache.

    Args:
        argmax: the node that it is for.
        weight: (sets * classes, C); ``bias`` (sets * classes).
    """
    graph = argmax.graph
    assert isinstance(graph, ir.Graph) and source.shape is not None
    batch, inputs, height, width = source.shape.numpy()
    sets, rows = len(weight) // classes, batch * height
    constants = [add_constant(graph, "scores", weight)]
    if bias is not None:
        constants.append(add_constant(graph, "scores_bias", bias.reshape(-1, 1)))
    row_bytes = len(weight) * width * _BYTES
    strip = max(count for count in _divisors(rows) if count == 1 or count * row_bytes <= _STRIP_BYTES)
    pixels = insert(argmax, "Transpose", [source], {"perm": [0, 2, 3, 1]}, (batch, height, width, inputs))
    pixels = _reshaped(argmax, pixels, (rows * width, inputs))
    attributes = {"axis": 1, "keepdims": 0, "select_last_index": attribute(argmax, "select_last_index", 0)}
    parts = []
    for here in _split(argmax, pixels, rows // strip):
        given = [constants[0], here, *constants[1:]]
        scores = insert(argmax, "Gemm", given, {"transB": 1}, (len(weight), strip * width))
        corners = _reshaped(argmax, scores, (sets, classes, strip, width))
        parts.append(_integers(insert(argmax, "ArgMax", [corners], attributes, (sets, strip, width))))
    return _integers(insert(argmax, "Concat", parts, {"axis": 1}, (sets, rows, width)))


def _summed_in_parts(add: ir.Node) -> int:
    for index in (0, 1):
        branches, other = add.inputs[index], add.inputs[1 - index]
        assert branches is not None and other is not None
        concat = branches.producer()
        if concat is None or not is_channel_concat(concat) or only_reader(branches) is not add:
            continue
        values = [value for value in concat.inputs if value is not None]
        if not all(_is_written_by_convolution(value) for value in values):
            continue
        if branches.shape is None or other.shape is None or list(branches.shape) != list(other.shape):
            continue  # one of them is spread over the other
        residuals = _in_parts(add, other, values)
        if residuals is not None:
            pairs = zip(residuals, values, strict=True)
            sums = [insert(add, "Add", [residual, value], like=value) for residual, value in pairs]
            replace(add, insert(add, "Concat", sums, {"axis": 1}, add.outputs[0]))
            return 1
    return 0


def _in_parts(before: ir.Node, value: ir.Value, like: list[ir.Value]) -> list[ir.Value] | None:
    """``value`` as parts with the channels of ``like``: of a concatenation, or of one times a factor per channel."""
    producer = value.producer()
    part = convolution(producer)
    factors = None
    if part is not None and part.pointwise and part.groups == channels(value) and not part.bias.any():
        factors, producer = part.weight.reshape(-1), part.node.inputs[0].producer()  # type: ignore[union-attr]
    if producer is None or not is_channel_concat(producer):
        return None
    parts = [each for each in producer.inputs if each is not None]
    if [channels(each) for each in parts] != [channels(each) for each in like]:
        return None
    if factors is None:
        return parts
    return [scaled(before, each, factors[here]) for each, here in zip(parts, slices(parts), strict=True)]


def _is_written_by_convolution(value: ir.Value | None) -> bool:
    return value is not None and operator(value.producer()) in _WRITERS and only_reader(value) is not None


def _fuses(reader: ir.Node, value: ir.Value) -> bool:
    """Whether a convolution takes a reader of ``value`` along: its own, or that of a sum with a convolution's output;
    behind other things of each channel that it takes along."""
    producer = value.producer()
    if producer is None or only_reader(value) is not reader:
        return False
    if operator(producer) in _OF_EACH_CHANNEL and producer.inputs[0] is not None:
        return _fuses(producer, producer.inputs[0])
    if operator(producer) != "Add":
        return operator(producer) == "Conv"
    return any(
        each is not None and operator(each.producer()) == "Conv" and only_reader(each) is producer
        for each in producer.inputs
    )


def _side_by_side(node: ir.Node, value: ir.Value, window: tuple[int, ...]) -> bool:
    """Whether every value is in exactly one window: then no rule about borders matters."""
    if integers(node, "strides", (1, 1)) != window or any(integers(node, "pads", ())) or "auto_pad" in node.attributes:
        return False
    sizes = value.shape[2:] if value.shape is not None else ()
    return len(window) == 2 and all(
        isinstance(size, int) and size % step == 0 for size, step in zip(sizes, window, strict=True)
    )


def _reshaped(before: ir.Node, value: ir.Value, shape: tuple[int, ...]) -> ir.Value:
    graph = before.graph
    assert isinstance(graph, ir.Graph)
    output = insert(before, "Reshape", [value, add_constant(graph, "shape", np.array(shape, np.int64))], like=shape)
    if value.dtype is not None:
        output.dtype = value.dtype
    return output


def _split(before: ir.Node, value: ir.Value, count: int) -> list[ir.Value]:
    """``value`` in so many equal parts of its first axis."""
    graph = before.graph
    assert isinstance(graph, ir.Graph) and value.shape is not None
    if count == 1:
        return [value]
    size = int(value.shape.numpy()[0]) // count
    sizes = add_constant(graph, "sizes", np.full(count, size, np.int64))
    node = ir.node("Split", [value, sizes], {"axis": 0}, num_outputs=count)
    graph.insert_before(before, [node])
    for part in node.outputs:
        part.dtype, part.shape = ir.DataType.FLOAT, ir.Shape((size, *value.shape[1:]))
    return list(node.outputs)


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def _integers(value: ir.Value) -> ir.Value:
    value.dtype = ir.DataType.INT64
    return value
