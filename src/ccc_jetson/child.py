"""A command run to its end in bounded time and memory: what hangs, floods or leaves something behind is ended."""

import os
import selectors
import signal
import subprocess
import time
from typing import IO, Mapping, NamedTuple, Optional, Sequence

from ccc_jetson.clean_text import clean

MOST_OUTPUT = 1 << 20  # bytes that are kept of each stream; the rest is read and dropped, so that nothing blocks
_BLOCK = 1 << 16
_LEFT_READS = 2 * MOST_OUTPUT // _BLOCK  # more than a pipe can hold
_LOOK_S = 0.02  # how often it is asked for its end while it prints nothing


class Answer(NamedTuple):
    """What became of a child: ``code`` is None where it could not be started, for the reason in ``refused``, or did not
    end in time."""

    code: Optional[int]
    out: str
    err: str
    why_not: str = ""
    refused: str = ""

    @property
    def signal(self) -> str:
        """The signal that ended it: "SIGILL"; "" for none."""
        if self.code is None or self.code >= 0:
            return ""
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return "signal {}".format(-self.code)

    @property
    def complaint(self) -> str:
        """The last line of what it complained about, or why there is no answer."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return clean(self.why_not or self.signal or (lines[-1] if lines else "exit code {}".format(self.code)))[:300]


def run_child(
    command: Sequence[str],
    seconds: float,
    environ: Optional[Mapping[str, str]] = None,
    folder: str = "/",
    together: bool = False,
) -> Answer:
    """Runs a command; it and all that it has started are gone afterwards.

    Args:
        seconds: until it is killed.
        environ: its environment, by default this process's own; the command is found on its PATH.
        folder: where it runs: by default where a cv2.py in the user's folder is none of what is asked for.
        together: what it complains about stands in ``out``, among the rest.
    """
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if together else subprocess.PIPE,
            env=None if environ is None else dict(environ),
            cwd=folder,
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        refused = error.strerror or str(error)
        return Answer(None, "", "", "{}: {}".format(command[0], refused), refused)
    streams = [_Stream(file) for file in (process.stdout, process.stderr) if file is not None]
    try:
        has_ended = _read_until_its_end(process, streams, time.monotonic() + seconds)
    finally:
        _end(process)
        for stream in streams:
            stream.read_what_is_left()
            stream.file.close()
    out, err = [bytes(stream.kept).decode("utf-8", "replace") for stream in streams] + [""] * together
    return Answer(process.returncode, out, err) if has_ended else Answer(None, out, err, _late(seconds))


class _Stream:
    """One pipe of a child's: the beginning of what comes out of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.kept = file, bytearray()
        os.set_blocking(file.fileno(), False)

    def read(self) -> bool:
        """Takes a block; False where there is none."""
        try:
            block = os.read(self.file.fileno(), _BLOCK)
        except BlockingIOError:
            return False
        self.kept += block[: MOST_OUTPUT - len(self.kept)]
        return bool(block)

    def read_what_is_left(self) -> None:
        """What lies in the pipe after the end; bounded, for what took a session of its own may still print."""
        for _ in range(_LEFT_READS):
            if not self.read():
                break


def _read_until_its_end(process: "subprocess.Popen[bytes]", streams: Sequence[_Stream], until_s: float) -> bool:
    """Whether it ended in time; what it has started may hold its pipes longer, so their ends do not count."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream.file, selectors.EVENT_READ, stream)
        while not _has_ended(process):
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return False
            for key, _ in selector.select(min(_LOOK_S, left_s)):
                if not key.data.read():
                    selector.unregister(key.fileobj)
    return True


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Without reaping it: as long as it lies there, no other process gets the number of its group."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # children are reaped by the system here
        return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kills a child and what it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        process.kill()
    process.wait()


def _late(seconds: float) -> str:
    return "no answer in {:g} s".format(seconds)
