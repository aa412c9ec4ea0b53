"""What ccc-build-engine does when the engine is wrong, memory runs out, a driver fails, or the hardware cannot."""

import pytest

from ccc_jetson.engines import attempts
from ccc_jetson.engines.arguments import layer_precision
from ccc_jetson.engines.build_cli import build_parser
from ccc_jetson.engines.manifest import read_manifest
from ccc_jetson.errors import BuildError
from ccc_jetson.layer_ranges import LayerRange
from tests.doubles.tiny_model import tiny_contract, tiny_graph, write_tiny_model
from tests.engines.conftest import VERSIONS, WRITTEN

# the gate


def test_an_engine_that_sees_something_else_is_not_written(board):
    board.be(wrong=True)
    code, out, err = board.build("--fp32")
    assert code == 1
    assert out == ""
    assert board.files() == ["model.onnx"]
    assert "error: the engine does not see what the network saw: 'frame" in err
    assert "99.5% of the decided pixels of every golden frame must keep their class; nothing was written" in err
    assert "-> export it again" in err


def test_an_engine_that_was_there_survives_a_failed_gate(board):
    board.build("--fp16")
    before = board.bytes("model.engine")
    board.be(wrong=True)
    assert board.build("--fp16", "--rebuild")[0] == 1
    assert board.bytes("model.engine") == before
    assert board.files() == WRITTEN


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_a_layer_that_overflows_is_kept_in_fp32(board, version):
    board.be(version, nan_unless_fp32=["conv"])
    code, out, err = board.build("--fp16")
    assert code == 0
    manifest = read_manifest(board.engine)
    assert manifest.attempts == 2
    assert "conv" in manifest.pinned
    assert manifest.gate.passed
    assert "and holds NaN or infinite values; building again with the layers of 2 tensors in FP32" in err
    assert "layers kept in FP32: " in out
    assert "before layers were kept in FP32" in out


def test_where_pinning_does_not_help_nothing_is_written(board):
    board.be(wrong=True)
    code, _, err = board.build("--fp16")
    assert code == 1
    assert board.files() == ["model.onnx"]
    assert "layers in FP32, 'frame" in err
    assert "-> ccc-build-engine --fp32 {}; --no-gate".format(board.model) in err


def test_a_classifier_that_gets_another_class_is_not_written(board):
    write_tiny_model(board.model, kind="scores")
    board.be(wrong=True)
    code, _, err = board.build("--fp16")
    assert code == 1
    assert board.files() == ["model.onnx"]
    assert " loses its class" in err
    assert "every golden picture must keep its class, or get one that FP32 found as good" in err


def test_without_the_gate_the_manifest_says_so(board):
    board.be(wrong=True)
    code, out, _ = board.build("--fp16", "--no-gate")
    assert code == 0
    assert "not judged (--no-gate)" in out
    assert read_manifest(board.engine).gate is None


def test_a_typed_network_cannot_be_pinned(board):
    write_tiny_model(board.model, precision="fp16")
    board.be("10.3.0", wrong=True)
    code, _, err = board.build()
    assert code == 1
    assert err.count("building") == 1
    assert "-> export it without --fp16" in err


def test_an_output_that_overflows_leaves_the_engine_in_fp32(board):
    board.be(nan_unless_fp32=["features"])
    assert board.build("--fp16")[0] == 0
    manifest = read_manifest(board.engine)
    assert "relu" in manifest.pinned
    assert [(each.name, each.dtype) for each in manifest.bindings] == [("image", "float16"), ("features", "float32")]


def test_layers_behind_the_engines_output_are_not_pinned(board):
    board.be(nan_unless_fp32=["conv"])
    board.build("--fp16")
    assert read_manifest(board.engine).pinned == ("conv", "relu")
    board.build("--fp16", "--output", "logits")
    assert read_manifest(board.engine).pinned == ("conv", "relu", "head")


