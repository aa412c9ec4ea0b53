"""What ``ccc-calibrate`` says of a calibration: text for people, JSON for machines, the provenance beside a cache."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from ccc_jetson import __version__
from ccc_jetson.calib.calibrated import Calibrated, Options
from ccc_jetson.calib.cost import Cost
from ccc_jetson.calib.provenance import (
    ONNX_RUNTIME,
    Maker,
    Provenance,
    contract_sha256_of,
    preprocessing_of,
)
from ccc_jetson.calib.sensitivity import Held
from ccc_jetson.choices import CONVOLUTIONS, INT8_LEAST_MEAN, PERCENTILE
from ccc_jetson.clean_text import clean, listed
from ccc_jetson.confusion import Scores
from ccc_jetson.golden import DRAWN
from ccc_jetson.int8_agreement import FrameAgreement
from ccc_jetson.int8_errors import worst_layers
from ccc_jetson.json_records import plain
from ccc_jetson.ort import import_onnxruntime
from ccc_jetson.tables import aligned_facts, aligned_table
from ccc_jetson.targets import target_named

_SHOWN = 8  # layers


def provenance_of(found: Calibrated, options: Options, onnx_sha256: str, cache: bytes | None) -> Provenance:
    """The record beside a cache, or (None) in a Q/DQ model: layers to keep out of INT8 are in FP16 where export found
    that safe, else in FP32."""
    floats = found.pinned + found.kept
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
        at_worst=None if found.golden_at_worst is None else found.golden_at_worst.frames,
        fp32_layers=() if half else floats,
        fp16_layers=floats if half else (),
        layer_errors=worst_layers((each.node, each.error) for each in found.errors if each.node not in found.kept),
    )


POOR = 0.9  # of a frame's decided pixels: with fewer the frame is told


def to_text(found: Calibrated, options: Options, written: Sequence[str], least: float = INT8_LEAST_MEAN) -> str:
    """Tables and facts; ``least`` is the share of decided pixels that it must keep to be fit."""
    parts = []
    if found.cost is not None and found.cost.fp32 is not None and found.cost.int8 is not None:
        assert found.dataset is not None
        worst = None if found.at_worst is None else found.at_worst.int8
        parts.append(_classes(found.dataset.mapping.classes, found.cost.fp32, found.cost.int8, worst))
    parts.append(_layers(found))
    if found.held is not None:
        parts.append(_blocks(found.held))
    parts.append(aligned_facts(_facts(found, options, written, least)))
    return "\n\n".join(parts)


def _classes(names: Sequence[str], fp32: Scores, int8: Scores, worst: Scores | None) -> str:
    titles, columns = ["class", "IoU FP32", "IoU INT8", "points"], [fp32, int8]
    if worst is not None:
        titles += ["IoU at worst", "points"]
        columns.append(worst)
    rows = [titles]
    by_class = zip(names, *(each.iou for each in columns), strict=True)
    for name, *values in (*by_class, ("mean", *(each.miou for each in columns))):
        before = values[0]
        cells = [clean(name), _or_dash(before, ".4f")]
        for after in values[1:]:
            cells += [_or_dash(after, ".4f"), _or_dash(100 * (after - before), "+.2f")]
        rows.append(cells)
    return aligned_table(rows, {0})


def _or_dash(value: float, style: str) -> str:
    return "-" if value != value else format(value, style)


def _layers(found: Calibrated) -> str:
    rows = [["layers that lose most", "own error", "SQNR dB"]]
    for each in found.errors[:_SHOWN]:
        rows.append([clean(each.node), f"{each.error:.3f}", f"{each.sqnr_db:.1f}"])
    return aligned_table(rows, {0})


def _blocks(held: Held) -> str:
    """The blocks that lose most of the frames' pixels, with them alone in INT8."""
    rows = [["blocks that lose most alone", "nodes", "in floats", "points"]]
    for each in held.blocks[: -_SHOWN - 1 : -1]:
        ends = each.nodes[0] if len(each.nodes) == 1 else f"{each.nodes[0]} to {each.nodes[-1]}"
        floats = len(set(each.nodes) & set(held.kept))
        rows.append([clean(ends), str(len(each.nodes)), str(floats), f"{each.points:.2f}"])
    return aligned_table(rows, {0})


