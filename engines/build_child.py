"""The process that has TensorRT; ``worker.py`` starts it as ``main(FOLDER[, "verbose"])``.

It answers requests (``job.py``) line by line: what this machine has, and builds. It is a process of its own because the
kernel kills a builder that takes too much memory, and because a fault in a driver ends it: the supervising process
turns either into a sentence. When that one goes away, standard input ends, and so does this process, at once, even in
the middle of a build; ``FOLDER``, which holds only what is unfinished, goes with it.
"""

import contextlib
import os
import queue
import re
import shutil
import statistics
import sys
import threading
import time
import traceback
from typing import Any, BinaryIO, Callable, Dict, List

from ccc_jetson.contract import Contract
from ccc_jetson.engines.job import MIN_RUNS, Facts, Job, LayerProfile, LayerTime, Outcome, decode, encode
from ccc_jetson.engines.tensorrt_callbacks import Guard
from ccc_jetson.engines.tensorrt_log import INFO, VERBOSE, OutOfMemory, TensorRTLog
from ccc_jetson.errors import CccError, FileProblem

MODULE = "ccc_jetson.engines.build_child"
# --------------- Timing Runner: Conv_12 + Relu_13 (CudnnConvolution)
# --------------- Timing Runner: Conv_12 + Relu_13 (CaskConvolution[0x80000009]), from 8.5 on
_TIMED_LAYER = re.compile(r"Timing Runner: (.+) \([^()]*\)")
_LAYER_EVERY_S = 0.2


class Session:
    """TensorRT and CUDA in this process, opened with the first request."""

    def __init__(self, send: Callable[[Dict[str, Any]], None], verbose: bool) -> None:
        from ccc_jetson.engines.cuda import Cuda
        from ccc_jetson.engines.tensorrt_api import TensorRT, import_tensorrt

        self._send, self._verbose = send, verbose
        self._layer_sent = 0.0
        self.guard = Guard()
        # before there is a context to close: its absence is the commoner trouble
        self.api = TensorRT(import_tensorrt(), TensorRTLog(), self.guard, self._message)
        self.cuda = Cuda()

    def _message(self, severity: str, text: str) -> None:
        """Warnings and errors are handed on, everything if asked for; of the rest only which layer is being timed."""
        if self._verbose or severity not in (INFO, VERBOSE):
            self._send({"event": "log", "severity": severity, "text": text})
        found = _TIMED_LAYER.search(text) if severity == VERBOSE else None
        if found and time.monotonic() - self._layer_sent > _LAYER_EVERY_S:
            self._layer_sent = time.monotonic()
            self._send({"event": "layer", "name": found.group(1)})

    def facts(self) -> Facts:
        """What this machine has, asked of the hardware."""
        from ccc_jetson.engines.tensorrt_api import FP16, INT8

        builder, device = self.api.builder(), self.cuda.facts()
        return Facts(
            tensorrt=self.api.version,
            cuda=device.cuda,
            device=device.name,
            sm=device.sm,
            integrated=device.integrated,
            free_bytes=device.free_bytes,
            fast_fp16=self.api.is_fast(builder, FP16),
            fast_int8=self.api.is_fast(builder, INT8),
            has_precision_flags=self.api.has_precision_flags,
        )

    def build(self, job: Job) -> Outcome:
        """Builds, writes the plan, and runs it where it is to be judged or measured."""
        from ccc_jetson.engines.builder import build_plan
        from ccc_jetson.files import write_bytes

        contract = Contract.from_json(job.contract.encode("utf-8"), job.model)

        def on_phase(name: str, done: int, steps: int) -> None:
            self._send({"event": "phase", "name": name, "done": done, "steps": steps})

        built = build_plan(self.api, self.guard, job, contract, on_phase)
        write_bytes(job.plan, built.plan)
        if job.timing_cache_out:
            try:
                write_bytes(job.timing_cache_out, built.timing_cache)
            except FileProblem as error:  # it costs the next build some time, and this one nothing
                self._send({"event": "note", "text": "the timing cache is not kept: {}".format(error)})
        outcome = Outcome((), None, built.pinned, built.seconds, built.timing_cache_reused, 0.0)
        self._send({"event": "built", "seconds": built.seconds, "bytes": len(built.plan)})
        return self._run(job, contract, built.plan, outcome)

    def _run(self, job: Job, contract: Contract, plan: bytes, outcome: Outcome) -> Outcome:
        """Loads the plan as any program will; judges and times it where that was asked for."""
        from ccc_jetson.engines.gate import judge
        from ccc_jetson.engines.loaded import LoadedEngine
        from ccc_jetson.engines.manifest import FEATURES
        from ccc_jetson.golden import read_golden
        from ccc_jetson.head import read_head
        from ccc_jetson.onnx_file import read_onnx

        with LoadedEngine(self.api, self.cuda, plan, "the new engine", job.dla_core) as engine:
            outcome = outcome._replace(bindings=engine.bindings)
            if job.judge:
                onnx_file = read_onnx(job.model)
                (given,), (found,) = engine.inputs, engine.outputs
                gate = judge(
                    contract,
                    job.output,
                    read_head(contract, onnx_file, job.model) if job.output == FEATURES else None,
                    read_golden(contract, onnx_file, job.model),
                    lambda image: engine.run({given.name: image})[found.name],
                    job.bounds,
                )
                outcome = outcome._replace(gate=gate, milliseconds=engine.milliseconds(MIN_RUNS))
        return outcome

    def calibrate(self, job: Job, frames: List[Any], cache: str) -> None:
        """Measures ranges on frames (the fields of ``calibrating.Frames``); writes the cache that TensorRT makes."""
        from ccc_jetson.calib.calibrator import DeviceBatches
        from ccc_jetson.calib.images import CalibrationImages
        from ccc_jetson.calib.sources import Candidate
        from ccc_jetson.engines.builder import build_plan
        from ccc_jetson.errors import BuildError
        from ccc_jetson.files import write_bytes

        chosen, fit, algorithm = frames
        contract = Contract.from_json(job.contract.encode("utf-8"), job.model)
        images = CalibrationImages(contract, [Candidate(*each) for each in chosen], fit)
        done: List[None] = []

        def on_frame() -> None:
            done.append(None)
            on_phase("calibrating", len(done), len(images))

        def on_phase(name: str, count: int, steps: int) -> None:
            self._send({"event": "phase", "name": name, "done": count, "steps": steps})

        with DeviceBatches(self.cuda, contract, images, on_frame) as batches:
            built = build_plan(self.api, self.guard, job, contract, on_phase, batches.calibration(algorithm))
        if not built.calibration_cache:
            raise BuildError("TensorRT built an engine without asking for calibration data", hint="build with --fp16")
        write_bytes(cache, built.calibration_cache)
        if job.timing_cache_out:
            write_bytes(job.timing_cache_out, built.timing_cache)

    def profile(self, path: str, runs: int) -> LayerProfile:
        """Measures every layer of an engine with a manifest."""
        from ccc_jetson.engines.opening import open_engine

        times: Dict[str, List[float]] = {}
        with open_engine(self.api, self.cuda, path).engine as engine:
            engine.profile(runs, lambda name, ms: times.setdefault(name, []).append(ms))
            information = engine.layer_information()
        return LayerProfile(
            tuple(LayerTime(name, statistics.median(each)) for name, each in times.items()), information
        )

    def close(self) -> None:
        self.cuda.close()


