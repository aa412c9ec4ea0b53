"""The rolling window over a run."""

import threading

import numpy as np
import pytest

from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.live import SAMPLES, LiveStatistics
from ccc_jetson.runtime.metrics import Counters

pytest.importorskip("onnx")

from tests.doubles.stages import segmentation_of  # noqa: E402
from tests.doubles.tiny_model import tiny_contract  # noqa: E402


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def write(live, clock, latency_s=0.05, class_index=0):
    frame = Frame(0, "a", np.zeros((64, 96, 3), np.uint8), clock.now - latency_s)
    live.write(frame, segmentation_of(frame.image, class_index))


def test_a_sample_tells_what_happened_since_the_last(clock):
    readings = {"power": (7.0, "W")}
    live = LiveStatistics(tiny_contract(), lambda: readings, clock)
    counted = [Counters(10, 1, (("infer", 10, 0.4), ("sink", 10, 0.0)))]
    live.watch(lambda: counted[0])
    for latency_s in (0.010, 0.020, 0.090):
        write(live, clock, latency_s)
    clock.now += 2.0
    first = live.sample()
    assert (first.number, first.at_s, first.fps, first.dropped) == (0, 2.0, 5.0, 1)
    assert (round(first.p50_ms, 6), round(first.p99_ms, 6)) == (20.0, 90.0)
    assert first.stages_ms == {"infer": pytest.approx(40.0), "sink": 0.0}
    assert first.telemetry == {"power": (7.0, "W")}
    counted[0] = Counters(30, 1, (("infer", 30, 1.0), ("sink", 10, 0.0)))
    clock.now += 1.0
    second = live.sample()
    assert (second.number, second.fps, second.dropped) == (1, 20.0, 0)
    assert (second.p50_ms, second.p99_ms) == (None, None)  # no frame came through here
    assert second.stages_ms == {"infer": pytest.approx(30.0)}
    assert second.to_json()["p50_ms"] is None and second.to_json()["telemetry"] == {"power": [7.0, "W"]}
    assert live.samples_from(1) == [second] and live.samples_from(0) == [first, second]


def test_two_samples_at_one_time_divide_by_nothing(clock):
    live = LiveStatistics(tiny_contract(), clock=clock)
    assert live.sample().fps == live.sample().fps == 0.0


def test_memory_is_bounded(clock):
    live = LiveStatistics(tiny_contract(), clock=clock)
    for _ in range(3000):
        write(live, clock, 0.001)
    assert len(live._latencies) == len(live._since_sample) == 1024
    for _ in range(SAMPLES + 50):
        live.sample()
    kept = live.samples_from(0)
    assert len(kept) == SAMPLES and kept[-1].number == SAMPLES + 49
    assert live.latency.frames == 3000 and live.latency.total_s == pytest.approx(3.0)


def test_latency_has_percentiles_of_the_newest_frames(clock):
    live = LiveStatistics(tiny_contract(), clock=clock)
    assert live.latency.quantiles_s == {} and live.silence_s is None
    for index in range(100):
        write(live, clock, (index + 1) / 1000.0)
    clock.now += 3.0
    assert live.silence_s == 3.0
    quantiles = live.latency.quantiles_s
    assert {name: round(value, 6) for name, value in quantiles.items()} == {0.5: 0.05, 0.9: 0.09, 0.99: 0.099}


def test_shares_are_counted_a_few_times_a_second(clock):
    live = LiveStatistics(tiny_contract(), clock=clock)
    write(live, clock, class_index=0)
    write(live, clock, class_index=10)
    assert live.shares == (("road", 1.0),)
    clock.now += 0.3
    write(live, clock, class_index=10)
    assert live.shares == (("sky", 1.0),)


def test_threads_may_read_while_frames_come(clock):
    live = LiveStatistics(tiny_contract(), clock=clock)
    ended, failures = threading.Event(), []

    def read():
        try:
            while not ended.is_set():
                live.sample()
                assert live.latency.frames >= 0 and live.samples_from(0) and live.shares is not None
        except Exception as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(500):
        write(live, clock)
    ended.set()
    reader.join()
    assert not failures and live.latency.frames == 500
