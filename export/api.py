"""Checkpoint in, verified ONNX file with its contract out: the work behind ``ccc-export``."""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import onnx
import onnx_ir as ir
import torch

from ccc_jetson import __version__
from ccc_jetson.carried import contract_of, embed
from ccc_jetson.cityscapes import IGNORE
from ccc_jetson.contract import CLASS_MAP, LOGITS, SCORES, Architecture, Contract, Input, Output, Preprocessing, Source
from ccc_jetson.cpu_session import missing_runtime
from ccc_jetson.errors import UsageError
from ccc_jetson.export.checked import verified
from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.classes import classes_for
from ccc_jetson.export.complexity import Complexity, count
from ccc_jetson.export.labelled import LabelledImages
from ccc_jetson.export.networks.entry import CLASSIFICATION
from ccc_jetson.export.networks.registry import (
    Recognised,
    Wanted,
    describe,
    json_arguments,
    named_like,
    recognise,
    wanted_network,
)
from ccc_jetson.export.onnx_graph import INPUT, assert_readable, build_graph, finished
from ccc_jetson.export.onnx_head import find_head
from ccc_jetson.export.passes.order import chosen_passes
from ccc_jetson.export.passes.run import Record, run_passes
from ccc_jetson.export.passes.strongly_typed import as_fp16
from ccc_jetson.export.passes.subject import Subject
from ccc_jetson.export.passes.weights import without_denormals
from ccc_jetson.export.random_weights import random_network
from ccc_jetson.export.verify import GOLDEN_FRAMES, Agreement, real_frames, spread, worst
from ccc_jetson.files import check_output, write_bytes
from ccc_jetson.golden import METADATA_KEY as GOLDEN_KEY
from ccc_jetson.golden import encode_golden, most_golden
from ccc_jetson.graph_cost import GraphCost
from ccc_jetson.head import METADATA_KEY as HEAD_KEY
from ccc_jetson.layer_ranges import METADATA_KEY as RANGES_KEY
from ccc_jetson.preprocess import Preprocessor
from ccc_jetson.targets import TENSORRT, Target, target_named

PASS_FRAMES = 48  # real frames at most that passes look at: all of them to see which classes win
_LARGEST_INPUT = 1e30  # float32, with room to compute
STRONGLY_TYPED = (10, 0)  # the TensorRT from which an FP16 graph is of use


class ExportOptions(NamedTuple):
    """What the user may choose; ``None`` takes the recognised network's own, or the target's own passes.

    ``output`` of a network for segmentation is a class map, or ``logits``; a classifier gives ``scores``.
    """

    target: str = "tx2"
    width: int | None = None
    height: int | None = None
    batch: int = 1
    output: str | None = None
    verify_images: Sequence[str] = ()
    verify_labels: str | None = None
    mapping: str | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    scale: float | None = None
    color_order: str | None = None
    classes: str | None = None
    passes: Sequence[str] | None = None
    fp16: bool = False
    arch: str | None = None
    arch_args: Sequence[str] = ()


class Exported(NamedTuple):
    """What was written, for the table. ``cost`` is the graph's before its passes, of which ``passes`` tell."""

    path: str
    contract: Contract
    complexity: Complexity
    cost: GraphCost
    passes: tuple[Record, ...]
    frames: tuple[Agreement, ...]
    golden: int
    opset: int
    ir_version: int
    bytes: int
    seconds: float
    notes: tuple[str, ...]

    @property
    def description(self) -> str:
        return f"{self.contract.architecture.title}: {describe(self.contract.architecture.arguments)}"

    @property
    def worst(self) -> Agreement:
        return worst(self.frames)


