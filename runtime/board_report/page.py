"""A board's report for people: the page in the archive, the comment for an issue, the row for the README's table."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson.clean_text import clean
from ccc_jetson.runtime.board_report.outcome import Accuracy, Found, Speed, number, text
from ccc_jetson.runtime.board_report.plan import Step
from ccc_jetson.runtime.board_report.state import DONE, FAILED, INTERRUPTED, LEFT_OUT, Outcome
from ccc_jetson.runtime.doctor.verdicts import NOT_HERE, OK
from ccc_jetson.runtime.reports.document import (
    Block,
    Command,
    Document,
    Facts,
    FactSheets,
    Headline,
    Notes,
    Paragraph,
    Section,
    Table,
)

_NONE = "-"
_GOOD = (OK, NOT_HERE)
_PAPER = "paper: CCC1 15.9, CCC2 16.4"


class About(NamedTuple):
    """What the report is of: facts by name in the order in which they are shown, and what the README's row needs."""

    facts: Tuple[Tuple[str, str], ...]
    board: str  # "NVIDIA Jetson TX2 Developer Kit"
    short: str  # "Jetson TX2", or the board's own name
    model: str  # "CCC2 1024x512"
    command: str
    tool: str
    quick: bool
    main_precision: str
    is_tx2: bool  # on which the paper measured
    labelled: bool  # whether accuracy is of labelled frames; else of the golden ones, against FP32's classes
    problems: Tuple[str, ...] = ()  # of the report itself: a mode that was not set back


def board_document(about: About, steps: Sequence[Step], outcomes: Dict[str, Outcome], found: Found) -> Document:
    """The report."""
    failed = [step for step in steps if outcomes.get(step.name, _UNTOLD).status in (FAILED, INTERRUPTED)]
    warnings = [
        "{} of {} steps went wrong: {}.".format(len(failed), len(steps), ", ".join(each.name for each in failed))
    ]
    warnings = warnings * bool(failed) + list(about.problems)
    sections = [Section("The board", (FactSheets((Facts(about.short, about.facts),)),))]
    sections += [Section(title, blocks) for title, blocks in _parts(about, found) if blocks]
    sections.append(Section("Steps", (_steps(steps, outcomes),)))
    row, why_not = table_row(about, found)
    if row:
        told = Paragraph("For the table of the README, as it is to be pasted:")
        sections.append(Section("Row", (told, Command(row))))
    else:
        sections.append(Section("Row", (Paragraph("No row for the table of the README: {}.".format(why_not)),)))
    return Document(
        command="board-report",
        title=about.board,
        lead=(about.model,),
        warning=" ".join(warnings),
        headlines=tuple(_headlines(found, about.main_precision)),
        sections=tuple(sections),
        footer=about.tool,
    )


_UNTOLD = Outcome(LEFT_OUT, 0.0, "not reached")


def _parts(about: About, found: Found) -> List[Tuple[str, Tuple[Block, ...]]]:
    return [
        ("Speed", _speeds(about, found.speeds)),
        ("Engines, and the gate's verdict", _engines(found)),
        ("Accuracy", _accuracy(about, found.accuracy)),
        ("Kernels", _kernels(found.kernels)),
        ("Soak", _soak(found.soak)),
        ("Camera", _camera(found.camera)),
        ("What ccc-doctor found", _doctor(found.doctor)),
    ]


