"""What calibration frames can be taken from: folders, lists, pictures, videos, Cityscapes, and how a frame is read."""

import os
import re
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ccc_jetson.datasets import Dataset, cityscapes, paired_folders
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.files import read_text
from ccc_jetson.images import SUFFIXES, read_frame
from ccc_jetson.label_mapping import LabelMapping
from ccc_jetson.opencv import import_cv2, readable_name

LIST_SUFFIX = ".txt"
PICTURE = -1  # the index of a frame that is a file of its own
_MOST_FRAMES = 1 << 40  # what a header says beyond that is no number of frames
_CITYSCAPES_PICTURES = "leftImg8bit"
_LABEL_MAPS = re.compile(r"_gt(Fine|Coarse)_\w+\Z")  # Cityscapes' own, which are no pictures of a street
_GRAMMAR = "expected a folder, a list (.txt, one path a line), a picture, a video, or the folder of Cityscapes"


class Candidate(NamedTuple):
    """A frame that can be taken.

    ``name`` is what reports call it, the same on every machine: relative to what was given. ``number`` is its place in
    the video at ``path``, or ``PICTURE``. ``labels`` is the path of its label map, or "".
    """

    name: str
    path: str
    number: int = PICTURE
    labels: str = ""


class VideoFrames(Sequence[Candidate]):
    """As many frames of a video as its header says it has; each is made when it is asked for.

    A header may say anything: ``VideoEnded`` tells where the frames really end.
    """

    def __init__(self, path: str, count: int) -> None:
        self.path, self._count = path, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        return Candidate(os.path.basename(self.path), self.path, range(self._count)[number])


class VideoEnded(FileProblem):
    """A video has fewer frames than its header says, or is damaged there; ``frames`` are those before its end."""

    def __init__(self, path: str, frames: int) -> None:
        super(VideoEnded, self).__init__(
            "{}: ends after {} frames, or is damaged there".format(path, frames),
            hint="look at it with: ffprobe {}".format(path),
        )
        self.path, self.frames = path, frames

    def note(self, promised: int) -> str:
        """A sentence for a report, of a video whose header promises so many."""
        return "{}: ends after {:,} frames, its header says {:,}".format(self.path, self.frames, promised)


class Source(NamedTuple):
    """Frames that belong together, in a fixed order.

    ``is_video``: neighbours are alike, so that frames are taken evenly spread, and ``frames`` are ``VideoFrames``.
    ``mapping`` says what the numbers in label maps mean, where there are any. ``notes`` are sentences for the report.
    """

    title: str
    frames: Sequence[Candidate]
    is_video: bool = False
    mapping: Optional[LabelMapping] = None
    notes: Tuple[str, ...] = ()

    def paths(self) -> Iterator[str]:
        """Of the files that the frames are in; of a video there is one."""
        if self.is_video:
            return iter([self.title])
        return (frame.path for frame in self.frames)


def open_sources(paths: Sequence[str], split: str = "train", labels: str = "", mapping: str = "") -> List[Source]:
    """What there is at these paths; a frame that is reached by two of them counts once.

    Args:
        paths: folders (searched with all their subfolders), lists (one path a line, relative to the list; lines that
            begin with # are remarks), pictures, videos, and folders of Cityscapes, whose ``split`` is taken.
        split: of Cityscapes.
        labels, mapping: a folder of label maps for the one folder in ``paths`` (not its subfolders), and what their
            numbers mean, as ``datasets.paired_folders`` takes them.

    Raises:
        UsageError: nothing was given, or the labels belong to no folder.
        FileProblem: a path does not exist, is of no kind that is known, or holds no frame.
    """
    if not paths:
        raise UsageError("no calibration images were given", hint=_GRAMMAR)
    if bool(labels) != bool(mapping):
        raise UsageError("label maps take both a folder and a mapping", hint="--labels DIR --mapping camvid")
    if labels and (len(paths) != 1 or not os.path.isdir(paths[0]) or is_cityscapes(paths[0])):
        raise UsageError("--labels belongs to one folder of pictures", hint="IMAGES --labels DIR --mapping camvid")
    sources: List[Source] = []
    alone: List[Candidate] = []  # pictures that were named one by one, as a shell's * does
    for path in paths:
        if labels:
            sources.append(_labelled(paired_folders(path, labels, mapping, allow_missing=True)))
        elif os.path.isdir(path):
            sources.append(_cityscapes(path, split) if is_cityscapes(path) else _folder(path, path))
        elif not os.path.isfile(path):
            raise FileProblem("{}: no such file or folder".format(path), hint=_GRAMMAR)
        elif path.lower().endswith(LIST_SUFFIX):
            sources.append(_list(path))
        elif path.lower().endswith(SUFFIXES):
            alone.append(Candidate(os.path.basename(path), path))
        else:
            sources.append(_video(path))
    if alone:
        sources.append(Source("{} pictures".format(len(alone)), tuple(alone)))
    return _each_once(sources)


