"""ONNX file in, judged engine with its manifest out: the work behind ``ccc-build-engine``.

Runs without TensorRT: a child process has it (``worker.py``). Nothing is written but whole, judged engines.
"""

import hashlib
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ccc_jetson import __version__
from ccc_jetson.board import read_board
from ccc_jetson.contract import read_contract_json
from ccc_jetson.engines.attempts import Attempts, Files, Finished
from ccc_jetson.engines.build_options import BuildOptions, bounds_of, check_operators, settings_of
from ccc_jetson.engines.calibrating import CACHE_SUFFIX, RangeFinder, Ranges, with_ranges
from ccc_jetson.engines.gate import Bounds
from ccc_jetson.engines.job import Facts, LayerProfile, Outcome
from ccc_jetson.engines.kernel_store import Kernels, carry_kernels
from ccc_jetson.engines.kernels_file import kernels_path
from ccc_jetson.engines.machine import Machine, free_disk, gpu_text, read_memory
from ccc_jetson.engines.manifest import FEATURES, Manifest, Settings, manifest_path, read_manifest, write_manifest
from ccc_jetson.engines.manifest_checks import check_machine, check_plan
from ccc_jetson.engines.onnx_model import OnnxModel, read_model
from ccc_jetson.engines.preflight import MIB, preflight, workspace_mib
from ccc_jetson.engines.tensorrt_api import FP16
from ccc_jetson.engines.timing_cache import BuildTimes, default_path, load, store
from ccc_jetson.engines.worker import Worker
from ccc_jetson.errors import CccError, ContractError, EngineMismatch, FileProblem, UsageError
from ccc_jetson.files import check_output, sha256_of, translated_os_errors, write_bytes
from ccc_jetson.head import read_head
from ccc_jetson.signals import uninterrupted

SUFFIX = ".engine"
_PROFILE_RUNS = 20
_START = 8  # bytes that tell a calibration cache or JSON from a timing cache


class BuiltEngine(NamedTuple):
    """An engine on the disk.

    ``milliseconds`` is a run of the engine alone, ``first_milliseconds`` the same of the engine that failed the gate
    before layers were pinned; both 0 where there was none. ``reused`` says that the engine was there already,
    ``problem`` why there is no profile although one was asked for. ``kernels`` lie beside it; None where they could not
    be compiled, or were not wanted. ``notes`` are what there was to say of the build.
    """

    path: str
    manifest: Manifest
    model: OnnxModel
    reused: bool
    milliseconds: float
    first_milliseconds: float
    profile: Optional[LayerProfile]
    problem: Optional[CccError]
    kernels: Optional[Kernels]
    notes: Tuple[str, ...] = ()

    @property
    def manifest_path(self) -> str:
        """The file beside the engine that says what it is and how it was judged."""
        return manifest_path(self.path)


def engine_path(model: str) -> str:
    """Where the engine of ``model.onnx`` goes: ``model.engine``."""
    return os.path.splitext(model)[0] + SUFFIX


def build_engine(
    model_path: str, path: str, options: BuildOptions, on_event: Callable[[Dict[str, Any]], None]
) -> BuiltEngine:
    """Builds the engine of an ONNX file for this machine, and compiles the kernels that the runtime has around it.

    Takes minutes on a board: TensorRT times every implementation of every layer. That grows with the number of layers
    that differ, and with the frame; a second build finds most of it in the timing cache.

    Args:
        model_path: the ONNX file.
        path: where the engine goes, with its manifest beside it.
        options: what was asked for.
        on_event: told what happens: events of ``build_child.py``, and ``stage`` and ``note`` with a ``text``,
            ``building`` with ``workspace_mib``, ``build`` (its number), ``expected_seconds`` and ``nodes``, where it is
            calibrating with ``what``.

    Raises:
        CccError: with the cause and the cure; nothing was written. That there are no kernels is a note.
    """
    notes: List[str] = []

    def heard(event: Dict[str, Any]) -> None:
        if event["event"] == "note":
            notes.append(event["text"])
        on_event(event)

    built = _built(model_path, path, options, heard)
    # after the process with TensorRT has ended: on a board its memory is nvcc's
    kernels = _carried(built, heard) if options.kernels else None
    return built._replace(kernels=kernels, notes=tuple(notes))


