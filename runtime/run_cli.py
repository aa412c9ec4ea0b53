"""``ccc-run``: frames to masks, live, and how fast."""

import argparse
import sys
import threading
import time
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence, Tuple

from ccc_jetson.choices import CLASS_IDS, FITS, STANDARD_OUTPUT
from ccc_jetson.command import INTERRUPTED, Parser, count_from, number_from, run_command
from ccc_jetson.contract import Contract, read_contract_json
from ccc_jetson.errors import CccError, UsageError
from ccc_jetson.files import sha256_of
from ccc_jetson.progress import Progress, say
from ccc_jetson.runtime.gpu_arguments import add_gpu_options, gpu_options
from ccc_jetson.runtime.reports.formats import HELP, HTML, METAVAR, format_of
from ccc_jetson.runtime.serve.options import add_serve_options, check_serve_options, word_taken
from ccc_jetson.runtime.source_arguments import add_source_arguments, files_of, reconnect_for_s, source_of
from ccc_jetson.runtime.source_grammar import PicturePaths, Source, is_live
from ccc_jetson.runtime.telemetry.arguments import add_telemetry_options, monitored, say_power_warnings
from ccc_jetson.shown_command import shown_command
from ccc_jetson.targets import CPU_TARGET, TENSORRT, runtime_for
from ccc_jetson.terminal import write_now

if TYPE_CHECKING:  # imported on use, so that --help starts at once
    from ccc_jetson.runtime.frames import FrameSource
    from ccc_jetson.runtime.outputs import Outputs
    from ccc_jetson.runtime.pipeline import Pipeline
    from ccc_jetson.runtime.report import Model
    from ccc_jetson.runtime.reports.gallery import EvenlySpread
    from ccc_jetson.runtime.serve.entrance import Entrance
    from ccc_jetson.runtime.sinks import Sink
    from ccc_jetson.runtime.telemetry.monitor import Monitor

EXAMPLE = """ccc-run --camera /dev/video0
ccc-run csi://0 --serve
ccc-run rtsp://me:secret@192.168.1.10/stream1 --headless
ccc-run drive.mp4 --out overlay.mp4 --report run.html
ccc-run frames/ --class-maps masks/ --headless"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(
        "ccc-run",
        "Segments the frames of a camera, a video or pictures, and tells how fast that went on this machine. Pictures\n"
        "are classified where that is what the network does.",
        EXAMPLE,
    )
    add_source_arguments(parser)
    model = parser.add_argument_group("model")
    model.add_argument("--model", metavar="FILE", help="default: model.engine or model.onnx here, whichever can be run")
    model.add_argument("--contract", metavar="FILE.json", help="for a model that ccc-export has not written")
    model.add_argument(
        "--fit",
        choices=FITS,
        help="how frames of other proportions meet the network's input; default: crop for live sources and "
        "classifiers, else stretch",
    )
    model.add_argument("--threads", metavar="N", type=count_from(0), default=0, help="of the CPU; default: all cores")
    add_gpu_options(parser)
    add_telemetry_options(parser)
    results = parser.add_argument_group("results")
    results.add_argument("--out", metavar="FILE.mp4|FOLDER", help="overlays as a video, or as a PNG file per frame")
    results.add_argument("--class-maps", metavar="FOLDER", help="class numbers as a PNG file per frame, 255 = not seen")
    results.add_argument(
        "--class-ids",
        choices=CLASS_IDS,
        default="network",
        help="the numbers in them: the network's own, or Cityscapes'; its server takes labelids; default: network",
    )
    results.add_argument(
        "--jsonl", metavar="FILE|-", help="a line of JSON per frame: time, latency, shares of the classes, drops so far"
    )
    results.add_argument("--report", metavar=METAVAR, action="append", default=[], help=HELP)
    results.add_argument("--json", action="store_true", help="print the report instead of the summary")
    window = results.add_mutually_exclusive_group()
    window.add_argument("--window", action="store_true", help="open a window beside other results, too")
    window.add_argument("--headless", action="store_true", help="never open a window")
    results.add_argument(
        "--opacity", metavar="0..1", type=number_from(0, 1), default=0.5, help="of the colours; default: 0.5"
    )
    results.add_argument("--legend", action="store_true", help="draw the names of the classes")
    add_serve_options(parser)
    parser.add_argument("--frames", metavar="N", type=count_from(1), help="stop after so many")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry point; returns the exit code."""
    command = shown_command(["ccc-run"] + list(sys.argv[1:] if argv is None else argv))
    return run_command(build_parser(), lambda arguments: _work(arguments, command), argv)


