"""The accuracy gate: does the engine on this device still see what the network saw in FP32?

The golden frames that travel in the ONNX file are run through the engine. As at export, 99.5 % of the 90 % of each
frame's pixels with the largest margin must keep their class; what is left out was undecided in FP32 already. Of a
classifier the picture must keep its class, or get one that FP32 found as good. A feature, logit or score that is not
finite fails the frame, whatever the classes.

INT8 keeps fewer classes than that. What ``ccc-calibrate`` found to be left of each frame travels with the cache or the
Q/DQ model, and takes the place of the 99.5 %, less a margin.
"""

from typing import Callable, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ccc_jetson.contract import EXPORT_AGAIN, Contract
from ccc_jetson.engines.manifest import CLASSES, FEATURES, LOGITS, Gate, GateFrame
from ccc_jetson.errors import ContractError
from ccc_jetson.golden import Golden, GoldenFrame, GoldenScores, is_close
from ccc_jetson.head import HeadWeights, head_class_map
from ccc_jetson.preprocess import Preprocessor

MIN_DECIDED = 0.995  # of the decided pixels, in every frame: at export, for simulated FP16, too


class Bounds(NamedTuple):
    """The share of a frame's decided pixels that must keep their class: (frame, share), and that of all others.

    For frames of INT8 it is what calibration found to be left (``int8_agreement``).
    """

    least: float = MIN_DECIDED
    frames: Tuple[Tuple[str, float], ...] = ()


def judge(
    contract: Contract,
    output: str,
    head: Optional[HeadWeights],
    frames: Sequence[Golden],
    run: Callable[[np.ndarray], np.ndarray],
    bounds: Bounds = Bounds(),  # noqa: B008, it is immutable
) -> Gate:
    """Runs every golden frame.

    Args:
        contract: of the network.
        output: what the engine gives, one of ``manifest.OUTPUTS``.
        head: for ``FEATURES``: the weights of the contract's head, where its kind has any.
        frames: the golden frames.
        run: the engine: (N, 3, H, W) float32 -> its output, any type, batch first. In a batch the frame stands N times,
            and the worst of them counts.
        bounds: what is asked of each frame.

    Raises:
        ContractError: there is no frame to judge it on.
    """
    if not frames:
        raise ContractError("there are no golden frames, so nothing can be judged", hint=EXPORT_AGAIN)
    preprocess = Preprocessor(contract)
    known = dict(bounds.frames)
    judged = []
    for golden in frames:
        image = np.repeat(preprocess(golden.frame), contract.input.batch, axis=0)
        found = run(image)
        # one by one: full-resolution logits of a batch in FP32 would take much memory on a board
        required = known.get(golden.name, bounds.least)
        if isinstance(golden, GoldenScores):
            judged.append(min((_judged_scores(golden, each, required) for each in found), key=quality))
        else:
            judged.append(min((_judged(contract, golden, each, output, head, required) for each in found), key=quality))
    return Gate(all(frame.passed for frame in judged), tuple(judged))


def quality(frame: GateFrame) -> tuple:
    """By what frames are compared: the smallest is the worst."""
    return (frame.finite, frame.decided - frame.required, frame.agreement)


def _judged(
    contract: Contract,
    golden: GoldenFrame,
    result: np.ndarray,
    output: str,
    head: Optional[HeadWeights],
    required: float,
) -> GateFrame:
    """A frame's verdict from what the engine gives for it: (C, h, w) features, (C, H, W) logits or (H, W) classes."""
    finite = True
    if output == CLASSES:
        classes = result
    else:
        values = result.astype(np.float32)
        known = np.isfinite(values)
        finite = bool(known.all())
        values = np.where(known, values, np.float32(0))  # so that the rest of the frame can still be judged
        if output == FEATURES:
            assert contract.head is not None
            classes = head_class_map(values, contract.head, head)
        else:
            classes = values.argmax(axis=0)
    same = classes == golden.class_map
    decided = golden.decided()
    share = float(same[decided].mean()) if decided.any() else 1.0
    return GateFrame(golden.name, float(same.mean()), share, finite, required)


def _judged_scores(golden: GoldenScores, scores: np.ndarray, required: float) -> GateFrame:
    """A picture's verdict from the scores (classes,) that the engine gives it: all or nothing."""
    finite = bool(np.isfinite(scores).all())
    found = int(np.where(np.isfinite(scores), scores, -np.inf).argmax())
    same = found == int(golden.scores.argmax())
    return GateFrame(golden.name, float(same), float(is_close(golden.scores, found)), finite, required)


def output_name(contract: Contract, output: str) -> str:
    """The name of the tensor that an engine of this kind gives."""
    if output == FEATURES and contract.head is not None:
        return contract.head.features
    return contract.output.logits if output == LOGITS else contract.output.name
