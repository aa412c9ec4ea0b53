"""What a probe can say."""

from typing import Any, Dict, NamedTuple, Sequence

OK, NOTE, PROBLEM, BROKEN, NOT_HERE = "ok", "note", "problem", "broken", "does not apply"
# The worst decides the exit code; 2 is a mistake on the command line
EXIT_CODES = {OK: 0, NOT_HERE: 0, NOTE: 0, PROBLEM: 1, BROKEN: 3}
_BY_GRAVITY = (NOT_HERE, OK, NOTE, PROBLEM, BROKEN)


class Finding(NamedTuple):
    """A verdict, what it rests on, and the line that fixes it; "" where nothing is to be done.

    ``note`` costs speed or comfort, ``problem`` will stop something that is usual, ``broken`` stops it now.
    """

    verdict: str
    evidence: str
    fix: str = ""

    def to_json(self) -> Dict[str, Any]:
        """The record as a dictionary."""
        return dict(self._asdict())


def worst(verdicts: Sequence[str]) -> str:
    """The gravest of them; ``OK`` of none."""
    return max(verdicts, key=_BY_GRAVITY.index, default=OK)
