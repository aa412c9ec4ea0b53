"""ccc-bench of an engine and of the ONNX file it came from, over the CPU "CUDA driver" with the real pycuda."""

import json

import pytest

from tests.doubles.engine_room import build, command

OPTIONS = ("--frames", "120", "--warm-up-frames", "5", "--warm-up-seconds", "0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with ``model.onnx`` and ``model.engine``."""
    place = tmp_path_factory.mktemp("bench")
    build(place, "--fp32")
    return place


def results_of(folder, name):
    return json.loads((folder / name).read_text())["results"]


def test_both_backends_are_measured_by_the_same_code(folder):
    code, out, _ = command(folder, "ccc-bench", "model.engine", "model.onnx", "--report", "both.json", *OPTIONS)
    assert code == 0
    engine, onnx = results_of(folder, "both.json")
    assert engine["frames"] == onnx["frames"] == 120
    assert (engine["facts"]["tensorrt"], engine["facts"]["cuda"]) == ("8.2.1.8", "10.2")
    assert engine["facts"]["engine_sha256"] == engine["model"]["sha256"]
    assert out.count(engine["model"]["sha256"]) == 1
    assert "comparable with trtexec's GPU compute time" in engine["network_is"]
    assert "trtexec" not in onnx["network_is"]
    assert len(engine["samples"]["network_ms"]["values"]) >= 100
    assert engine["bottleneck"] and engine["stages"]["infer"]["count"] == 120
    assert "\nmodel.engine  SHA-256 " in out and "\nmodel.onnx    SHA-256 " in out


def test_a_graph_that_is_switched_off_is_a_difference_that_compare_names(folder):
    forced = ("--memory", "input=copy", "--memory", "class_map=copy")
    assert command(folder, "ccc-bench", "model.engine", "--report", "a.json", *(OPTIONS + forced))[0] == 0
    options = OPTIONS + forced + ("--no-cuda-graph",)
    assert command(folder, "ccc-bench", "model.engine", "--report", "b.json", *options)[0] == 0
    code, out, err = command(folder, "ccc-bench", "compare", "a.json", "b.json", "--stat", "network_p50")
    assert code in (0, 1), err
    assert results_of(folder, "b.json")[0]["facts"]["cuda_graph"] == "switched off"
    assert "switched off in B" in out and "memory differs" not in out
