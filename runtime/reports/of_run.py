"""What a page says of a run of ``ccc-run``."""

from typing import List, Optional, Sequence

from ccc_jetson.runtime.metrics import StageSummary
from ccc_jetson.runtime.report import COMPLETE, ENDED_BY_USER
from ccc_jetson.runtime.reports.document import (
    Bar,
    Bars,
    Block,
    Document,
    Facts,
    FactSheets,
    Figure,
    Figures,
    Headline,
    Paragraph,
    Picture,
    Pictures,
    Section,
    SideBySide,
    Table,
)
from ccc_jetson.runtime.reports.parts import (
    footer,
    histogram_of,
    machine_facts,
    milliseconds,
    model_facts,
    moment,
    name_of,
    plural,
    published_section,
    reproduce_section,
    speed_headline,
    stage_table,
    telemetry_section,
    threads_figure,
    timeline_figures,
)
from ccc_jetson.runtime.reports.records import Run

_MOST_PICTURES = 40  # of a classifier, in the table
_LEAST_SHARE = 0.0005  # of a class that is drawn


def run_document(run: Run, pictures: Sequence[Picture] = ()) -> Document:
    """The report; ``pictures`` are overlays of some of its frames."""
    warning = ""
    if run.ended == ENDED_BY_USER:
        warning = "Interrupted: this is what was measured until then."
    elif run.ended != COMPLETE:
        warning = "Ended early: " + run.ended
    return Document(
        command="ccc-run",
        title="{} on {}".format(run.model.title, name_of(run.header.machine)),
        lead=("{}, {}".format(run.source, moment(run.header.started)), run.backend),
        warning=warning,
        headlines=tuple(_headlines(run)),
        sections=(
            *_time_section(run),
            *_course_section(run),
            *telemetry_section(run.telemetry),
            *_seen_section(run, pictures),
            *published_section(run.published),
            Section("Measured on", (FactSheets((machine_facts(run.header), _frames(run), _model(run))),)),
            *reproduce_section(run.header),
        ),
        footer=footer(run.header),
    )


def _headlines(run: Run) -> List[Headline]:
    detail = "{} in {:.1f} s, end to end".format(plural(run.frames, "frame"), run.wall_s)
    speed, *published = speed_headline(run.fps, run.published, detail)
    shown = [speed]
    infer = _infer(run)
    if run.live and run.latency is not None:
        detail = "median, capture to result; p99: {} ms".format(milliseconds(run.latency.p99_ms))
        shown.append(Headline("Latency", milliseconds(run.latency.p50_ms), "ms", detail))
    elif infer is not None:
        detail = "median of a frame; p99: {} ms".format(milliseconds(infer.p99_ms))
        shown.append(Headline("Inference", milliseconds(infer.p50_ms), "ms", detail))
    if run.live:
        share = 100.0 * run.dropped / max(1, run.dropped + run.frames)
        shown.append(
            Headline("Dropped", "{:.1f}".format(share), "%", plural(run.dropped, "frame") + ", for newer ones")
        )
    return shown + published


def _infer(run: Run) -> Optional[StageSummary]:
    return next((each for each in run.stages if each.name == "infer"), None)


def _time_section(run: Run) -> List[Section]:
    if not run.stages:
        return []
    blocks: List[Block] = [Paragraph("Bottleneck: {}.".format(run.bottleneck))] * bool(run.bottleneck)
    threads = threads_figure(run.stages)
    figures: List[Figure] = [threads] if threads else []
    if run.live:
        figures += histogram_of(run.histograms.get("latency"), run.latency, "Latency of the frames")
    else:  # whose frames wait in queues
        figures += histogram_of(run.histograms.get("infer"), _infer(run), "Inference time of the frames")
    blocks += [Figures(tuple(figures))] * bool(figures)
    totals = [each for each in (run.latency, run.latency_to_class_map) if each is not None]
    blocks.append(stage_table([*run.stages, *totals]))
    if not run.live and run.latency is not None:
        blocks.append(
            Paragraph("Frames of a file wait in queues, which the latency counts; a camera's frames do not queue.")
        )
    return [Section("Where the time goes", tuple(blocks))]


def _course_section(run: Run) -> List[Section]:
    charts = timeline_figures(run.timeline, run.live)
    return [Section("Over the run", (Figures(tuple(charts)),))] if charts else []


def _seen_section(run: Run, pictures: Sequence[Picture]) -> List[Section]:
    blocks: List[Block] = []
    if run.class_shares:
        colors = dict(run.model.palette)
        shares = [each for each in run.class_shares if each[1] >= _LEAST_SHARE] or list(run.class_shares[:1])
        bars = tuple(
            Bar(name, (("", 100.0 * share),), "{:.1f} %".format(100.0 * share), colors.get(name, ""))
            for name, share in shares
        )
        told = "Share of all pixels that the network saw; the largest is {}.".format(shares[0][0])
        figures = Figures((Bars("Classes, share of the pixels", told, "%", bars),))
        blocks.append(SideBySide(figures, Pictures(tuple(pictures))) if pictures else figures)
        if len(shares) < len(run.class_shares):
            rest = len(run.class_shares) - len(shares)
            blocks.append(
                Paragraph("{} with less than 0.05 % each: not shown.".format(plural(rest, "more class", "es")))
            )
    if run.pictures:
        rows = tuple((name, best, "{:.1f} %".format(100.0 * share)) for name, best, share in run.pictures)
        blocks.append(Table(("picture", "class", "probability"), rows[:_MOST_PICTURES], (0, 1)))
        if len(rows) > _MOST_PICTURES:
            more = plural(len(rows) - _MOST_PICTURES, "more picture")
            blocks.append(Paragraph("And {}; the JSON report has all of them.".format(more)))
    return [Section("What was seen", tuple(blocks))] if blocks else []


def _model(run: Run) -> Facts:
    return model_facts(run.model, run.backend, run.fit, run.facts)


def _frames(run: Run) -> Facts:
    rows = [("source", run.source), ("kind", "live: the newest frame is taken" if run.live else "a file: every frame")]
    rows += run.source_facts
    rows += [("written", output) for output in run.outputs]
    return Facts("Frames", (*rows, ("ended", run.ended)))
