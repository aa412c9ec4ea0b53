"""One build: an ONNX file and what was decided about it -> a plan. Runs where TensorRT is, in the child process."""

import fnmatch
import glob
import re
import time
from typing import Any, Callable, Collection, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from ccc_jetson.clean_text import clean, listed
from ccc_jetson.contract import Contract
from ccc_jetson.engines.gate import output_name
from ccc_jetson.engines.job import Job
from ccc_jetson.engines.manifest import CLASSES
from ccc_jetson.engines.tensorrt_api import FP16, FP32, INT8, ParseError, TensorRT, layers, tensors
from ccc_jetson.engines.tensorrt_callbacks import CacheStore, Calibration, Guard, make_calibrator
from ccc_jetson.errors import BuildError
from ccc_jetson.files import read_bytes
from ccc_jetson.onnx_file import OnnxFile, parse_onnx


class Built(NamedTuple):
    """A plan's bytes, the layers that the gate wanted in FP32, the seconds it took, and the caches after it.

    ``calibration_cache`` is empty where TensorRT measured no ranges.
    """

    plan: bytes
    pinned: Tuple[str, ...]
    seconds: float
    timing_cache_reused: bool
    timing_cache: bytes
    calibration_cache: bytes


class Float32(NamedTuple):
    """What is kept in FP32: the layers that the gate wanted so, and the tensors of all layers that are."""

    pinned: Tuple[str, ...]
    tensors: FrozenSet[str]


def build_plan(
    api: TensorRT,
    guard: Guard,
    job: Job,
    contract: Contract,
    on_phase: Callable[[str, int, int], None],
    calibration: Optional[Calibration] = None,
) -> Built:
    """Builds the engine that ``job`` describes.

    Args:
        on_phase: told of phases of the build (name, steps done, steps) where TensorRT reports them.
        calibration: what INT8 takes its ranges from; None where that is the job's cache, if it has one.

    Raises:
        OutOfMemory: a smaller workspace may do.
        BuildError: anything else that TensorRT refuses, with its reason.
    """
    model = read_bytes(job.model)
    builder = api.builder()
    network = api.network(builder, job.strongly_typed)
    parser, errors = api.parse(network, model)
    if errors:
        raise _parse_failure(job.model, parse_onnx(model, job.model), errors, api.version)
    choose_output(network, contract, job.output, job.model)
    config = api.config(builder)
    api.set_workspace(config, job.workspace_mib)
    float32 = _constrain(api, config, network, job, parse_onnx(model, job.model))
    if not job.strongly_typed:
        for precision in job.precisions:
            # TensorRT 11 has no flag for INT8: a network with Q/DQ nodes states it
            if precision != INT8 or api.has_precision_flags:
                api.allow(config, precision)
        if FP16 in job.precisions:
            _use_half_bindings(api, network, float32)
    if job.dla_core is not None:
        api.use_dla(builder, config, job.dla_core)
    calibrator, store = None, CacheStore()
    if calibration is None and job.calibration_cache:
        calibration = _from_cache(job)
    if INT8 in job.precisions and calibration is not None:
        calibrator = make_calibrator(api.module, guard, calibration, store)
        api.calibrate_with(config, calibrator)
    reused = job.timing_cache and api.use_timing_cache(config, _timing_cache(job.timing_cache_in))
    api.watch(config, on_phase)
    started = time.monotonic()
    plan = api.build(builder, network, config)
    seconds = time.monotonic() - started
    timing_cache = api.timing_cache(config) if job.timing_cache else b""
    # The parser owns the weights, and TensorRT keeps no reference to the calibrator: both have to outlive the build
    del parser, calibrator
    return Built(plan, float32.pinned, seconds, reused, timing_cache, store.written)


def choose_output(network: Any, contract: Contract, output: str, origin: str) -> None:
    """Makes the tensor of that kind the network's only output; what lies behind it falls away.

    The tensor before the head is a small part of full-resolution logits, and neither those nor TopK enter the engine.
    """
    name = output_name(contract, output)
    found = tensors(network).get(name)
    if found is None:
        raise BuildError(
            "{}: TensorRT's network has no tensor {!r}, which its contract names".format(origin, name),
            hint="export it again with ccc-export, or build with --output {}".format(CLASSES),
        )
    present = [network.get_output(index) for index in range(network.num_outputs)]
    for tensor in present:
        if tensor.name != name:
            network.unmark_output(tensor)
    if name not in [tensor.name for tensor in present]:
        network.mark_output(found)


def _use_half_bindings(api: TensorRT, network: Any, float32: Float32) -> None:
    """FP16 where a frame enters and where features leave: half the bytes, and no reformatting layer.

    An output's own type decides what leaves the engine, so one whose layer is kept in FP32 stays FP32.
    """
    ends = [network.get_input(index) for index in range(network.num_inputs)]
    ends += [network.get_output(index) for index in range(network.num_outputs)]
    for tensor in ends:
        if api.is_float32(tensor) and tensor.name not in float32.tensors:
            api.set_half_binding(tensor)


