"""``ccc-bench``: how fast models are on this machine; ``ccc-bench compare``: whether one report is slower."""

import argparse
import sys
import threading
import time
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence, Tuple

from ccc_jetson.choices import FITS
from ccc_jetson.command import INTERRUPTED, Parser, count_from, number_from, print_error, run_command, size
from ccc_jetson.errors import CccError
from ccc_jetson.files import sha256_of
from ccc_jetson.progress import Progress, say
from ccc_jetson.runtime.bench.plan import (
    DEFAULT_DURATION_S,
    DEFAULT_TOLERANCE_PERCENT,
    FLOOR_FRAMES,
    FLOOR_S,
    STATISTICS,
    Plan,
)
from ccc_jetson.runtime.gpu_arguments import add_gpu_options, gpu_options
from ccc_jetson.runtime.reports.formats import HELP, METAVAR, check_reports
from ccc_jetson.runtime.source_arguments import files_of
from ccc_jetson.runtime.source_grammar import PicturePaths, Source, VideoPath, parse_source
from ccc_jetson.runtime.telemetry.arguments import add_telemetry_options, monitored, say_power_warnings
from ccc_jetson.shown_command import shown_command

if TYPE_CHECKING:  # imported on use, so that --help starts at once
    from ccc_jetson.contract import Contract
    from ccc_jetson.runtime.backends import ModelChoice
    from ccc_jetson.runtime.bench.frames import HeldFrames
    from ccc_jetson.runtime.bench.report import Benched

EXAMPLE = """ccc-bench model.engine --report tx2.json --report tx2.html
ccc-bench model.engine --size 1280x720 --fit crop --duration 600 --report camera.json
ccc-bench old.onnx new.onnx
ccc-bench compare before.json after.json"""
COMPARE_EXAMPLE = """ccc-bench compare before.json after.json
ccc-bench compare before.json after.json --stat network_p50 --tolerance 5"""


def build_parser() -> argparse.ArgumentParser:
    """The command line that measures."""
    parser = Parser(
        "ccc-bench",
        "Measures how fast models are, from frame to class map (or scores), through the same pipeline as live use.\n"
        "ccc-bench compare A.json B.json tells whether B is slower than A; it has a --help of its own.",
        EXAMPLE,
    )
    parser.add_argument(
        "models", metavar="MODEL", nargs="*", help="default: model.engine or model.onnx here, whichever can be run"
    )
    parser.add_argument(
        "--contract", metavar="FILE.json", help="for models that neither ccc-export nor ccc-build-engine has written"
    )
    frames = parser.add_argument_group("frames, held in memory; default: drawn streets of the network's size")
    source = frames.add_mutually_exclusive_group()
    source.add_argument("--size", metavar="WxH", type=size, help="draw them as large as a camera's: 1280x720")
    source.add_argument("--source", metavar="SOURCE", help="the first frames of anything that ccc-run reads")
    source.add_argument("--video", metavar="FILE", help="the first frames of a video, as many as fit")
    source.add_argument("--images", metavar="PATH", nargs="+", help="picture files, or folders of them")
    frames.add_argument("--fit", choices=FITS, default="stretch", help="how frames of other proportions meet the input")
    how = parser.add_argument_group("measuring")
    how.add_argument(
        "--duration",
        metavar="S",
        type=number_from(0.0),
        help="seconds to measure at least, after the warm-up; default: {:g}".format(DEFAULT_DURATION_S),
    )
    how.add_argument("--frames", metavar="N", type=count_from(1), help="end after so many, if that is earlier")
    how.add_argument(
        "--warm-up-frames", metavar="N", type=count_from(0), default=FLOOR_FRAMES, help="default: %(default)s"
    )
    how.add_argument(
        "--warm-up-seconds",
        metavar="S",
        type=number_from(0.0),
        default=FLOOR_S,
        help="default: %(default)s; the warm-up ends when it has both",
    )
    how.add_argument("--threads", metavar="N", type=count_from(0), default=0, help="of the CPU; default: all cores")
    add_gpu_options(parser)
    add_telemetry_options(parser)
    results = parser.add_argument_group("results")
    results.add_argument("--report", metavar=METAVAR, action="append", default=[], help=HELP)
    results.add_argument("--json", action="store_true", help="print the report instead of the page")
    return parser


