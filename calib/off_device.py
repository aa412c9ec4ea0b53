"""INT8 without a board: ranges, the Q/DQ model, and what it costs; what ``ccc-calibrate`` does, for other programs.

A cache lets TensorRT compute every layer in INT8, so its cost is simulated with all convolutions in INT8, the
depth-wise ones too; a Q/DQ model is simulated as it is written.
"""

import base64
import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import onnx

from ccc_jetson.calib.cost import Cost, Judge, golden_frames
from ccc_jetson.calib.images import SAMPLES, CalibrationImages, choose_images
from ccc_jetson.calib.judged_frames import JudgedFrames
from ccc_jetson.calib.provenance import Provenance, attachments_of
from ccc_jetson.calib.qdq import Layer, convolutions, quantised
from ccc_jetson.calib.ranges import Observed, observe
from ccc_jetson.calib.selection import Selection
from ccc_jetson.calib.sensitivity import Gain, LayerError, fewest_kept, gains, layer_errors
from ccc_jetson.carried import METADATA_KEY as CONTRACT_KEY
from ccc_jetson.carried import contract_of
from ccc_jetson.choices import CALIBRATION_PERCENTILE, FITS, MIN_MAX, PERCENTILE
from ccc_jetson.contract import Attachment, Contract
from ccc_jetson.datasets import Dataset, paired_folders
from ccc_jetson.errors import ContractError, UsageError
from ccc_jetson.files import read_bytes
from ccc_jetson.golden import METADATA_KEY as GOLDEN_KEY
from ccc_jetson.golden import GoldenFrame, read_golden
from ccc_jetson.onnx_file import OnnxFile, parse_onnx
from ccc_jetson.progress import Progress

_ERROR_FRAMES = 4  # for each layer's own error
_ALONE_FRAMES, _ALONE_LAYERS = 4, 8  # for leaving one layer in floats at a time
# Operators whose constants TensorRT's parser keeps as weights of the layer; of others it makes layers of their own
_OWN_WEIGHTS = ("BatchNormalization", "Conv", "ConvTranspose", "Gemm", "InstanceNormalization", "Resize")


class Options(NamedTuple):
    """How to calibrate, and what to judge it on.

    ``method`` and ``percentile`` as ``ranges.Observed.ranges`` takes them; ``samples``, ``seed``, ``split`` and
    ``labels`` as ``images.choose_images``; ``fit`` as ``images.CalibrationImages``, frames to judge on are stretched.
    ``depthwise``: depth-wise convolutions in INT8 too. ``max_drop``: points of mIoU, of agreement where there are no
    labels; None keeps no layer in floats. ``verify_images``, ``verify_labels`` and ``mapping``: frames to judge on, as
    ``ccc-export`` takes them; without any it is the golden ones.
    """

    method: str = PERCENTILE
    percentile: float = CALIBRATION_PERCENTILE
    samples: int = SAMPLES
    seed: int = 0
    split: str = "train"
    fit: str = FITS[0]
    labels: str = ""
    depthwise: bool = True
    max_drop: float | None = None
    verify_images: tuple[str, ...] = ()
    verify_labels: str | None = None
    mapping: str | None = None
    threads: int = 0


