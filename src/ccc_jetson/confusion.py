"""Confusion matrix over frames, and the accuracy that follows from it; counting and reducing apart.

Rows are the true classes, columns the predicted ones and, last, "no class": a prediction that is no evaluated class,
such as the network's void, is a missed pixel of the true class and nobody's false alarm, as in cityscapesscripts.
"""

from typing import Any, NamedTuple, Tuple

import numpy as np

from ccc_jetson.errors import FileProblem

IGNORE = 255  # a label pixel that is not evaluated
NO_CLASS = 255  # a predicted pixel that is no evaluated class
MAX_CLASSES = 254
_BLOCK = 1 << 16  # pixels counted at a time: stays in the cache


class ConfusionMatrix:
    """Counts pixels of ``classes`` classes, at most 254.

    ``counts`` is (classes, classes + 1) int64: ``counts[t, p]`` pixels of class t were predicted as p.
    """

    def __init__(self, classes: int) -> None:
        if not 1 <= classes <= MAX_CLASSES:
            raise ValueError("from 1 to {} classes, not {}".format(MAX_CLASSES, classes))
        self.classes = classes
        self.counts = np.zeros((classes, classes + 1), np.int64)

    def add(self, labels: np.ndarray, predictions: np.ndarray) -> None:
        """Counts the pixels of two uint8 arrays of one shape.

        ``labels`` holds classes, anything from ``classes`` on is skipped (``IGNORE``); in ``predictions`` anything from
        ``classes`` on counts as no class (``NO_CLASS``). Time grows with the pixels (about 3 ns each on a PC) and not
        with the classes; memory does not grow.
        """
        if labels.shape != predictions.shape or labels.dtype != np.uint8 or predictions.dtype != np.uint8:
            raise ValueError(
                "labels {} {} and predictions {} {}: expected uint8 arrays of one shape".format(
                    labels.dtype, labels.shape, predictions.dtype, predictions.shape
                )
            )
        side = self.classes + 1
        flat_labels, flat_predictions = labels.reshape(-1), predictions.reshape(-1)
        counts = np.zeros(side * side, np.int64)
        for start in range(0, flat_labels.size, _BLOCK):
            codes = np.minimum(flat_labels[start : start + _BLOCK], self.classes).astype(np.intp)
            codes *= side
            codes += np.minimum(flat_predictions[start : start + _BLOCK], self.classes)
            counts += np.bincount(codes, minlength=side * side)
        self.counts += counts.reshape(side, side)[: self.classes]

    def plus(self, other: "ConfusionMatrix") -> "ConfusionMatrix":
        """The sum of both as a new matrix; neither changes."""
        if other.classes != self.classes:
            raise ValueError("matrices of {} and {} classes cannot be added".format(self.classes, other.classes))
        total = ConfusionMatrix(self.classes)
        total.counts = self.counts + other.counts
        return total

    def scores(self) -> "Scores":
        """What the counts mean."""
        true = self.counts.sum(axis=1)
        predicted = self.counts[:, : self.classes].sum(axis=0)
        hits = np.diagonal(self.counts)
        union = true + predicted - hits
        iou = tuple(float(hit) / float(all_) if all_ else float("nan") for hit, all_ in zip(hits, union))
        present = [value for value in iou if value == value]
        pixels = int(true.sum())
        return Scores(
            iou=iou,
            miou=sum(present) / len(present) if present else float("nan"),
            pixel_accuracy=float(hits.sum()) / pixels if pixels else float("nan"),
            pixels=pixels,
            pixels_without_class=int(self.counts[:, -1].sum()),
            pixels_of_class=tuple(int(count) for count in true),
        )

    def to_json(self) -> Any:
        """The counts as lists of whole numbers, row by row."""
        return self.counts.tolist()

    @classmethod
    def from_json(cls, rows: Any, origin: str) -> "ConfusionMatrix":
        """From ``to_json``; ``origin`` names the file in messages.

        Raises:
            FileProblem: the rows are no confusion matrix.
        """
        square = isinstance(rows, list) and 1 <= len(rows) <= MAX_CLASSES
        if not square or not all(isinstance(row, list) and len(row) == len(rows) + 1 for row in rows):
            raise FileProblem("{}: the confusion matrix has K rows of K + 1 counts, this is none".format(origin))
        if not all(type(count) is int and 0 <= count < 1 << 62 for row in rows for count in row):
            raise FileProblem("{}: the confusion matrix holds something else than counts".format(origin))
        matrix = cls(len(rows))
        matrix.counts[...] = rows
        return matrix


class Scores(NamedTuple):
    """Accuracy, as shares of 1.

    ``iou`` per class is hits / (true + predicted - hits), nan for a class that was neither labelled nor predicted on an
    evaluated pixel; ``miou`` is the mean over the others; ``pixel_accuracy`` is hits / evaluated pixels.
    """

    iou: Tuple[float, ...]
    miou: float
    pixel_accuracy: float
    pixels: int
    pixels_without_class: int
    pixels_of_class: Tuple[int, ...]
