"""What can be said of an engine without TensorRT: the work and the page behind ``ccc-inspect model.engine``.

Nearly all of it is the manifest's; of the plan itself only the size, the SHA-256 and a few bytes can be read.
"""

import os
from typing import Any, Dict, List, NamedTuple, Optional

from ccc_jetson.clean_text import listed
from ccc_jetson.engines.inspect_kernels import KernelsReport, kernels_beside, kernels_row
from ccc_jetson.engines.inspect_text import Row, contract_rows, page, table, tensor_text
from ccc_jetson.engines.machine import Machine
from ccc_jetson.engines.manifest import (
    FEATURES,
    FORMAT,
    Gate,
    Manifest,
    Settings,
    manifest_path,
    read_manifest,
    read_manifest_file,
)
from ccc_jetson.engines.manifest_checks import plan_problem, rebuild_command
from ccc_jetson.engines.plan_header import HEADER_BYTES, looks_like_plan, plan_version
from ccc_jetson.errors import CccError, FileProblem
from ccc_jetson.files import sha256_of
from ccc_jetson.int8_agreement import PROVENANCE_KEY

_SUFFIX = manifest_path("")
_ALONE = "no plan beside this manifest, so it was compared with none"
_WITHOUT_MANIFEST = (
    "without its manifest, what it takes and gives is unknown: copy {} as well, or pass --contract FILE.json to other "
    "commands"
)


class Plan(NamedTuple):
    """An engine's own file. ``version`` is the TensorRT that its first bytes name, None where they name none."""

    path: str
    size_bytes: int
    sha256: str
    looks_like_plan: bool
    version: Optional[str]

    def to_json(self) -> Dict[str, Any]:
        return {
            "path": self.path,
            "bytes": self.size_bytes,
            "sha256": self.sha256,
            "looks_like_plan": self.looks_like_plan,
            "version": self.version,
        }


class EngineReport(NamedTuple):
    """Everything that is known of an engine.

    ``path`` is what was asked for, the engine or its manifest; ``plan`` is None where only the manifest is there;
    ``manifest`` None where there is none, or a damaged one; ``kernels`` None where there are none beside them.
    ``problem`` is what is wrong with plan or manifest, or between them.
    """

    path: str
    plan: Optional[Plan]
    manifest: Optional[Manifest]
    kernels: Optional[KernelsReport]
    problem: Optional[CccError]
    notes: List[str]

    def to_json(self) -> Dict[str, Any]:
        """The report for machines; ``plan``, ``manifest`` and ``kernels`` are null where they are not there."""
        return {
            "kind": "engine",
            "path": self.path,
            "plan": None if self.plan is None else self.plan.to_json(),
            "manifest": None if self.manifest is None else self.manifest.to_record(),
            "kernels": None if self.kernels is None else self.kernels.to_json(),
            "problem": None if self.problem is None else str(self.problem),
            "notes": self.notes,
        }


def inspect_engine(path: str) -> EngineReport:
    """Reads the engine at ``path`` and the manifest beside it, if there is one.

    Raises:
        FileProblem: the engine is missing. A damaged manifest is no error here, nor is a plan that is not its own: see
            ``problem``.
    """
    plan = _read_plan(path)
    try:
        manifest = read_manifest(path)
    except FileProblem as error:
        return EngineReport(path, plan, None, kernels_beside(path, None), error, [])
    kernels = kernels_beside(path, manifest)
    if manifest is None:
        return EngineReport(path, plan, None, kernels, None, [_WITHOUT_MANIFEST.format(manifest_path(path))])
    return EngineReport(path, plan, manifest, kernels, plan_problem(manifest, path, plan.size_bytes, plan.sha256), [])


def inspect_manifest(path: str) -> EngineReport:
    """Reads a manifest by its own name, and the engine beside it, if there is one.

    Raises:
        FileProblem: it is missing, damaged, or no manifest.
    """
    manifest = read_manifest_file(path)
    engine = path[: -len(_SUFFIX)] if path.endswith(_SUFFIX) else ""
    kernels = kernels_beside(engine, manifest) if engine else None
    if not os.path.isfile(engine):
        return EngineReport(path, None, manifest, kernels, None, [_ALONE])
    plan = _read_plan(engine)
    problem = plan_problem(manifest, engine, plan.size_bytes, plan.sha256)
    return EngineReport(path, plan, manifest, kernels, problem, [])


