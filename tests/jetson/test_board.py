"""The board itself: nothing is broken, its sensors can be read, its power mode is known."""

import json

import pytest

from ccc_jetson.runtime.telemetry.power_mode import read_power_mode
from tests.jetson.programs import SENSORS

pytestmark = pytest.mark.jetson


def test_the_doctor_finds_nothing_broken(board, tmp_path):
    code, out, err = board.command(tmp_path, "ccc-doctor", "--json")
    findings = json.loads(out)["findings"]
    broken = [(each["probe"], each["evidence"], each["fix"]) for each in findings if each["verdict"] == "broken"]
    assert not broken and code in (0, 1), err
    assert {"jetpack", "tensorrt", "pycuda", "nvcc", "numpy", "opencv"} <= {each["probe"] for each in findings}


def test_every_probe_comes_to_a_verdict_of_its_own(board, tmp_path):
    _, out, _ = board.command(tmp_path, "ccc-doctor", "--json")
    assert [each for each in json.loads(out)["findings"] if "the probe itself failed" in each["evidence"]] == []


def test_power_heat_and_clocks_can_be_read(board, tmp_path):
    found = board.answer(tmp_path, SENSORS, board.root)
    assert found["trouble"] == []
    assert found["temperatures_c"] and all(-40 < each < 120 for each in found["temperatures_c"].values()), found
    assert any("cpu" in name.lower() for name in found["clocks"]) and "GPU" in found["clocks"], found
    if "2GB" not in board.name:  # a Nano with 2 GB has no power sensor
        assert found["power_w"] is not None and 0.5 < found["power_w"] < 100, found


def test_the_power_mode_and_the_fastest_are_known_by_name(board):
    mode = read_power_mode(board.root)
    assert mode.name and mode.fastest and mode.is_fastest is not None
    assert mode.online and mode.is_fixed is not None