def _built(
    model_path: str, path: str, options: BuildOptions, on_event: Callable[[Dict[str, Any]], None]
) -> BuiltEngine:
    """The engine without kernels."""
    _check_files(model_path, path, options)
    contract = read_contract_json(options.contract) if options.contract else None
    model = read_model(model_path, contract, options.gate)

    def note(text: str) -> None:
        on_event({"event": "note", "text": text})

    with Worker(path, on_event, options.verbose) as worker:
        on_event({"event": "stage", "text": "asking TensorRT what this machine has"})
        facts = worker.facts()
        machine = Machine(facts.tensorrt, facts.cuda, facts.device, facts.sm, *read_board())
        on_event({"event": "stage", "text": described(machine)})
        check_operators(model, facts, options.force, note)
        settings = settings_of(model, facts, options, note)

        def quiet_workspace() -> int:  # what it notes, the build will
            return _workspace(path, model, facts, options, lambda text: None)

        ranges = None
        if options.calibration is not None:
            timing_cache = _Cache(options.timing_cache, machine, model, settings).path or ""
            finder = RangeFinder(worker, model, settings, quiet_workspace, timing_cache, on_event)
            ranges = finder.find(options.calibration, facts.tensorrt, path)
            if FP16 not in settings.precisions and any(each == FP16 for _, each in ranges.layer_precisions):
                note("layers that calibration keeps in FP16 are in FP32 here; --fp16 allows FP16, where it is fast")
            settings = with_ranges(settings, ranges)
        bounds = bounds_of(model, settings, ranges, note)
        present = None if options.rebuild else _already_built(path, model, settings, machine, bounds)
        if present is not None:
            for text in check_machine(present, machine, path):
                note(text)
            return BuiltEngine(path, present, model, True, 0.0, 0.0, *_profiled(worker, path, options), None)
        workspace = _workspace(path, model, facts, options, note)
        cache = _Cache(options.timing_cache, machine, model, settings)
        files = _files(worker, cache, ranges)

        def with_estimate(event: Dict[str, Any]) -> None:
            if event["event"] == "building":
                event = dict(event, expected_seconds=cache.expected_seconds(), nodes=len(model.file.nodes))
            on_event(event)

        def keep(outcome: Outcome) -> None:
            problem = cache.keep(files.timing_cache_out, outcome)
            if problem:
                note(problem)

        errors = model.int8_errors if ranges is None else ranges.layer_errors
        attempts = Attempts(worker, model, facts, settings, files, workspace, with_estimate, keep, bounds, errors)
        finished = attempts.until_one_passes()
        manifest = _manifest(model, settings, machine, finished, files)
        _publish(files.plan, manifest, path)
        profile, problem = _profiled(worker, path, options)
    times = finished.outcome.milliseconds, finished.first_milliseconds
    return BuiltEngine(path, manifest, model, False, times[0], times[1], profile, problem, None)


def _check_files(model: str, path: str, options: BuildOptions) -> None:
    """No file is written over one that is read, or over another that is written."""
    read = [file for file in (model, options.contract) if file]
    if options.calibration is not None:
        read += options.calibration.reads
    caches = [options.timing_cache, options.timing_cache + ".json"] if options.timing_cache else []
    written = [path, manifest_path(path), kernels_path(path)] + caches
    if options.calibration is not None and options.calibration.measures:
        written += [path + CACHE_SUFFIX, path + CACHE_SUFFIX + ".json"]
    for index, file in enumerate(written):
        check_output(file, read + written[:index])
    if options.timing_cache and os.path.exists(options.timing_cache):
        start = load(options.timing_cache)[:_START]
        if start.startswith((b"TRT-", b"{")):
            raise UsageError(
                "--timing-cache {}: is no timing cache, and would be overwritten".format(options.timing_cache),
                hint="name a file that is not there yet, or leave the option out",
            )


def _profiled(worker: Worker, path: str, options: BuildOptions) -> Tuple[Optional[LayerProfile], Optional[CccError]]:
    """The layers' times; what goes wrong now takes nothing from the engine that is there."""
    try:
        return (worker.profile(path, _PROFILE_RUNS) if options.profile else None), None
    except CccError as error:
        return None, error


def _carried(built: BuiltEngine, on_event: Callable[[Dict[str, Any]], None]) -> Optional[Kernels]:
    """The kernels beside the engine, which is complete without them: they can be compiled wherever it runs."""
    machine = built.manifest.machine  # this one, by all that counts

    def say(text: str) -> None:
        on_event({"event": "stage", "text": text})

    try:
        return carry_kernels(built.path, machine.sm, machine.cuda, built.manifest.contract.head, say=say)
    except CccError as error:
        text = "the engine is complete, but there are no compiled kernels beside it: {}".format(error)
        on_event({"event": "note", "text": text + ("\n  -> " + error.hint if error.hint else "")})
        return None


def described(machine: Machine) -> str:
    """The machine in a line."""
    parts = [
        machine.board or machine.device,
        gpu_text(machine.device, machine.sm) if machine.board else "",
        "JetPack {}".format(machine.jetpack) if machine.jetpack else machine.l4t and "L4T " + machine.l4t,
        "TensorRT " + machine.tensorrt,
        "CUDA " + machine.cuda if machine.cuda else "",
        "power mode " + machine.power_mode if machine.power_mode else "",
    ]
    return ", ".join(part for part in parts if part)


