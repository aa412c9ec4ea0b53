"""Three threads: overlap, drops, failures in each of them, and nothing left behind."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ccc_jetson.errors import BackendError, SinkError, SourceError
from ccc_jetson.runtime.metrics import StageSummary
from ccc_jetson.runtime.pipeline import TO_CLASS_MAP, TO_SINKS, Measured, Pipeline, bottleneck
from tests.doubles.stages import FakeBackend, FakeSink, FakeSource, segmentation_of


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_all_frames_of_a_file_arrive_in_order():
    sink, backend = FakeSink(), FakeBackend()
    measured = Pipeline(FakeSource(30), lambda: backend, [sink]).run()
    assert sink.numbers == list(range(30))
    assert (measured.frames, measured.dropped, measured.backend) == (30, 0, "fake backend")
    assert backend.closed
    assert [stage.samples for stage in measured.stages] == [30] * 5


def test_stages_overlap_so_that_the_slowest_sets_the_pace():
    pause_s, frames = 0.05, 40
    pipeline = Pipeline(FakeSource(frames, pause_s), lambda: FakeBackend(pause_s), [FakeSink(pause_s)])
    measured = pipeline.run()
    share = measured.wall_s / (frames * 3 * pause_s)
    print("took {:.2f} s, {:.2f} of the sum of the stages".format(measured.wall_s, share))
    assert measured.frames == frames
    assert share < 0.55
    assert measured.fps > 1 / (0.55 * 3 * pause_s)


def test_fps_is_frames_over_the_time_from_the_first_capture_to_the_last_sink():
    measured = Pipeline(FakeSource(5, 0.02), FakeBackend, [FakeSink()]).run()
    assert measured.fps == pytest.approx(5 / measured.wall_s)
    assert measured.wall_s >= 5 * 0.02


def test_opening_the_model_is_not_part_of_the_measured_time():
    def slow_open():
        threading.Event().wait(0.3)
        return FakeBackend()

    assert Pipeline(FakeSource(3), slow_open).run().wall_s < 0.25


def test_a_live_source_drops_frames_instead_of_falling_behind():
    source, sink = FakeSource(60, 0.005, live=True), FakeSink()
    measured = Pipeline(source, lambda: FakeBackend(0.03), [sink]).run()
    print(measured.frames, "segmented,", measured.dropped, "dropped")
    assert measured.dropped > 10
    assert measured.frames + measured.dropped == 60
    assert sink.numbers == sorted(set(sink.numbers))
    assert sink.numbers[-1] == 59  # the newest is never the one dropped


def test_the_course_of_the_run_and_the_spread_of_its_times_are_kept():
    measured = Pipeline(FakeSource(60, 0.005, live=True), lambda: FakeBackend(0.02), [FakeSink()]).run()
    timeline, distributions = measured.timeline, dict(measured.distributions)
    assert sum(timeline.frames) == measured.frames
    assert 0 < sum(timeline.dropped) <= measured.dropped  # those after the last frame belong to no part
    assert timeline.to_s[-1] == pytest.approx(measured.wall_s, abs=1e-3)
    for name in ("infer", TO_SINKS):
        assert sum(distributions[name].counts) == measured.frames


def test_a_file_is_never_dropped_however_slow_the_sink():
    sink = FakeSink(0.01)
    assert Pipeline(FakeSource(20), FakeBackend, [sink]).run().dropped == 0
    assert sink.numbers == list(range(20))


def test_memory_is_bounded_by_back_pressure():
    source = FakeSource(100)
    ahead = []

    class Watching(FakeSink):
        def write(self, frame, segmentation):
            super(Watching, self).write(frame, segmentation)
            threading.Event().wait(0.002)
            ahead.append(source.reads - len(self.numbers))

    Pipeline(source, FakeBackend, [Watching()]).run()
    assert max(ahead) <= 7  # two in each queue and one in each hand


@pytest.mark.parametrize("live", [False, True])
def test_a_limit_counts_what_was_segmented(live):
    source, sink = FakeSource(1000, 0.001, live=live), FakeSink()
    measured = Pipeline(source, lambda: FakeBackend(0.004), [sink], limit=7).run()
    assert measured.frames == len(sink.numbers) == 7
    if not live:
        assert source.reads == 7


def test_stop_finishes_what_is_under_way():
    stop, sink = threading.Event(), FakeSink()

    def stop_after_three():
        if len(sink.numbers) == 3:
            stop.set()

    measured = Pipeline(FakeSource(1000), lambda: FakeBackend(0.005), [sink], stop=stop).run(stop_after_three)
    assert 3 <= measured.frames <= 10
    assert sink.numbers == list(range(measured.frames))


def test_stop_ends_a_run_whose_source_hangs(monkeypatch):
    monkeypatch.setattr("ccc_jetson.runtime.pipeline._LET_GO_S", 0.2)
    stop, hanging, go_on = threading.Event(), threading.Event(), threading.Event()

    class Hanging(FakeSource):
        def read(self):
            if self.reads == 5:
                hanging.set()
                go_on.wait()
            return super().read()

    threading.Thread(target=lambda: (hanging.wait(), stop.set())).start()
    backend, sink = FakeBackend(), FakeSink()
    measured = Pipeline(Hanging(100), lambda: backend, [sink], stop=stop).run()
    assert (measured.frames, sink.numbers, backend.closed) == (5, list(range(5)), True)
    go_on.set()  # what it gives then is taken by nobody
    for thread in threading.enumerate():
        if thread.name == "ccc-reading":
            thread.join()
    assert sink.numbers == list(range(5))


def test_a_lost_source_is_raised_after_everything_before_it_was_written():
    sink, backend = FakeSink(0.005), FakeBackend()
    pipeline = Pipeline(FakeSource(100, fails_at=9), lambda: backend, [sink])
    with pytest.raises(SourceError, match="camera lost"):
        pipeline.run()
    assert sink.numbers == list(range(9))
    assert pipeline.measured.frames == 9
    assert backend.closed


def test_a_backend_that_cannot_be_opened_ends_the_run():
    def failing():
        raise BackendError("no such model")

    sink = FakeSink()
    with pytest.raises(BackendError, match="no such model"):
        Pipeline(FakeSource(100), failing, [sink]).run()
    assert sink.numbers == []


@pytest.mark.parametrize("call", [0, 5])
def test_a_backend_that_fails_is_closed_and_its_exception_keeps_its_type(call):
    backend, sink = FakeBackend(fails_at=call, error=ZeroDivisionError("in the network")), FakeSink()
    with pytest.raises(ZeroDivisionError, match="in the network"):
        Pipeline(FakeSource(100), lambda: backend, [sink]).run()
    assert backend.closed
    assert sink.numbers == list(range(max(0, call - 1)))  # call 0 is the warm-up


def test_a_sink_that_fails_stops_the_other_threads():
    backend = FakeBackend()
    source = FakeSource(10**6)
    sink = FakeSink(fails_at=4, error=SinkError("disk full"))
    pipeline = Pipeline(source, lambda: backend, [sink])
    with pytest.raises(SinkError, match="disk full"):
        pipeline.run()
    assert backend.closed
    assert source.reads < 20
    assert pipeline.measured.frames == 4


def test_ctrl_c_in_the_calling_thread_stops_the_others_too():
    backend = FakeBackend()
    with pytest.raises(KeyboardInterrupt):
        Pipeline(FakeSource(10**6), lambda: backend, [FakeSink(fails_at=2, error=KeyboardInterrupt())]).run()
    assert backend.closed


def test_an_empty_source_measures_nothing():
    measured = Pipeline(FakeSource(0), FakeBackend).run()
    assert (measured.frames, measured.fps, measured.stages, measured.latency) == (0, 0.0, [], [])
    assert bottleneck(measured, live=False) == ""


def measured_with(**means_ms):
    return Measured(1, 0, 1.0, [StageSummary(name, 1, *[ms] * 6) for name, ms in means_ms.items()], [], "b")


@pytest.mark.parametrize(
    "live, means, sentence",
    [
        (
            False,
            {"capture": 3.0, "preprocess": 2.0, "infer": 18.0, "postprocess": 0.0, "sink": 1.0},
            "infer: 18.0 ms a frame, 90 % of the compute thread's 20.0 ms",
        ),
        (False, {"capture": 3.0, "infer": 2.0, "sink": 9.0}, "sink: 9.0 ms a frame, more than any other stage"),
        (True, {"capture": 33.3, "infer": 20.0, "sink": 9.0}, "the camera: it delivers a frame every 33.3 ms"),
        (False, {"capture": 33.3, "infer": 20.0, "sink": 9.0}, "capture: 33.3 ms a frame, more than any other stage"),
    ],
)
def test_the_bottleneck_is_the_busiest_thread(live, means, sentence):
    assert bottleneck(measured_with(**means), live).startswith(sentence)


class StagingBackend(FakeBackend):
    """Computes in a thread of its own, as a GPU does, two frames at a time; keeps account of what it was given."""

    copies_frames = True
    depth = 2

    def __init__(self, seconds=0.0, serial=False):
        super(StagingBackend, self).__init__(seconds)
        self.serial = serial
        self.depth = 1 if serial else 2
        self.staged_in, self.free, self.least_free = set(), 5, 5
        self.under_way, self.most_under_way, self.order = 0, 0, []
        self._lock = threading.Lock()
        self._gpu = ThreadPoolExecutor(max_workers=1)

    def stage(self, image, pixel_format="BGR"):
        assert not self.closed, "written to after it was closed"
        with self._lock:
            self.free -= 1
            self.least_free = min(self.free, self.least_free)
        if self.serial:
            assert self.under_way == 0
        if self.calls:  # the warm-up is not the pipeline's
            self.staged_in.add(threading.current_thread().name)
        return image.copy(), time.monotonic()

    def start(self, staged):
        self.calls += 1
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        return self._gpu.submit(time.sleep, self._seconds), staged[0]

    def wait(self, running):
        running[0].result()

    def finish(self, running):
        running[0].result()
        self.under_way -= 1
        self.order.append(int(running[1][0, 0, 0]))
        self.discard(running[1])
        return segmentation_of(running[1], 0, infer_s=self._seconds)

    def discard(self, staged):
        with self._lock:
            self.free += 1

    def close(self):
        self._gpu.shutdown()
        self.closed = True


def test_the_capturing_thread_stages_frames_while_two_are_under_way():
    backend, sink = StagingBackend(0.005), FakeSink()
    measured = Pipeline(FakeSource(40), lambda: backend, [sink]).run()
    assert sink.numbers == backend.order[1:] == list(range(40))
    assert backend.staged_in == {"ccc-reading"}
    assert (backend.most_under_way, backend.free) == (2, 5)
    assert backend.least_free >= 0, "more frames were staged than there are slots"
    assert [each.name for each in measured.stages][:2] == ["capture", "copy in"]


def test_a_serial_backend_stages_in_its_own_thread_and_one_frame_at_a_time():
    backend, sink = StagingBackend(0.001, serial=True), FakeSink()
    measured = Pipeline(FakeSource(20), lambda: backend, [sink]).run()
    assert sink.numbers == list(range(20))
    assert backend.staged_in == {"ccc-compute"}
    assert backend.most_under_way == 1
    assert "copy in" not in [each.name for each in measured.stages]


def test_a_live_source_is_asked_for_its_newest_frame_when_the_backend_is_free():
    backend, sink = StagingBackend(0.03), FakeSink()
    measured = Pipeline(FakeSource(100, 0.004, live=True), lambda: backend, [sink]).run()
    ages = {each.name: each for each in measured.latency}
    print(measured.dropped, "dropped;", ages[TO_CLASS_MAP])
    assert measured.dropped > 40 and measured.frames + measured.dropped == 100
    assert backend.free == 5, "what was dropped was not given back"
    # a frame waits for no more than the next one to come, and is then computed; two in a row would take 60 ms
    assert ages[TO_CLASS_MAP].p50_ms < 55
    assert ages[TO_CLASS_MAP].p50_ms <= ages[TO_SINKS].p50_ms


@pytest.mark.parametrize("live", [False, True])
def test_a_limit_holds_with_several_frames_under_way(live):
    backend, sink = StagingBackend(0.002), FakeSink()
    measured = Pipeline(FakeSource(1000, 0.001, live=live), lambda: backend, [sink], limit=7).run()
    assert measured.frames == len(sink.numbers) == 7
    assert backend.under_way == 0


def test_a_sink_that_fails_leaves_nothing_under_way_in_a_staging_backend():
    backend = StagingBackend(0.002)
    with pytest.raises(SinkError):
        Pipeline(FakeSource(10**6), lambda: backend, [FakeSink(fails_at=4, error=SinkError("disk full"))]).run()
    assert backend.closed


def test_what_a_camera_gives_while_the_backend_closes_is_not_counted_as_dropped():
    backend = StagingBackend()
    closing = backend.close

    def slow_close():
        threading.Event().wait(0.3)
        closing()

    backend.close = slow_close
    measured = Pipeline(FakeSource(1000, 0.005, live=True), lambda: backend, limit=3).run()
    assert measured.frames == 3
    assert measured.dropped <= 3, measured.dropped


def test_what_a_camera_replaces_after_the_end_is_not_counted():
    """A camera's own thread goes on until it is closed, which is after backend and sinks."""

    class Counting(FakeSource):
        replaced = property(lambda self: int(1000 * (time.monotonic() - began_s)))
        details = property(lambda self: "details after {}".format(self.replaced))

    began_s = time.monotonic()
    pipeline = Pipeline(Counting(1000, 0.005, live=True), FakeBackend, limit=3)
    measured, ended = pipeline.run(), int(1000 * (time.monotonic() - began_s))
    details = pipeline.details
    time.sleep(0.05)
    assert pipeline.measured.dropped == pipeline.counters.dropped == measured.dropped <= ended + 3
    assert pipeline.details == details and int(details.split()[-1]) <= ended


