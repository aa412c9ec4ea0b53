"""Checkpoint in, verified ONNX file with its contract out: the work behind ``ccc-export``."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from torch import Tensor

from ccc_jetson import __version__
from ccc_jetson.carried import contract_of, embed
from ccc_jetson.cityscapes import IGNORE
from ccc_jetson.contract import MAX_CLASSES, Architecture, Class, Contract, Input, Output, Preprocessing, Source
from ccc_jetson.errors import UsageError
from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.classes import default_classes, numbered_classes, read_classes
from ccc_jetson.export.complexity import Complexity, count
from ccc_jetson.export.networks.registry import Recognised, describe, recognise
from ccc_jetson.export.onnx_graph import (
    CLASS_MAP,
    INPUT,
    LOGITS,
    Graph,
    assert_readable,
    build_graph,
    without_denormals,
)
from ccc_jetson.export.verify import Agreement, Verification, verify
from ccc_jetson.files import check_output, write_bytes
from ccc_jetson.golden import METADATA_KEY as GOLDEN_KEY
from ccc_jetson.golden import encode_golden
from ccc_jetson.head import METADATA_KEY as HEAD_KEY
from ccc_jetson.images import list_images
from ccc_jetson.onnx_file import parse_onnx, with_extra_outputs
from ccc_jetson.ort import cpu_session
from ccc_jetson.targets import target_named


class ExportOptions(NamedTuple):
    """What the user may choose; ``None`` takes the recognised network's own."""

    target: str = "tx2"
    width: int = 1024
    height: int = 512
    batch: int = 1
    output: str = CLASS_MAP
    verify_images: Sequence[str] = ()
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    scale: float | None = None
    color_order: str | None = None
    classes: str | None = None


class Exported(NamedTuple):
    """What was written, for the table."""

    path: str
    contract: Contract
    complexity: Complexity
    nodes_before: int
    nodes_after: int
    denormals: int
    verification: Verification
    opset: int
    ir_version: int
    bytes: int
    seconds: float
    notes: tuple[str, ...]

    @property
    def description(self) -> str:
        return f"{self.contract.architecture.title}: {describe(self.contract.architecture.arguments)}"


def export_onnx(
    checkpoint: str, path: str, options: ExportOptions, on_progress: Callable[[str], None] = lambda text: None
) -> Exported:
    """Exports ``checkpoint`` to ``path``; the file appears only after it was verified.

    Takes about 15 s at 1024x512 on two cores; grows with the input's pixels and the number of verified pictures.

    Raises:
        CheckpointError: it cannot be loaded or is no known network.
        UsageError: an option that cannot be.
        VerificationError: the graph does not compute what PyTorch computes.
    """
    started = time.monotonic()
    target = target_named(options.target)
    images = list_images(list(options.verify_images)) if options.verify_images else []
    check_output(path, [checkpoint, *images, *([options.classes] if options.classes else [])])
    on_progress(f"loading {checkpoint}")
    loaded = load_checkpoint(checkpoint)
    state, denormals = _without_denormals(loaded.state)
    recognised = recognise(state, checkpoint)
    on_progress(f"recognised {recognised.title}: {describe(recognised.arguments)}")
    _check_size(options, recognised)
    shape = (options.batch, 3, options.height, options.width)
    classes, notes = _classes(options.classes, recognised.arguments["classes"])
    preprocessing = _preprocessing(recognised.network.preprocessing, options)
    on_progress(f"writing the graph (opset {target.opset}) and simplifying it")
    graph = build_graph(recognised.module, shape, options.output, target)
    contract = Contract(
        architecture=Architecture(recognised.network.name, recognised.title, _json_arguments(recognised.arguments)),
        input=Input(INPUT, options.width, options.height, options.batch),
        preprocessing=preprocessing,
        output=Output(options.output, options.output, LOGITS),
        classes=classes,
        ignore_index=IGNORE,
        head=graph.head,
        source=Source(checkpoint.replace("\\", "/").rsplit("/", 1)[-1], loaded.sha256),
        published=recognised.published,
        verification={},
        attachments={},
        tool=f"ccc-jetson {__version__}",
    )
    model = graph.model.SerializeToString()
    verification = verify(
        recognised.module,
        _runner(model, options.output),
        contract,
        images,
        lambda frame: on_progress(_agreement_line(frame)),
    )
    data = _with_contract(model, contract, graph, verification)
    written = parse_onnx(data, path)  # as a device reads it
    contract = contract_of(written, path)
    assert_readable(written, target)
    onnx.checker.check_model(onnx.load_from_string(data))
    write_bytes(path, data)
    return Exported(
        path=path,
        contract=contract,
        complexity=count(recognised.module, shape),
        nodes_before=graph.nodes_before,
        nodes_after=len(graph.model.graph.node),
        denormals=denormals + graph.denormals,
        verification=verification,
        opset=written.opset,
        ir_version=written.ir_version,
        bytes=len(data),
        seconds=time.monotonic() - started,
        notes=notes,
    )


