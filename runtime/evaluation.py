"""Accuracy over a data set, through the backend and the preprocessing of live use.

The evaluated picture is the whole frame. With ``--eval-size network`` it has the network's scale and labels are read
nearest there; with ``full`` it has the label map's own size, and the logits are resized to it bilinearly (where a
backend has none, the class map nearest). What the network never saw under ``crop`` is predicted as no class, so every
fit is judged on the same pixels; ``letterbox``'s bars are no part of the frame and are not evaluated.
"""

import collections
import contextlib
import itertools
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Deque, Generator, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ccc_jetson.choices import EVAL_SIZES
from ccc_jetson.confusion import NO_CLASS, ConfusionMatrix
from ccc_jetson.datasets import Dataset, Sample
from ccc_jetson.errors import BackendError, FileProblem, UsageError
from ccc_jetson.images import read_frame, read_labels
from ccc_jetson.opencv import import_cv2
from ccc_jetson.preprocess import Fitting, Region, at_frame_size, class_map_for_frame, fitting
from ccc_jetson.runtime.backends import COMPUTE_STAGES, Backend, Segmentation
from ccc_jetson.runtime.metrics import StageTimes

LOGITS_STAGE = "logits"  # preprocessing and inference together, where the logits leave the backend
STAGES = ("read", *COMPUTE_STAGES, LOGITS_STAGE, "score")
_AHEAD = 3  # frames decoded while one is inferred
_PROPORTIONS = 0.01  # tolerated difference between those of a picture and its label map


class Tally(NamedTuple):
    """How far an evaluation is: frames ``done`` in the data set's order, of which ``skipped`` (name, reason)."""

    matrix: ConfusionMatrix
    done: int = 0
    skipped: Tuple[Tuple[str, str], ...] = ()


class Scored(NamedTuple):
    """A frame that was counted: its own mIoU (nan without a labelled pixel), the frame (h, w, 3) uint8 BGR, labels and
    prediction (H, W) uint8 evaluated classes, and the colour (R, G, B) of each evaluated class."""

    name: str
    miou: float
    picture: np.ndarray
    labels: np.ndarray
    prediction: np.ndarray
    colors: Sequence[Tuple[int, int, int]]


class Evaluation:
    """Runs the frames of a data set through a backend and counts; ``tally`` is whole after every frame.

    Args:
        backend: opened in this thread, for ``full`` with ``want_logits``; two frames run through it to warm up.
        dataset: the frames.
        fit: the one that the backend was opened with.
        eval_size: one of ``EVAL_SIZES``.
        skip_unreadable: notes unreadable files and goes on, instead of raising.
        on_scored: called with each frame when it is counted, outside of all that is timed but ``seconds``.

    ``tally`` may be replaced by one to go on from. ``prediction`` says how predictions come to the evaluated size;
    ``times`` holds ``STAGES`` and ``seconds`` the duration of ``run``, both of this run alone.
    """

    def __init__(
        self,
        backend: Backend,
        dataset: Dataset,
        fit: str = "stretch",
        eval_size: str = "network",
        skip_unreadable: bool = False,
        on_scored: Optional[Callable[[Scored], Any]] = None,
    ) -> None:
        if eval_size not in EVAL_SIZES:
            raise UsageError("unknown eval size {!r}; expected one of {}".format(eval_size, ", ".join(EVAL_SIZES)))
        self.dataset = dataset
        self.tally = Tally(ConfusionMatrix(len(dataset.mapping.classes)))
        self.times = StageTimes(STAGES)
        self.seconds = 0.0
        self._backend = backend
        self.fit = fit
        self.eval_size = eval_size
        self._skip_unreadable = skip_unreadable
        self._on_scored = on_scored
        self._network_size = (backend.contract.input.width, backend.contract.input.height)
        self._table = dataset.mapping.prediction_table(backend.contract)
        self._colors = dataset.mapping.colors(backend.contract)
        self._warm_up()
        self.from_logits, self.prediction = self._prediction()

    @property
    def frames(self) -> int:
        """Frames counted in the matrix."""
        return self.tally.done - len(self.tally.skipped)

    def run(self, on_frame: Callable[[Tally], Any] = lambda tally: None) -> ConfusionMatrix:
        """Evaluates the frames that are left, in their order; ``on_frame`` is called after each.

        Raises:
            FileProblem: a file is unreadable, or picture and labels do not fit together. ``tally`` remains good.
        """
        started = time.perf_counter()
        rest = self.dataset.samples[self.tally.done :]
        try:
            with contextlib.closing(_read_ahead(rest, self._read)) as frames:
                for frame in frames:
                    self.tally = self._after(frame)  # one assignment: an interruption finds the old or the new one
                    on_frame(self.tally)
        finally:
            self.seconds = time.perf_counter() - started
        if not self.frames:
            raise FileProblem(
                "none of the {} frames could be read; the first: {}".format(self.tally.done, self.tally.skipped[0][1])
            )
        return self.tally.matrix

    def _after(self, frame: "_LabelledFrame") -> Tally:
        """The tally with one frame more."""
        matrix, done, skipped = self.tally
        if frame.problem:
            return Tally(matrix, done + 1, (*skipped, (frame.sample.name, frame.problem)))
        self.times.add("read", frame.seconds)
        if self.from_logits:
            started = time.perf_counter()
            logits = self._backend.logits(frame.picture)
            inferred = time.perf_counter()
            self.times.add(LOGITS_STAGE, inferred - started)
            prediction = _from_logits(logits, self._table, frame.geometry)
        else:
            segmentation = self._backend.infer(frame.picture)
            assert isinstance(segmentation, Segmentation), "the command refuses classifiers"
            self.times.add_all(segmentation.seconds)
            inferred = time.perf_counter()
            prediction = class_map_for_frame(np.take(self._table, segmentation.class_map), frame.geometry, NO_CLASS)
        counted = ConfusionMatrix(matrix.classes)
        counted.add(frame.labels, prediction)
        self.times.add("score", time.perf_counter() - inferred)
        if self._on_scored is not None:
            miou = counted.scores().miou
            self._on_scored(Scored(frame.sample.name, miou, frame.picture, frame.labels, prediction, self._colors))
        return Tally(matrix.plus(counted), done + 1, skipped)

    def _read(self, sample: Sample) -> "_LabelledFrame":
        """Reads and prepares all that needs no network; runs in the reading thread."""
        started = time.perf_counter()
        try:
            picture, stored = read_frame(sample.image), read_labels(sample.labels)
        except FileProblem as problem:
            if not self._skip_unreadable:
                raise FileProblem(
                    str(problem),
                    hint="; or: ".join(filter(None, (problem.hint, "--skip-unreadable leaves such frames out"))),
                )
            return _LabelledFrame(sample, problem=str(problem))
        size, labels_size = picture.shape[1::-1], stored.shape[1::-1]
        if abs(size[0] * labels_size[1] - labels_size[0] * size[1]) > _PROPORTIONS * labels_size[0] * size[1]:
            raise FileProblem(
                "{} is {}x{} and {} is {}x{}: these proportions are not the same, so they do not show the same".format(
                    sample.image, size[0], size[1], sample.labels, labels_size[0], labels_size[1]
                ),
                hint="labels belong to the whole picture; cut or pad both alike",
            )
        labels = self.dataset.mapping.decode(stored, sample.labels)
        geometry = fitting(size, self._network_size, self.fit)
        geometry = at_frame_size(geometry, labels_size if self.eval_size == "full" else _network_scale(geometry))
        if geometry.frame_size != labels_size:
            cv2 = import_cv2()
            labels = cv2.resize(labels, geometry.frame_size, interpolation=cv2.INTER_NEAREST)
        return _LabelledFrame(sample, picture, labels, geometry, time.perf_counter() - started)

    def _warm_up(self) -> None:
        """First frames are slower; and a backend with another fit than ours would place every prediction wrongly."""
        self._backend.warm_up(self._first_size())
        width, height = self._network_size
        geometry = self._backend.infer(np.zeros((height, 2 * width, 3), np.uint8)).geometry
        if geometry != fitting((2 * width, height), self._network_size, self.fit):
            raise ValueError("the backend was not opened with fit={!r}".format(self.fit))

    def _first_size(self) -> Optional[Tuple[int, int]]:
        """(width, height) of the first frame, which most data sets' frames have in common; None if it is damaged."""
        try:
            height, width = read_frame(self.dataset.samples[0].image).shape[:2]
        except FileProblem:
            return None
        return width, height

    def _prediction(self) -> Tuple[bool, str]:
        """Whether logits are used, and the sentence about it."""
        if self.eval_size == "network":
            return False, "class map as it comes; labels nearest"
        try:
            self._backend.logits(np.zeros((self._network_size[1], self._network_size[0], 3), np.uint8))
        except BackendError as error:
            return False, "class map nearest ({})".format(error)
        return True, "logits bilinear, then the largest"


