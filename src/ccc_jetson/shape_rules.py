"""How each operator's output follows from its inputs: the rules that ``graph_shapes.py`` applies node by node.

They follow the ONNX operator documents. A rule raises ``Unknown`` where it would have to guess; one for a graph that
contradicts itself may also raise a ValueError, an IndexError or an ArithmeticError.
"""

from typing import Callable, Dict, List, Optional, Tuple

import numpy as np

from ccc_jetson.onnx_file import DATA_TYPES, Dimension, Node, Tensor
from ccc_jetson.shape_terms import (
    LONGEST,
    OPEN,
    Call,
    Shape,
    Typed,
    Unknown,
    all_fixed,
    axis_of,
    broadcast,
    elements,
    may_equal,
    one_each,
    plus,
    times,
    total_of,
)

_LIKE_THE_FIRST = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BatchNormalization", "BitwiseNot", "Ceil", "Celu",
    "Clip", "Cos", "Cosh", "CumSum", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "GroupNormalization",
    "HardSigmoid", "HardSwish", "Hardmax", "Identity", "InstanceNormalization", "LRN", "LayerNormalization",
    "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "MeanVarianceNormalization", "Mish", "Neg", "Not", "PRelu",
    "RMSNormalization", "Reciprocal", "Relu", "ReverseSequence", "Round", "Scatter", "ScatterElements", "ScatterND",
    "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt", "Swish", "Tan",
    "Tanh", "ThresholdedRelu", "Trilu",
)  # fmt: skip
_BROADCAST = ("Add", "And", "Div", "Max", "Mean", "Min", "Mod", "Mul", "Or", "Pow", "Sub", "Sum", "Where", "Xor")
_COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual")
_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip
_AXES_INPUT_SINCE = {"ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13}  # of the other reductions: opset 18


def _like_the_first(call: Call) -> List[Typed]:
    """Second outputs of training are left out, but Dropout's mask is a shape like the others."""
    return [call.inputs[0]] + ([("bool", call.inputs[0][1])] if call.node.operator == "Dropout" else [])


def _broadcast(call: Call) -> List[Typed]:
    dtype = call.inputs[1 if call.node.operator == "Where" else 0][0]
    return [(dtype, broadcast([shape for _, shape in call.inputs]))]


def _comparison(call: Call) -> List[Typed]:
    return [("bool", broadcast([shape for _, shape in call.inputs]))]


def _conv(call: Call) -> List[Typed]:
    (dtype, shape), (_, weight) = call.inputs[:2]
    kernel = call.node.integers("kernel_shape") or all_fixed(weight[2:])
    return [(dtype, (shape[0], weight[0]) + _windows(call.node, shape[2:], kernel))]


def _conv_transpose(call: Call) -> List[Typed]:
    node, (dtype, shape), (_, weight) = call.node, call.inputs[0], call.inputs[1]
    spatial, rank = shape[2:], len(shape) - 2
    kernel = node.integers("kernel_shape") or all_fixed(weight[2:])
    channels = weight[1]
    if not isinstance(channels, int):
        raise Unknown()
    out: Shape = node.integers("output_shape")[-rank:]
    if not out:
        strides, dilations = one_each(node, "strides", 1, rank), one_each(node, "dilations", 1, rank)
        extra, pads = one_each(node, "output_padding", 0, rank), one_each(node, "pads", 0, 2 * rank)
        if node.text("auto_pad", "NOTSET").startswith("SAME"):
            out = tuple(times(size, stride) for size, stride in zip(spatial, strides))
        else:
            out = tuple(
                plus(times(plus(size, -1), strides[i]), extra[i] + (kernel[i] - 1) * dilations[i] + 1 - pads[i])
                for i, size in enumerate(spatial)
            )
            out = tuple(plus(size, -pads[rank + i]) for i, size in enumerate(out))
    return [(dtype, (shape[0], channels * node.integer("group", 1)) + out)]


def _pool(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    out = shape[:2] + _windows(call.node, shape[2:], call.node.integers("kernel_shape"))
    return [(dtype, out)] + ([("int64", out)] if call.node.operator == "MaxPool" else [])


def _global_pool(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    return [(dtype, shape[:2] + (1,) * (len(shape) - 2))]


def _windows(node: Node, spatial: Shape, kernel: Tuple[int, ...]) -> Shape:
    """Sizes after a window has moved over them: (size + pads - extent) / stride + 1, rounded down or up."""
    rank = len(spatial)
    if len(kernel) != rank:
        raise Unknown()
    strides, dilations = one_each(node, "strides", 1, rank), one_each(node, "dilations", 1, rank)
    pads, auto = one_each(node, "pads", 0, 2 * rank), node.text("auto_pad", "NOTSET")
    out: List[Dimension] = []
    for i, size in enumerate(spatial):
        if not isinstance(size, int):
            out.append(OPEN)
        elif auto.startswith("SAME"):
            out.append(-(-size // strides[i]))
        else:
            around = pads[i] + pads[rank + i] if auto != "VALID" else 0
            room = size + around - (kernel[i] - 1) * dilations[i] - 1
            if room < 0:
                raise Unknown()
            up = node.integer("ceil_mode", 0) == 1
            count = (-(-room // strides[i]) if up else room // strides[i]) + 1
            if up and (count - 1) * strides[i] >= size + pads[i]:  # such a window would begin in the padding
                count -= 1
            out.append(count)
    return tuple(out)


def _concat(call: Call) -> List[Typed]:
    shapes = [shape for _, shape in call.inputs]
    axis = axis_of(call.node.integer("axis", 1), len(shapes[0]))
    if any(len(shape) != len(shapes[0]) for shape in shapes):
        raise Unknown()
    total: Dimension = 0
    for shape in shapes:
        total = total_of(total, shape[axis])
    return [(call.inputs[0][0], shapes[0][:axis] + (total,) + shapes[0][axis + 1 :])]


def _arg(call: Call) -> List[Typed]:
    shape = call.inputs[0][1]
    axis = axis_of(call.node.integer("axis", 0), len(shape))
    return [("int64", _reduced(shape, (axis,), call.node.integer("keepdims", 1) == 1))]


def _reduce(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    axes = _axes(call)
    if axes is None:
        keeps = call.node.integer("noop_with_empty_axes", 0) == 1
        axes = () if keeps else tuple(range(len(shape)))
    return [(dtype, _reduced(shape, axes, call.node.integer("keepdims", 1) == 1))]


def _reduced(shape: Shape, axes: Tuple[int, ...], keep: bool) -> Shape:
    positions = {axis_of(axis, len(shape)) for axis in axes}
    kept = [1 if position in positions else size for position, size in enumerate(shape)]
    return tuple(size for position, size in enumerate(kept) if keep or position not in positions)


def _axes(call: Call) -> Optional[Tuple[int, ...]]:
    """Axes, given as an attribute or, in newer operator sets, as an input; ``None`` where there are none."""
    if call.opset >= _AXES_INPUT_SINCE.get(call.node.operator, 18):
        return call.integers(1) or None if call.has(1) else None
    return call.node.integers("axes") or None


def _cast(call: Call) -> List[Typed]:
    to = call.node.integer("to", 0)
    return [(DATA_TYPES.get(to, "type {}".format(to)), call.inputs[0][1])]


def _constant(call: Call) -> List[Typed]:
    value = call.node.attributes.get("value")
    return [(value.dtype, value.shape)] if isinstance(value, Tensor) else []


def _constant_of_shape(call: Call) -> List[Typed]:
    value = call.node.attributes.get("value")
    return [(value.dtype if isinstance(value, Tensor) else "float32", call.integers(0))]


def _shape(call: Call) -> List[Typed]:
    rank = len(call.inputs[0][1])
    start, end = call.node.integer("start", 0), call.node.integer("end", rank)
    return [("int64", (len(range(rank)[start:end]),))]


def _size(call: Call) -> List[Typed]:
    return [("int64", ())]


def _resize(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    axes = [axis_of(axis, len(shape)) for axis in call.node.integers("axes")] or list(range(len(shape)))
    out = list(shape)
    if call.node.operator == "Resize" and call.opset >= 11 and call.has(3):
        if call.node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise Unknown()
        for axis, wanted in zip(axes, call.integers(3)):
            out[axis] = wanted
        return [(dtype, tuple(out))]
    at = 2 if call.node.operator == "Resize" and call.opset >= 11 else 1
    if at in call.constants and call.constants[at].size <= LONGEST:
        scales = [float(scale) for scale in call.constants[at].reshape(-1)]
    else:
        scales = list(_floats(call.node, "scales"))
    if len(scales) != len(axes):
        raise Unknown()
    for axis, scale in zip(axes, scales):
        size = out[axis]
        out[axis] = int(np.floor(size * scale)) if isinstance(size, int) else size if scale == 1 else OPEN
    return [(dtype, tuple(out))]


def _reshape(call: Call) -> List[Typed]:
    (dtype, shape), wanted = call.inputs[0], call.integers(1)
    total = elements(shape)
    out: List[Dimension] = []
    for position, size in enumerate(wanted):
        copied = size == 0 and call.node.integer("allowzero", 0) == 0
        out.append(shape[position] if copied else size)
    if -1 in wanted:
        others = elements(tuple(size for size in out if size != -1))
        open_size = OPEN if total is None or not others else total // others
        out = [open_size if size == -1 else size for size in out]
    return [(dtype, tuple(out))]


def _flatten(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    axis = call.node.integer("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    sides = [elements(shape[:axis]), elements(shape[axis:])]
    return [(dtype, tuple(OPEN if size is None else size for size in sides))]


def _transpose(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    order = call.node.integers("perm") or tuple(reversed(range(len(shape))))
    return [(dtype, tuple(shape[axis] for axis in order))]


def _squeeze(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    axes = _axes(call)
    if axes is None:
        return [(dtype, tuple(size for size in shape if size != 1))]
    return [(dtype, _reduced(shape, axes, False))]


def _unsqueeze(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    axes = _axes(call) or ()
    rank = len(shape) + len(axes)
    positions = {axis_of(axis, rank) for axis in axes}
    if len(positions) != len(axes):
        raise Unknown()
    rest = iter(shape)
    return [(dtype, tuple(1 if position in positions else next(rest) for position in range(rank)))]


def _pad(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    pads = call.integers(1) if call.opset >= 11 else call.node.integers("pads") or call.node.integers("paddings")
    axes = call.integers(3) if call.has(3) else tuple(range(len(shape)))
    out = list(shape)
    for i, axis in enumerate(axes):
        out[axis] = plus(out[axis], pads[i] + pads[len(axes) + i])
    return [(dtype, tuple(out))]


def _matmul(call: Call) -> List[Typed]:
    (dtype, left), (_, right) = call.inputs[:2]
    if len(left) < 2 or len(right) < 2 or not may_equal(left[-1], right[-2]):
        raise Unknown()
    return [(dtype, broadcast([left[:-2], right[:-2]]) + (left[-2], right[-1]))]


def _gemm(call: Call) -> List[Typed]:
    (dtype, left), (_, right) = call.inputs[:2]
    rows = left[1] if call.node.integer("transA", 0) else left[0]
    return [(dtype, (rows, right[0] if call.node.integer("transB", 0) else right[1]))]


def _quantize(call: Call) -> List[Typed]:
    dtype = call.inputs[2][0] if call.has(2) else DATA_TYPES.get(call.node.integer("output_dtype", 2), "uint8")
    return [(dtype, call.inputs[0][1])]


def _dequantize(call: Call) -> List[Typed]:
    return [(call.inputs[1][0], call.inputs[0][1])]


def _slice(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    if call.opset >= 10:
        starts, ends = call.integers(1), call.integers(2)
        axes = call.integers(3) if call.has(3) else tuple(range(len(starts)))
        steps = call.integers(4) if call.has(4) else (1,) * len(starts)
    else:
        starts, ends = call.node.integers("starts"), call.node.integers("ends")
        axes, steps = call.node.integers("axes") or tuple(range(len(starts))), (1,) * len(starts)
    out = list(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps):
        size = out[axis]
        # a huge size in a hostile file is no memory here: a range holds three numbers
        out[axis] = _range_length(size, start, end, step) if isinstance(size, int) else OPEN
    return [(dtype, tuple(out))]


def _range_length(size: int, start: int, end: int, step: int) -> int:
    first, last, stride = slice(start, end, step).indices(size)
    return max(0, -(-(last - first) // stride))


def _split(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    axis, parts = axis_of(call.node.integer("axis", 0), len(shape)), len(call.node.outputs)
    sizes = call.node.integers("split") or (call.integers(1) if call.has(1) else ())
    whole = shape[axis]
    if not sizes:
        if not isinstance(whole, int):
            raise Unknown()
        each = -(-whole // parts)
        sizes = (each,) * (parts - 1) + (whole - each * (parts - 1),)
    return [(dtype, shape[:axis] + (size,) + shape[axis + 1 :]) for size in sizes]


def _depth_to_space(call: Call) -> List[Typed]:
    dtype, (batch, channels, height, width) = call.inputs[0]
    block = call.node.integer("blocksize", 1)
    if not isinstance(channels, int):
        raise Unknown()
    if call.node.operator == "DepthToSpace":
        return [(dtype, (batch, channels // (block * block), times(height, block), times(width, block)))]
    if not isinstance(height, int) or not isinstance(width, int):
        raise Unknown()
    return [(dtype, (batch, channels * block * block, height // block, width // block))]


def _gather(call: Call) -> List[Typed]:
    (dtype, shape), (_, indices) = call.inputs[:2]
    axis = axis_of(call.node.integer("axis", 0), len(shape))
    return [(dtype, shape[:axis] + indices + shape[axis + 1 :])]


def _expand(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    return [(dtype, broadcast([shape, call.integers(1)]))]


def _tile(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    return [(dtype, tuple(times(size, repeat) for size, repeat in zip(shape, call.integers(1))))]


def _topk(call: Call) -> List[Typed]:
    dtype, shape = call.inputs[0]
    axis = axis_of(call.node.integer("axis", -1), len(shape))
    count = call.integers(1)[0] if call.has(1) else call.node.integer("k", 1)
    out = shape[:axis] + (count,) + shape[axis + 1 :]
    return [(dtype, out), ("int64", out)]


def _grid_sample(call: Call) -> List[Typed]:
    (dtype, shape), (_, grid) = call.inputs[:2]
    return [(dtype, shape[:2] + grid[1:-1])]


def _floats(node: Node, name: str) -> Tuple[float, ...]:
    value = node.attributes.get(name)
    if not isinstance(value, tuple) or isinstance(value, Tensor):
        return ()
    return tuple(item for item in value if isinstance(item, float))


RULES: Dict[str, Callable[[Call], List[Typed]]] = {
    "ArgMax": _arg, "ArgMin": _arg, "AveragePool": _pool, "Cast": _cast, "Concat": _concat, "Constant": _constant,
    "ConstantOfShape": _constant_of_shape, "Conv": _conv, "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space, "DequantizeLinear": _dequantize, "Expand": _expand, "Flatten": _flatten,
    "Gather": _gather, "Gemm": _gemm, "GlobalAveragePool": _global_pool, "GlobalLpPool": _global_pool,
    "GlobalMaxPool": _global_pool, "GridSample": _grid_sample, "LpPool": _pool, "MatMul": _matmul, "MaxPool": _pool,
    "Pad": _pad, "QuantizeLinear": _quantize, "Reshape": _reshape, "Resize": _resize, "Shape": _shape, "Size": _size,
    "Slice": _slice, "SpaceToDepth": _depth_to_space, "Split": _split, "Squeeze": _squeeze, "Tile": _tile,
    "TopK": _topk, "Transpose": _transpose, "Unsqueeze": _unsqueeze, "Upsample": _resize,
}  # fmt: skip
RULES.update(dict.fromkeys(_LIKE_THE_FIRST, _like_the_first))
RULES.update(dict.fromkeys(_BROADCAST, _broadcast))
RULES.update(dict.fromkeys(_COMPARISONS, _comparison))
RULES.update(dict.fromkeys(_REDUCTIONS, _reduce))
