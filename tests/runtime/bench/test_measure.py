"""Figures of a benchmark: proven on times whose answers are known, and on a pipeline with a made-up backend."""

import threading
import tracemalloc

import numpy as np
import pytest

from ccc_jetson.errors import BackendError
from ccc_jetson.preprocess import fitting
from ccc_jetson.runtime.backends import Backend, Segmentation
from ccc_jetson.runtime.bench.frames import synthetic
from ccc_jetson.runtime.bench.measure import Recorder, Samples, bench, measure_network, slices_fps
from ccc_jetson.runtime.bench.plan import Plan
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.telemetry.clocks import Clocks
from tests.doubles.tiny_model import tiny_contract

SHORT = Plan(duration_s=None, frames=20, warm_up_frames=6, warm_up_s=0.0)
NO_CLOCKS = Clocks("", (), None, None)


class FakeBackend(Backend):
    """Answers at once with one class; the bare network takes ``network_s``; ``fails_at`` counts started frames."""

    description = "fake backend"

    def __init__(self, network_s=0.001, fails_at=None, network_error=None, on_network=None):
        self.contract = tiny_contract()
        self.facts = {"tensorrt": "8.2.1.8", "engine_sha256": "ab" * 32}
        self.started = 0
        self.network_runs = []
        self.closed_in = self.opened_in = None
        self.opened_in = threading.current_thread()
        self._network_s, self._fails_at = network_s, fails_at
        self._network_error, self._on_network = network_error, on_network

    def start(self, staged):
        if self.started == self._fails_at:
            raise BackendError("the GPU has gone")
        self.started += 1
        return staged[0]

    def finish(self, running):
        given = self.contract.input
        geometry = fitting((running.shape[1], running.shape[0]), (given.width, given.height), "stretch")
        return Segmentation(np.zeros((given.height, given.width), np.uint8), geometry, {"infer": 0.25})

    def network_seconds(self, runs):
        assert threading.current_thread() is self.opened_in
        if self._network_error is not None:
            raise self._network_error
        if self._on_network is not None:
            self._on_network()
        self.network_runs.append(runs)
        return [self._network_s] * runs

    def close(self):
        self.closed_in = threading.current_thread()


class FakeClock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Run:
    """A recorder that is fed by hand; every frame was captured 0.5 s before it is finished."""

    def __init__(self, plan, clocks=lambda: NO_CLOCKS):
        self.clock, self.stop = FakeClock(), threading.Event()
        self.recorder = Recorder(plan, self.stop, clocks, self.clock)

    def frames(self, count, seconds, infer_s=0.01):
        for _ in range(count):
            self.clock.now_s += seconds
            frame = Frame(0, "frame", np.zeros((2, 2, 3), np.uint8), self.clock.now_s - 0.5)
            self.recorder.write(frame, Segmentation(np.zeros((1, 1), np.uint8), None, {"infer": infer_s}))
        return self


@pytest.fixture(autouse=True)
def short_network_runs(monkeypatch):
    monkeypatch.setattr("ccc_jetson.runtime.bench.plan.NETWORK_S", 0.01)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def samples_of(values, most=1000):
    samples = Samples(most)
    for value in values:
        samples.add(value)
    return samples


# Samples


def test_percentiles_are_the_nearest_ranks_of_all_samples():
    order = np.random.RandomState(4).permutation(100)
    summary = samples_of([0.001 * (number + 1) for number in order]).summary("frame")
    found = (summary.p50_ms, summary.p90_ms, summary.p95_ms, summary.p99_ms, summary.max_ms, summary.mean_ms)
    assert found == pytest.approx((50, 90, 95, 99, 100, 50.5))
    assert (summary.name, summary.samples) == ("frame", 100)


def test_a_single_sample_is_every_percentile():
    summary = samples_of([0.02]).summary("frame")
    found = (summary.p50_ms, summary.p90_ms, summary.p95_ms, summary.p99_ms, summary.max_ms, summary.mean_ms)
    assert found == pytest.approx((20,) * 6)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, 31, 32, 33, 1000])
def test_more_samples_than_fit_are_thinned_evenly_from_the_first_to_the_last(count):
    samples = samples_of(range(count), most=8)
    print(samples.every, list(samples.values))
    assert 1 <= len(samples.values) <= 8
    assert list(samples.values) == [index * samples.every for index in range(len(samples.values))]
    assert samples.values[-1] + samples.every >= count  # none is missing at the end
    assert count <= 8 or len(samples.values) > 4
    assert (samples.seen, samples.total, samples.largest) == (count, count * (count - 1) / 2, count - 1)


