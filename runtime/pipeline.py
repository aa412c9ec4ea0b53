"""Frames to results with three threads, so that the slowest stage sets the pace and not the sum of all.

    capture thread --frames--> compute thread (owns the backend) --results--> calling thread (sinks)

From a file nothing is lost: a full queue makes the reader wait. From a camera only the newest frame waits, and what it
replaces is counted as dropped, so that results are never older than one frame.
"""

import threading
import time
from typing import Callable, List, NamedTuple, Optional, Sequence

import numpy as np

from ccc_jetson.runtime.backends import COMPUTE_STAGES, Backend
from ccc_jetson.runtime.frames import FrameSource
from ccc_jetson.runtime.handoff import Handoff
from ccc_jetson.runtime.metrics import StageSummary, StageTimes
from ccc_jetson.runtime.sinks import Sink

STAGES = ("capture",) + COMPUTE_STAGES + ("sink",)
THREADS = (("capture",), COMPUTE_STAGES, ("sink",))  # stages that share a thread add up
_WAITING = 2  # items between two threads: one would stall on jitter, more only cost memory


class Measured(NamedTuple):
    """What a run has measured. ``frames`` reached the end of the sinks, ``dropped`` were replaced by newer ones.

    ``wall_s`` runs from the start of the first capture to the end of the last frame's sinks; the model is loaded and
    has run once before. ``latency`` is of a frame from captured to sunk; empty where no frame got there.
    """

    frames: int
    dropped: int
    wall_s: float
    stages: List[StageSummary]
    latency: List[StageSummary]
    backend: str

    @property
    def fps(self) -> float:
        """Frames per second of ``wall_s``, end to end."""
        return self.frames / self.wall_s if self.wall_s > 0 else 0.0


class Pipeline:
    """One run of a source through a backend into sinks.

    Args:
        source: read in a thread of its own; stays the caller's to close.
        open_backend: called in the compute thread, which also closes what it returns.
        sinks: written in the calling thread, in this order; stay the caller's to close.
        limit: of frames, None for all.
        stop: set from anywhere, ends the run after the frames that are under way.
    """

    def __init__(
        self,
        source: FrameSource,
        open_backend: Callable[[], Backend],
        sinks: Sequence[Sink] = (),
        limit: Optional[int] = None,
        stop: Optional[threading.Event] = None,
    ) -> None:
        self._source = source
        self._open_backend = open_backend
        self._sinks = tuple(sinks)
        self._limit = limit
        self._stop = threading.Event() if stop is None else stop
        self._frames = Handoff(1 if source.live else _WAITING, newest_only=source.live)
        self._results = Handoff(_WAITING)
        self._ready = threading.Event()
        self._failure: Optional[BaseException] = None
        self._lock = threading.Lock()
        self._times = StageTimes(STAGES)
        self._latency = StageTimes(("latency",))
        self._started_s = self._ended_s = 0.0
        self._done = 0
        self._backend = ""

    @property
    def measured(self) -> Measured:
        """What has been measured so far; also after a run that failed."""
        return Measured(
            self._done,
            self._frames.dropped,
            max(0.0, self._ended_s - self._started_s),
            self._times.summaries(),
            self._latency.summaries(),
            self._backend,
        )

    def run(self, on_frame: Callable[[], None] = lambda: None) -> Measured:
        """Runs to the end; to be called once.

        Whatever a thread raises ends the run and is raised here; frames that were complete before it still reach the
        sinks, unless it was a sink that failed. No thread is left in any case.

        Args:
            on_frame: called after each frame, in the calling thread.
        """
        compute = threading.Thread(target=self._guarded, args=(self._compute,), name="ccc-compute", daemon=True)
        capture = threading.Thread(target=self._guarded, args=(self._capture,), name="ccc-capture", daemon=True)
        running = [compute]
        compute.start()
        try:
            self._ready.wait()  # a camera's frames would be dropped while the model loads
            self._started_s = self._ended_s = time.monotonic()
            capture.start()
            running.append(capture)
            self._sink(on_frame)
        except BaseException:
            self._stop.set()
            self._frames.cancel()
            self._results.cancel()
            raise
        finally:
            for thread in running:
                thread.join()
        if self._failure is not None:
            raise self._failure
        return self.measured

    def _guarded(self, work: Callable[[], None]) -> None:
        """Runs a thread's work; keeps the first exception of all threads for ``run``."""
        try:
            work()
        except BaseException as error:
            with self._lock:
                if self._failure is None:
                    self._failure = error
            self._stop.set()

    def _capture(self) -> None:
        try:
            read = 0
            # The compute thread counts a camera's frames, because some are dropped on the way
            limit = None if self._source.live else self._limit
            while not self._stop.is_set() and read != limit:
                started_s = time.monotonic()
                frame = self._source.read()
                if frame is None:
                    break
                self._times.add("capture", time.monotonic() - started_s)
                read += 1
                if not self._frames.put(frame):
                    break
        finally:
            self._frames.end()

    def _compute(self) -> None:
        try:
            backend = self._open_backend()
            try:
                self._backend = backend.description
                given = backend.contract.input
                backend.infer(np.zeros((given.height, given.width, 3), np.uint8))  # the first one allocates
                self._ready.set()
                self._compute_all(backend)
            finally:
                backend.close()
        finally:
            self._ready.set()
            self._frames.cancel()
            self._results.end()

    def _compute_all(self, backend: Backend) -> None:
        computed = 0
        while computed != self._limit:
            frame = self._frames.get()
            if frame is None:
                break
            segmentation = backend.infer(frame.image)
            self._times.add_all(segmentation.seconds)
            computed += 1
            if not self._results.put((frame, segmentation)):
                break

    def _sink(self, on_frame: Callable[[], None]) -> None:
        while True:
            result = self._results.get()
            if result is None:
                break
            frame, segmentation = result
            started_s = time.monotonic()
            for sink in self._sinks:
                sink.write(frame, segmentation)
            self._ended_s = time.monotonic()
            self._times.add("sink", self._ended_s - started_s)
            self._latency.add("latency", self._ended_s - frame.captured_s)
            self._done += 1
            on_frame()


def bottleneck(measured: Measured, live: bool) -> str:
    """One sentence: which thread sets the pace, and which of its stages; empty where nothing was measured."""
    means_ms = {each.name: each.mean_ms for each in measured.stages}
    if not means_ms:
        return ""
    thread = max(THREADS, key=lambda stages: sum(means_ms.get(stage, 0.0) for stage in stages))
    total_ms = sum(means_ms.get(stage, 0.0) for stage in thread)
    stage = max(thread, key=lambda name: means_ms.get(name, 0.0))
    if live and thread == ("capture",):
        return "the camera: it delivers a frame every {:.1f} ms, everything else is faster".format(total_ms)
    share = means_ms[stage] / total_ms if total_ms > 0 else 1.0
    if len(thread) == 1:
        return "{}: {:.1f} ms a frame, more than any other stage".format(stage, total_ms)
    return "{}: {:.1f} ms a frame, {:.0f} % of the compute thread's {:.1f} ms".format(
        stage, means_ms[stage], 100.0 * share, total_ms
    )
