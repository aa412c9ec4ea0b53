"""What all reports have in common: parts of a document, from the records of a reading."""

import os
from typing import List, Optional, Sequence, Tuple

from ccc_jetson.published import FPS
from ccc_jetson.runtime.metrics import Distribution, Machine, StageSummary
from ccc_jetson.runtime.pipeline import THREADS
from ccc_jetson.runtime.reports.document import (
    Bar,
    Bars,
    Block,
    Command,
    Facts,
    FactSheets,
    Figures,
    Headline,
    Histogram,
    Line,
    LineChart,
    Notes,
    Section,
    Table,
)
from ccc_jetson.runtime.reports.records import Header, Model, Publication, Telemetry
from ccc_jetson.runtime.timeline import Timeline

_MINUTES_FROM_S, _HOURS_FROM_S = 180.0, 10800.0
_DEGREES = ("C", "\u00b0C", "degC")
_GROUPS = {"W": "Power", "mW": "Power", "MHz": "Clocks", "%": "Load", "GB": "Memory"}  # unit -> what is measured in it
_GROUPS.update((unit, "Temperature") for unit in _DEGREES)
_NAMED_BY_GROUP = ("temperature ", "rail ")  # in the name of a series, where the chart's title says so too
_MOST_LINES = 6  # of a chart: as many as can be told apart
_MOST_THROTTLED = 10
_HASH = 16  # digits that tell two files apart at a glance


def name_of(machine: Machine) -> str:
    """The board's, else the CPU's."""
    return machine.board or machine.cpu


def speed_headline(fps: float, published: Sequence[Publication], detail: str) -> List[Headline]:
    """Frames per second, and what was published for this network, compared only where that means something."""
    shown = [Headline("Speed", "{:.2f}".format(fps), "FPS", detail)]
    for each in published:
        if each.figure == FPS:
            shown.append(Headline("Published", "{:g}".format(each.value), "FPS", _verdict(each)))
            break
    return shown


def _verdict(each: Publication) -> str:
    if each.measured is None:
        return "{}; not measured here".format(each.where)
    if not each.comparable:
        return "{}; not compared: {}".format(each.where, each.why_not)
    return "{}; reached {:.0f} % of it".format(each.where, 100.0 * each.measured / each.value)


def stage_table(stages: Sequence[StageSummary], title: str = "stage", count: str = "frames") -> Table:
    """Percentiles in milliseconds."""
    header = (title, "p50 ms", "p90 ms", "p95 ms", "p99 ms", "max ms", "mean ms", count)
    rows = []
    for each in stages:
        times = (each.p50_ms, each.p90_ms, each.p95_ms, each.p99_ms, each.max_ms, each.mean_ms)
        rows.append((each.name, *map(milliseconds, times), "{:,}".format(each.samples)))
    return Table(header, tuple(rows))


def milliseconds(value: float) -> str:
    """With as many digits as are of use."""
    return "{:,.{}f}".format(value, 0 if value >= 1000 else 1 if value >= 100 else 2)


def threads_figure(stages: Sequence[StageSummary]) -> Optional[Bars]:
    """Mean time of each thread's stages: the longest bar sets the pace. None for stages that are no pipeline's."""
    means = {each.name: each.mean_ms for each in stages}
    bars, marked, longest = [], "", 0.0
    for thread in THREADS:
        parts = tuple((stage, means[stage]) for stage in THREADS[thread] if stage in means)
        total = sum(value for _, value in parts)
        if parts:
            bars.append(Bar(thread + " thread", parts, milliseconds(total) + " ms"))
            if total > longest:
                longest, marked = total, max(parts, key=lambda part: part[1])[0]
    if len(bars) < 2:
        return None
    return Bars(
        "Mean time of a frame in each thread",
        "The threads work at the same time, so the longest bar sets the pace; its longest stage is marked.",
        "ms a frame",
        tuple(bars),
        named=True,
        marked=marked,
    )