class _LabelledFrame(NamedTuple):
    """A frame as the reading thread gives it: ``labels`` at the evaluated size, to which ``geometry`` leads.

    ``problem`` is why it could not be read, empty otherwise.
    """

    sample: Sample
    picture: Any = None
    labels: Any = None
    geometry: Any = None
    seconds: float = 0.0
    problem: str = ""


def _read_ahead(
    samples: Sequence[Sample], read: Callable[[Sample], _LabelledFrame]
) -> Generator[_LabelledFrame, None, None]:
    """``read`` of each sample, in order, a few ahead in a thread of their own; closing ends the thread."""
    left = iter(samples)
    waiting: Deque["Future[_LabelledFrame]"] = collections.deque()
    with ThreadPoolExecutor(max_workers=1) as reader:
        try:
            waiting.extend(reader.submit(read, sample) for sample in itertools.islice(left, _AHEAD))
            while waiting:
                frame = waiting.popleft().result()
                waiting.extend(reader.submit(read, sample) for sample in itertools.islice(left, 1))
                yield frame
        finally:
            for future in waiting:
                future.cancel()


def _network_scale(geometry: Fitting) -> Tuple[int, int]:
    """(width, height) of the whole frame at the scale at which the network sees it."""
    source, target = geometry.source, geometry.target
    return (
        round(geometry.frame_size[0] * target.width / source.width),
        round(geometry.frame_size[1] * target.height / source.height),
    )


def _from_logits(logits: np.ndarray, table: np.ndarray, geometry: Fitting) -> np.ndarray:
    """(classes, H, W) float32 -> (h, w) uint8 evaluated classes of the frame; one resized plane in memory at a time."""
    cv2 = import_cv2()
    size = (geometry.source.width, geometry.source.height)
    best = np.full(size[::-1], -np.inf, np.float32)
    channels = np.zeros(size[::-1], np.uint8)
    for channel, plane in enumerate(logits):
        resized = cv2.resize(np.ascontiguousarray(geometry.target.of(plane)), size, interpolation=cv2.INTER_LINEAR)
        channels[resized > best] = channel
        np.maximum(best, resized, out=best)
    seen = np.take(table, channels)
    return class_map_for_frame(seen, geometry._replace(target=Region(0, 0, *size)), NO_CLASS)
