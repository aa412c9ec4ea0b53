"""ccc-build-engine from file to judged engine, as a user meets it: over a stand-in TensorRT, in its own process."""

import json
import os

import onnx
import pytest

from ccc_jetson.board import Board
from ccc_jetson.engines.manifest import read_manifest
from tests.doubles.tiny_model import tiny_contract, tiny_graph, write_tiny_model
from tests.engines.conftest import VERSIONS, WRITTEN


def test_the_engine_of_a_tx2_is_built_judged_and_described(board):
    code, out, err = board.build("--fp16")
    assert code == 0
    assert board.files() == WRITTEN
    manifest = read_manifest(board.engine)
    assert manifest.settings.precisions == ("fp16",)
    assert manifest.machine[:4] == ("8.2.1.8", "10.2", "NVIDIA Tegra X2", "6.2")
    assert manifest.gate.passed and [frame.name for frame in manifest.gate.frames] == ["frame0", "frame1"]
    assert manifest.attempts == 1 and manifest.pinned == ()
    assert manifest.timing_cache == "new"
    assert "asking TensorRT what this machine has\n" in err
    assert "TensorRT 8.2.1.8, CUDA 10.2" in err
    assert "precision    FP16\n" in out
    assert "gate         passed on 2 golden frames" in out
    assert "ms a run of the engine alone" in out


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_builds_with_its_defaults(board, version):
    board.be(version)
    code, _, err = board.build()
    assert code == 0
    manifest = read_manifest(board.engine)
    assert manifest.machine.tensorrt == version
    assert manifest.gate.passed
    if version.startswith("11"):
        assert manifest.settings.precisions == ()
        assert "ccc-export --target orin --fp16 writes one in FP16" in err
    else:
        assert manifest.settings.precisions == ("fp16",)
        assert "FP16: this hardware's default" in err


# the head


def bindings_of(board):
    return [(each.name, each.is_input, each.dtype, each.shape) for each in read_manifest(board.engine).bindings]


def test_features_leave_the_engine_in_fp16_and_neither_logits_nor_classes(board):
    board.build("--fp16")
    assert bindings_of(board) == [
        ("image", True, "float16", (1, 3, 32, 64)),
        ("features", False, "float16", (1, 4, 16, 32)),
    ]
    assert read_manifest(board.engine).head is not None


def test_an_fp32_engine_has_fp32_ends(board):
    board.build("--fp32")
    assert bindings_of(board) == [
        ("image", True, "float32", (1, 3, 32, 64)),
        ("features", False, "float32", (1, 4, 16, 32)),
    ]


def test_logits_and_classes_can_be_asked_for(board):
    assert board.build("--fp16", "--output", "logits")[0] == 0
    assert bindings_of(board)[1] == ("logits", False, "float16", (1, 19, 32, 64))
    assert board.build("--fp16", "--output", "classes")[0] == 0
    assert bindings_of(board)[1] == ("class_map", False, "int32", (1, 32, 64))
    assert read_manifest(board.engine).head is None


def test_a_model_of_logits_gives_logits_when_taken_as_it_is(board):
    write_tiny_model(board.model, kind="logits")
    assert board.build("--output", "classes")[0] == 0
    assert read_manifest(board.engine).settings.output == "logits"


# whole pictures


def test_a_classifier_is_built_and_judged_by_its_scores(board):
    write_tiny_model(board.model, kind="scores", classes=7)
    code, out, _ = board.build("--fp16")
    assert code == 0
    assert bindings_of(board) == [("image", True, "float16", (1, 3, 32, 64)), ("scores", False, "float16", (1, 7))]
    manifest = read_manifest(board.engine)
    assert (manifest.settings.output, manifest.head) == ("scores", None)
    assert "passed on 2 golden pictures: same class as FP32 for 2" in out
    assert board.build("--fp16", "--output", "scores")[0] == 0


@pytest.mark.parametrize("asked", ["classes", "logits", "features"])
def test_a_classifier_gives_nothing_but_scores(board, asked):
    write_tiny_model(board.model, kind="scores")
    code, _, err = board.build("--output", asked)
    assert code == 2
    assert "--output {}: ".format(asked) in err
    assert board.files() == ["model.onnx"]


def test_a_network_for_segmentation_gives_no_scores(board):
    code, _, err = board.build("--output", "scores")
    assert code == 2
    assert "gives classes" in err and "leave --output out" in err


# identical inputs


def test_the_same_command_says_already_built(board):
    board.build("--fp16")
    before = os.stat(board.engine).st_mtime_ns
    code, out, err = board.build("--fp16")
    assert code == 0
    assert "already built from the same file" in out
    assert "building" not in err
    assert os.stat(board.engine).st_mtime_ns == before


