"""Which frames calibrate: seeded, class-balanced where there are label maps, and looked at before they are trusted.

Time grows with the frames chosen (each is read and decoded once) and, where there are label maps, with all candidates
(each map is decoded: for Cityscapes' training split 2,975). A video is decoded up to the last frame chosen, and once
more where it ends before that. Memory does not grow with the size of frames: one is held at a time, beside some numbers
for each that was looked at.
"""

import hashlib
import os
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple, Union

import numpy as np

from ccc_jetson.calib.provenance import MOST_SEED
from ccc_jetson.calib.sources import PICTURE, Candidate, FrameReader, Source, VideoEnded, VideoFrames, open_sources
from ccc_jetson.choices import CALIBRATION_SAMPLES as SAMPLES
from ccc_jetson.clean_text import listed
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.files import sha256_of
from ccc_jetson.images import read_labels
from ccc_jetson.label_mapping import IGNORE
from ccc_jetson.opencv import import_cv2
from ccc_jetson.progress import Progress

FEW = 20  # with fewer, one odd frame decides about ranges
# Bits of 64 in which near-identical frames differ at most: neighbours in a video of a road differ in 3 (median),
# different places of CamVid's training frames in 12 and more, a JPEG of quality 50 from its original in 2 at most
_NEAR_BITS = 4
_NEAR_SHARE = 0.25  # of the frames, from which on it is worth a note
_LABEL_STEP = 4  # of a label map every fourth pixel in every fourth row counts
_GRID = (9, 8)  # of the hash: 8 differences in each of 8 rows


class Selection(NamedTuple):
    """The frames that calibrate, in the order in which they are read.

    ``sha256`` is that of the list of their names and their files' contents; ``unreadable`` names candidates that were
    passed over; ``near_identical`` counts frames that are all but the same as an earlier one; ``notes`` are sentences
    for the report.
    """

    frames: Tuple[Candidate, ...]
    seed: int
    sha256: str
    unreadable: Tuple[str, ...]
    near_identical: int
    notes: Tuple[str, ...]


class _PassedOver(NamedTuple):
    """A frame that cannot be read."""

    name: str
    reason: str


class _Looked(NamedTuple):
    """A frame that can be read, the SHA-256 of its file, and its hash of 64 bits."""

    frame: Candidate
    sha256: str
    bits: np.ndarray


def select_frames(
    sources: Sequence[Source], samples: int = SAMPLES, seed: int = 0, not_in: Sequence[str] = ()
) -> Selection:
    """Chooses frames from all sources.

    Every source gives the same number, and those that have more make up for those that have less. From a video frames
    are taken evenly spread over those that are really there; from pictures with label maps those that together show
    every class most evenly; from other pictures by the seed. What cannot be read is passed over, and another one taken
    in its place (not of a video).

    Args:
        samples: how many.
        seed: another one gives other frames; the same one the same, on every machine.
        not_in: what the network will be evaluated on, as ``open_sources`` takes it (of Cityscapes its ``val``).

    Raises:
        UsageError: fewer than one sample, or an evaluation frame was chosen.
        FileProblem: no frame at all can be read.
    """
    if samples < 1:
        raise UsageError("{} calibration frames were asked for, expected 1 or more".format(samples))
    if not 0 <= seed <= MOST_SEED:
        raise UsageError("the seed is {}, expected a number from 0 to {}".format(seed, MOST_SEED))
    notes = [note for source in sources for note in source.notes]
    looked: List[_Looked] = []
    passed_over: List[_PassedOver] = []
    with FrameReader() as reader, Progress("looking at frames", samples) as progress:
        look = _Look(reader, progress.step)
        sources, ends = _as_they_are(sources, samples, look)
        notes += ends
        for source, share in zip(sources, _shares([len(source.frames) for source in sources], samples)):
            chosen, bad = look.first(_order(source, share, seed, notes), share)
            looked += sorted(chosen, key=lambda each: (each.frame.name, each.frame.number))
            passed_over += bad
    if not looked:
        reasons = [each.reason for each in passed_over] + ends
        raise FileProblem(
            "none of {} frames can be read: {}".format(len(passed_over), "; ".join(reasons[:3])),
            hint="look at one of them with another program",
        )
    _refuse_evaluation_frames(looked, not_in)
    near = _near_identical([each.bits for each in looked])
    notes += _notes(len(looked), samples, passed_over, near)
    frames = tuple(each.frame for each in looked)
    unreadable = tuple(each.name for each in passed_over)
    return Selection(frames, seed, _sha256_of(looked), unreadable, near, tuple(notes))


