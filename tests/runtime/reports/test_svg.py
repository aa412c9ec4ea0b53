"""Figures: well-formed, within their box, with axes that say what they show."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from ccc_jetson.runtime.reports.document import Bar, Bars, HeatMap, Histogram, Line, LineChart
from ccc_jetson.runtime.reports.svg import svg
from tests.runtime.reports.test_markup import HOSTILE

FPS = Line("FPS", ((0.5, 10.0), (1.5, 12.0), (2.5, 11.0)))


def line_chart(**changes):
    chart = LineChart("Speed", "From 10 to 12.", "time, s", "frames per second", 3.0, (FPS,))
    return chart._replace(**changes)


def bars(*labels, **changes):
    return Bars("Shares", "Of classes.", "%", tuple(Bar(each, (("", 40.0),), "40 %") for each in labels))._replace(
        **changes
    )


def heat_map(classes, names=None):
    names = names or ["class {}".format(index) for index in range(classes)]
    shares = tuple(tuple(1.0 if row == column else 0.004 for column in range(classes + 1)) for row in range(classes))
    return HeatMap("Confusion", "Rows.", "true", "predicted", tuple(names), (*names, "none"), shares)


HISTOGRAM = Histogram("Latency", "Half.", "ms", "frames", (40.0, 44.0, 48.4, 53.24), (3, 0, 7), (("p50", 50.0),))
FIGURES = {
    "lines": line_chart(),
    "two lines": line_chart(lines=(FPS, Line("other", ((0.0, 1.0), (3.0, 5.0)))), filled=True),
    "one point": line_chart(lines=(Line("FPS", ((1.0, 10.0),)),)),
    "no point": line_chart(lines=(Line("FPS", ()),), from_zero=False),
    "shaded": line_chart(shades=((1.0, 2.0, "heat"), (2.5, 2.5, "heat")), shaded="throttled", from_zero=False),
    "histogram": HISTOGRAM,
    "marks": HISTOGRAM._replace(marks=(("p50", 50.0), ("p99", 50.5), ("max", 53.0))),
    "bars": bars("road", "a class with a name that is very long indeed"),
    "threads": bars("a", named=True, marked="x", bars=(Bar("t", (("x", 3.0), ("y", 0.1)), "3.1"),)),
    "nothing": bars("road", bars=(Bar("road", (("", 0.0),), "0"),)),
    "heat map": heat_map(3),
    "many classes": heat_map(60),
}


def tree_of(figure):
    return ElementTree.fromstring(svg(figure, "f"))


def texts(tree, kind=None):
    return [each.text for each in tree.iter("text") if kind is None or kind in each.get("class", "").split()]


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_a_figure_is_well_formed_and_says_what_it_is_to_those_who_do_not_see_it(name):
    tree = tree_of(FIGURES[name])
    assert tree.get("role") == "img"
    ids = tree.get("aria-labelledby").split()
    assert [tree.find("*[@id='{}']".format(each)).text for each in ids] == [FIGURES[name].title,
                                                                           FIGURES[name].description]  # fmt: skip
    assert [each.tag for each in list(tree)[:2]] == ["title", "desc"]


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_everything_is_within_the_box(name):
    tree = tree_of(FIGURES[name])
    _, _, width, height = map(float, tree.get("viewBox").split())
    for each in tree.iter():
        for key, most in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
            assert 0 <= float(each.get(key, 0)) <= most, ElementTree.tostring(each)
        assert float(each.get("x", 0)) + float(each.get("width", 0)) <= width + 0.01
        assert float(each.get("y", 0)) + float(each.get("height", 0)) <= height + 0.01
        for pair in each.get("points", "").split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= width and 0 <= y <= height


@pytest.mark.parametrize("text", HOSTILE)
def test_names_from_files_are_no_markup(text):
    hostile = (
        line_chart(title=text, unit=text, lines=(FPS._replace(name=text), FPS)),
        bars(text, title=text),
        heat_map(2, [text, "b"]),
        HISTOGRAM._replace(marks=((text, 50.0),)),
    )
    for figure in hostile:
        plain = tree_of(figure)
        assert not {each.tag for each in plain.iter()} - {"svg", "title", "desc", "text", "line", "polyline", "polygon",
                                                         "rect", "circle"}  # fmt: skip


def test_a_line_goes_through_its_points_in_proportion():
    tree = tree_of(line_chart())
    (line,) = tree.iter("polyline")
    points = [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.2)
    assert points[0][1] - points[1][1] == pytest.approx(2 * (points[0][1] - points[2][1]), abs=0.3)
    assert {"0", "5", "15"} <= set(texts(tree, "soft"))
    assert "time, s" in texts(tree)


def test_several_lines_have_a_legend_and_differ_by_their_dashes():
    tree = tree_of(FIGURES["two lines"])
    assert {"FPS", "other"} <= set(texts(tree))
    kinds = [line.get("class") for line in tree.iter("polyline")]
    assert kinds == ["line line-1", "line line-2"]
    assert not {"FPS"} & set(texts(tree_of(line_chart())))  # of one line the title tells


def test_a_legend_takes_the_rows_that_it_needs_and_the_plot_begins_below():
    few, many = (
        tree_of(line_chart(lines=tuple(FPS._replace(name="a long name {}".format(index)) for index in range(count))))
        for count in (2, 6)
    )
    rows = [{each.get("y") for each in tree.iter("text") if each.text.startswith("a long")} for tree in (few, many)]
    assert len(rows[0]) == 1 and len(rows[1]) >= 2
    heights = [float(tree.get("viewBox").split()[3]) for tree in (few, many)]
    assert heights[1] - heights[0] == 18 * (len(rows[1]) - 1)


def test_no_peak_is_lost_where_there_are_more_points_than_pixels():
    points = [(index / 1000.0, 5.0) for index in range(30000)]
    points[12345] = (12.345, 80.0)
    tree = tree_of(line_chart(until=30.0, lines=(Line("W", points),)))
    (line,) = tree.iter("polyline")
    heights = [float(pair.split(",")[1]) for pair in line.get("points").split()]
    assert len(heights) <= 400
    assert min(heights) == pytest.approx(10.0, abs=0.2)  # the peak is at the top


def test_throttling_is_shaded_and_its_reason_told():
    tree = tree_of(FIGURES["shaded"])
    shades = [each for each in tree.iter("rect") if each.get("class") == "shade" and each.find("title") is not None]
    assert [each.find("title").text for each in shades] == ["heat", "heat"]
    assert float(shades[0].get("width")) > float(shades[1].get("width")) >= 1
    assert "throttled" in texts(tree)


def test_bars_of_a_histogram_are_as_high_as_their_counts():
    tree = tree_of(HISTOGRAM)
    heights = [float(each.get("height")) for each in tree.iter("rect")]
    assert heights[1] / heights[0] == pytest.approx(7 / 3, rel=0.01)
    assert [each.find("title").text for each in tree.iter("rect")] == ["3 from 40 to 44", "7 from 48.4 to 53.24"]
    assert "p50 50" in texts(tree)


def test_marks_that_are_close_stand_in_two_rows():
    tree = tree_of(FIGURES["marks"])
    rows = {each.text: each.get("y") for each in tree.iter("text") if each.text.startswith("p")}
    assert rows["p50 50"] != rows["p99 50.5"]


def test_bars_are_as_long_as_their_values_and_one_part_stands_out():
    tree = tree_of(FIGURES["threads"])
    parts = [each for each in tree.iter("rect") if "part" in each.get("class")]
    assert [each.get("class") for each in parts] == ["fill-2 part", "fill-1 part"]
    assert float(parts[0].get("width")) / float(parts[1].get("width")) == pytest.approx(30, rel=0.05)
    assert texts(tree, "on") == ["x"]  # the other one is too short for its name


def test_a_bars_colour_is_a_swatch_beside_its_label():
    tree = tree_of(bars("road", bars=(Bar("road", (("", 1.0),), "1", "#804080"),)))
    assert [each.get("fill") for each in tree.iter("rect") if each.get("class") == "swatch"] == ["#804080"]


def test_a_long_label_is_cut_and_told_in_full_where_a_pointer_rests():
    tree = tree_of(FIGURES["bars"])
    (cut,) = [each for each in tree.iter("text") if each.text.endswith("\u2026")]
    assert cut.find("title").text == "a class with a name that is very long indeed"


def test_cells_of_a_heat_map_are_as_strong_as_their_shares():
    tree = tree_of(heat_map(3))
    strong = [each for each in tree.iter("rect") if each.get("class") == "heat"]
    assert [each.get("fill-opacity") for each in strong] == ["1"] * 3  # 0.4 % is shown as nothing
    assert texts(tree, "cell-text") == ["100"] * 3
    cells = [each.find("title").text for each in tree.iter("rect") if each.get("class") == "cell"]
    assert cells[:2] == ["class 0 as class 0: 100.00 %", "class 0 as class 1: 0.40 %"]


def test_a_heat_map_of_many_classes_has_no_numbers():
    assert texts(tree_of(heat_map(60)), "cell-text") == []


def test_ids_of_two_figures_differ():
    found = re.findall('id="([^"]+)"', svg(line_chart(), "a") + svg(line_chart(), "b"))
    assert len(found) == len(set(found)) == 4
