"""Nodes that TensorRT's parser refuses although it knows their operators: what each version asks of them.

The sources are those of ``parser_facts.py``.
"""

from typing import Callable, Dict, FrozenSet, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.engines.parser_facts import CURES, EVALUATE, FOLD, Version
from ccc_jetson.onnx_file import Node, OnnxFile, Tensor


class Graph(NamedTuple):
    """A file with what is known of its tensors."""

    file: OnnxFile
    tensors: Dict[str, Tensor]
    constants: FrozenSet[str]
    arrays: Dict[str, np.ndarray]

    def input_is_computed(self, node: Node, position: int) -> bool:
        """Whether an input is given and is no constant."""
        name = node.inputs[position] if position < len(node.inputs) else ""
        return name != "" and name not in self.constants

    def dtype(self, node: Node, position: int) -> str:
        """The type of an input; empty where it is unknown."""
        tensor = self.tensors.get(node.inputs[position]) if position < len(node.inputs) else None
        return "" if tensor is None else tensor.dtype


class Limit(NamedTuple):
    """What a node of these operators must not be; ``before`` is the first version without the limit."""

    operators: Tuple[str, ...]
    before: Optional[Version]
    is_broken: Callable[[Node, Graph], bool]
    sentence: str
    cure: str


def _is_dilated(node: Node, graph: Graph) -> bool:
    return any(dilation != 1 for dilation in node.integers("dilations"))


def _has_more_outputs(node: Node, graph: Graph) -> bool:
    return any(node.outputs[1:])


def _is_training(node: Node, graph: Graph) -> bool:
    return node.integer("training_mode", 0) == 1 or any(node.outputs[1:])


def _is_cubic(node: Node, graph: Graph) -> bool:
    return node.text("mode", "nearest") == "cubic"


def _has_foreign_coordinates(node: Node, graph: Graph) -> bool:
    return node.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"


def _is_antialiased(node: Node, graph: Graph) -> bool:
    return node.integer("antialias", 0) != 0 or node.text("keep_aspect_ratio_policy", "stretch") != "stretch"


def _is_of_integers(node: Node, graph: Graph) -> bool:
    return graph.dtype(node, 0) in ("bool", "int32", "int64", "int8", "uint8")


def _has_computed_scales(node: Node, graph: Graph) -> bool:
    return graph.input_is_computed(node, 2 if graph.file.opset >= 11 else 1)


def _has_computed_weights(node: Node, graph: Graph) -> bool:
    """Weights behind a DequantizeLinear are weights still."""
    quantized = {name for other in graph.file.nodes if other.operator == "DequantizeLinear" for name in other.outputs}
    return graph.input_is_computed(node, 1) and node.inputs[1] not in quantized


def _has_computed(*positions: int) -> Callable[[Node, Graph], bool]:
    return lambda node, graph: any(graph.input_is_computed(node, position) for position in positions)


def _has_two_inputs(node: Node, graph: Graph) -> bool:
    return len([name for name in node.inputs if name]) < 3


def _has_a_zero_point(node: Node, graph: Graph) -> bool:
    name = node.inputs[2] if len(node.inputs) > 2 else ""
    return name in graph.arrays and bool(graph.arrays[name].any())


def _pads_by_values(node: Node, graph: Graph) -> bool:
    return node.text("mode", "constant") != "constant"


def _pads_more_than_the_image(node: Node, graph: Graph) -> bool:
    name = node.inputs[1] if len(node.inputs) > 1 else ""
    pads = graph.arrays[name].reshape(-1) if name in graph.arrays else np.array(node.integers("pads"), np.int64)
    rank = len(pads) // 2
    return any(pads[axis] or pads[rank + axis] for axis in range(rank - 2))


def _wraps(node: Node, graph: Graph) -> bool:
    return node.text("mode", "constant") == "wrap"


def _has_an_ellipsis(node: Node, graph: Graph) -> bool:
    return "..." in node.text("equation", "")


