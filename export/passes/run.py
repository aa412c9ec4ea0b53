"""Runs the passes over a graph, one by one; each must prove itself on real frames, or it is not applied."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ccc_jetson.export.passes.order import Pass
from ccc_jetson.export.passes.subject import Subject
from ccc_jetson.export.verify import MAX_RELATIVE_ERROR, MIN_AGREEMENT, ROUNDED_PIXELS
from ccc_jetson.graph_cost import GraphCost

_PROBES = 2  # frames that every pass is judged on


class Record(NamedTuple):
    """What became of a pass.

    ``did`` says what it changed, nothing where it found nothing to do; ``refused`` why the change was taken back;
    ``error`` is the largest one of the logits against the original graph, relative to the largest logit, and ``cost``
    the graph's, both after it.
    """

    name: str
    did: str
    refused: str
    error: float
    cost: GraphCost


def run_passes(
    subject: Subject, passes: Sequence[Pass], on_record: Callable[[Record], None] = lambda record: None
) -> tuple[Subject, tuple[Record, ...]]:
    """Applies the passes in order.

    Args:
        subject: is not changed.

    Returns:
        the graph after them, and a record of each. A pass that changes something costs two runs of the network.
    """
    original, probes = subject, subject.frames[:_PROBES]
    expected = original.results(probes)
    records = []
    for each in passes:
        changed = subject.copy()
        did, refused, error = "", "", 0.0
        try:
            did = each.apply(changed)
            if did:
                changed.tidy()
                error, different = _compared(original, expected, changed, changed.results(probes))
                refused = _refusal(error, different)
        except Exception as failure:  # of a pass, or of the runtime that shall run what it made of the graph
            refused = f"it failed: {failure}"
        if did and not refused:
            subject = changed
        record = Record(each.name, did, refused, error, subject.cost)
        on_record(record)
        records.append(record)
    return subject, tuple(records)


def _compared(
    original: Subject, expected: Sequence[np.ndarray], changed: Subject, found: Sequence[np.ndarray]
) -> tuple[float, float]:
    """Largest relative error of the logits that are left, and the largest excess of other classes in a frame.

    Two pixels of a frame may change class by rounding, however few there are. A class that was cut counts where it won.
    """
    kept = [original.classes.index(number) for number in changed.classes]
    error = different = 0.0
    for before, after in zip(expected, found, strict=True):
        if not np.isfinite(after).all():
            return float("inf"), 1.0
        largest = max(float(np.abs(before).max()), 1e-30)
        error = max(error, float(np.abs(after - before[:, kept]).max()) / largest)
        others = before.argmax(axis=1) != np.asarray(kept)[after.argmax(axis=1)]
        different = max(different, max(int(others.sum()) - ROUNDED_PIXELS, 0) / others.size)
    return error, different


def _refusal(error: float, different: float) -> str:
    if not np.isfinite(error):
        return "its results are not finite"
    if error > MAX_RELATIVE_ERROR or different > 1 - MIN_AGREEMENT:
        return (
            f"changes the logits by {error:.2g} of the largest ({MAX_RELATIVE_ERROR:g} allowed) and "
            f"{different:.3%} of the classes ({1 - MIN_AGREEMENT:.2%} allowed)"
        )
    return ""
