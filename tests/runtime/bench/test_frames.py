"""The frames of a benchmark: held in memory, bounded, and the same everywhere."""

import hashlib
import time

import numpy as np
import pytest

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.bench.frames import HeldFrames, held, synthetic
from ccc_jetson.runtime.frames import Frame
from tests.doubles.stages import FakeSource

DIGEST = "f24e130b33e1b5edb2752673ff51bfb9d7b4993e9565d104df7aa48210a96e97"


def images_of(source, count):
    return [source.read().image for _ in range(count)]


def test_drawn_streets_are_the_same_on_every_machine():
    data = b"".join(image.tobytes() for image in images_of(synthetic((96, 64)), 8))
    assert hashlib.sha256(data).hexdigest() == DIGEST


def test_drawn_streets_are_frames_of_the_size_that_was_asked_for_and_differ():
    source = synthetic((120, 70))
    images = images_of(source, 8)
    assert {(image.shape, image.dtype.name) for image in images} == {((70, 120, 3), "uint8")}
    assert len({image.tobytes() for image in images}) == 8
    assert min(image.std() for image in images) > 20  # a picture, not a grey area
    assert source.size == (120, 70)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_the_smallest_streets_can_be_drawn(size):
    assert synthetic(size).first.image.shape == (size[1], size[0], 3)


def test_large_streets_are_fewer_and_too_large_ones_refused():
    assert len({image.tobytes() for image in images_of(synthetic((100, 100), most_bytes=100000), 6)}) == 3
    with pytest.raises(UsageError, match="a frame of 100000x100000 takes 30000 MB, at most 268 MB are held"):
        synthetic((100000, 100000))


def test_held_frames_come_in_turn_with_new_numbers_names_and_times():
    source = held(FakeSource(3), "three frames")
    before = time.monotonic()
    frames = [source.read() for _ in range(7)]
    assert [frame.number for frame in frames] == list(range(7))
    assert len({frame.name for frame in frames}) == 7
    assert [frame.image[0, 0, 0] for frame in frames] == [0, 1, 2, 0, 1, 2, 0]
    assert all(before <= one.captured_s <= other.captured_s for one, other in zip(frames, frames[1:]))
    assert source.first.image[0, 0, 0] == source.again().read().image[0, 0, 0] == 0
    assert (source.size, source.held_bytes) == ((48, 40), 3 * 48 * 40 * 3)
    assert source.description == "three frames: 3 frames of 48x40, 0.0 MB held in memory and used in turn"


@pytest.mark.parametrize("most_bytes, frames", [(1, 1), (3 * 5760, 3), (3 * 5760 + 5759, 3), (10**9, 10)])
def test_as_many_frames_are_held_as_fit_and_at_least_one(most_bytes, frames):
    source = held(FakeSource(10), "a video", most_bytes)
    assert source.held_bytes == frames * 5760


def test_no_more_is_read_of_a_long_video_than_is_held():
    video = FakeSource(1000)
    held(video, "a video", 10 * 5760)
    assert video.reads == 11


def test_frames_of_several_sizes_have_no_common_one():
    frames = [Frame(0, "a", np.zeros((4, 6, 3), np.uint8), 0.0), Frame(1, "b", np.zeros((4, 8, 3), np.uint8), 0.0)]
    source = HeldFrames(frames, "two pictures")
    assert source.size is None
    assert "2 frames of 2 sizes" in source.description