def _without_denormals(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """Weights that slow a CPU down tens of times and change nothing: none above 1.2e-38 is touched."""
    flushed, count_of_all = dict(state), 0
    for key, tensor in state.items():
        if tensor.dtype == torch.float32:
            array, denormals = without_denormals(tensor.numpy())
            if denormals:
                flushed[key] = torch.from_numpy(array)
                count_of_all += denormals
    return flushed, count_of_all


def _check_size(options: ExportOptions, recognised: Recognised) -> None:
    multiple = recognised.network.multiple
    if options.width % multiple or options.height % multiple or min(options.width, options.height) < multiple:
        raise UsageError(
            f"--size {options.width}x{options.height}: {recognised.title} takes multiples of {multiple}",
            hint=f"--size {_nearest(options.width, multiple)}x{_nearest(options.height, multiple)}",
        )
    if options.batch < 1:
        raise UsageError(f"a batch of {options.batch} is none")


def _nearest(size: int, multiple: int) -> int:
    return max(multiple, round(size / multiple) * multiple)


def _classes(path: str | None, outputs: int) -> tuple[tuple[Class, ...], tuple[str, ...]]:
    if outputs > MAX_CLASSES:
        raise UsageError(f"the network has {outputs} outputs; class maps of 8 bits hold {MAX_CLASSES} classes")
    if path is not None:
        return read_classes(path, outputs), ()
    classes = default_classes(outputs)
    if classes is not None:
        return classes, ()
    return numbered_classes(outputs), (
        f"the names of the {outputs} classes are unknown; give them with --classes FILE (one name a line)",
    )


def _preprocessing(default: Preprocessing, options: ExportOptions) -> Preprocessing:
    chosen = Preprocessing(
        options.color_order or default.color_order,
        options.mean or default.mean,
        options.std or default.std,
        default.scale if options.scale is None else options.scale,
    )
    numbers = (*chosen.mean, *chosen.std, chosen.scale)
    if not all(map(math.isfinite, numbers)) or min(chosen.std) <= 0 or chosen.scale <= 0:
        raise UsageError(
            "--mean, --std and --scale must be finite, --std and --scale positive",
            hint="the input is (pixel - mean) / std * scale",
        )
    return chosen


def _json_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in arguments.items()}


def _runner(model: bytes, output: str) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The exported bytes on ONNX Runtime: input -> logits, classes."""
    inner = output == CLASS_MAP
    data = with_extra_outputs(model, [LOGITS]) if inner else model
    session = cpu_session(data, "the exported graph")

    def run(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        results = session.run([LOGITS, CLASS_MAP] if inner else [LOGITS], {INPUT: image})
        return results[0], results[1] if inner else results[0].argmax(axis=1)

    return run


def _agreement_line(frame: Agreement) -> str:
    return f"verified on {frame.name}: {frame.argmax:.4%} same class, largest error {frame.absolute:.2g}"


def _with_contract(model: bytes, contract: Contract, graph: Graph, verification: Verification) -> bytes:
    worst = verification.worst
    contract = contract._replace(
        verification={
            "frames": float(len(verification.frames)),
            "argmax_agreement": worst.argmax,
            "max_absolute_error": worst.absolute,
            "max_relative_error": worst.relative,
        }
    )
    attachments = {GOLDEN_KEY: encode_golden(list(verification.golden))}
    if graph.head_weights is not None:
        attachments[HEAD_KEY] = graph.head_weights.to_bytes()
    return embed(model, contract, attachments)
