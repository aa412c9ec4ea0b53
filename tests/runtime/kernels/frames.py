"""Frames of every format for the kernels' tests, on the device at any pitch and address."""

from typing import NamedTuple

import numpy as np

from ccc_jetson.runtime.pixels import NV12, YUYV, row_bytes, shape_of_size


class Uploaded(NamedTuple):
    """A frame on a device: ``address`` of its first byte, ``pitch`` and ``chroma`` as the kernels take them."""

    address: int
    pitch: int
    chroma: int


def possible_size(size, pixel_format):
    """The (width, height) as the format can have it: even where it must be."""
    width, height = size
    if pixel_format in (NV12, YUYV):
        width += width % 2
    if pixel_format == NV12:
        height += height % 2
    return width, height


def random_frame(random, size, pixel_format):
    """Noise."""
    return random.randint(0, 256, shape_of_size(size, pixel_format)).astype(np.uint8)


def smooth_frame(size):
    """(h, w, 3) uint8 BGR with soft changes, as pictures have them."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    waves = [np.sin(x / 23.0 + y / 31.0), np.cos(x / 17.0 - y / 13.0), np.sin(x * y / 5000.0)]
    return np.stack([np.rint(127.5 + 127.5 * wave) for wave in waves], axis=2).astype(np.uint8)


def upload(device, image, pixel_format, padding=0, offset=0):
    """Copies a frame with ``padding`` bytes between its rows; nothing behind its last pixel is the frame's."""
    used = row_bytes(image.shape)
    pitch = used + padding
    rows = image.reshape(image.shape[0], used)
    padded = np.full((image.shape[0], pitch), 77, np.uint8)
    padded[:, :used] = rows
    height = image.shape[0] // 3 * 2 if pixel_format == NV12 else image.shape[0]
    address = device.upload(padded.reshape(-1)[: padded.size - padding], offset)
    return Uploaded(address, pitch, pitch * height if pixel_format == NV12 else 0)