def export_onnx(
    checkpoint: str | None, path: str, options: ExportOptions, on_progress: Callable[[str], None] = lambda text: None
) -> Exported:
    """Exports ``checkpoint`` to ``path``; the file appears only after it was verified.

    Without a checkpoint it is the network of ``options.arch`` with random weights, for measuring speed.
    Takes about 20 seconds at 1024x512 on two cores; grows with the input's pixels, the network's FLOPs and the
    number of verified pictures.

    Raises:
        CheckpointError: it cannot be loaded or is no known network.
        UsageError: an option that cannot be.
        VerificationError: the graph does not compute what PyTorch computes.
    """
    started = time.monotonic()
    target = target_named(options.target)
    passes = chosen_passes(target.runtime, options.passes)
    _check_precision(options, target)
    wanted = _wanted(options)
    labelled = LabelledImages.of(options.verify_images, options.verify_labels, options.mapping)
    check_output(path, [given for given in (checkpoint, options.classes, *labelled.files) if given])
    on_progress(f"loading {checkpoint}" if checkpoint else "making random weights")
    recognised, source = _loaded(checkpoint, wanted)
    on_progress(f"recognised {recognised.title}: {describe(recognised.arguments)}")
    defaults = recognised.defaults
    width, height = _size(options, recognised)
    output = _output(options, recognised)
    of_pictures = output.kind == SCORES
    if of_pictures and labelled.evaluated:
        raise UsageError(f"--verify-labels: {recognised.title} gives a picture one class, and its pixels none")
    classes, notes = classes_for(options.classes, recognised.arguments["classes"], defaults.data_set, of_pictures)
    assumed = defaults.note(_given(options))
    notes = (assumed, *notes) if assumed else notes
    preprocessing = _preprocessing(defaults.preprocessing, options)
    contract = Contract(
        architecture=Architecture(recognised.network.name, recognised.title, json_arguments(recognised.arguments)),
        target=target.name,
        precision="fp16" if options.fp16 else "fp32",
        passes=(),
        input=Input(INPUT, width, height, options.batch),
        preprocessing=preprocessing,
        output=output,
        classes=classes,
        ignore_index=IGNORE,
        head=None,
        source=source,
        published=recognised.published,
        verification={},
        half=None,
        attachments={},
        tool=f"ccc-jetson {__version__}",
    )
    shape = (options.batch, 3, height, width)
    on_progress(f"writing the graph (opset {target.opset})")
    exported = build_graph(recognised.module, shape, output.kind, target)
    _flush_denormals(recognised.module)
    original = _subject(exported, contract, labelled.images, defaults.cuts_void)
    subject, records = run_passes(original, passes, lambda record: on_progress(_pass_line(record)))
    head = None if of_pictures else find_head(subject.model, LOGITS)
    graph = finished(as_fp16(subject.model) if options.fp16 else subject.model, target)
    contract = contract._replace(
        passes=tuple(each.name for each in records if each.did and not each.refused),
        preprocessing=preprocessing._replace(scale=preprocessing.scale * subject.scale),
        classes=tuple(classes[number] for number in subject.classes),
        head=None if head is None else head[0],
    )
    if target.fp16 and options.batch > 1:
        notes = (*notes, "FP16 was not simulated: that takes an export with --batch 1")
    if labelled.evaluated and not (target.fp16 and options.batch == 1):
        notes = (*notes, "--verify-labels: nothing was scored, for labels judge the simulated FP16; ccc-eval has mIoU")
    if most_golden(width, height) < GOLDEN_FRAMES:
        notes = (*notes, f"no more than {most_golden(width, height)} golden frames of {width}x{height} fit in a file")
    missing = missing_runtime(target.runtime)
    if missing:
        notes = (*notes, f"verified on ONNX Runtime: {missing}")
    checked = verified(recognised.module, preprocessing, contract, graph, subject, labelled, target, on_progress)
    attachments = {GOLDEN_KEY: encode_golden(list(checked.golden))}
    if head is not None and head[1] is not None:
        attachments[HEAD_KEY] = head[1].to_bytes()
    if checked.layers is not None:
        attachments[RANGES_KEY] = checked.layers
    data = embed(graph.SerializeToString(), checked.contract, attachments)
    written = assert_readable(data, target)
    contract = contract_of(written, path)
    onnx.checker.check_model(onnx.load_from_string(data))
    write_bytes(path, data)
    return Exported(
        path=path,
        contract=contract,
        complexity=count(recognised.module, shape),
        cost=original.cost,
        passes=records,
        frames=checked.frames,
        golden=len(checked.golden),
        opset=written.opset,
        ir_version=written.ir_version,
        bytes=len(data),
        seconds=time.monotonic() - started,
        notes=notes,
    )


def _flush_denormals(network: torch.nn.Module) -> None:
    """PyTorch, too, computes tens of times more slowly with denormal weights; none above 1.2e-38 is touched."""
    for tensor in network.state_dict().values():
        if tensor.dtype == torch.float32:
            tensor.copy_(torch.from_numpy(without_denormals(tensor.numpy())[0]))


def _check_precision(options: ExportOptions, target: Target) -> None:
    if options.fp16 and target.tensorrt < STRONGLY_TYPED:
        raise UsageError(
            f"--fp16 writes a strongly typed graph, which is of use from TensorRT 10 on; {target.title} has "
            + (".".join(map(str, target.tensorrt)) if any(target.tensorrt) else "none"),
            hint="export without --fp16; "
            + (
                "ccc-build-engine --fp16 makes the FP16 engine on the device"
                if target.runtime == TENSORRT
                else "both runtimes for a CPU compute in FP32"
            ),
        )


def _loaded(checkpoint: str | None, wanted: Wanted | None) -> tuple[Recognised, Source]:
    """The network, and where its weights come from."""
    if checkpoint is None:
        if wanted is None:
            raise UsageError(
                "random weights need a network", hint="ccc-export --random-weights --arch ccc1 MODEL.onnx; --list"
            )
        return random_network(wanted)
    loaded = load_checkpoint(checkpoint)
    recognised = recognise(loaded.state, checkpoint, wanted)
    twin = recognised.defaults.twin
    if twin and wanted is None:
        named = named_like(recognised.network, recognised.arguments)
        raise UsageError(
            f"{checkpoint}: has the keys and shapes of {recognised.title}, and those of {twin}",
            hint=f"if it is {recognised.title}, say so: --arch {named.name if named else recognised.network.name}",
        )
    return recognised, Source(checkpoint.replace("\\", "/").rsplit("/", 1)[-1], loaded.sha256)


