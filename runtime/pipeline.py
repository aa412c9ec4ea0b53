"""Frames to results with three threads, so that the slowest stage sets the pace and not the sum of all.

    capture thread --frames--> compute thread (owns the backend) --results--> calling thread (sinks)

From a file nothing is lost: a full queue makes the reader wait, and two frames are under way in the backend, so that it
never waits for the CPU. From a camera only the newest frame waits, and what it replaces is counted as dropped; the next
one is taken when the backend is done with the last, for it would only grow old inside.

The capturing thread also brings each frame to where the backend wants it, while that computes the one before. It has a
thread under it that reads, and is left alone where it hangs after the run was to end: in a decoder, on a dead disk.
"""

import collections
import threading
import time
from typing import Any, Callable, Deque, List, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson.runtime.backends import COMPUTE_STAGES, Backend
from ccc_jetson.runtime.frames import Frame, FrameSource
from ccc_jetson.runtime.frames.details import SourceDetails
from ccc_jetson.runtime.handoff import Handoff
from ccc_jetson.runtime.metrics import Counters, Distribution, StageSummary, StageTimes
from ccc_jetson.runtime.sinks import Sink
from ccc_jetson.runtime.timeline import Timeline, TimelineRecorder

STAGES = ("capture", "copy in") + COMPUTE_STAGES + ("sink",)
# stages that share a thread add up
THREADS = {"capture": ("capture", "copy in"), "compute": COMPUTE_STAGES, "sink": ("sink",)}
TO_SINKS, TO_CLASS_MAP = "captured to sunk", "captured to class map"
_WAITING = 2  # items between two threads: one would stall on jitter, more only cost memory
_PATIENCE_S = 10.0  # with a thread that should end, when the user wants to leave
_LOOK_S = 0.2  # between two looks at whether the run is to end
_LET_GO_S = 2.0  # for a source to give what it is reading when the run is to end


class Measured(NamedTuple):
    """What a run has measured. ``frames`` reached the end of the sinks, ``dropped`` were replaced by newer ones,
    in the source or behind it, until the last frame was computed: a camera goes on while a run ends.

    ``wall_s`` runs from the start of the first capture to the end of the last frame's sinks; the model is loaded and
    warm before. ``latency`` is of frames ``TO_SINKS`` and ``TO_CLASS_MAP``; empty where none got there. ``backend`` is
    its description, ``facts`` what else there is to know of it. ``timeline`` is of the frames and their latencies
    ``TO_SINKS``, ``distributions`` of each stage's and each latency's durations, by name.
    """

    frames: int
    dropped: int
    wall_s: float
    stages: List[StageSummary]
    latency: List[StageSummary]
    backend: str
    facts: Tuple[Tuple[str, str], ...] = ()
    started_s: float = 0.0  # of the first capture, by time.monotonic()
    timeline: Optional[Timeline] = None
    distributions: Tuple[Tuple[str, Distribution], ...] = ()

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
        self._frames = Handoff(1 if source.live else _WAITING, source.live, self._discard)
        self._results = Handoff(_WAITING)
        self._opened: Optional[Backend] = None
        self._staging = threading.Lock()
        self._ready = threading.Event()
        self._failure: Optional[BaseException] = None
        self._lock = threading.Lock()
        self._times = StageTimes(STAGES)
        self._latency = StageTimes((TO_SINKS, TO_CLASS_MAP))
        self._timeline = TimelineRecorder()
        self._started_s = self._ended_s = 0.0
        self._done = 0
        self._at_end: Optional[Tuple[int, Optional[SourceDetails]]] = None
        self._backend: Tuple[str, Tuple[Tuple[str, str], ...]] = ("", ())
        for sink in self._sinks:
            sink.watch(lambda: self.counters)

    @property
    def measured(self) -> Measured:
        """What has been measured so far; also after a run that failed."""
        wall_s = max(0.0, self._ended_s - self._started_s)
        return Measured(
            self._done,
            self._dropped,
            wall_s,
            self._times.summaries(),
            self._latency.summaries(),
            *self._backend,
            started_s=self._started_s,
            timeline=self._timeline.timeline(wall_s),
            distributions=(*self._times.distributions().items(), *self._latency.distributions().items()),
        )

    @property
    def counters(self) -> Counters:
        """Running totals, cheap enough to be asked for with every frame, from any thread."""
        return Counters(self._done, self._dropped, self._times.totals())

    @property
    def details(self) -> Optional[SourceDetails]:
        """The source's, of the same moment as ``Measured.dropped``."""
        return self._source.details if self._at_end is None else self._at_end[1]

    @property
    def _dropped(self) -> int:
        return self._frames.dropped + self._source.replaced if self._at_end is None else self._at_end[0]

    def run(self, on_frame: Callable[[], None] = lambda: None) -> Measured:
        """Runs to the end; to be called once.

        Whatever a thread raises ends the run and is raised here; frames that were complete before it still reach the
        sinks, unless it was a sink that failed. No thread is left, but one that hangs in a source for two seconds after
        ``stop``, or in a driver for ten after Ctrl-C.

        Args:
            on_frame: called after each frame, in the calling thread.
        """
        compute = threading.Thread(target=self._guarded, args=(self._compute,), name="ccc-compute", daemon=True)
        capture = threading.Thread(target=self._guarded, args=(self._capture,), name="ccc-capture", daemon=True)
        try:
            compute.start()
            self._ready.wait()  # a camera's frames would be dropped while the model loads
            self._started_s = self._ended_s = time.monotonic()
            if self._opened is not None:
                capture.start()
            self._sink(on_frame)
        except BaseException:
            self._stop.set()
            self._frames.cancel()
            self._results.cancel()
            raise
        finally:
            _join([compute, capture])
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
        reading = threading.Thread(target=self._guarded, args=(self._read,), name="ccc-reading", daemon=True)
        reading.start()
        while reading.is_alive():
            reading.join(_LOOK_S)
            if self._stop.is_set():
                reading.join(_LET_GO_S)
                break
        self._frames.end()

    def _read(self) -> None:
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
                if not self._frames.put((frame, self._staged(frame))):
                    break
        finally:
            self._frames.end()

    def _staged(self, frame: Frame) -> Any:
        """The frame where the backend wants it; None where that has to be done in the compute thread."""
        with self._staging:  # or the backend would be closed, and its memory gone, while it is written to
            if self._opened is None or self._opened.serial:
                return None
            started_s = time.monotonic()
            staged = self._opened.stage(frame.image, frame.pixel_format)
            if self._opened.copies_frames:
                self._times.add("copy in", time.monotonic() - started_s)
            return staged

    def _discard(self, item: Tuple[Frame, Any]) -> None:
        """Of a frame that a newer one has replaced."""
        _, staged = item
        with self._staging:
            if staged is not None and self._opened is not None:
                self._opened.discard(staged)

    def _compute(self) -> None:
        try:
            backend = self._open_backend()
            try:
                backend.warm_up(self._source.size, self._source.pixel_format)
                self._backend = (backend.description, tuple(sorted(backend.facts.items())))
                self._opened = backend
                self._ready.set()
                self._compute_all(backend)
            finally:
                with self._staging:
                    self._opened = None
                self._frames.cancel()  # what a camera gives while the backend closes is not dropped, it is not wanted
                try:
                    self._at_end = (self._dropped, self._source.details)
                finally:
                    backend.close()
        finally:
            self._ready.set()
            self._frames.cancel()
            self._results.end()

    def _compute_all(self, backend: Backend) -> None:
        under_way: Deque[Tuple[Frame, Any, float]] = collections.deque()
        started = 0
        while True:
            if under_way and self._source.live:
                backend.wait(under_way[0][1])  # by then there may be a newer frame than now
            item = None
            if started != self._limit:
                item = self._frames.get(wait=not under_way)
            if item is not None:
                under_way.append(self._started(backend, *item))
                started += 1
                if len(under_way) < backend.depth:
                    continue
            if not under_way or not self._finish(backend, *under_way.popleft()):
                break

    def _started(self, backend: Backend, frame: Frame, staged: Any) -> Tuple[Frame, Any, float]:
        """A frame under way, and the seconds that it took to stage it in this thread."""
        if staged is not None:
            return frame, backend.start(staged), 0.0
        began_s = time.monotonic()
        staged = backend.stage(frame.image, frame.pixel_format)
        staged_s = time.monotonic() - began_s
        return frame, backend.start(staged), staged_s

    def _finish(self, backend: Backend, frame: Frame, running: Any, staged_s: float) -> bool:
        """Hands a result on; False when nobody takes it any more."""
        result = backend.finish(running)
        self._latency.add(TO_CLASS_MAP, time.monotonic() - frame.captured_s)
        if backend.copies_frames and staged_s:
            result = result.with_staging(staged_s)
        self._times.add_all(result.seconds)
        return self._results.put((frame, result))

    def _sink(self, on_frame: Callable[[], None]) -> None:
        while True:
            finished = self._results.get()
            if finished is None:
                break
            frame, result = finished
            started_s = time.monotonic()
            for sink in self._sinks:
                sink.write(frame, result)
            self._ended_s = time.monotonic()
            self._times.add("sink", self._ended_s - started_s)
            latency_s = self._ended_s - frame.captured_s
            self._latency.add(TO_SINKS, latency_s)
            self._timeline.add(self._ended_s - self._started_s, latency_s, self._dropped)
            self._done += 1
            on_frame()


