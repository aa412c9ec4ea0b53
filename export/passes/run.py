"""Runs the passes over a graph, one by one; each must prove itself on real frames, or it is not applied."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.order import Pass
from ccc_jetson.export.passes.subject import Subject
from ccc_jetson.graph_cost import GraphCost, graph_cost
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import parse_onnx

MAX_ERROR = 1e-3  # of the logits, relative to the largest
MIN_AGREEMENT = 0.9999  # of the pixels, in each frame
_PROBES = 2  # frames that every pass is judged on


class Record(NamedTuple):
    """What became of a pass.

    ``did`` says what it changed, nothing where it found nothing to do; ``refused`` why the change was taken back;
    ``error`` is the largest one of the logits relative to the largest logit, and ``cost`` the graph's, both after it.
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
        the graph after them, and a record of each. Each pass costs two runs of the network.
    """
    probes = subject.frames[:_PROBES]
    before = subject.results(probes)
    cost = measured_cost(subject.model)
    records = []
    for each in passes:
        changed = subject.copy()
        did = each.apply(changed)
        refused, error = "", 0.0
        if did:
            changed.tidy()
            after = changed.results(probes)
            error, agreement = _compared(subject, before, changed, after)
            refused = _refusal(error, agreement)
            if not refused:
                subject, before = changed, after
                cost = measured_cost(subject.model)
        record = Record(each.name, did, refused, error, cost)
        on_record(record)
        records.append(record)
    return subject, tuple(records)


def measured_cost(model: ir.Model) -> GraphCost:
    """Nodes, FLOPs, bytes moved and largest weight of a graph."""
    data = ir.to_proto(model).SerializeToString()
    return graph_cost(parse_onnx(data), constant_arrays(data))


def _compared(
    old: Subject, before: Sequence[np.ndarray], new: Subject, after: Sequence[np.ndarray]
) -> tuple[float, float]:
    """Largest relative error of the logits and smallest share of equal classes, over the classes that are left."""
    kept = [old.classes.index(number) for number in new.classes]
    error, agreement = 0.0, 1.0
    for expected, found in zip(before, after, strict=True):
        expected = expected[:, kept]
        largest = max(float(np.abs(expected).max()), 1e-30)
        if not np.isfinite(found).all():
            return float("inf"), 0.0
        error = max(error, float(np.abs(found - expected).max()) / largest)
        agreement = min(agreement, float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()))
    return error, agreement


def _refusal(error: float, agreement: float) -> str:
    if not np.isfinite(error):
        return "its results are not finite"
    if error > MAX_ERROR or agreement < MIN_AGREEMENT:
        return (
            f"changes the logits by {error:.2g} of the largest ({MAX_ERROR:g} allowed) and "
            f"{1 - agreement:.3%} of the classes ({1 - MIN_AGREEMENT:.2%} allowed)"
        )
    return ""
