"""What a graph costs: parameters, FLOPs as the paper counts them, multiply-adds, and the bytes that its nodes move.

FLOPs follow the paper's Table 5: convolutions 2 per multiply-add (a transposed one multiplies each INPUT value with
each tap) plus their bias, BatchNorm 2 per value, ReLU and PReLU 1, average pooling 1 per value that goes in, linear
layers 2 per multiply-add, bilinear resizing 13 per value that goes in; additions, concatenations, max-pooling, softmax
and argmax nothing. On a graph whose BatchNorms are folded that is less than on the network it came from.

Bytes are what a runtime moves that fuses nothing: inputs, outputs and weights of every node, each at its own type's
size; Reshape and its like move nothing. An engine fuses, so this is an upper bound.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.graph_shapes import infer_shapes
from ccc_jetson.onnx_file import Node, OnnxFile, Tensor
from ccc_jetson.shape_terms import elements
from ccc_jetson.weight_ranges import largest_magnitude

_BITS = {
    "bool": 8, "complex128": 128, "complex64": 64, "float4e2m1": 4, "float8e8m0": 8, "int4": 4, "uint4": 4,
    "bfloat16": 16, "float16": 16, "float32": 32, "float64": 64, "int16": 16, "int32": 32, "int64": 64, "int8": 8,
    "uint16": 16, "uint32": 32, "uint64": 64, "uint8": 8,
}  # fmt: skip
_ACTIVATIONS = ("LeakyRelu", "PRelu", "Relu")
_MOVE_NOTHING = ("Constant", "Flatten", "Identity", "Reshape", "Shape", "Size", "Squeeze", "Unsqueeze")
# They compute, and Table 5 says nothing of them; so does every operator of another domain
_WITHOUT_RULE = (
    "Attention", "ConvInteger", "DeformConv", "Einsum", "GRU", "If", "LSTM", "Loop", "MatMulInteger", "QLinearConv",
    "QLinearMatMul", "RNN", "Scan",
)  # fmt: skip
# From this input on, an operator's constants are no weights: settings, scales, running statistics
_NO_PARAMETERS_FROM = {
    "BatchNormalization": 3, "Clip": 1, "DequantizeLinear": 1, "Dropout": 1, "Expand": 1, "OneHot": 1, "Pad": 1,
    "QuantizeLinear": 1, "Range": 0, "Resize": 1, "Tile": 1, "TopK": 1, "Upsample": 1,
}  # fmt: skip
_PARAMETER_TYPES = ("bfloat16", "float16", "float32", "float64", "int4", "int8", "uint8")


class OperatorCost(NamedTuple):
    """All nodes of one operator; ``None`` where a shape is unknown or there is no rule for it."""

    operator: str
    nodes: int
    flops: Optional[int]
    macs: Optional[int]
    bytes_moved: Optional[int]


class GraphCost(NamedTuple):
    """A whole graph. ``flops``, ``macs`` (of convolutions) and ``bytes_moved`` are ``None`` where a node's are.

    ``parameters`` counts the values of weights, without BatchNorm's running statistics; ``largest_weight`` is the
    largest magnitude among the weights at hand, ``None`` where there are none.
    """

    nodes: int
    parameters: int
    flops: Optional[int]
    macs: Optional[int]
    bytes_moved: Optional[int]
    largest_weight: Optional[float]
    by_operator: Tuple[OperatorCost, ...]  # the most FLOPs first


class _NodeCost(NamedTuple):
    flops: Optional[int]
    macs: Optional[int]
    bytes_moved: Optional[int]


def graph_cost(onnx_file: OnnxFile, arrays: Dict[str, np.ndarray]) -> GraphCost:
    """Counts one run of a graph: the nodes that its outputs need.

    Args:
        onnx_file: the file, read.
        arrays: its constants by name (``onnx_arrays.constant_arrays``), for shapes that depend on them and for
            ``largest_weight``.
    """
    tensors = infer_shapes(onnx_file, arrays)
    by_operator: Dict[str, List[_NodeCost]] = {}
    nodes = _needed(onnx_file)
    for node in nodes:
        by_operator.setdefault(_title(node), []).append(_node_cost(node, tensors))
    rows = [
        OperatorCost(
            operator,
            len(costs),
            _total([cost.flops for cost in costs]),
            _total([cost.macs for cost in costs]),
            _total([cost.bytes_moved for cost in costs]),
        )
        for operator, costs in by_operator.items()
    ]
    rows.sort(key=lambda row: (-(row.flops or 0), -(row.bytes_moved or 0), row.operator))
    weights = parameter_tensors(onnx_file, tensors)
    largest = [largest_magnitude(arrays[tensor.name]) for tensor in weights if tensor.name in arrays]
    return GraphCost(
        nodes=len(nodes),
        parameters=sum(elements(tensor.shape) or 0 for tensor in weights),
        flops=_total([row.flops for row in rows]),
        macs=_total([row.macs for row in rows]),
        bytes_moved=_total([row.bytes_moved for row in rows]),
        largest_weight=max(largest) if largest else None,
        by_operator=tuple(rows),
    )


def parameter_tensors(onnx_file: OnnxFile, tensors: Dict[str, Tensor]) -> Tuple[Tensor, ...]:
    """The weights of a graph, each once: constants of a number type that a node computes with."""
    constants = {tensor.name for tensor in onnx_file.initializers}
    constants.update(node.outputs[0] for node in onnx_file.nodes if node.operator == "Constant" and node.outputs)
    found: Dict[str, Tensor] = {}
    for node in onnx_file.nodes:
        for name in node.inputs[: _NO_PARAMETERS_FROM.get(node.operator)]:
            if name in constants and name in tensors and tensors[name].dtype in _PARAMETER_TYPES:
                found[name] = tensors[name]
    return tuple(found.values())


def _needed(onnx_file: OnnxFile) -> List[Node]:
    """The nodes that an output depends on: logits beside a class map, say, are there for those who ask. All of them
    where branches or loops, whose inside is not looked into, may read what they write."""
    if onnx_file.inner_nodes or not onnx_file.outputs:
        return list(onnx_file.nodes)
    wanted = {tensor.name for tensor in onnx_file.outputs}
    found = []
    for node in reversed(onnx_file.nodes):  # a node stands behind all that it reads
        if wanted.intersection(node.outputs):
            wanted.update(name for name in node.inputs if name)
            found.append(node)
    return found[::-1]


def _title(node: Node) -> str:
    return "{}.{}".format(node.domain, node.operator) if node.domain not in ("", "ai.onnx") else node.operator


def _total(values: List[Optional[int]]) -> Optional[int]:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _node_cost(node: Node, tensors: Dict[str, Tensor]) -> _NodeCost:
    moved = _bytes_moved(node, tensors)
    if node.operator in _WITHOUT_RULE or node.domain not in ("", "ai.onnx"):
        return _NodeCost(None, None, moved)
    multiply_adds = _multiply_adds(node, tensors)
    is_convolution = node.operator in ("Conv", "ConvTranspose")
    return _NodeCost(_flops(node, tensors, multiply_adds), multiply_adds if is_convolution else 0, moved)


def _multiply_adds(node: Node, tensors: Dict[str, Tensor]) -> Optional[int]:
    """Of a convolution or a linear layer; 0 for other operators."""
    if node.operator not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    given, result = _elements(node.inputs[:1], tensors), _elements(node.outputs[:1], tensors)
    weight = tensors.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if given is None or result is None or weight is None or len(weight.shape) < 2:
        return None
    if node.operator == "Gemm":
        depth = weight.shape[1] if node.integer("transB", 0) else weight.shape[0]
        return result * depth if isinstance(depth, int) else None
    if node.operator == "MatMul":
        depth = weight.shape[-2]
        return result * depth if isinstance(depth, int) else None
    # (Co, Ci / groups, K...): every output value; transposed (Ci, Co / groups, K...): every input value
    taps = elements(weight.shape[1:])
    values = result if node.operator == "Conv" else given
    return None if taps is None else values * taps


def _flops(node: Node, tensors: Dict[str, Tensor], multiply_adds: Optional[int]) -> Optional[int]:
    if multiply_adds is None:
        return None
    if node.operator in ("Conv", "ConvTranspose") and len(node.inputs) > 2 and node.inputs[2]:
        result = _elements(node.outputs[:1], tensors)
        return None if result is None else 2 * multiply_adds + result
    if node.operator == "BatchNormalization":
        result = _elements(node.outputs[:1], tensors)
        return None if result is None else 2 * result
    if node.operator in _ACTIVATIONS:
        return _elements(node.outputs[:1], tensors)
    if node.operator in ("AveragePool", "GlobalAveragePool"):
        return _elements(node.inputs[:1], tensors)
    if node.operator in ("Resize", "Upsample") and node.text("mode", "nearest") != "nearest":
        given = _elements(node.inputs[:1], tensors)
        return None if given is None or node.text("mode", "nearest") == "cubic" else 13 * given
    return 2 * multiply_adds


def _elements(names: Tuple[str, ...], tensors: Dict[str, Tensor]) -> Optional[int]:
    return _total([elements(tensors[name].shape) if name in tensors else None for name in names])


def _bytes_moved(node: Node, tensors: Dict[str, Tensor]) -> Optional[int]:
    if node.operator in _MOVE_NOTHING:
        return 0
    sizes: List[Optional[int]] = []
    for name in node.inputs + node.outputs:
        if name:
            tensor = tensors.get(name)
            count = elements(tensor.shape) if tensor is not None else None
            bits = _BITS.get(tensor.dtype, 8 if tensor.dtype.startswith("float8") else 0) if tensor is not None else 0
            sizes.append(None if count is None or not bits else (count * bits + 7) // 8)
    return _total(sizes)
