"""A report as one page of HTML: figures in it, pictures in it, no script, and nothing that is fetched from anywhere.

The page forbids itself whatever it does not hold (``Content-Security-Policy``), should something slip through.
"""

import base64
import os
from typing import List, Tuple

from ccc_jetson.runtime.reports import document
from ccc_jetson.runtime.reports.document import Block, Document, Figure, Section
from ccc_jetson.runtime.reports.markup import Markup, block, element, empty
from ccc_jetson.runtime.reports.svg import svg

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_STYLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page.css")


def page(report: Document) -> str:
    """The whole page, UTF-8."""
    with open(_STYLE, encoding="utf-8") as file:
        style = file.read()
    head = block(
        "head",
        {},
        empty("meta", {"charset": "utf-8"}),
        empty("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        empty("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        empty("meta", {"name": "referrer", "content": "no-referrer"}),
        empty("meta", {"name": "color-scheme", "content": "light dark"}),
        element("title", {}, "{}: {}".format(report.command, report.title)),
        Markup("<style>\n" + style.strip() + "\n</style>"),
    )
    body = block("body", {}, _head_of(report), *_sections(report.sections), _foot_of(report))
    return "<!DOCTYPE html>\n" + block("html", {"lang": "en"}, head, body) + "\n"


def _head_of(report: Document) -> Markup:
    return block(
        "header",
        {},
        element("p", {"class": "command"}, report.command),
        element("h1", {}, report.title),
        *[element("p", {"class": "lead"}, sentence) for sentence in report.lead],
        element("p", {"class": "warning"}, report.warning) if report.warning else Markup(),
        block("dl", {"class": "headlines"}, *map(_headline, report.headlines)) if report.headlines else Markup(),
    )


def _headline(figure: document.Headline) -> Markup:
    value = [figure.value, element("small", {}, " " + figure.unit)] if figure.unit else [figure.value]
    return block(
        "div",
        {},
        element("dt", {}, figure.label),
        element("dd", {"class": "value"}, *value),
        element("dd", {"class": "detail"}, figure.detail),
    )


def _foot_of(report: Document) -> Markup:
    return element("footer", {}, report.footer)


def _sections(sections: Tuple[Section, ...]) -> List[Markup]:
    shown = []
    for number, section in enumerate(sections):
        blocks = [_block(each, "s{}-{}".format(number, index)) for index, each in enumerate(section.blocks)]
        kind = "chapter" if section.level == 1 else None
        shown.append(block("section", {"class": kind}, element("h2", {}, section.title), *blocks))
    return shown


def _block(each: Block, name: str) -> Markup:
    """A part of a section; ``name`` begins the ids in it."""
    if isinstance(each, document.Figures):
        figures = [_figure(figure, "{}-{}".format(name, index)) for index, figure in enumerate(each.figures)]
        return block("div", {"class": "figures wide" if each.wide else "figures"}, *figures)
    if isinstance(each, document.Table):
        return _table(each)
    if isinstance(each, document.FactSheets):
        kind = "sheets" if len(each.sheets) > 1 else "sheets single"
        return block("div", {"class": kind}, *map(_facts, each.sheets))
    if isinstance(each, document.Pictures):
        return block("div", {"class": "pictures wide" if each.wide else "pictures"}, *map(_picture, each.pictures))
    if isinstance(each, document.SideBySide):
        uneven = isinstance(each.left, document.Figures) and isinstance(each.left.figures[0], document.HeatMap)
        kind = "beside uneven" if uneven else "beside"
        return block("div", {"class": kind}, _block(each.left, name + "-l"), _block(each.right, name + "-r"))
    if isinstance(each, document.Notes):
        return block("ul", {"class": "notes"}, *[element("li", {}, note) for note in each.notes])
    return element("pre" if isinstance(each, document.Command) else "p", {}, each.text)


def _figure(figure: Figure, name: str) -> Markup:
    unit = "" if isinstance(figure, document.HeatMap) else figure.unit
    caption = [element("b", {}, figure.title)] + [element("span", {}, unit)] * bool(unit)
    kind = "heat-map" if isinstance(figure, document.HeatMap) else None
    return block("figure", {"class": kind}, element("figcaption", {}, *caption), svg(figure, name))


def _table(table: document.Table) -> Markup:
    def cells(kind: str, row: Tuple[str, ...]) -> List[Markup]:
        return [
            element(kind, {"class": "text" if column in table.left else None}, cell) for column, cell in enumerate(row)
        ]

    return block(
        "div",
        {"class": "table"},
        block(
            "table",
            {},
            element("caption", {}, table.title) if table.title else Markup(),
            block("thead", {}, element("tr", {}, *cells("th", table.header))),
            block("tbody", {}, *[element("tr", {}, *cells("td", row)) for row in table.rows]),
        ),
    )


def _facts(facts: document.Facts) -> Markup:
    rows = [element("div", {}, element("dt", {}, name), element("dd", {}, text)) for name, text in facts.rows]
    return block("div", {}, element("h3", {}, facts.title), block("dl", {"class": "facts"}, *rows))


def _picture(picture: document.Picture) -> Markup:
    data = "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode("ascii")
    return block(
        "figure",
        {},
        empty("img", {"src": data, "alt": picture.caption, "loading": "lazy"}),
        element("figcaption", {}, picture.caption),
    )
