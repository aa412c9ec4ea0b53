"""Video files as frames."""

import os
import time
from typing import Any, Optional

import numpy as np

from ccc_jetson.errors import FileProblem, SourceError
from ccc_jetson.images import SUFFIXES
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.frames import Frame, FrameSource

# A container may know only its duration, so that the number of frames is an estimate
_COUNT_TOLERANCE, _COUNT_SLACK = 0.02, 2
_HIGHEST_FPS = 1000.0  # more is a broken header


class VideoFile(FrameSource):
    """A video file, read to its end.

    Raises:
        FileProblem: it does not exist.
        SourceError: it is no video, holds no frame, or (from ``read``) ends before its header says.
    """

    def __init__(self, path: str) -> None:
        cv2 = import_cv2()
        self.path = path
        self._stem = os.path.splitext(os.path.basename(path))[0]
        self._next = 0
        self._capture = _opened(cv2, path)
        count, fps = self._property(cv2.CAP_PROP_FRAME_COUNT), self._property(cv2.CAP_PROP_FPS)
        self.total = int(count) if count >= 1 else None
        self.fps = fps if 0 < fps < _HIGHEST_FPS else None
        self._position_property = cv2.CAP_PROP_POS_MSEC
        self._position_ms = 0.0
        self._first = self._grab()
        if self._first is None:
            self.close()
            raise SourceError("{}: holds no frame that can be decoded".format(path), hint=_LOOK.format(path))
        self.size = (self._first.shape[1], self._first.shape[0])
        self.description = "{}, {}x{}{}{}".format(
            path,
            self.size[0],
            self.size[1],
            ", {:g} FPS".format(round(self.fps, 2)) if self.fps else "",
            ", {} frames".format(self.total) if self.total else "",
        )

    def read(self) -> Optional[Frame]:
        image = self._first if self._first is not None else self._grab()
        self._first = None
        if image is None:
            self._check_end()
            return None
        number = self._next
        self._next += 1
        return Frame(number, "{}_{:06d}".format(self._stem, number), image, time.monotonic())

    def close(self) -> None:
        self._capture.release()

    def _property(self, number: int) -> float:
        return float(self._capture.get(number))

    def _grab(self) -> Optional[np.ndarray]:
        good, image = self._capture.read()
        if not good:
            return None
        self._position_ms = self._property(self._position_property)
        return image

    def _check_end(self) -> None:
        """Raises where the frames are too few and the last one's time is too early as well: their number alone says
        nothing where the frame rate varies."""
        if self.total is None or self.fps is None:
            return
        short = self._next < self.total * (1 - _COUNT_TOLERANCE) - _COUNT_SLACK
        length_ms = 1000.0 * self.total / self.fps
        early = self._position_ms < length_ms * (1 - _COUNT_TOLERANCE) - 1000.0 * _COUNT_SLACK / self.fps
        if short and early:
            raise SourceError(
                "{}: ends after {} of {} frames; the file is cut short or damaged".format(
                    self.path, self._next, self.total
                ),
                hint="copy or record it again; what was read has been processed",
            )


_LOOK = "look at it with: ffprobe {}"


def _opened(cv2: Any, path: str) -> Any:
    """An open ``cv2.VideoCapture``."""
    if os.path.isdir(path):
        raise SourceError(
            "{}: is a folder, not a video".format(path), hint="for a folder of pictures: --images " + path
        )
    if path.lower().endswith(SUFFIXES):  # FFmpeg would make a video of one frame of it
        raise SourceError("{}: is a picture, not a video".format(path), hint="for pictures: --images " + path)
    try:
        with open(path, "rb") as file:
            start = file.read(1)
    except OSError as error:
        raise FileProblem("{}: cannot be read: {}".format(path, error.strerror))
    if not start:
        raise SourceError("{}: is empty".format(path), hint="copy or record it again")
    try:
        capture = cv2.VideoCapture(path)
        opened = capture.isOpened()
    except cv2.error:
        opened = False
    if not opened:
        raise SourceError(
            "{}: is no video that OpenCV can open, or it is damaged (an MP4 file whose end is missing cannot be "
            "opened at all)".format(path),
            hint="copy it again, or convert it: ffmpeg -i {} -c:v libx264 converted.mp4".format(path),
        )
    return capture
