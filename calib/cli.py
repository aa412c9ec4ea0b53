"""``ccc-calibrate``: INT8's ranges off the device, as a calibration cache or a Q/DQ model, and what they cost."""

import argparse
import os
import sys
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from ccc_jetson.choices import (
    ALL_LAYERS,
    CALIBRATION_METHODS,
    CALIBRATION_PERCENTILE,
    CALIBRATION_SAMPLES,
    FITS,
    INT8_LAYERS,
    INT8_LEAST,
    INT8_LEAST_MEAN,
    MIN_MAX,
    PERCENTILE,
)
from ccc_jetson.clean_text import clean
from ccc_jetson.command import Parser, count_from, number_from, run_command, runs_here
from ccc_jetson.errors import DependencyMissing, UsageError, VerificationError
from ccc_jetson.files import check_output
from ccc_jetson.progress import say

if TYPE_CHECKING:
    from ccc_jetson.calib.calibrated import Calibrated, Options

NEEDS = (3, 10)
EXAMPLE = """\
ccc-calibrate model.onnx frames/ --tensorrt 8.5.2
ccc-calibrate model.onnx frames/ --qdq model.int8.onnx
ccc-calibrate model.onnx train/ --tensorrt 8.5.2 --verify-images test/ --verify-labels testannot/ --mapping camvid \\
    --max-drop 1.0"""


def build_parser() -> argparse.ArgumentParser:
    """The command line; pure."""
    parser = Parser(
        "ccc-calibrate",
        "Measure INT8's ranges on frames, off the device, and tell what INT8 costs. Writes a calibration cache for\n"
        "ccc-build-engine --int8 --calib FILE, or a model with QuantizeLinear and DequantizeLinear nodes.\n"
        "Runs on the workstation (Python 3.10 or newer). For boards with INT8 units: Xavier, Orin; no TX2, no Nano.\n"
        "ccc-calibrate rewrite and ccc-calibrate diff work on caches that are there; each has a --help of its own.",
        EXAMPLE,
    )
    parser.add_argument("model", metavar="MODEL.onnx", help="in FP32, as ccc-export writes it")
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGES",
        help="frames to calibrate on: folders, lists, pictures, videos, the folder of Cityscapes",
    )
    how = parser.add_argument_group("ranges")
    how.add_argument(
        "--method",
        choices=CALIBRATION_METHODS,
        default=CALIBRATION_METHODS[0],
        help="how the end of a range is chosen (default: %(default)s)",
    )
    how.add_argument(
        "--percentile",
        type=number_from(50, 100),
        metavar="P",
        help="of --method percentile: so many percent of a tensor's values lie within (default: {})".format(
            CALIBRATION_PERCENTILE
        ),
    )
    how.add_argument(
        "--samples",
        type=count_from(1),
        default=CALIBRATION_SAMPLES,
        metavar="N",
        help="how many of the frames (default: %(default)s)",
    )
    how.add_argument(
        "--labels",
        metavar="DIR",
        help="label maps of the one folder of IMAGES: frames that show every class are chosen; needs --mapping",
    )
    how.add_argument("--split", metavar="NAME", help="of the folder of Cityscapes (default: train)")
    how.add_argument(
        "--fit",
        choices=FITS,
        default=FITS[0],
        help="how frames of other proportions meet the network's input: as ccc-run will, crop for a camera "
        "(default: %(default)s)",
    )
    how.add_argument("--seed", type=count_from(0), default=0, metavar="N", help="of their choice (default: 0)")
    out = parser.add_argument_group("what is written")
    out.add_argument(
        "--tensorrt", metavar="VERSION", help="of the board, for the cache: 8.5.2 (dpkg -l | grep nvinfer)"
    )
    out.add_argument("--out", metavar="FILE", help="the cache (default: MODEL.calib); its provenance lies beside it")
    out.add_argument(
        "--layers",
        choices=INT8_LAYERS,
        help="what a build from the cache may put into INT8: convolutions (default; all else is pinned to FP16 or "
        "FP32) or all, which may be faster and loses more",
    )
    out.add_argument(
        "--qdq", metavar="FILE.onnx", help="a Q/DQ model instead of a cache; TensorRT 11 takes nothing else"
    )
    out.add_argument(
        "--depthwise",
        action="store_true",
        help="with --qdq: depth-wise convolutions in INT8 too, which TensorRT 8.5 and 8.6 refuse in places",
    )
    out.add_argument("--json", action="store_true", help="print the report as JSON")
    cost = parser.add_argument_group("what it costs")
    cost.add_argument(
        "--verify-images",
        nargs="+",
        default=[],
        metavar="PATH",
        help="other frames to judge it on (default: the golden ones in the model)",
    )
    cost.add_argument("--verify-labels", metavar="DIR", help="their label maps: mIoU in FP32 and in INT8")
    cost.add_argument(
        "--mapping", metavar="NAME", help="what label maps mean: camvid, trainids, labelids, or a JSON file"
    )
    cost.add_argument(
        "--max-drop",
        type=number_from(0, 100),
        metavar="POINTS",
        help="keep layers in floats until it costs no more: points of mIoU, without labels of agreement; with a cache "
        "at worst",
    )
    cost.add_argument(
        "--min-agreement",
        type=number_from(0, 100),
        default=100 * INT8_LEAST_MEAN,
        metavar="PERCENT",
        help="of the decided pixels must keep FP32's class, at worst (default: {:g}, and {:g} in every golden frame); "
        "with fewer the exit code is 1".format(100 * INT8_LEAST_MEAN, 100 * INT8_LEAST),
    )
    cost.add_argument("--threads", type=count_from(0), default=0, metavar="N", help="of the CPU (default: all cores)")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs the command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["rewrite"], ["diff"]):
        from ccc_jetson.calib import cache_cli

        return cache_cli.main(words)
    if not runs_here("ccc-calibrate", NEEDS, "on the board: ccc-build-engine --int8 --calib IMAGES"):
        return UsageError.exit_code
    return run_command(build_parser(), _work, argv)


