"""From a frame to the network's input, on the host: the reference for every other implementation.

A frame is fitted to the network's size as uint8 (bilinear), its channels are put in order, and each becomes
``(pixel - mean) / std * scale`` as the contract says. A pixel has 256 values, so a table per channel does the
arithmetic exactly; cost grows with the network's pixels (three look-ups each) plus the frame's for the resize.
"""

from typing import NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.choices import FITS
from ccc_jetson.contract import Contract, Preprocessing
from ccc_jetson.errors import UsageError
from ccc_jetson.opencv import import_cv2


class Region(NamedTuple):
    """A rectangle in pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, image: np.ndarray) -> np.ndarray:
        """The rectangle's view of an image."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


class Fitting(NamedTuple):
    """How a frame meets the network's input: ``source`` of the frame is resized into ``target`` of the input."""

    source: Region
    target: Region
    frame_size: Tuple[int, int]  # width, height
    network_size: Tuple[int, int]


def fitting(frame_size: Tuple[int, int], network_size: Tuple[int, int], fit: str) -> Fitting:
    """Geometry of ``fit`` for sizes given as (width, height).

    ``stretch`` uses the whole frame and changes its proportions; ``crop`` keeps them and cuts what is too wide or too
    high, from both sides alike; ``letterbox`` keeps them and adds bars.
    """
    (width, height), (net_width, net_height) = frame_size, network_size
    frame, network = Region(0, 0, width, height), Region(0, 0, net_width, net_height)
    if fit == "crop":
        crop_width = min(width, max(1, round(height * net_width / net_height)))
        crop_height = min(height, max(1, round(width * net_height / net_width)))
        frame = Region((width - crop_width) // 2, (height - crop_height) // 2, crop_width, crop_height)
    elif fit == "letterbox":
        scale = min(net_width / width, net_height / height)
        box_width, box_height = max(1, round(width * scale)), max(1, round(height * scale))
        network = Region((net_width - box_width) // 2, (net_height - box_height) // 2, box_width, box_height)
    elif fit != "stretch":
        raise UsageError("unknown fit {!r}; expected one of {}".format(fit, ", ".join(FITS)))
    return Fitting(frame, network, (width, height), (net_width, net_height))


def normalisation_table(preprocessing: Preprocessing) -> np.ndarray:
    """(3, 256) float32: input value of each pixel value, for the network's channels in their order."""
    pixels = np.arange(256, dtype=np.float64)
    rows = [(pixels - m) / s * preprocessing.scale for m, s in zip(preprocessing.mean, preprocessing.std)]
    return np.stack(rows).astype(np.float32)


def bars_bgr(preprocessing: Preprocessing) -> Tuple[int, int, int]:
    """The colour of ``letterbox``'s bars: the mean, which becomes an input of about zero."""
    mean = [round(value) for value in preprocessing.mean]
    blue, green, red = mean if preprocessing.color_order == "BGR" else reversed(mean)
    return blue, green, red


class Preprocessor:
    """Turns BGR frames of any size into inputs of one network; keeps its buffers from frame to frame.

    Args:
        contract: of the network.
        fit: one of ``choices.FITS``.
    """

    def __init__(self, contract: Contract, fit: str = "stretch") -> None:
        self.fit = fit
        self.size = (contract.input.width, contract.input.height)
        self._table = normalisation_table(contract.preprocessing).reshape(3, 256, 1)
        # OpenCV's frames are BGR: channel of the frame for each channel of the network
        self._channels = (0, 1, 2) if contract.preprocessing.color_order == "BGR" else (2, 1, 0)
        self._bars = bars_bgr(contract.preprocessing)
        self._resized = np.empty((self.size[1], self.size[0], 3), np.uint8)
        self._planes = [np.empty((self.size[1], self.size[0]), np.uint8) for _ in range(3)]

    def fitting(self, frame: np.ndarray) -> Fitting:
        """Geometry for this frame."""
        return fitting((frame.shape[1], frame.shape[0]), self.size, self.fit)

    def resized(self, frame: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 BGR at the network's size; valid until the next call."""
        geometry = self.fitting(frame)
        source = geometry.source.of(frame)
        if source.shape == self._resized.shape:
            return source
        cv2 = import_cv2()
        target = geometry.target
        if target.width == self.size[0] and target.height == self.size[1]:
            cv2.resize(source, self.size, dst=self._resized, interpolation=cv2.INTER_LINEAR)
        else:
            self._resized[...] = self._bars
            box = cv2.resize(source, (target.width, target.height), interpolation=cv2.INTER_LINEAR)
            target.of(self._resized)[...] = box
        return self._resized

    def __call__(self, frame: np.ndarray, out: Optional[np.ndarray] = None) -> np.ndarray:
        """(h, w, 3) uint8 BGR -> (1, 3, H, W) float32, into ``out`` where given (C-contiguous)."""
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise UsageError(
                "a frame is (height, width, 3) uint8 BGR, this has shape {} and type {}".format(
                    frame.shape, frame.dtype
                )
            )
        resized = self.resized(frame)
        if out is None:
            out = np.empty((1, 3) + resized.shape[:2], np.float32)
        cv2 = import_cv2()
        planes = cv2.split(resized, self._planes)
        for channel, of_frame in enumerate(self._channels):  # np.take takes four to ten times as long
            cv2.LUT(planes[of_frame], self._table[channel], dst=out[0, channel])
        return out


def at_frame_size(geometry: Fitting, size: Tuple[int, int]) -> Fitting:
    """The same geometry for the frame resized to ``size``."""
    (width, height), source = geometry.frame_size, geometry.source
    new_width = max(1, round(source.width * size[0] / width))
    new_height = max(1, round(source.height * size[1] / height))
    x = min(round(source.x * size[0] / width), size[0] - new_width)
    y = min(round(source.y * size[1] / height), size[1] - new_height)
    return geometry._replace(source=Region(x, y, new_width, new_height), frame_size=size)


def class_map_for_frame(class_map: np.ndarray, geometry: Fitting, outside: int = 255) -> np.ndarray:
    """A class map of the network's size as one of the frame's, nearest neighbour; ``outside`` where it saw nothing."""
    cv2 = import_cv2()
    source, width, height = geometry.source, geometry.frame_size[0], geometry.frame_size[1]
    seen = np.ascontiguousarray(geometry.target.of(class_map))
    resized = cv2.resize(seen, (source.width, source.height), interpolation=cv2.INTER_NEAREST)
    if (source.width, source.height) == (width, height):
        return resized
    whole = np.full((height, width), outside, class_map.dtype)
    source.of(whole)[...] = resized
    return whole
