"""What a classifier found in each picture, for the report."""

import math
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from ccc_jetson.contract import Contract
from ccc_jetson.runtime.backends import Classification
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.sinks import Sink

TOP = 5


class TopClass(NamedTuple):
    """A class by name; ``probability`` is its softmax over all classes."""

    name: str
    score: float
    probability: float


class Classified(NamedTuple):
    """A picture by name, and its most probable classes, the best first."""

    picture: str
    top: Tuple[TopClass, ...]

    def to_json(self) -> Dict[str, Any]:
        """What a report says of the picture."""
        return {
            "name": self.picture,
            "top": [
                {
                    "class": each.name,
                    "score": round(each.score, 6) if math.isfinite(each.score) else None,
                    "probability": round(each.probability, 6),
                }
                for each in self.top
            ],
        }


class TopClasses(Sink):
    """Keeps the ``TOP`` classes of every picture; writes nothing. Some hundred bytes a picture."""

    description = "top classes"

    def __init__(self, contract: Contract) -> None:
        self._names = contract.class_names
        self._classified: List[Classified] = []

    def write(self, frame: Frame, classification: Classification) -> None:
        self._classified.append(Classified(frame.name, top_classes(classification.scores, self._names)))

    @property
    def classified(self) -> Tuple[Classified, ...]:
        """All pictures so far, in their order."""
        return tuple(self._classified)


def top_classes(scores: np.ndarray, names: Tuple[str, ...]) -> Tuple[TopClass, ...]:
    """The most probable of scores (classes,) before softmax; of equal ones the first. NaN is the smallest there is."""
    values = np.where(np.isnan(scores), -np.inf, scores).astype(np.float64)
    order = np.argsort(-values, kind="mergesort")[:TOP]  # numpy 1.13 has no word "stable" for it
    shifted = np.exp(values - values[order[0]]) if np.isfinite(values[order[0]]) else np.zeros_like(values)
    total = float(shifted.sum()) or 1.0
    return tuple(TopClass(names[index], float(scores[index]), float(shifted[index]) / total) for index in order)
