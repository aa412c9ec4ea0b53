"""A few pictures, evenly spread or the worst and the best, small whatever the frames are."""

import numpy as np
import pytest

pytest.importorskip("onnx")

from ccc_jetson.opencv import import_cv2
from ccc_jetson.preprocess import fitting
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.evaluation import Scored
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.pixels import PIXEL_FORMATS, black
from ccc_jetson.runtime.reports.gallery import EvenlySpread, WorstAndBest, encoded
from tests.doubles.stages import segmentation_of
from tests.doubles.tiny_model import tiny_contract

CONTRACT = tiny_contract()
COLORS = ((255, 0, 0), (0, 255, 0))


def decoded(picture):
    cv2 = import_cv2()
    return cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)


def gallery_of(frames, expected=None, size=(96, 64)):
    gallery = EvenlySpread(CONTRACT, expected)
    for index in range(frames):
        image = np.zeros((size[1], size[0], 3), np.uint8)
        gallery.write(Frame(index, "frame {}".format(index), image, 0.0), segmentation_of(image, 0))
    return gallery


@pytest.mark.parametrize("frames, expected", [(1, None), (5, 5), (6, None), (40, 40), (1000, None), (1000, 1000),
                                              (1000, 30)])  # fmt: skip
def test_pictures_are_spread_evenly_over_the_run_however_long_it_is(frames, expected):
    numbers = [int(each.caption.split()[1]) for each in gallery_of(frames, expected).pictures]
    print(numbers)
    assert len(numbers) == min(6, frames)
    assert numbers == sorted(set(numbers))
    if frames >= 40:
        gaps = [after - before for before, after in zip(numbers, numbers[1:])]
        assert max(gaps) <= 2 * min(gaps)
        assert numbers[0] < frames / 3 and numbers[-1] > frames * 2 / 3


def test_hardly_a_frame_of_a_long_run_is_drawn(monkeypatch):
    drawn = []
    monkeypatch.setattr(EvenlySpread, "_small", lambda self, frame, result: drawn.append(frame.number) or frame.image)
    gallery_of(10000)
    print(len(drawn), "drawn")
    assert len(drawn) <= 12 + 6 * 11
    del drawn[:]
    gallery_of(10000, expected=10000)
    assert len(drawn) <= 12


def test_without_frames_there_are_no_pictures():
    assert EvenlySpread(CONTRACT).pictures == ()


def test_a_picture_is_small_and_shows_the_classes_where_the_network_saw_them():
    image = np.zeros((720, 1280, 3), np.uint8)
    geometry = fitting((1280, 720), (64, 32), "crop")  # which cuts off above and below
    gallery = EvenlySpread(CONTRACT, opacity=1.0)
    gallery.write(Frame(0, "a", image, 0.0), Segmentation(np.zeros((32, 64), np.uint8), geometry, {}))
    picture = decoded(gallery.pictures[0])
    assert picture.shape == (270, 480, 3)
    assert np.abs(picture[135, 240].astype(int) - (128, 64, 128)).max() < 12  # road, B, G, R
    assert picture[3, 240].max() < 12


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_frames_of_every_format_become_pictures(pixel_format):
    frame = Frame(0, "a", black((640, 360), pixel_format), 0.0, pixel_format)
    gallery = EvenlySpread(CONTRACT, opacity=0.0)
    geometry = fitting((640, 360), (64, 32), "stretch")
    gallery.write(frame, Segmentation(np.zeros((32, 64), np.uint8), geometry, {}))
    picture = decoded(gallery.pictures[0])
    assert picture.shape == (270, 480, 3) and picture.max() < 12


def test_what_a_gpu_has_drawn_is_taken():
    drawn = np.full((360, 640, 3), 200, np.uint8)
    gallery = EvenlySpread(CONTRACT)
    result = segmentation_of(drawn, 0)._replace(picture=drawn)
    gallery.write(Frame(0, "a", np.zeros((360, 640, 3), np.uint8), 0.0), result)
    drawn[...] = 0  # the backend's own
    assert decoded(gallery.pictures[0]).mean() == pytest.approx(200, abs=2)


def test_a_picture_is_as_good_as_its_bytes_allow():
    noise = np.random.RandomState(3).randint(0, 256, (270, 480, 3)).astype(np.uint8)
    assert len(encoded(noise)) <= 40000
    assert len(encoded(noise, 60000)) > len(encoded(noise, 30000))
    assert encoded(noise, 1) == encoded(noise, 2)  # the worst that there is


def scored(name, miou, labels=0, prediction=1):
    picture = np.full((360, 480, 3), 100, np.uint8)
    maps = [np.full((32, 64), value, np.uint8) for value in (labels, prediction)]
    return Scored(name, miou, picture, *maps, colors=COLORS)


def test_the_worst_and_the_best_frames_are_kept_with_their_figures():
    gallery = WorstAndBest(COLORS)
    for index in range(30):
        gallery.add(scored("f{}".format(index), ((index * 7) % 30) / 30.0))
    captions = [each.caption for each in gallery.pictures]
    print(captions)
    assert [caption.split(",")[1] for caption in captions] == [
        " mIoU 0.0 %", " mIoU 3.3 %", " mIoU 6.7 %", " mIoU 10.0 %", " mIoU 96.7 %", " mIoU 93.3 %"
    ]  # fmt: skip
    assert [caption.split(":")[0] for caption in captions] == ["worst"] * 4 + ["best"] * 2


def test_of_few_frames_each_is_shown_once_and_of_equal_ones_the_first():
    gallery = WorstAndBest(COLORS)
    for name in ("a", "b", "c", "d", "e", "f", "g"):
        gallery.add(scored(name, 0.5))
    assert [each.caption.split(",")[0] for each in gallery.pictures] == [
        "worst: a", "worst: b", "worst: c", "worst: d"
    ]  # fmt: skip
    gallery = WorstAndBest(COLORS)
    gallery.add(scored("nothing labelled", float("nan")))
    assert gallery.pictures == ()


def test_labels_stand_left_and_the_prediction_right_and_what_has_no_class_is_the_frame():
    gallery = WorstAndBest(COLORS)
    gallery.add(scored("a", 0.5, labels=255, prediction=1))
    picture = decoded(gallery.pictures[0]).astype(int)
    assert picture.shape == (240, 648, 3)
    assert np.abs(picture[120, 100] - 100).max() < 8
    assert np.abs(picture[120, 500] - (40, 193, 40)).max() < 8  # 0.4 of the frame, 0.6 of green
    assert picture[120, 324].min() > 230


def test_only_frames_that_enter_are_drawn(monkeypatch):
    gallery, drawn = WorstAndBest(COLORS), []
    monkeypatch.setattr(gallery, "_drawn", lambda frame: drawn.append(frame.name) or np.zeros((4, 4, 3), np.uint8))
    for index in range(1000):
        gallery.add(scored("f{}".format(index), 0.3 + 0.4 * ((index * 617) % 1000) / 1000.0))
    print(len(drawn), "of 1000 drawn")
    assert len(drawn) < 100
