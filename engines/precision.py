"""Which precisions an engine may use: what was asked for, against what this machine's hardware has.

TensorRT itself builds an INT8 engine on a GPU without INT8 units: it warns, and the engine is slower than FP16 (on a
TX2, 300 ms instead of 200 were reported for a detection network). So it is refused here, with the alternative.
"""

from typing import List, NamedTuple, Sequence, Tuple

from ccc_jetson.engines.job import Facts
from ccc_jetson.engines.machine import gpu_text
from ccc_jetson.engines.tensorrt_api import FP16, FP32, INT8
from ccc_jetson.errors import BuildError, UsageError

BEST = "best"


class Choice(NamedTuple):
    """Precisions that are allowed beside FP32, and what there is to say about it."""

    precisions: Tuple[str, ...]
    notes: Tuple[str, ...]


def choose_precisions(
    asked: Sequence[str], facts: Facts, strongly_typed: bool, quantized: bool, calibrated: bool, force: bool
) -> Choice:
    """Decides.

    Args:
        asked: of ``FP32``, ``FP16``, ``INT8``, ``BEST``; empty takes this hardware's default.
        facts: what the machine has.
        strongly_typed: the ONNX file is in FP16 already (``ccc-export --fp16``).
        quantized: it has QuantizeLinear and DequantizeLinear nodes.
        calibrated: a calibration cache was given.
        force: build what the hardware has no units for.

    Raises:
        UsageError: the wishes contradict each other.
        BuildError: hardware or TensorRT cannot; with the reason and the alternative.
    """
    if FP32 in asked and len(set(asked)) > 1:
        raise UsageError("--fp32 allows nothing but FP32, so it goes with no other precision")
    if strongly_typed:
        return _as_the_network_says(asked)
    if quantized and FP32 in asked:
        raise UsageError(
            "--fp32: the model's QuantizeLinear and DequantizeLinear nodes put it in INT8",
            hint="build the float model that it was made of",
        )
    if not facts.has_precision_flags:
        return _without_flags(asked, facts, quantized)
    half, int8 = has_fp16(facts), has_int8(facts)
    notes: List[str] = []
    if not asked:
        chosen = [FP16] if half else []
        notes.append("{}: this hardware's default".format("FP16" if half else "FP32"))
    elif BEST in asked:
        chosen = [FP16] * half + [INT8] * (int8 and (calibrated or quantized))
        if int8 and INT8 not in chosen:
            notes.append("INT8 is left out: it takes --calib FILE|IMAGES")
        notes.append("--best: {}".format(" and ".join(each.upper() for each in chosen) or "FP32 alone"))
    else:
        chosen = [each for each in (FP16, INT8) if each in asked]
    if quantized and INT8 not in chosen:
        chosen.append(INT8)
        notes.append("INT8: the network's QuantizeLinear and DequantizeLinear nodes ask for it")
    if FP16 in chosen and not half:
        if not force:
            raise BuildError(
                "--fp16: {} computes in FP16 no faster than in FP32".format(gpu_text(facts.device, facts.sm)),
                hint="build with --fp32; --force builds it all the same",
            )
        notes.append("FP16 without fast units: forced")
    if INT8 in chosen and not int8:
        _refuse_int8(facts, quantized, force)
        notes.append("INT8 without INT8 units: forced; measure it against --fp16")
    if INT8 in chosen and int8 and half and FP16 not in chosen:
        notes.append("INT8 without FP16: what has no kernel in INT8 runs in FP32; --int8 --fp16 lets it run in FP16")
    if INT8 in chosen and not (calibrated or quantized):
        raise UsageError(
            "--int8: TensorRT needs the range of every activation, and would make them up",
            hint="--calib FILE|IMAGES, or a model with QuantizeLinear and DequantizeLinear nodes",
        )
    return Choice(tuple(chosen), tuple(notes))


def has_fp16(facts: Facts) -> bool:
    """Whether FP16 is fast here: asked of TensorRT, else told from the compute capability (CUDA programming guide,
    arithmetic throughput: 5.3, 6.0, 6.2, and 7.0 and newer)."""
    major_minor = version_of(facts.sm)
    return (
        major_minor in ((5, 3), (6, 0), (6, 2)) or major_minor >= (7, 0) if facts.fast_fp16 is None else facts.fast_fp16
    )


def has_int8(facts: Facts) -> bool:
    """Whether there are INT8 units: asked of TensorRT, else DP4A, which 6.1 and 7.0 and newer have."""
    major_minor = version_of(facts.sm)
    return major_minor == (6, 1) or major_minor >= (7, 0) if facts.fast_int8 is None else facts.fast_int8


def version_of(text: str) -> Tuple[int, int]:
    """``8.2.1.8`` -> (8, 2)."""
    parts = [int(part) for part in text.split(".")[:2] if part.isdigit()]
    return (parts + [0, 0])[0], (parts + [0, 0])[1]


def _as_the_network_says(asked: Sequence[str]) -> Choice:
    unfit = [each for each in asked if each in (FP32, INT8)]
    if unfit:
        raise UsageError(
            "--{}: the model states its own types, which are FP16 (ccc-export --fp16)".format(unfit[0]),
            hint="export it without --fp16",
        )
    return Choice((FP16,), ("FP16: the types that the model states",))


def _without_flags(asked: Sequence[str], facts: Facts, quantized: bool) -> Choice:
    """TensorRT 11: types are those of the network."""
    if FP16 in asked or (INT8 in asked and not quantized):
        precision = FP16 if FP16 in asked else INT8
        raise BuildError(
            "--{}: TensorRT {} takes the types that the model states, and this one is in FP32".format(
                precision, facts.tensorrt
            ),
            hint="ccc-export CHECKPOINT MODEL.onnx --target orin --fp16"
            if precision == FP16
            else "a model with QuantizeLinear and DequantizeLinear nodes",
        )
    note = "{}: the types that the model states".format("INT8" if quantized else "FP32")
    cure = "" if quantized else "; ccc-export --target orin --fp16 writes one in FP16"
    return Choice((INT8,) if quantized else (), (note + cure,))


def _refuse_int8(facts: Facts, quantized: bool, force: bool) -> None:
    name = gpu_text(facts.device, facts.sm)
    if quantized:  # TensorRT refuses it too, in words that help nobody, so there is nothing to force
        raise BuildError(
            "the model's QuantizeLinear and DequantizeLinear nodes need INT8 units, which {} does not have".format(
                name
            ),
            hint="build the float model: ccc-export CHECKPOINT MODEL.onnx, ccc-build-engine --fp16 MODEL.onnx",
        )
    if not force:
        raise BuildError(
            "--int8: {} has no INT8 units (no DP4A instruction): TensorRT would build it, and the engine would be "
            "slower than in FP16".format(name),
            hint="ccc-build-engine --fp16; INT8 is for Xavier and Orin (--force builds it all the same)",
        )