def _answer(session: Session, request: Dict[str, Any]) -> Dict[str, Any]:
    if request["do"] == "facts":
        return {"facts": list(session.facts())}
    if request["do"] == "profile":
        return {"profile": list(session.profile(request["plan"], request["runs"]))}
    if request["do"] == "calibrate":
        session.calibrate(Job.from_record(request["job"]), request["frames"], request["cache"])
        return {}
    return {"outcome": session.build(Job.from_record(request["job"])).to_record()}


def serve(requests: Any, send: Callable[[Dict[str, Any]], None], verbose: bool) -> None:
    """Answers every request of an iterable, then closes what was opened."""
    session = None
    try:
        for request in requests:
            try:
                if session is None:
                    session = Session(send, verbose)
                send(dict(_answer(session, request), event="done"))
            except CccError as error:
                kind = "memory" if isinstance(error, OutOfMemory) else type(error).__name__
                send({"event": "failed", "kind": kind, "message": str(error), "hint": error.hint})
            except Exception:  # a defect of ours, or a TensorRT unlike any that was tried: the parent shows it
                send({"event": "failed", "kind": "unexpected", "message": traceback.format_exc(), "hint": ""})
    finally:
        if session is not None:
            session.close()


def _listen(stream: BinaryIO, requests: Any, folder: str) -> None:
    """Hands requests over; when their sender is gone, ends the process, whatever TensorRT is doing.

    An empty line is the sender's goodbye: everything is closed in order then.
    """
    for line in iter(stream.readline, b""):
        requests.put(decode(line) if line.strip() else None)
        if not line.strip():
            return
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _volunteer() -> None:
    """If the kernel must kill somebody for want of memory, then this process: its supervisor can say so."""
    with contextlib.suppress(OSError):
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")


def main(folder: str, *options: str) -> None:
    """Serves standard input until it ends; the option ``verbose`` hands on all that TensorRT says."""
    # TensorRT and CUDA may print: what is theirs goes to standard error, standard output is for answers alone
    answers = os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)
    _volunteer()
    lock = threading.Lock()

    def send(message: Dict[str, Any]) -> None:
        line = encode(message)
        with lock:  # the builder of TensorRT 10 calls back from several threads
            answers.write(line)

    requests: Any = queue.Queue()
    arguments = (sys.stdin.buffer, requests, folder)
    threading.Thread(target=_listen, args=arguments, name="requests", daemon=True).start()
    serve(iter(requests.get, None), send, "verbose" in options)