def test_pins_that_tensorrt_refuses_are_followed_by_others(board):
    ranges = [LayerRange("conv", 1e5, float("inf")), LayerRange("features", 12.5, 0.5)]
    write_tiny_model(board.model, ranges=ranges)
    refused = {"pins": 1}

    class Refusing(attempts.Attempts):
        def _built(self, pins):
            if len(pins) == refused["pins"]:
                raise BuildError("no implementation in this precision")
            return attempts.Attempts.__dict__["_built"](self, pins)

    board.patch("ccc_jetson.engines.build.Attempts", Refusing)
    board.be(nan_unless_fp32=["conv"])
    code, _, err = board.build("--fp16")
    assert code == 0
    assert "note: no implementation in this precision" in err
    refused["pins"] = 2
    board.be(nan_unless_fp32=["features"])
    code, _, err = board.build("--fp16", "--rebuild")
    assert code == 1
    assert "note: no implementation in this precision" in err
    assert "error: the engine does not see what the network saw" in err


def test_a_gate_without_frames_passes_nothing(board):
    write_tiny_model(board.model, golden=0)
    code, _, err = board.build("--fp16")
    assert code == 1
    assert "there are no golden frames, so nothing can be judged" in err
    assert board.files() == ["model.onnx"]


def test_what_was_timed_is_kept_when_the_gate_fails(board):
    board.be(wrong=True, build_seconds=0.2)
    assert board.build("--fp16")[0] == 1
    board.be()
    board.build("--fp16")
    assert read_manifest(board.engine).timing_cache == "reused"


def test_a_profile_that_fails_takes_nothing_from_the_engine(board):
    board.build("--fp16")
    board.be(context_none=True)
    code, out, err = board.build("--fp16", "--profile")
    assert code == 1
    assert "already built" in out
    assert "error: the engine cannot be prepared to run" in err
    assert board.files() == WRITTEN


# memory


def test_out_of_memory_is_tried_again_with_half_the_workspace(board):
    board.be(oom_above_mib=300)
    code, out, err = board.build("--fp16", "--workspace", "1024")
    assert code == 0
    manifest = read_manifest(board.engine)
    assert (manifest.workspace_mib, manifest.attempts) == (256, 3)
    assert "out of memory; trying again with a workspace of 512 MiB" in err
    assert "3 builds, workspace 256 MiB" in out


def test_a_killed_builder_becomes_a_sentence_and_a_smaller_workspace(board):
    board.be(kill_above_mib=300)
    code, _, err = board.build("--fp16", "--workspace", "512")
    assert code == 0
    assert "the kernel's way to say that memory has run out; trying again with a workspace of 256 MiB" in err
    assert read_manifest(board.engine).workspace_mib == 256


@pytest.mark.parametrize("fault", ["oom_above_mib", "kill_above_mib"])
def test_where_no_workspace_is_small_enough_the_cure_is_named(board, fault):
    board.be(**{fault: 0})
    code, _, err = board.build("--fp16", "--workspace", "64")
    assert code == 1
    assert err.count("trying again") == 2  # 32 and 16 MiB
    assert "sudo systemctl isolate multi-user.target" in err
    assert board.files() == ["model.onnx"]


def test_the_automatic_workspace_is_a_quarter_of_what_is_free(board):
    board.be("10.3.0", integrated=False, free_mib=2000, device="GeForce RTX 3050", sm="8.6")
    board.build()
    assert read_manifest(board.engine).workspace_mib == 496
    board.build("--workspace", "300")
    assert read_manifest(board.engine).workspace_mib == 300


# the process


@pytest.mark.parametrize("fault, name", [("abort", "SIGABRT"), ("segfault", "SIGSEGV")])
@pytest.mark.parametrize("stage", ["build", "execute"])
def test_a_driver_that_takes_the_process_down_is_named(board, fault, name, stage):
    board.be(**{fault: stage})
    code, _, err = board.build("--fp16")
    assert code == 1
    assert "the builder ended with {} and no answer".format(name) in err
    assert "Traceback" not in err
    assert board.files() == ["model.onnx"]


