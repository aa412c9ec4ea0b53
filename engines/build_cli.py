"""``ccc-build-engine``: model.onnx -> model.engine, on the device."""

import argparse
import os
import sys
from typing import Any, Optional, Sequence

from ccc_jetson.api import build_engine
from ccc_jetson.choices import CALIBRATION_SAMPLES as SAMPLES
from ccc_jetson.choices import CALIBRATORS, FITS
from ccc_jetson.command import Parser, count_from, run_command
from ccc_jetson.engines.arguments import agreement, layer_precision, workspace
from ccc_jetson.engines.manifest import OUTPUTS
from ccc_jetson.errors import UsageError

DEFAULT_MODEL = "model.onnx"
EXAMPLE = """\
ccc-build-engine --fp16
ccc-build-engine --fp16 --profile c3.onnx -o c3.engine"""


def build_parser() -> argparse.ArgumentParser:
    """The command line; pure."""
    parser = Parser(
        "ccc-build-engine",
        "Build the TensorRT engine of an exported model on the machine that will run it, judge it on the golden\n"
        "frames that travel in the model's file, and write it with a manifest beside it. Takes minutes on a board;\n"
        "what was timed is kept, and an engine that is there already is not built again.",
        EXAMPLE,
    )
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL.onnx", help="default: %(default)s")
    parser.add_argument("-o", "--engine", metavar="FILE", help="default: the model's name with .engine")
    precision = parser.add_argument_group("precision (default: FP16 where the hardware is fast at it)")
    for name, text in (
        ("fp16", "allow half precision"),
        ("int8", "allow INT8; not on a TX2 or Nano, which have no units for it"),
        ("fp32", "nothing but FP32"),
        ("best", "every precision that this hardware has"),
    ):
        precision.add_argument("--" + name, dest="precisions", action="append_const", const=name, help=text)
    precision.add_argument(
        "--layer-precision",
        metavar="PATTERN=fp32|fp16",
        action="append",
        default=[],
        type=layer_precision,
        help="of layers or tensors whose name fits the pattern (* is anything); may be repeated",
    )
    calibration = parser.add_argument_group("calibration (INT8)")
    calibration.add_argument(
        "--calib",
        metavar="FILE|IMAGES",
        action="append",
        default=[],
        help="ranges for --int8: a calibration cache, or frames to calibrate on here (a folder, a list, a video, the "
        "folder of Cityscapes; may be repeated), of which a cache beside the engine comes",
    )
    calibration.add_argument(
        "--calib-samples", metavar="N", type=count_from(1), help="frames (default: {})".format(SAMPLES)
    )
    calibration.add_argument("--calib-seed", metavar="N", type=count_from(0), help="chooses frames (default: 0)")
    calibration.add_argument(
        "--calib-algorithm",
        choices=CALIBRATORS,
        help="TensorRT's calibrator (default: {})".format(CALIBRATORS[0]),
    )
    calibration.add_argument(
        "--calib-fit",
        choices=FITS,
        help="how frames of other proportions meet the network's input: as ccc-run will, crop for a camera (default: "
        "{})".format(FITS[0]),
    )
    calibration.add_argument(
        "--calib-not-in",
        metavar="IMAGES",
        action="append",
        default=[],
        help="frames of the evaluation, which must not calibrate; may be repeated",
    )
    engine = parser.add_argument_group("engine")
    engine.add_argument(
        "--output",
        choices=OUTPUTS,
        help="what the engine gives: the tensor before the head, which the runtime computes itself (default), "
        "full-resolution logits, or the network as it was exported (classes; scores of a classifier)",
    )
    engine.add_argument(
        "--workspace",
        metavar="auto|MIB",
        type=workspace,
        help="scratch memory for layers (default: auto, a quarter of what is available)",
    )
    engine.add_argument("--dla", metavar="N", type=count_from(0), help="run what it can on this DLA core")
    engine.add_argument("--contract", metavar="FILE", help="instead of the file's own, for models of other tools")
    build = parser.add_argument_group("build")
    gate = build.add_mutually_exclusive_group()
    gate.add_argument("--no-gate", action="store_true", help="do not judge the engine; the manifest says so")
    gate.add_argument(
        "--min-agreement",
        metavar="PERCENT",
        type=agreement,
        help="of the decided pixels of every golden frame must keep FP32's class (default: 99.5, in INT8 what "
        "ccc-calibrate found, less 2, and at least 50)",
    )
    build.add_argument("--timing-cache", metavar="FILE", default="", help="instead of the one in ~/.cache/ccc-jetson")
    build.add_argument("--no-timing-cache", action="store_true", help="time every layer anew, and keep nothing")
    build.add_argument("--rebuild", action="store_true", help="build even if the same engine is there already")
    build.add_argument("--force", action="store_true", help="try what the hardware or the parser is not made for")
    build.add_argument("--no-kernels", action="store_true", help="do not compile the runtime's CUDA kernels with nvcc")
    build.add_argument("--profile", action="store_true", help="time every layer: a table, and JSON beside the engine")
    build.add_argument("--verbose", action="store_true", help="show all that TensorRT says")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(build_parser(), _work, argv)


def _work(arguments: argparse.Namespace) -> int:
    if arguments.no_timing_cache and arguments.timing_cache:
        raise UsageError("--timing-cache and --no-timing-cache contradict each other")
    from ccc_jetson.engines.build_progress import BuildProgress

    precisions = arguments.precisions or ()
    progress = BuildProgress()
    try:
        built = build_engine(
            arguments.model,
            arguments.engine,
            fp16="fp16" in precisions,
            int8="int8" in precisions,
            fp32="fp32" in precisions,
            best="best" in precisions,
            layer_precision=arguments.layer_precision,
            calib=arguments.calib,
            calib_samples=arguments.calib_samples,
            calib_seed=arguments.calib_seed,
            calib_algorithm=arguments.calib_algorithm,
            calib_fit=arguments.calib_fit,
            calib_not_in=arguments.calib_not_in,
            output=arguments.output,
            workspace=arguments.workspace,
            dla=arguments.dla,
            contract=arguments.contract,
            gate=not arguments.no_gate,
            min_agreement=arguments.min_agreement,
            timing_cache=None if arguments.no_timing_cache else arguments.timing_cache,
            rebuild=arguments.rebuild,
            force=arguments.force,
            kernels=not arguments.no_kernels,
            profile=arguments.profile,
            verbose=arguments.verbose,
            on_event=progress,
        )
    finally:
        progress.close()
    from ccc_jetson.engines.build_text import built_page

    print(built_page(built))
    if built.profile is not None:
        _write_layers(built.path, built)
    if built.problem is not None:
        sys.stdout.flush()
        raise built.problem
    return 0


def _write_layers(path: str, built: Any) -> None:
    from ccc_jetson.engines.layer_report import layer_report
    from ccc_jetson.files import write_text

    assert built.profile is not None
    report = layer_report(built.profile, built.model.file)
    print("\n" + report.to_text())
    target = os.path.splitext(path)[0] + ".layers.json"
    write_text(target, report.to_json())
    print("\nlayers       {}".format(target))
