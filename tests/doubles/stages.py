"""Stand-ins for the pipeline's stages, as slow and as faulty as a test wants them; and small real videos."""

import struct
import time

import numpy as np

from ccc_jetson.errors import SourceError
from ccc_jetson.opencv import import_cv2
from ccc_jetson.preprocess import fitting
from ccc_jetson.runtime.backends import Backend, Segmentation
from ccc_jetson.runtime.frames import Frame, FrameSource
from ccc_jetson.runtime.sinks import Sink
from tests.doubles.tiny_model import tiny_contract


class FakeSource(FrameSource):
    """Black frames whose first pixel is their number; ``fails_at`` raises, ``live`` does not wait for its reader."""

    description = "fake source"

    def __init__(self, frames, seconds=0.0, live=False, fails_at=None, error=None, size=(48, 40)):
        self.total = None if live else frames
        self.live = live
        self.fps = 1 / seconds if seconds else None
        self.closed = False
        self.reads = 0
        self._frames, self._seconds, self._fails_at, self._size = frames, seconds, fails_at, size
        self._error = SourceError("camera lost") if error is None else error

    def read(self):
        time.sleep(self._seconds)
        index = self.reads
        if index == self._fails_at:
            raise self._error
        if index == self._frames:
            return None
        self.reads += 1
        image = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        image[0, 0, 0] = index % 256
        return Frame(index, "frame_{:06d}".format(index), image, time.monotonic())

    def close(self):
        self.closed = True


class FakeBackend(Backend):
    """Answers each frame with one class after ``seconds``; raises at call ``fails_at`` (the warm-up is call 0)."""

    description = "fake backend"

    def __init__(self, seconds=0.0, fails_at=None, error=None, class_index=0, fit="stretch"):
        self.contract = tiny_contract()
        self.facts = {"kind": "fake"}
        self.closed = False
        self.calls = 0
        self._seconds, self._fails_at, self._error = seconds, fails_at, error
        self._class_index, self._fit = class_index, fit

    def start(self, staged):
        frame, _ = staged
        if self.calls == self._fails_at:
            raise self._error
        self.calls += 1
        time.sleep(self._seconds)
        return segmentation_of(frame, self._class_index, self._fit, self._seconds)

    def finish(self, running):
        return running

    def close(self):
        self.closed = True


def segmentation_of(frame, class_index, fit="stretch", infer_s=0.0):
    """A class map of one class at the tiny model's size."""
    given = tiny_contract().input
    class_map = np.full((given.height, given.width), class_index, np.uint8)
    geometry = fitting((frame.shape[1], frame.shape[0]), (given.width, given.height), fit)
    return Segmentation(class_map, geometry, {"preprocess": 0.0, "infer": infer_s, "postprocess": 0.0})


class FakeSink(Sink):
    """Remembers the numbers of the frames it was given."""

    description = "fake sink"

    def __init__(self, seconds=0.0, fails_at=None, error=None):
        self.numbers = []
        self.closed = self.aborted = False
        self._seconds, self._fails_at, self._error = seconds, fails_at, error

    def write(self, frame, segmentation):
        if len(self.numbers) == self._fails_at:
            raise self._error
        time.sleep(self._seconds)
        self.numbers.append(frame.number)

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True


def write_video(path, frames=12, size=(96, 64), fps=25.0, codec="mp4v"):
    """A video with a bright square that moves; returns the path as text."""
    cv2 = import_cv2()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, size)
    assert writer.isOpened()
    noise = np.random.RandomState(4).randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    for index in range(frames):
        picture = np.roll(noise, 5 * index, axis=1)
        picture[8:24, 4 + index : 20 + index] = (40, 220, 250)
        writer.write(picture)
    writer.release()
    return str(path)


def write_boasting_video(path, claims, frames=30):
    """An AVI file whose header claims more frames than there are."""
    write_video(path, frames, codec="MJPG")
    with open(str(path), "r+b") as file:
        data = bytearray(file.read())
        for chunk, place in ((b"avih", 16), (b"strh", 32)):  # dwTotalFrames, dwLength
            struct.pack_into("<I", data, data.index(chunk) + 8 + place, claims)
        file.seek(0)
        file.write(data)
    return str(path)


def video_frames(path):
    """The frames of a video, decoded."""
    cv2 = import_cv2()
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        good, frame = capture.read()
        if not good:
            break
        frames.append(frame)
    capture.release()
    return frames
