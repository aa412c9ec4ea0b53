"""What INT8 costs: the Q/DQ model against the float one, on a CPU, frame by frame.

A simulation: INT8's values to the bit, sums and everything between the pairs in FP32. A device may differ where its
kernels round otherwise, and computes the floats in FP16; nothing was measured on one yet. Labelled frames are judged as
``ccc-eval --eval-size network`` does it. Time: a run of each model a frame; memory: 0.6 bytes a pixel of every frame.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnx

from ccc_jetson.confusion import ConfusionMatrix, Scores
from ccc_jetson.contract import Contract
from ccc_jetson.datasets import Dataset, Sample
from ccc_jetson.errors import UsageError
from ccc_jetson.golden import GoldenFrame, decided
from ccc_jetson.images import read_frame, read_labels
from ccc_jetson.int8_agreement import FrameAgreement
from ccc_jetson.ort import cpu_session
from ccc_jetson.preprocess import Preprocessor


class Frame(NamedTuple):
    """A frame to judge on: ``read`` gives the picture, (h, w, 3) uint8 BGR; ``truth`` (H, W) uint8 evaluated classes at
    the network's size; ``answer`` FP32's classes where they are known already."""

    name: str
    read: Callable[[], np.ndarray]
    truth: Callable[[], np.ndarray] | None = None
    answer: "Answer | None" = None


class Answer(NamedTuple):
    """What FP32 makes of a frame: ``class_map`` (H, W) uint8, and the pixels with the largest margin, a bit each."""

    class_map: np.ndarray
    decided_bits: np.ndarray

    @classmethod
    def of(cls, class_map: np.ndarray, decided: np.ndarray) -> "Answer":
        return cls(class_map, np.packbits(decided))

    def agreement(self, name: str, found: np.ndarray) -> FrameAgreement:
        """How much of it another class map keeps."""
        same = found == self.class_map
        decided = np.unpackbits(self.decided_bits, count=same.size).view(bool).reshape(same.shape)
        return FrameAgreement(name, float(same.mean()), float(same[decided].mean()) if decided.any() else 1.0)


class Cost(NamedTuple):
    """INT8 beside FP32: ``frames`` one by one, and both accuracies where the frames have labels."""

    frames: tuple[FrameAgreement, ...]
    fp32: Scores | None = None
    int8: Scores | None = None

    @property
    def agreement(self) -> float:
        """Share of all pixels with FP32's class."""
        return float(np.mean([each.agreement for each in self.frames]))

    @property
    def decided(self) -> float:
        """The same over the 90 % of each frame's pixels with the largest margin."""
        return float(np.mean([each.decided for each in self.frames]))

    @property
    def worst(self) -> FrameAgreement:
        """The frame that keeps least."""
        return min(self.frames, key=lambda each: (each.decided, each.agreement))

    @property
    def drop(self) -> float:
        """In points: of mIoU where there are labels, else of agreement."""
        if self.fp32 is not None and self.int8 is not None:
            return 100 * (self.fp32.miou - self.int8.miou)
        return 100 * (1 - self.agreement)


