"""The last upsampling of a graph, which an engine leaves to a kernel (``docs/contract.md``, The head)."""

import numpy as np
import onnx_ir as ir

from ccc_jetson.contract import BILINEAR, HEAD_SCALES, TRANSPOSED_CONV, Head
from ccc_jetson.export.passes.graph import Convolution, convolution, operator, tensor_named
from ccc_jetson.export.passes.upsampling import interpolation_scale
from ccc_jetson.head import HeadWeights

FEATURES = "head_features"
_ALIGNED, _CENTRES = "align_corners", ("half_pixel", "pytorch_half_pixel")


def find_head(model: ir.Model, logits: str) -> tuple[Head, HeadWeights | None] | None:
    """What makes the tensor ``logits``, with its weights where it has any; none where it is no head.

    It may be a 2x2 stride-2 transposed convolution, a bilinear interpolation, or the fixed transposed convolution that
    gives the same classes as one. Its input gets the name that the contract relies on.
    """
    producer = tensor_named(model.graph, logits).producer()
    if producer is None or not producer.inputs or producer.inputs[0] is None:
        return None
    part = convolution(producer)
    found = _interpolation(producer) if part is None else _transposed_convolution(part)
    if found is not None:
        producer.inputs[0].name = FEATURES
    return found


def _transposed_convolution(part: Convolution) -> tuple[Head, HeadWeights | None] | None:
    scale = interpolation_scale(part)
    if scale is not None:
        return _bilinear(part.inputs, scale, align_corners=False)
    if not part.makes_squares:
        return None
    weights = HeadWeights(part.stored().astype(np.float32), part.bias.astype(np.float32))
    return Head(TRANSPOSED_CONV, FEATURES, part.inputs, part.outputs, scale=2, align_corners=False), weights


def _interpolation(node: ir.Node) -> tuple[Head, HeadWeights | None] | None:
    if operator(node) != "Resize" or _text(node, "mode", "nearest") != "linear":
        return None
    coordinates = _text(node, "coordinate_transformation_mode", "half_pixel")
    given, result = node.inputs[0], node.outputs[0]
    if coordinates not in (_ALIGNED, *_CENTRES) or given is None or given.shape is None or result.shape is None:
        return None
    before = [side for side in given.shape if isinstance(side, int)]
    after = [side for side in result.shape if isinstance(side, int)]
    if len(before) != 4 or len(after) != 4 or before[:2] != after[:2]:
        return None
    scale = after[2] // before[2]
    if after[2:] != [scale * side for side in before[2:]]:
        return None
    return _bilinear(before[1], scale, coordinates == _ALIGNED)


def _bilinear(channels: int, scale: int, align_corners: bool) -> tuple[Head, HeadWeights | None] | None:
    smallest, largest = HEAD_SCALES
    if not smallest <= scale <= largest:
        return None
    return Head(BILINEAR, FEATURES, channels, channels, scale, align_corners), None


def _text(node: ir.Node, name: str, default: str) -> str:
    return node.attributes[name].as_string() if name in node.attributes else default
