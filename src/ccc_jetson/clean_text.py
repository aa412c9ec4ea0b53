"""Text that came from a file of anyone, made fit for a terminal."""

import re
import sys
from typing import Sequence


def printable(text: str) -> str:
    """``text`` with a ``?`` for every character that steers a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def clean(text: str) -> str:
    """``text`` as ``printable`` has it, and with a ``?`` for what standard output cannot encode."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return printable(text).encode(encoding, "replace").decode(encoding)


def clean_lines(text: str) -> str:
    """``text`` of several lines, each as ``clean`` has it."""
    return "\n".join(map(clean, text.split("\n")))


def listed(names: Sequence[str], shown: int = 5) -> str:
    """A few names, each as ``clean`` has it, and how many more there are."""
    more = len(names) - shown
    return clean(", ".join(names[:shown])) + (" and {} more".format(more) if more > 0 else "")


HIDDEN = "***"
_SECRET_WORD = r"(?:pass|pwd|pw|token|secret|key|auth|credential|signature|user)"
SECRET_NAME = r"[\w.-]*?" + _SECRET_WORD + r"[\w.-]*"
# To the last @ of a line: where nobody quoted a password it may hold colons, slashes and @. USER:PASSWORD@ is what our
# own messages have in that place.
_IN_ADDRESS = re.compile(r"(?<=://)(?!USER:PASSWORD@).*@")
# A quote at the end of a word is around the address, and a colon is the message's. That a name has a value is looked at
# first, so that a long word without one is read once, not once for each "pass" in it.
_VALUE = r"(?:[^&;,\s\"':]|[\"':](?!\s|\Z))"
_NAMED = re.compile(r"(?<![\w.-])(?=[\w.-]+=" + _VALUE + r")(" + SECRET_NAME + r"=)" + _VALUE + r"+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """``text`` with ``***`` where an address or a named value holds a secret.

    The user's name and password in an address (``rtsp://user:password@host/``), values of names that speak of secrets
    wherever they stand (``?token=...``, ``user-pw=...``). Better once too often.
    """
    return _NAMED.sub(r"\1" + HIDDEN, "\n".join(map(_without_login, text.split("\n"))))


def _without_login(line: str) -> str:
    """Up to the last ``@`` the first address is found at once; behind it there is none to look for."""
    end = line.rfind("@") + 1
    return _IN_ADDRESS.sub(HIDDEN + "@", line[:end]) + line[end:]


def message_without_secrets(text: str) -> str:
    """A message as ``without_secrets`` has it where it repeats an address; else as it is: ``--arch-args KEY=VALUE``."""
    return without_secrets(text) if "://" in text else text
