"""The drawn road: the same on every machine and at every reading, live or not."""

import threading
import time

import numpy as np
import pytest

from ccc_jetson.runtime.frames.opening import open_source
from ccc_jetson.runtime.frames.synthetic import Road
from ccc_jetson.runtime.source_grammar import parse_source


def opened(text, stop=None):
    return open_source(parse_source(text), stop=stop)


def test_frames_are_the_same_again_and_move():
    with opened("synthetic://?size=96x64&frames=4") as source, opened("synthetic://?size=96x64&frames=4") as again:
        frames = list(iter(source.read, None))
        others = list(iter(again.read, None))
    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    assert all((mine.image == other.image).all() for mine, other in zip(frames, others))
    assert (frames[0].image != frames[3].image).mean() > 0.01
    assert frames[0].image.shape == (64, 96, 3) and frames[0].image.dtype == np.uint8


def test_a_frame_does_not_depend_on_those_before():
    road, again = Road((96, 64)), Road((96, 64))
    for number in range(5):
        expected = road.picture(number, 30.0)
    assert (again.picture(4, 30.0) == expected).all()


def test_it_looks_like_a_road():
    picture = Road((640, 360)).picture(10, 30.0).astype(int)
    sky, road = picture[20, 320], picture[340, 320]
    assert sky[0] > 200 and sky[0] > sky[2]  # blue
    assert abs(road[0] - road[2]) < 40 and road.mean() < 140  # grey


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (1920, 1080)])
def test_every_size_can_be_drawn(size):
    assert Road(size).picture(3, 30.0).shape == (size[1], size[0], 3)


def test_what_is_not_live_waits_for_its_reader_and_has_an_end():
    with opened("synthetic://?size=64x32&fps=1&frames=3") as source:
        assert (source.live, source.total, source.fps) == (False, 3, 1.0)
        began_s = time.monotonic()
        assert len(list(iter(source.read, None))) == 3
        assert time.monotonic() - began_s < 1.0
        assert source.details.asked.size == (64, 32) and source.replaced == 0


def test_a_live_one_gives_frames_when_they_are_due_and_counts_those_nobody_took():
    with opened("synthetic://?size=64x32&fps=50&live=1") as source:
        assert source.live and source.total is None
        first = source.read()
        second = source.read()
        assert second.captured_s - first.captured_s == pytest.approx(0.02 * second.number)
        time.sleep(0.5)
        third = source.read()
        assert third.number >= second.number + 20
        assert source.replaced == third.number - 2
        assert third.captured_s <= time.monotonic()


def test_a_live_one_with_an_end_ends():
    with opened("synthetic://?size=64x32&fps=200&live=1&frames=10") as source:
        numbers = [frame.number for frame in iter(source.read, None)]
        assert numbers[-1] <= 9 and len(numbers) + source.replaced == 10


def test_a_live_one_notices_the_end_of_the_run():
    stop = threading.Event()
    with opened("synthetic://?size=64x32&fps=0.001&live=1", stop) as source:
        source.read()
        threading.Timer(0.1, stop.set).start()
        assert source.read() is None