def _join(threads: Sequence[threading.Thread]) -> None:
    """Waits for threads to end. Ctrl-C meanwhile is raised afterwards: the compute thread has to close what CUDA and
    TensorRT hold, and a process that ends before is aborted; only a thread that hangs is left behind."""
    interrupt: Optional[KeyboardInterrupt] = None
    for thread in threads:
        while thread.is_alive():
            try:
                thread.join(_PATIENCE_S if interrupt else None)
                break
            except KeyboardInterrupt as another:
                interrupt = another
    if interrupt is not None:
        raise interrupt


def slowest_thread(measured: Measured) -> str:
    """The thread that sets the pace, one of ``THREADS``; empty where nothing was measured."""
    means_ms = {each.name: each.mean_ms for each in measured.stages}
    if not means_ms:
        return ""
    return max(THREADS, key=lambda name: sum(means_ms.get(stage, 0.0) for stage in THREADS[name]))


def bottleneck(measured: Measured, live: bool) -> str:
    """One sentence: which thread sets the pace, and which of its stages; empty where nothing was measured."""
    means_ms = {each.name: each.mean_ms for each in measured.stages}
    thread = slowest_thread(measured)
    if not thread:
        return ""
    measured_ms = {stage: means_ms[stage] for stage in THREADS[thread] if stage in means_ms}
    total_ms = sum(measured_ms.values())
    stage = max(measured_ms, key=lambda name: measured_ms[name])
    if live and stage == "capture":
        return "the camera: it delivers a frame every {:.1f} ms, everything else is faster".format(total_ms)
    if len(measured_ms) == 1:
        return "{}: {:.1f} ms a frame, more than any other stage".format(stage, total_ms)
    return "{}: {:.1f} ms a frame, {:.0f} % of the {} thread's {:.1f} ms".format(
        stage, measured_ms[stage], 100.0 * (measured_ms[stage] / total_ms if total_ms > 0 else 1.0), thread, total_ms
    )