def timeline_figures(timeline: Optional[Timeline], live: bool) -> List[LineChart]:
    """Speed, latency and drops over the run; none where there are fewer than two parts."""
    if timeline is None or len(timeline.frames) < 2:
        return []
    until_s = timeline.to_s[-1]
    time, factor = _time_unit(until_s)
    middles = [factor * (start + end) / 2 for start, end in zip(timeline.from_s, timeline.to_s)]
    lengths = [end - start for start, end in zip(timeline.from_s, timeline.to_s)]

    def points(values: Sequence[float], of_frames: bool = False) -> Tuple[Tuple[float, float], ...]:
        return tuple(
            (at, value) for at, value, frames in zip(middles, values, timeline.frames) if frames or not of_frames
        )

    def chart(title: str, told: str, unit: str, lines: Tuple[Line, ...], filled: bool = False) -> LineChart:
        told += " In {} parts of the run.".format(len(middles))
        return LineChart(title, told, "time, " + time, unit, factor * until_s, lines, filled=filled)

    fps = [frames / length for frames, length in zip(timeline.frames, lengths)]
    latency = (
        Line("p50", points(timeline.latency_p50_ms, True)),
        Line("longest", points(timeline.latency_max_ms, True)),
    )
    told = "From {:.1f} to {:.1f} frames per second.".format(min(fps), max(fps))
    charts = [chart("Speed", told, "frames per second", (Line("FPS", points(fps)),), True)]
    charts.append(chart("Latency", "Median and longest latency of the frames.", "ms", latency))
    if live and any(timeline.dropped):
        rates = [dropped / length for dropped, length in zip(timeline.dropped, lengths)]
        told = "Frames that a newer one replaced before they were computed."
        charts.append(chart("Dropped frames", told, "frames per second", (Line("dropped", points(rates)),), True))
    return charts


def histogram_of(distribution: Optional[Distribution], summary: Optional[StageSummary], title: str) -> List[Histogram]:
    """How long frames took, with percentiles marked; none where that is not known."""
    if distribution is None or summary is None:
        return []
    marks = (("p50", summary.p50_ms), ("p99", summary.p99_ms))
    told = "Half of {} frames took no longer than {:.4g} ms, 99 % no longer than {:.4g} ms.".format(
        summary.samples, summary.p50_ms, summary.p99_ms
    )
    return [Histogram(title, told, "ms, logarithmic", "frames", distribution.edges_ms, distribution.counts, marks)]


