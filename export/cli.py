"""``ccc-export``: checkpoint -> verified ONNX file. Starts on Python 3.6 too, to say that it does not run there."""

import argparse
import sys
from typing import Any, List, Optional, Tuple

from ccc_jetson.command import Parser, count_from, run_command, size
from ccc_jetson.contract import OUTPUT_KINDS
from ccc_jetson.errors import DependencyMissing, UsageError
from ccc_jetson.progress import say
from ccc_jetson.targets import DEFAULT_TARGET, TARGETS

NEEDS = (3, 10)


def build_parser() -> argparse.ArgumentParser:
    """The command line; pure."""
    parser = Parser(
        "ccc-export",
        "Export a trained network to an ONNX file that carries its contract, and verify it against PyTorch.\n"
        "Nothing in the checkpoint is executed. Runs on the workstation (Python 3.10 or newer).",
        "ccc-export C3Net_setting2.pth model.onnx\n"
        "ccc-export weights.pth model.onnx --classes names.txt --verify-images photos/",
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=".pth, .pt or .safetensors with a state dict")
    parser.add_argument("onnx", metavar="MODEL.onnx", help="file to write")
    parser.add_argument(
        "--target",
        default=DEFAULT_TARGET,
        choices=[target.name for target in TARGETS],
        help="board it is for; decides opset and IR version (default: %(default)s)",
    )
    parser.add_argument(
        "--size", type=size, default=(1024, 512), metavar="WxH", help="network input (default: 1024x512)"
    )
    parser.add_argument("--batch", type=count_from(1), default=1, metavar="N", help="frames per run (default: 1)")
    parser.add_argument(
        "--output",
        choices=OUTPUT_KINDS,
        default="class_map",
        help="what the network gives: int32 class numbers, or float32 logits (default: %(default)s)",
    )
    parser.add_argument(
        "--verify-images", nargs="+", default=[], metavar="PATH", help="pictures or folders to verify on as well"
    )
    group = parser.add_argument_group("preprocessing, where the recognised network's default is wrong")
    for name in ("mean", "std"):
        group.add_argument("--" + name, nargs=3, type=float, metavar="X", help="one per channel, in the colour order")
    group.add_argument("--scale", type=float, metavar="X", help="factor after (pixel - mean) / std")
    group.add_argument("--color-order", choices=("BGR", "RGB"), help="order of the channels")
    group.add_argument("--classes", metavar="FILE", help="class names, one a line, or JSON with colours and train ids")
    return parser


def main(argv: Optional[List[str]] = None) -> int:
    """Runs the command; returns its exit code."""
    if sys.version_info < NEEDS:
        print(
            "ccc-export: error: runs on the workstation, with Python {}.{} or newer; this is Python {}.{} "
            "(copy the exported .onnx file to the device)".format(*(NEEDS + sys.version_info[:2])),
            file=sys.stderr,
        )
        return UsageError.exit_code
    return run_command(build_parser(), _export, argv)


def _export(arguments: argparse.Namespace) -> int:
    say("starting PyTorch")
    try:
        import torch

        from ccc_jetson.export.api import ExportOptions, export_onnx
    except ImportError as error:
        raise DependencyMissing(
            "{} cannot be imported".format(error.name or error),
            hint='in the checkout: pip install ".[export]" --extra-index-url https://download.pytorch.org/whl/cpu',
        )
    torch.set_flush_denormal(True)  # of activations: this process does nothing else
    width, height = arguments.size
    options = ExportOptions(
        target=arguments.target,
        width=width,
        height=height,
        batch=arguments.batch,
        output=arguments.output,
        verify_images=arguments.verify_images,
        mean=_three(arguments.mean),
        std=_three(arguments.std),
        scale=arguments.scale,
        color_order=arguments.color_order,
        classes=arguments.classes,
    )
    exported = export_onnx(arguments.checkpoint, arguments.onnx, options, on_progress=say)
    for note in exported.notes:
        say("note: " + note)
    for label, text in table(exported):
        print("{:<11} {}".format(label, text))
    return 0


def table(exported: Any) -> List[Tuple[str, str]]:
    """The rows of the table that ends an export (``exported`` is an ``api.Exported``)."""
    contract, worst = exported.contract, exported.verification.worst
    verified = "on {} frames: same class for {:.4%} of the pixels in the worst, largest error {:.2g} ({:.1g} relative)"
    return [
        ("network", exported.description),
        ("parameters", "{:,}".format(exported.complexity.parameters)),
        (
            "FLOPs",
            "{:.4f} G by the paper's Table 5; {:.4f} G multiply-adds in convolutions".format(
                exported.complexity.flops / 1e9, exported.complexity.macs / 1e9
            ),
        ),
        ("nodes", "{} exported, {} written".format(exported.nodes_before, exported.nodes_after)),
        ("denormals", "{} weights set to zero".format(exported.denormals)),
        (
            "verified",
            verified.format(len(exported.verification.frames), worst.argmax, worst.absolute, worst.relative),
        ),
        ("input", "{0.batch}x3x{0.height}x{0.width} float32, {1}".format(contract.input, _formula(contract))),
        ("output", "{} of {} classes".format(contract.output.kind, len(contract.classes))),
        (
            "file",
            "{}, {:.2f} MB, opset {}, IR {}, {} golden frames".format(
                exported.path,
                exported.bytes / 1e6,
                exported.opset,
                exported.ir_version,
                len(exported.verification.golden),
            ),
        ),
        ("time", "{:.1f} s".format(exported.seconds)),
    ]


def _formula(contract: Any) -> str:
    p = contract.preprocessing
    return "{} (pixel - {}) / {} * {:.6g}".format(
        p.color_order, *("[{:.2f} {:.2f} {:.2f}]".format(*three) for three in (p.mean, p.std)), p.scale
    )


def _three(values: Optional[List[float]]) -> Optional[Tuple[float, float, float]]:
    return None if values is None else (values[0], values[1], values[2])