def _work(arguments: argparse.Namespace, command: str) -> int:
    from ccc_jetson.runtime.backends import choose_model
    from ccc_jetson.runtime.frames.live import DEFAULT_PATIENCE
    from ccc_jetson.runtime.frames.native_words import own_standard_output
    from ccc_jetson.runtime.frames.opening import open_source
    from ccc_jetson.runtime.outputs import Outputs
    from ccc_jetson.runtime.serve.entrance import entrance

    frames = source_of(arguments, word_taken(arguments))
    check_serve_options(arguments)
    _check_results(arguments)
    given = None if arguments.contract is None else read_contract_json(arguments.contract)
    choice = choose_model(arguments.model, contract=given)
    reports = tuple(arguments.report)
    outputs = Outputs(arguments.out, arguments.class_maps, reports, arguments.class_ids, arguments.jsonl)
    files, folders = files_of(frames)
    outputs.check([path for path in (choice.path, arguments.contract) if path is not None] + files, folders)
    model = _model(choice.path, choice.reason, given)
    contract = model.contract
    if contract.is_classifier:
        _check_classifier(arguments, frames, contract)
    fit = arguments.fit or ("crop" if is_live(frames) or contract.is_classifier else "stretch")
    say("model: {} ({}), {}, {}x{}".format(
        choice.path, choice.reason, contract.architecture.title, contract.input.width, contract.input.height
    ))  # fmt: skip
    if runtime_for(contract.target) == TENSORRT and choice.path.endswith(".onnx"):
        say("note: exported for {}; ccc-export --target {} writes a file that is faster here".format(
            contract.target, CPU_TARGET
        ))  # fmt: skip
    say_power_warnings()
    stop = threading.Event()
    # a network on the GPU takes a camera's frames as they come
    raw = choice.path.endswith(".engine")
    patience = DEFAULT_PATIENCE._replace(reconnect_for_s=reconnect_for_s(arguments))
    with own_standard_output(), entrance(arguments.serve, arguments.serve_token) as door:
        with open_source(frames, raw, stop, patience) as source, monitored(arguments) as monitor:
            say("frames: {}, fit: {}".format(source.description, fit))
            return _segment(arguments, source, model, fit, outputs, stop, monitor, door, command)


def _check_results(arguments: argparse.Namespace) -> None:
    """Refuses results that exclude each other, or cannot be had here."""
    if arguments.jsonl == STANDARD_OUTPUT and arguments.json:
        raise UsageError(
            "--jsonl - and --json both write to standard output", hint="--json --jsonl FILE, or --report FILE --jsonl -"
        )
    if arguments.class_ids != "network" and arguments.class_maps is None:
        raise UsageError("--class-ids: there are no class maps without --class-maps", hint="--class-maps FOLDER")
    if arguments.window:
        from ccc_jetson.runtime.sinks.window import why_no_window

        reason = why_no_window()
        if reason:
            raise UsageError("--window: " + reason, hint="leave it out; --serve shows the run in a browser")


def _check_classifier(arguments: argparse.Namespace, frames: Source, contract: Contract) -> None:
    """Refuses what needs a class for every pixel."""
    if not isinstance(frames, PicturePaths):
        raise UsageError(
            "{} classifies whole pictures; --images names them".format(contract.architecture.title),
            hint="ccc-run --images FOLDER",
        )
    for option, given in (
        ("--out", arguments.out is not None),
        ("--class-maps", arguments.class_maps is not None),
        ("--legend", arguments.legend),
        ("--serve", arguments.serve is not None),
        ("--window", arguments.window),
    ):
        if given:
            raise UsageError(
                "{}: {} gives a picture one class, and its pixels none".format(option, contract.architecture.title),
                hint="leave it out; --report FILE.json keeps every picture's classes",
            )


def _segment(
    arguments: argparse.Namespace,
    source: "FrameSource",
    model: "Model",
    fit: str,
    outputs: "Outputs",
    stop: threading.Event,
    monitor: "Optional[Monitor]",
    door: "Optional[Entrance]",
    command: str,
) -> int:
    from ccc_jetson.runtime.backends import open_backend
    from ccc_jetson.runtime.interrupts import FinishOnInterrupt
    from ccc_jetson.runtime.metrics import machine
    from ccc_jetson.runtime.pipeline import Pipeline
    from ccc_jetson.runtime.report import COMPLETE, ENDED_BY_USER, Report
    from ccc_jetson.runtime.reports.writing import write_reports
    from ccc_jetson.runtime.sinks.shares import ClassShares
    from ccc_jetson.runtime.sinks.top_classes import TopClasses
    from ccc_jetson.runtime.telemetry.monitor import Span

    shares, tops = ClassShares(model.contract), TopClasses(model.contract)
    is_classifier = model.contract.is_classifier
    sinks, draws = _open_sinks(arguments, source, model, outputs, stop, monitor, door)
    total = min((number for number in (source.total, arguments.frames) if number is not None), default=None)
    gallery = _gallery(arguments, model.contract, total)
    contract = model.contract if arguments.contract else None
    gpu = gpu_options(arguments, arguments.opacity if draws else None)
    pipeline = Pipeline(
        source,
        lambda: open_backend(model.path, fit, contract, arguments.threads, gpu=gpu),
        [tops if is_classifier else shares, *sinks, *gallery],
        arguments.frames,
        stop,
    )
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with FinishOnInterrupt(stop.set) as interrupts, Progress(
        "classifying" if is_classifier else "segmenting", total
    ) as progress:
        problem, finished = _run_and_finish(pipeline, sinks, progress.step)
    measured = pipeline.measured
    telemetry = None
    if monitor is not None:
        monitor.stop()
        telemetry = monitor.record(Span(measured.started_s, measured.started_s + measured.wall_s, measured.frames))
    report = Report(
        started=started,
        machine=machine(),
        model=model,
        fit=fit,
        source=source.description,
        live=source.live,
        details=pipeline.details,
        outputs=tuple(sink.description for sink in finished) if measured.frames else (),
        measured=measured,
        class_shares=shares.shares,
        ended=str(problem) if problem else ENDED_BY_USER if stop.is_set() else COMPLETE,
        classified=tops.classified,
        telemetry=telemetry,
        command=command,
    )
    if measured.frames or problem is None:
        pictures = [picture for each in gallery for picture in each.pictures]
        record = report.to_json()
        text = record.rstrip() if arguments.json else report.to_text()
        try:
            write_reports(arguments.report, record, pictures)
        finally:  # a run of hours has its summary, whatever becomes of a page
            if arguments.jsonl == STANDARD_OUTPUT:
                write_now(sys.stderr, text + "\n")
            else:
                print(text)
    if problem is not None:
        sys.stdout.flush()
        raise problem
    return INTERRUPTED if interrupts.received and not source.live else 0


