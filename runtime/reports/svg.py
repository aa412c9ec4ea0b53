"""Figures as SVG, to stand in a page whose style sheet (``page.css``) gives colours and letters.

Lines differ by their dashes too, so that they can be told apart without colours. Sizes are in the units of the view
box, which a page scales; its letters have 12 of them.
"""

import math
from typing import Dict, List, Optional, Sequence, Tuple

from ccc_jetson.runtime.reports.document import Bars, Figure, HeatMap, Histogram, LineChart
from ccc_jetson.runtime.reports.markup import Markup, Value, block, element, empty
from ccc_jetson.runtime.reports.scales import Scale, labels, log_ticks, rounded_span, rounded_up, ticks

WIDTH = 440
WIDE = 860
COLORS = 6  # of lines, in the style sheet
_LETTER = 7.3  # a letter of a wide font, on average
_PLOT = 150  # height of what is drawn
_RIGHT, _BELOW, _ROW = 14, 36, 18
_TICKS_BELOW = 22  # of an axis without a title
_MOST_TICKS = 6
_MOST_POINTS = 400  # of a line: more than it has pixels
_LONGEST_LABEL = 24  # letters
_CELL, _LEAST_FOR_TEXT = 38, 24
_LEAST_SHARE = 0.005  # of a heat map: what would be written as 0


def svg(figure: Figure, name: str) -> Markup:
    """The figure; ``name`` is unique in its page and fit for an id."""
    if isinstance(figure, LineChart):
        return _line_chart(figure, name)
    if isinstance(figure, Histogram):
        return _histogram(figure, name)
    return _bars(figure, name) if isinstance(figure, Bars) else _heat_map(figure, name)


def _picture(
    figure: Figure, name: str, height: float, parts: Sequence[str], width: float = WIDTH, style: Optional[str] = None
) -> Markup:
    """An SVG with a title and a description for those who do not see it."""
    return block(
        "svg",
        {
            "style": style,
            "viewBox": "0 0 {:.0f} {:.0f}".format(width, height),
            "role": "img",
            "aria-labelledby": "{0}-title {0}-description".format(name),
        },
        element("title", {"id": name + "-title"}, figure.title),
        element("desc", {"id": name + "-description"}, figure.description),
        *parts,
    )


def _line_chart(chart: LineChart, name: str) -> Markup:
    lines = [(each.name, _thinned(each.points)) for each in chart.lines]
    values = [y for _, points in lines for _, y in points]
    if chart.from_zero:
        low, high = 0.0, rounded_up(max(values, default=0.0), _MOST_TICKS)
    else:
        low, high = rounded_span(min(values, default=0.0), max(values, default=1.0), _MOST_TICKS)
    marks = ticks(low, high, _MOST_TICKS)
    texts = labels(marks)
    entries = [(each.name, "line line-{}".format(index % COLORS + 1)) for index, each in enumerate(chart.lines)]
    entries = entries if len(entries) > 1 else []
    entries += [(chart.shaded, "shade")] * bool(chart.shades)
    legend, top = _legend(entries)
    left = 12 + _LETTER * max(len(text) for text in texts)
    x = Scale(0.0, chart.until, left, WIDTH - _RIGHT)
    y = Scale(low, high, top + _PLOT, top)
    parts = list(legend)
    for start, end, reason in chart.shades:
        width = max(1.0, x(end) - x(start))
        place = _place(x(start), top, width, _PLOT, "shade")
        parts.append(element("rect", place, element("title", {}, reason)))
    parts += _y_axis(y, marks, texts, left)
    parts += _x_axis(x, ticks(0.0, chart.until, _MOST_TICKS), top + _PLOT, chart.x_title)
    for index, (_, points) in enumerate(lines):
        path = " ".join("{:.1f},{:.1f}".format(x(at), y(value)) for at, value in points)
        number = index % COLORS + 1
        if chart.filled and index == 0 and points:
            ends = "{:.1f},{:.1f} {} {:.1f},{:.1f}".format(
                x(points[0][0]), top + _PLOT, path, x(points[-1][0]), top + _PLOT
            )
            parts.append(empty("polygon", {"points": ends, "class": "area fill-{}".format(number)}))
        if len(points) == 1:
            parts.append(empty("circle", {"cx": x(points[0][0]), "cy": y(points[0][1]), "r": 3,
                                          "class": "fill-{}".format(number)}))  # fmt: skip
        else:
            parts.append(empty("polyline", {"points": path, "class": "line line-{}".format(number)}))
    return _picture(chart, name, top + _PLOT + _BELOW, parts)


