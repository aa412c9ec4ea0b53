"""Which layers lose most in INT8, and how few of them kept in floats hold a bound.

A layer's own error is cheap: one FP32 pass in which every layer is computed a second time from quantised inputs and
weights. That says little about what the layer does to the classes, so what blocks of layers lose is measured, too.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper

from ccc_jetson.calib.qdq import Layer, quantised_beside
from ccc_jetson.ort import cpu_session

BLOCKS = 32  # of neighbouring layers, each measured alone
TRIES = 24  # to put one more block, or a part of one, in INT8


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


class Block(NamedTuple):
    """Neighbouring layers, and what is lost in points with them alone in INT8."""

    nodes: tuple[str, ...]
    points: float


class Held(NamedTuple):
    """How a bound was held: the blocks, the one that loses least first, and the nodes that are kept in floats."""

    blocks: tuple[Block, ...]
    kept: tuple[str, ...]


def hold(
    layers: Sequence[tuple[str, ...]],
    bound: float,
    errors: Sequence[LayerError],
    roughly: Callable[[Sequence[str]], float],
    drop_with: Callable[[Sequence[str]], float],
) -> Held:
    """Keeps so many layers in floats that ``drop_with`` is at or below ``bound``, and as few as it finds.

    Two orders are tried, for either fails where the other does not. From floats, where what a layer loses is not
    drowned in what the others do: every one of ``BLOCKS`` blocks of neighbours is put in INT8 alone, and as many as
    hold the bound together, those that lose least first. From INT8: as few as hold it of those whose own error is
    largest go back to floats. What the better one keeps in floats is then tried in INT8 again, first in blocks, then in
    their halves and so on. A set that is kept was measured. With all layers in floats it is the float network itself,
    so there always is one.

    At most ``BLOCKS`` measurements by ``roughly``, and by ``drop_with`` 5 for the blocks, 2 log2(layers) for the errors
    and ``TRIES``.

    Args:
        layers: their nodes, in the order of the graph.
        bound: in points.
        errors: of their nodes, the largest first; a layer without any is the last.
        roughly: the loss in points with these nodes in floats, on few frames; it only orders the blocks.
        drop_with: the same on all of them.
    """
    ranked = sorted(((roughly(_nodes(layers, without=part)), part) for part in _parts(layers, BLOCKS)), key=_points)
    blocks = tuple(Block(tuple(name for layer in part for name in layer), points) for points, part in ranked)
    chosen: list[tuple[str, ...]] = []
    holds, fails = 0, len(ranked)
    while fails - holds > 1:
        middle = (holds + fails) // 2
        tried = [layer for _, part in ranked[:middle] for layer in part]
        if drop_with(_nodes(layers, without=tried)) <= bound:
            holds, chosen = middle, tried
        else:
            fails = middle
    waiting = deque(part for _, part in ranked[holds:])
    place = {each.node: index for index, each in enumerate(errors)}
    by_error = sorted(layers, key=lambda layer: min(place.get(name, len(errors)) for name in layer))
    few = _fewest(by_error, len(layers) - len(chosen), lambda int8: drop_with(_nodes(layers, without=int8)) <= bound)
    if few is not None:
        chosen = by_error[few:]
        waiting = deque(_parts(by_error[:few][::-1], BLOCKS // 4))
    for _ in range(TRIES):
        if not waiting:
            break
        part = waiting.popleft()
        if drop_with(_nodes(layers, without=chosen + part)) <= bound:
            chosen = chosen + part
        elif len(part) > 1:
            waiting += _parts(part, 2)
    return Held(blocks, _nodes(layers, without=chosen))


def _fewest(
    order: list[tuple[str, ...]], most: int, holds_in_int8: Callable[[list[tuple[str, ...]]], bool]
) -> int | None:
    """How few of the first in ``order`` are to be in floats; None where ``most`` or more are. Doubles, then halves."""
    fails, holds = 0, 1
    while holds < most and not holds_in_int8(order[holds:]):
        fails, holds = holds, 2 * holds
    if holds >= most:
        return None
    while holds - fails > 1:
        middle = (holds + fails) // 2
        if holds_in_int8(order[middle:]):
            holds = middle
        else:
            fails = middle
    return holds


def _parts(layers: Sequence[tuple[str, ...]], count: int) -> list[list[tuple[str, ...]]]:
    """At most ``count`` pieces of the same size, but for the last."""
    size = max(1, -(-len(layers) // count))
    return [list(layers[start : start + size]) for start in range(0, len(layers), size)]


def _points(ranked: tuple[float, list[tuple[str, ...]]]) -> float:
    return ranked[0]


def _nodes(layers: Sequence[tuple[str, ...]], without: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    left_out = set(without)
    return tuple(name for layer in layers if layer not in left_out for name in layer)
