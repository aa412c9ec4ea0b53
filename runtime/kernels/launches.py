"""Launches of the pre-processing and overlay kernels: grid, block and arguments, and the tables that they read.

Plain functions of numbers: the backend gives a ``Launch`` to pycuda, the tests run it on the CPU.
"""

from typing import Any, NamedTuple, Tuple

import numpy as np

from ccc_jetson.contract import Contract
from ccc_jetson.errors import UsageError
from ccc_jetson.preprocess import Region
from ccc_jetson.runtime.pixels import PIXEL_FORMATS

OPAQUE = 256  # of the overlay's opacity
WEIGHT_ONE = 2048  # of the resize's weights
_BLOCK = (32, 8, 1)  # as pre.cu and overlay.cu have it
_TILE = (128, 32)  # pixels that a block makes
_TYPES = {"float16": "fp16", "float32": "fp32"}


class Launch(NamedTuple):
    """One kernel's launch: ``arguments`` are numpy scalars in the kernel's order, addresses as ``np.uint64``."""

    name: str
    grid: Tuple[int, int, int]
    block: Tuple[int, int, int]
    arguments: Tuple[Any, ...]


def pre(
    pixel_format: str,
    dtype: str,
    frame: int,
    pitch: int,
    chroma: int,
    columns: int,
    rows: int,
    target: Region,
    size: Tuple[int, int],
    table: int,
    bars: Tuple[int, int, int],
    reversed_channels: bool,
    out: int,
) -> Launch:
    """A frame becomes the network's input.

    Args:
        pixel_format: one of ``PIXEL_FORMATS``.
        dtype: of the input, "float16" or "float32".
        frame, columns, rows, table, out: addresses; the tables are ``resize_table``'s and (3, 256) input values.
        pitch: bytes from one row of the frame to the next.
        chroma: ``pixels.chroma_offset``, or ``pitch * height`` of NV12 with a longer pitch.
        target: the rectangle of the input that the frame fills; has as many columns and rows as the tables.
        size: (width, height) of the input.
        bars: the colour outside the rectangle as (B, G, R).
        reversed_channels: the network's channels are R, G, B.
    """
    if dtype not in _TYPES:
        raise UsageError("the network's input is float16 or float32, not {}".format(dtype))
    numbers = [target.x, target.y, target.width, target.height, size[0], size[1]]
    return Launch(
        "ccc_pre_{}_{}".format(_format(pixel_format), _TYPES[dtype]),
        _grid(size),
        _BLOCK,
        (np.uint64(frame), np.int32(pitch), np.int32(chroma), np.uint64(columns), np.uint64(rows))
        + tuple(np.int32(number) for number in numbers)
        + (np.uint64(table), np.int32(_word(*bars)), np.int32(bool(reversed_channels)), np.uint64(out)),
    )


def overlay(
    pixel_format: str,
    frame: int,
    pitch: int,
    chroma: int,
    frame_size: Tuple[int, int],
    class_map: int,
    map_width: int,
    source: Region,
    target: Region,
    palette: int,
    opacity: int,
    out: int,
    out_pitch: int,
) -> Launch:
    """A frame becomes a BGR picture of its size with the classes' colours over it.

    Args:
        pixel_format, pitch, chroma: of the frame, as in ``pre``.
        frame, class_map, palette, out: addresses; the palette is ``palette_words``.
        frame_size: (width, height) of the frame.
        map_width: of the class map.
        source: the rectangle of the frame that the network saw; the rest stays as it is.
        target: where it lies in the class map.
        opacity: of the colours, 0 to ``OPAQUE``.
        out_pitch: bytes from one row of the picture to the next.
    """
    if not 0 <= opacity <= OPAQUE:
        raise UsageError("the opacity is 0 to {}, not {}".format(OPAQUE, opacity))
    return Launch(
        "ccc_overlay_" + _format(pixel_format),
        _grid(frame_size),
        _BLOCK,
        (np.uint64(frame), np.int32(pitch), np.int32(chroma), np.int32(frame_size[0]), np.int32(frame_size[1]))
        + (np.uint64(class_map), np.int32(map_width))
        + tuple(np.int32(number) for number in tuple(source) + tuple(target))
        + (np.uint64(palette), np.int32(opacity), np.uint64(out), np.int32(out_pitch)),
    )


def resize_table(source_start: int, source_length: int, target_length: int) -> np.ndarray:
    """(target_length, 2) int32: where each pixel of one axis comes from, as OpenCV's INTER_LINEAR has it for uint8.

    A pair is the index of the first pixel in the frame and the weight of the one behind it, 0 to 2048; the first one's
    weight is the rest of 2048, and a weight of 0 reads nothing behind it.

    Args:
        source_start, source_length: the part of the frame that is resized.
        target_length: pixels that it becomes.
    """
    scale = float(source_length) / target_length
    places = ((np.arange(target_length) + 0.5) * scale - 0.5).astype(np.float32)
    index = np.floor(places)
    weight = places - index
    beyond = (index < 0) | (index >= source_length - 1)  # at the borders the outermost pixel stands alone
    index = np.clip(index, 0, source_length - 1)
    weight[beyond] = 0
    weight = np.rint(weight * np.float32(WEIGHT_ONE))  # to even, as OpenCV rounds
    return np.stack([index + source_start, weight], axis=1).astype(np.int32)


def palette_words(contract: Contract) -> np.ndarray:
    """(256,) uint32: each class's colour as B | G << 8 | R << 16; black beyond the classes."""
    words = np.zeros(256, np.uint32)
    for index, each in enumerate(contract.classes):
        red, green, blue = each.color
        words[index] = _word(blue, green, red)
    return words


def _format(pixel_format: str) -> str:
    if pixel_format not in PIXEL_FORMATS:
        raise UsageError("unknown pixel format {!r}; expected one of {}".format(pixel_format, ", ".join(PIXEL_FORMATS)))
    return pixel_format.lower()


def _word(blue: int, green: int, red: int) -> int:
    """A colour as the kernels have it."""
    return blue | green << 8 | red << 16


def _grid(size: Tuple[int, int]) -> Tuple[int, int, int]:
    """Blocks for an output of this (width, height)."""
    return (-(-size[0] // _TILE[0]), -(-size[1] // _TILE[1]), 1)