@pytest.mark.parametrize("arguments", [["--rebuild", "--fp16"], ["--fp32"], ["--fp16", "--workspace", "128"]])
def test_anything_else_builds_again(board, arguments):
    board.build("--fp16")
    _, out, err = board.build(*arguments)
    assert "already built" not in out
    assert "building: 5 nodes" in err


def test_an_engine_that_is_there_is_compared_with_the_machine_as_it_is_now(board):
    board.patch("ccc_jetson.engines.build.read_board", lambda: Board("NVIDIA Jetson TX2", "32.7.1", "4.6.1", "MAXQ"))
    board.build("--fp16")
    board.patch("ccc_jetson.engines.build.read_board", lambda: Board("NVIDIA Jetson TX2", "32.7.1", "4.6.1", "MAXN"))
    _, out, err = board.build("--fp16")
    assert "already built" in out
    assert "note: timings were chosen at MAXQ, this machine is in MAXN" in err


def test_another_tensorrt_builds_again(board):
    board.build("--fp16")
    board.be("8.2.3.0")
    board.build("--fp16")
    assert read_manifest(board.engine).machine.tensorrt == "8.2.3.0"


def test_another_model_or_a_damaged_plan_builds_again(board):
    board.build("--fp16")
    write_tiny_model(board.model, seed=8)
    assert "building" in board.build("--fp16")[2]
    with open(board.engine, "ab") as file:
        file.write(b"x")
    assert "building" in board.build("--fp16")[2]
    with open(board.engine + ".json", "w") as file:
        file.write("{")
    assert "building" in board.build("--fp16")[2]
    os.unlink(board.engine + ".json")
    assert "building" in board.build("--fp16")[2]


# the file


def test_a_parser_error_names_the_node(board):
    for version in ("8.2.1.8", "10.3.0"):
        board.be(version, parse_fail_node="relu")
        code, _, err = board.build("--fp16")
        assert code == 1
        reason = "this TensorRT has neither an importer nor a plugin for Relu"
        assert "TensorRT {} cannot read it:\n  relu (Relu): {}\n".format(version, reason) in err
        assert "ccc-inspect" in err


def test_a_file_without_golden_frames_is_not_judged_and_so_not_built(board):
    write_tiny_model(board.model, attachments=False)
    code, _, err = board.build()
    assert code == 1
    assert "holds no golden frames" in err
    assert "--no-gate" in err
    assert board.build("--no-gate")[0] == 0
    assert bindings_of(board)[1][0] == "class_map"  # without the head's weights nobody could compute it


def test_features_need_a_head(board):
    write_tiny_model(board.model, attachments=False)
    code, _, err = board.build("--no-gate", "--output", "features")
    assert code == 2
    assert "describes no head" in err


def test_a_model_of_another_tool_takes_a_contract(board):
    contract = tiny_contract()
    with open(board.model, "wb") as file:
        file.write(tiny_graph(contract).SerializeToString())
    code, _, err = board.build()
    assert code == 1 and "holds no contract" in err
    given = board.folder / "contract.json"
    given.write_text(contract.to_json())
    assert board.build("--contract", given, "--no-gate")[0] == 0
    assert read_manifest(board.engine).contract == contract


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["-o", "missing/x.engine"], "its folder does not exist"),
        (["--timing-cache", "a", "--no-timing-cache"], "contradict each other"),
        (["--fp32", "--fp16"], "goes with no other precision"),
    ],
)
def test_what_cannot_be_is_a_usage_error(board, arguments, message):
    code, _, err = board.build(*arguments)
    assert code == 2
    assert message in err
    assert board.files() == ["model.onnx"]


def test_the_model_is_not_overwritten(board):
    before = board.bytes("model.onnx")
    code, _, err = board.build("-o", board.model)
    assert code == 2 and "which it would overwrite" in err
    assert board.bytes("model.onnx") == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["--timing-cache", "model.onnx"],
        ["--timing-cache", "model.engine"],
        ["--contract", "model.engine.json", "--no-gate"],
        ["--timing-cache", "contract", "--contract", "contract.json", "--no-gate"],
        ["--timing-cache", "old.calib"],
    ],
)
def test_no_file_that_is_read_or_written_otherwise_is_overwritten(board, monkeypatch, arguments):
    monkeypatch.chdir(str(board.folder))
    for name in ("model.engine.json", "contract.json"):
        (board.folder / name).write_text(tiny_contract().to_json())
    (board.folder / "old.calib").write_text("TRT-8201-EntropyCalibration2\n")
    before = {name: board.bytes(name) for name in board.files()}
    code, _, err = board.build(*arguments)
    assert code == 2
    assert "overwrit" in err
    assert {name: board.bytes(name) for name in board.files()} == before


