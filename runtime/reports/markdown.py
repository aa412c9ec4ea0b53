"""A report as Markdown, to be pasted into an issue: tables, and figures of block characters.

What comes from a file or a user is escaped: it is no markup and no formula (``$``), names nobody (``@``), refers to no
issue (``#``) and becomes no picture (``:smile:``).
"""

import re
from typing import List, Sequence

from ccc_jetson.runtime.reports import document
from ccc_jetson.runtime.reports.document import Block, Document, Figure
from ccc_jetson.runtime.reports.markup import printable
from ccc_jetson.runtime.reports.scales import label

_BLOCKS = " \u258f\u258e\u258d\u258c\u258b\u258a\u2589\u2588"  # eighths, from the left
_HEIGHTS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
_WIDTH = 24  # of the longest bar
_SPARKS = 40  # of a line
_ROWS = 16  # of a histogram
_MOST_COLUMNS = 24  # of a heat map, beyond which nobody reads its numbers
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~&!#+])")
_REFERENCE = re.compile(r"(@|\\#|GH-)(?=\w)")  # after escaping; a comment between is not shown
# at the start of a paragraph: what would begin a list, or be a rule
_LIST = re.compile(r"\A(?:(?=-(?:[\s-]|\Z))|(?P<number>\d{1,9})(?=[.)](?:\s|\Z)))")
# two digits are a time's minutes
_EMOJI = re.compile(r":(?!\d\d:)(?=[\w\\+-]+:)")
_ADDRESS = re.compile(r"://|www\.(?=\w)", re.IGNORECASE)


def markdown(report: Document) -> str:
    """The whole text, UTF-8."""
    parts = ["# {}: {}".format(escaped(report.command), escaped(report.title))]
    parts += [_paragraph(sentence) for sentence in report.lead]
    if report.warning:
        parts.append("**{}**".format(escaped(report.warning)))
    if report.headlines:
        rows = [
            ("**{}**".format(escaped(each.label)), "**{}**".format(escaped((each.value + " " + each.unit).strip())),
             escaped(each.detail))
            for each in report.headlines
        ]  # fmt: skip
        parts.append(_table(("", "", ""), rows, (0, 2)))
    for section in filter(_tells, report.sections):
        parts.append("{} {}".format("#" * (section.level + 1 if section.level > 1 else 2), escaped(section.title)))
        parts += [text for text in map(_block, section.blocks) if text]
    return "\n\n".join([*parts, "---", _paragraph(report.footer)]) + "\n"


def escaped(text: str) -> str:
    """Text as Markdown that shows it, in one line."""
    found = _SPECIAL.sub(r"\\\1", printable(text))
    found = _EMOJI.sub(":<!-- -->", _REFERENCE.sub(r"\1<!-- -->", found))
    found = _ADDRESS.sub(lambda each: each.group()[:-1] + "<!-- -->" + each.group()[-1], found)
    # GitHub looks for formulas before it looks at backslashes (its page "Writing mathematical expressions")
    return found.replace("$", "<span>$</span>")


def _paragraph(text: str) -> str:
    """Text on lines of its own, which begins no list, rule or block of code."""
    return _LIST.sub(lambda each: (each.group("number") or "") + "\\", escaped(text).strip())


def _tells(section: document.Section) -> bool:
    """Whether anything but pictures, and words about them, is in a section."""
    kinds = set(map(type, section.blocks))
    return document.Pictures not in kinds or bool(kinds - {document.Pictures, document.Paragraph})


def _block(each: Block) -> str:
    if isinstance(each, document.Figures):
        return "\n\n".join(text for text in map(_figure, each.figures) if text)
    if isinstance(each, document.Table):
        rows = [[escaped(cell) for cell in row] for row in each.rows]
        table = _table([escaped(cell) for cell in each.header], rows, each.left)
        return "**{}**\n\n{}".format(escaped(each.title), table) if each.title else table
    if isinstance(each, document.FactSheets):
        return "\n\n".join(
            _table((escaped(sheet.title), ""), [[escaped(cell) for cell in row] for row in sheet.rows], (0, 1))
            for sheet in each.sheets
        )
    if isinstance(each, document.SideBySide):
        return "\n\n".join(text for text in (_block(each.left), _block(each.right)) if text)
    if isinstance(each, document.Pictures):
        return ""  # an issue has its own way to attach pictures
    if isinstance(each, document.Notes):
        return "\n".join("- " + _paragraph(note) for note in each.notes)
    return _fenced(each.text) if isinstance(each, document.Command) else _paragraph(each.text)