def _histogram(chart: Histogram, name: str) -> Markup:
    top = 8 + _ROW * min(2, len(chart.marks))
    marks = ticks(0.0, rounded_up(max(chart.counts), 5), 5)
    texts = labels(marks)
    left = 12 + _LETTER * max(len(text) for text in texts)
    x = Scale(chart.edges[0], chart.edges[-1], left, WIDTH - _RIGHT, log=True)
    y = Scale(0.0, marks[-1], top + _PLOT, top)
    parts = _y_axis(y, marks, texts, left)
    parts += _x_axis(x, log_ticks(chart.edges[0], chart.edges[-1], _MOST_TICKS), top + _PLOT, chart.x_title)
    for start, end, count in zip(chart.edges, chart.edges[1:], chart.counts):
        if count:
            gap = 0.5 if x(end) - x(start) > 3 else 0.0
            place = _place(x(start) + gap, y(count), x(end) - x(start) - 2 * gap, top + _PLOT - y(count), "fill-1")
            told = "{} from {:.4g} to {:.4g}".format(count, start, end)
            parts.append(element("rect", place, element("title", {}, told)))
    free = [-math.inf, -math.inf]  # of each row: where the last text ends
    for text, value in chart.marks:
        told, at = "{} {:,.4g}".format(text, value), x(value)
        half = _LETTER * len(told) / 2
        middle = min(max(at, left + half), WIDTH - half)
        row = 0 if free[0] <= middle - half else 1
        free[row] = middle + half + 6
        height = 12 + row * _ROW
        parts.append(_line(at, height + 4, at, top + _PLOT, "mark"))
        parts.append(element("text", {"x": middle, "y": height, "class": "middle"}, told))
    return _picture(chart, name, top + _PLOT + _BELOW, parts)


def _bars(chart: Bars, name: str) -> Markup:
    sums = [sum(value for _, value in bar.parts) for bar in chart.bars]
    until = chart.until or max(sums) or 1.0
    end = max(len(bar.text) for bar in chart.bars) * _LETTER + 10
    swatch = 16 if any(bar.color for bar in chart.bars) else 0
    left = 10 + swatch + _LETTER * max(len(_cut(bar.label)) for bar in chart.bars)
    x = Scale(0.0, until, left, WIDTH - end)
    height = 36 if chart.named else 20
    bottom = 6 + height * len(chart.bars)
    parts = []
    marks = ticks(0.0, until, _MOST_TICKS)
    for value in marks:
        parts.append(_line(x(value), 4, x(value), bottom, "grid"))
    for row, bar in enumerate(chart.bars):
        top = 4 + height * row
        line = top + height / 2 + 4.5
        if bar.color:
            parts.append(
                empty("rect", {"x": 0, "y": line - 9.5, "width": 10, "height": 10, "rx": 2, "fill": bar.color,
                               "class": "swatch"})
            )  # fmt: skip
        parts.append(_label(bar.label, left - 8, line, "end"))
        start = 0.0
        for part, value in bar.parts:
            width = x(start + value) - x(start)
            fill = "fill-2" if part and part == chart.marked else "fill-1"
            place = _place(x(start), top + 3, width, height - 6, fill + " part")
            told = "{}: {}".format(part or bar.label, bar.text if len(bar.parts) == 1 else "{:.3g}".format(value))
            parts.append(element("rect", place, element("title", {}, told)))
            if chart.named and part != bar.label and width > _LETTER * len(part) + 8:
                parts.append(element("text", {"x": x(start) + 6, "y": line, "class": "on"}, part))
            start += value
        parts.append(element("text", {"x": x(start) + 6, "y": line}, bar.text))
    parts += _x_axis(x, marks, bottom)
    return _picture(chart, name, bottom + _TICKS_BELOW, parts)


