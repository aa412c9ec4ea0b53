"""A benchmark of one model: frames in memory go through the pipeline of live use, and every one of them is timed.

First the bare network alone, after a warm-up of its own; then the whole way from frame to class map. The frames of the
warm-up count for nothing. All that is kept of a run is bounded, so that it may last a day.
"""

import time
from array import array
from threading import Event
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from ccc_jetson.runtime.backends import Backend, Inference
from ccc_jetson.runtime.bench.frames import HeldFrames
from ccc_jetson.runtime.bench.plan import MOST_SAMPLES, NetworkPlan, Plan
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.metrics import (
    PERCENTS,
    Distribution,
    StageSummary,
    StageTimes,
    distribution_of,
    nearest_rank,
)
from ccc_jetson.runtime.pipeline import STAGES, Pipeline, bottleneck
from ccc_jetson.runtime.sinks import Sink
from ccc_jetson.runtime.telemetry.clocks import Clocks, read_clocks
from ccc_jetson.runtime.timeline import Timeline, TimelineRecorder

SLICES = 10
_RUNS_AT_A_TIME = 10  # of the bare network: Ctrl-C does not wait for long
_SETTLING_FRAMES = 4  # what the pipeline has finished while the clocks were read comes at once afterwards


class Samples:
    """Endless numbers in bounded memory: all of them up to ``most``, from then on every second, every fourth, ...

    ``total``, ``largest`` and ``seen`` are of all of them; ``values[i]`` is number ``i * every``.
    """

    def __init__(self, most: int = MOST_SAMPLES) -> None:
        self.values = array("d")
        self.every = 1
        self.seen = 0
        self.total = 0.0
        self.largest = 0.0
        self._most = most

    def add(self, value: float) -> None:
        """Notes one number."""
        if self.seen % self.every == 0:
            if len(self.values) == self._most:
                self.values = self.values[::2]
                self.every *= 2
            if self.seen % self.every == 0:
                self.values.append(value)
        self.seen += 1
        self.total += value
        self.largest = max(self.largest, value)

    def summary(self, name: str) -> StageSummary:
        """Nearest-rank percentiles of what was kept, exact as long as that is all; mean and maximum exact; seconds."""
        ordered = sorted(self.values)
        p50, p90, p95, p99 = (1000.0 * ordered[nearest_rank(len(ordered), percent) - 1] for percent in PERCENTS)
        return StageSummary(name, self.seen, 1000.0 * self.total / self.seen, p50, p90, p95, p99, 1000.0 * self.largest)