def test_a_day_of_samples_takes_less_than_two_megabytes():
    samples = Samples()
    tracemalloc.start()
    try:
        for index in range(250000):
            samples.add(0.001 * (index % 7))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print("at most", peak, "bytes")
    assert samples.every == 4
    assert peak < 2e6


# The recorder


def test_the_warm_up_counts_for_nothing():
    run = Run(Plan(duration_s=10.0, warm_up_frames=50, warm_up_s=2.0))
    run.frames(50, 3.0, infer_s=2.9)  # slow, as while clocks rise
    assert run.recorder.frames == 0
    run.frames(80, 0.125)
    recorder = run.recorder
    assert (recorder.warm_up_frames, recorder.warm_up_s) == (50, 147.0)
    assert (recorder.frames, recorder.wall_s) == (80, 10.0)
    assert recorder.intervals.largest == 0.125
    assert [each.max_ms for each in recorder.stages.summaries()] == [pytest.approx(10.0)]
    assert recorder.is_complete and run.stop.is_set()


@pytest.mark.parametrize(
    "frame_s, frames",
    [
        (0.125, 50),  # 2 s are over after 17 frames, but 50 are wanted
        (1 / 1024, 2053),  # 50 frames are over after 0.05 s, but 2 s from the first are wanted, and four frames more
    ],
)
def test_the_warm_up_has_its_frames_and_its_seconds(frame_s, frames):
    run = Run(Plan(duration_s=1.0, warm_up_frames=50, warm_up_s=2.0))
    while run.recorder.frames == 0:
        run.frames(1, frame_s)
    print(run.recorder.warm_up_frames)
    assert run.recorder.warm_up_frames == frames
    assert run.recorder.warm_up_s >= 2.0


def test_without_a_warm_up_a_few_frames_still_settle():
    run = Run(Plan(duration_s=1.0, warm_up_frames=0, warm_up_s=0.0)).frames(100, 0.125)
    assert (run.recorder.warm_up_frames, run.recorder.frames) == (5, 8)


def test_it_measures_at_least_the_duration():
    run = Run(Plan(duration_s=1.0, warm_up_frames=0, warm_up_s=0.0)).frames(100, 0.3)
    assert (run.recorder.frames, run.recorder.wall_s) == (4, pytest.approx(1.2))


@pytest.mark.parametrize("plan, frames", [(Plan(None, 7), 7), (Plan(100.0, 7), 7), (Plan(0.5, 7), 4)])
def test_it_ends_at_the_frames_or_the_duration_whichever_comes_first(plan, frames):
    run = Run(plan._replace(warm_up_frames=0, warm_up_s=0.0)).frames(100, 0.125)
    assert (run.recorder.frames, run.recorder.is_complete) == (frames, True)


def test_frames_that_arrive_after_the_end_are_not_counted():
    run = Run(Plan(None, 7, 0, 0.0)).frames(12, 0.1)
    wall_s = run.recorder.wall_s
    run.frames(5, 9.0)
    assert (run.recorder.frames, run.recorder.wall_s) == (7, wall_s)


def test_frame_times_add_up_to_the_wall_time_and_latency_runs_from_the_capture():
    run = Run(Plan(None, 30, 0, 0.0)).frames(5, 0.1)
    run.frames(10, 0.1).frames(20, 0.2)
    recorder = run.recorder
    assert recorder.intervals.total == pytest.approx(recorder.wall_s) == pytest.approx(5.0)
    assert list(recorder.latencies.values) == pytest.approx([0.5] * 30)
    assert recorder.finished.values[-1] == pytest.approx(5.0)


def test_the_clocks_are_read_while_the_machine_is_at_work_and_outside_of_the_measured_time():
    seen = []

    def slow_clocks():
        run.clock.now_s += 0.7
        seen.append(run.recorder.frames)
        return NO_CLOCKS._replace(online=str(len(seen)))

    run = Run(Plan(None, 10, 8, 0.0), slow_clocks)
    run.frames(30, 0.1)
    assert seen == [0, 10]
    assert (run.recorder.clocks_before.online, run.recorder.clocks_after.online) == ("1", "2")
    assert run.recorder.wall_s == pytest.approx(1.0)


# Slices


def test_slices_show_that_a_machine_became_slower():
    times = [0.05 * (number + 1) for number in range(100)]
    times += [5.0 + 0.1 * (number + 1) for number in range(100)]
    assert slices_fps(samples_of(times)) == pytest.approx((20.0,) * 5 + (10.0,) * 5)


def test_slices_of_a_steady_run_are_equal_whatever_its_length():
    for count in range(10, 60):
        assert slices_fps(samples_of([0.1 * (number + 1) for number in range(count)])) == pytest.approx((10.0,) * 10)


