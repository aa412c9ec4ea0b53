"""How far an evaluation got, in a file, so that it can go on after an interruption and end with the same counts."""

import hashlib
import json
import os
import re
import time
from typing import Any, Dict

from ccc_jetson import __version__
from ccc_jetson.confusion import ConfusionMatrix
from ccc_jetson.datasets import Dataset
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.files import read_text, write_text
from ccc_jetson.runtime.evaluation import Evaluation, Tally
from ccc_jetson.runtime.report import Model

_FORMAT = 1
_FIELDS = {"format", "fingerprint", "done", "skipped", "confusion"}
_SAVE_EVERY_S = 10.0


def fingerprint(model: Model, evaluation: Evaluation) -> Dict[str, str]:
    """All that the counts depend on: only runs with the same one may be added up. Asks for the size of every file."""
    dataset = evaluation.dataset
    files = hashlib.sha256()
    for sample in dataset.samples:
        sizes = [os.path.getsize(path) if os.path.exists(path) else -1 for path in (sample.image, sample.labels)]
        files.update(json.dumps([sample.name] + sizes).encode("ascii") + b"\n")
    return {
        "ccc-jetson": __version__,
        "model": model.sha256,
        "contract": _digest(model.contract.to_json()),
        "frames": "{} ({})".format(len(dataset.samples), files.hexdigest()),
        "mapping": "{} ({})".format(
            dataset.mapping.name, _digest(json.dumps(dataset.mapping.to_json(), sort_keys=True))
        ),
        "fit": evaluation.fit,
        "eval size": evaluation.eval_size,
        "prediction": evaluation.prediction,
    }


class StateFile:
    """The state of one evaluation in the file at ``path``, written whole or not at all.

    Args:
        path: need not exist yet.
        fingerprint: of this run.
        dataset: whose frames are counted.
    """

    def __init__(self, path: str, fingerprint: Dict[str, str], dataset: Dataset) -> None:
        self.path = path
        self._fingerprint = fingerprint
        self._dataset = dataset
        self._saved = time.monotonic()

    def load(self) -> Tally:
        """What the file holds, or an empty tally where there is none yet.

        Raises:
            FileProblem: it is damaged or no such file.
            UsageError: it belongs to another evaluation; the message says in what they differ.
        """
        classes = len(self._dataset.mapping.classes)
        if not os.path.exists(self.path):
            self.save(Tally(ConfusionMatrix(classes)))  # before the work, so that a path that cannot be written says so
            return Tally(ConfusionMatrix(classes))
        record = self._record()
        matrix = ConfusionMatrix.from_json(record["confusion"], self.path)
        names = [sample.name for sample in self._dataset.samples[: len(record["done"])]]
        if matrix.classes != classes or names != record["done"]:
            raise self._damaged("its frames are not the first of this data set")
        return Tally(matrix, len(names), tuple((name, reason) for name, reason in record["skipped"]))

    def save(self, tally: Tally) -> None:
        """Writes the state."""
        record = {
            "format": _FORMAT,
            "fingerprint": self._fingerprint,
            "done": [sample.name for sample in self._dataset.samples[: tally.done]],
            "skipped": [list(each) for each in tally.skipped],
            "confusion": tally.matrix.to_json(),
        }
        write_text(self.path, json.dumps(record, indent=1, sort_keys=True) + "\n")
        self._saved = time.monotonic()

    def save_now_and_then(self, tally: Tally) -> None:
        """Writes the state when the last time is ten seconds ago."""
        if time.monotonic() - self._saved >= _SAVE_EVERY_S:
            self.save(tally)

    def _record(self) -> Dict[str, Any]:
        try:
            record = json.loads(read_text(self.path))
        except (ValueError, RecursionError) as error:
            raise self._damaged(str(error))
        if not isinstance(record, dict) or record.get("format") != _FORMAT or set(record) != _FIELDS:
            raise self._damaged("expected format {} with {}".format(_FORMAT, ", ".join(sorted(_FIELDS))))
        found = record["fingerprint"]
        if not isinstance(found, dict):
            raise self._damaged("its fingerprint is no object")
        differing = [
            key for key in sorted(set(found) | set(self._fingerprint)) if found.get(key) != self._fingerprint.get(key)
        ]
        if differing:
            raise UsageError(
                "{}: is of another evaluation:\n{}".format(
                    self.path,
                    "\n".join(
                        "  {}: {} there, {} now".format(key, _short(found.get(key)), _short(self._fingerprint.get(key)))
                        for key in differing
                    ),
                ),
                hint="run it as it was begun, or choose another file for --resume",
            )
        pairs = record["skipped"]
        if not isinstance(pairs, list) or not all(_is_texts(pair) and len(pair) == 2 for pair in pairs):
            raise self._damaged("skipped is no list of names and reasons")
        if not _is_texts(record["done"]) or not {name for name, _ in pairs} <= set(record["done"]):
            raise self._damaged("done is no list of names with those skipped")
        return record

    def _damaged(self, problem: str) -> FileProblem:
        return FileProblem(
            "{}: is no state of an evaluation that could go on: {}".format(self.path, problem),
            hint="delete it to begin anew, or choose another file for --resume",
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _short(value: Any) -> str:
    """A digest's beginning is enough to see that two differ."""
    return re.sub(r"([0-9a-f]{12})[0-9a-f]{52}", r"\1", str(value))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