def _gallery(arguments: argparse.Namespace, contract: Contract, total: Optional[int]) -> "List[EvenlySpread]":
    """What keeps pictures for the pages that show some."""
    from ccc_jetson.runtime.reports.gallery import EvenlySpread

    wanted = HTML in map(format_of, arguments.report) and not contract.is_classifier
    return [EvenlySpread(contract, total, arguments.opacity)] if wanted else []


def _run_and_finish(
    pipeline: "Pipeline", sinks: List["Sink"], on_frame: Callable[[], None]
) -> Tuple[Optional[CccError], List["Sink"]]:
    """Runs and finishes what was written; gives the problem that ended the run, and the sinks that are whole.

    What came before a problem is kept.
    """
    problem = None
    finished = []
    try:
        pipeline.run(on_frame)
    except CccError as error:
        problem = error
    except BaseException:
        for sink in sinks:
            sink.abort()
        raise
    for number, sink in enumerate(sinks):
        try:
            sink.close()
            finished.append(sink)
        except CccError as error:
            if problem is not None and error is not problem:
                say("error: {}".format(problem))
            problem = error
        except BaseException:
            for other in sinks[number:]:
                other.abort()
            raise
    return problem, finished


def _model(path: str, reason: str, given: Optional[Contract]) -> "Model":
    from ccc_jetson.runtime.backends import contract_of_model
    from ccc_jetson.runtime.report import Model

    return Model(path, sha256_of(path), reason, contract_of_model(path, given))


def _open_sinks(
    arguments: argparse.Namespace,
    source: "FrameSource",
    model: "Model",
    outputs: "Outputs",
    stop: threading.Event,
    monitor: "Optional[Monitor]",
    door: "Optional[Entrance]",
) -> "Tuple[List[Sink], bool]":
    """All that is written to, and whether overlays are drawn into it."""
    contract = model.contract
    sinks = outputs.open(contract, source, arguments.opacity, arguments.legend)
    draws = arguments.out is not None
    try:
        alone = not sinks and door is None and not arguments.headless and not contract.is_classifier
        if arguments.window or alone:
            windows = _window(contract, arguments, stop.set)
            sinks.extend(windows)
            draws = draws or bool(windows)
        if door is not None:  # the last one, so that its latency is that of all outputs
            sinks.append(_page(arguments, door, source, model, monitor))
    except BaseException:
        for sink in sinks:
            sink.abort()
        raise
    return sinks, draws


def _page(
    arguments: argparse.Namespace,
    door: "Entrance",
    source: "FrameSource",
    model: "Model",
    monitor: "Optional[Monitor]",
) -> "Sink":
    """The page, open and told."""
    from ccc_jetson.runtime.live import no_telemetry
    from ccc_jetson.runtime.serve.page import Page, tell

    telemetry = no_telemetry if monitor is None else monitor.readings
    page = Page(door, model.contract, model.path, source, arguments.opacity, telemetry)
    tell(page)
    return page


def _window(contract: Contract, arguments: argparse.Namespace, on_quit: Callable[[], None]) -> List["Sink"]:
    """A window sink, or a line that says why there is none; ``--window`` has been checked before."""
    from ccc_jetson.runtime.overlay import Overlay
    from ccc_jetson.runtime.sinks.window import Window, why_no_window

    reason = "" if arguments.window else why_no_window()
    if reason:
        say("no window: {}; measuring only (--out writes overlays, --headless asks for no window)".format(reason))
        return []
    return [Window(Overlay(contract, arguments.opacity, arguments.legend), on_quit)]


if __name__ == "__main__":
    sys.exit(main())
