"""Where frames come from: cameras, network streams, videos, pictures, a drawn road. May import ``runtime.pixels``,
``runtime.source_grammar``, ``engines.machine`` and the shared modules. ``opening`` opens what that grammar names.

A source is opened by constructing it, belongs to one reading thread from then on, and is closed by its owner.
"""

from typing import NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.runtime.frames.details import SourceDetails
from ccc_jetson.runtime.pixels import BGR


class Frame(NamedTuple):
    """A picture to segment: ``image`` uint8 as ``pixel_format`` (``runtime.pixels``) says, (h, w, 3) for BGR.

    ``number`` counts from 0, those included that nobody took; ``name`` is unique in its source and can be a file name.
    ``captured_s`` is on the clock of ``time.monotonic``, as near to the capture as the source knows: the driver's stamp
    of a V4L2 camera, else when the frame came out of its library.
    """

    number: int
    name: str
    image: np.ndarray
    captured_s: float
    pixel_format: str = BGR


class FrameSource:
    """Interface of all sources.

    ``live`` sources do not wait for whoever reads them; ``total``, ``fps`` and ``size`` (width and height of the first
    frame) are None where nobody knows; ``description`` is a line for people.
    """

    live = False
    size: Optional[Tuple[int, int]] = None
    pixel_format = BGR
    total: Optional[int] = None
    fps: Optional[float] = None
    description = ""

    @property
    def replaced(self) -> int:
        """Frames of a live source that a newer one replaced before they were read."""
        return 0

    @property
    def details(self) -> Optional[SourceDetails]:
        """What a report should know; None where there is nothing to tell."""
        return None

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
