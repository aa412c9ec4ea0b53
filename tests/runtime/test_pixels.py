"""Shapes of the pixel formats, and the way to BGR."""

import numpy as np
import pytest

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.pixels import (
    BGR,
    NV12,
    PIXEL_FORMATS,
    RGB,
    YUYV,
    black,
    chroma_offset,
    frame_size,
    row_bytes,
    shape_of_size,
    size_of_shape,
    to_bgr,
)

SHAPES = {BGR: (6, 10, 3), RGB: (6, 10, 3), NV12: (9, 10), YUYV: (6, 10, 2)}


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_shape_and_size_belong_together(pixel_format):
    assert shape_of_size((10, 6), pixel_format) == SHAPES[pixel_format]
    assert size_of_shape(SHAPES[pixel_format], pixel_format) == (10, 6)
    assert frame_size(np.zeros(SHAPES[pixel_format], np.uint8), pixel_format) == (10, 6)


def test_rows_and_the_place_of_nv12s_colours():
    assert [row_bytes(SHAPES[name]) for name in (BGR, RGB, NV12, YUYV)] == [30, 30, 10, 20]
    assert [chroma_offset(SHAPES[name], name) for name in (BGR, RGB, NV12, YUYV)] == [0, 0, 60, 0]
    frame = np.arange(90, dtype=np.uint8).reshape(9, 10)
    assert frame.reshape(-1)[chroma_offset(frame.shape, NV12)] == frame[6, 0]


@pytest.mark.parametrize(
    ("shape", "pixel_format"),
    [
        ((6, 10), BGR),
        ((6, 10, 4), BGR),
        ((6, 10, 1), RGB),
        ((0, 10, 3), BGR),
        ((6, 0, 3), RGB),
        ((6, 10, 3), NV12),
        ((8, 10), NV12),
        ((9, 11), NV12),
        ((0, 10), NV12),
        ((6, 10, 3), YUYV),
        ((6, 9, 2), YUYV),
    ],
)
def test_a_shape_of_another_format_is_refused_with_the_one_expected(shape, pixel_format):
    with pytest.raises(UsageError, match=r"a frame of {} is \(height".format(pixel_format)) as caught:
        frame_size(np.zeros(shape, np.uint8), pixel_format)
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize(("size", "pixel_format"), [((9, 6), NV12), ((10, 5), NV12), ((10, 7), NV12), ((9, 6), YUYV)])
def test_an_odd_size_that_a_format_cannot_have_is_refused(size, pixel_format):
    with pytest.raises(UsageError, match="even"):
        shape_of_size(size, pixel_format)


def test_a_frame_of_other_numbers_is_refused():
    with pytest.raises(UsageError, match="is uint8, this is float32"):
        frame_size(np.zeros((6, 10, 3), np.float32), BGR)


def test_an_unknown_format_lists_the_known_ones():
    for call in (size_of_shape, shape_of_size):
        with pytest.raises(UsageError, match="'I420'; expected one of BGR, RGB, NV12, YUYV"):
            call((10, 6), "I420")


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_black_is_black(pixel_format):
    frame = black((10, 6), pixel_format)
    assert frame.dtype == np.uint8
    assert frame.shape == SHAPES[pixel_format]
    assert to_bgr(frame, pixel_format).shape == (6, 10, 3)
    assert not to_bgr(frame, pixel_format).any()


def test_bgr_is_passed_on_and_rgb_is_exchanged():
    frame = np.random.RandomState(3).randint(0, 256, (6, 10, 3)).astype(np.uint8)
    assert to_bgr(frame, BGR) is frame
    np.testing.assert_array_equal(to_bgr(frame, RGB), frame[:, :, ::-1])


@pytest.mark.parametrize("pixel_format", [NV12, YUYV])
def test_yuv_colours_are_those_of_limited_range_bt601(pixel_format):
    frame = black((2, 2), pixel_format)
    if pixel_format == NV12:
        frame[:2], frame[2] = 81, (90, 240)  # Y, U, V of pure red
    else:
        frame[...] = [[81, 90], [81, 240]]
    assert np.abs(to_bgr(frame, pixel_format).astype(int) - (0, 0, 255)).max() <= 1


def test_what_is_no_frame_is_not_converted():
    with pytest.raises(UsageError, match="NV12"):
        to_bgr(np.zeros((7, 4), np.uint8), NV12)