class Calibrated(NamedTuple):
    """What came of it.

    ``model`` is the Q/DQ model as ``onnx.ModelProto``; ``cost`` on the frames asked for, ``golden`` on the golden ones
    (None where there are none); ``all_int8`` is the cost before any layer was kept in floats; ``errors`` every layer's
    own error, the worst first, ``gains`` what leaving out the worst gives back, ``kept`` the ONNX nodes in floats.
    ``helpers`` are nodes with constants that become TensorRT's own tensors, of which a cache has no row.
    ``judge_notes`` are sentences on frames to judge on that were passed over.
    """

    contract: Contract
    selection: Selection
    observed: Observed
    ranges: dict[str, float]
    model: onnx.ModelProto
    int8_layers: int
    float_layers: int
    cost: Cost | None
    golden: Cost | None
    all_int8: Cost | None
    errors: tuple[LayerError, ...]
    gains: tuple[Gain, ...]
    kept: tuple[str, ...]
    helpers: tuple[str, ...]
    dataset: Dataset | None
    judge_notes: tuple[str, ...] = ()

    def qdq_file(self, provenance: Provenance) -> bytes:
        """The Q/DQ model's bytes, with where its ranges come from, and what it leaves of the golden frames, which the
        gate of a build asks for."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        attached = attachments_of(provenance)
        noted = {key: Attachment(len(data), hashlib.sha256(data).hexdigest()) for key, data in attached.items()}
        contract = self.contract._replace(attachments={**self.contract.attachments, **noted})
        for entry in model.metadata_props:
            if entry.key == CONTRACT_KEY:
                entry.value = contract.to_json()
        for key, data in sorted(attached.items()):
            added = model.metadata_props.add()
            added.key, added.value = key, base64.b64encode(data).decode("ascii")
        return model.SerializeToString()


def calibrate(
    path: str,
    images: Sequence[str],
    options: Options,
    on_progress: Callable[[str], None] = lambda text: None,
    observed: Observed | None = None,
) -> Calibrated:
    """Calibrates the model at ``path`` on frames at ``images``.

    ``observed`` is what another call found on the same frames, with another method: they are not run again.

    CCC2 at 1024x512 takes 1.3 to 2.7 s a calibration frame, 0.6 s a frame that it is judged on, on two cores; a bound
    that does not hold at once takes some ten judgements more. Memory: about 0.6 GB.

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
    judge = _judge(data, contract, onnx_file, path, options, dataset, judged)  # before minutes are spent on ranges
    if options.fit != FITS[0] and options.verify_images:
        on_progress("note: frames to judge on are stretched to the network's size, as ccc-eval does it")
    for note in judged.notes:
        on_progress("note: " + note)
    golden = _golden(contract, onnx_file, path, options)
    if options.max_drop is not None and judge is None:
        raise UsageError(
            "--max-drop: the model has no golden frames, so there is nothing to judge it on",
            hint="--verify-images DIR, best with --verify-labels DIR --mapping NAME",
        )
    if observed is None:
        on_progress(f"measuring ranges on {len(frames)} frames")
        observed = _observed(data, contract, frames, options)
    ranges = observed.ranges(options.method, options.percentile)
    on_progress("measuring what INT8 costs")

    def measured(by: Judge, kept: Sequence[str]) -> Cost:
        with Progress("simulating INT8", len(by)) as progress:
            by.watch(progress.step)
            return by.cost(quantised(model, ranges, layers, kept).SerializeToString())

    errors = _errors(model, ranges, layers, contract, frames, options)
    all_int8 = None if judge is None else measured(judge, ())
    found: list[Gain] = []
    kept: tuple[str, ...] = ()
    cost = all_int8
    bound = options.max_drop
    if judge is not None and all_int8 is not None and bound is not None and all_int8.drop > bound:
        on_progress(f"INT8 loses {all_int8.drop:.2f} points: looking for the layers that lose most")
        found, kept, cost = _hold(bound, judge, all_int8, errors, measured, on_progress)
    return Calibrated(
        contract=contract,
        selection=selection,
        observed=observed,
        ranges=ranges,
        model=quantised(model, ranges, layers, kept),
        int8_layers=len(layers) - len(kept),
        float_layers=len(possible) - len(layers) + len(kept),
        cost=cost,
        golden=None if golden is None else measured(golden, kept),
        all_int8=all_int8,
        errors=tuple(errors),
        gains=tuple(found),
        kept=kept,
        helpers=helper_nodes(model),
        dataset=dataset,
    )


def _hold(
    bound: float,
    judge: Judge,
    all_int8: Cost,
    errors: Sequence[LayerError],
    measured: Callable[[Judge, Sequence[str]], Cost],
    on_progress: Callable[[str], None],
) -> tuple[list[Gain], tuple[str, ...], Cost]:
    """Keeps layers in floats until the bound holds: what the worst give back alone, those that are kept, the cost."""
    few = judge.first(_ALONE_FRAMES)
    worst = [each.node for each in errors[:_ALONE_LAYERS]]
    found = gains(worst, lambda nodes: 100 * (1 - measured(few, nodes).agreement))
    helping = [each.node for each in found if each.points > 0]
    order = helping + [each.node for each in errors if each.node not in helping]
    costs = {0: all_int8}

    def drop_with(nodes: Sequence[str]) -> float:
        if len(nodes) not in costs:
            costs[len(nodes)] = measured(judge, nodes)
            on_progress(f"{len(nodes)} layers in floats: {costs[len(nodes)].drop:.2f} points lost")
        return costs[len(nodes)].drop

    kept = fewest_kept(order, bound, drop_with)
    return found, kept, costs[len(kept)]


def helper_nodes(model: onnx.ModelProto) -> tuple[str, ...]:
    """Nodes with a float constant that TensorRT's parser makes a layer of: ``(Unnamed Layer* N) [Constant]_output``."""
    floats = {each.name for each in model.graph.initializer if each.data_type == onnx.TensorProto.FLOAT}
    return tuple(
        node.name
        for node in model.graph.node
        if node.op_type not in _OWN_WEIGHTS and any(name in floats for name in node.input)
    )


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


def _judge(
    data: bytes,
    contract: Contract,
    onnx_file: OnnxFile,
    path: str,
    options: Options,
    dataset: Dataset | None,
    judged: JudgedFrames,
) -> Judge | None:
    if not options.verify_images:
        return _golden(contract, onnx_file, path, options)
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