def table_row(about: About, found: Found) -> Tuple[str, str]:
    """A row for the README's table, and "" ; or "" and why there is none."""
    if about.quick:
        return "", "--quick measures too briefly to be published"
    speeds = [each for each in found.speeds if each.precision == about.main_precision and each.fps is not None]
    if not speeds:
        return "", "no engine in {} was measured".format(about.main_precision.upper())
    figures = ", ".join("{} in {}".format(_shown(each.fps, "{:.2f}"), each.mode_name) for each in speeds)
    first = speeds[0]
    built = [each for each in found.built if each.precision == about.main_precision]
    details = [
        "{}, {}".format(about.main_precision.upper(), about.model),
        "p99 of the frame time {}".format(_milliseconds(first.figure("frame", "p99_ms"))),
        "{} on average".format(_watts(first.figure("telemetry", "summary", "mean_power_w"))),
        "the gate {}".format(built[0].verdict) if built else "no gate",
        first.record.get("backend", ""),
        _PAPER if about.is_tx2 else "",
    ]
    cells = [
        "FPS on a {}".format(about.short),
        "**{}** ({})".format(figures, "; ".join(clean(str(each)) for each in details if each)),
        "`{}`".format(about.command),
    ]
    return "| {} |".format(" | ".join(cell.replace("|", "/") for cell in cells)), ""


def _headlines(found: Found, precision: str) -> List[Headline]:
    shown = []
    for each in found.speeds:
        if each.precision == precision and each.fps is not None:
            detail = "{}, frame to class map".format(precision.upper())
            shown.append(Headline(each.mode_name, "{:.2f}".format(each.fps), "FPS", detail))
    for built in found.built:
        if built.precision == precision and built.manifest.gate is not None:
            worst = min((frame.decided for frame in built.manifest.gate.frames), default=0.0)
            detail = "of the decided pixels keep FP32's class, worst frame"
            shown.append(Headline("Gate", "{:.2f}".format(100.0 * worst), "%", detail))
    return shown


def _speeds(about: About, speeds: Sequence[Speed]) -> Tuple[Block, ...]:
    header = ("engine", "power mode", "FPS", "frame p50", "frame p99", "network p50", "power", "J a frame", "hottest")
    rows = []
    noted: Dict[str, List[str]] = {}
    for each in speeds:
        name = "{} in {}".format(each.precision.upper(), each.mode_name)
        hottest = each.figure("telemetry", "summary", "hottest_c")
        rows.append(
            (
                each.precision.upper(),
                each.mode_name,
                _shown(each.fps, "{:.2f}"),
                _milliseconds(each.figure("frame", "p50_ms")),
                _milliseconds(each.figure("frame", "p99_ms")),
                _milliseconds(each.figure("network", "p50_ms")),
                _watts(each.figure("telemetry", "summary", "mean_power_w")),
                _shown(each.figure("telemetry", "joules_per_frame"), "{:.3f}"),
                _shown(hottest, "{:.1f} C"),
            )
        )
        for note in each.notes:
            noted.setdefault(note, []).append(name)
        throttled = each.figure("telemetry", "summary", "throttled_s")
        if throttled:
            noted.setdefault("throttled for {:.1f} s".format(throttled), []).append(name)
    notes = ["{}: {}".format(", ".join(names), note) for note, names in noted.items()]
    if about.quick and rows:
        notes.append("measured with --quick: not to be published")
    if not rows:
        return ()
    return (Table(header, tuple(rows), (0, 1)),) + ((Notes(tuple(notes)),) if notes else ())


def _engines(found: Found) -> Tuple[Block, ...]:
    rows = []
    for each in found.built:
        manifest = each.manifest
        rows.append(
            (
                each.precision.upper(),
                each.verdict,
                "{:.1f} s".format(manifest.build_seconds),
                manifest.timing_cache,
                "{:.1f} MB".format(manifest.plan_bytes / 1e6),
                str(len(manifest.pinned)),
                clean(manifest.machine.power_mode) or _NONE,
            )
        )
    header = ("engine", "gate", "build", "timing cache", "size", "layers kept in FP32", "built in")
    return (Table(header, tuple(rows), (0, 1, 3, 6)),) if rows else ()