def _already_built(
    path: str, model: OnnxModel, settings: Settings, machine: Machine, bounds: Bounds
) -> Optional[Manifest]:
    """The manifest of the engine that is there, if building it again would change nothing."""
    if not os.path.exists(path):
        return None
    try:
        found = read_manifest(path)
        if found is None:
            return None
        check_plan(found, path)
    except (ContractError, EngineMismatch, FileProblem):
        return None  # damaged, or another version's: it is built again
    same_machine = found.machine[:4] == machine[:4]  # TensorRT, CUDA, GPU and its compute capability
    same_model = found.onnx_sha256 == model.sha256 and found.contract == model.contract
    known = dict(bounds.frames)
    judged = () if found.gate is None else found.gate.frames
    same_bounds = all(frame.required == known.get(frame.name, bounds.least) for frame in judged)
    return found if same_machine and same_model and same_bounds and found.settings == settings else None


def _workspace(path: str, model: OnnxModel, facts: Facts, options: BuildOptions, note: Callable[[str], None]) -> int:
    """MiB for the first build, after a look at memory and disk."""
    memory = read_memory()
    disk = free_disk(os.path.dirname(os.path.realpath(path)))
    for warning in preflight(memory, facts.free_bytes, disk, model.size, facts.integrated):
        note(warning)
    # of shared memory the kernel frees on demand what the page cache holds, which CUDA counts as taken
    available = memory.available if facts.integrated and memory is not None else facts.free_bytes
    if options.workspace is not None and options.workspace > available // MIB:
        note("--workspace {}: {} MiB are available".format(options.workspace, available // MIB))
    return workspace_mib(options.workspace, available)


class _Cache:
    """The timing cache's file, and how long builds took; without a file it is empty and keeps nothing."""

    def __init__(self, asked: Optional[str], machine: Machine, model: OnnxModel, settings: Settings) -> None:
        self.path = None if asked is None else asked or default_path(machine)
        self.data = load(self.path) if self.path else b""
        self._times = BuildTimes(self.path) if self.path else None
        self._key = hashlib.sha256(repr((model.sha256, settings)).encode("utf-8")).hexdigest()

    def expected_seconds(self) -> Optional[float]:
        return None if self._times is None else self._times.expected_seconds(self._key, bool(self.data))

    def keep(self, file: str, outcome: Outcome) -> str:
        """Stores what the builder measured; what went wrong, or nothing: it costs the cache, not the engine."""
        if self.path is None or self._times is None:
            return ""
        problem = store(self.path, load(file))
        if not problem:
            self._times.note(self._key, outcome.timing_cache_reused, outcome.seconds)
        return problem or ""


def _files(worker: Worker, cache: _Cache, ranges: Optional[Ranges]) -> Files:
    timing_cache = ""
    if cache.data:
        timing_cache = worker.path("timing.in")
        write_bytes(timing_cache, cache.data)
    return Files(
        plan=worker.path("plan"),
        timing_cache=timing_cache,
        timing_cache_out=worker.path("timing.out") if cache.path is not None else "",
        calibration_cache="" if ranges is None else os.path.realpath(ranges.cache),
        calibration_algorithm="" if ranges is None else ranges.algorithm,
        kept=() if ranges is None else tuple(pattern for pattern, _ in ranges.layer_precisions),
    )


def _manifest(model: OnnxModel, settings: Settings, machine: Machine, finished: Finished, files: Files) -> Manifest:
    outcome = finished.outcome
    timing_cache = "reused" if outcome.timing_cache_reused else "new"
    head = read_head(model.contract, model.file, model.path) if settings.output == FEATURES else None
    return Manifest(
        tool="ccc-jetson " + __version__,
        machine=machine,
        settings=settings,
        bindings=outcome.bindings,
        pinned=outcome.pinned,
        gate=outcome.gate,
        workspace_mib=finished.workspace_mib,
        build_seconds=round(outcome.seconds, 3),
        timing_cache=timing_cache if files.timing_cache_out else "off",
        attempts=finished.builds,
        onnx_file=os.path.basename(model.path),
        onnx_sha256=model.sha256,
        plan_sha256=sha256_of(files.plan),
        plan_bytes=os.path.getsize(files.plan),
        contract=model.contract,
        head=None if head is None else head.to_bytes(),
    )


def _publish(plan: str, manifest: Manifest, path: str) -> None:
    """Both are written in full before either appears; the plan comes last, so that none stands without its manifest."""
    write_manifest(plan, manifest)
    real = os.path.realpath(path)
    with uninterrupted(), translated_os_errors(path):  # between the two, neither fits the other
        os.replace(manifest_path(plan), manifest_path(real))
        os.replace(plan, real)
