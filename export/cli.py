"""``ccc-export``: checkpoint -> verified ONNX file. Starts on Python 3.6 too, to say that it does not run there."""

import argparse
import json
from typing import Any, List, Optional, Tuple

from ccc_jetson.api import EXPORT_NEEDS, export_onnx
from ccc_jetson.command import Parser, count_from, run_command, runs_here, size
from ccc_jetson.contract import OUTPUT_KINDS
from ccc_jetson.errors import UsageError
from ccc_jetson.progress import say
from ccc_jetson.targets import DEFAULT_TARGET, TARGETS


def build_parser() -> argparse.ArgumentParser:
    """The command line; pure."""
    parser = Parser(
        "ccc-export",
        "Export a trained network to an ONNX file that carries its contract, and verify it against PyTorch.\n"
        "Nothing in the checkpoint is executed. Runs on the workstation (Python 3.10 or newer).",
        "ccc-export C3Net_setting2.pth model.onnx\n"
        "ccc-export weights.pth model.onnx --classes names.txt --verify-images photos/",
    )
    parser.add_argument("checkpoint", nargs="?", metavar="CHECKPOINT", help=".pth, .pt or .safetensors")
    parser.add_argument("onnx", nargs="?", metavar="MODEL.onnx", help="file to write")
    parser.add_argument(
        "--target",
        default=DEFAULT_TARGET,
        choices=[target.name for target in TARGETS],
        help="what it is for: decides the graph passes, opset and IR version; cpu is OpenVINO on a PC "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--size", type=size, metavar="WxH", help="network input (default: the network's own, mostly 1024x512)"
    )
    parser.add_argument("--batch", type=count_from(1), default=1, metavar="N", help="frames per run (default: 1)")
    parser.add_argument(
        "--output",
        choices=OUTPUT_KINDS,
        help="what the file gives: class_map (int32 class numbers, the default) or logits (float32); scores where "
        "the network classifies whole pictures",
    )
    parser.add_argument(
        "--fp16",
        action="store_true",
        help="weights and activations in FP16, for TensorRT 10 and newer (strongly typed)",
    )
    parser.add_argument("--list", action="store_true", help="every known network, counted and as the paper prints it")
    parser.add_argument("--json", action="store_true", help="--list for machines")
    group = parser.add_argument_group("the network, where its weights leave something open")
    group.add_argument(
        "--arch", metavar="NAME", help="what the checkpoint is (--list has the names); checked against it"
    )
    group.add_argument(
        "--arch-args", nargs="+", default=[], metavar="KEY=VALUE", help="its arguments, as dilations=2,4,8,16"
    )
    group.add_argument(
        "--random-weights",
        action="store_true",
        help="no checkpoint: the network of --arch untrained, for measuring speed; every output says so",
    )
    group = parser.add_argument_group("verification")
    group.add_argument(
        "--verify-images", nargs="+", default=[], metavar="PATH", help="pictures or folders to verify on as well"
    )
    group.add_argument("--verify-labels", metavar="DIR", help="label maps of the pictures: mIoU of FP32 and FP16")
    group.add_argument(
        "--mapping", metavar="NAME", help="what label maps mean: camvid, trainids, labelids, or a JSON file"
    )
    group = parser.add_argument_group("graph passes")
    which = group.add_mutually_exclusive_group()
    which.add_argument("--passes", nargs="+", metavar="NAME", help="only these, in their own order")
    which.add_argument("--no-passes", action="store_true", help="none: the graph as PyTorch has it")
    group.add_argument(
        "--explain", action="store_true", help="say of every pass why, how exact, and for what; then stop"
    )
    group = parser.add_argument_group("preprocessing, where the recognised network's default is wrong")
    for name in ("mean", "std"):
        group.add_argument("--" + name, nargs=3, type=float, metavar="X", help="one per channel, in the colour order")
    group.add_argument("--scale", type=float, metavar="X", help="factor after (pixel - mean) / std")
    group.add_argument("--color-order", choices=("BGR", "RGB"), help="order of the channels")
    group.add_argument("--classes", metavar="FILE", help="class names, one a line; JSON for colours and train ids")
    return parser


def main(argv: Optional[List[str]] = None) -> int:
    """Runs the command; returns its exit code."""
    if not runs_here("ccc-export", EXPORT_NEEDS, "copy the exported .onnx file to the device"):
        return UsageError.exit_code
    return run_command(build_parser(), _export, argv)


def _export(arguments: argparse.Namespace) -> int:
    if arguments.json and not arguments.list:
        raise UsageError("--json is for --list", hint="ccc-export --list --json")
    if arguments.random_weights:
        if arguments.onnx is not None:
            raise UsageError(
                "--random-weights takes no CHECKPOINT", hint="ccc-export --random-weights --arch ccc1 MODEL.onnx"
            )
        arguments.checkpoint, arguments.onnx = None, arguments.checkpoint
    if not (arguments.explain or arguments.list) and arguments.onnx is None:
        half = arguments.checkpoint is not None or arguments.random_weights
        missing = "MODEL.onnx is" if half else "CHECKPOINT and MODEL.onnx are"
        hint = "ccc-export C3Net_setting2.pth model.onnx"
        if any("=" not in each for each in arguments.arch_args):
            hint = "put it in front of --arch-args, which takes all that follows"
        elif arguments.random_weights:
            hint = "ccc-export --random-weights MODEL.onnx --arch ccc1"
        raise UsageError(missing + " missing", hint=hint)
    say("starting PyTorch")
    from ccc_jetson.export.packages import needed_packages

    with needed_packages():
        import torch

        from ccc_jetson.export.passes.order import explained
    if arguments.explain:
        print("\n\n".join(explained()))
        return 0
    if arguments.list:
        return _list(arguments.json)
    torch.set_flush_denormal(True)  # of activations: this process does nothing else
    exported = export_onnx(
        arguments.checkpoint,
        arguments.onnx,
        target=arguments.target,
        size=arguments.size,
        batch=arguments.batch,
        output=arguments.output,
        fp16=arguments.fp16,
        arch=arguments.arch,
        arch_args=arguments.arch_args,
        verify_images=arguments.verify_images,
        verify_labels=arguments.verify_labels,
        mapping=arguments.mapping,
        passes=() if arguments.no_passes else arguments.passes,
        mean=arguments.mean,
        std=arguments.std,
        scale=arguments.scale,
        color_order=arguments.color_order,
        classes=arguments.classes,
        say=say,
    )
    for note in exported.notes:
        say("note: " + note)
    for line in pass_table(exported):
        print(line)
    for label, text in table(exported):
        print("{:<11} {}".format(label, text))
    return 0


def _list(as_json: bool) -> int:
    from ccc_jetson.export.network_list import listed, text_table, to_json

    say("counting")
    networks = listed()
    print(json.dumps(to_json(networks), indent=1) if as_json else "\n".join(text_table(networks)))
    return 0


def table(exported: Any) -> List[Tuple[str, str]]:
    """The rows of the table that ends an export (``exported`` is an ``api.Exported``)."""
    contract, worst = exported.contract, exported.worst
    half = contract.half.sentences(contract.is_classifier) if contract.half is not None else ()
    verified = "{:.4%} of the pixels in the worst".format(worst.argmax)
    if contract.is_classifier:
        verified = _verified_pictures(exported.frames)
    return [
        ("network", exported.description),
        ("parameters", "{:,}".format(exported.complexity.parameters)),
        (
            "FLOPs",
            "{:.4f} G by the paper's Table 5; {:.4f} G multiply-adds in convolutions".format(
                exported.complexity.flops / 1e9, exported.complexity.macs / 1e9
            ),
        ),
        (
            "verified",
            "on {} frames: same class for {}, largest error {:.2g} ({:.1g} relative)".format(
                len(exported.frames), verified, worst.absolute, worst.relative
            ),
        ),
        *[("" if index else "FP16", text) for index, text in enumerate(half)],
        ("input", "{0.batch}x3x{0.height}x{0.width} float32, {1}".format(contract.input, _formula(contract))),
        ("output", "{} of {} classes".format(contract.output.kind, len(contract.classes))),
        (
            "file",
            "{}, {:.2f} MB, opset {}, IR {}, {} golden frames".format(
                exported.path,
                exported.bytes / 1e6,
                exported.opset,
                exported.ir_version,
                exported.golden,
            ),
        ),
        ("time", "{:.1f} s".format(exported.seconds)),
    ]


def _verified_pictures(frames: Any) -> str:
    """Of how many frames a classifier's file finds PyTorch's class, one as good, or another (in FP16, of noise)."""
    same = sum(frame.argmax == 1 for frame in frames)
    good = sum(frame.good == 1 for frame in frames) - same
    other = len(frames) - same - good
    return "{} of them{}{}".format(
        same if same < len(frames) else "all",
        ", one as good for {}".format(good) if good else "",
        ", another for {} that {} no picture".format(other, "are" if other > 1 else "is") if other else "",
    )


def pass_table(exported: Any) -> List[str]:
    """What every pass did, and what the graph costs after it; bytes as if no layer were fused with another."""
    rows = [("as exported", exported.cost, "")]
    for record in exported.passes:
        rows.append((record.name, record.cost, "not applied: " + record.refused if record.refused else record.did))
    lines = ["{:<28}{:>6}{:>9}{:>10}{:>16}".format("pass", "nodes", "GFLOP", "MB moved", "largest weight")]
    for name, cost, did in rows:
        numbers = "{:>6}{:>9}{:>10}{:>16.6g}".format(
            cost.nodes, _scaled(cost.flops, 1e9, 4), _scaled(cost.bytes_moved, 1e6, 0), cost.largest_weight or 0.0
        )
        lines.append("{:<28}{}  {}".format(name, numbers, did).rstrip())
    return [*lines, ""]


def _scaled(value: Optional[int], unit: float, digits: int) -> str:
    return "unknown" if value is None else "{:.{}f}".format(value / unit, digits)


def _formula(contract: Any) -> str:
    p = contract.preprocessing
    return "{} (pixel - {}) / {} * {:.6g}".format(
        p.color_order, *("[{:.2f} {:.2f} {:.2f}]".format(*three) for three in (p.mean, p.std)), p.scale
    )