def _work(arguments: argparse.Namespace) -> int:
    output, version = _checked(arguments)
    try:  # here and not above: none of it is part of --help
        from ccc_jetson.calib.calibrated import Options
        from ccc_jetson.calib.off_device import calibrate
        from ccc_jetson.calib.off_device_report import to_json, to_text
    except ImportError as error:
        raise DependencyMissing(
            "{} cannot be imported".format(error.name or error), hint='in the checkout: pip install ".[export]"'
        )
    options = Options(
        method=arguments.method,
        percentile=CALIBRATION_PERCENTILE if arguments.percentile is None else arguments.percentile,
        samples=arguments.samples,
        seed=arguments.seed,
        split=arguments.split or "train",
        fit=arguments.fit,
        labels=arguments.labels or "",
        depthwise=arguments.depthwise or arguments.qdq is None,
        layers=(arguments.layers or INT8_LAYERS[0]) if arguments.qdq is None else "",
        max_drop=arguments.max_drop,
        verify_images=tuple(arguments.verify_images),
        verify_labels=arguments.verify_labels,
        mapping=arguments.mapping,
        threads=arguments.threads,
    )
    found = calibrate(arguments.model, arguments.images, options, say)
    written = _write(arguments, options, output, version, found)
    least = arguments.min_agreement / 100
    report = to_json(found, options, written, least) if arguments.json else to_text(found, options, written, least)
    print(report.rstrip())
    short = found.shortfalls(least)
    if short:
        raise VerificationError(
            "INT8 is not fit for use here: {}; {} was written all the same".format(clean("; ".join(short)), written[0]),
            hint="another --method, --max-drop, frames more like the street{}; --min-agreement PERCENT says what you "
            "accept".format(", --layers convolutions" if options.layers == ALL_LAYERS else ""),
        )
    return 0


