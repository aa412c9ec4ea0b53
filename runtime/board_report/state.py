"""What a report has done already: the same command goes on from there, after a power loss as well."""

import json
import os
import time
from typing import Any, Dict, NamedTuple, Optional

from ccc_jetson.clean_text import clean
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.files import read_text, write_text

FORMAT = 1
NAME = "state.json"
DONE, FAILED, LEFT_OUT, INTERRUPTED = "done", "failed", "left out", "interrupted"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"  # of ``started``
STATUSES = (DONE, FAILED, LEFT_OUT, INTERRUPTED)


class Outcome(NamedTuple):
    """What became of a step: one of ``STATUSES``, how long it took, and why where it is not done."""

    status: str
    seconds: float
    why: str = ""
    exit_code: Optional[int] = None


class State:
    """The outcomes of the steps by name, the power mode that was found before the first switch, and what all of it is
    of: with another model or other settings nothing goes on."""

    def __init__(self, folder: str, about: Dict[str, Any], started: str) -> None:
        self._path = os.path.join(folder, NAME)
        self.about, self.started = about, started
        self.found_mode: Optional[int] = None
        self.outcomes: Dict[str, Outcome] = {}
        self.is_resumed = False
        self.unwritten = ""

    def take_up(self) -> None:
        """Reads what an earlier run of the same has left, if anything.

        Raises:
            UsageError: what lies there is of another model, or other settings.
            FileProblem: it is damaged.
        """
        if not os.path.exists(self._path):
            return
        cure = "choose another --folder, or begin again: rm -r " + os.path.dirname(self._path)
        try:
            record = json.loads(read_text(self._path))
            format_, about, mode = record["format"], record["about"], record["found_mode"]
            outcomes = {name: Outcome(*fields) for name, fields in record["steps"].items()}
            started = str(record["started"])
            time.strptime(started, TIME_FORMAT)
            valid = isinstance(about, dict) and (mode is None or isinstance(mode, int))
            valid = valid and all(map(_is_outcome, outcomes.values()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FileProblem("{}: is damaged: {!r}".format(self._path, error), hint=cure)
        if format_ != FORMAT or not valid:
            raise FileProblem("{}: is of another version of this program".format(self._path), hint=cure)
        differing = sorted(key for key in set(about) | set(self.about) if about.get(key) != self.about.get(key))
        if differing:
            raise UsageError(
                "{}: holds a report of another {}".format(self._path, clean(", ".join(differing))), hint=cure
            )
        self.found_mode, self.outcomes, self.started = mode, outcomes, started
        self.is_resumed = True

    def is_done(self, name: str) -> bool:
        """Whether a step needs no other run."""
        return name in self.outcomes and self.outcomes[name].status == DONE

    def note(self, name: str, outcome: Outcome) -> None:
        """Keeps an outcome."""
        self.outcomes[name] = outcome
        self.write()

    def write(self) -> None:
        """On a full disk the report goes on, and cannot be resumed; ``unwritten`` says why."""
        record = {
            "format": FORMAT,
            "about": self.about,
            "started": self.started,
            "found_mode": self.found_mode,
            "steps": {name: list(outcome) for name, outcome in self.outcomes.items()},
        }
        try:
            write_text(self._path, json.dumps(record, indent=1) + "\n")
        except FileProblem as problem:
            self.unwritten = str(problem)


def _is_outcome(found: Outcome) -> bool:
    """Whether it has a known status, and numbers and words where they belong."""
    seconds, code = found.seconds, found.exit_code
    is_right = found.status in STATUSES and isinstance(seconds, (int, float)) and isinstance(found.why, str)
    return is_right and (code is None or isinstance(code, int))