def engine_page(report: EngineReport) -> str:
    """The page of an engine."""
    manifest = report.manifest
    rows = _plan_rows(report.plan) if report.plan is not None else [("file", report.path + ": an engine's manifest")]
    if manifest is None:
        missing = "none" if report.problem is None else "damaged: {}".format(report.problem)
        rows.append(("manifest", missing))
    else:
        path = manifest_path(report.plan.path) if report.plan is not None else report.path
        rows.append(("manifest", "{}: format {}, by {}".format(path, FORMAT, manifest.tool)))
        if report.plan is None:
            rows.append(("plan", "{:.2f} MB, SHA-256 {}".format(manifest.plan_bytes / 1e6, manifest.plan_sha256)))
        elif report.problem is None:
            rows.append(("plan", "as the manifest says, by size and SHA-256"))
        else:
            found = "NOT the one that the manifest was written for: {:,} bytes, SHA-256 {}"
            rows.append(("plan", found.format(manifest.plan_bytes, manifest.plan_sha256)))
        rows += _build_rows(manifest) + _engine_rows(manifest)
        rows += contract_rows(
            manifest.contract, manifest.head is not None, quantised=PROVENANCE_KEY in manifest.contract.attachments
        )
        rows.append(("build again", rebuild_command(manifest)))
    if report.plan is not None or report.kernels is not None:  # of a manifest alone the others lie elsewhere
        rows.append(("kernels", kernels_row(report.kernels)))
    rows += [("note", note) for note in report.notes]
    frames = () if manifest is None or manifest.gate is None else manifest.gate.frames
    parts = [page(rows)]
    if frames:
        cells = [
            [frame.name, "{:.3%}".format(frame.agreement), "{:.3%}".format(frame.decided), _yes(frame.finite)]
            for frame in frames
        ]
        of_pictures = manifest is not None and manifest.contract.is_classifier
        second = "or one as good" if of_pictures else "of the decided 90%"
        parts.append(table(["golden frame", "same class", second, "finite"], cells, 1))
    return "\n\n".join(parts)


def _read_plan(path: str) -> Plan:
    sha256 = sha256_of(path)
    with open(path, "rb") as file:
        start = file.read(HEADER_BYTES)
    return Plan(path, os.path.getsize(path), sha256, looks_like_plan(start), plan_version(start))


def _plan_rows(plan: Plan) -> List[Row]:
    if plan.version is not None:
        header = "names TensorRT " + plan.version
    else:
        header = "a plan's; names no version" if plan.looks_like_plan else "not what plans are known to begin with"
    return [
        ("file", "{}: TensorRT engine, {:.2f} MB".format(plan.path, plan.size_bytes / 1e6)),
        ("sha256", plan.sha256),
        ("header", header),
    ]


def _build_rows(manifest: Manifest) -> List[Row]:
    """For whom it was built, from what, and how long that took."""
    settings, attempts = manifest.settings, manifest.attempts
    rows = [
        ("built with", _software(manifest.machine)),
        ("built on", _hardware(manifest.machine)),
        ("from", "{}, SHA-256 {}".format(manifest.onnx_file, manifest.onnx_sha256)),
        (
            "build",
            "{:.1f} s, {}; timing cache {}".format(
                manifest.build_seconds,
                "the first build" if attempts == 1 else "the last of {} builds".format(attempts),
                manifest.timing_cache,
            ),
        ),
        (
            "workspace",
            "{} MiB; {}".format(
                manifest.workspace_mib,
                "automatic" if settings.workspace is None else "{} were asked for".format(settings.workspace),
            ),
        ),
    ]
    if settings.forced:
        rows.append(("forced", "built although hardware or parser are not made for it (--force)"))
    return rows


def _engine_rows(manifest: Manifest) -> List[Row]:
    """What it computes in, takes and gives, and how it was judged."""
    settings, pinned = manifest.settings, list(manifest.pinned)
    rows = [("precision", _precision(settings))]
    for precision in sorted({name for _, name in settings.layer_precisions}):  # of a calibration it may be hundreds
        patterns = [pattern for pattern, name in settings.layer_precisions if name == precision]
        rows.append(("precision", "{}: {}".format(listed(patterns), precision.upper())))
    rows.append(("pinned", "in FP32 for the gate: {} ({})".format(listed(pinned), len(pinned)) if pinned else "none"))
    if settings.calibration_cache:
        rows.append(("calibration", "cache with SHA-256 " + settings.calibration_cache))
    in_model = manifest.contract.attachments.get(PROVENANCE_KEY)
    if in_model is not None:
        rows.append(("calibration", "in the model; its provenance there has SHA-256 " + in_model.sha256))
    if settings.dla_core is not None:
        rows.append(("DLA", "core {}, and the GPU for what it cannot do".format(settings.dla_core)))
    rows.append(("ends with", settings.output + ("; the head is computed behind it" * (settings.output == FEATURES))))
    for binding in manifest.bindings:
        label = "input" if binding.is_input else "output"
        rows.append((label, tensor_text(binding.name, binding.dtype, binding.shape)))
    rows.append(("gate", _gate_text(settings, manifest.gate)))
    return rows


def _software(machine: Machine) -> str:
    known = [
        "TensorRT " + machine.tensorrt if machine.tensorrt else "",
        "CUDA " + machine.cuda if machine.cuda else "",
        "JetPack " + machine.jetpack if machine.jetpack else "",
        "L4T " + machine.l4t if machine.l4t else "",
    ]
    return ", ".join(part for part in known if part) or "unknown"


def _hardware(machine: Machine) -> str:
    known = [
        machine.board,
        machine.device,
        "sm_" + machine.sm.replace(".", "") if machine.sm else "",
        "power mode " + machine.power_mode if machine.power_mode else "",
    ]
    return ", ".join(part for part in known if part) or "unknown"


def _precision(settings: Settings) -> str:
    if not settings.precisions:
        return "FP32 alone"
    return "{} beside FP32".format(" and ".join(name.upper() for name in settings.precisions))


def _gate_text(settings: Settings, gate: Optional[Gate]) -> str:
    if gate is None:
        return "not run" + ("" if settings.gate else ": --no-gate")
    return "{} on {} golden frames".format("passed" if gate.passed else "FAILED", len(gate.frames))


def _yes(value: bool) -> str:
    return "yes" if value else "NO"
