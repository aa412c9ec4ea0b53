"""Many frames through the whole way on the CPU "CUDA driver": nothing grows.

CCC_SOAK_FRAMES=10000 CCC_SOAK_SIZE=128x64 python -m pytest -rP tests/runtime/test_soak.py
"""

import mmap
import os

import pytest

from ccc_jetson.runtime.backends import GpuOptions, open_backend
from ccc_jetson.runtime.pipeline import Pipeline
from ccc_jetson.runtime.slots import SlotRing
from tests.doubles import cuda_driver
from tests.doubles.engine_room import build
from tests.doubles.stages import FakeSink, FakeSource

FRAMES = int(os.environ.get("CCC_SOAK_FRAMES", "500"))
SIZE = tuple(int(number) for number in os.environ.get("CCC_SOAK_SIZE", "128x64").split("x"))
LOOKED_AT = (FRAMES // 5, FRAMES - 10)  # by the first all is settled; after the last the backend may be closed
MOST_GROWTH_KB = 2048


def resident_kb():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


@pytest.mark.parametrize("graph", [True, False])
def test_memory_descriptors_and_allocations_stay_flat(tmp_path, monkeypatch, graph):
    times = iter([1.0, 2.0])  # so that the graph wins where one is wanted
    monkeypatch.setattr("ccc_jetson.runtime.backends.tensorrt.median_ms", lambda run: next(times))
    engine = build(tmp_path, "--fp16", width=SIZE[0], height=SIZE[1], golden=1)
    memory = (("input", "mapped"), ("class_map", "copy"), ("picture", "copy"))
    seen = []
    with cuda_driver.installed() as driver:

        class Watching(FakeSink):
            def write(self, frame, segmentation):
                assert segmentation.class_map.shape == SIZE[::-1] and segmentation.picture.shape == SIZE[::-1] + (3,)
                if frame.number in LOOKED_AT:
                    counted = driver.counters.snapshot()
                    made = {name: count for name, count in counted.items() if name.startswith(("made.", "live."))}
                    seen.append((resident_kb(), len(os.listdir("/proc/self/fd")), made))

        pipeline = Pipeline(
            FakeSource(FRAMES, size=SIZE),
            lambda: open_backend(engine, gpu=GpuOptions(opacity=0.5, cuda_graph=graph, memory=memory)),
            [Watching()],
        )
        measured = pipeline.run()
        left = {name: count for name, count in driver.counters.snapshot().items() if name.startswith("live.") and count}
    (before_kb, before_fds, before), (after_kb, after_fds, after) = seen
    print("{} frames of {}x{}: {:.1f} FPS".format(measured.frames, *SIZE, measured.fps))
    print("resident {} -> {} kB, descriptors {} -> {}, allocations {}".format(
        before_kb, after_kb, before_fds, after_fds, {name: count for name, count in after.items() if count}
    ))  # fmt: skip
    assert measured.frames == FRAMES and left == {}
    assert before == after, "something is made for every frame"
    assert before_fds == after_fds
    assert after_kb - before_kb < MOST_GROWTH_KB


@pytest.mark.parametrize("policy", ["mapped", "copy", "managed"])
def test_a_cameras_frames_are_dropped_or_computed_and_slots_never_run_out(tmp_path, policy):
    engine = build(tmp_path, "--fp32")
    memory = tuple((name, policy) for name in ("input", "class_map", "picture"))
    staged = []
    with cuda_driver.installed() as driver:

        class Watched(SlotRing):
            def take(self, size=0):
                found = super(Watched, self).take(size)
                staged.append(found is not None)
                return found

        def opened():
            backend = open_backend(engine, gpu=GpuOptions(opacity=0.5, cuda_graph=False, memory=memory))
            backend.warm_up((64, 32))
            backend._ring.__class__ = Watched
            return backend

        sink = FakeSink()
        measured = Pipeline(FakeSource(400, 0.001, live=True, size=(64, 32)), opened, [sink]).run()
        left = {name: count for name, count in driver.counters.snapshot().items() if name.startswith("live.") and count}
    print("{} computed, {} dropped".format(measured.frames, measured.dropped))
    assert measured.frames + measured.dropped == 400 and measured.dropped > 0
    assert sink.numbers == sorted(set(sink.numbers))
    assert all(staged), "{} frames found no slot".format(staged.count(False))
    assert left == {}


def test_the_watch_would_see_what_grows():
    before_kb = resident_kb()
    with mmap.mmap(-1, 4 * MOST_GROWTH_KB * 1024) as kept:  # numpy would take what the tests before gave back
        kept.write(b"x" * len(kept))
        assert resident_kb() - before_kb > MOST_GROWTH_KB
