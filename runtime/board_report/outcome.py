"""What the steps of a board's report have found, read from the files that they left.

The files are our own commands' JSON; one that is missing or damaged leaves its row out: the step's outcome says why.
"""

import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ccc_jetson.clean_text import clean
from ccc_jetson.engines.manifest import Manifest, read_manifest
from ccc_jetson.errors import CccError
from ccc_jetson.runtime.board_report.plan import PRECISIONS, SOAK, bench_name
from ccc_jetson.runtime.board_report.power import Mode

_MOST_BYTES = 64 << 20


class Built(NamedTuple):
    """An engine, and the gate's verdict in its manifest."""

    precision: str
    manifest: Manifest

    @property
    def verdict(self) -> str:
        gate = self.manifest.gate
        if gate is None:
            return "not judged"
        decided = min((frame.decided for frame in gate.frames), default=0.0)
        agreement = min((frame.agreement for frame in gate.frames), default=0.0)
        return "{}: {:.3%} of the decided pixels in the worst of {} frames, {:.3%} of all".format(
            "passed" if gate.passed else "failed", decided, len(gate.frames), agreement
        )


class Speed(NamedTuple):
    """A benchmark: ``record`` is ccc-bench's result of the one model, ``machine`` what it was measured on."""

    precision: str
    mode: Optional[Mode]
    record: Dict[str, Any]
    machine: Dict[str, Any]

    def figure(self, *keys: str) -> Optional[float]:
        """A number in the record, None where there is none."""
        return number(self.record, *keys)

    @property
    def fps(self) -> Optional[float]:
        return self.figure("fps")

    @property
    def notes(self) -> Tuple[str, ...]:
        found = self.record.get("notes")
        return tuple(clean(str(each))[:300] for each in found) if isinstance(found, list) else ()

    @property
    def mode_name(self) -> str:
        """As the benchmark itself found it, for that is what was measured."""
        return text(self.machine, "power_mode") or (self.mode.name if self.mode else "unknown mode")


class Accuracy(NamedTuple):
    """An evaluation: mIoU and pixel accuracy as shares."""

    precision: str
    miou: Optional[float]
    pixel_accuracy: Optional[float]
    frames: Optional[float]


class Found(NamedTuple):
    """All of it; a list is empty and a record None where the step gave nothing."""

    doctor: List[Dict[str, Any]]
    built: List[Built]
    speeds: List[Speed]
    accuracy: List[Accuracy]
    kernels: Optional[Dict[str, Any]]
    soak: Optional[Dict[str, Any]]
    camera: Optional[Dict[str, Any]]


def read_outcome(folder: str, modes: Tuple[Optional[Mode], ...], done: Tuple[str, ...]) -> Found:
    """Reads what the steps called ``done`` have left in ``folder``."""

    def record(step: str, *path: str) -> Optional[Dict[str, Any]]:
        return read_record(os.path.join(folder, *path)) if step in done else None

    doctor = read_record(os.path.join(folder, "doctor.json")) or {}  # it has findings where it failed, too
    findings = doctor.get("findings")
    accuracy, speeds = [], []
    for precision in PRECISIONS:
        evaluated = record("accuracy-" + precision, "accuracy-{}.json".format(precision))
        if evaluated is not None:
            figures = (number(evaluated, key) for key in ("miou", "pixel_accuracy", "frames"))
            accuracy.append(Accuracy(precision, *figures))
    for mode in modes:
        for precision in PRECISIONS:
            name = bench_name(precision, mode)
            benched = record(name, name + ".json") or {}
            results = benched.get("results")
            if isinstance(results, list) and len(results) == 1 and isinstance(results[0], dict):
                machine = benched.get("environment")
                speeds.append(Speed(precision, mode, results[0], machine if isinstance(machine, dict) else {}))
    return Found(
        doctor=[each for each in findings if isinstance(each, dict)] if isinstance(findings, list) else [],
        built=_built(folder, done),
        speeds=speeds,
        accuracy=accuracy,
        kernels=record("kernels", "kernels.json"),
        soak=record("soak", SOAK, "soak.json"),
        camera=record("camera", "camera.json"),
    )


def _built(folder: str, done: Tuple[str, ...]) -> List[Built]:
    found = []
    for precision in PRECISIONS:
        if "build-" + precision in done:
            try:
                manifest = read_manifest(os.path.join(folder, precision + ".engine"))
            except CccError:
                continue
            if manifest is not None:
                found.append(Built(precision, manifest))
    return found


def read_record(path: str) -> Optional[Dict[str, Any]]:
    """The JSON object in a file; None where there is none."""
    try:
        if os.path.getsize(path) > _MOST_BYTES:
            return None
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def number(record: Dict[str, Any], *keys: str) -> Optional[float]:
    """The number below these keys; None for anything else."""
    value: Any = record
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def text(record: Dict[str, Any], *keys: str) -> str:
    """The text below these keys, cleaned; "" for anything else."""
    value: Any = record
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return clean(value)[:300] if isinstance(value, str) else ""