def build_compare_parser() -> argparse.ArgumentParser:
    """The command line of ``ccc-bench compare``."""
    parser = Parser(
        "ccc-bench compare",
        "Compares two reports of ccc-bench. Exit code: 1 where B is slower beyond the tolerance and the whole 95 %\n"
        "interval says so, 2 where the reports cannot be compared, else 0.",
        COMPARE_EXAMPLE,
    )
    parser.add_argument("a", metavar="A.json", help="how it was")
    parser.add_argument("b", metavar="B.json", help="how it is")
    parser.add_argument(
        "--stat", choices=tuple(STATISTICS), default="fps", help="what is compared; default: %(default)s"
    )
    parser.add_argument(
        "--tolerance",
        metavar="PERCENT",
        type=number_from(0.0),
        default=DEFAULT_TOLERANCE_PERCENT,
        help="differences that do not count; default: %(default)g",
    )
    parser.add_argument(
        "--report", metavar=METAVAR, action="append", default=[], help="the comparison, as for ccc-bench"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry point; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["compare"]:
        again = shown_command(["ccc-bench"] + words)
        return run_command(build_compare_parser(), lambda arguments: _compare(arguments, again), words[1:])
    command = shown_command(["ccc-bench"] + words)
    return run_command(build_parser(), lambda arguments: _work(arguments, command), words)


def _work(arguments: argparse.Namespace, command: str) -> int:
    from ccc_jetson.contract import read_contract_json
    from ccc_jetson.runtime.backends import ModelChoice, choose_model
    from ccc_jetson.runtime.bench.report import BenchReport, environment
    from ccc_jetson.runtime.interrupts import FinishOnInterrupt
    from ccc_jetson.runtime.metrics import machine
    from ccc_jetson.runtime.reports.writing import write_reports

    plan = _plan(arguments)
    given = read_contract_json(arguments.contract) if arguments.contract else None
    choices = [ModelChoice(path, "as asked") for path in arguments.models] or [choose_model(None, contract=given)]
    _check_report(arguments, choices)
    warnings = say_power_warnings()
    frames_for = _frames(arguments)
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    benched: List[Benched] = []
    problems: List[Tuple[str, str]] = []
    not_run: List[str] = []
    interrupted = False
    for choice in choices:
        if interrupted:
            not_run.append(choice.path)
            continue
        stop = threading.Event()
        with FinishOnInterrupt(stop.set) as interrupts:
            try:
                benched.append(_bench(arguments, choice, given, plan, frames_for, stop))
            except CccError as problem:
                print_error("ccc-bench", problem)
                problems.append((choice.path, str(problem)))
        interrupted = interrupts.received
    if benched:
        report = BenchReport(
            started=started,
            environment=environment(machine()),
            plan=plan,
            fit=arguments.fit,
            threads=arguments.threads,
            benched=tuple(benched),
            problems=tuple(problems),
            not_run=tuple(not_run),
            command=command,
            warnings=tuple(warnings),
        )
        record = report.to_json()
        try:
            write_reports(arguments.report, record)
        finally:  # what took minutes to measure is told, whatever becomes of a page
            print(record.rstrip() if arguments.json else report.to_text())
    return INTERRUPTED if interrupted else 1 if problems else 0


def _bench(
    arguments: argparse.Namespace,
    choice: "ModelChoice",
    given: "Optional[Contract]",
    plan: Plan,
    frames_for: "Callable[[Contract], HeldFrames]",
    stop: threading.Event,
) -> "Benched":
    """One model."""
    from ccc_jetson.runtime.backends import contract_of_model, open_backend
    from ccc_jetson.runtime.bench.measure import bench
    from ccc_jetson.runtime.bench.report import Benched
    from ccc_jetson.runtime.report import Model
    from ccc_jetson.runtime.telemetry.monitor import Span

    model = Model(choice.path, sha256_of(choice.path), choice.reason, contract_of_model(choice.path, given))
    frames = frames_for(model.contract)
    say("model: {} ({}), {}".format(model.path, model.reason, model.contract.architecture.title))
    say("frames: {}, fit: {}".format(frames.description, arguments.fit))
    say("the network alone, then at least {} frames and {:g} s of warm-up, then {}".format(
        plan.warm_up_frames, plan.warm_up_s, plan.to_text()
    ))  # fmt: skip
    gpu = gpu_options(arguments)
    with monitored(arguments) as monitor, Progress("benchmarking") as progress:
        result = bench(
            lambda: open_backend(model.path, arguments.fit, given, arguments.threads, gpu=gpu),
            frames,
            plan,
            stop,
            progress.step,
        )
    span = Span(result.started_s, result.started_s + result.wall_s, result.frames)
    return Benched(model, frames.description, frames.size, result, monitor.record(span) if monitor else None)


def _plan(arguments: argparse.Namespace) -> Plan:
    """Without ``--duration`` the frames alone decide, where they are given."""
    duration_s = arguments.duration
    if duration_s is None and arguments.frames is None:
        duration_s = DEFAULT_DURATION_S
    return Plan(duration_s, arguments.frames, arguments.warm_up_frames, arguments.warm_up_seconds)


def _check_report(arguments: argparse.Namespace, choices: "List[ModelChoice]") -> None:
    """What is to be written at the end must be writable now, and destroy nothing."""
    read = [choice.path for choice in choices] + (arguments.images or [])
    read += [path for path in (arguments.contract, arguments.video) if path is not None]
    read += files_of(parse_source(arguments.source))[0] if arguments.source is not None else []
    check_reports(arguments.report, read)


def _frames(arguments: argparse.Namespace) -> "Callable[[Contract], HeldFrames]":
    """What gives a model its frames; those of a file are read here, once for all models."""
    from ccc_jetson.runtime.bench.frames import held, synthetic

    named = _source(arguments)
    if named is not None:
        from ccc_jetson.runtime.frames.opening import open_source

        with open_source(named) as source:
            origin = "{} pictures".format(source.total) if isinstance(named, PicturePaths) else named.shown
            of_source = held(source, origin)
        return lambda contract: of_source.again()
    return lambda contract: synthetic(arguments.size or (contract.input.width, contract.input.height))


def _source(arguments: argparse.Namespace) -> Optional[Source]:
    """What is read, None where frames are drawn."""
    if arguments.source is not None:
        return parse_source(arguments.source)
    if arguments.video is not None:
        return VideoPath(arguments.video)
    return None if arguments.images is None else PicturePaths(tuple(arguments.images))


def _compare(arguments: argparse.Namespace, command: str) -> int:
    from ccc_jetson.runtime.bench.compare import compare
    from ccc_jetson.runtime.bench.reader import read_report
    from ccc_jetson.runtime.reports.writing import write_reports

    check_reports(arguments.report, [arguments.a, arguments.b])
    a, b = read_report(arguments.a), read_report(arguments.b)
    comparison = compare(a, b, arguments.stat, arguments.tolerance)._replace(command=command)
    record = comparison.to_json()
    try:
        write_reports(arguments.report, record)
    finally:
        print(record.rstrip() if arguments.json else comparison.to_text())
    return comparison.exit_code


if __name__ == "__main__":
    sys.exit(main())
