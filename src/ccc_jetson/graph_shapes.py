"""Types and shapes of a graph's inner tensors, where the file does not state them: a small inference without ``onnx``.

It knows the operators of convolutional networks (``shape_rules.py``). What it does not know, or what depends on values
that are no constants, has no entry in the result, and neither has what follows from it: unknown is never guessed. A
size that depends on an open one (a batch "N") is "?".
"""

from typing import Dict, List

import numpy as np

from ccc_jetson.onnx_file import Dimension, Node, OnnxFile, Tensor
from ccc_jetson.shape_rules import RULES
from ccc_jetson.shape_terms import OPEN, Call, Typed, Unknown

_HIGHEST_RANK = 64  # in files that mean well


def infer_shapes(onnx_file: OnnxFile, arrays: Dict[str, np.ndarray]) -> Dict[str, Tensor]:
    """All tensors whose type and shape are known, by name: stated ones as the file states them, others inferred.

    Args:
        onnx_file: the file, read.
        arrays: its constants (``onnx_arrays.constant_arrays``); only small ones are looked into.
    """
    known = {name: Tensor(name, array.dtype.name, array.shape) for name, array in arrays.items()}
    # an input or output without sizes is more often one whose shape is not stated than a single number
    ends = tuple(tensor for tensor in onnx_file.inputs + onnx_file.outputs if tensor.shape)
    for tensor in onnx_file.initializers + onnx_file.value_info + ends:
        if not tensor.dtype.startswith("type ") and len(tensor.shape) <= _HIGHEST_RANK:
            known[tensor.name] = tensor._replace(shape=tuple(_opened(size) for size in tensor.shape))
    for node in onnx_file.nodes:
        if all(name in known for name in node.outputs if name):
            continue
        for name, (dtype, shape) in zip(node.outputs, _outputs(node, known, arrays, onnx_file.opset)):
            if name and name not in known and len(shape) <= _HIGHEST_RANK:
                known[name] = Tensor(name, dtype, tuple(_opened(size) for size in shape))
    return known


def _opened(size: Dimension) -> Dimension:
    """Some writers put -1 for an open size."""
    return OPEN if isinstance(size, int) and size < 0 else size


def _outputs(node: Node, known: Dict[str, Tensor], arrays: Dict[str, np.ndarray], opset: int) -> List[Typed]:
    rule = RULES.get(node.operator)
    if rule is None or node.domain not in ("", "ai.onnx"):
        return []
    given = [name for name in node.inputs if name]
    if any(name not in known for name in given):
        return []
    call = Call(
        node,
        [(known[name].dtype, known[name].shape) if name else ("", ()) for name in node.inputs],
        {position: arrays[name] for position, name in enumerate(node.inputs) if name in arrays},
        opset,
    )
    try:
        return rule(call)
    except (Unknown, ValueError, IndexError, ArithmeticError):  # a graph that contradicts itself has no shapes
        return []
