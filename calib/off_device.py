"""INT8 without a board: ranges, the Q/DQ model, and what it costs; what ``ccc-calibrate`` does, for other programs.

A Q/DQ model is simulated as it is written. With a cache TensorRT decides what runs in INT8, so its cost is told twice:
with all convolutions in INT8, the depth-wise ones too, and at worst, with all that may be.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import onnx

from ccc_jetson.calib.calibrated import Calibrated, Options
from ccc_jetson.calib.cost import Cost, Judge, golden_frames
from ccc_jetson.calib.images import CalibrationImages, choose_images
from ccc_jetson.calib.implicit import Unit, at_worst, helper_nodes, in_floats, units
from ccc_jetson.calib.judged_frames import JudgedFrames
from ccc_jetson.calib.qdq import Layer, convolutions, quantised
from ccc_jetson.calib.ranges import Observed, observe
from ccc_jetson.calib.sensitivity import Held, LayerError, hold, layer_errors
from ccc_jetson.carried import check_whole, contract_of
from ccc_jetson.choices import (
    ALL_LAYERS,
    FITS,
    MIN_MAX,
)
from ccc_jetson.contract import Contract
from ccc_jetson.datasets import Dataset, paired_folders
from ccc_jetson.errors import ContractError, UsageError
from ccc_jetson.files import read_bytes
from ccc_jetson.golden import METADATA_KEY as GOLDEN_KEY
from ccc_jetson.golden import GoldenFrame, read_golden
from ccc_jetson.onnx_file import OnnxFile, parse_onnx
from ccc_jetson.progress import Progress

_ERROR_FRAMES = 4  # for each layer's own error
_ROUGH_FRAMES = 4  # for blocks of layers alone in INT8


def calibrate(
    path: str,
    images: Sequence[str],
    options: Options,
    on_progress: Callable[[str], None] = lambda text: None,
    observed: Observed | None = None,
) -> Calibrated:
    """Calibrates the model at ``path`` on frames at ``images``.

    ``observed`` is what another call found on the same frames, with another method: they are not run again.

    CCC2 at 1024x512 takes 1.3 to 2.7 s a calibration frame, 0.6 s a frame that it is judged on, on two cores, twice
    that for a cache. A bound that does not hold at once takes up to 45 judgements more, and 32 on four frames. Memory:
    about 0.6 GB.

    Raises:
        UsageError: the model is in FP16 or INT8 already, or options that contradict each other.
        CccError: as reading and running the model and the frames do.
    """
    with JudgedFrames() as judged:
        found = _calibrated(path, images, options, on_progress, observed, judged)
        return found._replace(judge_notes=judged.notes)


def _calibrated(
    path: str,
    images: Sequence[str],
    options: Options,
    on_progress: Callable[[str], None],
    observed: Observed | None,
    judged: JudgedFrames,
) -> Calibrated:
    data = read_bytes(path)
    onnx_file = parse_onnx(data, path)
    check_whole(onnx_file, path)
    contract = contract_of(onnx_file, path)
    _check_float(contract, onnx_file, path)
    dataset = _dataset(options)
    selection = choose_images(
        images,
        options.samples,
        options.seed,
        options.split,
        options.labels,
        options.mapping or "" if options.labels else "",
        options.verify_images,
    )
    for note in selection.notes:
        on_progress("note: " + note)
    model = onnx.load_model_from_string(data)
    features = None if contract.head is None else contract.head.features
    possible = convolutions(model, features)
    layers = [each for each in possible if options.depthwise or not each.depthwise]
    if not layers:
        raise UsageError(f"{path}: no convolution could be in INT8")
    frames = CalibrationImages(contract, selection.frames, options.fit)
    golden = judge = _golden(contract, onnx_file, path, options)  # before minutes are spent on ranges
    if options.verify_images:
        judge = _judge(data, contract, options, dataset, judged)
    if options.fit != FITS[0] and options.verify_images:
        on_progress("note: frames to judge on are stretched to the network's size, as ccc-eval does it")
    for note in judged.notes:
        on_progress("note: " + note)
    if options.max_drop is not None and judge is None:
        raise UsageError(
            "--max-drop: the model has no golden frames, so there is nothing to judge it on",
            hint="--verify-images DIR, best with --verify-labels DIR --mapping NAME",
        )
    if observed is None:
        on_progress(f"measuring ranges on {len(frames)} frames")
        observed = _observed(data, contract, frames, options)
    ranges = observed.ranges(options.method, options.percentile)
    end = contract.output.logits if features is None else features
    could_be = tuple(units(model, ranges, layers, end))
    pinned = in_floats(model, ranges, could_be, options.layers == ALL_LAYERS) if options.layers else ()
    int8 = _Int8(model, ranges, tuple(layers), could_be, pinned)
    on_progress("measuring what INT8 costs")
    errors = _errors(model, ranges, layers, contract, frames, options)
    ways = (int8.at_worst, int8.convolutions) if options.layers else (int8.convolutions,)
    costs = () if judge is None else tuple(_measured(judge, way(())) for way in ways)
    all_int8 = max(costs, key=lambda cost: cost.drop, default=None)
    held = None
    bound = options.max_drop
    if judge is not None and all_int8 is not None and bound is not None and all_int8.drop > bound:
        on_progress(f"INT8 loses {all_int8.drop:.2f} points: looking for layers that lose little")
        held, costs = _hold(bound, judge, int8.parts(bool(options.layers)), errors, ways, on_progress)
    kept = () if held is None else held.kept
    kind = costs[-1] if costs else None
    worst = costs[0] if options.layers and costs else None
    golden_kind, golden_worst = kind, worst
    if options.verify_images:
        golden_kind = None if golden is None else _measured(golden, int8.convolutions(kept))
        golden_worst = None if golden is None or not options.layers else _measured(golden, int8.at_worst(kept))
    floats = len({each.node for each in layers} & set(kept))
    return Calibrated(
        contract=contract,
        selection=selection,
        observed=observed,
        ranges=ranges,
        model=int8.convolutions(kept),
        int8_layers=len(layers) - floats,
        float_layers=len(possible) - len(layers) + floats,
        cost=kind,
        golden=golden_kind,
        at_worst=worst,
        golden_at_worst=golden_worst,
        all_int8=all_int8,
        errors=tuple(errors),
        held=held,
        kept=kept,
        pinned=pinned,
        helpers=helper_nodes(model),
        dataset=dataset,
    )


class _Int8(NamedTuple):
    """The network in INT8, both ways; ``kept`` names nodes in floats, beside those that are pinned."""

    model: onnx.ModelProto
    ranges: dict[str, float]
    layers: tuple[Layer, ...]
    could_be: tuple[Unit, ...]
    pinned: tuple[str, ...]

    def convolutions(self, kept: Sequence[str]) -> onnx.ModelProto:
        known = {each.node for each in self.layers}
        return quantised(self.model, self.ranges, self.layers, [name for name in kept if name in known])

    def at_worst(self, kept: Sequence[str]) -> onnx.ModelProto:
        return at_worst(self.model, self.ranges, self.could_be, self.layers, {*self.pinned, *kept})

    def parts(self, cache: bool) -> list[tuple[str, ...]]:
        """What can be kept in floats one by one."""
        if not cache:
            return [(each.node,) for each in self.layers]
        return [unit.nodes for unit in self.could_be if not set(unit.nodes) & set(self.pinned)]


def _measured(judge: Judge, model: onnx.ModelProto) -> Cost:
    with Progress("simulating INT8", len(judge)) as progress:
        judge.watch(progress.step)
        return judge.cost(model.SerializeToString())


def _hold(
    bound: float,
    judge: Judge,
    layers: Sequence[tuple[str, ...]],
    errors: Sequence[LayerError],
    ways: Sequence[Callable[[Sequence[str]], onnx.ModelProto]],
    on_progress: Callable[[str], None],
) -> tuple[Held, tuple[Cost, ...]]:
    """Keeps layers in floats until the bound holds in each of the ways; what was found, and what each costs."""
    few = judge.first(_ROUGH_FRAMES)
    costs: dict[tuple[str, ...], tuple[Cost, ...]] = {}

    def measured(nodes: Sequence[str]) -> tuple[Cost, ...]:
        """As far as the bound holds: after a way in which it does not, the others are of no interest."""
        found: list[Cost] = []
        for way in ways:
            found.append(_measured(judge, way(nodes)))
            if found[-1].drop > bound:
                break
        return tuple(found)

    def drop_with(nodes: Sequence[str]) -> float:
        costs[tuple(nodes)] = found = measured(nodes)
        drop = max(cost.drop for cost in found)
        floats = sum(layer[0] in set(nodes) for layer in layers)
        on_progress(f"{floats} of {len(layers)} layers in floats: {drop:.2f} points lost")
        return drop

    def roughly(nodes: Sequence[str]) -> float:
        return 100 * (1 - _measured(few, ways[0](nodes)).agreement)

    held = hold(layers, bound, errors, roughly, drop_with)
    return held, costs[held.kept] if held.kept in costs else measured(held.kept)


def _check_float(contract: Contract, onnx_file: OnnxFile, path: str) -> None:
    if contract.precision != "fp32":
        raise UsageError(
            f"{path}: is in {contract.precision.upper()}; INT8 is made of the FP32 model",
            hint="ccc-export CHECKPOINT MODEL.onnx, without --fp16",
        )
    if contract.is_classifier:
        raise UsageError(
            f"{path}: classifies whole pictures; what INT8 costs is measured here by the classes of pixels",
            hint="calibrate on the board: ccc-build-engine --int8 --calib IMAGES",
        )
    if any(node.operator == "QuantizeLinear" for node in onnx_file.nodes):
        raise UsageError(f"{path}: is in INT8 already: it has QuantizeLinear nodes", hint="give the float model")


def _dataset(options: Options) -> Dataset | None:
    if options.verify_labels is None:
        if options.mapping is not None and not options.labels:
            raise UsageError("--mapping says what label maps mean; there are none", hint="--verify-labels DIR")
        return None
    if len(options.verify_images) != 1 or options.mapping is None:
        raise UsageError(
            "--verify-labels needs one folder of pictures and the meaning of the labels",
            hint="--verify-images DIR --verify-labels DIR --mapping camvid",
        )
    return paired_folders(options.verify_images[0], options.verify_labels, options.mapping)


def _batches(contract: Contract, frames: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    """Frame by frame, each as often as the network takes frames."""
    return (np.repeat(frame, contract.input.batch, axis=0) for frame in frames)


def _observed(data: bytes, contract: Contract, frames: CalibrationImages, options: Options) -> Observed:
    histograms = options.method != MIN_MAX
    with Progress("measuring ranges", len(frames) * (1 + histograms)) as progress:
        return observe(data, lambda: _batches(contract, frames), histograms, options.threads, progress.step)


def _errors(
    model: onnx.ModelProto,
    ranges: dict[str, float],
    layers: Sequence[Layer],
    contract: Contract,
    frames: CalibrationImages,
    options: Options,
) -> list[LayerError]:
    few = min(_ERROR_FRAMES, len(frames))
    with Progress("measuring each layer's error", few) as progress:
        some = itertools.islice(frames, few)
        return layer_errors(model, ranges, layers, _batches(contract, some), options.threads, progress.step)


def _judge(data: bytes, contract: Contract, options: Options, dataset: Dataset | None, judged: JudgedFrames) -> Judge:
    frames = judged.unlabelled(options.verify_images) if dataset is None else judged.labelled(dataset, contract)
    with Progress("running FP32", len(frames)) as progress:
        return Judge(data, contract, frames, dataset, options.threads, progress.step)


def _golden(contract: Contract, onnx_file: OnnxFile, path: str, options: Options) -> Judge | None:
    if GOLDEN_KEY not in contract.attachments:
        return None
    known = read_golden(contract, onnx_file, path)
    frames = golden_frames(each for each in known if isinstance(each, GoldenFrame))
    if not frames:
        raise ContractError(f"{path}: its attachment of golden frames holds none", hint="export it again")
    return Judge(b"", contract, frames, None, options.threads)
