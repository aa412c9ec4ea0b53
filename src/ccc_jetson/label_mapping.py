"""What the numbers in label maps mean, and which evaluated class each output of a network stands for.

A mapping file for a data set of your own::

    {
      "classes": ["road", "car"],                the evaluated classes, in the order of the table
      "label_to_class": {"7": 0, "26": 1},       stored number -> class
      "ignore": [0, 255],                        stored numbers that are not evaluated
      "train_id_to_class": {"0": 0, "13": 1}     the network's Cityscapes train id -> class; may be left out
    }

Without ``train_id_to_class`` a network that has all the classes by name is read by name, any other with train id i as
class i. The prediction is mapped and not the label, because a coarser data set has no inverse.
"""

import os
import re
from typing import Any, Dict, Iterable, List, Sequence, Tuple

import numpy as np

from ccc_jetson.cityscapes import (
    CAMVID_CLASSES,
    CAMVID_FROM_TRAIN_ID,
    CAMVID_IGNORE,
    LABELS,
    TRAIN_CLASSES,
    TRAIN_LABELS,
)
from ccc_jetson.clean_text import clean, listed
from ccc_jetson.confusion import IGNORE, MAX_CLASSES, NO_CLASS
from ccc_jetson.contract import Contract
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.files import read_text
from ccc_jetson.json_records import loads

MAPPINGS = ("camvid", "trainids", "labelids")
_UNKNOWN = 254  # above the highest class, and not IGNORE
SHOWN = 3  # names in a message
_LONGEST = 500  # of what is wrong with a file
_NO_COLOR = (128, 128, 128)  # of a class that the network does not know


