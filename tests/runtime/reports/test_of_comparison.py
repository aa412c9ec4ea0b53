"""What a page says of two benchmarks."""

import json

import pytest

pytest.importorskip("onnx")

from ccc_jetson.runtime.reports import document
from ccc_jetson.runtime.reports.writing import document_of
from tests.doubles.reports import comparison_record
from tests.runtime.reports.test_of_run import blocks, figures, headlines, titles


def document_from(**changes):
    return document_of(json.dumps(dict(comparison_record(), **changes)))


def test_one_model_that_became_slower_is_told_first():
    found = document_from()
    assert found.title == "B against A, frames per second"
    assert found.lead == ("A is a.json", "B is b.json")
    assert found.warning == "B is slower."
    shown = headlines(found)
    assert shown["A"] == "15.81 ; frames per second" and shown["B"] == "12.35 ; frames per second"
    assert shown["B / A"].startswith("0.781 ; 95 % interval: 0.7")
    assert shown["B is"] == "slower ; the whole interval shows it"
    (table,) = blocks(found, document.Table)
    assert table.rows[0][0] == "model0.engine" and table.rows[0][-1] == "slower"
    assert [bar.label for bar in figures(found)["A and B"].bars] == ["A: model0.engine", "B: model0.engine"]
    assert titles(found) == ["Verdict", "To compare them again"]


def test_where_no_difference_is_shown_there_is_no_warning():
    found = document_of(json.dumps(comparison_record(b=((62.5, 64.0),))))
    assert found.warning == "" and headlines(found)["B is"] == "\u2248 A; no difference shown"


def test_of_several_models_the_table_tells():
    found = document_of(json.dumps(comparison_record(a=((62.5, 63.0), (80.0, 81.0)), b=((80.0, 81.0), (62.5, 63.0)))))
    assert found.headlines == () and found.warning == "B is slower in 1 of 2 models."
    (table,) = blocks(found, document.Table)
    assert [row[-1] for row in table.rows] == ["slower", "faster"]


def test_what_else_differs_is_a_table_and_notes_are_told():
    differences = [{"what": "power mode", "a": "MAXN", "b": "MAXQ"}]
    found = document_from(differences=differences, notes=["few samples"], command="")
    assert titles(found) == ["Verdict", "Other circumstances"]
    assert list(blocks(found, document.Table))[1].rows == (("power mode", "MAXN", "MAXQ"),)
    assert [each.notes for each in blocks(found, document.Notes)] == [("few samples",)]