@pytest.mark.parametrize(
    "faults, sentence",
    [
        ({"build_none": True}, "the engine could not be built; TensorRT gave no reason"),
        ({"deserialize_none": True}, "the new engine: TensorRT 8.2.1.8 cannot load it"),
        ({"context_none": True}, "the engine cannot be prepared to run"),
        ({"execute_false": True}, "the engine did not run"),
        ({"no_gpu": True}, "no GPU"),
        ({"network_none": True}, "TensorRT gives no network"),
    ],
)
def test_every_refusal_of_tensorrt_is_an_error_of_ours(board, faults, sentence):
    board.be(**faults)
    code, _, err = board.build("--fp16")
    assert code == 1
    assert sentence in err
    assert "Traceback" not in err
    assert "  -> " in err
    assert board.files() == ["model.onnx"]


@pytest.mark.parametrize("package, cure", [("tensorrt", "--system-site-packages"), ("pycuda", "pip3 install pycuda")])
def test_a_missing_package_is_named_with_where_it_comes_from(board, package, cure):
    board.be(**{package + "_missing": True})
    code, _, err = board.build()
    assert code == 1
    assert cure in err
    assert board.files() == ["model.onnx"]


@pytest.mark.parametrize("package, library", [("tensorrt", "libnvinfer.so.8"), ("pycuda", "libcuda.so.1")])
def test_a_container_without_the_nvidia_runtime_is_recognised(board, package, library):
    board.be(**{package + "_missing": library + ": file too short"})
    code, _, err = board.build()
    assert code == 1
    assert "docker run --runtime nvidia" in err


def test_a_library_that_was_loaded_too_late_is_no_missing_runtime(board):
    board.be(tensorrt_missing="/lib/libgomp.so.1: cannot allocate memory in static TLS block")
    code, _, err = board.build()
    assert code == 1
    assert "export LD_PRELOAD=/lib/libgomp.so.1" in err and "docker run" not in err


# precision


def test_a_qdq_model_is_built_where_types_are_the_models_own(board):
    with open(board.model, "wb") as file:
        file.write(tiny_graph(tiny_contract(), quantized=True).SerializeToString())
    contract = board.folder / "contract.json"
    contract.write_text(tiny_contract().to_json())
    for version, faults in (("10.3.0", {"sm": "8.7", "device": "Orin"}), ("11.0.0.114", {"sm": "8.9"})):
        board.be(version, **faults)
        code, _, err = board.build("--contract", contract, "--no-gate")
        assert code == 0
        assert "INT8" in err
        assert read_manifest(board.engine).settings.precisions[-1] == "int8"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--fp32", "--layer-precision", "conv=fp16"], "asks for FP16, which the engine may not use"),
        (["--fp16", "--calib", "model.calib"], "the engine uses no INT8"),
        (["--fp32", "--dla", "0"], "a DLA computes in FP16 and INT8"),
    ],
)
def test_wishes_that_contradict_each_other_are_told_before_tensorrt_is(board, monkeypatch, arguments, message):
    monkeypatch.chdir(str(board.folder))
    calibration_cache(board)
    code, _, err = board.build(*arguments)
    assert code == 2
    assert message in err


def test_layers_of_a_typed_model_cannot_be_chosen(board):
    write_tiny_model(board.model, precision="fp16")
    board.be("10.3.0")
    code, _, err = board.build("--layer-precision", "conv=fp32")
    assert code == 2
    assert "the model states its own types" in err


def test_a_workspace_that_is_not_there_is_noted_and_an_absurd_one_refused(board):
    board.be("10.3.0", integrated=False, free_mib=2000, sm="8.6")
    assert "note: --workspace 3000: 2000 MiB are available" in board.build("--workspace", "3000")[2]
    with pytest.raises(SystemExit):
        board.build("--workspace", "99999999")


