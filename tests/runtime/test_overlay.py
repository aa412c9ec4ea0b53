"""Colours over frames: the right ones, in the right place."""

import numpy as np
import pytest

from ccc_jetson.preprocess import fitting
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.overlay import Overlay, class_shares, palette_bgr, pixel_counts
from ccc_jetson.runtime.pixels import black
from tests.doubles.stages import segmentation_of
from tests.doubles.tiny_model import HEIGHT, WIDTH, tiny_contract

ROAD_BGR = (128, 64, 128)
SKY_BGR, SKY = (180, 130, 70), 10


def gray(width, height, value=100):
    return np.full((height, width, 3), value, np.uint8)


def segmentation(class_map, frame, fit):
    return Segmentation(class_map, fitting((frame.shape[1], frame.shape[0]), (WIDTH, HEIGHT), fit), {})


def shown(image, pixel_format="BGR"):
    return Frame(0, "frame", image, 0.0, pixel_format)


def left_and_right():
    class_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    class_map[:, WIDTH // 2 :] = SKY
    return class_map


def test_full_opacity_shows_the_contracts_colours_at_the_frames_size():
    frame = gray(200, 120)
    picture = Overlay(tiny_contract(), 1.0)(shown(frame), segmentation(left_and_right(), frame, "stretch"))
    assert picture.shape == (120, 200, 3)
    assert (picture[:, :100] == ROAD_BGR).all()
    assert (picture[:, 100:] == SKY_BGR).all()


def test_no_opacity_shows_the_frame():
    frame = np.random.RandomState(2).randint(0, 256, (50, 70, 3)).astype(np.uint8)
    assert np.array_equal(Overlay(tiny_contract(), 0.0)(shown(frame), segmentation_of(frame, SKY)), frame)


def test_half_opacity_is_the_mean():
    frame = gray(64, 32)
    picture = Overlay(tiny_contract(), 0.5)(shown(frame), segmentation_of(frame, SKY))
    assert np.abs(picture.astype(int) - (140, 115, 85)).max() <= 1


@pytest.mark.parametrize(
    "size, seen", [((300, 100), (slice(0, 100), slice(50, 250))), ((100, 200), (slice(75, 125), slice(0, 100)))]
)
def test_what_a_crop_cuts_off_stays_as_it_is(size, seen):
    frame = gray(*size)
    picture = Overlay(tiny_contract(), 1.0)(shown(frame), segmentation_of(frame, SKY, "crop"))
    assert (picture[seen] == SKY_BGR).all()
    untouched = np.ones(picture.shape[:2], bool)
    untouched[seen] = False
    assert (picture[untouched] == 100).all()


def test_the_bars_of_a_letterbox_are_not_shown():
    frame = gray(100, 100)
    class_map = np.full((HEIGHT, WIDTH), 3, np.uint8)
    class_map[:, 16:48] = SKY  # where the square frame lies in the 64 x 32 input
    picture = Overlay(tiny_contract(), 1.0)(shown(frame), segmentation(class_map, frame, "letterbox"))
    assert (picture == SKY_BGR).all()


def test_frames_may_change_their_size_and_are_not_drawn_on():
    overlay = Overlay(tiny_contract(), 1.0)
    for width, height in ((64, 32), (130, 90), (64, 32)):
        frame = gray(width, height)
        assert (overlay(shown(frame), segmentation_of(frame, SKY)) == SKY_BGR).all()
        assert (frame == 100).all()


def test_a_legend_is_drawn_in_the_corner_only():
    frame = gray(400, 300)
    found = segmentation(left_and_right(), frame, "stretch")
    plain = Overlay(tiny_contract(), 0.5)(shown(frame), found)
    legend = Overlay(tiny_contract(), 0.5, legend=True)(shown(frame), found)
    changed = np.argwhere((plain != legend).any(axis=2))
    assert len(changed)
    assert changed[:, 0].max() < 60 and changed[:, 1].max() < 120
    assert (legend == ROAD_BGR).all(axis=2).any() and (legend == SKY_BGR).all(axis=2).any()


def test_frames_of_a_camera_in_its_own_format_are_drawn_as_bgr():
    image = black((64, 32), "NV12")
    picture = Overlay(tiny_contract(), 0.5)(shown(image, "NV12"), segmentation_of(gray(64, 32), SKY))
    assert np.abs(picture.astype(int) - (90, 65, 35)).max() <= 1


@pytest.mark.parametrize("legend", [False, True])
def test_a_picture_that_the_backend_has_drawn_is_taken(legend):
    drawn = gray(400, 300)
    found = segmentation(left_and_right(), drawn, "stretch")._replace(picture=drawn)
    overlay = Overlay(tiny_contract(), 0.5, legend)
    for _ in range(2):
        picture = overlay(shown(np.zeros_like(drawn)), found)
        assert (picture[100:] == 100).all()
    assert (picture[:20, :60] != 100).any() == legend
    assert (drawn == 100).all()


def test_the_palette_is_black_beyond_the_classes():
    palette = palette_bgr(tiny_contract())
    assert palette.shape == (256, 1, 3)
    assert tuple(palette[0, 0]) == ROAD_BGR
    assert not palette[19:].any()


def test_pixels_are_counted_and_shares_sorted():
    counts = pixel_counts(left_and_right()[:, 8:])  # a view, as a letterbox's region is
    assert counts.sum() == HEIGHT * (WIDTH - 8)
    assert class_shares(counts, tiny_contract()) == (("sky", 32 / 56), ("road", 24 / 56))


def test_classes_of_one_name_are_added_up():
    contract = tiny_contract()
    same = tuple(each._replace(name="thing") if each.name in ("road", "sky") else each for each in contract.classes)
    counts = np.zeros(256, np.int64)
    counts[:3], counts[SKY] = (3, 4, 0), 3
    shares = class_shares(counts, contract._replace(classes=same))
    assert shares == (("thing", 0.6), (contract.class_names[1], 0.4))
