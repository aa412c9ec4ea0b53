"""Which layers to keep in FP32 when an engine in half precision or INT8 fails the gate.

FP16's rounding errors are spread over such a network: keeping a stage in FP32 changes a frame by less than a point.
Pinning is for overflow and gross failure, so the candidates are few and in the order of what export measured of every
activation. In INT8 single layers lose much: what calibration measured of them comes before that.
"""

from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from ccc_jetson.int8_errors import Int8Error
from ccc_jetson.layer_ranges import LayerRange
from ccc_jetson.onnx_file import OnnxFile

_LARGEST_HALF = 65504.0
_HEADROOM = 4.0  # a frame that export has not seen may be so much larger
_STEPS = (4, 16, 64, 256)  # layers pinned beside those; the first is left out where there are any


def tensors_behind(onnx_file: OnnxFile, output: str) -> Set[str]:
    """All tensors that ``output`` is computed from, itself included: what else there is does not enter the engine."""
    makers = {name: node for node in onnx_file.nodes for name in node.outputs}
    found: Set[str] = set()
    waiting: List[str] = [output]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += makers[name].inputs if name in makers else ()
    return found


def errors_by_tensor(onnx_file: OnnxFile, errors: Sequence[Int8Error], live: Set[str]) -> Dict[str, float]:
    """By the tensor that a layer gives, what INT8 costs it; of layers in the file whose tensor is in ``live``."""
    tensors = {node.name: node.outputs[0] for node in onnx_file.nodes if node.outputs}
    known = ((tensors.get(each.layer), each.error) for each in errors)
    return {tensor: error for tensor, error in known if tensor is not None and tensor in live}


def pin_sets(
    layers: Sequence[LayerRange],
    finite: bool,
    int8_errors: Optional[Mapping[str, float]] = None,
) -> Iterator[Tuple[str, ...]]:
    """Tensors whose layers are kept in FP32, a larger set each time; at most four of them.

    First those that overflow or come near it; beside them more and more of the others, up to nearly all: a slower
    engine that is right is worth more than none.

    Args:
        layers: what export measured.
        finite: the engine that failed gave finite values. If it did not, a sum has overflowed on the device that did
            not at export, where sums are FP32: the largest activations are suspected then, else the largest errors.
        int8_errors: by tensor, what INT8 costs single layers; of finite values they come before the others.
    """
    overflowing = [each for each in layers if each.half_error == float("inf")]
    overflowing += [each for each in layers if each not in overflowing and each.largest > _LARGEST_HALF / _HEADROOM]
    known = int8_errors or {}
    first = [each.tensor for each in overflowing]
    worst = sorted(known, key=lambda tensor: (-known[tensor], tensor)) if finite else []
    rest = sorted(layers, key=lambda each: -(each.half_error if finite else each.largest))
    order = list(dict.fromkeys(first + worst + [each.tensor for each in rest]))
    sizes = [len(first)] if first else []
    sizes += [len(first) + count for count in _STEPS[len(sizes) :]]
    given = 0
    for size in sizes:
        chosen = order[:size]
        if len(chosen) > given:
            given = len(chosen)
            yield tuple(chosen)
