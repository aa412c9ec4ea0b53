"""A network without its training, for measuring speed: always the same one, and it says what it is."""

import pytest
import torch

from ccc_jetson.carried import read_contract
from ccc_jetson.engines.inspect_cli import main as inspect
from ccc_jetson.export import cli
from ccc_jetson.export.networks.entry import SEGMENTATION
from ccc_jetson.export.networks.families import NETWORKS
from ccc_jetson.export.networks.registry import wanted_network
from ccc_jetson.export.random_weights import random_network

SEGMENTING = [network.name for network in NETWORKS if network.task == SEGMENTATION]
SMALL = ["--arch", "c3net", "--arch-args", "p=1", "q=1", "channels=8,16,32", "--size", "128x64"]


def test_the_file_says_that_its_weights_are_random(tmp_path, capsys):
    path = str(tmp_path / "m.onnx")
    assert cli.main(["--random-weights", path, *SMALL, "--no-passes"]) == 0
    assert "network     C3Net with RANDOM weights: " in capsys.readouterr().out
    contract = read_contract(path)
    assert contract.architecture.title == "C3Net with RANDOM weights"
    assert contract.source.file == "random weights, seed 1"
    assert contract.published == ()
    assert inspect([path]) == 0
    assert "RANDOM weights" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "settings", "published"),
    [
        ("ccc1", [], [("FPS", 15.9)]),
        ("ccc1", ["classes=12"], []),
        ("ccc1-b", [], []),
        ("espnet", [], []),
    ],
)
def test_a_speed_was_published_for_the_papers_own_network_and_never_an_accuracy(name, settings, published):
    found, _ = random_network(wanted_network(name, settings))
    assert [(each.figure, each.value) for each in found.published] == published
    assert found.title.endswith(" with RANDOM weights")


@pytest.mark.parametrize("name", SEGMENTING)
def test_rounding_does_not_decide_the_classes(name):
    found, _ = random_network(wanted_network(name))
    image = torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(2)) * 0.02
    with torch.no_grad():
        single, double = found.module(image), found.module.double()(image.double())
    assert (single.argmax(dim=1) == double.argmax(dim=1)).float().mean() > 0.999
    assert len(single.argmax(dim=1).unique()) > 2


def test_the_weights_are_always_the_same_and_the_generator_is_left_alone():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, second = (random_network(wanted_network("espnet", ["p=1", "q=1"])) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first[1] == second[1]
    other, source = random_network(wanted_network("espnet", ["p=1", "q=2"]))
    assert source.sha256 != first[1].sha256
    assert not other.module.training


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--random-weights", "m.onnx"], "random weights need a network"),
        (["--random-weights", "a.pth", "m.onnx", "--arch", "ccc1"], "--random-weights takes no CHECKPOINT"),
        (["--random-weights", "--arch", "ccc1"], "MODEL.onnx is missing"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arch", "settings", "word"),
    [
        ("drn", ["variant=A"], "drn cannot be built with"),
        ("drn", ["classes=0"], "cannot be"),
        ("ccc1", ["classes=2"], "c3net cannot be built with"),
        ("c3net", ["channels=16,64"], "c3net cannot be built with"),
        ("espnet", ["classes=3"], "espnet cannot be built with"),
        ("c3net", ["p=-1"], "p=-1: cannot be understood"),
        ("c3net", ["p=100000000000000000000"], "cannot be understood"),
        ("c3net", ["q"], "is no KEY=VALUE"),
    ],
)
def test_a_network_that_cannot_be_built_is_a_sentence(tmp_path, capsys, arch, settings, word):
    path = str(tmp_path / "m.onnx")
    assert cli.main(["--random-weights", path, "--size", "128x64", "--arch", arch, "--arch-args", *settings]) == 2
    assert word in capsys.readouterr().err


def test_a_file_behind_the_arguments_is_told_its_place(tmp_path, capsys):
    assert cli.main(["--random-weights", "--arch", "c3net", "--arch-args", "q=4", str(tmp_path / "m.onnx")]) == 2
    assert "in front of --arch-args" in capsys.readouterr().err


def test_a_contradicted_name_is_told_with_all_that_it_stands_for(tmp_path, capsys):
    path = str(tmp_path / "m.onnx")
    assert cli.main(["--random-weights", path, "--arch", "ccc2", "--arch-args", "q=4"]) == 2
    printed = capsys.readouterr().err
    assert "q=4" in printed and "dilations=2,3,7,13" in printed
