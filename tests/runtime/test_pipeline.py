"""Three threads: overlap, drops, failures in each of them, and nothing left behind."""

import threading

import pytest

from ccc_jetson.errors import BackendError, SinkError, SourceError
from ccc_jetson.runtime.metrics import StageSummary
from ccc_jetson.runtime.pipeline import Measured, Pipeline, bottleneck
from tests.doubles.stages import FakeBackend, FakeSink, FakeSource


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
    return Measured(1, 0, 1.0, [StageSummary(name, 1, ms, ms, ms, ms, ms) for name, ms in means_ms.items()], [], "b")


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