def _each_once(sources: List[Source]) -> List[Source]:
    seen = set()
    kept = []
    for source in sources:
        if source.is_video:  # all of its frames or none: its header may promise more of them than memory holds
            path = os.path.realpath(source.title)
            kept.append(source._replace(frames=()) if path in seen else source)
            seen.add(path)
            continue
        frames = []
        for frame in source.frames:
            path = os.path.realpath(frame.path)
            if path not in seen:
                seen.add(path)
                frames.append(frame)
        kept.append(source._replace(frames=tuple(frames)))
    return kept


def is_cityscapes(folder: str) -> bool:
    """Whether a folder is that of Cityscapes, with its splits."""
    return os.path.isdir(os.path.join(folder, _CITYSCAPES_PICTURES))


def _cityscapes(root: str, split: str) -> Source:
    """With label maps where they are unpacked, which the test split has none of."""
    if split != "test" and os.path.isdir(os.path.join(root, "gtFine", split)):
        return _labelled(cityscapes(root, split))
    pictures = os.path.join(root, _CITYSCAPES_PICTURES, split)
    if not os.path.isdir(pictures):
        raise FileProblem(
            "{}: no such folder".format(pictures), hint="unpack that split there, or name the folder of the pictures"
        )
    return _folder(pictures, "Cityscapes {} without labels".format(split))


def _labelled(dataset: Dataset) -> Source:
    frames = tuple(Candidate(each.name, each.image, PICTURE, each.labels) for each in dataset.samples)
    return Source(dataset.title, frames, mapping=dataset.mapping, notes=dataset.notes)


def _folder(root: str, title: str) -> Source:
    """The pictures below a folder."""
    frames = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in SUFFIXES and not _LABEL_MAPS.search(stem):
                path = os.path.join(folder, name)
                frames.append(Candidate(os.path.relpath(path, root).replace(os.sep, "/"), path))
    if not frames:
        raise FileProblem(
            "{}: no pictures found in it or below".format(root), hint="expected files ending in " + " ".join(SUFFIXES)
        )
    return Source(title, tuple(frames))


def _list(path: str) -> Source:
    """The pictures that a list names, whether they are there or not."""
    folder = os.path.dirname(path)
    lines = [line.strip() for line in read_text(path).splitlines()]
    names = [line for line in lines if line and not line.startswith("#")]
    if any("\0" in name for name in names):
        raise FileProblem("{}: is a binary file, a list of pictures is text".format(path), hint=_GRAMMAR)
    if not names:
        raise FileProblem("{}: names no picture".format(path), hint="one path a line, relative to the list")
    return Source(path, tuple(Candidate(name, os.path.join(folder, name)) for name in names))


def _video(path: str) -> Source:
    reader = FrameReader()
    try:
        count = reader.count(path)
    finally:
        reader.close()
    return Source(path, VideoFrames(path, count), is_video=True)


class FrameReader:
    """Reads candidates; one video at most is open, and read on from where it is.

    Frames of a video are to be asked for in their order: OpenCV jumps to an approximate place, so every frame before
    the one asked for is decoded.
    """

    def __init__(self) -> None:
        self._capture: Any = None
        self._path = ""
        self._next = 0

    def read(self, frame: Candidate) -> np.ndarray:
        """(H, W, 3) uint8 BGR.

        Raises:
            VideoEnded: the video has fewer frames.
            FileProblem: it cannot be read.
        """
        if frame.number == PICTURE:
            return read_frame(frame.path)
        if self._path != frame.path or frame.number < self._next:
            self._open(frame.path)
        while self._next <= frame.number:
            if not self._capture.grab():
                raise VideoEnded(frame.path, self._next)
            self._next += 1
        good, image = self._capture.retrieve()
        if not good:
            raise FileProblem("{}: frame {} cannot be decoded".format(frame.path, frame.number))
        return image

    def count(self, path: str) -> int:
        """How many frames a video has by its header, right or wrong; where that says nothing, all are counted.

        Raises:
            FileProblem: it is no video.
        """
        self._open(path)
        told = float(self._capture.get(import_cv2().CAP_PROP_FRAME_COUNT))
        count = int(told) if 1 <= told < _MOST_FRAMES else 0
        if not count:
            while self._capture.grab():
                count += 1
        if not count:
            raise FileProblem("{}: is a video without a frame".format(path))
        return count

    def _open(self, path: str) -> None:
        self.close()
        cv2 = import_cv2()
        try:
            capture = cv2.VideoCapture(readable_name(path))
            opened = capture.isOpened()
        except cv2.error:
            opened = False
        if not opened:
            raise FileProblem("{}: is no video that OpenCV can open".format(path), hint=_GRAMMAR)
        self._capture, self._path, self._next = capture, path, 0

    def close(self) -> None:
        """May be called twice."""
        if self._capture is not None:
            self._capture.release()
        self._capture, self._path, self._next = None, "", 0

    def __enter__(self) -> "FrameReader":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
