"""What the pre-processing and overlay kernels compute, in numpy and in whole numbers: the same bits everywhere.

Frames are the arrays of ``runtime.pixels``; no OpenCV is needed.
"""

from typing import Tuple

import numpy as np

from ccc_jetson.preprocess import Region
from ccc_jetson.runtime.kernels.launches import OPAQUE, WEIGHT_ONE
from ccc_jetson.runtime.pixels import frame_size

# OpenCV's factors of BT.601 with limited range (imgproc/src/color_yuv.simd.hpp), times 2^20
_SHIFT = 20
_Y, _U_TO_B, _U_TO_G, _V_TO_G, _V_TO_R = 1220542, 2116026, -409993, -852492, 1673527


def bgr(image: np.ndarray, pixel_format: str) -> np.ndarray:
    """A frame as (h, w, 3) uint8 BGR; the same bits as ``pixels.to_bgr``."""
    width, height = frame_size(image, pixel_format)
    if pixel_format == "BGR":
        return image
    if pixel_format == "RGB":
        return image[:, :, ::-1]
    if pixel_format == "NV12":
        luma = image[:height]
        chroma = image[height:].reshape(height // 2, width // 2, 2).repeat(2, axis=0).repeat(2, axis=1)
    else:
        luma = image[:, :, 0]
        chroma = image[:, :, 1].reshape(height, width // 2, 2).repeat(2, axis=1)
    grey = np.maximum(luma.astype(np.int32) - 16, 0) * _Y + (1 << (_SHIFT - 1))
    u, v = (chroma[:, :, i].astype(np.int32) - 128 for i in (0, 1))
    channels = (grey + _U_TO_B * u, grey + _U_TO_G * u + _V_TO_G * v, grey + _V_TO_R * v)
    return np.stack([np.clip(channel >> _SHIFT, 0, 255) for channel in channels], axis=2).astype(np.uint8)


def resized(image: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 resized by two of ``launches.resize_table``; weights of 11 bits, rounded once at the end."""
    pixels = image.astype(np.int32)
    (left, right_weight), (upper, lower_weight) = columns.T, rows.T
    right, lower = left + (right_weight != 0), upper + (lower_weight != 0)
    a, b = right_weight[:, np.newaxis], lower_weight[:, np.newaxis, np.newaxis]
    above = (WEIGHT_ONE - a) * pixels[upper][:, left] + a * pixels[upper][:, right]
    below = (WEIGHT_ONE - a) * pixels[lower][:, left] + a * pixels[lower][:, right]
    return (((WEIGHT_ONE - b) * above + b * below + (1 << 21)) >> 22).astype(np.uint8)


def pre(
    image: np.ndarray,
    pixel_format: str,
    columns: np.ndarray,
    rows: np.ndarray,
    target: Region,
    size: Tuple[int, int],
    table: np.ndarray,
    bars: Tuple[int, int, int],
    reversed_channels: bool,
) -> np.ndarray:
    """(3, H, W) in the table's type: what ``launches.pre`` writes for the same arguments.

    Args:
        image: the whole frame.
        columns, rows: of ``launches.resize_table``.
        table: (3, 256) input values.
        target, size, bars, reversed_channels: as in ``launches.pre``.
    """
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[...] = bars
    target.of(picture)[...] = resized(bgr(image, pixel_format), columns, rows)
    if reversed_channels:
        picture = picture[:, :, ::-1]
    return np.stack([table[channel][picture[:, :, channel]] for channel in range(3)])


def overlay(
    image: np.ndarray,
    pixel_format: str,
    class_map: np.ndarray,
    source: Region,
    target: Region,
    palette: np.ndarray,
    opacity: int,
) -> np.ndarray:
    """(h, w, 3) uint8 BGR: what ``launches.overlay`` writes for the same arguments.

    Args:
        image: the frame.
        class_map: (H, W) uint8 of the network's size.
        source, target, opacity: as in ``launches.overlay``.
        palette: (256,) of ``launches.palette_words``.
    """
    picture = np.array(bgr(image, pixel_format))
    rows = target.y + np.arange(source.height) * target.height // source.height
    columns = target.x + np.arange(source.width) * target.width // source.width
    colors = palette[class_map[rows][:, columns]][:, :, np.newaxis] >> np.array([0, 8, 16], np.uint32) & 255
    seen = source.of(picture)
    seen[...] = (seen.astype(np.uint32) * (OPAQUE - opacity) + colors * opacity + OPAQUE // 2) >> 8
    return picture
