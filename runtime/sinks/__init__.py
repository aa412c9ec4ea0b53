"""Where results go: overlay videos, pictures, class maps, a window. May import the shared modules of ccc_jetson,
``frames``, ``backends`` and ``overlay``.

A run without sinks is headless: it measures, and nothing is drawn.
"""

from typing import Any

from ccc_jetson.runtime.frames import Frame


class Sink:
    """Interface of all sinks. ``description`` says in a few words what is written where."""

    description = ""

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
