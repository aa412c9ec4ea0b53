"""Text that came from a file of anyone, made fit for a terminal."""

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