def _checked(arguments: argparse.Namespace) -> Tuple[str, int]:
    """Refuses combinations that mean nothing; the file to write, and TensorRT's number (0 for a Q/DQ model)."""
    from ccc_jetson.calib.cache import tensorrt_version_number
    from ccc_jetson.calib.provenance import provenance_path
    from ccc_jetson.calib.sources import is_cityscapes

    if arguments.percentile is not None and arguments.method != PERCENTILE:
        raise UsageError("--percentile belongs to --method percentile")
    if arguments.split is not None and not any(is_cityscapes(path) for path in arguments.images):
        raise UsageError("--split is of the folder of Cityscapes, and IMAGES names none")
    reads = [arguments.model, *arguments.images, *arguments.verify_images]
    reads += [path for path in (arguments.labels, arguments.verify_labels, arguments.mapping) if path is not None]
    if arguments.qdq is not None:
        unfit = [name for name in ("tensorrt", "out", "layers") if getattr(arguments, name) is not None]
        if unfit:
            raise UsageError("--{} belongs to a cache, --qdq writes a model".format(unfit[0]))
        _check_output(arguments.qdq, reads, "--qdq")
        return arguments.qdq, 0
    if arguments.depthwise:
        raise UsageError("--depthwise belongs to --qdq; with a cache TensorRT decides layer by layer")
    if arguments.tensorrt is None:
        raise UsageError(
            "a cache is for one version of TensorRT, and none was named",
            hint="--tensorrt 8.5.2 for JetPack 5.1.2; on the board: dpkg -l | grep nvinfer",
        )
    version = tensorrt_version_number(arguments.tensorrt)
    if version >= 110000:
        raise UsageError("TensorRT 11 takes no calibration cache", hint="--qdq MODEL.int8.onnx")
    output = (
        arguments.out
        or (arguments.model[: -len(".onnx")] if arguments.model.endswith(".onnx") else arguments.model) + ".calib"
    )
    for path in (output, provenance_path(output)):
        _check_output(path, reads, "--out")
    return output, version


def _check_output(path: str, reads: Sequence[str], option: str) -> None:
    """As ``check_output``; what lies in a folder that is read is not written over either."""
    check_output(path, reads, option)
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.exists(path) and any(os.path.isdir(each) and os.path.realpath(each) == folder for each in reads):
        raise UsageError(
            "{} {}: lies in a folder that is read, and would be written over".format(option, path),
            hint="choose another name",
        )


def _write(
    arguments: argparse.Namespace, options: "Options", output: str, version: int, found: "Calibrated"
) -> List[str]:
    """Writes the cache with its provenance, or the model; the files' names."""
    from ccc_jetson.calib.cache import ENTROPY_2, cache_of_ranges
    from ccc_jetson.calib.cache import MIN_MAX as MIN_MAX_CALIBRATION
    from ccc_jetson.calib.off_device_report import provenance_of
    from ccc_jetson.calib.provenance import provenance_path, write_cache
    from ccc_jetson.files import sha256_of, write_bytes

    if arguments.qdq is not None:
        if not found.int8_layers:
            raise UsageError(
                "--max-drop {:g}: holds only with no convolution in INT8; nothing was written".format(
                    arguments.max_drop
                ),
                hint="allow more, try another --method, or build the float model with --fp16",
            )
        write_bytes(output, found.qdq_file(provenance_of(found, options, sha256_of(arguments.model), None)))
        return [output]
    algorithm = MIN_MAX_CALIBRATION if options.method == MIN_MAX else ENTROPY_2
    data = cache_of_ranges(version, algorithm, found.ranges.items()).to_bytes()
    provenance = provenance_of(found, options, sha256_of(arguments.model), data)
    write_cache(output, data, provenance)
    return [output, provenance_path(output)]


if __name__ == "__main__":
    sys.exit(main())
