"""Engines on the board: built, judged, run; the same classes, no memory asked for by a frame, a CUDA graph tried."""

import json
import os

import pytest

from ccc_jetson.engines.manifest import read_manifest
from tests.jetson.programs import ALLOCATIONS, GOLDEN

pytestmark = pytest.mark.jetson
SETTLED = 60  # frames after which memory and graph have been chosen
DECIDED = 0.995  # of the decided pixels, as the gate asks


def manifest_of(folder, name):
    manifest = read_manifest(str(folder / name))
    assert manifest is not None
    return manifest


def test_an_fp16_engine_is_built_here_and_passes_the_gate(board, folder, engine):
    manifest = manifest_of(folder, engine)
    print(manifest.machine, manifest.build_seconds, manifest.gate)
    assert manifest.gate.passed and all(frame.finite for frame in manifest.gate.frames)
    assert min(frame.decided for frame in manifest.gate.frames) >= DECIDED
    assert manifest.machine.board == board.name and manifest.machine.tensorrt and manifest.machine.sm
    if board.target is not None:
        assert manifest.machine.sm == "{}.{}".format(*board.target.compute_capability)


def test_an_fp32_engine_keeps_the_classes_of_the_export(board, folder):
    code, _, err = board.command(folder, "ccc-build-engine", "model.onnx", "-o", "fp32.engine", "--fp32")
    assert code == 0, err
    frames = manifest_of(folder, "fp32.engine").gate.frames
    assert min(frame.decided for frame in frames) >= 0.999


def test_int8_is_refused_without_units_and_built_where_there_are(board, folder):
    words = ["model.onnx", "-o", "int8.engine", "--int8", "--calib", "golden/images"]
    code, _, err = board.command(folder, "ccc-build-engine", *words)
    if board.target is not None and not board.target.int8:
        assert code == 1 and "INT8" in err and "->" in err, err
        assert not os.path.exists(str(folder / "int8.engine"))
    else:
        assert code == 0, err
        assert "int8" in manifest_of(folder, "int8.engine").settings.precisions


@pytest.mark.parametrize("graph", ["graph", "no graph"])
def test_live_use_gives_the_classes_of_the_golden_frames(board, folder, engine, graph):
    found = board.answer(folder, GOLDEN, engine, graph)
    assert found["frames"] > 0 and found["worst"] >= DECIDED, found


def test_a_cuda_graph_is_tried_and_its_verdict_told(board, folder, engine):
    facts = board.answer(folder, GOLDEN, engine, "graph")["facts"]
    assert facts["cuda_graph"].startswith(("used", "not used: ")), facts
    assert "another one" not in facts["cuda_graph"], "a graph of this GPU gives other classes"


def test_a_frame_asks_for_no_memory(board, folder, engine):
    found = board.answer(folder, ALLOCATIONS, engine, SETTLED)
    assert found["before"] > 0, "the counter counts nothing"
    assert found["during"] == []


def test_the_counter_of_allocations_can_count(board, folder, engine):
    assert board.answer(folder, ALLOCATIONS, engine, SETTLED, "one more")["during"] == ["mem_alloc"]


def test_pictures_become_class_maps(board, folder, engine, tmp_path):
    code, _, err = board.command(
        folder, "ccc-run", "--model", engine, "--images", "golden/images", "--class-maps", tmp_path / "maps",
        "--report", tmp_path / "run.json",
    )  # fmt: skip
    assert code == 0, err
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["backend"].startswith("TensorRT ")
    assert len(os.listdir(str(tmp_path / "maps"))) == len(os.listdir(str(folder / "golden" / "images")))


def test_a_benchmark_measures_speed_power_and_the_bare_network(board, folder, engine, tmp_path):
    code, _, err = board.command(folder, "ccc-bench", engine, "--duration", "5", "--report", tmp_path / "bench.json")
    assert code == 0, err
    record = json.loads((tmp_path / "bench.json").read_text())
    (result,) = record["results"]
    assert record["environment"]["board"] == board.name
    assert result["fps"] > 0 and result["network"]["p50_ms"] > 0
    # the bare network is a part of a frame's way; twice, for a clock that moves
    assert result["network"]["p50_ms"] <= 2 * result["latency"]["p50_ms"]
    assert result["telemetry"]["summary"]["samples"] > 0


def test_an_engine_of_another_file_is_refused(board, folder, engine, tmp_path):
    for suffix in ("", ".json"):
        (tmp_path / ("x.engine" + suffix)).write_bytes((folder / (engine + suffix)).read_bytes())
    with open(str(tmp_path / "x.engine"), "r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\0damaged")
    code, _, err = board.command(
        tmp_path, "ccc-run", "--model", "x.engine", "--images", folder / "golden" / "images", "--headless"
    )
    assert code == 1 and "SHA-256" in err and "Traceback" not in err
