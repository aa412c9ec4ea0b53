"""A command line as reports show it: to be typed again, and without the secrets that were typed into it.

What is left out is what ``without_secrets`` leaves out of every word, and the values of options that speak of secrets
(``--token ...``).
"""

import re
import shlex
from typing import List, Sequence

from ccc_jetson.clean_text import HIDDEN, SECRET_NAME, without_secrets

# what follows it is its value, whatever that looks like; --no-... has none
_OPTION = re.compile(r"\A(?!--no-)--?" + SECRET_NAME + r"\Z", re.IGNORECASE)


def shown_command(words: Sequence[str]) -> str:
    """The words of a command, quoted for a shell, without secrets."""
    shown: List[str] = []
    hide = False
    for word in words:
        is_value, hide = hide, not hide and bool(_OPTION.match(word))
        shown.append(shlex.quote(HIDDEN if is_value else without_secrets(word)))
    return " ".join(shown)
