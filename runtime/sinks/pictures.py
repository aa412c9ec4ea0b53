"""Overlays and class maps as PNG files, one a frame."""

import os
from typing import Optional

import numpy as np

from ccc_jetson.cityscapes import IGNORE, LABELS
from ccc_jetson.clean_text import listed
from ccc_jetson.contract import Contract
from ccc_jetson.errors import SinkError, UsageError
from ccc_jetson.files import replacing
from ccc_jetson.opencv import import_cv2
from ccc_jetson.preprocess import class_map_for_frame
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.overlay import Overlay
from ccc_jetson.runtime.sinks import Sink

NOT_SEEN = 255  # in class maps: where the network saw nothing of the frame
_COMPRESSION = 1  # of 9: the encoder must keep up with the network


class OverlayPictures(Sink):
    """Writes each overlay as FOLDER/NAME.png."""

    def __init__(self, folder: str, overlay: Overlay) -> None:
        self.description = "overlays in {}{}".format(folder.rstrip(os.sep), os.sep)
        self._folder = existing_folder(folder)
        self._overlay = overlay

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        _write_png(self._folder, frame, self._overlay(frame, segmentation))


class ClassMaps(Sink):
    """Writes each class map as FOLDER/NAME.png: 8 bits, at the frame's size.

    Args:
        folder: is made where it is missing.
        numbers: (256,) uint8, what is written for each of the network's class numbers and, last, for what it has not
            seen; as they are by default. ``class_numbers`` has those of Cityscapes.
    """

    def __init__(self, folder: str, numbers: Optional[np.ndarray] = None) -> None:
        self.description = "class maps in {}{}".format(folder.rstrip(os.sep), os.sep)
        self._folder = existing_folder(folder)
        self._numbers = numbers

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        classes = class_map_for_frame(segmentation.class_map, segmentation.geometry, NOT_SEEN)
        _write_png(self._folder, frame, classes if self._numbers is None else np.take(self._numbers, classes))


def class_numbers(contract: Contract, ids: str) -> Optional[np.ndarray]:
    """The table for ``ClassMaps``; None where the network's own numbers are wanted.

    ``labelids`` are what Cityscapes' server and its scripts read; they find a frame's file by its beginning
    (``ulm_000000_000019*.png``), which a picture's name keeps. What has no label there, or was not seen, becomes
    "unlabeled".

    Args:
        ids: one of ``choices.CLASS_IDS``.

    Raises:
        UsageError: the network's classes have no such numbers.
    """
    if ids == "network":
        return None
    unlabeled = LABELS[0].label_id
    table = np.full(256, IGNORE if ids == "trainids" else unlabeled, np.uint8)
    for index, each in enumerate(contract.classes):
        if ids == "trainids":
            table[index] = each.train_id
        elif each.label_id >= 0:
            table[index] = each.label_id
    if len(contract.classes) and (table[: len(contract.classes)] == table[NOT_SEEN]).all():
        raise UsageError(
            "--class-ids {}: the network's classes ({}) have none".format(ids, listed(contract.class_names)),
            hint="leave it out for the network's own numbers",
        )
    return table


def existing_folder(path: str) -> str:
    """Makes the folder where it is missing (not the one above it).

    Raises:
        SinkError: it cannot be made, or is a file.
    """
    if os.path.isdir(path):
        return path
    try:
        os.mkdir(path)
    except OSError as error:
        raise SinkError("{}: this folder cannot be made: {}".format(path, error.strerror), hint="mkdir -p " + path)
    return path


def _write_png(folder: str, frame: Frame, image: np.ndarray) -> None:
    cv2 = import_cv2()
    path = os.path.join(folder, frame.name + ".png")
    good, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION])
    if not good:
        raise SinkError("{}: OpenCV cannot encode this picture".format(path))
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data.tobytes())
