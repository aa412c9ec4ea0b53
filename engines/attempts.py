"""The builds of one command: again with half the workspace when memory runs out, again with layers in FP32 when the
gate fails, until an engine passes or nothing is left to try."""

import os
from typing import Any, Callable, Dict, Iterator, NamedTuple, Tuple

from ccc_jetson.engines.gate import Bounds, output_name, quality
from ccc_jetson.engines.job import Facts, Job, Outcome
from ccc_jetson.engines.manifest import Settings
from ccc_jetson.engines.onnx_model import OnnxModel
from ccc_jetson.engines.pinning import errors_by_tensor, pin_sets, tensors_behind
from ccc_jetson.engines.preflight import smaller_workspace
from ccc_jetson.engines.tensorrt_api import INT8
from ccc_jetson.engines.tensorrt_log import OutOfMemory
from ccc_jetson.engines.worker import Worker
from ccc_jetson.errors import BuildError, CccError
from ccc_jetson.int8_agreement import MARGIN
from ccc_jetson.int8_errors import Int8Error

_BY_INT8 = "the layers that ccc-calibrate found to lose most in INT8 are the first to be kept in FP32"
_BY_FP16 = (
    "which layers lose most in INT8 was not measured for these ranges (ccc-calibrate does), so those that lose most in "
    "FP16 are the first to be kept in FP32"
)


class Files(NamedTuple):
    """``calibration_cache`` and ``timing_cache`` are read, the others written; empty names mean none.

    ``calibration_algorithm`` is the cache's, a key of ``tensorrt_callbacks.ALGORITHMS``; ``kept`` are the patterns of
    layers that its provenance keeps out of INT8.
    """

    plan: str
    timing_cache: str
    timing_cache_out: str
    calibration_cache: str
    calibration_algorithm: str
    kept: Tuple[str, ...] = ()


class Finished(NamedTuple):
    """The engine that passed.

    ``workspace_mib`` is what its builder was given, ``builds`` how many there were, ``first_milliseconds`` a run of the
    engine that failed the gate, 0 where the first one passed.
    """

    outcome: Outcome
    workspace_mib: int
    builds: int
    first_milliseconds: float


