"""What a page says of two benchmarks that ``ccc-bench compare`` has compared."""

from typing import List

from ccc_jetson.runtime.bench.compare import FASTER, NEITHER, SLOWER
from ccc_jetson.runtime.bench.plan import STATISTICS
from ccc_jetson.runtime.reports.document import (
    Bar,
    Bars,
    Block,
    Command,
    Document,
    Figures,
    Headline,
    Notes,
    Paragraph,
    Section,
    Table,
)
from ccc_jetson.runtime.reports.records import Comparison

_BEYOND = "the whole interval shows it"
# value, unit and detail of a headline
_SIGNS = {FASTER: (FASTER, "", _BEYOND), SLOWER: (SLOWER, "", _BEYOND), NEITHER: ("\u2248", "A", NEITHER)}


def comparison_document(comparison: Comparison) -> Document:
    """The report."""
    statistic = STATISTICS[comparison.statistic].title
    sections = [Section("Verdict", tuple(_verdict(comparison, statistic)))]
    if comparison.differences:
        told = Paragraph("Not the models alone differ; each of these may be the cause.")
        table = Table(("what", "in A", "in B"), comparison.differences, (0, 1, 2))
        sections.append(Section("Other circumstances", (told, table)))
    if comparison.command:
        sections.append(Section("To compare them again", (Command(comparison.command),)))
    slower, pairs = sum(pair.verdict == SLOWER for pair in comparison.pairs), len(comparison.pairs)
    warning = "B is slower in {} of {} models.".format(slower, pairs) if pairs > 1 else "B is slower."
    return Document(
        command="ccc-bench compare",
        title="B against A, {}".format(statistic),
        lead=("A is {}".format(comparison.a), "B is {}".format(comparison.b)),
        warning=warning if slower else "",
        headlines=tuple(_headlines(comparison, statistic)),
        sections=tuple(sections),
        footer=comparison.tool + (", revision " + comparison.revision if comparison.revision else ""),
    )


def _headlines(comparison: Comparison, statistic: str) -> List[Headline]:
    """Of one pair; of several the table tells."""
    if len(comparison.pairs) != 1:
        return []
    (pair,) = comparison.pairs
    detail = "95 % interval: {:.3f} to {:.3f}".format(pair.low, pair.high)
    return [
        Headline("A", "{:.2f}".format(pair.figure_a), "", statistic),
        Headline("B", "{:.2f}".format(pair.figure_b), "", statistic),
        Headline("B / A", "{:.3f}".format(pair.ratio), "", detail),
        Headline("B is", *_SIGNS[pair.verdict]),
    ]


def _verdict(comparison: Comparison, statistic: str) -> List[Block]:
    bars, rows = [], []
    for pair in comparison.pairs:
        for name, figure in (("A", pair.figure_a), ("B", pair.figure_b)):
            bars.append(Bar("{}: {}".format(name, pair.name), (("", figure),), "{:.2f}".format(figure)))
        interval = "{:.3f} to {:.3f}".format(pair.low, pair.high)
        figures = ("{:.2f}".format(pair.figure_a), "{:.2f}".format(pair.figure_b), "{:.3f}".format(pair.ratio))
        rows.append((pair.name, *figures, interval, pair.verdict))
    told = (
        "What counts is whether the whole 95 % interval of B / A is beyond {:g} %. The interval is of these two "
        "runs, by a moving-block bootstrap; how much runs differ from each other, only more runs show."
    )
    blocks: List[Block] = [
        Figures((Bars("A and B", "The figures of each model.", statistic, tuple(bars)),)),
        Table(("model", "A", "B", "B / A", "95 % interval", "B is"), tuple(rows), (0, 5)),
        Paragraph(told.format(comparison.tolerance_percent)),
    ]
    return blocks + [Notes(comparison.notes)] * bool(comparison.notes)