def _as_they_are(sources: Sequence[Source], samples: int, look: "_Look") -> Tuple[List[Source], List[str]]:
    """The sources with videos as long as they really are, as far as frames are wanted of them, and notes on the others.

    Where frames are missing, the choice begins again: the shares of all sources may be others, too.
    """
    found = list(sources)
    notes: List[str] = []
    while True:
        try:
            for source, share in zip(found, _shares([len(source.frames) for source in found], samples)):
                if source.is_video:
                    look.first(_evenly_spread(source.frames, share), share)
            return found, notes
        except VideoEnded as end:
            # given twice, a video is there twice, once without frames
            index = next(index for index, each in enumerate(found) if each.title == end.path and each.frames)
            notes.append(end.note(len(found[index].frames)))
            found[index] = found[index]._replace(frames=VideoFrames(end.path, end.frames))


def _shares(available: List[int], samples: int) -> List[int]:
    """How many frames of each source: as even as it goes."""
    shares = [0] * len(available)
    by_size = sorted(range(len(available)), key=lambda index: available[index])
    for number, index in enumerate(by_size):
        still_asked = len(available) - number
        shares[index] = min(available[index], -(-samples // still_asked))
        samples -= shares[index]
    return shares


def _order(source: Source, share: int, seed: int, notes: List[str]) -> Iterable[Candidate]:
    """The source's frames, the best first; of a video the ``share`` that are wanted, and no others."""
    if source.is_video:
        return _evenly_spread(source.frames, share)
    shuffled = sorted(source.frames, key=lambda frame: (_draw(seed, frame.name), frame.path))
    if source.mapping is None or not share:
        return shuffled
    return _balanced(source, shuffled, share, notes)


def _evenly_spread(frames: Sequence[Candidate], share: int) -> Iterator[Candidate]:
    return (frames[(2 * number + 1) * len(frames) // (2 * share)] for number in range(share))


def _draw(seed: int, name: str) -> str:
    """Chance that is the same with every Python."""
    return hashlib.sha256("{}:{}".format(seed, name).encode("utf-8", "surrogateescape")).hexdigest()


def _balanced(source: Source, frames: List[Candidate], share: int, notes: List[str]) -> List[Candidate]:
    """Frames of which the first ``share`` show the classes as evenly as they can; then the others.

    Each next frame is the one that adds most to the sum, over the classes, of the square root of their pixels so far: a
    class that has not been seen yet adds more than one that has.
    """
    areas = _class_areas(source, frames, notes)
    seen = np.zeros(areas.shape[1])
    left = np.ones(len(frames), bool)
    order: List[int] = []
    for _ in range(share):
        gains = (np.sqrt(seen + areas) - np.sqrt(seen)).sum(axis=1)
        gains[~left] = -1.0
        best = int(gains.argmax())  # of equals the first, which is the seed's choice
        seen, left[best] = seen + areas[best], False
        order.append(best)
    assert source.mapping is not None
    missing = [name for name, area in zip(source.mapping.classes, seen) if not area]
    if missing:
        notes.append("{}: no chosen frame shows {}".format(source.title, listed(missing)))
    return [frames[index] for index in order] + [frame for frame, is_left in zip(frames, left) if is_left]


def _class_areas(source: Source, frames: List[Candidate], notes: List[str]) -> np.ndarray:
    """(frames, classes): the share of each frame's labelled pixels that each class has; zeros where that is unknown."""
    mapping = source.mapping
    assert mapping is not None
    areas = np.zeros((len(frames), len(mapping.classes)))
    bad: List[str] = []
    with Progress("reading label maps", len(frames)) as progress:
        for index, frame in enumerate(frames):
            progress.step()
            try:
                labels = read_labels(frame.labels)[::_LABEL_STEP, ::_LABEL_STEP]
                counts = np.bincount(mapping.decode(labels, frame.labels).ravel(), minlength=256)
            except FileProblem as problem:
                bad.append(str(problem))
                continue
            counts[IGNORE] = 0
            areas[index] = counts[: areas.shape[1]] / max(1, counts.sum())
    if bad:
        notes.append("{} label maps cannot be used, the first: {}".format(len(bad), bad[0]))
    return areas


class _Look:
    """Looks at frames, at each of them once.

    Args:
        reader: reads them.
        step: called after every frame that can be read.
    """

    def __init__(self, reader: FrameReader, step: Callable[[], None]) -> None:
        self._reader, self._step = reader, step
        self._known: Dict[Candidate, Union[_Looked, _PassedOver]] = {}
        self._sums: Dict[str, str] = {}  # of videos, whose frames have one between them

    def first(self, order: Iterable[Candidate], share: int) -> Tuple[List[_Looked], List[_PassedOver]]:
        """The first ``share`` frames that can be read, and those before them that cannot; raises ``VideoEnded``."""
        found: List[_Looked] = []
        passed_over: List[_PassedOver] = []
        for frame in order:
            if len(found) == share:
                break
            if frame not in self._known:
                self._known[frame] = self._looked(frame)
            known = self._known[frame]
            if isinstance(known, _Looked):
                found.append(known)
            else:
                passed_over.append(known)
        return found, passed_over

    def _looked(self, frame: Candidate) -> Union[_Looked, _PassedOver]:
        in_video = frame.number != PICTURE
        try:
            bits = _difference_hash(self._reader.read(frame))
            sha256 = self._sums.get(frame.path) or sha256_of(frame.path)
        except VideoEnded:
            raise
        except FileProblem as problem:
            return _PassedOver("{} frame {}".format(frame.name, frame.number) if in_video else frame.name, str(problem))
        if in_video:
            self._sums[frame.path] = sha256
        self._step()
        return _Looked(frame, sha256, bits)


def _difference_hash(frame: np.ndarray) -> np.ndarray:
    """(64,) bool: of a grey 9x8 picture, which pixel is brighter than its left neighbour.

    Survives another size and compression: a perceptual hash that sees the same picture in both.
    """
    cv2 = import_cv2()
    small = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), _GRID, interpolation=cv2.INTER_AREA)
    return (small[:, 1:] > small[:, :-1]).ravel()


def _near_identical(hashes: List[np.ndarray]) -> int:
    """How many frames have an earlier one that is all but the same; a row at a time, so that memory stays flat."""
    all_bits = np.stack(hashes)
    near = 0
    for index in range(1, len(hashes)):
        distances = (all_bits[:index] != all_bits[index]).sum(axis=1)
        near += bool((distances <= _NEAR_BITS).any())
    return near


def _refuse_evaluation_frames(looked: List[_Looked], not_in: Sequence[str]) -> None:
    """Compares files by their real path and by their content; only those of the same size are read."""
    if not not_in:
        return
    ours = {os.path.realpath(each.frame.path) for each in looked}
    sizes = {os.path.getsize(path) for path in ours}
    paths, sums = set(), set()  # of the evaluation's
    for source in open_sources(not_in, "val"):
        for path in source.paths():
            if os.path.realpath(path) in ours:
                paths.add(os.path.realpath(path))
            elif os.path.isfile(path) and os.path.getsize(path) in sizes:
                sums.add(sha256_of(path))
    both = [each.frame for each in looked if os.path.realpath(each.frame.path) in paths or each.sha256 in sums]
    if both:
        raise UsageError(
            "{} of {} calibration frames are evaluation frames as well: {}; the accuracy measured on those would "
            "flatter".format(len(both), len(looked), listed(sorted({frame.name for frame in both}))),
            hint="calibrate on other frames, such as the training split",
        )


def _sha256_of(looked: List[_Looked]) -> str:
    """Of the list: a line for each frame with name, number in its video, and its file's SHA-256."""
    digest = hashlib.sha256()
    for each in looked:
        line = "{}\t{}\t{}\n".format(each.frame.name, each.frame.number, each.sha256)
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _notes(found: int, samples: int, passed_over: List[_PassedOver], near: int) -> List[str]:
    notes = []
    if passed_over:
        text = "{} files or frames cannot be read and are passed over: {}; the first: {}"
        names = listed([each.name for each in passed_over])
        notes.append(text.format(len(passed_over), names, passed_over[0].reason))
    if found < FEW:
        notes.append("{} frames are few: with fewer than {}, single frames decide about ranges".format(found, FEW))
    elif found < samples:
        notes.append("{} frames were asked for, there are {}".format(samples, found))
    if near > _NEAR_SHARE * found:
        notes.append(
            "{:.0%} of the frames are nearly identical to another one, so that they say little new; take frames "
            "further apart".format(near / found)
        )
    return notes
