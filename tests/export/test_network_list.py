"""``ccc-export --list``, the page that is generated from it, and the page's recipe for a new network."""

import json
import os
import re

import pytest
import torch

from ccc_jetson.errors import FileProblem
from ccc_jetson.export import cli, network_list
from ccc_jetson.export.api import ExportOptions, export_onnx
from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.network_list import listed, text_table, to_json
from ccc_jetson.export.networks import registry
from ccc_jetson.export.networks.paper import NAMED
from ccc_jetson.export.networks_page import BEGIN, END, updated

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "networks.md")


@pytest.fixture(scope="module")
def networks():
    return listed()


def page():
    if not os.path.exists(PAGE):
        pytest.skip("the documents are not part of the wheel")
    with open(PAGE, encoding="utf-8") as file:
        return file.read()


def test_the_page_is_what_is_counted():
    assert updated(page()) == page(), "python -m ccc_jetson.export.networks_page docs/networks.md"


def test_a_page_without_marks_is_refused():
    for text in ("", BEGIN, END):
        with pytest.raises(FileProblem, match="has no part between"):
            updated(text)


def test_the_list_names_every_network_with_counted_and_printed_figures(networks):
    lines = text_table(networks)
    table = lines[0].splitlines()
    assert {line.split()[0] for line in table[1:]} == {named.name for named in NAMED}
    ccc2 = next(line for line in table if line.startswith("ccc2 "))
    assert ccc2.split()[2:9] == ["191,614", "0.192", "M", "-0.20", "6.2892", "6.29", "-0.01"]
    assert "espnet-training, Table 3 (1): 9.07 is a misprint of 9.67, which Table 2 has" in lines
    assert "ccc1: published FPS 15.9 (Jetson TX2, 1024x512, paper)" in lines


def test_rows_that_deviate_have_a_reason_and_no_others(networks):
    for each in networks:
        for compared in each.rows:
            assert compared.deviates == bool(compared.row.reason), (each.named.name, compared.deviations)


def test_the_list_for_machines_rebuilds_the_networks(networks):
    records = json.loads(json.dumps(to_json(networks)))
    assert [record["name"] for record in records] == [named.name for named in NAMED]
    ccc2 = next(record for record in records if record["name"] == "ccc2")
    assert ccc2["arguments"]["dilations"] == [2, 3, 7, 13]
    assert (ccc2["parameters"], ccc2["counted_at"]) == (191_614, {"width": 1024, "height": 512})
    assert sum(kind["flops"] for kind in ccc2["kinds"].values()) == ccc2["flops"]
    assert ccc2["paper"][0]["deviation_percent"]["flops"] == pytest.approx(-0.0128, abs=1e-4)


def test_list_prints_and_stops(networks, monkeypatch, capsys):
    monkeypatch.setattr(network_list, "listed", lambda: networks[:2])
    assert cli.main(["--list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("ccc1 ")
    assert cli.main(["--list", "--json"]) == 0
    assert [record["name"] for record in json.loads(capsys.readouterr().out)] == ["ccc1", "ccc2"]


def test_json_alone_is_refused(capsys):
    assert cli.main(["--json"]) == 2
    assert "--json is for --list" in capsys.readouterr().err


def test_a_network_added_as_the_page_says_is_recognised_listed_and_exported(monkeypatch, tmp_path):
    recipe: dict = {"__name__": "recipe"}
    for block in re.findall(r"```python\n(.*?)```", page().split("## Adding a network")[1], re.DOTALL):
        exec(block, recipe)
    named, network = recipe["named"], recipe["mynet"]
    monkeypatch.setattr(registry, "NETWORKS", (*registry.NETWORKS, network))
    monkeypatch.setattr(registry, "NAMED", (*registry.NAMED, named))
    monkeypatch.setattr(network_list, "NETWORKS", registry.NETWORKS)
    monkeypatch.setattr(network_list, "NAMED", (named,))

    torch.manual_seed(0)
    path = str(tmp_path / "weights.pth")
    torch.save(recipe["MyNet"](classes=19, dilations=(3, 2)).state_dict(), path)
    found = registry.recognise(load_checkpoint(path).state, path)
    assert (found.network.name, found.title) == ("mynet", "MyNet")
    assert found.arguments == {"classes": 19, "dilations": (3, 2)}

    (counted,) = listed()
    assert counted.complexity.parameters == sum(each.numel() for each in recipe["MyNet"]().parameters())
    assert "mynet" in text_table([counted])[0]

    exported = export_onnx(path, str(tmp_path / "m.onnx"), ExportOptions(width=128, height=64))
    assert exported.contract.head.kind == "bilinear"
    assert exported.contract.class_names[0] == "road"
