"""An opened capture and the thread that reads it: it can hang in a driver without anyone else hanging with it."""

import threading
import time
from typing import NamedTuple, Optional

import numpy as np

from ccc_jetson.errors import CccError, SourceError
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.frames.attempts import Attempt, Opened
from ccc_jetson.runtime.pixels import frame_size

_OLDEST_S = 10.0  # an older stamp of a driver is on another clock


class Arrival(NamedTuple):
    """A frame that came; ``number`` counts all since ``start_counting``, from 0. Times are on ``monotonic``'s clock."""

    image: np.ndarray
    number: int
    captured_s: float
    arrived_s: float


class Counts(NamedTuple):
    """What came since ``start_counting``: frames, those replaced before anyone took them, the intervals between frames
    and their sum in seconds, the sum of the frames' ages on arrival, and how many of them a driver had stamped."""

    arrived: int = 0
    replaced: int = 0
    intervals: int = 0
    seconds: float = 0.0
    ages_s: float = 0.0
    stamped: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Of two times together."""
        return Counts(
            self.arrived + other.arrived,
            self.replaced + other.replaced,
            self.intervals + other.intervals,
            self.seconds + other.seconds,
            self.ages_s + other.ages_s,
            self.stamped + other.stamped,
        )

    @property
    def fps(self) -> Optional[float]:
        """Frames per second; None before the second frame."""
        return self.intervals / self.seconds if self.seconds > 0 else None


class Connection:
    """Opens a source and reads it as fast as it delivers; keeps the newest frame only.

    The thread opens, reads and releases the capture, for OpenCV's captures bear no second thread. Where it hangs it is
    left alone and ends when the driver lets go.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._changed = threading.Condition()
        self._newest: Optional[Arrival] = None
        self._ended = self._closing = False
        self._counts = Counts()
        self._first_s = self._last_s = 0.0
        self.opened: Optional[Opened] = None
        self.problem: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._work, name="ccc-source", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come; ``problem`` says why where it was not closed."""
        return self._ended

    @property
    def counts(self) -> Counts:
        """What came so far."""
        with self._changed:
            return self._counts

    @property
    def last_s(self) -> float:
        """When the newest frame came, taken or not; 0 before the first."""
        with self._changed:
            return self._last_s

    def start_counting(self) -> None:
        """Forgets the frame that waits and what was counted: nobody could take frames until now."""
        with self._changed:
            self._newest = None
            self._counts = Counts()

    def final_counts(self) -> Counts:
        """What came, once; afterwards, and whatever a thread that was given up still reads, nothing."""
        with self._changed:
            self._closing = True
            counts, self._counts = self._counts, Counts()
            return counts

    def take(self, patience_s: float) -> Optional[Arrival]:
        """The newest frame, once there is one that was not taken; None after ``patience_s``, and at the end."""
        until_s = time.monotonic() + patience_s
        with self._changed:
            while self._newest is None and not self._ended:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(left_s)
            newest, self._newest = self._newest, None
            return newest

    def close(self, patience_s: float) -> bool:
        """Ends the reading; whether the capture was released in time."""
        with self._changed:
            self._closing = True
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            opened = self._attempt.open()
            try:
                self.opened = opened
                self._read(opened)
            finally:
                opened.capture.release()
        except BaseException as problem:
            self.problem = problem
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _read(self, opened: Opened) -> None:
        cv2 = import_cv2()
        capture = opened.capture
        by_driver = opened.backend == "V4L2"
        while not self._closing:
            try:
                good = capture.grab()
                arrived_s = time.monotonic()
                captured_s = arrived_s
                if good and by_driver:
                    # the driver's stamp of the buffer, on the same clock unless the driver was told otherwise
                    stamp_s = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0
                    if 0.0 <= arrived_s - stamp_s <= _OLDEST_S:
                        captured_s = stamp_s
                image = None
                if good:
                    good, image = capture.retrieve()
            except cv2.error as error:
                raise SourceError("OpenCV: {}".format(self._attempt.hide(" ".join(str(error).split()))))
            if not good or image is None:
                raise SourceError("delivers no more frames" if self._last_s else "delivers no frame")
            self._put(self._checked(image, opened.pixel_format), captured_s, arrived_s)

    def _checked(self, image: np.ndarray, pixel_format: str) -> np.ndarray:
        """The frame in the shape of its format."""
        if image.ndim == 3 and image.shape[2] == 1:
            image = image[:, :, 0]
        try:
            frame_size(image, pixel_format)
        except CccError as wrong:
            raise SourceError("delivers something else than {}: {}".format(pixel_format, wrong))
        return image

    def _put(self, image: np.ndarray, captured_s: float, arrived_s: float) -> None:
        with self._changed:
            if self._closing:
                return
            self._last_s = arrived_s
            counts = self._counts
            if counts.arrived == 0:
                self._first_s = arrived_s
            self._counts = Counts(
                counts.arrived + 1,
                counts.replaced + (self._newest is not None),
                counts.arrived,
                arrived_s - self._first_s,
                counts.ages_s + arrived_s - captured_s,
                counts.stamped + (captured_s < arrived_s),
            )
            self._newest = Arrival(image, counts.arrived, captured_s, arrived_s)
            self._changed.notify_all()
