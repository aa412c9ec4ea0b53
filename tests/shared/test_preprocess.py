"""From frames to inputs: the formula, the geometry and the way back."""

import numpy as np
import pytest

from ccc_jetson.errors import UsageError
from ccc_jetson.preprocess import Preprocessor, Region, class_map_for_frame, fitting
from tests.doubles.tiny_model import HEIGHT, WIDTH, tiny_contract


def random_frame(width, height, seed=3):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("color_order", ["BGR", "RGB"])
def test_every_pixel_follows_the_contracts_formula(color_order):
    contract = tiny_contract(color_order=color_order)
    frame = random_frame(WIDTH, HEIGHT)
    rule = contract.preprocessing
    channels = frame if color_order == "BGR" else frame[:, :, ::-1]
    expected = (channels.astype(np.float64) - rule.mean) / rule.std * rule.scale
    result = Preprocessor(contract)(frame)
    assert result.shape == (1, 3, HEIGHT, WIDTH)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0], expected.transpose(2, 0, 1), rtol=1e-6, atol=1e-7)


def test_a_buffer_that_is_given_is_used():
    buffer = np.empty((1, 3, HEIGHT, WIDTH), np.float32)
    assert Preprocessor(tiny_contract())(random_frame(90, 70), buffer) is buffer


@pytest.mark.parametrize("frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_bgr_frame_is_refused(frame):
    with pytest.raises(UsageError, match="uint8 BGR"):
        Preprocessor(tiny_contract())(frame)


def test_stretch_uses_the_whole_frame():
    geometry = fitting((1280, 720), (1024, 512), "stretch")
    assert geometry.source == Region(0, 0, 1280, 720)
    assert geometry.target == Region(0, 0, 1024, 512)


def test_crop_keeps_proportions_and_cuts_both_sides_alike():
    assert fitting((1920, 1080), (1024, 512), "crop").source == Region(0, 60, 1920, 960)
    assert fitting((1000, 100), (1024, 512), "crop").source == Region(400, 0, 200, 100)


def test_letterbox_keeps_proportions_and_adds_bars():
    assert fitting((1920, 1080), (1024, 512), "letterbox").target == Region(57, 0, 910, 512)
    assert fitting((400, 100), (1024, 512), "letterbox").target == Region(0, 128, 1024, 256)


def test_an_unknown_fit_lists_the_known_ones():
    with pytest.raises(UsageError, match="stretch, crop, letterbox"):
        fitting((1, 1), (1, 1), "squeeze")


def test_letterbox_bars_have_the_mean_colour_so_that_they_are_near_zero():
    for order in ("BGR", "RGB"):
        result = Preprocessor(tiny_contract(color_order=order), "letterbox")(random_frame(WIDTH, HEIGHT // 4))
        assert np.abs(result[0, :, 0, :]).max() < 0.02
        assert np.abs(result[0, :, HEIGHT // 2, :]).max() > 0.5


def test_a_preprocessor_serves_frames_of_changing_size():
    preprocess = Preprocessor(tiny_contract())
    first = preprocess(random_frame(50, 50)).copy()
    preprocess(random_frame(200, 20))
    np.testing.assert_array_equal(preprocess(random_frame(50, 50)), first)


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_the_way_back_puts_classes_where_the_frame_had_them(fit):
    width, height = 256, 96
    frame = np.zeros((height, width, 3), np.uint8)
    frame[:, width // 2 :] = 255
    preprocess = Preprocessor(tiny_contract(), fit)
    class_map = (preprocess.resized(frame)[:, :, 0] > 128).astype(np.uint8)
    back = class_map_for_frame(class_map, preprocess.fitting(frame))
    assert back.shape == (height, width)
    seen = back != 255
    truth = (frame[:, :, 0] > 128).astype(np.uint8)
    assert (back[seen] == truth[seen]).mean() > 0.98
    assert seen.all() == (fit != "crop")


def test_what_a_crop_never_saw_has_the_outside_value():
    geometry = fitting((300, 100), (64, 32), "crop")
    back = class_map_for_frame(np.zeros((32, 64), np.uint8), geometry, outside=9)
    assert (back[:, :50] == 9).all()
    assert (back[:, 50:250] == 0).all()
    assert (back[:, 250:] == 9).all()