def _constrain(api: TensorRT, config: Any, network: Any, job: Job, onnx_file: OnnxFile) -> Float32:
    """Gives layers the precision that was asked for.

    Raises:
        BuildError: a pattern of the user's, or a name in the calibration's provenance, fits no layer.
    """
    chosen: Dict[str, str] = {}
    pinned: List[str] = []
    named: Dict[str, Any] = {}
    # compiled here: fnmatch remembers 256 patterns at most on old Pythons, and a calibration may keep more
    wishes = [(re.compile(fnmatch.translate(pattern)).match, precision) for pattern, precision in job.layer_precisions]
    written = _written_by(onnx_file, job.kept)
    fits = [False] * len(wishes)
    for layer in layers(network):
        named[layer.name] = layer
        outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
        names = [layer.name] + [tensor.name for tensor in outputs if tensor is not None]
        is_pinned = any(name in job.pinned for name in names)
        if is_pinned:
            pinned.append(layer.name)
            chosen[layer.name] = FP32
        for number, (match, precision) in enumerate(wishes):
            pattern = job.layer_precisions[number][0]
            if any(match(name) or name in written.get(pattern, ()) for name in names):
                fits[number] = True
                # what the gate wants comes before the calibration's wishes, which stand first, and after the user's
                if number >= len(job.kept) or not is_pinned:
                    chosen[layer.name] = precision
    for (pattern, _), fitted in zip(job.layer_precisions, fits):
        if fitted:
            continue
        if pattern not in job.kept:
            raise BuildError(
                "--layer-precision {}: no layer or tensor has such a name".format(pattern),
                hint="names are, for example, {} (* stands for anything)".format(listed(sorted(named))),
            )
        if pattern not in written:  # else the parser has made no layer of the node, so there is nothing to keep
            raise _stale_provenance(job.calibration_cache, pattern)
    if chosen:
        api.obey_precisions(config)
    constrained = [name for name, precision in chosen.items() if api.set_precision(named[name], precision)]
    float32 = [name for name in constrained if chosen[name] == FP32]
    outputs = [named[name].get_output(index) for name in float32 for index in range(named[name].num_outputs)]
    return Float32(
        tuple(name for name in pinned if name in float32),
        frozenset(tensor.name for tensor in outputs if tensor is not None),
    )


def _stale_provenance(cache: str, pattern: str) -> BuildError:
    return BuildError(
        "{}: its provenance keeps {} out of INT8, and no layer or tensor has such a name: it was made for another "
        "export of the network".format(cache, clean(pattern)),
        hint="calibrate this model: ccc-calibrate MODEL.onnx IMAGES on the workstation, or --calib IMAGES here",
    )


def _written_by(onnx_file: OnnxFile, patterns: Collection[str]) -> Dict[str, FrozenSet[str]]:
    """The tensors that the ONNX nodes write which each pattern names; TensorRT may call their layers something else."""
    outputs = {glob.escape(node.name): frozenset(node.outputs) for node in onnx_file.nodes}
    return {pattern: outputs[pattern] for pattern in patterns if pattern in outputs}


def _parse_failure(path: str, onnx_file: OnnxFile, errors: List[ParseError], version: str) -> BuildError:
    """Names the nodes: TensorRT 8 gives their numbers only."""
    lines = []
    for error in errors:
        text = error.text
        if 0 <= error.node < len(onnx_file.nodes):
            node = onnx_file.nodes[error.node]
            if "Plugin not found" in text:  # what TensorRT 8 and newer say when they have no importer for an operator
                text = "this TensorRT has neither an importer nor a plugin for {}".format(node.operator)
            text = "{} ({}): {}".format(node.name or "node {}".format(error.node), node.operator, text)
        lines.append("\n  " + text)
    return BuildError(
        "{}: TensorRT {} cannot read it:{}".format(path, version, "".join(lines)),
        hint="ccc-inspect {} says what this TensorRT cannot take".format(path),
    )


def _timing_cache(path: str) -> bytes:
    return read_bytes(path) if path else b""


def _from_cache(job: Job) -> Calibration:
    return Calibration(job.calibration_algorithm, read_bytes(job.calibration_cache), 1, _no_batches)


def _no_batches(names: List[str]) -> Any:
    """TensorRT asks for data only where it does not accept the cache; silence there would calibrate on nothing."""
    raise BuildError(
        "TensorRT does not accept the calibration cache: it is of another version or algorithm",
        hint="calibrate again for this TensorRT; the cache's first line names the one that wrote it",
    )
