"""What FP16 would do to a network before and after the graph passes, simulated on labelled pictures or a video.

    python benchmarks/half_precision.py CKPT --images DIR [--labels DIR --mapping camvid]
    python benchmarks/half_precision.py CKPT --video FILE [--frames 24]

Weights, biases and every activation are rounded to FP16, sums are FP32; beyond 65,504 comes infinity. Variants: the
network as PyTorch has it; with its normalisations folded, as PyTorch's exporter does by itself; and after all passes
for TensorRT. Time grows with frames x variants; a frame of 1024x512 takes about two seconds a variant on two cores.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ccc_jetson.command import Parser, count_from, run_command
from ccc_jetson.errors import UsageError
from ccc_jetson.export.api import ExportOptions, export_onnx
from ccc_jetson.half_verdict import HalfPrecision
from ccc_jetson.progress import say
from ccc_jetson.runtime.frames.video import VideoFile

VARIANTS = (
    ("as PyTorch has it", ()),
    ("normalisations folded", ("fold-batchnorm",)),
    ("all passes", None),
)


def frames_of(video: str, wanted: int, folder: Path) -> Iterator[Path]:
    """Evenly spread frames of a video, as pictures in ``folder``."""
    with VideoFile(video) as source:
        total = source.total or wanted
        chosen = set(np.linspace(0, total - 1, min(wanted, total)).round().astype(int).tolist())
        index = 0
        while (frame := source.read()) is not None:
            if index in chosen:
                path = folder / f"{index:06d}.png"
                cv2.imwrite(str(path), frame.image)
                yield path
            index += 1


def work(arguments: argparse.Namespace) -> int:
    """Exports every variant and prints its table."""
    if (arguments.video is None) == (arguments.images is None):
        raise UsageError("one of --images and --video is needed")
    with tempfile.TemporaryDirectory() as folder:
        images = [arguments.images]
        if arguments.video is not None:
            images = [str(path) for path in frames_of(arguments.video, arguments.frames, Path(folder))]
        rows = []
        for title, passes in VARIANTS:
            say(title)
            options = ExportOptions(
                passes=passes, verify_images=images, verify_labels=arguments.labels, mapping=arguments.mapping
            )
            exported = export_onnx(arguments.checkpoint, str(Path(folder) / "model.onnx"), options, say)
            assert exported.contract.half is not None  # the default target has FP16
            rows.append((title, exported.contract.half))
    print("\n".join(table(rows)))
    return 0


def table(rows: list[tuple[str, HalfPrecision]]) -> list[str]:
    """Aligned lines: mean and worst frame."""
    titles = ("same class", "worst", "decided", "worst", "weight", "activation")
    lines = [" " * 24 + "{:>12}{:>10}{:>10}{:>10}{:>12}{:>12}  mIoU".format(*titles)]
    for title, half in rows:
        miou = "" if half.miou_fp32 is None else f"{half.miou_fp32:.4f} FP32, {half.miou_fp16:.4f} FP16"
        lines.append(
            f"{title:<24}{half.agreement:>12.3%}{half.agreement_worst:>10.3%}{half.decided:>10.3%}"
            f"{half.decided_worst:>10.3%}{half.largest_weight:>12.6g}{half.largest_activation:>12.6g}  {miou}"
        )
    return [line.rstrip() for line in lines]


def main() -> int:
    """Entry point."""
    parser = Parser("half_precision.py", __doc__, "python benchmarks/half_precision.py CKPT --video drive.mp4")
    parser.add_argument("checkpoint", metavar="CKPT")
    parser.add_argument("--images", metavar="DIR", help="a folder of pictures")
    parser.add_argument("--labels", metavar="DIR", help="their label maps, for mIoU")
    parser.add_argument("--mapping", metavar="NAME", help="what label maps mean, as for ccc-eval")
    parser.add_argument("--video", metavar="FILE")
    parser.add_argument("--frames", type=count_from(1), default=24, metavar="N", help="of the video (default: 24)")
    return run_command(parser, work)


if __name__ == "__main__":
    sys.exit(main())
