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
from ccc_jetson.engines.tensorrt_api import INT8
from ccc_jetson.engines.tensorrt_log import OutOfMemory
from ccc_jetson.engines.timing_cache import load, store
from ccc_jetson.engines.worker import Worker
from ccc_jetson.files import read_bytes, write_bytes

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
    (pattern, precision) of layers to be kept out of INT8.
    """

    cache: str
    algorithm: str
    layer_precisions: Tuple[Tuple[str, str], ...]


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


def measure(
    worker: Worker,
    model: OnnxModel,
    settings: Settings,
    workspace: int,
    timing_cache: str,
    frames: Frames,
    on_event: Callable[[Dict[str, Any]], None],
) -> bytes:
    """The calibration cache that TensorRT makes of frames.

    TensorRT measures only on its way to an engine. That engine is thrown away: its ends are FP32, as calibration wants
    its data, and the real one is built from the cache, as from any other. What was timed is kept for it.

    Args:
        workspace: in MiB; less is tried where memory runs out.
        timing_cache: the file, or "" for none.

    Raises:
        OutOfMemory, BuildError, FileProblem: as ``Worker.build``, and for frames that cannot be read.
    """
    before, after, cache = (worker.path(name) for name in ("calibration.timing.in", "calibration.timing.out", "ranges"))
    known = load(timing_cache) if timing_cache else b""
    if known:
        write_bytes(before, known)
    while True:
        job = _job(worker, model, settings, workspace)._replace(
            timing_cache_in=before if known else "", timing_cache_out=after if timing_cache else ""
        )
        event = {"event": "building", "what": "calibrating", "workspace_mib": workspace, "build": 1}
        on_event(dict(event, expected_seconds=None, nodes=len(model.file.nodes)))
        try:
            worker.calibrate(job, list(frames), cache)
            break
        except OutOfMemory as error:
            smaller = smaller_workspace(workspace)
            if smaller is None:
                raise
            text = "{}; calibrating again with a workspace of {} MiB"
            on_event({"event": "note", "text": text.format(str(error).splitlines()[0], smaller)})
            workspace = smaller
    if timing_cache and os.path.exists(after):
        problem = store(timing_cache, load(after))
        if problem:
            on_event({"event": "note", "text": problem})
    return read_bytes(cache)


def _job(worker: Worker, model: OnnxModel, settings: Settings, workspace: int) -> Job:
    return Job(
        model=os.path.realpath(model.path),
        plan=worker.path("calibration.plan"),
        contract=model.contract.to_json(),
        strongly_typed=False,
        precisions=(INT8,),
        output=settings.output,
        layer_precisions=(),
        pinned=(),
        workspace_mib=workspace,
        dla_core=None,
        timing_cache_in="",
        timing_cache_out="",
        calibration_cache="",
        calibration_algorithm="",
        judge=False,
    )
