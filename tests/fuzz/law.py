"""What a parser may do with any input: give a value, or raise a CccError that is fit for a terminal; soon, and in
memory that is in proportion to the input. What it accepts can be written and read again. Runs on Python 3.6.
"""

import os
import resource
import signal
import time
import traceback
import tracemalloc

import ccc_jetson
from ccc_jetson.errors import CccError

SECONDS, SECONDS_PER_BYTE = 2.0, 2e-5  # of the processor, on a slow machine
HANGS_S = 20.0
BYTES, BYTES_PER_BYTE = 48 << 20, 400
LONGEST_MESSAGE = 20000
_PACKAGE = os.path.dirname(os.path.abspath(ccc_jetson.__file__))
_PARTS = ("calib", "engines", "export", "runtime", "ccc_jetson")


class Fault(Exception):
    """A parser broke the law. ``place`` is the last line of ours on the way, which tells faults apart."""

    def __init__(self, kind, text, place=""):
        super(Fault, self).__init__("{}: {}{}".format(kind, text[:500], place and " at " + place))
        self.kind, self.place = kind, place


class _Hangs(BaseException):
    """Raised by a timer; no parser catches it."""


def check(target, data):
    """Gives ``data`` to a target; True where it was accepted.

    Raises:
        Fault: with what happened.
    """
    before = time.process_time()
    try:
        accepted = _obeyed(target, data)
    except _Hangs as error:
        raise Fault("hangs", "more than {:.0f} s".format(HANGS_S), _place(error))
    spent = time.process_time() - before
    if spent > SECONDS + SECONDS_PER_BYTE * len(data):
        raise Fault("slow", "{:.1f} s for {} bytes".format(spent, len(data)), target.name)
    return accepted


def check_memory(target, data):
    """As ``check``, by a counting allocator: what Python and numpy ask for at most."""
    tracemalloc.start()
    try:
        return check(target, data)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if peak > BYTES + BYTES_PER_BYTE * len(data):
            raise Fault("memory", "{:,} bytes for {:,}".format(peak, len(data)), target.name)


def watch_for_hangs():
    """From now on ``check`` ends what runs too long; for the main thread of a process of its own."""

    def too_long(number, frame):
        raise _Hangs()

    signal.signal(signal.SIGVTALRM, too_long)


def limit_memory(more_bytes):
    """Of this process: what it has now, and so much more."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more_bytes, resource.RLIM_INFINITY))


def _obeyed(target, data):
    if signal.getsignal(signal.SIGVTALRM) not in (signal.SIG_DFL, None):
        signal.setitimer(signal.ITIMER_VIRTUAL, HANGS_S)
    try:
        value = target.parse(data)
        if target.write is None:
            return True
        again = target.parse(target.write(value))
        if again != value:
            raise Fault("round trip", "{!r} became {!r}".format(value, again), target.name)
        return True
    except Fault:
        raise
    except CccError as error:
        check_error(error)
        return False
    except Exception as error:
        raise Fault(type(error).__name__, str(error) or "no text", _place(error))
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def check_error(error):
    """Of a refusal: it can be shown."""
    text = str(error)
    if not text.strip():
        raise Fault("empty message", repr(error), _place(error))
    for part in (text, error.hint):
        if not all(letter.isprintable() or letter == "\n" for letter in part):
            raise Fault("unprintable message", repr(part), _place(error))
        if len(part) > LONGEST_MESSAGE:
            raise Fault("long message", "{} characters: {!r}".format(len(part), part[:200]), _place(error))


def check_text(text, what):
    """Of a page or line for people."""
    if not all(letter.isprintable() or letter == "\n" for letter in text):
        bad = next(letter for letter in text if not (letter.isprintable() or letter == "\n"))
        at = text.index(bad)
        raise Fault("unprintable text", "{}: {!r}".format(what, text[max(0, at - 60) : at + 20]), what)


def _place(error):
    """``engines/manifest.py:120``: the innermost line of the package."""
    found = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = os.path.realpath(frame[0])
        folders = os.path.dirname(path).split(os.sep)
        if any(part in folders for part in _PARTS) and "tests" not in folders:
            start = max(folders.index(part) for part in _PARTS if part in folders)
            found = "{}:{}".format("/".join(path.split(os.sep)[start:]), frame[1])
    return found
