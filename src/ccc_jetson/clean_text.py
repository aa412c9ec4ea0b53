"""Text that came from a file of anyone, made fit for a terminal."""

import re
import sys
from typing import Sequence


def clean(text: str) -> str:
    """``text`` with a ``?`` for every character that steers a terminal or that standard output cannot encode."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return shown.encode(encoding, "replace").decode(encoding)


def listed(names: Sequence[str], shown: int = 5) -> str:
    """A few names, and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (" and {} more".format(more) if more > 0 else "")


# What stands between the user's name and the last @ of a line: passwords hold colons, slashes and @ where nobody quoted
# them. The word PASSWORD is what our own messages have in its place.
_PASSWORD = re.compile(r"(://[^\s:@]*):(?!PASSWORD@).*@")
# rtsp://camera/stream?user=me&password=secret
_SECRET = re.compile(r"(?i)\b(password|passwd|pwd|token)=[^&#\s\"']+")


def hide_passwords(text: str) -> str:
    """``text`` with ``***`` for the passwords of URLs in it. Hides too much rather than too little."""
    if "://" not in text:
        return text
    return _SECRET.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", text))
