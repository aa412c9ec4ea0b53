"""The passes, in the order in which they run: data, not code paths."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ccc_jetson.errors import UsageError
from ccc_jetson.export.passes.batchnorm import fold_batchnorm
from ccc_jetson.export.passes.blocked import normalise_before_sum, prelu_as_convolutions, split_concats
from ccc_jetson.export.passes.channels_last import (
    argmax_before_interleaving,
    argmax_class_by_class,
    pooling_as_convolution,
    prelu_apart,
    sum_branches,
)
from ccc_jetson.export.passes.classes import cut_classes
from ccc_jetson.export.passes.dead import prune_dead_channels
from ccc_jetson.export.passes.equalise import equalise, scale_input
from ccc_jetson.export.passes.subject import Subject
from ccc_jetson.export.passes.upsampling import convolve_before_upsampling
from ccc_jetson.export.passes.weights import flush_denormal_weights
from ccc_jetson.targets import ONNX_RUNTIME, OPENVINO, TENSORRT

EVERYWHERE = (TENSORRT, OPENVINO, ONNX_RUNTIME)
ON_A_CPU = (OPENVINO, ONNX_RUNTIME)
TO_ROUNDING = "exact in real arithmetic; FP32 results change by rounding"


class Pass(NamedTuple):
    """A change of the graph. ``apply`` returns what it did, in words; nothing where there was nothing to do."""

    name: str
    reason: str
    exactness: str
    runtimes: tuple[str, ...]
    apply: Callable[[Subject], str]


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number else ""


def _flush_denormals(subject: Subject) -> str:
    return _counted(flush_denormal_weights(subject.graph), "weights set to zero")


def _fold_batchnorm(subject: Subject) -> str:
    folded, stay = fold_batchnorm(subject.graph)
    return f"{folded} of {folded + stay} folded" if folded else ""


def _prune_dead_channels(subject: Subject) -> str:
    return _counted(prune_dead_channels(subject.graph, subject.logits), "dead channels of activations removed")


def _cut_classes(subject: Subject) -> str:
    silent = subject.silent_classes()
    kept = [position for position, number in enumerate(subject.classes) if number not in silent]
    if not silent or not kept or not cut_classes(subject.graph, subject.logits, kept):
        return ""
    subject.classes = tuple(number for number in subject.classes if number not in silent)
    return f"class {', '.join(map(str, silent))} cut: wins no pixel of {len(subject.frames)} frames"


def _convolve_before_upsampling(subject: Subject) -> str:
    return _counted(convolve_before_upsampling(subject.graph), "convolutions moved")


def _scale_input(subject: Subject) -> str:
    factor = scale_input(subject.graph, subject.largest_input * subject.scale, subject.logits)
    subject.scale *= factor
    return "" if factor == 1 else f"input times {factor:g}"


def _equalise(subject: Subject) -> str:
    return _counted(equalise(subject.graph, subject.ranges(), subject.logits), "groups of channels in other units")


def _normalise_before_sum(subject: Subject) -> str:
    return _counted(normalise_before_sum(subject.graph), "normalisations moved into their summands")


def _split_concats(subject: Subject) -> str:
    return _counted(split_concats(subject.graph), "readers of a concatenation read its parts")


def _prelu_as_convolutions(subject: Subject) -> str:
    return _counted(prelu_as_convolutions(subject.graph), "PReLUs rewritten")


def _sum_branches(subject: Subject) -> str:
    return _counted(sum_branches(subject.graph), "nodes moved in front of concatenations")


def _prelu_apart(subject: Subject) -> str:
    return _counted(prelu_apart(subject.graph), "PReLUs rewritten")


def _pooling_as_convolution(subject: Subject) -> str:
    return _counted(pooling_as_convolution(subject.graph), "average poolings rewritten")


def _argmax_before_interleaving(subject: Subject) -> str:
    did = argmax_before_interleaving(subject.graph, subject.logits)
    return "class map before the last interleaving" if did else ""


def _argmax_class_by_class(subject: Subject) -> str:
    return "class map from scores class by class" if argmax_class_by_class(subject.graph, subject.logits) else ""


PASSES = (
    Pass(
        "flush-denormals",
        "a CPU computes with denormal numbers tens of times more slowly; none is above 1.2e-38",
        "changes results by less than FP32's rounding",
        EVERYWHERE,
        _flush_denormals,
    ),
    Pass(
        "fold-batchnorm",
        "a normalisation behind a convolution is a pass over memory that the convolution's weights can do",
        TO_ROUNDING,
        EVERYWHERE,
        _fold_batchnorm,
    ),
    Pass(
        "prune-dead-channels",
        "channels that are constant, or that nobody reads, cost as much as others; not for a CPU, which is "
        "faster on whole blocks of 16 channels",
        TO_ROUNDING,
        (TENSORRT,),
        _prune_dead_channels,
    ),
    Pass(
        "cut-classes",
        "a class that is no target of the data set and wins nowhere costs memory in the largest tensor",
        "exact where the class wins no pixel; elsewhere the runner-up wins",
        EVERYWHERE,
        _cut_classes,
    ),
    Pass(
        "convolve-before-upsampling",
        "a 1x1 convolution commutes with interpolation and costs four times less before an upsampling by 2",
        TO_ROUNDING,
        EVERYWHERE,
        _convolve_before_upsampling,
    ),
    Pass(
        "scale-input",
        "inputs of 0.016 lie where FP16 has few bits; the factor goes back out of the first weights",
        "exact: a power of two",
        (TENSORRT,),
        _scale_input,
    ),
    Pass(
        "equalise",
        "folded weights reach beyond FP16's 65,504; units per channel bring all numbers into its range",
        TO_ROUNDING,
        (TENSORRT,),
        _equalise,
    ),
    Pass(
        "normalise-before-sum",
        "the normalisation of a residual sum becomes weights of one summand and a factor on the other",
        TO_ROUNDING,
        ON_A_CPU,
        _normalise_before_sum,
    ),
    Pass(
        "split-concats",
        "concatenations of odd channel counts make a CPU's runtime leave the layout of its convolutions",
        TO_ROUNDING,
        ON_A_CPU,
        _split_concats,
    ),
    Pass(
        "prelu-as-convolutions",
        "ONNX Runtime's PRelu is slow and knows only the plain layout",
        TO_ROUNDING,
        (ONNX_RUNTIME,),
        _prelu_as_convolutions,
    ),
    Pass(
        "sum-branches",
        "OpenVINO fuses a sum and a PReLU into a convolution, not into a concatenation of convolutions",
        TO_ROUNDING,
        (OPENVINO,),
        _sum_branches,
    ),
    Pass(
        "prelu-apart",
        "a PReLU that no convolution takes along makes OpenVINO leave the layout of its convolutions",
        TO_ROUNDING,
        (OPENVINO,),
        _prelu_apart,
    ),
    Pass(
        "pooling-as-convolution",
        "OpenVINO pads a picture's three channels to sixteen before it pools them",
        TO_ROUNDING,
        (OPENVINO,),
        _pooling_as_convolution,
    ),
    Pass(
        "argmax-before-interleaving",
        "OpenVINO's ArgMax is slow over the channels of a transposed convolution's pixels",
        TO_ROUNDING,
        (OPENVINO,),
        _argmax_before_interleaving,
    ),
    Pass(
        "argmax-class-by-class",
        "OpenVINO interpolates a pixel's classes together, and its ArgMax is slow over them",
        "exact, equal scores included",
        (OPENVINO,),
        _argmax_class_by_class,
    ),
)
NAMES = tuple(each.name for each in PASSES)


def chosen_passes(runtime: str, names: Sequence[str] | None = None) -> tuple[Pass, ...]:
    """The passes to run, in order: those ``names``, or the runtime's own.

    Raises:
        UsageError: a name is no pass's.
    """
    if names is None:
        return tuple(each for each in PASSES if runtime in each.runtimes)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise UsageError(f"no pass is called {unknown[0]!r}", hint=f"the passes are {', '.join(NAMES)}")
    return tuple(each for each in PASSES if each.name in names)


def explained() -> tuple[str, ...]:
    """Every pass in words, in the order in which they run."""
    return tuple(
        f"{each.name} (for {' and '.join(each.runtimes)})\n  why:   {each.reason}\n  exact: {each.exactness}"
        for each in PASSES
    )
