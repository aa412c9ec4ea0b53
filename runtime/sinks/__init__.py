"""Where results go: overlay videos, pictures, class maps, a window. May import the shared modules of ccc_jetson,
``frames``, ``backends``, ``metrics`` and ``overlay``.

A run without sinks is headless: it measures, and nothing is drawn.
"""

from typing import Any, Callable

from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.metrics import Counters


class Sink:
    """Interface of all sinks. ``description`` says in a few words what is written where."""

    description = ""

    def watch(self, counters: Callable[[], Counters]) -> None:
        """Told once, before the first frame, where the run's totals are to be had, now and from any thread."""

    def write(self, frame: Frame, result: Any) -> None:
        """Takes one result: a ``Segmentation``, of a classifier a ``Classification``, as this sink is for.

        Raises:
            SinkError, FileProblem: it cannot be written.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Finishes what was written and puts it in its place; nothing is left where that fails.

        Raises:
            SinkError: what was written is not whole.
        """

    def abort(self) -> None:
        """Throws away what is not in its place yet; does nothing after ``close``."""
