"""Which layers lose most in INT8, and how few of them kept in floats hold a bound.

Cheap first: one FP32 pass in which every layer is computed a second time from quantised inputs and weights, so that
each layer's own error is seen. Then the worst few are left in floats one at a time, and what that gives back is
measured.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper

from ccc_jetson.calib.qdq import Layer, quantised_beside
from ccc_jetson.ort import cpu_session


class LayerError(NamedTuple):
    """A layer's own error: the root mean square of what INT8 changes in its output, relative to the output's."""

    node: str
    error: float

    @property
    def sqnr_db(self) -> float:
        """The same as a ratio of signal to noise, in decibels."""
        return float(-20 * np.log10(max(self.error, 1e-9)))


def layer_errors(
    model: onnx.ModelProto,
    ranges: dict[str, float],
    layers: Sequence[Layer],
    images: Iterable[np.ndarray],
    threads: int = 0,
    on_image: Callable[[], None] = lambda: None,
) -> list[LayerError]:
    """Every layer's own error over ``images``, the largest first.

    A frame takes about twice a Q/DQ model's run. Outputs go from the last layer to the first: ONNX Runtime plans from
    its last output on, and so frees a layer's tensors before it comes to the next.

    Args:
        model, ranges, layers: as ``qdq.quantised`` takes them.
        images: (N, 3, H, W) float32, as the network takes them.
    """
    probe, pairs = quantised_beside(model, ranges, layers)
    graph = probe.graph
    del graph.output[:]
    for index, (exact, rounded) in reversed(list(enumerate(pairs))):
        found = [f"layer size {index}", f"layer error {index}"]
        graph.node.extend(
            [
                helper.make_node("Sub", [exact, rounded], [f"layer difference {index}"]),
                helper.make_node("ReduceSumSquare", [exact], found[:1], keepdims=0),
                helper.make_node("ReduceSumSquare", [f"layer difference {index}"], found[1:], keepdims=0),
            ]
        )
        graph.output.extend(helper.make_tensor_value_info(each, TensorProto.FLOAT, []) for each in found)
    session = cpu_session(probe.SerializeToString(), "every layer beside its INT8 self", threads, as_written=True)
    given = session.get_inputs()[0].name
    sums = np.zeros((len(pairs), 2))
    for image in images:
        sums += np.array(session.run(None, {given: image}), np.float64).reshape(len(pairs), 2)[::-1]
        on_image()
    errors = np.sqrt(sums[:, 1] / np.maximum(sums[:, 0], 1e-30))
    found_errors = [LayerError(layer.node, float(error)) for layer, error in zip(layers, errors, strict=True)]
    return sorted(found_errors, key=lambda each: -each.error)


class Gain(NamedTuple):
    """What leaving one layer in floats gives back, in points of agreement."""

    node: str
    points: float


def gains(nodes: Sequence[str], drop_with: Callable[[Sequence[str]], float]) -> list[Gain]:
    """Leaves each node alone in floats; the largest gain first.

    Args:
        drop_with: the loss, in points, with these nodes in floats; called once more than there are nodes.
    """
    before = drop_with([])
    return sorted((Gain(node, before - drop_with([node])) for node in nodes), key=lambda each: -each.points)


def fewest_kept(order: Sequence[str], bound: float, drop_with: Callable[[Sequence[str]], float]) -> tuple[str, ...]:
    """The shortest beginning of ``order`` which, kept in floats, holds ``drop_with`` at or below ``bound``.

    Doubles the number until it holds, then halves the gap: about 2 log2(layers) measurements. With all layers in floats
    it is FP32 itself, so it always ends. Where more layers in floats make it worse for once, it may not be the very
    shortest; it was measured and holds.
    """
    fails, holds = -1, 0
    while drop_with(order[:holds]) > bound:
        if holds >= len(order):
            break
        fails, holds = holds, min(len(order), max(1, 2 * holds))
    while holds - fails > 1:
        middle = (holds + fails) // 2
        if drop_with(order[:middle]) > bound:
            fails = middle
        else:
            holds = middle
    return tuple(order[:holds])