def test_int8_is_refused_on_a_tx2_and_nothing_is_built(board):
    code, _, err = board.build("--int8", "--calib", calibration_cache(board))
    assert code == 1
    assert "NVIDIA Tegra X2 (sm_62) has no INT8 units" in err
    assert "ccc-build-engine --fp16" in err
    assert board.files() == ["model.calib", "model.onnx"]


def calibration_cache(board, version="8502", algorithm="EntropyCalibration2"):
    path = board.folder / "model.calib"
    path.write_text("TRT-{}-{}\nimage: 3c010a14\n".format(version, algorithm))
    return str(path)


@pytest.mark.parametrize("algorithm", ["EntropyCalibration2", "MinMaxCalibration"])
def test_int8_is_built_from_a_calibration_cache_on_a_xavier(board, algorithm):
    board.be("8.5.2.2", sm="7.2", device="Xavier")
    cache = calibration_cache(board, algorithm=algorithm)
    assert board.build("--int8", "--fp16", "--calib", cache)[0] == 0
    manifest = read_manifest(board.engine)
    assert manifest.settings.precisions == ("fp16", "int8")
    assert len(manifest.settings.calibration_cache) == 64


def test_what_is_no_calibration_cache_is_refused(board):
    board.be("8.5.2.2", sm="7.2", device="Xavier")
    other = board.folder / "other.calib"
    other.write_text("hello\n")
    code, _, err = board.build("--int8", "--calib", str(other))
    assert code == 1
    assert "is no calibration cache: its first line is 'hello'" in err


def test_a_layers_precision_can_be_chosen(board):
    board.be(nan_unless_fp32=["conv"])
    assert board.build("--fp16", "--layer-precision", "co*=fp32")[0] == 0
    manifest = read_manifest(board.engine)
    assert manifest.attempts == 1 and manifest.settings.layer_precisions == (("co*", "fp32"),)
    assert manifest.pinned == ()  # those are the gate's


def test_a_pattern_that_fits_nothing_names_what_there_is(board):
    code, _, err = board.build("--fp16", "--layer-precision", "Conv_99=fp32")
    assert code == 1
    assert "--layer-precision Conv_99: no layer or tensor has such a name" in err
    assert "names are, for example, argmax, cast, conv, head, relu" in err


def test_without_precision_constraints_a_layer_cannot_be_chosen(board):
    board.be("11.0.0.114")
    code, _, err = board.build("--layer-precision", "conv=fp32")
    assert code == 1
    assert "follows the network's own types" in err


@pytest.mark.parametrize("text", ["conv", "=fp32", "conv=int8", "conv=", "conv:fp32"])
def test_a_wrong_layer_precision_is_a_usage_error(text, capsys):
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["--layer-precision", text])
    assert caught.value.code == 2
    assert "is not PATTERN=fp32 or PATTERN=fp16" in capsys.readouterr().err


def test_names_may_hold_an_equals_sign():
    assert layer_precision("a=b=fp16") == ("a=b", "fp16")


def test_a_typed_model_needs_a_tensorrt_that_follows_types(board):
    write_tiny_model(board.model, precision="fp16")
    code, _, err = board.build()
    assert code == 1
    assert "states its types (ccc-export --fp16), which TensorRT 8.2.1.8 does not follow" in err
    board.be("10.3.0")
    assert board.build()[0] == 0


def test_dla_is_refused_where_there_is_none_and_used_where_there_is(board):
    code, _, err = board.build("--dla", "0")
    assert code == 1
    assert "--dla 0: this machine has no DLA" in err
    board.be("8.5.2.2", sm="7.2", device="Xavier", dla_cores=2)
    assert board.build("--dla", "1")[0] == 0
    assert read_manifest(board.engine).settings.dla_core == 1
    assert "--dla 2: this machine has 2 DLA cores" in board.build("--dla", "2")[2]
