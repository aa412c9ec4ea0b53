"""Nothing that comes from elsewhere becomes markup."""

import xml.etree.ElementTree as ElementTree

import pytest

from ccc_jetson.runtime.reports.markup import Markup, block, element, empty, escaped, number, printable

HOSTILE = (
    "<script>alert(1)</script>",
    "\"' onload='x",
    "&lt;&amp;",
    "a\x00b\x1b[31m\x7f",
    "\u202egnp.exe",
    "\ud800",
    "]]>",
    "--><b>",
    "line\nbreak\ttab",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_shown_and_not_obeyed_in_a_child_and_in_an_attribute(text):
    made = block("p", {"title": text, "class": None}, element("b", {}, text), text)
    tree = ElementTree.fromstring(made.encode("utf-8"))
    assert [each.tag for each in tree.iter()] == ["p", "b"]
    assert tree.attrib == {"title": printable(text)}
    assert tree[0].text == printable(text)


def test_what_was_made_here_is_not_escaped_again():
    assert escaped(element("b", {}, "1 < 2")) == "<b>1 &lt; 2</b>"
    assert element("p", {}, "a ", element("i", {}, "&")) == "<p>a <i>&amp;</i></p>"


def test_what_steers_a_reader_becomes_a_replacement():
    assert printable("a\x1b[0m\u202eb\ud800") == "a\ufffd[0m\ufffdb\ufffd"
    assert printable("two\nlines\tand ü 道") == "two lines and ü 道"


def test_a_child_a_line_and_indented_by_its_depth():
    inner = block("ul", {}, element("li", {}, "one"), Markup(), element("li", {}, "two"))
    assert block("div", {}, inner).splitlines() == [
        "<div>", " <ul>", "  <li>one</li>", "  <li>two</li>", " </ul>", "</div>"
    ]  # fmt: skip


def test_coordinates_are_short():
    assert [number(value) for value in (1.0, 0.125, -0.001, 1234.5678, 10)] == ["1", "0.12", "0", "1234.57", "10"]
    assert empty("line", {"x1": 0.5, "class": "a"}) == '<line x1="0.5" class="a"/>'
