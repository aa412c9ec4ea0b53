"""Video files as frames."""

import contextlib
import os
import threading
import time
from functools import partial
from typing import Any, Callable, List, Optional, Sequence, Tuple

import numpy as np

from ccc_jetson.errors import FileProblem, SourceError
from ccc_jetson.files import check_ordinary
from ccc_jetson.images import SUFFIXES
from ccc_jetson.opencv import import_cv2, readable_name
from ccc_jetson.progress import say
from ccc_jetson.runtime.frames import Frame, FrameSource, gstreamer
from ccc_jetson.runtime.frames.attempts import (
    Attempt,
    Here,
    Opened,
    gstreamer_attempt,
    opened_capture,
    stated_format,
    stated_fps,
)
from ccc_jetson.runtime.frames.details import SourceDetails, Stream
from ccc_jetson.runtime.frames.failures import telling_lines
from ccc_jetson.runtime.frames.native_words import NativeWords
from ccc_jetson.runtime.interrupts import apart
from ccc_jetson.runtime.pixels import BGR, NV12, frame_size

# A container may know only its duration, so that the number of frames is an estimate
_COUNT_TOLERANCE, _COUNT_SLACK = 0.02, 2
_MP4 = (".mp4", ".m4v", ".mov")
_LOOK = "look at it with: ffprobe {}"


class VideoFile(FrameSource):
    """A video file, read to its end.

    No time is too long for a frame: a file may lie on a slow disk, and waiting loses nothing. Ctrl-C is heard while a
    decoder hangs in opening it; ``close`` leaves one alone that hangs in reading.

    Args:
        path: of the file.
        machine: where JetPack's decoder may read it; None reads with what OpenCV chooses.
        tell: called with lines for people, where a pipeline is tried.

    Raises:
        FileProblem: it does not exist.
        UsageError: OpenCV cannot take its name.
        SourceError: it is no video, holds no frame, or (from ``read``) ends before its header says.
    """

    def __init__(self, path: str, machine: Optional[Here] = None, tell: Callable[[str], None] = say) -> None:
        cv2 = import_cv2()
        self.path = path
        self._stem = os.path.splitext(os.path.basename(path))[0]
        self._next = 0
        self._position_property = cv2.CAP_PROP_POS_MSEC
        self._position_ms = 0.0
        self._reading = threading.Lock()
        _check_file(path)
        readable_name(os.path.abspath(path))
        self._capture: Any = None
        self._first: Optional[np.ndarray] = None
        attempt, opened, passed_over, first = self._open(_attempts(path, machine), tell)
        self._first = first
        self.total = _count(opened.capture) or (apart(partial(_count_by_opencv, path)) if attempt.pipeline else None)
        self.fps, self.pixel_format = opened.fps, opened.pixel_format
        self.size = frame_size(first, self.pixel_format)
        self.description = "{}, {}x{}{}{}".format(
            path,
            self.size[0],
            self.size[1],
            ", {:g} FPS".format(round(self.fps, 2)) if self.fps else "",
            ", {} frames".format(self.total) if self.total else "",
        )
        self._details = SourceDetails(
            "video",
            path,
            delivered=Stream(self.size, self.fps, opened.format),
            backend=opened.backend,
            pipeline=attempt.pipeline,
            passed_over=tuple(passed_over),
        )

    @property
    def details(self) -> SourceDetails:
        """What a report should know."""
        return self._details

    def read(self) -> Optional[Frame]:
        with self._reading:
            image = self._first if self._first is not None else self._grab()
        self._first = None
        if image is None:
            self._check_end()
            return None
        number = self._next
        self._next += 1
        return Frame(number, "{}_{:06d}".format(self._stem, number), image, time.monotonic(), self.pixel_format)

    def close(self) -> None:
        if self._reading.acquire(blocking=False):  # captures bear no second thread
            try:
                self._capture.release()
            finally:
                self._reading.release()

    def _open(
        self, attempts: Sequence[Attempt], tell: Callable[[str], None]
    ) -> Tuple[Attempt, Opened, List[str], np.ndarray]:
        """The first way that gives a frame, and that frame; the last way's error where none does."""
        passed_over: List[str] = []
        problem = SourceError("")
        for attempt in attempts:
            if attempt.pipeline and not attempt.missing:
                tell("trying {}: {}".format(attempt.name, attempt.pipeline))
            with NativeWords() if attempt.pipeline else contextlib.ExitStack() as words:
                try:
                    if attempt.missing:
                        raise SourceError(attempt.missing)
                    opened, first = apart(partial(self._first_of, attempt))
                    if first is not None:
                        return attempt, opened, passed_over, first
                    self.close()
                    problem = SourceError(
                        "{}: holds no frame that can be decoded".format(self.path), hint=_LOOK.format(self.path)
                    )
                except SourceError as error:
                    problem = error
            said = telling_lines(words.text) if isinstance(words, NativeWords) else ""
            passed_over.append("{}: {}{}".format(attempt.name, problem, " [{}]".format(said) if said else ""))
            if attempt.pipeline:
                tell("passed over {}".format(passed_over[-1]))
        raise problem

    def _first_of(self, attempt: Attempt) -> Tuple[Opened, Optional[np.ndarray]]:
        opened = attempt.open()
        self._capture = opened.capture
        return opened, self._grab()

    def _grab(self) -> Optional[np.ndarray]:
        good, image = self._capture.read()
        if not good:
            return None
        self._position_ms = float(self._capture.get(self._position_property))
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


