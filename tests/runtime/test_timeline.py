"""A run in parts: exact counts, medians that can be trusted, memory that does not grow."""

import random
import tracemalloc

import pytest

from ccc_jetson.runtime.timeline import TimelineRecorder


def recorded(frames, fps=25.0, latency_s=lambda index: 0.04, dropped=lambda index: 0, **options):
    """A timeline of so many frames, and the seconds that they took."""
    recorder = TimelineRecorder(**options)
    for index in range(frames):
        recorder.add((index + 1) / fps, latency_s(index), dropped(index))
    return recorder.timeline(frames / fps), frames / fps


@pytest.mark.parametrize("frames", [1, 7, 100, 1000, 33333])
def test_no_frame_and_no_drop_is_lost_however_long_the_run(frames):
    timeline, wall_s = recorded(frames, dropped=lambda index: 3 * index)
    assert sum(timeline.frames) == frames
    assert sum(timeline.dropped) == 3 * (frames - 1)
    assert timeline.from_s[0] == 0 and timeline.to_s[-1] == pytest.approx(wall_s, abs=1e-3)
    assert timeline.from_s[1:] == timeline.to_s[:-1]
    assert len(timeline.frames) <= 240


def test_a_count_of_drops_that_falls_takes_nothing_from_a_part():
    timeline, _ = recorded(200, dropped=lambda index: 100 * (0 < index < 199))
    assert min(timeline.dropped) >= 0 and sum(timeline.dropped) == 100


def test_parts_hold_enough_frames_to_speak_of_frames_per_second():
    timeline, _ = recorded(200, fps=5.0)
    rates = [frames / (end - start) for frames, start, end in zip(timeline.frames, timeline.from_s, timeline.to_s)]
    print(rates)
    assert len(rates) >= 8
    assert all(abs(rate - 5.0) < 1.0 for rate in rates)


def test_a_slow_time_shows_where_it_was():
    recorder, now_s = TimelineRecorder(), 0.0
    for index in range(1000):
        slow = 400 <= index < 500
        now_s += 0.1 if slow else 0.02
        recorder.add(now_s, 0.3 if slow else 0.05)
    timeline = recorder.timeline(now_s)
    worst = max(range(len(timeline.frames)), key=lambda part: timeline.latency_max_ms[part])
    assert 8.0 <= timeline.from_s[worst] <= 18.0
    assert timeline.latency_p50_ms[0] == pytest.approx(50.0, rel=0.03)
    assert max(timeline.latency_p50_ms) == pytest.approx(300.0, rel=0.03)


def test_medians_are_within_three_percent_after_parts_were_joined():
    seed = random.randrange(10**6)
    print("seed", seed)
    generator = random.Random(seed)
    latencies = [generator.lognormvariate(-3, 0.5) for _ in range(4000)]
    timeline, _ = recorded(4000, fps=100.0, latency_s=lambda index: latencies[index], most_parts=16)
    done = 0
    for frames, median_ms, longest_ms in zip(timeline.frames, timeline.latency_p50_ms, timeline.latency_max_ms):
        part = sorted(latencies[done : done + frames])
        assert median_ms == pytest.approx(1000 * part[(frames - 1) // 2], rel=0.03)
        assert longest_ms == pytest.approx(1000 * part[-1], abs=1e-3)
        done += frames


def test_memory_is_bounded():
    recorder = TimelineRecorder()
    for index in range(20000):
        recorder.add(index / 30.0, 0.03 + 0.0001 * (index % 97))
    tracemalloc.start()
    try:
        for index in range(20000, 60000):
            recorder.add(index / 30.0, 0.03 + 0.0001 * (index % 97))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print("grown by", grown, "bytes")
    assert grown < 400000


def test_a_run_that_stood_still_has_parts_without_frames():
    recorder = TimelineRecorder()
    for index in range(100):
        recorder.add(0.02 * index, 0.01)
    recorder.add(60.0, 0.01)
    timeline = recorder.timeline(60.0)
    assert 0 in timeline.frames
    assert timeline.latency_p50_ms[timeline.frames.index(0)] == 0.0


def test_latencies_of_nothing_and_of_hours_are_noted():
    timeline, _ = recorded(2, latency_s=lambda index: (0.0, 5000.0)[index])
    assert timeline.latency_max_ms == [5e6]


def test_without_frames_there_are_no_parts():
    timeline = TimelineRecorder().timeline(0.0)
    assert timeline.from_s == timeline.frames == timeline.latency_p50_ms == []
    assert timeline.to_json()["frames"] == []
