"""A command line as reports show it: to be typed again, and without the secrets that were typed into it.

What is left out: the user's name and password in an address (``rtsp://user:password@host/``), values of names that
speak of secrets wherever they stand (``?token=...``, ``user-pw=...``, ``--token ...``). Better once too often.
"""

import re
import shlex
from typing import List, Sequence

HIDDEN = "***"
_NAME = r"[\w.-]*(?:pass|pwd|pw|token|secret|key|auth|credential|signature|user)[\w.-]*"
_IN_ADDRESS = re.compile(r"(?<=://).*@")  # to the last @: where nobody quoted a password it may hold anything
_NAMED = re.compile(r"(?<![\w.-])(" + _NAME + r"=)[^&;,\s]+", re.IGNORECASE)
# what follows it is its value, whatever that looks like; --no-... has none
_OPTION = re.compile(r"\A(?!--no-)--?" + _NAME + r"\Z", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """``text`` with ``***`` where an address or a named value holds a secret."""
    return _NAMED.sub(r"\1" + HIDDEN, _IN_ADDRESS.sub(HIDDEN + "@", text))


def shown_command(words: Sequence[str]) -> str:
    """The words of a command, quoted for a shell, without secrets."""
    shown: List[str] = []
    hide = False
    for word in words:
        is_value, hide = hide, not hide and bool(_OPTION.match(word))
        shown.append(shlex.quote(HIDDEN if is_value else without_secrets(word)))
    return " ".join(shown)
