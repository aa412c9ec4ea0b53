"""Launches of the head's kernels, which make classes of what an engine gives, and the weights as they read them.

The kernels do all pixels on any grid; these grids give each thread its share once.
"""

from typing import Dict, Tuple

import numpy as np

from ccc_jetson.contract import HEAD_SCALES
from ccc_jetson.errors import BackendError
from ccc_jetson.head import HeadWeights
from ccc_jetson.runtime.kernels.launches import Launch

_THREADS = 128  # of a block, as deconv.cu's DECONV_THREADS
_LOGITS = {"float16": "fp16", "float32": "fp32"}
_CLASSES = {"int32": "i32", "int64": "i64"}
_CLASSES_A_STEP = 4  # of weights
_LOAD_BYTES = 16  # argmax moves so many at a time
_LARGEST_INT = 2**31 - 1


def head_deconv(
    dtype: str, features: int, weights: int, channels_in: int, channels_out: int, height: int, width: int, classes: int
) -> Launch:
    """2x2 transposed convolution with stride 2, bias, and argmax.

    Args:
        dtype: of the features, "float16" or "float32".
        features: address of (channels_in, height, width).
        weights: address, a multiple of 16, of what ``pack_deconv`` gives.
        channels_in, channels_out: those that the kernels were compiled for.
        classes: address of (2 * height, 2 * width) uint8.

    Raises:
        BackendError: there is no kernel for this.
    """
    suffix = _suffix(_LOGITS, dtype, channels_out, 4 * height * width)
    pixels = 4 if channels_in <= 24 else 2 if channels_in <= 48 else 1  # deconv.cu's PIXELS
    arguments = (np.uint64(features), np.uint64(weights), np.int32(height), np.int32(width), np.uint64(classes))
    return _launch("ccc_head_deconv_" + suffix, -(-height * width // pixels), arguments)


def head_bilinear(
    dtype: str,
    logits: int,
    channels: int,
    height: int,
    width: int,
    out_height: int,
    out_width: int,
    align_corners: bool,
    classes: int,
) -> Launch:
    """Bilinear interpolation and argmax.

    Args:
        dtype: of the logits, "float16" or "float32".
        logits: address of (channels, height, width).
        out_height, out_width: the same multiple of height and width (``contract.HEAD_SCALES``).
        align_corners: as the contract's head.
        classes: address of (out_height, out_width) uint8.

    Raises:
        BackendError: there is no kernel for this.
    """
    suffix = _suffix(_LOGITS, dtype, channels, out_height * out_width)
    scale = out_width // width
    smallest, largest = HEAD_SCALES
    if (scale * height, scale * width) != (out_height, out_width) or not smallest <= scale <= largest:
        raise BackendError(
            "a bilinear head makes {}x{} of {}x{}, but {} to {} times as much was expected, the same both ways".format(
                out_width, out_height, width, height, smallest, largest
            ),
            hint="does the contract belong to this engine? build it again with ccc-build-engine",
        )
    columns, rows = (8, 2) if scale >= 8 else (4, 2) if scale >= 4 else (2, 2)  # bilinear.cu's tiles
    tiles = _tiles(width, scale, align_corners, columns) * _tiles(height, scale, align_corners, rows)
    arguments = [np.int32(each) for each in (channels, height, width, out_height, out_width, bool(align_corners))]
    return _launch("ccc_head_bilinear_" + suffix, tiles, (np.uint64(logits), *arguments, np.uint64(classes)))


def argmax(dtype: str, logits: int, channels: int, pixels: int, classes: int) -> Launch:
    """(channels, pixels) logits at one address, "float16" or "float32" -> (pixels,) uint8 at another.

    Raises:
        BackendError: there is no kernel for this.
    """
    suffix = _suffix(_LOGITS, dtype, channels, pixels)
    arguments = (np.uint64(logits), np.int32(channels), np.int32(pixels), np.uint64(classes))
    return _launch("ccc_argmax_" + suffix, -(-pixels * np.dtype(dtype).itemsize // _LOAD_BYTES), arguments)


def narrow(dtype: str, values: int, pixels: int, classes: int) -> Launch:
    """(pixels,) classes at one address, "int32" or "int64" -> uint8 at another; of larger numbers the lowest byte.

    Raises:
        BackendError: there is no kernel for this.
    """
    suffix = _suffix(_CLASSES, dtype, 1, pixels)
    return _launch("ccc_narrow_" + suffix, -(-pixels // 4), (np.uint64(values), np.int32(pixels), np.uint64(classes)))


def pack_deconv(weights: HeadWeights) -> np.ndarray:
    """The weights in the order in which ``ccc_head_deconv`` reads them, 1-D float32.

    Position by position of the 2x2, four classes by four: their biases, then their weights channel by channel. Classes
    that are missing in the last four have a bias of minus infinity, so they never win.
    """
    channels_in, channels_out = weights.weight.shape[:2]
    steps = -(-channels_out // _CLASSES_A_STEP)
    packed = np.zeros((2, 2, 1 + channels_in, steps * _CLASSES_A_STEP), np.float32)
    packed[:, :, 0, channels_out:] = -np.inf
    packed[:, :, 0, :channels_out] = weights.bias
    packed[:, :, 1:, :channels_out] = weights.weight.transpose(2, 3, 0, 1)
    # (2, 2, 1 + channels_in, steps, 4) -> (2, 2, steps, 1 + channels_in, 4)
    by_step = packed.reshape(2, 2, 1 + channels_in, steps, _CLASSES_A_STEP).transpose(0, 1, 3, 2, 4)
    return np.ascontiguousarray(by_step).ravel()


def _suffix(known: Dict[str, str], dtype: str, channels: int, pixels: int) -> str:
    """The end of the name of the kernel for such values, where there is one."""
    if dtype not in known:
        raise BackendError(
            "the engine gives {}; kernels are there for {}".format(dtype, " and ".join(sorted(known))),
            hint="build it again with ccc-build-engine, from a file of ccc-export",
        )
    if not 1 <= channels <= 256:
        raise BackendError("{} classes do not fit into a class map of bytes".format(channels))
    if not 1 <= pixels <= _LARGEST_INT:
        raise BackendError("a class map of {:,} pixels is none that the kernels can make".format(pixels))
    return known[dtype]


def _tiles(length: int, scale: int, align_corners: bool, most: int) -> int:
    """The tiles along an axis: those between each two pixels of the logits, of at most so many pixels."""
    if not align_corners:
        return (length + 1) * -(-scale // most)
    longest = -(-(scale * length - 1) // (length - 1)) if length > 1 else scale
    return length * -(-longest // most)


def _launch(name: str, threads: int, arguments: Tuple[np.generic, ...]) -> Launch:
    return Launch(name, (-(-threads // _THREADS), 1, 1), (_THREADS, 1, 1), arguments)