def test_a_backend_closes_after_what_is_discarded_while_it_ends():
    backend, discarding = StagingBackend(), threading.Event()
    discarded = []

    def slow_discard(staged):
        discarding.set()
        threading.Event().wait(0.2)
        discarded.append(backend.closed)

    def finish_while_one_is_discarded(running):
        discarding.wait(5)
        return segmentation_of(running[1], 0)

    backend.warm_up = lambda *_: None
    backend.discard, backend.finish = slow_discard, finish_while_one_is_discarded
    Pipeline(FakeSource(1000, 0.001, live=True), lambda: backend, limit=1).run()
    assert discarded and not any(discarded)


def test_a_source_is_not_read_where_no_backend_can_be_opened():
    class Slow(threading.Event):
        def set(self):
            time.sleep(0.1)
            super(Slow, self).set()

    def failing():
        raise BackendError("no such model")

    source = FakeSource(100)
    with pytest.raises(BackendError):
        Pipeline(source, failing, stop=Slow()).run()
    assert source.reads == 0


def test_ctrl_c_between_the_start_of_two_threads_leaves_neither(monkeypatch):
    backend, start = StagingBackend(), threading.Thread.start

    def interrupted_start(thread):
        start(thread)
        if thread.name == "ccc-capture":
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted_start)
    with pytest.raises(KeyboardInterrupt):
        Pipeline(FakeSource(10**6, 0.2), lambda: backend).run()
    assert backend.closed


def test_ctrl_c_while_threads_end_waits_for_them_all_the_same(monkeypatch):
    backend = StagingBackend()
    joined = []
    join = threading.Thread.join

    def interrupted_join(thread, timeout=None):
        joined.append(thread.name)
        if joined.count("ccc-compute") == 1 and thread.name == "ccc-compute":
            raise KeyboardInterrupt
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted_join)
    closing = backend.close

    def slow_close():
        threading.Event().wait(0.1)
        closing()

    backend.close = slow_close
    with pytest.raises(KeyboardInterrupt):
        Pipeline(FakeSource(10**6), lambda: backend, [FakeSink(fails_at=2, error=SinkError("disk full"))]).run()
    assert backend.closed
    assert joined.count("ccc-compute") == 2
