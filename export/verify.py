"""Does the written file compute what PyTorch computes? Asked on every export, on real frames and on hostile ones."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ccc_jetson.contract import Contract
from ccc_jetson.errors import VerificationError
from ccc_jetson.golden import GoldenFrame, golden_frame
from ccc_jetson.images import read_frame
from ccc_jetson.preprocess import Preprocessor

MIN_AGREEMENT = 0.9999
GOLDEN_FRAMES = 4
_SCENE_SEEDS = (11, 23, 37, 41)
_SMALLEST_SCENE, _LARGEST_SCENE = 64, 4096  # that can be drawn; others are resized as any picture is


class ProbeFrame(NamedTuple):
    """A frame to verify on; ``real`` ones may serve as golden frames."""

    name: str
    frame: np.ndarray
    real: bool


class Agreement(NamedTuple):
    """One frame: largest error of the logits, the same relative to the largest logit, share of equal classes."""

    name: str
    absolute: float
    relative: float
    argmax: float


class Verification(NamedTuple):
    """All frames, and the golden ones among them."""

    frames: tuple[Agreement, ...]
    golden: tuple[GoldenFrame, ...]

    @property
    def worst(self) -> Agreement:
        """The largest errors and the smallest agreement, each over all frames."""
        return Agreement(
            min(self.frames, key=lambda frame: frame.argmax).name,
            max(frame.absolute for frame in self.frames),
            max(frame.relative for frame in self.frames),
            min(frame.argmax for frame in self.frames),
        )


def probe_frames(width: int, height: int, images: Sequence[str]) -> Iterator[ProbeFrame]:
    """Noise, black, and the given pictures; drawn street scenes for as many as lack to four golden frames."""
    rng = np.random.default_rng(0)
    yield ProbeFrame("noise", rng.integers(0, 256, (height, width, 3), dtype=np.uint8), False)
    yield ProbeFrame("black", np.zeros((height, width, 3), np.uint8), False)
    for path in images:
        yield ProbeFrame(path, read_frame(path), True)
    if len(images) < GOLDEN_FRAMES:
        from ccc_jetson.export.scenes import street_scene

        drawn = [min(max(side, _SMALLEST_SCENE), _LARGEST_SCENE) for side in (width, height)]
        for seed in _SCENE_SEEDS[len(images) :]:
            yield ProbeFrame(f"scene {seed}", street_scene(seed, *drawn).frame, True)


def verify(
    network: nn.Module,
    run: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    contract: Contract,
    images: Sequence[str],
    on_frame: Callable[[Agreement], None],
) -> Verification:
    """Compares PyTorch with the exported file, frame by frame.

    Args:
        network: the PyTorch network, in evaluation mode.
        run: the exported file: input (N, 3, H, W) float32 -> logits (N, classes, H, W) and classes (N, H, W).
        contract: says how frames become inputs.
        images: pictures to verify on besides the built-in ones.
        on_frame: called after each frame.

    Raises:
        VerificationError: fewer than 99.99 % of a frame's pixels get the class that PyTorch gives them.
    """
    preprocess = Preprocessor(contract)
    agreements, golden = [], []
    chosen = _golden_choice(len(images))
    number_of_real = 0
    for probe in probe_frames(contract.input.width, contract.input.height, images):
        image = np.repeat(preprocess(probe.frame), contract.input.batch, axis=0)
        with torch.no_grad():
            expected = network(torch.from_numpy(image)).numpy()
        logits, classes = run(image)
        error = float(np.abs(logits - expected).max())
        agreement = Agreement(
            probe.name,
            error,
            error / max(float(np.abs(expected).max()), 1e-30),
            float((classes == expected.argmax(axis=1)).mean()),
        )
        on_frame(agreement)
        if not np.isfinite(error) or agreement.argmax < MIN_AGREEMENT:
            raise VerificationError(
                f"the exported graph differs from PyTorch on {probe.name!r}: {agreement.argmax:.4%} of the pixels have "
                f"the same class, {MIN_AGREEMENT:.2%} are required (largest error {error:.3g}); nothing was written",
                hint="please report it; the versions that were tried are in constraints/workstation.txt",
            )
        agreements.append(agreement)
        if probe.real:
            if number_of_real in chosen:
                golden.append(golden_frame(probe.name, preprocess.resized(probe.frame), expected[0]))
            number_of_real += 1
    return Verification(tuple(agreements), tuple(golden))


def _golden_choice(images: int) -> set[int]:
    """Which of the real frames become golden: four spread evenly over the given pictures, or all there are."""
    if images <= GOLDEN_FRAMES:
        return set(range(GOLDEN_FRAMES))
    return {round(index * (images - 1) / (GOLDEN_FRAMES - 1)) for index in range(GOLDEN_FRAMES)}