def _wanted(options: ExportOptions) -> Wanted | None:
    if options.arch is not None:
        return wanted_network(options.arch, options.arch_args)
    if options.arch_args:
        raise UsageError("--arch-args are the arguments of --arch, which is missing", hint="ccc-export --list")
    return None


def _output(options: ExportOptions, recognised: Recognised) -> Output:
    """What the file gives."""
    if recognised.network.task == CLASSIFICATION:
        if options.output not in (None, SCORES):
            raise UsageError(
                f"--output {options.output}: {recognised.title} is a network for {CLASSIFICATION}, it gives {SCORES}",
                hint="leave --output out",
            )
        return Output(SCORES, SCORES, SCORES)
    if options.output == SCORES:
        raise UsageError(
            f"--output {SCORES}: {recognised.title} is a network for {recognised.network.task}",
            hint=f"--output {LOGITS}, or leave it out",
        )
    kind = options.output or CLASS_MAP
    return Output(kind, kind, LOGITS)


def _size(options: ExportOptions, recognised: Recognised) -> tuple[int, int]:
    """Width and height of the input: the user's, else the network's own."""
    network, defaults = recognised.network, recognised.defaults
    width = defaults.width if options.width is None else options.width
    height = defaults.height if options.height is None else options.height
    multiple = network.multiple
    if network.task == CLASSIFICATION and (width, height) != (defaults.width, defaults.height):
        raise UsageError(
            f"--size {width}x{height}: {recognised.title} averages features of one size, that of "
            f"{defaults.width}x{defaults.height}",
            hint="leave --size out; ccc-run resizes pictures to it",
        )
    if width % multiple or height % multiple or min(width, height) < multiple:
        raise UsageError(
            f"--size {width}x{height}: {recognised.title} takes multiples of {multiple}",
            hint=f"--size {_nearest(width, multiple)}x{_nearest(height, multiple)}",
        )
    if not most_golden(width, height):
        raise UsageError(
            f"--size {width}x{height}: no golden frame of that size fits in a file, and no engine could be judged",
            hint="--size 8192x8192 is the largest square that does",
        )
    if options.batch < 1:
        raise UsageError(f"a batch of {options.batch} is none")
    return width, height


def _given(options: ExportOptions) -> set[str]:
    """Those of ``entry.CHOICES`` that are the user's."""
    chosen = {
        "mean": options.mean,
        "std": options.std,
        "size": None if options.height is None else options.width,
        "classes": options.classes,
    }
    return {name for name, choice in chosen.items() if choice is not None}


def _nearest(size: int, multiple: int) -> int:
    return max(multiple, round(size / multiple) * multiple)


def _preprocessing(default: Preprocessing, options: ExportOptions) -> Preprocessing:
    chosen = Preprocessing(
        options.color_order or default.color_order,
        options.mean or default.mean,
        options.std or default.std,
        default.scale if options.scale is None else options.scale,
    )
    numbers = (*chosen.mean, *chosen.std, chosen.scale)
    possible = all(map(math.isfinite, numbers)) and min(chosen.std) > 0 and chosen.scale > 0
    if not possible or not 0 < _largest_input(chosen) < _LARGEST_INPUT:
        raise UsageError(
            "--mean, --std and --scale must be finite, --std and --scale positive, the input no larger than 1e30",
            hint="the input is (pixel - mean) / std * scale",
        )
    return chosen


def _largest_input(given: Preprocessing) -> float:
    """What no input exceeds in magnitude."""
    return (
        max(max(abs(mean), abs(255 - mean)) / std for mean, std in zip(given.mean, given.std, strict=True))
        * given.scale
    )


def _subject(model: ir.Model, contract: Contract, images: Sequence[str], cuts_void: bool) -> Subject:
    """The graph before its passes, with the real frames that they look at.

    ``cuts_void``: outputs that are no classes of the data set may be cut.
    """
    preprocess = Preprocessor(contract)
    chosen = [images[index] for index in spread(len(images), PASS_FRAMES)]
    frames = [
        np.repeat(preprocess(frame), contract.input.batch, axis=0)
        for _, frame in real_frames(contract.input.width, contract.input.height, chosen)
    ]
    optional = [index for index, each in enumerate(contract.classes) if cuts_void and each.train_id == IGNORE]
    return Subject(model, contract.output.logits, frames, _largest_input(contract.preprocessing), optional)


def _pass_line(record: Record) -> str:
    return f"{record.name}: {f'not applied: {record.refused}' if record.refused else record.did or 'nothing to do'}"
