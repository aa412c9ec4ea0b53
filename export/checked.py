"""An exported graph beside PyTorch, on every frame, in FP32 and in simulated FP16; what of that travels in the file."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import onnx
import torch

from ccc_jetson.contract import CLASS_MAP, Contract, Output, Preprocessing
from ccc_jetson.cpu_session import open_cpu_session
from ccc_jetson.export.half_report import HalfJudge, layer_ranges
from ccc_jetson.export.labelled import LabelledImages
from ccc_jetson.export.onnx_graph import INPUT
from ccc_jetson.export.passes.subject import Subject
from ccc_jetson.export.verify import Agreement, Verified, probe_frames, verify, worst
from ccc_jetson.golden import Golden, GoldenScores, golden_frame
from ccc_jetson.layer_ranges import encode_layer_ranges
from ccc_jetson.onnx_file import with_extra_outputs
from ccc_jetson.preprocess import Preprocessor
from ccc_jetson.targets import Target

RANGE_FRAMES = 2  # real frames whose ranges and FP16 errors travel with the file


class Checked(NamedTuple):
    """What verification found, and the attachments that come of it."""

    frames: tuple[Agreement, ...]
    golden: tuple[Golden, ...]
    contract: Contract
    layers: bytes | None


def verified(
    network: torch.nn.Module,
    preprocessing: Preprocessing,
    contract: Contract,
    graph: onnx.ModelProto,
    subject: Subject,
    labelled: LabelledImages,
    target: Target,
    on_progress: Callable[[str], None],
) -> Checked:
    """Runs the file beside PyTorch on all frames, and simulated FP16 beside both where the target has FP16."""
    run = _runner(graph.SerializeToString(), contract.output, target, on_progress)
    has_half = target.fp16 and contract.input.batch == 1
    judge = HalfJudge(subject.model, contract.output.logits, labelled.evaluated) if has_half else None
    resized = Preprocessor(contract).resized
    frames: list[Agreement] = []
    golden: list[Golden] = []
    seen: list[np.ndarray] = []
    probes = probe_frames(contract.input.width, contract.input.height, labelled.images)
    for result in verify(network, run, preprocessing, contract, subject.classes, probes):
        on_progress(_agreement_line(result))
        frames.append(result.agreement)
        if result.probe.golden:
            golden.append(_golden(contract, result, resized(result.probe.frame)))
        if judge is not None and result.probe.real:
            judge.add(result.image, result.expected, labelled.labels(result.probe.name, contract))
            seen = [*seen, result.image][:RANGE_FRAMES]
    total = worst(frames)
    contract = contract._replace(
        verification={
            "frames": float(len(frames)),
            "argmax_agreement": total.argmax,
            "max_absolute_error": total.absolute,
            "max_relative_error": total.relative,
        }
    )
    if judge is None:
        return Checked(tuple(frames), tuple(golden), contract, None)
    on_progress("measuring what FP16 does to each layer")
    layers = layer_ranges(subject.model, seen)
    half = judge.verdict(max(each.largest for each in layers))
    return Checked(tuple(frames), tuple(golden), contract._replace(half=half), encode_layer_ranges(layers))


def _golden(contract: Contract, result: Verified, frame: np.ndarray) -> Golden:
    if contract.is_classifier:
        return GoldenScores(result.probe.name, np.array(frame, order="C"), result.expected[0])
    return golden_frame(result.probe.name, frame, result.expected[0])


def _runner(
    model: bytes, output: Output, target: Target, on_progress: Callable[[str], None]
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The exported bytes on the target's runtime, or on ONNX Runtime: input -> logits or scores, classes."""
    inner = output.kind == CLASS_MAP
    data = with_extra_outputs(model, [output.logits]) if inner else model
    opened = open_cpu_session(data, "the exported graph", target.runtime)
    on_progress(f"verifying on {opened.runtime} {opened.version}" + (f"; {opened.missing}" if opened.missing else ""))
    session = opened.session

    def run(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        results = session.run([output.logits, CLASS_MAP] if inner else [output.logits], {INPUT: image})
        logits = results[0].copy()  # the next run overwrites the results
        return logits, results[1].copy() if inner else logits.argmax(axis=1)

    return run


def _agreement_line(result: Verified) -> str:
    found = result.agreement
    return f"verified on {found.name}: {found.argmax:.4%} same class, largest error {found.absolute:.2g}"