def _facts(found: Calibrated, options: Options, written: Sequence[str], least: float) -> list[tuple[str, str]]:
    frames = f"{len(found.selection.frames)} frames, seed {found.selection.seed}, fit {options.fit}"
    method = f"{options.method} {options.percentile:g}" if options.method == PERCENTILE else options.method
    kept = f"{found.int8_layers} convolutions in INT8, {found.float_layers} in floats"
    facts = [("ranges", f"{method} over {frames}; {len(found.ranges)} tensors")]
    facts.append(("layers", kept))
    if options.layers == CONVOLUTIONS:
        facts.append(
            ("pinned", f"{len(found.pinned)} other nodes, which the build keeps in floats: --layers convolutions")
        )
    elif options.layers:
        facts.append(
            ("pinned", f"the head and what has no range: {len(found.pinned)} nodes; all others may be in INT8")
        )
    if found.cost is not None:
        facts += _costs("", found.cost)
        if found.at_worst is not None:
            facts += _costs("at worst: ", found.at_worst)
    if found.golden is not None and options.verify_images:
        facts.append(("golden", _agreement(found.golden)))
        if found.golden_at_worst is not None:
            facts.append(("golden", "at worst: " + _agreement(found.golden_at_worst)))
    if found.at_worst is not None:
        facts.append(("bounds", "of an engine; at worst is with every tensor in INT8 that these layers read and write"))
    if found.all_int8 is not None and found.held is not None:
        facts.append(
            ("bound", f"{found.all_int8.drop:.2f} points lost with no layer in floats; {options.max_drop:g} allowed")
        )
        facts.append(("in floats", listed(found.kept, _SHOWN)))
    drawn = found.golden is not None and all(map(_is_drawn, found.golden.frames))
    if options.max_drop is not None and drawn and not options.verify_images:
        facts.append(
            (
                "note",
                "the bound was judged on drawn scenes alone; on real streets it may not hold: --verify-images DIR, or "
                "ccc-export --verify-images",
            )
        )
    facts.append(("simulated", "on a CPU; nothing was measured on a board"))
    if len(written) > 1 and found.helpers:
        facts.append(
            (
                "not in it",
                f"tensors that TensorRT makes of {len(found.helpers)} nodes' constants, as a PReLU's slopes "
                f'({listed(found.helpers, 2)}): TensorRT says "Missing scale and zero-point" and computes those '
                "nodes in FP16 or FP32",
            )
        )
    golden, judged = found.least_golden, found.least_judged
    if judged is not None:
        shares = f"{judged.decided:.1%} of the decided pixels keep their class"
        if golden is not None and options.verify_images:
            shares += f", of the golden frames' {golden.decided:.1%}"
        short = found.shortfalls(least)
        facts.append(("verdict", clean("NOT FIT for use: " + "; ".join(short) if short else f"fit for use: {shares}")))
        if short and drawn:
            facts.append(("note", "the golden frames are drawn scenes; ccc-export --verify-images takes real streets"))
        if min(each.worst.decided for each in (golden, judged) if each is not None) < POOR:
            facts.append(("note", "another --method, or --max-drop, may lose less"))
    if not found.int8_layers:
        facts.append(("note", "NO convolution is left in INT8: an engine in FP16 is the better one"))
    elif found.kept and found.float_layers > found.int8_layers:
        facts.append(("note", "more than half of the convolutions are in floats; measure the engine beside --fp16"))
    target = target_named(found.contract.target)
    if not target.int8:
        facts.append(("note", f"{target.title} has no INT8 units; this is for a board that has"))
    facts.append(("file", ", ".join(written)))
    return facts


def _is_drawn(frame: FrameAgreement) -> bool:
    return frame.name.startswith(DRAWN)


def _costs(how: str, cost: Cost) -> list[tuple[str, str]]:
    facts = []
    if cost.int8 is not None and cost.fp32 is not None:
        values = f"{how}{cost.fp32.miou:.4f} FP32, {cost.int8.miou:.4f} INT8"
        facts.append(("mIoU", f"{values}: {-cost.drop:+.2f} points on {len(cost.frames)} frames"))
    return [*facts, ("same class", how + _agreement(cost))]


def _agreement(cost: Cost) -> str:
    worst = cost.worst
    return (
        f"{cost.agreement:.3%} of {len(cost.frames)} frames' pixels (worst frame {worst.agreement:.3%}), over the 90% "
        f"with the largest margin {cost.decided:.3%} (worst {worst.decided:.3%})"
    )


def to_json(found: Calibrated, options: Options, written: Sequence[str], least: float = INT8_LEAST_MEAN) -> str:
    """Everything, for machines; a class that does not occur has no IoU: null."""
    judged = found.golden or found.cost
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
        "layers": options.layers or None,
        "pinned": list(found.pinned),
        "int8_layers": found.int8_layers,
        "float_layers": found.float_layers,
        "kept": list(found.kept),
        "helpers": list(found.helpers),
        "errors": [{"node": each.node, "error": each.error, "sqnr_db": each.sqnr_db} for each in found.errors],
        "blocks": [] if found.held is None else [plain(each) for each in found.held.blocks],
        "cost": _cost(found.cost, found),
        "at_worst": _cost(found.at_worst, found),
        "all_int8": _cost(found.all_int8, found),
        "golden": _cost(found.golden, found),
        "golden_at_worst": _cost(found.golden_at_worst, found),
        "fit_for_use": None if judged is None else not found.shortfalls(least),
        "min_agreement": least,
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
