"""The page: well-formed, complete, and fetching nothing whatever is in it."""

import base64
import html.parser
import re
import xml.etree.ElementTree as ElementTree

import pytest

from ccc_jetson.runtime.reports import document
from ccc_jetson.runtime.reports.document import Document, Headline, Section
from ccc_jetson.runtime.reports.html import POLICY, page
from tests.runtime.reports.test_markup import HOSTILE
from tests.runtime.reports.test_svg import FIGURES

JPEG = b"\xff\xd8\xff picture"


def document_with(text="text", *blocks):
    """A document that holds a part of every kind, with ``text`` wherever there is any."""
    everything = blocks or (
        document.Figures(tuple(FIGURES.values())),
        document.Figures((FIGURES["heat map"],), wide=True),
        document.Table((text, "b"), ((text, "1"), ("c", text)), title=text),
        document.FactSheets((document.Facts(text, ((text, text),)), document.Facts("b", (("c", "d"),)))),
        document.FactSheets((document.Facts("alone", (("c", text),)),)),
        document.Pictures((document.Picture(text, JPEG),), wide=True),
        document.SideBySide(document.Figures((FIGURES["heat map"],)), document.Table((text,), ((text,),))),
        document.SideBySide(document.Figures((FIGURES["bars"],)), document.Pictures((document.Picture(text, JPEG),))),
        document.Paragraph(text),
        document.Notes((text, text)),
        document.Command(text),
    )
    return Document(
        command="ccc-run",
        title=text,
        lead=(text, text),
        warning=text,
        headlines=(Headline(text, text, text, text), Headline("Frames", "3", "", "of them")),
        sections=(Section(text, everything), Section("Chapter", (), level=1)),
        footer=text,
    )


class Attributes(html.parser.HTMLParser):
    """(tag, attribute, value) of everything, and the tags, as a browser reads them."""

    def __init__(self, text):
        html.parser.HTMLParser.__init__(self)
        self.attributes, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend((tag, name, value) for name, value in attrs)

    handle_startendtag = handle_starttag


@pytest.mark.parametrize("text", HOSTILE + ("https://example.com/a.png", "url(https://example.com)", "javascript:x"))
def test_nothing_is_fetched_and_nothing_runs_whatever_the_names_are(text):
    made = page(document_with(text))
    found = Attributes(made)
    assert not set(found.tags) & {"script", "link", "iframe", "object", "embed", "base", "form", "a", "use", "image"}
    sources = [value for _, name, value in found.attributes if name in ("src", "href", "srcset", "xlink:href", "action",
                                                                        "data", "poster", "background")]  # fmt: skip
    assert sources and all(value.startswith("data:image/jpeg;base64,") for value in sources)
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    styles = [value for _, name, value in found.attributes if name == "style"] + re.findall(
        "<style>(.*?)</style>", made, re.DOTALL
    )
    assert styles and not [style for style in styles if re.search(r"url\(|@import|expression|\\", style)]


def test_the_page_forbids_itself_everything_that_it_does_not_hold():
    found = Attributes(page(document_with()))
    policies = [value for tag, name, value in found.attributes if tag == "meta" and "default-src" in (value or "")]
    assert policies == [POLICY]
    assert POLICY.startswith("default-src 'none';")
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules == {
        "default-src": "'none'", "style-src": "'unsafe-inline'", "img-src": "data:", "base-uri": "'none'",
        "form-action": "'none'",
    }  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_the_page_is_well_formed_to_the_letter(text):
    tree = ElementTree.fromstring(page(document_with(text)).encode("utf-8"))
    assert [each.tag for each in tree] == ["head", "body"]
    assert len(list(tree.iter("img"))) == 2


def test_everything_that_is_told_is_there_in_its_order():
    made = page(document_with("needle"))
    assert made.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert made.count("needle") == 29
    assert made.index("<h1>") < made.index('<dl class="headlines">') < made.index("<h2>") < made.index("<footer>")
    assert made.count("<svg ") == len(FIGURES) + 3
    assert '<section class="chapter">' in made
    assert '<meta name="viewport" content="width=device-width, initial-scale=1"/>' in made


def test_a_picture_is_in_the_page():
    made = page(document_with("text", document.Pictures((document.Picture("a frame", JPEG),))))
    (data,) = re.findall('src="data:image/jpeg;base64,([^"]+)"', made)
    assert base64.b64decode(data) == JPEG
    assert 'alt="a frame"' in made


def test_ids_are_unique():
    found = re.findall(' id="([^"]+)"', page(document_with()))
    assert len(found) == len(set(found)) > 20


def test_columns_of_numbers_stand_to_the_right():
    made = page(document_with("text", document.Table(("stage", "ms"), (("infer", "58.00"),), (0,))))
    assert '<td class="text">infer</td><td>58.00</td>' in made


def test_without_headlines_and_warning_there_is_no_empty_frame():
    made = page(document_with()._replace(headlines=(), warning="", sections=()))
    assert "headlines" not in made.split("</style>")[1] and 'class="warning"' not in made