def _is_not_4d(node: Node, graph: Graph) -> bool:
    tensor = graph.tensors.get(node.inputs[0]) if node.inputs else None
    return tensor is not None and len(tensor.shape) != 4


LIMITS = (
    Limit(
        ("BatchNormalization",),
        None,
        _is_training,
        "is in training mode; TensorRT normalises with the stored statistics only",
        EVALUATE,
    ),
    Limit(("MaxPool",), None, _has_more_outputs, "gives indices as well, which are not imported", CURES["MaxUnpool"]),
    Limit(
        ("LayerNormalization",), None, _has_more_outputs, "gives statistics as well, which are not imported", EVALUATE
    ),
    Limit(
        ("AveragePool", "LpPool", "MaxPool"),
        None,
        _is_dilated,
        "has dilations other than 1",
        "pool without dilation",
    ),
    Limit(("Resize",), (8, 5), _is_cubic, "is cubic; nearest and linear are imported", "resize with mode='bilinear'"),
    Limit(("Upsample",), None, _is_cubic, "is cubic; nearest and linear are imported", "resize with mode='bilinear'"),
    Limit(
        ("Resize",),
        None,
        _has_foreign_coordinates,
        "uses tf_crop_and_resize coordinates, which are not imported",
        "resize with half_pixel or align_corners",
    ),
    Limit(
        ("Resize",),
        None,
        _is_antialiased,
        "asks for antialiasing or a fixed aspect ratio, which are not imported",
        "resize without",
    ),
    Limit(("Resize",), None, _is_of_integers, "gets integers; it is imported for floats", "cast to FLOAT32 before it"),
    Limit(("Resize",), (8, 4), _has_computed_scales, "has scales that are computed; they must be constant here", FOLD),
    Limit(
        ("ArgMax", "ArgMin", "TopK"),
        (8, 6),
        _is_of_integers,
        "gets integers; it is imported for floats",
        "cast to FLOAT32 before it",
    ),
    Limit(("Pad",), (8, 2), _pads_by_values, "pads by reflection or repetition; zeros are imported", "pad with zeros"),
    Limit(
        ("Pad",),
        (8, 2),
        _pads_more_than_the_image,
        "pads more than the last two dimensions",
        "pad height and width only",
    ),
    Limit(("Pad",), (10, 0), _wraps, "pads by wrapping around", "pad with zeros"),
    Limit(("Conv", "ConvTranspose"), (8, 5), _has_computed_weights, "has weights that are computed", FOLD),
    Limit(("Conv", "ConvTranspose"), (8, 5), _has_computed(2), "has a bias that is computed", FOLD),
    Limit(("Clip",), (8, 2), _has_computed(1, 2), "has limits that are computed; they must be constant here", FOLD),
    Limit(("CumSum",), (10, 8), _has_computed(1), "has an axis that is computed", FOLD),
    Limit(("Slice",), (10, 3), _has_computed(3), "has axes that are computed", FOLD),
    Limit(("Squeeze", "Unsqueeze"), (10, 7), _has_computed(1), "has axes that are computed", FOLD),
    Limit(("InstanceNormalization",), (9, 0), _has_computed(1, 2), "has weights that are computed", FOLD),
    Limit(("TopK",), (8, 6), _has_computed(1), "has a K that is computed", FOLD),
    Limit(
        ("DequantizeLinear", "QuantizeLinear"),
        (10, 0),
        _has_two_inputs,
        "has no zero point, which the parser asks for",
        "quantise again with explicit zero points of 0",
    ),
    Limit(
        ("DequantizeLinear", "QuantizeLinear"),
        None,
        _has_a_zero_point,
        "has a zero point other than 0: TensorRT quantises symmetrically",
        "quantise again, symmetrically and with INT8",
    ),
    Limit(("Einsum",), (10, 12), _has_an_ellipsis, "has an ellipsis in its equation", "name every axis"),
    Limit(("GridSample",), (11, 2), _is_not_4d, "samples volumes; images (4 dimensions) are imported", "sample images"),
)
