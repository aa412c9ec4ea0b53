"""What a page says of an evaluation."""

import json

import pytest

pytest.importorskip("onnx")

from ccc_jetson.confusion import ConfusionMatrix
from ccc_jetson.runtime.evaluation import Tally
from ccc_jetson.runtime.reports import document
from ccc_jetson.runtime.reports.document import Picture
from ccc_jetson.runtime.reports.writing import document_of
from tests.doubles.reports import evaluation_record
from tests.runtime.reports.test_of_run import blocks, facts, figures, headlines, titles


def document_from(pictures=(), **changes):
    return document_of(json.dumps(evaluation_record(**changes)), pictures)


def test_accuracy_comes_first_and_the_published_one_beside_it_with_the_reason():
    found = document_from()
    shown = headlines(found)
    assert found.title == "Tiny on test (camvid labels)"
    assert list(shown) == ["mIoU", "Pixel accuracy", "Speed", "Published"]
    assert shown["mIoU"].endswith("%; mean of 10 classes")
    assert shown["Published"] == "61.96 %; Cityscapes, paper; not compared: another data set"
    assert shown["Pixel accuracy"].startswith("98.13 %; of 56,050 labelled pixels")


def test_a_comparable_accuracy_is_compared_in_points():
    record = evaluation_record()
    record["published"] = [dict(record["published"][0], comparable=True, measured=60.0, why_not="")]
    found = document_of(json.dumps(record))
    assert headlines(found)["Published"] == "61.96 %; Cityscapes, paper; -1.96 points here"
    (table,) = [each for each in blocks(found, document.Table) if each.header[0] == "figure"]
    assert table.rows[0][-1] == "-1.96 points"


def test_classes_are_drawn_from_the_best_and_listed_in_their_order():
    found = document_from()
    bars = figures(found)["IoU of each class"]
    values = [bar.parts[0][1] for bar in bars.bars]
    assert values == sorted(values, reverse=True) and len(values) == 10 and bars.until == 100
    (table,) = [each for each in blocks(found, document.Table) if each.header[0] == "class"]
    assert [row[0] for row in table.rows][:3] == ["Sky", "Building", "Pole"]
    assert table.rows[10][1:] == ("-", "0.00")


def test_the_confusion_matrix_is_of_each_true_class_and_its_largest_confusions_are_told():
    found = document_from()
    heat_map = figures(found)["Confusion matrix, % of each true class"]
    assert heat_map.columns[-1] == "no class" and len(heat_map.shares) == 11
    assert sum(heat_map.shares[0]) == pytest.approx(1.0)
    assert sum(heat_map.shares[10]) == 0.0  # never labelled
    (table,) = [each for each in blocks(found, document.Table) if each.header[0] == "true class"]
    assert len(table.rows) == 8
    assert {(row[0], row[1]) for row in table.rows} <= {
        (heat_map.rows[index], heat_map.rows[(index + 1) % 10]) for index in range(10)
    }


def test_pictures_are_explained():
    pictures = (Picture("worst: a", b"jpeg"),)
    found = document_from(pictures)
    assert "Worst and best frames" in titles(found) and "Worst and best frames" not in titles(document_from())
    assert [each.pictures for each in blocks(found, document.Pictures)] == [pictures]


def test_notes_and_skipped_frames_are_told():
    rows = [row for each in blocks(document_from(), document.FactSheets) for sheet in each.sheets for row in sheet.rows]
    assert ("note", "24 of 233 frames") in rows
    assert ("note", "the network has no output for SignSymbol") in rows
    assert ("skipped", "frame07: is damaged") in rows
    many = Tally(ConfusionMatrix(11), 60, tuple(("f{}".format(index), "is damaged") for index in range(30)))
    assert facts(document_from(tally=many))["skipped"] == "and 10 more"


def test_speed_stands_beside_it_with_the_stages():
    found = document_from()
    assert {"Mean time of each stage", "Times of the stage infer"} <= set(figures(found))
    assert any("24 frames in 2.5 s" in each.text for each in blocks(found, document.Paragraph))


def test_labels_without_a_pixel_that_counts_are_a_page_all_the_same():
    found = document_from(tally=Tally(ConfusionMatrix(11), 24), stages=[], timed_frames=0)
    assert headlines(found)["mIoU"] == "- %; mean of 0 classes"
    assert "Speed beside it" not in titles(found)
