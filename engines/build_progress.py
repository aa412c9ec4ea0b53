"""What people see while an engine is built: stages and notes as lines, the build itself as one line that moves.

TensorRT 10 and newer report phases; before, the verbose log names the layer that is being timed. Either way the time
that has passed is shown, and the time that the last build of the same network took.
"""

import io
import shutil
import sys
import time
from typing import Any, Callable, Dict, Optional, TextIO, cast

from ccc_jetson.clean_text import clean, clean_lines
from ccc_jetson.engines.tensorrt_log import WARNING
from ccc_jetson.terminal import write_now

_WARNINGS_SHOWN = 5
_PIPE_EVERY_S = 30.0  # where no line can be rewritten, one is added now and then
_TERMINAL_EVERY_S = 0.2


class BuildProgress:
    """Takes the events of ``build.build_engine``; call ``close`` when they end.

    Args:
        stream: standard error by default.
        clock: seconds, for tests.
    """

    def __init__(self, stream: Optional[TextIO] = None, clock: Any = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._terminal = self._stream.isatty()
        self._started = self._shown = 0.0
        self._expected: Optional[float] = None
        self._building = False
        self._doing, self._width = "", 0
        self._seen: set = set()

    @classmethod
    def to_lines(cls, say: Callable[[str], None]) -> "BuildProgress":
        """One that says what it has to show, as on a pipe: a call a line."""
        return cls(cast(TextIO, _Lines(say)))

    def __call__(self, event: Dict[str, Any]) -> None:
        """Shows an event."""
        kind = event["event"]
        if kind in ("stage", "note"):
            self.line(event["text"] if kind == "stage" else "note: " + event["text"])
        elif kind == "log":
            self._log(event["severity"], event["text"])
        elif kind == "building":
            self._begin(event)
        elif kind == "built":
            self._building = False
            self.line("built in {}, {:.1f} MB; running it".format(seconds(event["seconds"]), event["bytes"] / 1e6))
        elif self._building:
            self._move(event)

    def _begin(self, event: Dict[str, Any]) -> None:
        self._building, self._doing = True, ""
        self._started = self._shown = self._clock()
        self._expected = event["expected_seconds"]
        text = "{}{}: {} nodes, workspace {} MiB".format(
            event.get("what", "building"),
            " again" if event["build"] > 1 else "",
            event["nodes"],
            event["workspace_mib"],
        )
        self.line(text + (", {} the last time".format(seconds(self._expected)) if self._expected is not None else ""))

    def _move(self, event: Dict[str, Any]) -> None:
        if event["event"] == "layer":
            self._doing = "timing " + clean(event["name"])
        elif event["event"] == "phase":
            done = " {}/{}".format(event["done"], event["steps"]) if event["steps"] else ""
            self._doing = clean(event["name"]) + done
        now = self._clock()
        if now - self._shown >= (_TERMINAL_EVERY_S if self._terminal else _PIPE_EVERY_S):
            self._shown = now
            text = "  {}{}".format(self.elapsed(now), "  " + self._doing if self._doing else "")
            if self._terminal:  # a line that wraps could not be rewritten
                self._rewrite(text[: shutil.get_terminal_size().columns - 1])
            else:
                self.line(text)

    def elapsed(self, now: float) -> str:
        """How long it has taken, and will where that is known."""
        passed = now - self._started
        if not self._expected:
            return seconds(passed)
        left = self._expected - passed
        return "{} of about {}".format(seconds(passed), seconds(self._expected)) if left > 0 else seconds(passed)

    def _log(self, severity: str, text: str) -> None:
        """TensorRT's words; a warning once, and after the first few none: they are many and mostly harmless."""
        if severity == WARNING:
            if text in self._seen:
                return
            self._seen.add(text)
            if len(self._seen) > _WARNINGS_SHOWN:
                return
        self.line("TensorRT {}: {}".format(severity, text))

    def close(self) -> None:
        """Says what was kept back, and leaves a clean line."""
        more = len(self._seen) - _WARNINGS_SHOWN
        if more > 0:
            self.line("TensorRT gave {} more warning{}; --verbose shows all".format(more, "s" * (more > 1)))
        self._rewrite("")

    def line(self, text: str) -> None:
        """A line that stays; layers and files may have any name."""
        self._rewrite("")
        write_now(self._stream, clean_lines(text.expandtabs()) + "\n")

    def _rewrite(self, text: str) -> None:
        if self._terminal and (text or self._width):
            write_now(self._stream, "\r" + text + " " * max(0, self._width - len(text)) + ("" if text else "\r"))
            self._width = len(text)


class _Lines(io.TextIOBase):
    """A pipe whose reader is a function."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super(_Lines, self).__init__()
        self._say = say

    def write(self, text: str) -> int:
        self._say(text[:-1] if text.endswith("\n") else text)
        return len(text)


def seconds(value: float) -> str:
    """``95 s``, ``12 min 30 s``."""
    if value < 120:
        return "{:.0f} s".format(value) if value >= 10 else "{:.1f} s".format(value)
    return "{:.0f} min {:.0f} s".format(*divmod(round(value), 60))
