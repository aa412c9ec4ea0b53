"""A drawn road that moves: a source for every machine, the same on each."""

import threading
import time
from typing import Any, Optional, Tuple

import numpy as np

from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.frames import Frame, FrameSource
from ccc_jetson.runtime.frames.details import SourceDetails, Stream
from ccc_jetson.runtime.source_grammar import SyntheticScene, kind_of

_SEED = 7
_HOUSES, _CARS, _DASHES = 12, 3, 8
_NOISE = 6  # a camera's, in levels


class SyntheticRoad(FrameSource):
    """Frames of a street through which the camera drives.

    A live one gives each frame when it is due, and counts as replaced those that became due while nobody read.

    Args:
        scene: size, rate, number of frames, live or not.
        stop: once it is set, ``read`` of a live one returns None.
    """

    def __init__(self, scene: SyntheticScene, stop: Optional[threading.Event] = None) -> None:
        self.live, self.total, self.fps, self.size = scene.live, scene.frames, scene.fps, scene.size
        self.description = "{}, drawn{}".format(scene.shown, ", live" if scene.live else "")
        self._replaced = 0
        self._scene = scene
        self._stop = threading.Event() if stop is None else stop
        self._road = Road(scene.size)
        self._next = 0
        self._began_s: Optional[float] = None

    @property
    def replaced(self) -> int:
        """Frames that became due while nobody read."""
        return self._replaced

    @property
    def details(self) -> SourceDetails:
        """What is known by now."""
        stream = Stream(self.size, self.fps, self.pixel_format)
        shown = self._scene.shown
        return SourceDetails(kind_of(self._scene), shown, asked=stream, delivered=stream, replaced=self._replaced)

    def read(self) -> Optional[Frame]:
        captured_s = time.monotonic()
        if self.live:
            due_s = self._wait_until_due(captured_s)
            if due_s is None:
                return None
            captured_s = due_s
        if self._next == self.total:
            return None
        number = self._next
        self._next += 1
        return Frame(number, "frame_{:06d}".format(number), self._road.picture(number, self._scene.fps), captured_s)

    def _wait_until_due(self, now_s: float) -> Optional[float]:
        """When the next frame is due that is not over yet; None when the run is to end."""
        if self._began_s is None:
            self._began_s = now_s
        newest = int((now_s - self._began_s) * self._scene.fps)
        if self.total is not None:
            newest = min(newest, self.total)
        if newest > self._next:
            self._replaced += newest - self._next
            self._next = newest
        due_s = self._began_s + self._next / self._scene.fps
        return None if self._stop.wait(max(0.0, due_s - now_s)) else due_s


class Road:
    """A street in (width, height) pixels; ``picture`` depends on nothing but the frame's number and the rate."""

    def __init__(self, size: Tuple[int, int]) -> None:
        self._width, self._height = size
        self._horizon = int(0.45 * self._height)
        random = np.random.RandomState(_SEED)  # its numbers are the same with every numpy
        self._ground = self._painted_ground()
        self._houses = [
            (share, int(random.randint(20, 90)), tuple(int(level) for level in random.randint(60, 200, 3)))
            for share in np.linspace(0.0, 1.0, _HOUSES, endpoint=False)
        ]
        self._cars = [
            (
                random.uniform(0.0, 1.0),
                random.uniform(-0.6, 0.6),
                tuple(int(each) for each in random.randint(30, 230, 3)),
            )
            for _ in range(_CARS)
        ]
        self._noise = random.randint(-_NOISE, _NOISE + 1, (self._height, self._width, 3)).astype(np.int8)

    def picture(self, number: int, fps: float) -> np.ndarray:
        """(height, width, 3) uint8 BGR."""
        cv2 = import_cv2()
        seconds = number / fps
        picture = self._ground.copy()
        for share, tall, color in self._houses:  # on both sides, from the horizon towards the camera
            near = (share + 0.1 * seconds) % 1.0
            for side in (-1, 1):
                self._block(cv2, picture, near, side * 1.6, tall / 100.0, color)
        for index in range(_DASHES):
            near = (index / _DASHES + 0.4 * seconds) % 1.0
            self._block(cv2, picture, near, 0.0, -0.06, (240, 240, 240), wide=0.03)
        for share, lane, color in self._cars:
            near = (share + 0.05 * seconds) % 1.0
            self._block(cv2, picture, near, lane, 0.25, color, wide=0.25)
        return cv2.add(picture, np.roll(self._noise, 7 * number, axis=1), dtype=cv2.CV_8U)

    def _block(
        self, cv2: Any, picture: np.ndarray, near: float, across: float, tall: float, color: tuple, wide: float = 0.4
    ) -> None:
        """A rectangle that stands (or lies, for a negative height) on the ground, ``near`` 0 at the horizon, 1 here."""
        scale = near * near
        bottom = self._horizon + scale * (self._height - self._horizon)
        middle = 0.5 * self._width + across * scale * 0.5 * self._width
        half = max(1.0, 0.5 * wide * scale * self._width)
        high = tall * scale * self._height
        corners = [int(value) for value in (middle - half, bottom - high, middle + half, bottom)]
        cv2.rectangle(picture, (corners[0], corners[1]), (corners[2], corners[3]), color, -1)

    def _painted_ground(self) -> np.ndarray:
        """Sky, grass and road."""
        cv2 = import_cv2()
        ground = np.empty((self._height, self._width, 3), np.uint8)
        ground[: self._horizon] = (230, 205, 170)
        ground[self._horizon :] = (70, 140, 90)
        width, height, horizon = self._width, self._height, self._horizon
        corners = [(int(0.48 * width), horizon), (int(0.52 * width), horizon), (width, height), (0, height)]
        road = np.array(corners, np.int32)
        cv2.fillConvexPoly(ground, road, (95, 90, 88))
        return ground
