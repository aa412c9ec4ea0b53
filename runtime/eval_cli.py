"""``ccc-eval``: mIoU of a model on labelled frames, through the same preprocessing and backend as live use."""

import argparse
import shlex
import sys
import time
from typing import TYPE_CHECKING, List, Optional, Sequence

from ccc_jetson.choices import EVAL_SIZES, FITS
from ccc_jetson.command import Parser, count_from, run_command
from ccc_jetson.errors import UsageError
from ccc_jetson.files import check_output
from ccc_jetson.progress import Progress, say
from ccc_jetson.runtime.gpu_arguments import add_gpu_options, gpu_options
from ccc_jetson.runtime.reports.formats import HELP, HTML, METAVAR, check_reports, format_of
from ccc_jetson.runtime.telemetry.arguments import add_telemetry_options, monitored
from ccc_jetson.shown_command import shown_command

if TYPE_CHECKING:
    from ccc_jetson.datasets import Dataset
    from ccc_jetson.runtime.eval_state import StateFile
    from ccc_jetson.runtime.evaluation import Evaluation, Tally
    from ccc_jetson.runtime.report import Model

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
    # Here and not above: numpy is no part of --help
    from ccc_jetson.contract import read_contract_json
    from ccc_jetson.files import sha256_of
    from ccc_jetson.runtime.backends import choose_model, contract_of_model, open_backend
    from ccc_jetson.runtime.eval_report import EvalReport
    from ccc_jetson.runtime.evaluation import Evaluation
    from ccc_jetson.runtime.metrics import machine
    from ccc_jetson.runtime.report import Model
    from ccc_jetson.runtime.reports.gallery import WorstAndBest
    from ccc_jetson.runtime.reports.writing import write_reports
    from ccc_jetson.runtime.telemetry.monitor import Span

    _check(arguments)
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    dataset = _dataset(arguments)
    contract = read_contract_json(arguments.contract) if arguments.contract else None
    choice = choose_model(arguments.model, contract=contract)
    _check_paths(arguments, choice.path)
    if contract_of_model(choice.path, contract).is_classifier:
        raise UsageError(
            "{}: classifies whole pictures, and what is evaluated here are the classes of pixels".format(choice.path),
            hint="ccc-run --model {} --images FOLDER shows what it finds".format(choice.path),
        )
    fit, eval_size = arguments.fit, arguments.eval_size
    gpu = gpu_options(arguments, serial=True)
    with open_backend(choice.path, fit, contract, arguments.threads, eval_size == "full", gpu) as backend:
        model = Model(choice.path, sha256_of(choice.path), choice.reason, backend.contract)
        remarks = dataset.mapping.remarks(backend.contract)
        say("model: {} ({}), on {}".format(model.path, model.reason, backend.description))
        say("frames: {} of {}, fit: {}".format(len(dataset.samples), dataset.title, fit))
        for note in (*dataset.notes, *remarks):
            say("note: " + note)
        gallery = WorstAndBest(dataset.mapping.colors(backend.contract))
        keeps = HTML in map(format_of, arguments.report)
        evaluation = Evaluation(
            backend,
            dataset,
            fit,
            eval_size,
            arguments.skip_unreadable,
            gallery.add if keeps else None,
        )
        state = _state(arguments, model, evaluation)
        done_before = evaluation.frames
        with monitored(arguments) as monitor:
            began_s = time.monotonic()
            _run(evaluation, state, command)
            span = Span(began_s, time.monotonic(), evaluation.frames - done_before)
        report = EvalReport(
            started=started,
            machine=machine(),
            model=model,
            backend=backend.description,
            fit=fit,
            eval_size=eval_size,
            prediction=evaluation.prediction,
            dataset=dataset,
            tally=evaluation.tally,
            remarks=tuple(remarks),
            stages=evaluation.times.summaries(),
            distributions=tuple(evaluation.times.distributions().items()),
            wall_s=evaluation.seconds,
            timed_frames=span.frames,
            telemetry=monitor.record(span) if monitor else None,
            command=shown_command(command),
        )
    record = report.to_json()
    try:
        write_reports(arguments.report, record, gallery.pictures)
    finally:  # an evaluation of hours has its summary, whatever becomes of a page
        print(record.rstrip() if arguments.json else report.to_text())
    if state is not None:
        sys.stdout.flush()
        state.remove()
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuses combinations that mean nothing."""
    of_pairs = ("images", "labels", "mapping")
    given = [name for name in of_pairs if getattr(arguments, name) is not None]
    if arguments.cityscapes is not None:
        given += ["allow-missing"] * arguments.allow_missing
        if given:
            raise UsageError("--{} does not go with --cityscapes".format(given[0]))
        return
    if not given:
        raise UsageError(
            "no labelled frames: neither --cityscapes nor --images was given",
            hint="ccc-eval MODEL --cityscapes DIR, or: ccc-eval MODEL --images DIR --labels DIR --mapping camvid",
        )
    missing = ["--" + name for name in of_pairs if name not in given]
    if missing:
        raise UsageError("--{} needs {} too".format(given[0], " and ".join(missing)))
    if arguments.split is not None:
        raise UsageError("--split belongs to --cityscapes")


def _check_paths(arguments: argparse.Namespace, model: str) -> None:
    """What is to be written at the end must be writable now, and destroy nothing."""
    read = [path for path in (model, arguments.contract, arguments.mapping) if path is not None]
    check_reports(arguments.report, read)
    if arguments.resume is not None:
        check_output(arguments.resume, read + arguments.report, "--resume")


def _dataset(arguments: argparse.Namespace) -> "Dataset":
    from ccc_jetson.datasets import cityscapes, paired_folders

    if arguments.cityscapes is not None:
        dataset = cityscapes(arguments.cityscapes, arguments.split or "val")
    else:
        dataset = paired_folders(arguments.images, arguments.labels, arguments.mapping, arguments.allow_missing)
    return dataset if arguments.frames is None else dataset.spread(arguments.frames)


def _state(arguments: argparse.Namespace, model: "Model", evaluation: "Evaluation") -> "Optional[StateFile]":
    """The file of ``--resume``, from which the evaluation goes on."""
    from ccc_jetson.runtime.eval_state import StateFile, fingerprint

    if arguments.resume is None:
        return None
    state = StateFile(arguments.resume, fingerprint(model, evaluation), evaluation.dataset)
    evaluation.tally = state.load()
    if evaluation.tally.done:
        say("{}: going on after {} frames".format(arguments.resume, evaluation.tally.done))
    return state


def _run(evaluation: "Evaluation", state: "Optional[StateFile]", command: List[str]) -> None:
    """Evaluates; whatever ends it early, what is done is kept where there is a file for it."""
    with Progress("evaluating", len(evaluation.dataset.samples) - evaluation.tally.done) as progress:

        def on_frame(tally: "Tally") -> None:
            progress.step(note="mIoU {:.4f}".format(tally.matrix.scores().miou))
            if state is not None:
                state.save_now_and_then(tally)

        try:
            evaluation.run(on_frame)
        except BaseException:  # Ctrl-C too
            progress.close()
            done = "{} of {} frames".format(evaluation.tally.done, len(evaluation.dataset.samples))
            if state is None:
                say("stopped after {}; nothing is kept without --resume FILE".format(done))
            else:
                state.save(evaluation.tally)
                say("{} are kept in {}; to go on:".format(done, state.path))
                say("  " + " ".join(shlex.quote(word) for word in command))
            raise


if __name__ == "__main__":
    sys.exit(main())