def _heat_map(chart: HeatMap, name: str) -> Markup:
    left = 10 + _LETTER * max(len(_cut(text)) for text in chart.rows)
    above = 26 + 0.75 * _LETTER * max(len(_cut(text)) for text in chart.columns)
    side = min(_CELL, (WIDE - left - 60) / len(chart.columns))
    right, bottom = left + side * len(chart.columns), above + side * len(chart.rows)
    parts = [
        element("text", {"x": left, "y": 12, "class": "soft"}, chart.column_title + " \u2192"),
        element("text", {"x": 0, "y": above - 6, "class": "soft"}, chart.row_title + " \u2193"),
    ]
    for index, text in enumerate(chart.columns):
        at = "{:.1f} {:.1f}".format(left + side * (index + 0.5) + 3, above - 5)
        turned = {"transform": "translate({}) rotate(-45)".format(at)}
        parts.append(element("text", turned, _cut(text), *_whole(text)))
    for row, (text, shares) in enumerate(zip(chart.rows, chart.shares)):
        top = above + side * row
        parts.append(_label(text, left - 8, top + side / 2 + 4.5, "end"))
        for column, share in enumerate(shares):
            place = _place(left + side * column, top, side, side, "cell")
            told = "{} as {}: {:.2f} %".format(text, chart.columns[column], 100 * share)
            parts.append(element("rect", place, element("title", {}, told)))
            if share < _LEAST_SHARE:
                continue
            heat = _place(left + side * column, top, side, side, "heat")
            heat["fill-opacity"] = round(0.08 + 0.92 * share, 3)
            parts.append(empty("rect", heat))
            if side >= _LEAST_FOR_TEXT:
                middle = {"x": left + side * (column + 0.5), "y": top + side / 2 + 4}
                kind = "cell-text middle" + (" on" if share > 0.5 else "")
                parts.append(element("text", dict(middle, **{"class": kind}), "{:.0f}".format(100 * share)))
    parts.append(
        empty("rect", {"x": left, "y": above, "width": right - left, "height": bottom - above, "class": "frame"})
    )
    width = right + 0.75 * _LETTER * len(_cut(chart.columns[-1]))
    # letters stay as large as in the other figures, and can be read on a phone, where the page scrolls it
    style = "max-width:{:.0f}px;min-width:{:.0f}px".format(1.1 * width, 0.8 * width)
    return _picture(chart, name, bottom + 8, parts, width, style)


def _place(x: float, y: float, width: float, height: float, kind: str) -> Dict[str, Value]:
    """Attributes of a rectangle."""
    return {"x": x, "y": y, "width": width, "height": height, "class": kind}


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return empty("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def _y_axis(y: Scale, marks: List[float], texts: List[str], left: float) -> List[Markup]:
    """A line across and a number for each tick."""
    parts = []
    for value, text in zip(marks, texts):
        parts.append(_line(left, y(value), WIDTH - _RIGHT, y(value), "grid"))
        parts.append(element("text", {"x": left - 6, "y": y(value) + 4, "class": "end soft"}, text))
    return parts


def _x_axis(x: Scale, marks: List[float], bottom: float, title: str = "") -> List[Markup]:
    """The axis with its ticks, and its title below; a number that would touch the one before is left out."""
    parts = [_line(x.start, bottom, x.end, bottom, "axis")]
    free = -math.inf
    for value, text in zip(marks, labels(marks)):
        at, half = x(value), _LETTER * len(text) / 2
        parts.append(_line(at, bottom, at, bottom + 4, "axis"))
        if at - half > free:
            parts.append(element("text", {"x": at, "y": bottom + 17, "class": "middle soft"}, text))
            free = at + half + 4
    if title:
        parts.append(element("text", {"x": x.end, "y": bottom + 32, "class": "end soft"}, title))
    return parts


def _legend(entries: Sequence[Tuple[str, str]]) -> Tuple[List[Markup], float]:
    """(name, class) of lines and shades in rows, and where the rows end."""
    parts: List[Markup] = []
    at, row = 0.0, 0
    for text, kind in entries:
        width = 26 + _LETTER * len(_cut(text)) + 14
        if at and at + width > WIDTH:
            at, row = 0.0, row + 1
        line = 12 + _ROW * row
        if kind == "shade":
            parts.append(empty("rect", {"x": at, "y": line - 10, "width": 20, "height": 12, "class": kind}))
        else:
            parts.append(_line(at, line - 4, at + 20, line - 4, kind))
        parts.append(_label(text, at + 26, line))
        at += width
    return parts, 10.0 + (_ROW * (row + 1) if entries else 0)


def _label(text: str, x: float, y: float, kind: Optional[str] = None) -> Markup:
    """A text that may have been cut; the whole of it is shown where a pointer rests."""
    return element("text", {"x": x, "y": y, "class": kind}, _cut(text), *_whole(text))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "\u2026"


def _whole(text: str) -> List[Markup]:
    return [] if _cut(text) == text else [element("title", {}, text)]


def _thinned(points: Sequence[Tuple[float, float]]) -> Sequence[Tuple[float, float]]:
    """As many points as can be seen; of each group the lowest and the highest, so that no peak is lost."""
    if len(points) <= _MOST_POINTS:
        return points
    size = -(-len(points) * 2 // _MOST_POINTS)
    kept: List[Tuple[float, float]] = []
    for start in range(0, len(points), size):
        group = points[start : start + size]
        ends = {min(group, key=lambda point: point[1]), max(group, key=lambda point: point[1])}
        kept.extend(sorted(ends))
    return kept