def _accuracy(about: About, found: Sequence[Accuracy]) -> Tuple[Block, ...]:
    rows = tuple(
        (
            each.precision.upper(),
            _shown(each.miou, "{:.4f}"),
            _shown(each.pixel_accuracy, "{:.4f}"),
            _shown(each.frames, "{:.0f}"),
        )
        for each in found
    )
    if not rows:
        return ()
    table = Table(("engine", "mIoU", "pixel accuracy", "frames"), rows)
    told = "On the golden frames, against what the network says in FP32: how far it is kept, and no accuracy."
    return (table,) if about.labelled else (Paragraph(told), table)


def _kernels(record: Optional[Dict[str, Any]]) -> Tuple[Block, ...]:
    found = (record or {}).get("kernels")
    if record is None or not isinstance(found, list):
        return ()
    rows = tuple(
        (
            text(each, "title"),
            "yes" if each.get("is_right") is True else "NO",
            _shown(number(each, "microseconds"), "{:.1f}"),
            _shown(number(each, "gigabytes_per_second"), "{:.1f}"),
            _shown(number(each, "share"), "{:.2f}"),
        )
        for each in found
        if isinstance(each, dict)
    )
    rate = _shown(number(record, "copy_gigabytes_per_second"), "{:.1f} GB/s")
    told = Paragraph(
        "Device memory is copied at {}, read and written; a share of it is what a kernel reaches.".format(rate)
    )
    return (told, Table(("kernel", "right", "us", "GB/s", "share"), rows, (0, 1)))


def _soak(record: Optional[Dict[str, Any]]) -> Tuple[Block, ...]:
    found = (record or {}).get("trends")
    if not isinstance(found, list):
        return ()
    rows = tuple(
        (
            text(each, "name"),
            _shown(number(each, "first"), "{:,.0f}"),
            _shown(number(each, "last"), "{:,.0f}"),
            _shown(number(each, "growth"), "{:+,.2f}"),
            _shown(number(each, "allowed"), "{:,.1f}"),
            "GROWS" if each.get("grows") is True else "flat",
        )
        for each in found
        if isinstance(each, dict)
    )
    return (Table(("second half", "at its start", "at its end", "trend", "allowed", ""), rows, (0, 5)),)


def _camera(record: Optional[Dict[str, Any]]) -> Tuple[Block, ...]:
    if record is None:
        return ()
    rows = (
        ("speed", _shown(number(record, "fps"), "{:.2f} FPS")),
        ("frames", _shown(number(record, "frames"), "{:.0f}")),
        ("of them dropped", _shown(number(record, "dropped"), "{:.0f}")),
        ("latency from capture to the end, p50", _milliseconds(number(record, "latency", "p50_ms"))),
        ("latency, p99", _milliseconds(number(record, "latency", "p99_ms"))),
    )
    return (FactSheets((Facts("live", rows),)),)


def _doctor(findings: Sequence[Dict[str, Any]]) -> Tuple[Block, ...]:
    if not findings:
        return ()
    shown = [each for each in findings if text(each, "verdict") != NOT_HERE]
    shown.sort(key=lambda each: text(each, "verdict") in _GOOD)  # what is wrong first
    rows = tuple(tuple(text(each, key) or _NONE for key in ("verdict", "probe", "evidence", "fix")) for each in shown)
    return (Table(("verdict", "probe", "found", "cure"), rows, (0, 1, 2, 3)),)


def _steps(steps: Sequence[Step], outcomes: Dict[str, Outcome]) -> Table:
    rows = []
    for step in steps:
        outcome = outcomes.get(step.name, _UNTOLD)
        seconds = "{:.0f} s".format(outcome.seconds) if outcome.status != LEFT_OUT else ""
        rows.append((step.name, outcome.status, seconds, outcome.why if outcome.status != DONE else step.title))
    return Table(("step", "", "took", "what, or why not"), tuple(rows), (0, 1, 3))


def _shown(value: Optional[float], form: str) -> str:
    return _NONE if value is None else form.format(value)


def _milliseconds(value: Optional[float]) -> str:
    return _shown(value, "{:.2f} ms")


def _watts(value: Optional[float]) -> str:
    return _shown(value, "{:.2f} W")
