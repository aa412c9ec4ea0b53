"""Does the written file compute what PyTorch computes? Asked on every export, on real frames and on hostile ones."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ccc_jetson.contract import Contract, Preprocessing
from ccc_jetson.engines.gate import MIN_DECIDED
from ccc_jetson.errors import VerificationError
from ccc_jetson.golden import DRAWN, decided, is_close, most_golden
from ccc_jetson.images import read_frame
from ccc_jetson.preprocess import Preprocessor

MIN_AGREEMENT = 0.9999
ROUNDED_PIXELS = 2  # of a frame may change class by rounding, however few there are
MAX_RELATIVE_ERROR = 1e-3  # of FP32's logits
GOLDEN_FRAMES = 4
_SCENE_SEEDS = (11, 23, 37, 41)
_SMALLEST_SCENE, _LARGEST_SCENE = 64, 4096  # that can be drawn; others are resized as any picture is


class ProbeFrame(NamedTuple):
    """A frame to verify on: ``real`` or not, and whether it becomes a golden frame."""

    name: str
    frame: np.ndarray
    real: bool = True
    golden: bool = False


class Agreement(NamedTuple):
    """One frame: largest error of the logits, the same relative to the largest logit, share of equal classes.

    ``good`` is the share whose class is equal or, of a classifier, one that PyTorch found as good.
    """

    name: str
    absolute: float
    relative: float
    argmax: float
    good: float


class Verified(NamedTuple):
    """A frame that passed: the file's input (N, 3, H, W) and PyTorch's logits (N, classes, H, W) with it.

    Of a classifier they are scores (N, classes).
    """

    probe: ProbeFrame
    agreement: Agreement
    image: np.ndarray
    expected: np.ndarray


def worst(frames: Sequence[Agreement]) -> Agreement:
    """The largest errors and the smallest agreement, each over all frames."""
    return Agreement(
        min(frames, key=lambda frame: frame.argmax).name,
        max(frame.absolute for frame in frames),
        max(frame.relative for frame in frames),
        min(frame.argmax for frame in frames),
        min(frame.good for frame in frames),
    )


def probe_frames(width: int, height: int, images: Sequence[str]) -> Iterator[ProbeFrame]:
    """Noise, black, and the real frames; four of those become golden frames, or as many as a file may carry."""
    rng = np.random.default_rng(0)
    yield ProbeFrame("noise", rng.integers(0, 256, (height, width, 3), dtype=np.uint8), real=False)
    yield ProbeFrame("black", np.zeros((height, width, 3), np.uint8), real=False)
    chosen = spread(max(len(images), GOLDEN_FRAMES), min(GOLDEN_FRAMES, most_golden(width, height)))
    for index, (name, frame) in enumerate(real_frames(width, height, images)):
        yield ProbeFrame(name, frame, golden=index in chosen)


def real_frames(width: int, height: int, images: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """The given pictures, and drawn street scenes for as many as lack to four golden frames: name, frame."""
    for path in images:
        yield path, read_frame(path)
    if len(images) < GOLDEN_FRAMES:
        from ccc_jetson.export.scenes import street_scene

        drawn = [min(max(side, _SMALLEST_SCENE), _LARGEST_SCENE) for side in (width, height)]
        for seed in _SCENE_SEEDS[len(images) :]:
            yield f"{DRAWN}{seed}", street_scene(seed, *drawn).frame


def spread(total: int, wanted: int) -> tuple[int, ...]:
    """``wanted`` of ``total`` numbers from 0, evenly spread; all where there are no more."""
    if total <= wanted:
        return tuple(range(total))
    if wanted == 1:
        return (0,)
    return tuple(round(index * (total - 1) / (wanted - 1)) for index in range(wanted))


def verify(
    network: nn.Module,
    run: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    preprocessing: Preprocessing,
    contract: Contract,
    kept: Sequence[int],
    probes: Iterable[ProbeFrame],
) -> Iterator[Verified]:
    """Compares PyTorch with the exported file, frame by frame.

    Args:
        network: the PyTorch network, in evaluation mode.
        run: the exported file: input (N, 3, H, W) float32 -> logits (N, classes, H, W) and classes (N, H, W), or a
            classifier's scores (N, classes) and classes (N,).
        preprocessing: how frames become inputs of the network.
        contract: says how frames become inputs of the file, and its precision.
        kept: the network's classes that the file still has, in order.
        probes: what to verify on.

    Raises:
        VerificationError: too few of a frame's pixels get the class that PyTorch gives them: 99.99 % are asked of FP32,
            but for two pixels, and logits within a thousandth; of FP16 99.5 % of the 90 % with the largest margin, of
            real frames only. A picture as a whole may get another class if PyTorch found that one as good.
    """
    preprocess, original = Preprocessor(contract), Preprocessor(contract._replace(preprocessing=preprocessing))
    half = contract.precision == "fp16"
    for probe in probes:
        image = np.repeat(preprocess(probe.frame), contract.input.batch, axis=0)
        given = np.repeat(original(probe.frame), contract.input.batch, axis=0)
        with torch.no_grad():
            whole = network(torch.from_numpy(given)).numpy()
        expected = whole[:, list(kept)]
        logits, classes = run(image)
        error = float(np.abs(logits - expected).max())
        # of a real frame all classes are compared, so that one that was cut may not win; noise may look like anything
        same = np.asarray(kept)[classes] == whole.argmax(axis=1) if probe.real else classes == expected.argmax(axis=1)
        good = same
        if contract.is_classifier:
            good = np.array([is_close(*each) for each in zip(expected, classes, strict=True)])
        largest = max(float(np.abs(expected).max()), 1e-30)
        agreement = Agreement(probe.name, error, error / largest, float(same.mean()), float(good.mean()))
        judged, required = agreement.good, MIN_DECIDED if half else MIN_AGREEMENT
        if half and not contract.is_classifier:
            judged = float(same[np.stack([decided(each) for each in expected])].mean())
        # of a small frame a share would allow none
        rounded = not half and not contract.is_classifier and int((~same).sum()) <= ROUNDED_PIXELS
        wrong = judged < required and not rounded
        wrong = wrong or not np.isfinite(error) or (not half and agreement.relative > MAX_RELATIVE_ERROR)
        if wrong and (probe.real or not half):
            raise VerificationError(
                f"the exported graph differs from PyTorch on {probe.name!r}: "
                f"{_share(judged, required, half, contract)} "
                f"(largest error {error:.3g}, {agreement.relative:.2g} of the largest logit); nothing was written",
                hint=_cure(half, len(kept) < whole.shape[1]),
            )
        yield Verified(probe, agreement, image, expected)


def _share(judged: float, required: float, half: bool, contract: Contract) -> str:
    if contract.is_classifier:
        return f"the class of {judged:.0%} of the batch is the same, or as good"
    return f"{judged:.4%} of the {'decided ' if half else ''}pixels have the same class, {required:.2%} are required"


def _cure(half: bool, cut: bool) -> str:
    if half:
        return "export it without --fp16"
    if cut:
        return "if the class that was cut wins there, choose --passes without cut-classes (ccc-export --explain)"
    return "please report it; the versions that were tried are in constraints/workstation.txt"
