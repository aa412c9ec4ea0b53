"""Overlays as an MP4 file."""

import os
from typing import Any, List, Optional

import numpy as np

from ccc_jetson.errors import SinkError
from ccc_jetson.files import replacing
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.overlay import Overlay
from ccc_jetson.runtime.sinks import Sink
from ccc_jetson.runtime.sinks.video_encoder import open_encoder

_HARDWARE_SLACK = 1  # frames: GStreamer counts those of a finished video by its duration
_HELD = 8  # frames that wait until their rate is known
_LONE_FRAME_FPS = 1.0
_RESERVE_BYTES, _RESERVE_EVERY = 64 << 20, 50  # an MP4 file needs room for its index at the end


class OverlayVideo(Sink):
    """Writes overlays to an MP4 file, which appears under its name once it is whole.

    OpenCV tells nobody when a frame cannot be written. So the disk is watched while writing, and the finished file is
    opened again and its frames are counted before it gets its name.

    Args:
        path: of the file; its folder must exist.
        overlay: draws the frames.
        fps: of the video; None measures the rate of the first frames, for cameras, whose frames are dropped when the
            network cannot keep up.
    """

    def __init__(self, path: str, overlay: Overlay, fps: Optional[float]) -> None:
        self.path = path
        self.description = "overlay video " + path
        self._overlay = overlay
        self._fps = fps
        self._held: List[np.ndarray] = []
        self._held_since_s = self._held_until_s = 0.0
        self._writer: Any = None
        self._in_hardware = False
        self._problem: Optional[SinkError] = None
        self._written = 0
        self._shape = (0, 0, 0)
        self._replacement: Any = replacing(path)
        self._temporary = self._replacement.__enter__()

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        picture = self._overlay(frame, segmentation)
        if self._shape == (0, 0, 0):
            self._shape = picture.shape
        if picture.shape != self._shape:
            raise SinkError(
                "{}: frame {} is {}x{}, the video is {}x{}".format(
                    self.path, frame.name, picture.shape[1], picture.shape[0], self._shape[1], self._shape[0]
                ),
                hint="pictures of several sizes go into a folder: --out FOLDER",
            )
        if self._writer is None and self._fps is None:
            self._hold(picture, frame.captured_s)
            return
        if self._writer is None:
            self._open()
        self._encode(picture)

    def close(self) -> None:
        if self._replacement is None:
            return
        try:
            if self._problem is not None:
                raise self._problem
            if self._held:
                self._open()
            if self._writer is None:  # there was no frame, so there is no video
                self.abort()
                return
            self._writer.release()
            _check_video(self._temporary, self.path, self._written, _HARDWARE_SLACK if self._in_hardware else 0)
        except BaseException:
            self.abort()
            raise
        replacement, self._replacement = self._replacement, None
        replacement.__exit__(None, None, None)

    def abort(self) -> None:
        if self._replacement is None:
            return
        if self._writer is not None:
            self._writer.release()
        replacement, self._replacement = self._replacement, None
        problem = SinkError("aborted")
        replacement.__exit__(SinkError, problem, None)

    def _hold(self, picture: np.ndarray, captured_s: float) -> None:
        if not self._held:
            self._held_since_s = captured_s
        self._held_until_s = captured_s
        self._held.append(picture.copy())
        if len(self._held) == _HELD:
            self._open()

    def _open(self) -> None:
        """Opens the writer and writes what was held back."""
        fps = self._fps
        if fps is None:
            duration_s = self._held_until_s - self._held_since_s
            fps = (len(self._held) - 1) / duration_s if duration_s > 0 else _LONE_FRAME_FPS
        self._check_room()
        size = (self._shape[1], self._shape[0])
        self._writer, self._in_hardware = open_encoder(self._temporary, max(0.01, round(fps, 2)), size)
        if not self._writer.isOpened():
            self._problem = SinkError(
                "{}: this OpenCV cannot encode {}x{} MP4 video".format(self.path, *size),
                hint="write pictures instead: --out FOLDER",
            )
            raise self._problem
        held, self._held = self._held, []
        for picture in held:
            self._encode(picture)

    def _encode(self, picture: np.ndarray) -> None:
        if self._written % _RESERVE_EVERY == _RESERVE_EVERY - 1:
            self._check_room()
        self._writer.write(picture)
        self._written += 1

    def _check_room(self) -> None:
        status = os.statvfs(os.path.dirname(self._temporary))
        if status.f_bavail * status.f_frsize < _RESERVE_BYTES:
            raise SinkError(
                "{}: less than {} MiB left on the disk; {}".format(
                    self.path,
                    _RESERVE_BYTES >> 20,
                    "the video ends after {} frames".format(self._written) if self._written else "nothing was written",
                ),
                hint="free some space or choose another folder",
            )


def _check_video(temporary: str, path: str, frames: int, slack: int) -> None:
    """Opens a finished video again: all frames must be there, but for ``slack``, and the last one must be readable."""
    cv2 = import_cv2()
    found, last_is_good = 0, False
    if os.path.getsize(temporary):
        capture = cv2.VideoCapture(temporary)
        try:
            found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
            capture.set(cv2.CAP_PROP_POS_FRAMES, max(0, frames - 1 - slack))
            last_is_good = bool(capture.read()[0])
        finally:
            capture.release()
    if abs(found - frames) > slack or not last_is_good:
        raise SinkError(
            "{}: only {} of {} frames can be read back, so the video was deleted; the disk may be full".format(
                path, found, frames
            ),
            hint="free some space or choose another folder, then run the same command again",
        )
