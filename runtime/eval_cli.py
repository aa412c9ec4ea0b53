"""``ccc-eval``: mIoU of a model on labelled frames, through the same preprocessing and backend as live use."""

import argparse
import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple

from ccc_jetson.api import evaluate
from ccc_jetson.choices import EVAL_SIZES, FITS
from ccc_jetson.command import Parser, count_from, run_command
from ccc_jetson.files import check_output
from ccc_jetson.progress import Progress, say
from ccc_jetson.runtime.gpu_arguments import add_gpu_options
from ccc_jetson.runtime.reports.formats import HELP, HTML, METAVAR, check_reports, format_of
from ccc_jetson.runtime.telemetry.arguments import add_telemetry_options, monitored

if TYPE_CHECKING:  # numpy is no part of --help
    from ccc_jetson.runtime.eval_report import EvalReport
    from ccc_jetson.runtime.evaluation import Scored
    from ccc_jetson.runtime.reports.document import Picture
    from ccc_jetson.runtime.reports.gallery import WorstAndBest
    from ccc_jetson.runtime.telemetry.monitor import Monitor

EXAMPLE = """\
ccc-eval model.onnx --cityscapes /data/cityscapes --resume eval.state
ccc-eval model.onnx --images test/ --labels testannot/ --mapping camvid --report eval.json"""


def build_parser() -> argparse.ArgumentParser:
    """The command line; pure."""
    parser = Parser(
        "ccc-eval",
        "Measure a model's accuracy (IoU per class, mIoU, pixel accuracy) on labelled frames, and its speed beside it.",
        EXAMPLE,
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="default: model.engine, else model.onnx")
    data = parser.add_argument_group("labelled frames")
    data.add_argument("--cityscapes", metavar="DIR", help="folder that holds leftImg8bit and gtFine")
    data.add_argument("--split", metavar="NAME", help="of Cityscapes (default: val)")
    data.add_argument("--images", metavar="DIR", help="folder of pictures, with --labels and --mapping")
    data.add_argument("--labels", metavar="DIR", help="folder of label maps with the pictures' names")
    data.add_argument(
        "--mapping", metavar="MAPPING", help="what the labels' numbers mean: camvid, trainids, labelids or FILE.json"
    )
    data.add_argument("--allow-missing", action="store_true", help="leave out pictures or label maps without a partner")
    data.add_argument("--skip-unreadable", action="store_true", help="leave out damaged files, and name them")
    data.add_argument("--frames", type=count_from(1), metavar="N", help="only N of the frames, evenly spread")
    how = parser.add_argument_group("evaluation")
    how.add_argument(
        "--eval-size",
        choices=EVAL_SIZES,
        default="network",
        help="compare at the network's size, or at the labels' own with resized logits (default: %(default)s)",
    )
    how.add_argument(
        "--fit",
        choices=FITS,
        default="stretch",
        help="how frames of other proportions meet the network; crop misses what it cuts off (default: %(default)s)",
    )
    how.add_argument("--threads", type=count_from(0), default=0, metavar="N", help="of the CPU (default: all cores)")
    how.add_argument("--contract", metavar="FILE.json", help="for models that something else exported")
    add_gpu_options(parser)
    add_telemetry_options(parser)
    out = parser.add_argument_group("output")
    out.add_argument("--report", metavar=METAVAR, action="append", default=[], help=HELP)
    out.add_argument("--json", action="store_true", help="print the report instead of the tables")
    out.add_argument(
        "--resume", metavar="FILE", help="keep what is done there, and go on from it after an interruption"
    )
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs the command; returns its exit code."""
    command = ["ccc-eval"] + list(sys.argv[1:] if argv is None else argv)
    return run_command(build_parser(), lambda arguments: _work(arguments, command), argv)


def _work(arguments: argparse.Namespace, command: List[str]) -> int:
    _check_paths(arguments)
    watched = _Watched(arguments)
    keeps = HTML in map(format_of, arguments.report)
    with watched:
        report = evaluate(
            arguments.model,
            cityscapes=arguments.cityscapes,
            split=arguments.split,
            images=arguments.images,
            labels=arguments.labels,
            mapping=arguments.mapping,
            allow_missing=arguments.allow_missing,
            skip_unreadable=arguments.skip_unreadable,
            frames=arguments.frames,
            eval_size=arguments.eval_size,
            fit=arguments.fit,
            threads=arguments.threads,
            contract=arguments.contract,
            cuda_graph=not arguments.no_cuda_graph,
            memory=arguments.memory,
            resume=arguments.resume,
            command=command,
            say=say,
            on_frame=watched.on_frame,
            on_scored=watched.on_scored if keeps else None,
        )
    report = watched.with_telemetry(report)
    record = report.to_json()
    from ccc_jetson.runtime.reports.writing import write_reports

    try:
        write_reports(arguments.report, record, watched.pictures)
    finally:  # an evaluation of hours has its summary, whatever becomes of a page
        print(record.rstrip() if arguments.json else report.to_text())
    if arguments.resume is not None:
        sys.stdout.flush()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(arguments.resume)
    return 0


class _Watched:
    """What a terminal and a page show of an evaluation: how far it is, what the sensors say, the worst and the best.

    ``with`` it; the sensors are read from the first frame on, when the model is loaded.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._open = contextlib.ExitStack()
        self._progress: Optional[Progress] = None
        self._monitor: "Optional[Monitor]" = None
        self._gallery: "Optional[WorstAndBest]" = None
        self._began_s = 0.0

    def __enter__(self) -> "_Watched":
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._open.__exit__(*exc_info)

    def on_frame(self, done: int, total: int, miou: float) -> None:
        """Before the first frame, and after each."""
        if self._progress is None:
            self._monitor = self._open.enter_context(monitored(self._arguments))
            self._began_s = time.monotonic()
            self._progress = self._open.enter_context(Progress("evaluating", total - done))
        else:
            self._progress.step(note="mIoU {:.4f}".format(miou))

    def on_scored(self, scored: "Scored") -> None:
        """Of a frame that was counted."""
        from ccc_jetson.runtime.reports.gallery import WorstAndBest

        if self._gallery is None:
            self._gallery = WorstAndBest(scored.colors)
        self._gallery.add(scored)

    @property
    def pictures(self) -> "Tuple[Picture, ...]":
        """The worst and the best, for a page."""
        return () if self._gallery is None else self._gallery.pictures

    def with_telemetry(self, report: "EvalReport") -> "EvalReport":
        """The report with what the sensors said; after the block, whose end takes the last sample."""
        from ccc_jetson.runtime.telemetry.monitor import Span

        if self._monitor is None:
            return report
        span = Span(self._began_s, self._began_s + report.wall_s, report.timed_frames)
        return report._replace(telemetry=self._monitor.record(span))


def _check_paths(arguments: argparse.Namespace) -> None:
    """What is to be written at the end must be writable now, and destroy nothing."""
    from ccc_jetson.runtime.backends import DEFAULT_MODELS

    models = DEFAULT_MODELS if arguments.model is None else (arguments.model,)
    read = [path for path in (*models, arguments.contract, arguments.mapping) if path is not None]
    check_reports(arguments.report, read)
    if arguments.resume is not None:
        check_output(arguments.resume, read + arguments.report, "--resume")


if __name__ == "__main__":
    sys.exit(main())
