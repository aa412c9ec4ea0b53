"""What was asked for, held against the model and this machine: what an engine is built with, and what its gate asks."""

from typing import Callable, Iterator, NamedTuple, Optional, Tuple

from ccc_jetson.choices import INT8_LEAST
from ccc_jetson.clean_text import listed
from ccc_jetson.contract import Contract
from ccc_jetson.engines.calibrating import Ranges, RangeSource
from ccc_jetson.engines.compatibility import Problem, problems
from ccc_jetson.engines.gate import Bounds
from ccc_jetson.engines.job import Facts
from ccc_jetson.engines.manifest import CLASSES, FEATURES, SCORES, Settings, usual_output, whole_output
from ccc_jetson.engines.onnx_model import OnnxModel
from ccc_jetson.engines.precision import choose_precisions, version_of
from ccc_jetson.engines.tensorrt_api import FP16, INT8
from ccc_jetson.errors import BuildError, UsageError
from ccc_jetson.golden import read_golden
from ccc_jetson.int8_agreement import MARGIN, required_of
from ccc_jetson.targets import CPU_TARGET

_PROBLEMS_SHOWN = 4


class BuildOptions(NamedTuple):
    """What the user may choose; empty and ``None`` take this machine's own.

    ``precisions`` are of ``fp32``, ``fp16``, ``int8``, ``best``; ``output`` of ``manifest.OUTPUTS``; ``workspace`` in
    MiB; ``timing_cache`` is a file, "" the usual one, ``None`` none; ``calibration`` is for INT8, from
    ``calib.for_builds.ranges_of``; ``contract`` a file instead of the model's own; ``kernels`` says whether the
    runtime's are compiled, too.
    """

    precisions: Tuple[str, ...] = ()
    output: Optional[str] = None
    layer_precisions: Tuple[Tuple[str, str], ...] = ()
    workspace: Optional[int] = None
    dla_core: Optional[int] = None
    gate: bool = True
    timing_cache: Optional[str] = ""
    calibration: Optional[RangeSource] = None
    contract: Optional[str] = None
    profile: bool = False
    rebuild: bool = False
    force: bool = False
    kernels: bool = True
    min_agreement: Optional[float] = None
    verbose: bool = False


def check_operators(model: OnnxModel, facts: Facts, force: bool, note: Callable[[str], None]) -> None:
    """Says what this TensorRT cannot take, before it fails at some node with less to say.

    Raises:
        BuildError: there is something, and nobody said to try all the same.
    """
    found = problems(model.file, version_of(facts.tensorrt), model.arrays)
    if not found:
        return
    lines = "".join(_problem_lines(problem) for problem in found[:_PROBLEMS_SHOWN])
    text = "{}: TensorRT {} cannot take it:{}".format(model.path, facts.tensorrt, lines)
    if not force:
        raise BuildError(text, hint="ccc-inspect {} shows it all; --force tries it all the same".format(model.path))
    note(text)


def _problem_lines(problem: Problem) -> str:
    where = " ({})".format(listed(problem.nodes)) if problem.nodes else ""
    return "\n  {} {}{}\n    -> {}".format(problem.operator, problem.sentence, where, problem.cure)


def settings_of(model: OnnxModel, facts: Facts, options: BuildOptions, note: Callable[[str], None]) -> Settings:
    """What the engine is built with, without what a calibration adds.

    Raises:
        UsageError: what was asked for contradicts itself, the model, or what the machine can do.
    """
    calibrated = options.calibration is not None
    choice = choose_precisions(
        options.precisions, facts, model.strongly_typed, model.quantized, calibrated, options.force
    )
    for text in [*choice.notes, *_doubts(model.contract, choice.precisions)]:
        note(text)
    _check_wishes(options, choice.precisions, model)
    return Settings(
        precisions=choice.precisions,
        output=_output(model, options.output),
        layer_precisions=options.layer_precisions,
        workspace=options.workspace,
        dla_core=options.dla_core,
        gate=options.gate,
        calibration_cache="",
        min_agreement=options.min_agreement,
        forced=options.force,
    )


def _output(model: OnnxModel, asked: Optional[str]) -> str:
    """What the engine gives."""
    whole = whole_output(model.contract)
    if asked is None:
        return usual_output(model.contract)
    if asked == FEATURES and not model.has_head:
        raise UsageError(
            "--output features: {} describes no head that the runtime could compute".format(model.path),
            hint="--output {} takes the whole network".format(whole),
        )
    if model.contract.is_classifier != (asked == SCORES):
        raise UsageError("--output {}: {} gives {}".format(asked, model.path, whole), hint="leave --output out")
    return whole if asked == CLASSES else asked  # the file as it was exported


def _check_wishes(options: BuildOptions, precisions: Tuple[str, ...], model: OnnxModel) -> None:
    """What contradicts itself, in better words than TensorRT's."""
    if options.layer_precisions and model.strongly_typed:
        raise UsageError(
            "--layer-precision: the model states its own types",
            hint="export it without --fp16, and build it with --fp16",
        )
    if FP16 not in precisions and any(precision == FP16 for _, precision in options.layer_precisions):
        raise UsageError("--layer-precision asks for FP16, which the engine may not use", hint="add --fp16")
    if options.calibration is not None and model.quantized:
        raise UsageError("--calib: {} has ranges of its own, in Q/DQ nodes".format(model.path), hint="leave it out")
    if options.calibration is not None and INT8 not in precisions:
        raise UsageError("--calib: the engine uses no INT8", hint="add --int8, or leave --calib out")
    if options.dla_core is not None and not precisions:
        raise UsageError("--dla: a DLA computes in FP16 and INT8, and the engine is FP32", hint="add --fp16")


def bounds_of(model: OnnxModel, settings: Settings, ranges: Optional[Ranges], note: Callable[[str], None]) -> Bounds:
    """What the gate asks for: what the user says, else what calibration found INT8 to leave, else the usual."""
    if settings.min_agreement is not None:
        return Bounds(settings.min_agreement)
    agreement = model.int8_agreement if ranges is None else ranges.agreement
    if not settings.gate or not agreement or not (INT8 in settings.precisions or model.quantized):
        return Bounds()
    frames = tuple((name, max(share, INT8_LEAST)) for name, share in required_of(agreement))
    golden = read_golden(model.contract, model.file, model.path)
    if {name for name, _ in frames} != {each.name for each in golden}:
        note("what INT8 was found to cost is of other golden frames than this model's, so the gate does not ask for it")
        return Bounds()
    least = min(share for _, share in frames)
    note(
        "INT8 was found to change classes: of the frame that loses most, the gate asks for {:.1%} of the decided "
        "pixels, {}".format(
            least,
            "{:.0%} less than calibration found".format(MARGIN)
            if least > INT8_LEAST
            else "no less of any: with fewer a network is not fit for use",
        )
    )
    return Bounds(frames=frames)


def _doubts(contract: Contract, precisions: Tuple[str, ...]) -> Iterator[str]:
    """What the contract says against this build; the gate decides."""
    if contract.target == CPU_TARGET:
        yield "exported for a CPU, with graph passes that slow TensorRT down: ccc-export --target tx2 (or this board)"
    if FP16 in precisions and contract.half is not None and not contract.half.safe:
        yield "export found FP16 not safe for this network; the gate will tell"