class Recorder(Sink):
    """Notes when each frame is finished; ends the warm-up when that was long enough, and the run as planned.

    A frame's time is the interval from the frame before it, so that all times add up to ``wall_s``.

    Args:
        plan: see there.
        stop: is set when enough was measured.
        clocks: reads the machine's clocks, while it is at work.
        clock: seconds, the one that stamps the frames.
    """

    def __init__(
        self,
        plan: Plan,
        stop: Event,
        clocks: Callable[[], Clocks] = read_clocks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.warm_up_frames = 0
        self.warm_up_s = 0.0
        self.finished, self.intervals, self.latencies = Samples(), Samples(), Samples()
        self.stages = StageTimes(STAGES)
        self.timeline = TimelineRecorder()
        self.clocks_before: Optional[Clocks] = None
        self.clocks_after: Optional[Clocks] = None
        self.is_complete = False
        self._plan, self._stop, self._clocks, self._clock = plan, stop, clocks, clock
        self._settling = _SETTLING_FRAMES
        self._first_s: Optional[float] = None
        self._started_s: Optional[float] = None
        self._last_s = 0.0

    @property
    def frames(self) -> int:
        """How many were measured."""
        return self.intervals.seen

    @property
    def started_s(self) -> float:
        """The end of the warm-up, by the clock; 0 before it."""
        return self._started_s or 0.0

    @property
    def wall_s(self) -> float:
        """From the end of the warm-up to the last frame that was measured."""
        return 0.0 if self._started_s is None else self._last_s - self._started_s

    def write(self, frame: Frame, result: Inference) -> None:
        now_s = self._clock()
        if self.is_complete:
            return  # was under way when enough was measured
        if self._started_s is None:
            self._warm_up(now_s)
            return
        self.finished.add(now_s - self._started_s)
        self.intervals.add(now_s - self._last_s)
        self.latencies.add(now_s - frame.captured_s)
        self.timeline.add(now_s - self._started_s, now_s - frame.captured_s)
        self.stages.add_all(result.seconds)
        self._last_s = now_s
        enough = self._plan.duration_s is not None and self.wall_s >= self._plan.duration_s
        if enough or self.frames == self._plan.frames:
            self.is_complete = True
            self._stop.set()
            self.clocks_after = self._clocks()

    def _warm_up(self, now_s: float) -> None:
        if self._first_s is None:
            self._first_s = now_s
        self.warm_up_frames += 1
        self.warm_up_s = now_s - self._first_s
        if self.clocks_before is None:
            settling = self.warm_up_frames + _SETTLING_FRAMES
            if settling >= self._plan.warm_up_frames and self.warm_up_s >= self._plan.warm_up_s:
                self.clocks_before = self._clocks()
            return
        self._settling -= 1
        if self._settling == 0:
            self._started_s = self._last_s = now_s


class Result(NamedTuple):
    """What a benchmark has shown. Times in seconds where no unit is named.

    ``frame`` and ``latency`` are None where no frame was measured, ``network`` where the bare network was not run.
    ``stages`` are of the measured frames, but for the capture and the sink, which count the warm-up too.
    """

    backend: str
    facts: Dict[str, str]
    frames: int
    wall_s: float
    warm_up_frames: int
    warm_up_s: float
    is_complete: bool
    frame: Optional[StageSummary]
    latency: Optional[StageSummary]
    network: Optional[StageSummary]
    stages: List[StageSummary]
    bottleneck: str
    slices_fps: Tuple[float, ...]
    clocks_before: Optional[Clocks]
    clocks_after: Optional[Clocks]
    samples: Dict[str, Samples]
    started_s: float = 0.0  # the end of the warm-up, by time.monotonic()
    timeline: Optional[Timeline] = None

    @property
    def fps(self) -> float:
        """Frames per second from the end of the warm-up to the last frame."""
        return self.frames / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def distributions(self) -> Dict[str, Distribution]:
        """Of the samples that were kept, by their names."""
        found = {name: distribution_of(samples.values) for name, samples in self.samples.items()}
        return {name: each for name, each in found.items() if each is not None}


def bench(
    open_backend: Callable[[], Backend],
    source: HeldFrames,
    plan: Plan,
    stop: Event,
    on_frame: Callable[[], None] = lambda: None,
) -> Result:
    """Runs a benchmark.

    Args:
        open_backend: as for ``Pipeline``; called once.
        source: what is segmented.
        plan: how long.
        stop: set from anywhere, ends the benchmark early; what was measured is given all the same.
        on_frame: called after each frame, of the warm-up too, in the calling thread.

    Raises:
        CccError: as the backend does.
    """
    network = Samples()

    def with_network_measured() -> Backend:
        """In the compute thread, which owns the backend."""
        backend = open_backend()
        try:
            backend.infer(source.first.image)
            measure_network(backend, plan.network, stop, network)
        except BaseException:
            backend.close()
            raise
        return backend

    recorder = Recorder(plan, stop)
    pipeline = Pipeline(source, with_network_measured, [recorder], stop=stop)
    measured = pipeline.run(on_frame)
    compute = {each.name: each for each in recorder.stages.summaries()}
    stages = [compute.get(each.name, each) for each in measured.stages]
    return Result(
        backend=measured.backend,
        facts=dict(measured.facts),
        frames=recorder.frames,
        wall_s=recorder.wall_s,
        warm_up_frames=recorder.warm_up_frames,
        warm_up_s=recorder.warm_up_s,
        is_complete=recorder.is_complete,
        frame=recorder.intervals.summary("frame") if recorder.frames else None,
        latency=recorder.latencies.summary("latency") if recorder.frames else None,
        network=network.summary("network") if network.seen else None,
        stages=stages,
        bottleneck=bottleneck(measured._replace(stages=stages), source.live),
        slices_fps=slices_fps(recorder.finished),
        clocks_before=recorder.clocks_before,
        clocks_after=recorder.clocks_after,
        samples={"frame": recorder.intervals, "latency": recorder.latencies, "network": network},
        started_s=recorder.started_s,
        timeline=recorder.timeline.timeline(recorder.wall_s) if recorder.frames else None,
    )


def measure_network(
    backend: Backend, plan: NetworkPlan, stop: Event, into: Samples, clock: Callable[[], float] = time.monotonic
) -> None:
    """Times the bare network, some runs at a time, after a warm-up of its own."""
    _run_network(backend, plan.warm_up_s, plan.warm_up_runs, plan.warm_up_s, stop, Samples(), clock)
    _run_network(backend, plan.least_s, plan.least_runs, plan.most_s, stop, into, clock)


def _run_network(
    backend: Backend,
    least_s: float,
    least_runs: int,
    most_s: float,
    stop: Event,
    into: Samples,
    clock: Callable[[], float],
) -> None:
    began_s = clock()
    while not stop.is_set():
        for each in backend.network_seconds(_RUNS_AT_A_TIME):
            into.add(each)
        took_s = clock() - began_s
        if took_s >= most_s or (took_s >= least_s and into.seen >= least_runs):
            break


def slices_fps(finished: Samples) -> Tuple[float, ...]:
    """FPS in ``SLICES`` parts of the run with as many frames each; none where that would be less than one frame.

    Equal parts of the time would hold a frame more or less, which is some percent of a short part.

    Args:
        finished: when each frame was, in seconds from the end of the warm-up.
    """
    frames = [0] + [index * finished.every + 1 for index in range(len(finished.values))]
    times = [0.0] + list(finished.values)
    last = len(times) - 1
    if last < SLICES:
        return ()
    edges = [round(part * last / SLICES) for part in range(SLICES + 1)]
    return tuple(
        (frames[end] - frames[start]) / max(1e-9, times[end] - times[start]) for start, end in zip(edges, edges[1:])
    )
