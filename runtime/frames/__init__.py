"""Where frames come from: cameras, videos, folders of pictures. May import the shared modules of ccc_jetson only.

A source is opened by constructing it, belongs to one reading thread from then on, and is closed by its owner.
"""

from typing import NamedTuple, Optional

import numpy as np


class Frame(NamedTuple):
    """A picture to segment: ``image`` (h, w, 3) uint8 BGR.

    ``number`` counts from 0; ``name`` is unique in its source and can be a file name; ``captured_s`` is on the clock of
    ``time.monotonic``.
    """

    number: int
    name: str
    image: np.ndarray
    captured_s: float


class FrameSource:
    """Interface of all sources.

    ``live`` sources do not wait for whoever reads them; ``total`` and ``fps`` are None where nobody knows;
    ``description`` is a line for people.
    """

    live = False
    total: Optional[int] = None
    fps: Optional[float] = None
    description = ""

    def read(self) -> Optional[Frame]:
        """The next frame, None after the last.

        Raises:
            SourceError, FileProblem: there should be another frame, but it cannot be read.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Frees what the source holds; may be called twice."""

    def __enter__(self) -> "FrameSource":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
