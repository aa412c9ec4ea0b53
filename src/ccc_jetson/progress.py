"""Progress for people: one line on a terminal, rewritten in place; nothing on a pipe."""

import sys
import time
from typing import Optional, TextIO

from ccc_jetson.clean_text import clean, clean_lines
from ccc_jetson.terminal import write_now


class Progress:
    """Counts towards ``total`` (or without end) and says how far, how fast, how long still.

    Args:
        what: what is being done.
        total: number of steps, ``None`` where nobody knows.
        stream: where to write; standard error by default.
    """

    def __init__(self, what: str, total: Optional[int] = None, stream: Optional[TextIO] = None) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self._stream = sys.stderr if stream is None else stream
        self._visible = self._stream.isatty()
        self._started = time.monotonic()
        self._shown = 0.0
        self._width = 0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def step(self, steps: int = 1, note: str = "") -> None:
        """Counts; writes at most ten times a second."""
        self.done += steps
        now = time.monotonic()
        if self._visible and (now - self._shown > 0.1 or self.done == self.total):
            self._shown = now
            self._write(self.line(now - self._started, note))

    def line(self, elapsed_s: float, note: str = "") -> str:
        """The line for ``elapsed_s`` seconds since the start."""
        rate = self.done / elapsed_s if elapsed_s > 0 else 0.0
        if not self.total:
            text = "{}: {} ({:.1f}/s)".format(self.what, self.done, rate)
        else:
            share = min(1.0, self.done / self.total)
            bar = "#" * int(20 * share)
            left = (self.total - self.done) / rate if rate else 0.0
            text = "{} [{:<20}] {}/{} ({:.1f}/s, {:.0f} s left)".format(
                self.what, bar, self.done, self.total, rate, max(0.0, left)
            )
        return text + ("  " + clean(note) if note else "")

    def close(self) -> None:
        """Wipes the line, so that what follows starts on a clean one."""
        if self._visible and self._width:
            self._write("")
            write_now(self._stream, "\r")
            self._width = 0

    def _write(self, text: str) -> None:
        write_now(self._stream, "\r" + text + " " * max(0, self._width - len(text)))
        self._width = len(text)


def say(text: str) -> None:
    """A line about what happens now, on standard error, so that standard output stays what was asked for.

    On a terminal it takes the place of a progress line, which comes back below it. Names in it may be anyone's: what
    would steer the terminal is shown as ``?``.
    """
    write_now(sys.stderr, ("\r\x1b[K" if sys.stderr.isatty() else "") + clean_lines(text) + "\n")


def silent(text: str) -> None:
    """In the place of ``say`` where nobody wants to hear it."""
