"""Which layers lose most in INT8, and how few of them kept in floats hold a bound.

A layer's own error is cheap: one FP32 pass in which every layer is computed a second time from quantised inputs and
weights. It is no measure of what the layer does to the classes, so a bound is held by what is measured of whole blocks.
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
    roughly: Callable[[Sequence[str]], float],
    drop_with: Callable[[Sequence[str]], float],
) -> Held:
    """Keeps so many layers in floats that ``drop_with`` is at or below ``bound``, and as few as it finds.

    Starts from floats, where what a layer loses is not drowned in what the others do: every one of ``BLOCKS`` blocks of
    neighbours is put in INT8 alone. Then as many blocks as hold the bound together, those that lose least first, by
    halving; then what is left is tried on top of them, first whole blocks, then their halves and so on. A set that is
    kept was measured. With all layers in floats it is the float network itself, so there always is one.

    At most ``BLOCKS`` measurements by ``roughly`` and 5 + ``TRIES`` by ``drop_with``, however many layers there are.

    Args:
        layers: their nodes, in the order of the graph.
        bound: in points.
        roughly: the loss in points with these nodes in floats, on few frames; it only orders the blocks.
        drop_with: the same on all of them.
    """
    size = -(-len(layers) // BLOCKS)
    whole = [list(layers[start : start + size]) for start in range(0, len(layers), size)]
    ranked = sorted(((roughly(_nodes(layers, without=block)), block) for block in whole), key=lambda each: each[0])
    blocks = tuple(Block(tuple(name for layer in block for name in layer), points) for points, block in ranked)
    chosen: list[tuple[str, ...]] = []
    holds, fails = 0, len(ranked)
    while fails - holds > 1:
        middle = (holds + fails) // 2
        tried = [layer for _, block in ranked[:middle] for layer in block]
        if drop_with(_nodes(layers, without=tried)) <= bound:
            holds, chosen = middle, tried
        else:
            fails = middle
    waiting = deque(block for _, block in ranked[holds:])
    for _ in range(TRIES):
        if not waiting:
            break
        block = waiting.popleft()
        if drop_with(_nodes(layers, without=chosen + block)) <= bound:
            chosen = chosen + block
        elif len(block) > 1:
            waiting += [block[: len(block) // 2], block[len(block) // 2 :]]
    return Held(blocks, _nodes(layers, without=chosen))


def _nodes(layers: Sequence[tuple[str, ...]], without: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    left_out = set(without)
    return tuple(name for layer in layers if layer not in left_out for name in layer)
