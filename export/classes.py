"""Class names, colours and train ids of a network's outputs."""

import colorsys
import json
from typing import Any

from ccc_jetson.cityscapes import CAMVID_CLASSES, CAMVID_COLORS, IGNORE, TRAIN_CLASSES, TRAIN_LABELS
from ccc_jetson.contract import MAX_CLASSES, MAX_SCORES, Class
from ccc_jetson.errors import UsageError
from ccc_jetson.files import read_text

CITYSCAPES, CAMVID, IMAGENET = "cityscapes", "camvid", "imagenet"
IMAGENET_CLASSES = 1000
VOID = Class("void", (0, 0, 0), IGNORE, 0)


def classes_for(
    path: str | None, outputs: int, data_set: str = CITYSCAPES, of_pictures: bool = False
) -> tuple[tuple[Class, ...], tuple[str, ...]]:
    """The classes of a network's outputs, and what the user should know of them.

    They come from a file where one is given, else they are those of ``data_set``. ``of_pictures``: as a whole, which
    have names alone.
    """
    if of_pictures:
        return _classes_of_pictures(path, outputs, data_set)
    if outputs > MAX_CLASSES:
        raise UsageError(f"the network has {outputs} outputs; class maps of 8 bits hold {MAX_CLASSES} classes")
    if path is not None:
        return read_classes(path, outputs), ()
    classes = default_classes(outputs, data_set)
    if classes is not None:
        return classes, ()
    return numbered_classes(outputs), (
        f"the names of the {outputs} classes are unknown; give them with --classes FILE (one name a line)",
    )


def _classes_of_pictures(path: str | None, outputs: int, data_set: str) -> tuple[tuple[Class, ...], tuple[str, ...]]:
    if outputs > MAX_SCORES:
        raise UsageError(f"the network has {outputs} outputs; {MAX_SCORES} classes are possible")
    if path is not None:
        names = [_name(path, index, entry) for index, entry in enumerate(_entries(path, outputs))]
        return tuple(VOID._replace(name=name, label_id=-1) for name in names), ()
    names = [f"class {index}" for index in range(outputs)]
    note = f"the names of the {outputs} classes are unknown; give them with --classes FILE (one name a line)"
    if data_set == IMAGENET and outputs == IMAGENET_CLASSES:
        note = (
            f"the {outputs} classes are numbered as ImageNet's usually are, by their WordNet ids; --classes FILE gives "
            "them names (one a line; docs/networks.md says where to find them)"
        )
    return tuple(VOID._replace(name=name, label_id=-1) for name in names), (note,)


def default_classes(outputs: int, data_set: str = CITYSCAPES) -> tuple[Class, ...] | None:
    """Cityscapes' 19 classes for 19 outputs, with void for 20 (as the paper trains), else nothing to go by.

    Of CamVid the 11 classes of SegNet's order, with void for 12.
    """
    if data_set == CAMVID:
        named = zip(CAMVID_CLASSES, CAMVID_COLORS, strict=True)
        camvid = tuple(Class(name, color, index, -1) for index, (name, color) in enumerate(named))
        return {len(camvid): camvid, len(camvid) + 1: (*camvid, VOID._replace(label_id=-1))}.get(outputs)
    cityscapes = tuple(Class(label.name, label.color, label.train_id, label.label_id) for label in TRAIN_LABELS)
    return {TRAIN_CLASSES: cityscapes, TRAIN_CLASSES + 1: (*cityscapes, VOID)}.get(outputs)


def numbered_classes(outputs: int) -> tuple[Class, ...]:
    """Stand-ins where nobody said what the outputs mean."""
    return tuple(Class(f"class {index}", _color(index, outputs), index, -1) for index in range(outputs))


def read_classes(path: str, outputs: int) -> tuple[Class, ...]:
    """Classes from a file: one name a line, or a JSON list of names or of objects.

    An object has ``name`` and may have ``color`` [r, g, b], ``train_id`` (its place by default, 255 for no class) and
    ``label_id``.

    Raises:
        UsageError: it has another number of classes than the network has outputs, or cannot be understood.
    """
    return tuple(_class(path, index, entry, outputs) for index, entry in enumerate(_entries(path, outputs)))


def _entries(path: str, outputs: int) -> list[Any]:
    """The lines of a file, or the items of its JSON list: one for each output."""
    text = read_text(path).lstrip("\ufeff")  # some editors begin a file with it
    skipped = 0
    if text.lstrip().startswith("["):
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"{path}: is no JSON: {error}", hint="a file that begins with [ is taken for JSON"
            ) from None
    else:
        # not ``splitlines``, which ends lines at characters that a name may have
        lines = [line.strip() for line in text.split("\n")]
        entries = [line for line in lines if line]
        skipped = len(lines) - len(entries) - (not lines[-1])
    if len(entries) != outputs:
        passed_over = f" ({skipped} empty lines are none)" if skipped else ""
        raise UsageError(f"{path}: has {len(entries)} classes{passed_over}, the network has {outputs} outputs")
    return list(entries)


def _name(path: str, index: int, entry: Any) -> str:
    """Of a class of whole pictures, which has nothing else."""
    record = {"name": entry} if isinstance(entry, str) else entry
    if (
        not isinstance(record, dict)
        or set(record) != {"name"}
        or not isinstance(record["name"], str)
        or not record["name"]
    ):
        raise UsageError(f"{path}: class {index} is {entry!r}, expected a name: it is a class of whole pictures")
    return record["name"]


def _class(path: str, index: int, entry: Any, outputs: int) -> Class:
    record = {"name": entry} if isinstance(entry, str) else entry
    where = f"{path}: class {index}"
    if not isinstance(record, dict) or not isinstance(record.get("name"), str):
        raise UsageError(f'{where} is {entry!r}, expected a name or {{"name": ..., "color": [r, g, b]}}')
    unknown = sorted(set(record) - {"name", "color", "train_id", "label_id"})
    if unknown:
        raise UsageError(f"{where} has unknown fields {', '.join(unknown)}")
    color = record.get("color", _color(index, outputs))
    numbers: list[Any] = [*color, record.get("train_id", index)] if isinstance(color, list | tuple) else []
    if len(numbers) != 4 or not all(isinstance(value, int) and 0 <= value <= 255 for value in numbers):
        raise UsageError(f"{where}: color and train_id are whole numbers from 0 to 255, found {entry!r}")
    label_id = record.get("label_id", -1)
    if not isinstance(label_id, int) or not -1 <= label_id <= 255:
        raise UsageError(f"{where}: label_id is a whole number from -1 to 255, found {label_id!r}")
    return Class(record["name"], (numbers[0], numbers[1], numbers[2]), numbers[3], label_id)


def _color(index: int, outputs: int) -> tuple[int, int, int]:
    """Evenly spread hues, alternately bright and dark."""
    red, green, blue = colorsys.hsv_to_rgb(index / outputs, 0.75, 0.9 if index % 2 else 0.6)
    return round(255 * red), round(255 * green), round(255 * blue)