def telemetry_section(telemetry: Optional[Telemetry]) -> List[Section]:
    """What the sensors showed, a chart for each unit; none where there were none."""
    if telemetry is None or not any(each.points for each in telemetry.series):
        return []
    until_s = max(each.points[-1][0] for each in telemetry.series if each.points)
    time, factor = _time_unit(until_s)
    shades = tuple((factor * start, factor * end, reason) for start, end, reason in telemetry.throttling)
    charts = []
    for group in dict.fromkeys(each.unit for each in telemetry.series if each.points):
        series = [each for each in telemetry.series if each.unit == group and each.points]
        alone = series[0].name[:1].upper() + series[0].name[1:]
        title = _GROUPS.get(group, group) if len(series) > 1 else alone
        lines = [
            Line(_without_group(each.name), tuple((factor * max(0.0, at), value) for at, value in each.points))
            for each in series
        ]
        count = -(-len(lines) // _MOST_LINES)  # charts that hold about as many lines each, so that none is left alone
        for index in range(count):
            shown = tuple(lines[index * len(lines) // count : (index + 1) * len(lines) // count])
            name = "{}, {} of {}".format(title, index + 1, count) if count > 1 else title
            ends = "; ".join(
                "{} from {:.4g} to {:.4g}".format(
                    line.name, min(y for _, y in line.points), max(y for _, y in line.points)
                )
                for line in shown
            )
            until = factor * max(until_s, 1e-9)
            unit = "\u00b0C" if group == "C" else group
            from_zero = group not in _DEGREES
            charts.append(
                LineChart(name, ends + ".", "time, " + time, unit, until, shown, shades, from_zero, shaded="throttled")
            )
    facts = list(telemetry.summary)
    if telemetry.joules_per_frame is not None:
        facts.insert(0, ("energy of a frame", "{:.3g} J".format(telemetry.joules_per_frame)))
    facts.append(("read every", "{:g} s".format(telemetry.interval_s)))
    notes = [
        "throttled from {:.0f} to {:.0f} s: {}".format(start, end, reason)
        for start, end, reason in telemetry.throttling[:_MOST_THROTTLED]
    ]
    if len(telemetry.throttling) > _MOST_THROTTLED:
        notes.append("throttled {} times more".format(len(telemetry.throttling) - _MOST_THROTTLED))
    notes += telemetry.notes
    blocks: List[Block] = [Figures(tuple(charts))]
    blocks += [Notes(tuple(notes))] * bool(notes)
    blocks.append(FactSheets((Facts("Summary", tuple(facts)),)))
    return [Section("The machine over the run", tuple(blocks))]


def _without_group(name: str) -> str:
    """``temperature GPU`` -> ``GPU``."""
    return next((name[len(start) :] for start in _NAMED_BY_GROUP if name.startswith(start)), name)


def published_section(published: Sequence[Publication]) -> List[Section]:
    """All that was published for the network, beside what was measured here."""
    rows = []
    for each in published:
        here = "not measured" if each.measured is None else "{:.2f}".format(each.measured)
        if not each.comparable:
            verdict = each.why_not and "not comparable: " + each.why_not
        elif each.figure == FPS:
            verdict = "{:.2f} of it".format(each.measured / each.value if each.measured and each.value else 0.0)
        else:
            verdict = "{:+.2f} points".format((each.measured or 0.0) - each.value)
        rows.append((each.figure, each.where, "{:g}".format(each.value), here, verdict))
    if not rows:
        return []
    table = Table(("figure", "published for", "published", "here", ""), tuple(rows), (0, 1, 4))
    return [Section("Beside what was published", (table,))]


def machine_facts(header: Header) -> Facts:
    """The board or PC, its system and what runs on it."""
    machine = header.machine
    rows = [
        ("board", machine.board),
        ("CPU", "{}, {} core{}".format(machine.cpu, machine.cores, "" if machine.cores == 1 else "s")),
        ("JetPack", machine.jetpack),
        ("L4T", machine.l4t),
        ("power mode", machine.power_mode),
        ("system", machine.system),
        ("Python", machine.python),
        *header.libraries,
    ]
    return Facts("Machine", tuple(row for row in rows if row[1]))


def model_facts(model: Model, backend: str, fit: str, facts: Sequence[Tuple[str, str]]) -> Facts:
    """The file that ran, its contract and what ran it."""
    rows = [
        ("file", os.path.basename(model.path)),
        ("SHA-256", model.sha256[:_HASH] + "\u2026"),
        ("chosen", "" if model.chosen == "as asked" else model.chosen),
        ("network", model.title),
        ("checkpoint", model.checkpoint),
        (
            "input",
            "{}x{}, {}".format(model.width, model.height, fit) if fit else "{}x{}".format(model.width, model.height),
        ),
        ("preprocessing", model.preprocessing),
        ("output", "{} of {} classes".format(model.output.replace("_", " "), model.classes) if model.classes else ""),
        ("exported for", ", ".join(part for part in (model.target, model.precision) if part)),
        ("passes", ", ".join(model.passes)),
        ("backend", backend),
    ]
    rows += [(name.replace("_", " "), text) for name, text in facts if text != model.sha256]
    return Facts("Model and contract", tuple(row for row in rows if row[1]))


def reproduce_section(header: Header) -> List[Section]:
    """The command; none where an older report does not have it."""
    return [Section("To measure it again", (Command(header.command),))] if header.command else []


def footer(header: Header) -> str:
    """Who wrote it, and when it was measured."""
    tool = header.tool + (", revision " + header.revision if header.revision else "")
    return "{} \u00b7 {}".format(tool, moment(header.started))


def moment(started: str) -> str:
    """``2024-05-06T07:08:09Z`` -> ``2024-05-06 07:08 UTC``; as it stands where it is written in another way."""
    date, found, time = started.partition("T")
    return "{} {} UTC".format(date, time[:5]) if found and time.endswith("Z") else started


def plural(count: int, what: str, ending: str = "s") -> str:
    """``1 frame``, ``1,200 frames``."""
    return "{:,} {}{}".format(count, what, "" if count == 1 else ending)


def _time_unit(until_s: float) -> Tuple[str, float]:
    """The unit in which a run of this length is shown, and the factor to it."""
    if until_s >= _HOURS_FROM_S:
        return "h", 1 / 3600.0
    return ("min", 1 / 60.0) if until_s >= _MINUTES_FROM_S else ("s", 1.0)