def test_weights_in_another_file_are_refused(board):
    model = tiny_graph(tiny_contract())
    onnx.save(model, board.model, save_as_external_data=True, location="weights.bin", size_threshold=0)
    code, _, err = board.build("--no-gate")
    assert code == 1
    assert "weights lie in another file" in err and "onnx.save(onnx.load(NAME), NAME)" in err


def test_an_engine_behind_a_link_keeps_its_manifest(board):
    (board.folder / "disk").mkdir()
    os.symlink(str(board.folder / "disk" / "real.engine"), board.engine)
    assert board.build("--fp16")[0] == 0
    assert sorted(os.listdir(str(board.folder / "disk"))) == ["real.engine", "real.engine.json"]
    assert "already built" in board.build("--fp16")[1]


def test_what_lies_in_the_current_folder_is_not_imported(board, monkeypatch):
    monkeypatch.chdir(str(board.folder))
    for name in ("queue.py", "tensorrt.py", "numpy.py"):
        (board.folder / name).write_text("raise SystemExit('a stranger')")
    assert board.build("--fp16")[0] == 0


def test_a_missing_model_is_named(board):
    os.unlink(board.model)
    code, _, err = board.build()
    assert code == 1
    assert "model.onnx: cannot be read: No such file or directory" in err


# the timing cache


def test_the_second_build_starts_from_the_first_ones_measurements(board):
    board.be(build_seconds=0.3)
    board.build("--fp16")
    (cache,) = (board.cache / "timing").glob("*.cache")
    assert cache.name == "TRT-8.2.1.8-NVIDIA_Tegra_X2-sm62.cache"
    _, _, err = board.build("--fp16", "--rebuild")
    assert read_manifest(board.engine).timing_cache == "reused"
    _, _, err = board.build("--fp16", "--rebuild")
    assert "the last time" in err


def test_a_timing_cache_of_another_machine_is_not_used(board):
    given = board.folder / "my.cache"
    board.build("--fp16", "--timing-cache", given)
    board.be("8.2.3.0")
    assert board.build("--fp16", "--timing-cache", given)[0] == 0
    assert read_manifest(board.engine).timing_cache == "new"
    assert board.build("--fp16", "--timing-cache", given, "--rebuild")[0] == 0
    assert read_manifest(board.engine).timing_cache == "reused"


def test_without_a_timing_cache_none_is_kept(board):
    board.build("--fp16", "--no-timing-cache")
    assert read_manifest(board.engine).timing_cache == "off"
    assert not board.cache.exists()


def test_a_cache_that_cannot_be_kept_costs_no_engine(board):
    board.cache.write_text("a file where the folder should be")
    code, _, err = board.build("--fp16")
    assert code == 0
    assert "note: the timing cache is not kept" in err
    assert os.path.exists(board.engine)


# layers


def test_the_profile_shows_layers_and_their_nodes(board):
    code, out, _ = board.build("--fp16", "--profile")
    assert code == 0
    assert "slowest layers" in out
    record = json.loads(board.bytes("model.layers.json").decode("ascii"))
    fused = [layer for layer in record["layers"] if layer["name"] == "conv + relu"]
    assert fused and fused[0]["nodes"] == ["conv", "relu"]
    assert fused[0]["details"]["Outputs"]


def test_an_engine_that_is_there_is_profiled_without_building(board):
    board.build("--fp16")
    code, out, err = board.build("--fp16", "--profile")
    assert code == 0
    assert "already built" in out and "slowest layers" in out
    assert "building" not in err


def test_tensorrt_8_0_profiles_without_an_inspector(board):
    board.be("8.0.1.6")
    assert board.build("--fp16", "--profile")[0] == 0
    record = json.loads(board.bytes("model.layers.json").decode("ascii"))
    assert {layer["kind"] for layer in record["layers"]} == {"Conv + Relu"}


# what TensorRT says


def test_warnings_are_shown_and_verbose_shows_all(board):
    board.be(build_log=[["WARNING", "something odd"], ["INFO", "chatter"]])
    _, _, err = board.build("--fp16")
    assert "TensorRT warning: something odd\n" in err
    assert "chatter" not in err
    _, _, err = board.build("--fp16", "--rebuild", "--verbose")
    assert "TensorRT info: chatter\n" in err
    assert "TensorRT verbose: " in err


def test_a_file_for_a_newer_parser_is_refused_before_anything_is_built(board):
    model = onnx.load(board.model)
    model.opset_import[0].version = 15
    onnx.save(model, board.model)
    code, _, err = board.build("--fp16")
    assert code == 1
    assert "TensorRT 8.2.1.8 cannot take it:\n  opset 15 is above the parser's 13" in err
    assert "building" not in err
    code, _, err = board.build("--fp16", "--force")
    assert code == 0
    assert "note: " in err and "opset 15" in err
    assert read_manifest(board.engine).settings.forced
