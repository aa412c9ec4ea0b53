"""What INT8 costs a network, simulated: every way to choose ranges, with and without the passes that prepare it.

    python benchmarks/int8.py MODEL.onnx [MODEL.onnx ...] --calibrate PATH [PATH ...] \\
        --images DIR [--labels DIR --mapping camvid] [--max-drop 1.0]

A row for each model and method: all convolutions in INT8; at worst, in an engine from a cache that may have
convolutions in INT8, and in one that may have all; depth-wise ones in floats, as a Q/DQ model has them by default; and
a Q/DQ model of all convolutions with as many of them in floats as the bound takes. Models are float ones of
ccc-export, for example with and without ``--passes`` that equalise. Time: 1.3 to 2.7 s a calibration frame and model,
and four to seven minutes a row where the bound does not hold at once (1024x512, 24 frames, one core).
"""

import argparse
import sys

from ccc_jetson.calib.calibrated import Calibrated, Options
from ccc_jetson.calib.cost import Cost
from ccc_jetson.calib.off_device import calibrate
from ccc_jetson.choices import ALL_LAYERS, CALIBRATION_METHODS, CONVOLUTIONS
from ccc_jetson.command import Parser, count_from, run_command
from ccc_jetson.progress import say
from ccc_jetson.tables import aligned_table

TITLES = [
    "model",
    "ranges",
    "measure",
    "FP32",
    "INT8",
    "same class",
    "at worst",
    "same class",
    "all layers",
    "same class",
    "no depth-wise",
    "same class",
    "bound",
    "same class",
    "in floats",
]


def work(arguments: argparse.Namespace) -> int:
    """Calibrates in every way and prints the table."""
    rows = [TITLES]
    for model in arguments.models:
        observed = None
        for method in arguments.methods:
            say(f"{model}: {method}")
            options = Options(
                method=method,
                samples=arguments.samples,
                layers=CONVOLUTIONS,
                verify_images=(arguments.images,),
                verify_labels=arguments.labels,
                mapping=arguments.mapping,
                threads=arguments.threads,
            )
            every = calibrate(model, arguments.calibrate, options, say, observed)
            observed = every.observed
            others = (
                options._replace(layers=ALL_LAYERS),
                options._replace(layers="", depthwise=False),
                options._replace(layers="", max_drop=arguments.max_drop),
            )
            found = [calibrate(model, arguments.calibrate, other, say, observed) for other in others]
            rows.append(row(model, method, every, *found))
            print(aligned_table([TITLES, rows[-1]], {0, 1, 2}), file=sys.stderr)
    print(aligned_table(rows, {0, 1, 2}))
    return 0


def row(
    model: str, method: str, every: Calibrated, full: Calibrated, partly: Calibrated, bound: Calibrated
) -> list[str]:
    """Cells of a row: by mIoU where there are labels, else by agreement."""
    assert every.cost is not None and partly.cost is not None and bound.cost is not None
    assert every.at_worst is not None and full.at_worst is not None
    fp32 = every.cost.fp32
    cells = [model, method, "mIoU" if fp32 else "agreement", f"{fp32.miou:.4f}" if fp32 else "1.0000"]
    for cost in (every.cost, every.at_worst, full.at_worst, partly.cost, bound.cost):
        cells += [_value(cost), f"{cost.agreement:.2%}"]
    return [*cells, f"{bound.float_layers} of {bound.int8_layers + bound.float_layers}"]


def _value(cost: Cost) -> str:
    return f"{cost.int8.miou if cost.int8 else cost.agreement:.4f}"


def main() -> int:
    """Entry point."""
    example = "python benchmarks/int8.py model.onnx --calibrate train/ --images test/ --labels annot/ --mapping camvid"
    parser = Parser("int8.py", __doc__, example)
    parser.add_argument("models", nargs="+", metavar="MODEL.onnx")
    parser.add_argument("--calibrate", nargs="+", required=True, metavar="PATH", help="frames to calibrate on")
    parser.add_argument("--images", required=True, metavar="DIR", help="frames to judge on")
    parser.add_argument("--labels", metavar="DIR", help="their label maps, for mIoU")
    parser.add_argument("--mapping", metavar="NAME", help="what label maps mean, as for ccc-eval")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=CALIBRATION_METHODS,
        default=CALIBRATION_METHODS,
        metavar="METHOD",
        help="ways to choose ranges (default: all of {})".format(", ".join(CALIBRATION_METHODS)),
    )
    parser.add_argument("--samples", type=count_from(1), default=200, metavar="N", help="calibration frames")
    parser.add_argument("--max-drop", type=float, default=1.0, metavar="POINTS", help="the bound (default: 1.0)")
    parser.add_argument("--threads", type=count_from(0), default=0, metavar="N", help="of the CPU (default: all)")
    return run_command(parser, work)


if __name__ == "__main__":
    sys.exit(main())
