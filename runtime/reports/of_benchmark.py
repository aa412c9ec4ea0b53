"""What a page says of a benchmark by ``ccc-bench``: a chapter for each model where there are several."""

from typing import List, Optional, Tuple

from ccc_jetson.runtime.bench.report import steadiness
from ccc_jetson.runtime.metrics import StageSummary, stages_with_warm_up
from ccc_jetson.runtime.report import COMPLETE
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
    Notes,
    Paragraph,
    Section,
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
from ccc_jetson.runtime.reports.records import Benched, Benchmark


def benchmark_document(benchmark: Benchmark) -> Document:
    """The report."""
    header, results = benchmark.header, benchmark.results
    single = results[0] if len(results) == 1 else None
    title = single.model.title if single else plural(len(results), "model")
    warnings = ["{}: {}".format(model, message) for model, message in benchmark.problems]
    warnings += ["{} was not measured".format(model) for model in benchmark.not_run]
    if benchmark.ended != COMPLETE:
        warnings.insert(0, "Interrupted: this is what was measured until then.")
    sections: List[Section] = []
    if single is None:
        sections.append(_overview(benchmark))
    for each in results:
        if single is None:
            sections.append(Section(each.name, (Paragraph(_lead(each)),), level=1))
        sections += _sections(benchmark, each, single is not None)
    if single is None:
        sections.append(Section("Measured on", (FactSheets((machine_facts(header),)),)))
    sections += reproduce_section(header)
    return Document(
        command="ccc-bench",
        title="{} on {}".format(title, name_of(header.machine)),
        lead=(_lead(single), moment(header.started)) if single else (moment(header.started),),
        warning=" ".join(warnings),
        headlines=tuple(_headlines(single)) if single else (),
        sections=tuple(sections),
        footer=footer(header),
    )


def _lead(each: Benched) -> str:
    return "{}, {}".format(each.source, each.backend)


def _headlines(each: Benched) -> List[Headline]:
    warm_up = "a warm-up" if each.warm_up is None else "{} and {:.1f} s of warm-up".format(*_warm_up(each.warm_up))
    detail = "{} in {:.1f} s, after {}".format(plural(each.frames, "frame"), each.wall_s, warm_up)
    speed, *published = speed_headline(each.fps, each.published, detail)
    shown = [speed]
    if each.frame is not None:
        detail = "median, from one frame to the next; p99: {} ms".format(milliseconds(each.frame.p99_ms))
        shown.append(Headline("Frame time", milliseconds(each.frame.p50_ms), "ms", detail))
    if each.network is not None:
        detail = "median, nothing copied; p99: {} ms".format(milliseconds(each.network.p99_ms))
        shown.append(Headline("Network alone", milliseconds(each.network.p50_ms), "ms", detail))
    return shown + published


def _warm_up(warm_up: Tuple[int, float]) -> Tuple[str, float]:
    return plural(warm_up[0], "frame"), warm_up[1]


def _overview(benchmark: Benchmark) -> Section:
    """All models in one figure and one table."""
    rows = []
    for each in benchmark.results:
        times = (_p50(each.frame), each.frame and each.frame.p99_ms, _p50(each.latency), _p50(each.network))
        shown = ("-" if time is None else milliseconds(time) for time in times)
        rows.append((each.name, each.model.title, "{:.2f}".format(each.fps), *shown))
    header = ("model", "network", "FPS", "frame p50 ms", "p99 ms", "latency p50 ms", "network p50 ms")
    blocks: List[Block] = []
    if benchmark.results:
        bars = tuple(Bar(each.name, (("", each.fps),), "{:.2f}".format(each.fps)) for each in benchmark.results)
        blocks.append(Figures((Bars("Speed", "Frames per second of each model.", "frames per second", bars),)))
    blocks.append(Table(header, tuple(rows), (0, 1)))
    return Section("Side by side", tuple(blocks))


def _p50(summary: Optional[StageSummary]) -> Optional[float]:
    return None if summary is None else summary.p50_ms


def _sections(benchmark: Benchmark, each: Benched, with_machine: bool) -> List[Section]:
    """Those of one model; the machine is told once where there are several."""
    figures: List[Figure] = []
    threads = threads_figure(each.stages)
    if threads is not None:
        figures.append(threads)
    figures += histogram_of(each.histograms.get("frame"), each.frame, "Frame times")
    blocks: List[Block] = [Paragraph("Bottleneck: {}.".format(each.bottleneck))] * bool(each.bottleneck)
    blocks += [Figures(tuple(figures))] * bool(figures)
    totals = [total for total in (each.frame, each.latency, each.network) if total is not None]
    blocks += [stage_table(totals, "end to end")] * bool(totals)
    blocks += [stage_table(each.stages)] * bool(each.stages)
    with_warm_up = stages_with_warm_up(each.stages, each.frames)
    notes = (("Counts of " + with_warm_up,) if with_warm_up else ()) + each.notes
    blocks += [Notes(notes)] * bool(notes)
    charts = timeline_figures(each.timeline, False)
    rows = [
        ("source", each.source),
        ("warm-up", "" if each.warm_up is None else "{}, {:.1f} s".format(*_warm_up(each.warm_up))),
        ("steadiness", steadiness(each.slices_fps) if each.slices_fps else ""),
        ("network alone", each.network_is),
    ]
    rows += [("clocks " + moment, text) for moment, text in each.clocks]
    frames = Facts("Frames", tuple(row for row in rows if row[1]))
    model = model_facts(each.model, each.backend, benchmark.fit, each.facts)
    sheets = (machine_facts(benchmark.header), frames, model) if with_machine else (frames, model)
    return [
        *([Section("Where the time goes", tuple(blocks))] if blocks else []),
        *([Section("Over the run", (Figures(tuple(charts)),))] if charts else []),
        *telemetry_section(each.telemetry),
        *published_section(each.published),
        Section("Measured on" if with_machine else "Measured with", (FactSheets(sheets),)),
    ]