class Judge:
    """FP32's answers on some frames, with which any number of INT8 models can be compared.

    Args:
        model: the float model's bytes.
        contract: its contract.
        frames: with labels all of them, or none.
        dataset: of the labels.
        threads: of ONNX Runtime; 0 takes all cores.
        on_frame: called after every run, for progress.

    Raises:
        UsageError: there are no frames, or their labels hold no evaluated pixel.
    """

    def __init__(
        self,
        model: bytes,
        contract: Contract,
        frames: Sequence[Frame],
        dataset: Dataset | None = None,
        threads: int = 0,
        on_frame: Callable[[], None] = lambda: None,
    ) -> None:
        if not frames:
            raise UsageError("there are no frames to judge INT8 on")
        self._contract, self._frames, self._threads, self._on_frame = contract, tuple(frames), threads, on_frame
        self._preprocess = Preprocessor(contract)
        self._table = None if dataset is None else dataset.mapping.prediction_table(contract)
        self._classes = 0 if dataset is None else len(dataset.mapping.classes)
        self._answers = self._answered(model)
        self._fp32 = None
        if self._table is not None:
            self._fp32 = self._scores(zip(self._frames, (each.class_map for each in self._answers), strict=True))
            if not self._fp32.pixels:
                raise UsageError(
                    "the label maps hold no evaluated pixel, so there is no mIoU",
                    hint="--mapping says what their numbers mean; is it the right one?",
                )

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self._frames)

    def watch(self, on_frame: Callable[[], None]) -> None:
        """Calls another one after every run."""
        self._on_frame = on_frame

    def first(self, frames: int) -> "Judge":
        """A judge on evenly spread ``frames`` of these, by agreement alone; shares the answers."""
        chosen = [index * len(self) // frames for index in range(min(frames, len(self)))]
        known = [self._frames[index]._replace(truth=None, answer=self._answers[index]) for index in chosen]
        return Judge(b"", self._contract, known, None, self._threads, self._on_frame)

    def cost(self, quantised: bytes) -> Cost:
        """Runs an INT8 model on the frames.

        Raises:
            BackendError: ONNX Runtime cannot run it.
        """
        run = _class_maps(quantised, self._contract, self._threads)
        found = []
        agreements = []
        for frame, answer in zip(self._frames, self._answers, strict=True):
            class_map = run(self._input(frame))
            agreements.append(answer.agreement(frame.name, class_map))
            if self._table is not None:
                found.append((frame, class_map))
            self._on_frame()
        return Cost(tuple(agreements), self._fp32, None if self._table is None else self._scores(found))

    def _answered(self, model: bytes) -> list[Answer]:
        run = None
        answers = []
        for frame in self._frames:
            if frame.answer is None:
                if run is None:
                    run = _logits(model, self._contract, self._threads)
                logits = run(self._input(frame))
                answers.append(Answer.of(logits.argmax(axis=0).astype(np.uint8), decided(logits)))
                self._on_frame()
            else:
                answers.append(frame.answer)
        return answers

    def _input(self, frame: Frame) -> np.ndarray:
        """(N, 3, H, W) float32: a batch of the same frame, where the network takes more than one."""
        return np.repeat(self._preprocess(frame.read()), self._contract.input.batch, axis=0)

    def _scores(self, found: Iterable[tuple[Frame, np.ndarray]]) -> Scores:
        matrix = ConfusionMatrix(self._classes)
        assert self._table is not None
        for frame, class_map in found:
            assert frame.truth is not None
            matrix.add(frame.truth(), self._table[class_map])
        return matrix.scores()


def labelled_frames(dataset: Dataset, contract: Contract) -> list[Frame]:
    """The frames of a data set with their labels, read nearest at the network's size."""
    size = (contract.input.width, contract.input.height)

    def truth(sample: Sample) -> np.ndarray:
        decoded = dataset.mapping.decode(read_labels(sample.labels), sample.labels)
        return np.asarray(cv2.resize(decoded, size, interpolation=cv2.INTER_NEAREST), np.uint8)

    def frame(sample: Sample) -> Frame:
        return Frame(sample.name, lambda: read_frame(sample.image), lambda: truth(sample))

    return [frame(sample) for sample in dataset.samples]


def golden_frames(frames: Iterable[GoldenFrame]) -> list[Frame]:
    """The golden frames with FP32's answers, as the gate on a device has them."""

    def frame(golden: GoldenFrame) -> Frame:
        return Frame(golden.name, lambda: golden.frame, None, Answer.of(golden.class_map, golden.decided()))

    return [frame(each) for each in frames]


def _class_maps(model: bytes, contract: Contract, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """The network as it stands, every pair as written: input -> (H, W) uint8 of the first frame."""
    session: Any = cpu_session(model, "the INT8 model", threads, as_written=True)
    given, output = contract.input.name, contract.output

    def run(image: np.ndarray) -> np.ndarray:
        (result,) = session.run([output.name], {given: image})
        classes = result[0] if output.kind == "class_map" else result[0].argmax(axis=0)
        return np.asarray(classes, np.uint8)

    return run


def _logits(model: bytes, contract: Contract, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """The float network: input -> (classes, H, W) float32 of the first frame."""
    proto = onnx.load_model_from_string(model)
    name = contract.output.logits
    del proto.graph.output[:]
    proto.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session: Any = cpu_session(proto.SerializeToString(), "the float model", threads)
    return lambda image: np.asarray(session.run([name], {contract.input.name: image})[0][0])