class LabelMapping:
    """What the numbers in label maps and the network's train ids mean, in evaluated classes.

    Args:
        name: for reports.
        classes: names of the evaluated classes.
        class_of_label: stored number -> class or ``IGNORE``; other numbers are errors.
        class_of_train_id: train id -> class; other train ids are no evaluated class.
        by_name: a network that has all these classes by name is read by name instead.
    """

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        class_of_label: Dict[int, int],
        class_of_train_id: Dict[int, int],
        by_name: bool = False,
    ) -> None:
        self.name = name
        self.classes = tuple(classes)
        self.class_of_label = dict(class_of_label)
        self.class_of_train_id = dict(class_of_train_id)
        self.by_name = by_name
        self._table = np.full(256, _UNKNOWN, np.uint8)
        for label, class_ in class_of_label.items():
            self._table[label] = class_

    def decode(self, labels: np.ndarray, path: str) -> np.ndarray:
        """(H, W) uint8 stored numbers -> (H, W) uint8 classes and ``IGNORE``; ``path`` is for the message.

        Raises:
            FileProblem: the map holds a number that has no meaning here.
        """
        decoded = np.take(self._table, labels)
        unknown = decoded == _UNKNOWN
        if unknown.any():
            values, counts = np.unique(labels[unknown], return_counts=True)
            raise FileProblem(
                "{}: holds the label {} ({} pixels){}; the mapping {!r} knows {}".format(
                    path,
                    values[0],
                    counts[0],
                    "" if len(values) == 1 else " and {} more unknown ones".format(len(values) - 1),
                    self.name,
                    _ranges(self.class_of_label),
                ),
                hint="choose the --mapping these labels were made with, or describe them in a mapping file",
            )
        return decoded

    def prediction_table(self, contract: Contract) -> np.ndarray:
        """(256,) uint8: evaluated class of each of the network's output channels, ``NO_CLASS`` where there is none.

        Raises:
            UsageError: the network predicts none of the classes.
        """
        table = np.full(256, NO_CLASS, np.uint8)
        if self._reads_names(contract):
            numbers = {name: index for index, name in enumerate(self.classes)}
            found = [numbers.get(each.name) for each in contract.classes]
        else:
            found = [self.class_of_train_id.get(each.train_id) for each in contract.classes]
        for channel, class_ in enumerate(found):
            if class_ is not None:
                table[channel] = class_
        if (table == NO_CLASS).all():
            raise UsageError(
                "the network's classes ({}) have nothing in common with the mapping {!r}".format(
                    listed(contract.class_names, SHOWN), self.name
                ),
                hint="describe them with train_id_to_class in a mapping file",
            )
        return table

    def colors(self, contract: Contract) -> List[Tuple[int, int, int]]:
        """(R, G, B) of each evaluated class: of the network's first output that stands for it, else grey."""
        table = self.prediction_table(contract).tolist()
        return [
            contract.classes[table.index(index)].color if index in table else _NO_COLOR
            for index in range(len(self.classes))
        ]

    def remarks(self, contract: Contract) -> List[str]:
        """Sentences about what a reader of the accuracy would not expect."""
        table = self.prediction_table(contract).tolist()
        never = [name for index, name in enumerate(self.classes) if index not in table]
        # Who exported without class names has train ids that mean nothing
        taken = [
            "{} for {}".format(each.name, TRAIN_LABELS[each.train_id].name)
            for each, class_ in zip(contract.classes, table)
            if self.name in MAPPINGS and not self._reads_names(contract)
            if class_ != NO_CLASS and each.name != TRAIN_LABELS[each.train_id].name
        ]
        remarks = []
        if never:
            remarks.append("the network has no output for {}: {}".format(_classes(len(never)), listed(never, SHOWN)))
        if taken:
            remarks.append("by train id {} taken: {}".format(_classes(len(taken)), listed(taken, SHOWN)))
        return remarks

    def _reads_names(self, contract: Contract) -> bool:
        return self.by_name and set(self.classes) <= set(contract.class_names)

    def to_json(self) -> Dict[str, Any]:
        """All that decides about the meaning of a pixel."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "label_to_class": _json_keys(self.class_of_label),
            "train_id_to_class": _json_keys(self.class_of_train_id),
            "by_name": self.by_name,
        }


def named_mapping(mapping: str) -> LabelMapping:
    """One of ``MAPPINGS``, or the mapping file at that path."""
    names = [label.name for label in TRAIN_LABELS]
    train_ids = {index: index for index in range(TRAIN_CLASSES)}
    if mapping == "labelids":
        return LabelMapping(mapping, names, {label.label_id: label.train_id for label in LABELS}, train_ids)
    if mapping == "trainids":
        return LabelMapping(mapping, names, {**train_ids, IGNORE: IGNORE}, train_ids)
    if mapping == "camvid":
        known = {index: index for index in range(len(CAMVID_CLASSES))}
        known[CAMVID_IGNORE] = IGNORE
        return LabelMapping(mapping, CAMVID_CLASSES, known, dict(enumerate(CAMVID_FROM_TRAIN_ID)), by_name=True)
    if not mapping.endswith(".json"):
        raise UsageError("unknown mapping {!r}; expected {} or a .json file".format(mapping, ", ".join(MAPPINGS)))
    return _mapping_file(mapping)


def _mapping_file(path: str) -> LabelMapping:
    """Reads and validates a mapping file, as described at the top."""
    try:
        record = loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise _bad_mapping(path, "it is no JSON: {}".format(error))
    if not isinstance(record, dict):
        raise _bad_mapping(path, "it is no JSON object")
    required, optional = {"classes", "label_to_class", "ignore"}, {"train_id_to_class"}
    missing, unknown = sorted(required - set(record)), sorted(set(record) - required - optional)
    if missing:
        raise _bad_mapping(path, "it lacks " + ", ".join(missing))
    if unknown:
        raise _bad_mapping(path, "it has unknown " + ", ".join(unknown))
    classes, ignore = record["classes"], record["ignore"]
    if not isinstance(classes, list) or not 1 <= len(classes) <= MAX_CLASSES or not all(map(_is_text, classes)):
        raise _bad_mapping(path, "classes is {!r}, expected 1 to {} names".format(classes, MAX_CLASSES))
    if len(set(classes)) != len(classes):
        raise _bad_mapping(path, "classes names one class twice")
    if not isinstance(ignore, list) or not all(_is_number(label, 256) for label in ignore):
        raise _bad_mapping(path, "ignore is {!r}, expected a list of labels from 0 to 255".format(ignore))
    class_of_label = _numbers(record["label_to_class"], "label_to_class", len(classes), path)
    both = sorted(set(class_of_label) & set(ignore))
    if both:
        raise _bad_mapping(path, "the label {} stands in label_to_class and in ignore".format(both[0]))
    class_of_label.update((label, IGNORE) for label in ignore)
    by_name = "train_id_to_class" not in record
    if by_name:
        class_of_train_id = {index: index for index in range(len(classes))}
    else:
        class_of_train_id = _numbers(record["train_id_to_class"], "train_id_to_class", len(classes), path)
    return LabelMapping(os.path.basename(path), classes, class_of_label, class_of_train_id, by_name)


def _numbers(value: Any, field: str, classes: int, path: str) -> Dict[int, int]:
    """{"7": 0} -> {7: 0}: keys from 0 to 255, values from 0 to classes - 1."""
    if not isinstance(value, dict):
        raise _bad_mapping(path, "{} is {!r}, expected an object".format(field, value))
    for key, class_ in value.items():
        if not re.match(r"(0|[1-9][0-9]{0,2})\Z", key) or int(key) > 255 or not _is_number(class_, classes):
            raise _bad_mapping(
                path,
                "{} says {!r}: {!r}, expected a number from 0 to 255 and a class from 0 to {}".format(
                    field, key, class_, classes - 1
                ),
            )
    return {int(key): class_ for key, class_ in value.items()}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any, end: int) -> bool:
    return type(value) is int and 0 <= value < end


def _bad_mapping(path: str, problem: str) -> FileProblem:
    cut = problem if len(problem) <= _LONGEST else problem[:_LONGEST] + "..."
    return FileProblem(
        "{}: is no mapping file: {}".format(path, clean(cut)),
        hint='for example {"classes": ["road", "car"], "label_to_class": {"7": 0, "26": 1}, "ignore": [0, 255]}',
    )


def _json_keys(numbers: Dict[int, int]) -> Dict[str, int]:
    return {str(key): value for key, value in sorted(numbers.items())}


def _classes(count: int) -> str:
    return "one class" if count == 1 else "{} classes".format(count)


def _ranges(numbers: Iterable[int]) -> str:
    """0, 1, 2, 5 -> "0-2, 5"."""
    parts: List[List[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(str(end) for end in part) for part in parts)
