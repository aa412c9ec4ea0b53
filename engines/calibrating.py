"""What a build is handed for INT8, and the build that measures ranges.

How a cache looks, where it comes from and which frames calibrate, ``calib`` knows: a command hands its answer in.
"""

import os
from typing import Any, Callable, Dict, NamedTuple, Tuple

from ccc_jetson.contract import Contract
from ccc_jetson.engines.job import Job
from ccc_jetson.engines.manifest import Settings
from ccc_jetson.engines.onnx_model import OnnxModel
from ccc_jetson.engines.preflight import smaller_workspace
from ccc_jetson.engines.tensorrt_api import FP16, FP32, INT8
from ccc_jetson.engines.tensorrt_log import OutOfMemory
from ccc_jetson.engines.timing_cache import load, store
from ccc_jetson.engines.worker import Worker
from ccc_jetson.files import read_bytes, sha256_of, write_bytes
from ccc_jetson.int8_agreement import FrameAgreement
from ccc_jetson.int8_errors import Int8Error

CACHE_SUFFIX = ".calib"  # of a cache that was measured for an engine, behind the engine's own name


class Frames(NamedTuple):
    """Frames to calibrate on, as they cross to the process with TensorRT.

    ``frames`` are ``calib.sources.Candidate``'s fields, ``fit`` one of ``choices.FITS``, ``algorithm`` a key of
    ``tensorrt_callbacks.ALGORITHMS``.
    """

    frames: Tuple[Tuple[str, str, int, str], ...]
    fit: str
    algorithm: str


class Ranges(NamedTuple):
    """A calibration cache that may be used for the model.

    ``algorithm`` is the key of ``tensorrt_callbacks.ALGORITHMS`` whose calibrator takes it; ``layer_precisions`` are
    (pattern, precision) of layers to be kept out of INT8; ``agreement`` is what INT8 was found to leave of the golden
    frames, ``layer_errors`` what it costs the layers that lose most; both are empty where nobody simulated it.
    """

    cache: str
    algorithm: str
    layer_precisions: Tuple[Tuple[str, str], ...]
    agreement: Tuple[FrameAgreement, ...] = ()
    layer_errors: Tuple[Int8Error, ...] = ()


class RangeRequest(NamedTuple):
    """What ranges are wanted for: a model on a machine with this TensorRT, and the engine that is to be written.

    ``measure`` gives the calibration cache that TensorRT makes of frames; ``note`` takes sentences for the user.
    """

    contract: Contract
    onnx_sha256: str
    tensorrt: str
    engine: str
    measure: Callable[[Frames], bytes]
    note: Callable[[str], None]


class RangeSource(NamedTuple):
    """Where INT8's ranges come from (``calib.for_builds``).

    ``reads`` are files that nothing may be written over; ``measures`` says whether a cache is written beside the
    engine; ``resolve`` finds the ranges, or raises a CccError.
    """

    reads: Tuple[str, ...]
    measures: bool
    resolve: Callable[[RangeRequest], Ranges]


class RangeFinder:
    """Finds INT8's ranges for one build.

    Args:
        worker: the process that has TensorRT.
        model, settings: what is built, and how.
        workspace: gives the scratch memory for a build that measures, in MiB; less is tried where memory runs out.
        timing_cache: the file, or "" for none.
        on_event: told what happens, as by a build.
    """

    def __init__(
        self,
        worker: Worker,
        model: OnnxModel,
        settings: Settings,
        workspace: Callable[[], int],
        timing_cache: str,
        on_event: Callable[[Dict[str, Any]], None],
    ) -> None:
        self._worker, self._model, self._settings = worker, model, settings
        self._workspace, self._timing_cache, self._on_event = workspace, timing_cache, on_event

    def find(self, source: RangeSource, tensorrt: str, engine: str) -> Ranges:
        """The ranges from ``source`` for TensorRT's version ``tensorrt``, measured here where it names frames."""
        model = self._model
        return source.resolve(RangeRequest(model.contract, model.sha256, tensorrt, engine, self._measured, self._note))

    def _note(self, text: str) -> None:
        self._on_event({"event": "note", "text": text})

    def _measured(self, frames: Frames) -> bytes:
        """The calibration cache that TensorRT makes of frames.

        TensorRT measures only on its way to an engine. That engine is thrown away: its ends are FP32, as calibration
        wants its data, and the real one is built from the cache, as from any other. What was timed is kept for it.
        """
        before, after, cache = (
            self._worker.path("calibration." + name) for name in ("timing.in", "timing.out", "cache")
        )
        known = load(self._timing_cache) if self._timing_cache else b""
        if known:
            write_bytes(before, known)
        job = self._job()._replace(
            timing_cache_in=before if known else "", timing_cache_out=after if self._timing_cache else ""
        )
        self._calibrate(job, frames, cache)
        if os.path.exists(after):
            problem = store(self._timing_cache, load(after))
            if problem:
                self._note(problem)
        return read_bytes(cache)

    def _calibrate(self, job: Job, frames: Frames, cache: str) -> None:
        nodes = len(self._model.file.nodes)
        while True:
            event = {"event": "building", "what": "calibrating", "workspace_mib": job.workspace_mib, "build": 1}
            self._on_event(dict(event, expected_seconds=None, nodes=nodes))
            try:
                self._worker.calibrate(job, list(frames), cache)
                return
            except OutOfMemory as error:
                smaller = smaller_workspace(job.workspace_mib)
                if smaller is None:
                    raise
                text = "{}; calibrating again with a workspace of {} MiB"
                self._note(text.format(str(error).splitlines()[0], smaller))
                job = job._replace(workspace_mib=smaller)

    def _job(self) -> Job:
        return Job(
            model=os.path.realpath(self._model.path),
            plan="",
            contract=self._model.contract.to_json(),
            strongly_typed=False,
            precisions=(INT8,),
            output=self._settings.output,
            layer_precisions=(),
            pinned=(),
            workspace_mib=self._workspace(),
            dla_core=None,
            timing_cache_in="",
            timing_cache_out="",
            calibration_cache="",
            calibration_algorithm="",
            judge=False,
        )


def with_ranges(settings: Settings, ranges: Ranges) -> Settings:
    """What the calibration keeps out of INT8 comes first, so that the user's own wishes count in the end.

    FP16 there means that it is good enough; an engine that may not use FP16 has those layers in FP32.
    """
    allowed = FP16 in settings.precisions
    kept = tuple((name, precision if allowed else FP32) for name, precision in ranges.layer_precisions)
    layers = kept + settings.layer_precisions
    return settings._replace(calibration_cache=sha256_of(ranges.cache), layer_precisions=layers)
