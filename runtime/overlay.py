"""Class maps as colours over the frame."""

from typing import Any, Dict, Tuple

import numpy as np

from ccc_jetson.contract import Contract
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.pixels import to_bgr

DEFAULT_OPACITY = 0.5
_LEGEND_SHARE = 0.005  # a class on fewer pixels is not listed


class Overlay:
    """Paints class maps in the contract's colours over their frames; keeps its buffers from frame to frame.

    Args:
        contract: of the network; gives colours and names.
        opacity: of the colours, 0 (the frame alone) to 1.
        legend: lists the classes in the picture in its corner.
    """

    def __init__(self, contract: Contract, opacity: float = DEFAULT_OPACITY, legend: bool = False) -> None:
        self._classes = contract.classes
        self._palette = palette_bgr(contract)
        self._opacity = opacity
        self._legend = legend
        self._classes_seen = np.empty((0, 0), np.uint8)
        self._colors = np.empty((0, 0, 3), np.uint8)
        self._picture = np.empty((0, 0, 3), np.uint8)

    def __call__(self, frame: Frame, segmentation: Segmentation) -> np.ndarray:
        """A frame -> (h, w, 3) uint8 BGR, with colours, valid until the next call.

        What the network did not see (``crop``) stays as it is. A picture that the backend has drawn is taken.
        """
        cv2 = import_cv2()
        if segmentation.picture is not None:
            self._picture = segmentation.picture.copy() if self._legend else segmentation.picture
        else:
            self._draw(cv2, to_bgr(frame.image, frame.pixel_format), segmentation)
        if self._legend:
            self._draw_legend(cv2, segmentation.geometry.target.of(segmentation.class_map))
        return self._picture

    def _draw(self, cv2: Any, image: np.ndarray, segmentation: Segmentation) -> None:
        source, target = segmentation.geometry.source, segmentation.geometry.target
        if self._picture.shape != image.shape or self._classes_seen.shape != (source.height, source.width):
            self._picture = np.empty(image.shape, np.uint8)
            self._classes_seen = np.empty((source.height, source.width), np.uint8)
            self._colors = np.empty((source.height, source.width, 3), np.uint8)
        class_map = target.of(segmentation.class_map)
        size = (source.width, source.height)
        cv2.resize(class_map, size, dst=self._classes_seen, interpolation=cv2.INTER_NEAREST)
        cv2.applyColorMap(self._classes_seen, self._palette, dst=self._colors)
        if size != (image.shape[1], image.shape[0]):
            np.copyto(self._picture, image)
        seen = source.of(self._picture)
        cv2.addWeighted(source.of(image), 1.0 - self._opacity, self._colors, self._opacity, 0.0, dst=seen)

    def _draw_legend(self, cv2: Any, class_map: np.ndarray) -> None:
        counts = pixel_counts(class_map)[: len(self._classes)]
        listed = [index for index in np.argsort(-counts) if counts[index] > _LEGEND_SHARE * class_map.size]
        line = max(12, self._picture.shape[0] // 40)  # height of a line in pixels
        width = line * (3 + max((len(self._classes[index].name) for index in listed), default=0)) * 2 // 3
        self._picture[: line * (len(listed) + 1), :width] //= 4  # a dark ground, on which white is readable
        for row, index in enumerate(listed):
            top = line // 2 + row * line
            color = tuple(int(value) for value in self._palette[index, 0])
            cv2.rectangle(self._picture, (line // 2, top), (line + line // 4, top + line - 3), color, -1)
            place, white = (2 * line, top + line - line // 4), (255, 255, 255)
            name = self._classes[index].name
            cv2.putText(self._picture, name, place, cv2.FONT_HERSHEY_SIMPLEX, line / 32.0, white, 1, cv2.LINE_AA)


def palette_bgr(contract: Contract) -> np.ndarray:
    """(256, 1, 3) uint8: the colour of each class as OpenCV's colour maps want it; black beyond the classes."""
    palette = np.zeros((256, 1, 3), np.uint8)
    for index, each in enumerate(contract.classes):
        palette[index, 0] = each.color[::-1]
    return palette


def pixel_counts(class_map: np.ndarray) -> np.ndarray:
    """(256,) int64: how many pixels of a uint8 map have each value."""
    cv2 = import_cv2()
    histogram = cv2.calcHist([np.ascontiguousarray(class_map)], [0], None, [256], [0, 256])
    return histogram.ravel().astype(np.int64)  # float32 counts exactly to 16.7 million pixels


def class_shares(counts: np.ndarray, contract: Contract) -> Tuple[Tuple[str, float], ...]:
    """(name, share of all pixels) of each class that occurs, the largest first; classes of one name are added up."""
    total = max(1, int(counts.sum()))
    pixels: Dict[str, int] = {}
    for each, count in zip(contract.classes, counts):
        if count:
            pixels[each.name] = pixels.get(each.name, 0) + int(count)
    pairs = [(name, count / total) for name, count in pixels.items()]
    return tuple(sorted(pairs, key=lambda pair: -pair[1]))
