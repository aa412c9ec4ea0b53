"""A terminal may go while a command works: its window is closed, or its SSH connection breaks."""

import errno
import io
import os
from typing import TextIO


def write_now(stream: TextIO, text: str) -> None:
    """Writes and flushes what a person may read along; that there is no terminal any more is no error."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        if not has_gone(error):
            raise
        try:
            silence(stream)
        except io.UnsupportedOperation:  # no terminal of ours, but what somebody made of one
            raise error


def has_gone(error: OSError) -> bool:
    """Whether this is what writing to a terminal gives that has gone; no path belongs to it."""
    return error.errno == errno.EIO and error.filename is None


def silence(stream: TextIO) -> None:
    """What is written to it goes nowhere, what its buffer holds too: Python flushes it at exit, and would complain."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