def test_slices_of_thinned_samples_are_right_too():
    found = slices_fps(samples_of([0.1 * (number + 1) for number in range(5000)], most=100))
    assert found == pytest.approx((10.0,) * 10)


def test_fewer_frames_than_slices_make_none():
    assert slices_fps(samples_of([0.1] * 9)) == ()
    assert slices_fps(Samples()) == ()


# The bare network


class TimedBackend(FakeBackend):
    """Its first ten runs take 0.2 s each, all others ``each_s``, on a made-up clock."""

    def __init__(self, each_s):
        super(TimedBackend, self).__init__()
        self.clock, self._each_s = FakeClock(), each_s

    def network_seconds(self, runs):
        each_s = self._each_s if self.network_runs else 0.2
        self.network_runs.append(runs)
        self.clock.now_s += runs * each_s
        return [each_s] * runs


@pytest.mark.parametrize(
    "each_s, runs",
    [
        (0.015625, 200),  # 3 s, in tens of runs: 3.125 s
        (0.0625, 100),  # 100 runs, in 6.25 s
        (0.5, 40),  # 20 s, as long as the whole measurement
        (4.0, 10),
    ],
)
def test_the_bare_network_runs_three_seconds_and_a_hundred_times_unless_it_is_slow(monkeypatch, each_s, runs):
    monkeypatch.setattr("ccc_jetson.runtime.bench.plan.NETWORK_S", 3.0)
    backend, into = TimedBackend(each_s), Samples()
    measure_network(backend, Plan().network, threading.Event(), into, backend.clock)
    assert set(backend.network_runs) == {10}
    assert (into.seen, into.largest) == (runs, each_s)  # nothing of the warm-up


def test_a_stop_ends_the_networks_runs():
    stop = threading.Event()
    backend, into = FakeBackend(on_network=stop.set), Samples()
    measure_network(backend, Plan().network, stop, into)
    assert (backend.network_runs, into.seen) == ([10], 0)


# Through the pipeline


def test_a_benchmark_is_of_the_pipeline_and_of_the_bare_network():
    opened, steps = [], []

    def open_backend():
        opened.append(FakeBackend(network_s=0.003))
        return opened[-1]

    result = bench(open_backend, synthetic((64, 32)), SHORT, threading.Event(), lambda: steps.append(1))
    (backend,) = opened
    assert backend.closed_in is backend.opened_in is not threading.current_thread()
    assert result.is_complete and result.frames == 20
    assert result.fps == pytest.approx(20 / result.wall_s)
    assert result.frame.samples == result.latency.samples == len(result.samples["frame"].values) == 20
    assert result.frame.mean_ms == pytest.approx(1000 * result.wall_s / 20)
    assert result.network.p50_ms == result.network.p99_ms == pytest.approx(3.0)
    assert (result.backend, result.facts["tensorrt"]) == ("fake backend", "8.2.1.8")
    stages = {each.name: each for each in result.stages}
    assert stages["infer"].samples == 20  # without those of the warm-up
    assert stages["capture"].samples >= 26
    assert result.bottleneck.startswith("infer: 250.0 ms a frame")
    assert len(result.slices_fps) == 10
    assert result.clocks_before is not None and result.clocks_after is not None
    assert len(steps) >= 26


def test_a_stop_on_the_way_keeps_what_there_is():
    stop, steps = threading.Event(), []

    def on_frame():
        steps.append(1)
        if len(steps) == 16:
            stop.set()

    result = bench(FakeBackend, synthetic((64, 32)), SHORT._replace(frames=10**9), stop, on_frame)
    assert not result.is_complete
    assert 10 <= result.frames == len(steps) - 6 < 20  # and what was under way
    assert result.clocks_after is None and result.frame.samples == result.frames


def test_a_stop_before_the_first_frame_gives_a_result_without_figures():
    stop = threading.Event()
    result = bench(lambda: FakeBackend(on_network=stop.set), synthetic((64, 32)), SHORT, stop)
    assert (result.frames, result.fps, result.frame, result.latency, result.network) == (0, 0.0, None, None, None)
    assert not result.is_complete and result.bottleneck == ""


@pytest.mark.parametrize(
    "faults", [{"network_error": BackendError("the GPU has gone")}, {"fails_at": 0}, {"fails_at": 15}]
)
def test_a_backend_that_fails_is_closed_where_it_was_opened(faults):
    opened = []

    def open_backend():
        opened.append(FakeBackend(**faults))
        return opened[-1]

    with pytest.raises(BackendError, match="the GPU has gone"):
        bench(open_backend, synthetic((64, 32)), SHORT, threading.Event())
    assert opened[0].closed_in is opened[0].opened_in
