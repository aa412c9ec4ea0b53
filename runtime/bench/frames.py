"""The frames of a benchmark: in memory before the clock starts, then given out again and again."""

import time
from typing import List, Optional, Tuple

import numpy as np

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.frames import Frame, FrameSource

MOST_BYTES = 256 << 20  # of held frames: 40 of 1920x1080, and no more of a small board's memory
SEED = 1
SYNTHETIC_FRAMES = 8  # enough that caches do not hold them all at a camera's size
_NOISE = 13  # a camera's, in levels; it also keeps a network's activations from being constant


class HeldFrames(FrameSource):
    """Frames that are given out in turn, without end, and stamped as captured when they are.

    Args:
        frames: at least one; their images stay as they are.
        origin: where they are from, for people.
    """

    def __init__(self, frames: List[Frame], origin: str) -> None:
        self._frames, self._origin = frames, origin
        self._next = 0
        sizes = sorted({(frame.image.shape[1], frame.image.shape[0]) for frame in frames})
        self.size: Optional[Tuple[int, int]] = sizes[0] if len(sizes) == 1 else None
        self.held_bytes = sum(frame.image.nbytes for frame in frames)
        self.description = "{}: {} frame{} of {}, {:.1f} MB held in memory and used in turn".format(
            origin,
            len(frames),
            "" if len(frames) == 1 else "s",
            "{}x{}".format(*sizes[0]) if len(sizes) == 1 else "{} sizes".format(len(sizes)),
            self.held_bytes / 1e6,
        )

    @property
    def first(self) -> Frame:
        """The frame that ``read`` gives first."""
        return self._frames[0]

    def again(self) -> "HeldFrames":
        """The same frames from the first on."""
        return HeldFrames(self._frames, self._origin)

    def read(self) -> Frame:
        number = self._next
        self._next += 1
        frame = self._frames[number % len(self._frames)]
        return frame._replace(number=number, name="frame_{:06d}".format(number), captured_s=time.monotonic())


def held(source: FrameSource, origin: str, most_bytes: int = MOST_BYTES) -> HeldFrames:
    """The first frames of a source, as many as fit into ``most_bytes``, and at least one.

    Raises:
        SourceError, FileProblem: as the source does.
    """
    frames: List[Frame] = []
    size = 0
    frame = source.read()
    while frame is not None:
        size += frame.image.nbytes
        if frames and size > most_bytes:
            break
        frames.append(frame)
        frame = source.read()
    return HeldFrames(frames, origin)


def synthetic(size: Tuple[int, int], most_bytes: int = MOST_BYTES) -> HeldFrames:
    """Drawn streets of a size (width, height), the same on every machine.

    Raises:
        UsageError: not even one fits into ``most_bytes``.
    """
    width, height = size
    count = min(SYNTHETIC_FRAMES, most_bytes // (3 * width * height))
    if count == 0:
        raise UsageError(
            "a frame of {}x{} takes {:.0f} MB, at most {:.0f} MB are held".format(
                width, height, 3e-6 * width * height, 1e-6 * most_bytes
            )
        )
    generator = np.random.RandomState(SEED)  # its numbers are the same with every numpy
    frames = [Frame(number, "", street(width, height, generator), 0.0) for number in range(count)]
    return HeldFrames(frames, "synthetic streets, seed {}".format(SEED))


def street(width: int, height: int, generator: np.random.RandomState) -> np.ndarray:
    """(height, width, 3) uint8 BGR: sky, road, houses and cars as coloured areas, and a camera's noise."""
    horizon = int(0.45 * height)
    picture = np.empty((height, width, 3), np.int16)
    picture[:horizon] = _gradient((235, 205, 170), (225, 220, 215), horizon)
    picture[horizon:] = _gradient((95, 95, 95), (70, 68, 66), height - horizon)
    for _ in range(10):  # houses stand on the horizon, cars on the road
        left, wide = generator.randint(0, width), generator.randint(1, max(2, width // 6))
        tall = generator.randint(0, max(1, horizon))
        picture[horizon - tall : horizon, left : left + wide] = generator.randint(40, 200, 3)
    for _ in range(6):
        top, left = generator.randint(horizon, height), generator.randint(0, width)
        tall = max(1, (top - horizon + height // 20) // 2)
        picture[top : top + tall, left : left + 2 * tall] = generator.randint(20, 230, 3)
    picture += generator.randint(-_NOISE, _NOISE + 1, picture.shape, dtype=np.int16)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _gradient(top: Tuple[int, int, int], bottom: Tuple[int, int, int], rows: int) -> np.ndarray:
    """(rows, 1, 3) from one colour to another."""
    share = np.linspace(0.0, 1.0, rows)[:, None, None]
    return (1.0 - share) * np.array(top) + share * np.array(bottom)