def _figure(figure: Figure) -> str:
    title = "**{}**".format(escaped(figure.title))
    if isinstance(figure, document.LineChart):
        rows = [
            [escaped(line.name), sparkline([y for _, y in line.points])]
            + [_short(each) for each in _ends([y for _, y in line.points])]
            for line in figure.lines
            if line.points
        ]
        return "{}\n\n{}".format(title, _table((escaped(figure.unit), "", "least", "most", "last"), rows, (0, 1)))
    if isinstance(figure, document.Histogram):
        marks = ", ".join("{} {:.4g}".format(*mark) for mark in figure.marks)
        return "{}{}\n\n{}".format(title, ": " + escaped(marks) if marks else "", _fenced(_histogram(figure)))
    if isinstance(figure, document.Bars):
        sums = [sum(value for _, value in bar.parts) for bar in figure.bars]
        most = figure.until or max(sums) or 1.0
        rows = [[escaped(bar.label), bar_of(value / most), escaped(bar.text)] for bar, value in zip(figure.bars, sums)]
        return "{}\n\n{}".format(title, _table(("", escaped(figure.unit), ""), rows, (0, 1)))
    if len(figure.columns) > _MOST_COLUMNS:
        return ""
    rows = [
        [escaped(name)] + ["{:.0f}".format(100 * share) if share >= 0.005 else "" for share in shares]
        for name, shares in zip(figure.rows, figure.shares)
    ]
    header = [escaped("{} \\ {}".format(figure.row_title, figure.column_title))] + list(map(escaped, figure.columns))
    return "{}\n\n{}".format(title, _table(header, rows, (0,)))


def bar_of(share: float) -> str:
    """A bar of block characters; ``share`` is of the longest."""
    eighths = round(8 * _WIDTH * min(1.0, max(0.0, share)))
    return _BLOCKS[8] * (eighths // 8) + (_BLOCKS[eighths % 8] if eighths % 8 else "")


def sparkline(values: Sequence[float]) -> str:
    """Values as heights from their lowest to their highest; of many, the mean of neighbours."""
    size = max(1, -(-len(values) // _SPARKS))
    means = [sum(values[at : at + size]) / len(values[at : at + size]) for at in range(0, len(values), size)]
    low, high = min(means), max(means)
    if high <= low:
        return _HEIGHTS[3] * len(means)
    return "".join(_HEIGHTS[min(7, int(8 * (value - low) / (high - low)))] for value in means)


def _histogram(figure: document.Histogram) -> str:
    """A line for each of some neighbouring bins."""
    size = -(-len(figure.counts) // _ROWS)
    lines, counts = [], [sum(figure.counts[at : at + size]) for at in range(0, len(figure.counts), size)]
    for index, count in enumerate(counts):
        start, end = figure.edges[index * size], figure.edges[min(len(figure.counts), (index + 1) * size)]
        lines.append("{:>9.4g} to {:<9.4g} {:>8}  {}".format(start, end, count, bar_of(count / max(counts))).rstrip())
    return "\n".join(lines)


def _ends(values: Sequence[float]) -> List[float]:
    return [min(values), max(values), values[-1]]


def _short(value: float) -> str:
    return label(value, 1.0) if abs(value) >= 1000 else "{:.4g}".format(value)


def _fenced(text: str) -> str:
    """A block of code, whose fence is longer than any in it."""
    shown = "\n".join(printable(line) for line in text.splitlines())
    fence = "`" * max(3, 1 + max((len(found) for found in re.findall("`+", shown)), default=0))
    return "{0}\n{1}\n{0}".format(fence, shown)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """Cells are escaped already."""
    rules = ["---" if column in left else "--:" for column in range(len(header))]
    return "\n".join("| {} |".format(" | ".join(cells)) for cells in [header, rules, *rows])
