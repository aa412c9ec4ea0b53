"""Markdown for an issue: tables that hold together, and nothing that means more than it says."""

import re

import pytest

from ccc_jetson.runtime.reports import document
from ccc_jetson.runtime.reports.document import Line
from ccc_jetson.runtime.reports.markdown import bar_of, escaped, markdown, sparkline
from tests.runtime.reports.test_html import document_with
from tests.runtime.reports.test_markup import HOSTILE
from tests.runtime.reports.test_svg import HISTOGRAM, bars, heat_map, line_chart


def lines_of(*blocks):
    return markdown(document_with("text", *blocks)).splitlines()


@pytest.mark.parametrize(
    "text", HOSTILE + ("a|b", "*bold* _it_ `code`", "[x](https://evil)", "~~x~~", "![i](y)", "\\", "# head", "+ x")
)
def test_every_row_of_a_table_has_the_cells_of_its_header(text):
    tables = re.findall(r"(?:^\|.*\n)+", markdown(document_with(text)), re.MULTILINE)
    assert len(tables) >= 8
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in table.splitlines()}
        assert len(cells) == 1, table


@pytest.mark.parametrize(
    "text, shown",
    [
        ("@torvalds", "@<!-- -->torvalds"),
        ("see #12", "see \\#<!-- -->12"),
        ("GH-12", "GH-<!-- -->12"),
        ("https://evil/x", "https:/<!-- -->/evil/x"),
        ("www.evil.com", "www<!-- -->.evil.com"),
        ("<img src=x>", "\\<img src=x\\>"),
        ("a_b*c", "a\\_b\\*c"),
        ("$x$", "<span>$</span>x<span>$</span>"),
        (":smile: a:100:b", ":<!-- -->smile: a:<!-- -->100:b"),
        (":+1: :man_dancing: :-1:", ":<!-- -->\\+1: :<!-- -->man\\_dancing: :<!-- -->-1:"),
        ("2026-11-28T13:30:18Z, a: b: c", "2026-11-28T13:30:18Z, a: b: c"),
        ("two\nlines", "two lines"),
        ("1024x512, 58.5 ms (p50)", "1024x512, 58.5 ms (p50)"),
    ],
)
def test_a_text_is_shown_and_names_nobody(text, shown):
    assert escaped(text) == shown


@pytest.mark.parametrize(
    "text, shown",
    [
        ("- x", "\\- x"),
        ("1. x", "1\\. x"),
        ("12) x", "12\\) x"),
        ("---", "\\---"),
        ("-", "\\-"),
        ("    x", "x"),
        ("-3 and 1.5", "-3 and 1.5"),
        ("1.5 - 2", "1.5 - 2"),
    ],
)
def test_a_paragraph_or_a_note_is_no_list(text, shown):
    lines = lines_of(document.Paragraph(text), document.Notes((text,)))
    assert shown in lines and "- " + shown in lines


def test_a_section_that_is_about_pictures_is_left_out_and_one_that_has_more_is_not():
    pictures = document.Pictures((document.Picture("worst", b"\xff\xd8"),))
    about = document.Paragraph("On the left the labels.")
    alone = markdown(document_with("text")._replace(sections=(document.Section("Worst and best", (about, pictures)),)))
    assert "Worst and best" not in alone and "On the left" not in alone
    more = document.Section("Worst and best", (about, pictures, document.Notes(("a note",))))
    assert "## Worst and best" in markdown(document_with("text")._replace(sections=(more,)))


def test_headlines_sections_and_footer_are_there():
    lines = markdown(document_with("needle")).splitlines()
    assert lines[0] == "# ccc-run: needle"
    assert "| **needle** | **needle needle** | needle |" in lines
    assert "### needle" in lines and "## Chapter" in lines
    assert lines[-1] == "needle"
    assert "**needle**" in lines  # the warning


def test_a_line_becomes_a_sparkline_with_its_ends():
    rising = Line("FPS", tuple((index, float(index)) for index in range(8)))
    lines = lines_of(document.Figures((line_chart(lines=(rising, Line("none", ()))),)))
    assert "| FPS | \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588 | 0 | 7 | 7 |" in lines
    assert not [line for line in lines if "none" in line]


def test_of_many_values_neighbours_are_joined():
    assert len(sparkline([float(index) for index in range(1000)])) == 40
    assert sparkline([5.0, 5.0]) == "\u2584\u2584"


def test_bars_are_as_long_as_their_values():
    assert bar_of(1.0) == "\u2588" * 24
    assert bar_of(0.5) == "\u2588" * 12
    assert bar_of(1 / 192) == "\u258f"
    assert bar_of(0.0) == bar_of(-1.0) == ""
    lines = lines_of(document.Figures((bars("road", until=80.0),)))
    assert "| road | {} | 40 % |".format("\u2588" * 12) in lines


def test_a_histogram_is_a_block_with_its_counts():
    lines = lines_of(document.Figures((HISTOGRAM,)))
    assert "**Latency**: p50 50" in lines
    (row,) = [line for line in lines if "48.4 to 53.24" in line]
    assert row.endswith("7  " + "\u2588" * 24)


def test_a_confusion_matrix_is_a_table_as_long_as_it_can_be_read():
    lines = lines_of(document.Figures((heat_map(3),)))
    assert "| class 1 |  | 100 |  |  |" in lines
    assert not [line for line in lines_of(document.Figures((heat_map(40),))) if "class 1" in line]


def test_a_command_stands_in_a_fence_that_it_cannot_end():
    lines = lines_of(document.Command("echo ```` | sh"))
    assert [line for line in lines if line.startswith("`")] == ["`````"] * 2
    assert "echo ```` | sh" in lines


def test_pictures_are_left_out():
    assert "picture" not in markdown(document_with("text", document.Pictures((document.Picture("p", b"x"),))))