class Attempts:
    """Builds with a worker until an engine passes.

    Args:
        worker: the process that has TensorRT.
        model, facts, settings: what is built, on what, and how.
        files: where everything lies.
        workspace_mib: of the first build.
        on_event: told of every build (``building``), and of what makes another one necessary (``stage``, ``note``).
        keep: called after every build, whatever the gate says of it: what was timed is worth keeping.
        bounds: what the gate asks for.
        int8_errors: what INT8 was found to cost single layers.
    """

    def __init__(
        self,
        worker: Worker,
        model: OnnxModel,
        facts: Facts,
        settings: Settings,
        files: Files,
        workspace_mib: int,
        on_event: Callable[[Dict[str, Any]], None],
        keep: Callable[[Outcome], None],
        bounds: Bounds = Bounds(),  # noqa: B008, it is immutable
        int8_errors: Tuple[Int8Error, ...] = (),
    ) -> None:
        self._worker, self._model, self._facts, self._settings = worker, model, facts, settings
        self._files, self._workspace, self._on_event, self._keep = files, workspace_mib, on_event, keep
        self._bounds, self._int8_errors = bounds, int8_errors
        self._builds = 0

    def until_one_passes(self) -> Finished:
        """Builds.

        Raises:
            BuildError: none passed, or there is no memory for one.
        """
        first = outcome = self._built(())
        for pins in self._pin_sets(first):
            text = "the gate failed: {}; building again with the layers of {} tensors in FP32"
            self._say("stage", text.format(self._worst_frame(outcome), len(pins)))
            try:
                outcome = self._built(pins)
            except OutOfMemory:
                raise
            except BuildError as error:  # not every layer has an implementation in FP32; a larger set may have one
                self._say("note", _first_line(error))
            if not _has_failed(outcome):
                break
        if _has_failed(outcome):
            raise self._failure(first, outcome)
        return Finished(outcome, self._workspace, self._builds, 0.0 if outcome is first else first.milliseconds)

    def _pin_sets(self, first: Outcome) -> Iterator[Tuple[str, ...]]:
        """What to keep in FP32 after the first build; nothing if it has passed.

        Nothing, too, where nothing can be pinned: FP32 has nothing to keep, and a typed network states its types.
        """
        possible = self._settings.precisions and self._facts.has_precision_flags and not self._model.strongly_typed
        if first.gate is None or first.gate.passed or not possible:
            return iter(())
        live = tensors_behind(self._model.file, output_name(self._model.contract, self._settings.output))
        finite = all(frame.finite for frame in first.gate.frames)
        errors = errors_by_tensor(self._model.file, self._int8_errors, live)
        sets = list(pin_sets([each for each in self._model.ranges if each.tensor in live], finite, errors))
        if sets and finite and INT8 in self._settings.precisions:
            self._say("note", _BY_INT8 if errors else _BY_FP16)
        return iter(sets)

    def _built(self, pins: Tuple[str, ...]) -> Outcome:
        while True:
            self._builds += 1
            self._on_event({"event": "building", "workspace_mib": self._workspace, "build": self._builds})
            try:
                outcome = self._worker.build(self._job(pins))
                self._keep(outcome)
                if os.path.exists(self._files.timing_cache_out):  # what was timed need not be timed again
                    self._files = self._files._replace(timing_cache=self._files.timing_cache_out)
                return outcome
            except OutOfMemory as error:
                smaller = smaller_workspace(self._workspace)
                if smaller is None:
                    raise
                self._say("note", "{}; trying again with a workspace of {} MiB".format(_first_line(error), smaller))
                self._workspace = smaller

    def _job(self, pins: Tuple[str, ...]) -> Job:
        settings, files = self._settings, self._files
        return Job(
            model=os.path.realpath(self._model.path),
            plan=files.plan,
            contract=self._model.contract.to_json(),
            strongly_typed=self._model.strongly_typed,
            precisions=settings.precisions,
            output=settings.output,
            layer_precisions=settings.layer_precisions,
            pinned=pins,
            workspace_mib=self._workspace,
            dla_core=settings.dla_core,
            timing_cache_in=files.timing_cache,
            timing_cache_out=files.timing_cache_out,
            calibration_cache=files.calibration_cache,
            calibration_algorithm=files.calibration_algorithm,
            kept=files.kept,
            judge=settings.gate,
            bounds=self._bounds,
        )

    def _failure(self, first: Outcome, last: Outcome) -> CccError:
        found = self._worst_frame(first)
        if last is not first:
            found += "; with {} layers in FP32, {}".format(len(last.pinned), self._worst_frame(last))
        asked = "{:.1%} of the decided pixels of every golden frame must keep their class".format(self._bounds.least)
        if self._bounds.frames:
            asked = "as many as calibration found must keep theirs, less {:.0%}".format(MARGIN)
        if self._model.contract.is_classifier:
            asked = "every golden picture must keep its class, or get one that FP32 found as good"
        return BuildError(
            "the engine does not see what the network saw: {}. {}; nothing was written".format(found, asked),
            hint=self._cure(),
        )

    def _worst_frame(self, outcome: Outcome) -> str:
        """The frame that fares worst, in words; of an engine that was judged."""
        assert outcome.gate is not None
        worst = min(outcome.gate.frames, key=quality)
        text = "{!r} keeps the class of {:.3%} of its decided pixels".format(worst.name, worst.decided)
        if self._bounds.frames:
            text += " ({:.3%} were required)".format(worst.required)
        if self._model.contract.is_classifier:
            text = "{!r} {} its class".format(worst.name, "keeps" if worst.agreement else "loses")
        return text if worst.finite else text + " and holds NaN or infinite values"

    def _cure(self) -> str:
        if self._model.strongly_typed:
            return "export it without --fp16, and build it with --fp32"
        if self._model.quantized:
            return "build the float model that it was made of; --min-agreement PERCENT says what you accept"
        in_int8 = INT8 in self._settings.precisions
        if in_int8 and not self._bounds.frames:
            return (
                "ccc-calibrate, on the workstation, tells what INT8 leaves of each golden frame, and the gate asks for "
                "that; --min-agreement PERCENT says what you accept; or build with --fp16"
            )
        if in_int8:
            return (
                "ccc-build-engine --fp16 {}; or another --method, or --max-drop, of ccc-calibrate; --min-agreement "
                "PERCENT says what you accept".format(self._model.path)
            )
        if self._settings.precisions:
            return "ccc-build-engine --fp32 {}; --no-gate writes the engine unjudged".format(self._model.path)
        return "export it again with ccc-export; if it fails again, report it with the TensorRT version"

    def _say(self, event: str, text: str) -> None:
        self._on_event({"event": event, "text": text})


def _has_failed(outcome: Outcome) -> bool:
    return outcome.gate is not None and not outcome.gate.passed


def _first_line(error: CccError) -> str:
    """An error without TensorRT's own words."""
    return str(error).splitlines()[0].split("; TensorRT says")[0]
