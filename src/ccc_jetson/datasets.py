"""Labelled frames: pairs of picture and label map, in a fixed order, with the meaning of their labels."""

import os
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from ccc_jetson.clean_text import listed
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.images import list_images
from ccc_jetson.label_mapping import SHOWN, LabelMapping, named_mapping

CITYSCAPES_FRAMES = {"train": 2975, "val": 500}
_IMAGE_SUFFIX = "_leftImg8bit"
_LABEL_SUFFIX = re.compile(r"_gt(Fine|Coarse)_label(Train)?Ids$")
_NO_CLASS_NUMBERS = re.compile(r"_gt(Fine|Coarse)_(color|instanceIds|instanceTrainIds)$")


class Sample(NamedTuple):
    """A labelled frame: its name in reports, and two files."""

    name: str
    image: str
    labels: str


class Dataset(NamedTuple):
    """Frames in a fixed order, with the meaning of their labels.

    ``split`` is Cityscapes' ("val") and empty for other data; ``whole`` says that these are all frames of that split;
    ``notes`` are sentences that belong into the report.
    """

    title: str
    samples: Tuple[Sample, ...]
    mapping: LabelMapping
    split: str = ""
    whole: bool = True
    notes: Tuple[str, ...] = ()

    def spread(self, frames: int) -> "Dataset":
        """``frames`` of the samples, evenly spread over their order; all of them where there are no more."""
        total = len(self.samples)
        if frames < 1:
            raise UsageError("--frames is {}, expected 1 or more".format(frames))
        if frames >= total:
            return self
        chosen = tuple(self.samples[index * total // frames] for index in range(frames))
        note = "{} of {} frames, evenly spread".format(frames, total)
        return self._replace(samples=chosen, whole=False, notes=(*self.notes, note))


def labelled_frames(
    root: Optional[str],
    split: Optional[str],
    images: Optional[str],
    labels: Optional[str],
    mapping: Optional[str],
    allow_missing: bool,
    frames: Optional[int],
) -> Dataset:
    """The one data set that is named: Cityscapes in ``root``, or pictures and label maps with what these mean.

    Args:
        root, split: as ``cityscapes`` takes them; ``val`` where no split is named.
        images, labels, mapping, allow_missing: as ``paired_folders`` takes them.
        frames: only so many, evenly spread.

    Raises:
        UsageError: none is named, or both, or one by halves.
        FileProblem: as for either.
    """
    of_pairs = (("images", images), ("labels", labels), ("mapping", mapping))
    given = [name for name, value in of_pairs if value is not None]
    if root is not None:
        given += ["allow-missing"] * allow_missing
        if given:
            raise UsageError("--{} does not go with --cityscapes".format(given[0]))
        dataset = cityscapes(root, split or "val")
        return dataset if frames is None else dataset.spread(frames)
    if not given:
        raise UsageError(
            "no labelled frames: neither --cityscapes nor --images was given",
            hint="ccc-eval MODEL --cityscapes DIR, or: ccc-eval MODEL --images DIR --labels DIR --mapping camvid",
        )
    if images is None or labels is None or mapping is None:
        missing = ["--" + name for name, _ in of_pairs if name not in given]
        raise UsageError("--{} needs {} too".format(given[0], " and ".join(missing)))
    if split is not None:
        raise UsageError("--split belongs to --cityscapes")
    dataset = paired_folders(images, labels, mapping, allow_missing)
    return dataset if frames is None else dataset.spread(frames)


def cityscapes(root: str, split: str = "val") -> Dataset:
    """Cityscapes as it is unpacked: ``leftImg8bit/<split>/<city>/`` and ``gtFine/<split>/<city>/`` in ``root``.

    Raises:
        UsageError: the split has no labels.
        FileProblem: a part is missing; the message says what was found instead.
    """
    if split == "test":
        raise UsageError(
            "Cityscapes publishes no labels of its test split (the files in gtFine/test are placeholders)",
            hint="--split val",
        )
    images = _by_key(root, "leftImg8bit", split, _IMAGE_SUFFIX + ".png")
    labels = _by_key(root, "gtFine", split, "_gtFine_labelIds.png")
    names = sorted(set(images) & set(labels))
    if not names:
        raise FileProblem(
            "{}: no frame has both parts: {} in leftImg8bit/{}, {} in gtFine/{}".format(
                root, listed(sorted(images), SHOWN), split, listed(sorted(labels), SHOWN), split
            ),
            hint="unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip into the same folder",
        )
    notes: List[str] = []
    for what, lacking in (("labels", set(images) - set(labels)), ("a picture", set(labels) - set(images))):
        if lacking:
            notes.append("left out, without {}: {} ({})".format(what, len(lacking), listed(sorted(lacking), SHOWN)))
    expected = CITYSCAPES_FRAMES.get(split)
    if expected is not None and len(names) != expected:
        notes.append("{} of the {} frames of the split are here".format(len(names), expected))
    return Dataset(
        title="Cityscapes " + split,
        samples=tuple(Sample(name, images[name], labels[name]) for name in names),
        mapping=named_mapping("labelids"),
        split=split,
        whole=len(names) == expected,
        notes=tuple(notes),
    )


def paired_folders(images: str, labels: str, mapping: str, allow_missing: bool = False) -> Dataset:
    """Pictures in one folder and label maps of the same names in another; Cityscapes' suffixes may differ.

    Args:
        images, labels: the folders.
        mapping: one of ``MAPPINGS`` or the path of a mapping file.
        allow_missing: leaves out what has no partner, and notes it, instead of raising.

    Raises:
        FileProblem: a folder is missing or empty, or a file has no partner.
    """
    meaning = named_mapping(mapping)
    pictures = _by_stem(images, _picture_key)
    maps = _by_stem(labels, lambda stem: _label_key(stem, mapping))
    names = sorted(set(pictures) & set(maps))
    notes: List[str] = []
    for what, lacking in (("label map", set(pictures) - set(maps)), ("picture", set(maps) - set(pictures))):
        if lacking:
            notes.append("{} without a {}: {}".format(len(lacking), what, listed(sorted(lacking), SHOWN)))
    if not names or (notes and not allow_missing):
        raise FileProblem(
            "{} and {} do not belong together, frame by frame: {}".format(images, labels, "; ".join(notes)),
            hint="files of one frame have the same name but for the ending"
            + ("; ccc-eval --allow-missing evaluates the {} pairs there are".format(len(names)) if names else ""),
        )
    title = "{} ({} labels)".format(os.path.basename(os.path.abspath(images)), meaning.name)
    samples = tuple(Sample(name, pictures[name], maps[name]) for name in names)
    return Dataset(title, samples, meaning, notes=tuple(notes))


def _by_key(root: str, part: str, split: str, ending: str) -> Dict[str, str]:
    """City/frame -> path, of the files with that ending in ``root/part/split/city``."""
    folder = root
    for step in (part, split):
        inside = _entries(folder)
        if step not in inside:
            raise FileProblem(
                "{}: expected a folder {}, found {}".format(
                    folder, step, listed(inside, SHOWN) if inside else "nothing"
                ),
                hint="DIR of --cityscapes is the folder that holds leftImg8bit/{0} and gtFine/{0}".format(split),
            )
        folder = os.path.join(folder, step)
    found: Dict[str, str] = {}
    others: List[str] = []
    for city in _entries(folder):
        path = os.path.join(folder, city)
        for name in _entries(path) if os.path.isdir(path) else []:
            if name.endswith(ending):
                found["{}/{}".format(city, name[: -len(ending)])] = os.path.join(path, name)
            else:
                others.append(os.path.join(city, name))
    if not found:
        raise FileProblem(
            "{}: expected <city>/*{}, found {}".format(folder, ending, listed(others, SHOWN) if others else "no files"),
            hint="unpack {}_trainvaltest.zip there".format(part),
        )
    return found


def _entries(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise FileProblem("{}: cannot be read: {}".format(folder, error.strerror))


def _by_stem(folder: str, key_of: Callable[[str], Optional[str]]) -> Dict[str, str]:
    """Key -> path of the pictures in a folder; a key of ``None`` leaves the file out."""
    if not os.path.isdir(folder):
        raise FileProblem("{}: no such folder".format(folder))
    found: Dict[str, str] = {}
    for path in list_images([folder]):
        key = key_of(os.path.splitext(os.path.basename(path))[0])
        if key is None:
            continue
        if key in found:
            raise FileProblem("{} and {} are of the same frame".format(found[key], path), hint="remove one of them")
        found[key] = path
    return found


def _picture_key(stem: str) -> str:
    return stem[: -len(_IMAGE_SUFFIX)] if stem.endswith(_IMAGE_SUFFIX) else stem


def _label_key(stem: str, mapping: str) -> Optional[str]:
    """The frame's name; ``None`` for Cityscapes files of another kind than the mapping is for."""
    match = _LABEL_SUFFIX.search(stem)
    if match and {"labelids": bool(match.group(2)), "trainids": not match.group(2)}.get(mapping, False):
        return None
    return None if _NO_CLASS_NUMBERS.search(stem) else _LABEL_SUFFIX.sub("", stem)
