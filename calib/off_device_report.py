"""What ``ccc-calibrate`` says of a calibration: text for people, JSON for machines, the provenance beside a cache."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from ccc_jetson import __version__
from ccc_jetson.calib.cost import Cost
from ccc_jetson.calib.off_device import Calibrated, Options
from ccc_jetson.calib.provenance import (
    ONNX_RUNTIME,
    Maker,
    Provenance,
    contract_sha256_of,
    preprocessing_of,
)
from ccc_jetson.choices import PERCENTILE
from ccc_jetson.clean_text import clean, listed
from ccc_jetson.confusion import Scores
from ccc_jetson.int8_errors import worst_layers
from ccc_jetson.json_records import plain
from ccc_jetson.ort import import_onnxruntime
from ccc_jetson.tables import aligned_facts, aligned_table
from ccc_jetson.targets import target_named

_SHOWN = 8  # layers


def provenance_of(found: Calibrated, options: Options, onnx_sha256: str, cache: bytes | None) -> Provenance:
    """The record beside a cache, or (None) in a Q/DQ model: layers to keep out of INT8 are in FP16 where export found
    that safe, else in FP32."""
    half = found.contract.half is not None and found.contract.half.safe
    return Provenance(
        tool=f"ccc-jetson {__version__}",
        made_by=Maker(ONNX_RUNTIME, import_onnxruntime().__version__),
        contract_sha256=contract_sha256_of(found.contract),
        preprocessing=preprocessing_of(found.contract),
        fit=options.fit,
        onnx_sha256=onnx_sha256,
        algorithm=options.method,
        percentile=options.percentile if options.method == PERCENTILE else None,
        samples=len(found.selection.frames),
        images_sha256=found.selection.sha256,
        seed=found.selection.seed,
        cache_sha256=None if cache is None else hashlib.sha256(cache).hexdigest(),
        agreement=None if found.golden is None else found.golden.frames,
        fp32_layers=() if half else found.kept,
        fp16_layers=found.kept if half else (),
        layer_errors=worst_layers((each.node, each.error) for each in found.errors if each.node not in found.kept),
    )


POOR = 0.9  # of a frame's decided pixels: with fewer the frame is told


def to_text(found: Calibrated, options: Options, written: Sequence[str]) -> str:
    """Tables and facts."""
    parts = []
    if found.cost is not None and found.cost.fp32 is not None and found.cost.int8 is not None:
        assert found.dataset is not None
        parts.append(_classes(found.dataset.mapping.classes, found.cost.fp32, found.cost.int8))
    parts.append(_layers(found))
    parts.append(aligned_facts(_facts(found, options, written)))
    return "\n\n".join(parts)


def _classes(names: Sequence[str], fp32: Scores, int8: Scores) -> str:
    rows = [["class", "IoU FP32", "IoU INT8", "points"]]
    for name, *values in (*zip(names, fp32.iou, int8.iou, strict=True), ("mean", fp32.miou, int8.miou)):
        before, after = values
        points = 100 * (after - before)
        rows.append([clean(name)] + ["-" if value != value else f"{value:.4f}" for value in (before, after)])
        rows[-1].append("-" if points != points else f"{points:+.2f}")
    return aligned_table(rows, {0})


def _layers(found: Calibrated) -> str:
    gained = {each.node: f"{each.points:+.2f}" for each in found.gains}
    rows = [["layers that lose most", "own error", "SQNR dB", "points given back alone"]]
    for each in found.errors[:_SHOWN]:
        rows.append([clean(each.node), f"{each.error:.3f}", f"{each.sqnr_db:.1f}", gained.get(each.node, "-")])
    return aligned_table(rows, {0})


def _facts(found: Calibrated, options: Options, written: Sequence[str]) -> list[tuple[str, str]]:
    frames = f"{len(found.selection.frames)} frames, seed {found.selection.seed}, fit {options.fit}"
    method = f"{options.method} {options.percentile:g}" if options.method == PERCENTILE else options.method
    kept = f"{found.int8_layers} convolutions in INT8, {found.float_layers} in floats"
    facts = [("ranges", f"{method} over {frames}; {len(found.ranges)} tensors"), ("layers", kept)]
    if found.cost is not None:
        if found.cost.int8 is not None and found.cost.fp32 is not None:
            values = f"{found.cost.fp32.miou:.4f} FP32, {found.cost.int8.miou:.4f} INT8"
            facts.append(("mIoU", f"{values}: {-found.cost.drop:+.2f} points on {len(found.cost.frames)} frames"))
        facts.append(("same class", _agreement(found.cost)))
    if found.golden is not None and options.verify_images:
        facts.append(("golden", _agreement(found.golden)))
    if found.all_int8 is not None and found.kept:
        facts.append(
            ("bound", f"{found.all_int8.drop:.2f} points lost with no layer in floats; {options.max_drop:g} allowed")
        )
        facts.append(("in floats", clean(listed(found.kept, _SHOWN))))
    facts.append(("simulated", "on a CPU; nothing was measured on a board"))
    if len(written) > 1 and found.helpers:
        facts.append(
            (
                "not in it",
                f"tensors that TensorRT makes of {len(found.helpers)} nodes' constants, as a PReLU's slopes "
                f'({clean(listed(found.helpers, 2))}): TensorRT says "Missing scale and zero-point" and computes those '
                "nodes in FP16 or FP32",
            )
        )
    judged = found.golden or found.cost
    if judged is not None and judged.worst.decided < POOR:
        facts.append(
            (
                "note",
                f"{judged.worst.name!r} keeps the class of {judged.worst.decided:.1%} of its decided pixels; another "
                "--method, or --max-drop, may help",
            )
        )
    if not found.int8_layers:
        facts.append(("note", "NO convolution is left in INT8: an engine in FP16 is the better one"))
    elif found.kept and found.float_layers > found.int8_layers:
        facts.append(("note", "more than half of the convolutions are in floats; measure the engine beside --fp16"))
    target = target_named(found.contract.target)
    if not target.int8:
        facts.append(("note", f"{target.title} has no INT8 units; this is for a board that has"))
    facts.append(("file", ", ".join(written)))
    return facts


def _agreement(cost: Cost) -> str:
    worst = cost.worst
    return (
        f"{cost.agreement:.3%} of {len(cost.frames)} frames' pixels (worst frame {worst.agreement:.3%}), over the 90% "
        f"with the largest margin {cost.decided:.3%} (worst {worst.decided:.3%})"
    )


def to_json(found: Calibrated, options: Options, written: Sequence[str]) -> str:
    """Everything, for machines; a class that does not occur has no IoU: null."""
    record = {
        "tool": f"ccc-jetson {__version__}",
        "method": options.method,
        "percentile": options.percentile if options.method == PERCENTILE else None,
        "samples": len(found.selection.frames),
        "seed": found.selection.seed,
        "images_sha256": found.selection.sha256,
        "fit": options.fit,
        "notes": [*found.selection.notes, *found.judge_notes],
        "ranges": found.ranges,
        "int8_layers": found.int8_layers,
        "float_layers": found.float_layers,
        "kept": list(found.kept),
        "helpers": list(found.helpers),
        "errors": [{"node": each.node, "error": each.error, "sqnr_db": each.sqnr_db} for each in found.errors],
        "gains": [plain(each) for each in found.gains],
        "cost": _cost(found.cost, found),
        "all_int8": _cost(found.all_int8, found),
        "golden": _cost(found.golden, found),
        "written": list(written),
    }
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def _cost(cost: Cost | None, found: Calibrated) -> Any:
    if cost is None:
        return None
    record: dict[str, Any] = {
        "frames": [plain(each) for each in cost.frames],
        "agreement": cost.agreement,
        "decided": cost.decided,
        "drop": cost.drop,
    }
    for name, scores in (("fp32", cost.fp32), ("int8", cost.int8)):
        if scores is not None and found.dataset is not None:
            classes = zip(found.dataset.mapping.classes, scores.iou, strict=True)
            iou = {each: None if value != value else value for each, value in classes}
            record[name] = {"miou": scores.miou, "pixel_accuracy": scores.pixel_accuracy, "iou": iou}
    return record