def _check_file(path: str) -> None:
    """Refuses what is no video before OpenCV makes something of it."""
    if os.path.isdir(path):
        raise SourceError(
            "{}: is a folder, not a video".format(path), hint="for a folder of pictures: --images " + path
        )
    if path.lower().endswith(SUFFIXES):  # FFmpeg would make a video of one frame of it
        raise SourceError("{}: is a picture, not a video".format(path), hint="for pictures: --images " + path)
    check_ordinary(path)
    try:
        with open(path, "rb") as file:
            start = file.read(1)
    except OSError as error:
        raise FileProblem("{}: cannot be read: {}".format(path, error.strerror))
    if not start:
        raise SourceError("{}: is empty".format(path), hint="copy or record it again")


def _attempts(path: str, machine: Optional[Here]) -> List[Attempt]:
    """On a Jetson its video decoder for MP4 files; then, and elsewhere, what OpenCV chooses."""
    attempts = []
    if machine is not None and machine.jetson and path.lower().endswith(_MP4):
        pipeline = gstreamer.video(path, machine.raw)
        name = "GStreamer, H264 by the video decoder"
        attempts.append(gstreamer_attempt(name, pipeline, NV12 if machine.raw else BGR, machine))
    attempts.append(Attempt("OpenCV", lambda: _opened(path)))
    return attempts


def _count(capture: Any) -> Optional[int]:
    """Frames by the header's word; None where it says nothing."""
    count = float(capture.get(import_cv2().CAP_PROP_FRAME_COUNT))
    return int(count) if count >= 1 else None


def _count_by_opencv(path: str) -> Optional[int]:
    """The same from what OpenCV chooses, for pipelines do not know it: without it no cut would be noticed."""
    try:
        capture = _opened(path).capture
    except SourceError:
        return None
    count = _count(capture)
    capture.release()
    return count


def _opened(path: str) -> Opened:
    cv2 = import_cv2()
    try:
        capture = opened_capture(lambda: cv2.VideoCapture(os.path.abspath(path)), "cannot be opened")
    except SourceError:
        raise SourceError(
            "{}: is no video that OpenCV can open, or it is damaged (an MP4 file whose end is missing cannot be "
            "opened at all)".format(path),
            hint="copy it again, or convert it: ffmpeg -i {} -c:v libx264 converted.mp4".format(path),
        )
    return Opened(capture, BGR, stated_format(capture), stated_fps(capture), capture.getBackendName())
