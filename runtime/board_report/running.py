"""Runs a step's commands one after the other: each a process of its own with a log, a limit and an end."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import IO, Iterator, NamedTuple, Optional, Tuple

from ccc_jetson.clean_text import clean
from ccc_jetson.files import translated_os_errors
from ccc_jetson.terminal import write_now

_LOOK_S = 0.2
_SHOW_S = 1.0
_PIPE_EVERY_S = 60.0  # where no line can be rewritten, one is added now and then
_GRACE_S = 30.0  # to end in order: GPUs are given back, reports are written
_TAIL_BYTES = 1 << 14
_MOST_LOG = 2 << 20


class Command(NamedTuple):
    """A command as it is shown, and the words that start it."""

    shown: str
    words: Tuple[str, ...]
    output: str = ""  # the file that gets its standard output, "" for the log


class Ended(NamedTuple):
    """What became of a command: its exit code, None where it had to be killed; and its last complaint."""

    code: Optional[int]
    seconds: float
    complaint: str


def run(command: Command, folder: str, log: str, limit_s: float, title: str) -> Ended:
    """Runs a command in ``folder``; everything that it says is added to ``log``.

    It has a process group of its own, so that Ctrl-C reaches this process alone, which passes it on.

    Raises:
        KeyboardInterrupt: after the command has ended as well.
        FileProblem: the log cannot be written.
    """
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        with translated_os_errors(log):  # of the log alone: a terminal that has gone has errors, too
            log_file = stack.enter_context(open(log, "ab", buffering=0))
            log_file.write("$ {}\n".format(command.shown).encode("utf-8"))
            begins = log_file.tell()
            out: IO[bytes] = log_file
            if command.output:
                out = stack.enter_context(open(os.path.join(folder, command.output), "wb"))
        try:
            process = subprocess.Popen(
                list(command.words),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log_file,
                start_new_session=True,
            )
        except OSError as error:
            return Ended(None, 0.0, "cannot be started: {}".format(error.strerror or error))
        in_time = False
        try:
            in_time = _wait(process, started + limit_s, title)
        finally:
            if not in_time:
                _end(process)
        with translated_os_errors(log):
            log_file.write("[exit code {}]\n\n".format(process.returncode).encode())
    seconds = time.monotonic() - started
    if not in_time:
        return Ended(None, seconds, "no end after {:.0f} s".format(limit_s))
    return Ended(process.returncode, seconds, last_complaint(log, begins, process.returncode))


def _wait(process: "subprocess.Popen[bytes]", until: float, title: str) -> bool:
    """Whether it ended in time; on a terminal a line shows that time passes."""
    started = time.monotonic()
    with _Moving(title) as moving:
        while process.poll() is None:
            now = time.monotonic()
            if now > until:
                return False
            moving.show(now - started)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """As Ctrl-C ends it; what does not end then is killed, with all that it has started."""
    for number, patience_s in ((signal.SIGINT, _GRACE_S), (signal.SIGKILL, _GRACE_S)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(patience_s)
            return


class _Moving:
    """A line that says what runs and for how long."""

    def __init__(self, title: str) -> None:
        self._title, self._shown, self._width = title, 0.0, 0
        self._every_s = _SHOW_S if sys.stderr.isatty() else _PIPE_EVERY_S

    def __enter__(self) -> "_Moving":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._width:
            write_now(sys.stderr, "\r" + " " * self._width + "\r")

    def show(self, seconds: float) -> None:
        if seconds - self._shown < self._every_s:
            return
        self._shown = seconds
        text = "{}: {:.0f} s".format(self._title, seconds)
        if sys.stderr.isatty():
            write_now(sys.stderr, "\r" + text.ljust(self._width))
            self._width = max(self._width, len(text))
        else:
            write_now(sys.stderr, text + "\n")


def last_complaint(log: str, begins: int, code: int) -> str:
    """The command's own message with its cure, else the last line that it said; "" where it went well."""
    if code == 0:
        return ""
    lines = list(_lines(log, begins))
    if code < 0:
        name = "signal {}".format(-code)
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
        return "ended by {}".format(name)
    for index, line in enumerate(lines):
        if ": error: " in line:
            cure = lines[index + 1].strip() if index + 1 < len(lines) else ""
            return line.partition(": error: ")[2] + (" " + cure if cure.startswith("-> ") else "")
    return lines[-1] if lines else "exit code {}".format(code)


def _lines(log: str, begins: int) -> Iterator[str]:
    """The last lines of a command's part of the log, without the marks of this module."""
    with open(log, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(begins, file.tell() - _TAIL_BYTES))
        for line in file.read().decode("utf-8", "replace").replace("\r", "\n").splitlines():
            text = clean(line.rstrip())
            if text and not text.startswith("[exit code "):
                yield text[:400]


def text_of_log(path: str) -> str:
    """A log for the report; of a very long one its beginning and its end."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) > _MOST_LOG:
        left_out = len(data) - _MOST_LOG
        half = _MOST_LOG // 2
        data = data[:half] + "\n[... {} bytes left out ...]\n".format(left_out).encode() + data[-half:]
    lines = data.decode("utf-8", "replace").replace("\r", "\n").split("\n")
    return "\n".join(clean(line) for line in lines)
