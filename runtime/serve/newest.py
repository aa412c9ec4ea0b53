"""The newest frame for everyone who looks: encoded once, on demand, in a thread of its own."""

import threading
import time
from typing import Callable, NamedTuple, Optional, Tuple

from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.serve.picture import PictureEncoder
from ccc_jetson.runtime.sinks import Sink

_FASTEST_FPS = 25.0  # of the page; the run itself may be faster


class Picture(NamedTuple):
    """An encoded frame; ``number`` counts the encoded ones from 1."""

    number: int
    data: bytes


class NewestPicture(Sink):
    """Encodes the next frame after somebody asked for one, and keeps it for all others.

    While nobody asks, a frame costs the pipeline one comparison; when somebody does, the pipeline hands a reference
    over and goes on. It never waits: not for the encoder, and much less for a client.

    Args:
        encode: makes bytes of a frame.
        description: for reports.
        fastest_fps: pictures a second at most.
    """

    def __init__(self, encode: PictureEncoder, description: str, fastest_fps: float = _FASTEST_FPS) -> None:
        self.description = description
        self.newest = Picture(0, b"")
        self.ended = False
        self._encode = encode
        self._pause_s = 1.0 / fastest_fps
        self._not_before_s = 0.0
        self._wanted = False
        self._changed = threading.Condition()
        self._waiting: Optional[Tuple[Frame, Segmentation, float]] = None
        self._on_new: Callable[[], None] = lambda: None
        self._failure: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._work, name="ccc-encode", daemon=True)
        self._thread.start()

    def announce(self, on_new: Callable[[], None]) -> None:
        """Has ``on_new`` called after each new picture and at the end, in the encoder's thread: it must not block."""
        self._on_new = on_new

    def want(self) -> None:
        """Asks for the next frame; from any thread."""
        self._wanted = True

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._wanted:
            return
        now_s = time.monotonic()
        if now_s < self._not_before_s:
            return
        self._wanted = False
        # with some grace, or a camera's 30 FPS would become 15
        self._not_before_s = max(self._not_before_s, now_s - self._pause_s / 2) + self._pause_s
        with self._changed:
            self._waiting = (frame, segmentation, now_s - frame.captured_s)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self.ended = True
            self._changed.notify()
        self._thread.join()
        self._on_new()

    abort = close

    def _work(self) -> None:
        try:
            while True:
                with self._changed:
                    while self._waiting is None and not self.ended:
                        self._changed.wait()
                    if self._waiting is None:
                        return
                    item, self._waiting = self._waiting, None
                self.newest = Picture(self.newest.number + 1, self._encode(*item))
                self._on_new()
        except BaseException as error:  # told by the next ``write``
            self._failure = error
