"""Pixel formats in which cameras give frames: their shapes, and OpenCV's way to BGR.

All are uint8. BGR and RGB have the shape (h, w, 3). NV12 is (h * 3 / 2, w): the luma rows, then rows of U and V in turn
for every second pixel of every second row. YUYV is (h, w, 2): luma, and in turn U or V. YUV is BT.601, limited range.
"""

from typing import Sequence, Tuple

import numpy as np

from ccc_jetson.errors import UsageError
from ccc_jetson.opencv import import_cv2

BGR, RGB, NV12, YUYV = PIXEL_FORMATS = ("BGR", "RGB", "NV12", "YUYV")
_CHANNELS = {BGR: 3, RGB: 3, YUYV: 2}
_BLACK_LUMA, _NO_COLOR = 16, 128


def size_of_shape(shape: Sequence[int], pixel_format: str) -> Tuple[int, int]:
    """(width, height) in pixels of a frame whose array has this shape.

    Raises:
        UsageError: frames of this format have no such shape.
    """
    _check_format(pixel_format)
    fits = len(shape) == (2 if pixel_format == NV12 else 3) and all(length > 0 for length in shape)
    if pixel_format == NV12:
        fits = fits and shape[0] % 3 == 0 and shape[1] % 2 == 0
        expected = "(height * 3 / 2, width), both even"
    else:
        fits = fits and shape[2] == _CHANNELS[pixel_format] and (pixel_format != YUYV or shape[1] % 2 == 0)
        expected = "(height, {}, {})".format("even width" if pixel_format == YUYV else "width", _CHANNELS[pixel_format])
    if not fits:
        raise UsageError("a frame of {} is {}, this is {}".format(pixel_format, expected, tuple(shape)))
    return shape[1], shape[0] // 3 * 2 if pixel_format == NV12 else shape[0]


def shape_of_size(size: Tuple[int, int], pixel_format: str) -> Tuple[int, ...]:
    """Shape of the array of a frame of this (width, height).

    Raises:
        UsageError: there is no such frame: NV12 wants both even, YUYV the width.
    """
    _check_format(pixel_format)
    width, height = size
    if pixel_format == NV12:
        shape: Tuple[int, ...] = (height * 3 // 2, width)
    else:
        shape = (height, width, _CHANNELS[pixel_format])
    if height % 2 and pixel_format == NV12:
        raise UsageError("a frame of NV12 has an even height, not {}".format(height))
    size_of_shape(shape, pixel_format)
    return shape


def frame_size(image: np.ndarray, pixel_format: str) -> Tuple[int, int]:
    """(width, height) of a frame in pixels.

    Raises:
        UsageError: the array is no frame of this format.
    """
    size = size_of_shape(image.shape, pixel_format)
    if image.dtype != np.uint8:
        raise UsageError("a frame of {} is uint8, this is {}".format(pixel_format, image.dtype))
    return size


def row_bytes(shape: Sequence[int]) -> int:
    """Bytes of one row of a frame's array, where none lie between the rows."""
    return shape[1] * (shape[2] if len(shape) == 3 else 1)


def chroma_offset(shape: Sequence[int], pixel_format: str) -> int:
    """Where NV12's rows of U and V begin, in bytes, where none lie between the rows; 0 for the other formats."""
    height = size_of_shape(shape, pixel_format)[1]
    return row_bytes(shape) * height if pixel_format == NV12 else 0


def black(size: Tuple[int, int], pixel_format: str) -> np.ndarray:
    """A black frame of this (width, height)."""
    shape = shape_of_size(size, pixel_format)
    frame = np.zeros(shape, np.uint8)
    if pixel_format == NV12:
        frame[: size[1]], frame[size[1] :] = _BLACK_LUMA, _NO_COLOR
    elif pixel_format == YUYV:
        frame[...] = _BLACK_LUMA, _NO_COLOR
    return frame


def to_bgr(image: np.ndarray, pixel_format: str) -> np.ndarray:
    """The frame as (h, w, 3) uint8 BGR, converted by OpenCV; ``image`` itself where it is that already.

    Raises:
        UsageError: as ``frame_size``.
    """
    frame_size(image, pixel_format)
    if pixel_format == BGR:
        return image
    cv2 = import_cv2()
    conversions = {RGB: cv2.COLOR_RGB2BGR, NV12: cv2.COLOR_YUV2BGR_NV12, YUYV: cv2.COLOR_YUV2BGR_YUYV}
    return cv2.cvtColor(image, conversions[pixel_format])


def _check_format(pixel_format: str) -> None:
    if pixel_format not in PIXEL_FORMATS:
        raise UsageError("unknown pixel format {!r}; expected one of {}".format(pixel_format, ", ".join(PIXEL_FORMATS)))
