"""Overlays and class maps as PNG files, one a frame."""

import os

import numpy as np

from ccc_jetson.errors import SinkError
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
    """Writes each class map as FOLDER/NAME.png: 8 bits, the network's class numbers at the frame's size."""

    def __init__(self, folder: str) -> None:
        self.description = "class maps in {}{}".format(folder.rstrip(os.sep), os.sep)
        self._folder = existing_folder(folder)

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        _write_png(self._folder, frame, class_map_for_frame(segmentation.class_map, segmentation.geometry, NOT_SEEN))


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
