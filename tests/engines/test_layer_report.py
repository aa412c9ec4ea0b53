"""Layer times and the inspector's facts, joined."""

import json

import pytest

from ccc_jetson.engines.job import LayerProfile, LayerTime
from ccc_jetson.engines.layer_report import layer_report
from ccc_jetson.onnx_file import Node, OnnxFile


def onnx_file(**operators):
    nodes = tuple(Node(name, operator, (), (), {}, "") for name, operator in operators.items())
    return OnnxFile(7, 13, {}, "", {}, (), (), (), nodes)


FILE = onnx_file(Conv_1="Conv", PRelu_2="PRelu", Mul_3="Mul", Add_4="Add", Concat_5="Concat")


def rows_of(*times, **more):
    profile = LayerProfile(tuple(LayerTime(*each) for each in times), more.get("information", ""))
    return layer_report(profile, more.get("file", FILE))


@pytest.mark.parametrize(
    "name, nodes",
    [
        ("Conv_1 + PRelu_2", ("Conv_1", "PRelu_2")),
        ("PWN(PWN(Mul_3, Add_4), PRelu_2)", ("Mul_3", "Add_4", "PRelu_2")),
        ("Reformatting CopyNode for Input Tensor 0 to Conv_1 + PRelu_2", ("Conv_1", "PRelu_2")),
        ("{ForeignNode[Conv_1...Add_4]}", ("Conv_1", "Add_4")),
        ("Conv_1 || Mul_3", ("Conv_1", "Mul_3")),
        ("Conv_12", ()),
    ],
)
def test_a_layers_name_gives_the_onnx_nodes_it_came_from(name, nodes):
    assert rows_of((name, 1.0)).rows[0].nodes == nodes


def test_names_with_slashes_are_whole():
    file = onnx_file(**{"/encoder/level1/conv/Conv": "Conv", "/encoder/level1/act/PRelu": "PRelu"})
    found = rows_of(("/encoder/level1/conv/Conv + /encoder/level1/act/PRelu", 1.0), file=file)
    assert found.rows[0].nodes == ("/encoder/level1/conv/Conv", "/encoder/level1/act/PRelu")
    assert found.rows[0].kind == "Conv + PRelu"


def test_the_inspectors_facts_are_joined_by_name():
    details = {
        "Name": "Conv_1 + PRelu_2",
        "LayerType": "CaskConvolution",
        "TacticName": "maxwell_scudnn_128x32",
        "Metadata": "[ONNX Layer: Conv_1]\x1e[ONNX Layer: Mul_3]",
    }
    information = json.dumps({"Layers": [details, "a name alone"], "Bindings": ["image"]})
    row = rows_of(("Conv_1 + PRelu_2", 2.0), information=information).rows[0]
    assert row.kind == "CaskConvolution"
    assert row.details["TacticName"] == "maxwell_scudnn_128x32"
    assert row.nodes == ("Conv_1", "PRelu_2", "Mul_3")


@pytest.mark.parametrize("information", ["", "{", "[]", '{"Layers": ["Conv_1"]}', "null"])
def test_times_are_shown_without_an_inspector_too(information):
    report = rows_of(("Conv_1", 2.0), information=information)
    assert report.rows[0].kind == "Conv" and report.rows[0].details == {}


def test_the_slowest_come_first_and_kinds_add_up():
    report = rows_of(
        ("Conv_1", 1.0), ("Concat_5 copy", 3.0), ("Reformatting CopyNode for Output 0 to Mul_3", 0.5), ("x", 2)
    )
    assert [row.milliseconds for row in report.rows] == [3.0, 2, 1.0, 0.5]
    assert report.by_kind() == [("Concat", 1, 3.0), ("other", 1, 2), ("Conv", 1, 1.0), ("Reformat", 1, 0.5)]
    assert report.milliseconds == 6.5


def test_the_page_shows_shares_and_what_it_leaves_out():
    report = rows_of(*[("layer {}".format(number), 1.0) for number in range(20)])
    text = report.to_text()
    assert "other      20  20.000  100.0%" in text
    assert "and 8.000 ms in 8 more" in text


def test_long_and_hostile_names_are_shown_short_and_clean():
    text = rows_of(("\x1b[2J" + "n" * 500, 1.0)).to_text()
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) < 100


def test_json_holds_every_layer():
    record = json.loads(rows_of(("Conv_1", 1.0), ("x", 2.0)).to_json())
    assert record["schema"] == 1 and record["milliseconds"] == 3.0
    assert [layer["name"] for layer in record["layers"]] == ["x", "Conv_1"]
    assert record["layers"][1]["nodes"] == ["Conv_1"]


def test_an_engine_without_layers_gives_an_empty_report():
    assert "slowest layers" in rows_of().to_text()


@pytest.mark.parametrize("information", ['{"Layers": 5}', '{"Layers": null}', "[" * 3000, '{"Layers": [3, null]}'])
def test_information_of_another_form_is_passed_over(information):
    (row,) = rows_of(("Conv_1", 0.5), information=information).rows
    assert (row.name, row.kind) == ("Conv_1", "Conv")


def test_numbers_that_json_has_no_word_for_are_not_known():
    report = rows_of(("Conv_1", 0.5), information='{"Layers": [{"Name": "Conv_1", "a": 1e999, "b": NaN, "c": 1.5}]}')
    assert report.rows[0].details == {"Name": "Conv_1", "a": None, "b": None, "c": 1.5}
    assert json.loads(report.to_json())["layers"][0]["details"]["a"] is None
