"""``ccc-build-engine --int8 --calib FILE|IMAGES`` on a Xavier: a cache that is checked, or one that is measured."""

import os
import shutil

import numpy as np
import pytest

from ccc_jetson.calib.cache import parse_cache, read_cache
from ccc_jetson.calib.for_builds import layer_precisions_of
from ccc_jetson.calib.provenance import read_provenance
from ccc_jetson.carried import contract_of
from ccc_jetson.engines.inspect_cli import main as inspect
from ccc_jetson.engines.manifest import read_manifest
from ccc_jetson.files import sha256_of
from ccc_jetson.int8_agreement import MARGIN, FrameAgreement
from ccc_jetson.int8_errors import Int8Error
from ccc_jetson.onnx_file import read_onnx
from tests.doubles.calibrations import tiny_cache, tiny_provenance, write_tiny_cache
from tests.doubles.labelled_frames import write_image
from tests.doubles.pictures import write_pictures
from tests.doubles.stages import write_video
from tests.doubles.tiny_model import tiny_contract, tiny_graph, write_tiny_model

MEASURED = ["model.engine", "model.engine.calib", "model.engine.calib.json", "model.engine.json", "model.onnx"]


@pytest.fixture()
def xavier(board):
    board.be("8.5.2.2", sm="7.2", device="Xavier")
    return board


@pytest.fixture()
def pictures(tmp_path):
    return write_pictures(tmp_path / "pictures", 25)


def provenance_of(board, cache=None, **changes):
    """Of a cache for the board's model."""
    contract = contract_of(read_onnx(board.model), board.model)
    return tiny_provenance(cache, contract, onnx_sha256=sha256_of(board.model), **changes)


def given(board, cache=None, **changes):
    """A cache with a provenance, on the board's disk."""
    path = board.folder / "model.calib"
    return write_tiny_cache(path, cache, provenance_of(board, cache, **changes))


# a cache


def test_a_cache_of_this_model_is_used_without_a_word(xavier):
    code, _, err = xavier.build("--int8", "--fp16", "--calib", given(xavier, fp32_layers=(), fp16_layers=()))
    assert code == 0 and "model.calib" not in err
    settings = read_manifest(xavier.engine).settings
    assert settings.calibration_cache == sha256_of(str(xavier.folder / "model.calib"))
    assert settings.layer_precisions == ()


def test_layers_that_calibration_keeps_out_of_int8_come_before_the_users(xavier):
    path = given(xavier, fp32_layers=("head",), fp16_layers=("conv",))
    assert xavier.build("--int8", "--fp16", "--calib", path, "--layer-precision", "re*=fp32")[0] == 0
    layers = read_manifest(xavier.engine).settings.layer_precisions
    assert layers == (("head", "fp32"), ("conv", "fp16"), ("re*", "fp32"))


def test_an_engine_that_may_not_use_fp16_has_those_layers_in_fp32(xavier):
    path = given(xavier, fp32_layers=("head",), fp16_layers=("conv",))
    code, _, err = xavier.build("--int8", "--calib", path)
    assert code == 0 and "note: layers that calibration keeps in FP16 are in FP32 here" in err
    assert read_manifest(xavier.engine).settings.layer_precisions == (("head", "fp32"), ("conv", "fp32"))


def test_a_failed_gate_pins_layers_that_calibration_keeps_in_fp16(xavier):
    xavier.be("8.5.2.2", sm="7.2", device="Xavier", wrong_unless_fp32=["conv"])
    path = given(xavier, fp32_layers=(), fp16_layers=("conv",), agreement=None)
    code, _, err = xavier.build("--int8", "--fp16", "--calib", path)
    assert code == 0, err
    assert "conv" in read_manifest(xavier.engine).pinned
    code, _, err = xavier.build("--int8", "--fp16", "--calib", path, "--layer-precision", "conv=fp16", "--rebuild")
    assert code == 1 and "the engine does not see what the network saw" in err  # what the user says counts


def test_an_engine_is_not_the_one_that_is_there_where_its_gate_would_ask_for_more(xavier):
    few = tuple(FrameAgreement(name, 0.9, 0.9) for name in ("frame0", "frame1"))
    many = tuple(each._replace(decided=0.99) for each in few)
    cache = given(xavier, fp32_layers=(), fp16_layers=(), agreement=few)
    assert xavier.build("--int8", "--fp16", "--calib", cache)[0] == 0
    assert "already" in "".join(xavier.build("--int8", "--fp16", "--calib", cache)[1:])
    cache = given(xavier, fp32_layers=(), fp16_layers=(), agreement=many)
    assert "already" not in "".join(xavier.build("--int8", "--fp16", "--calib", cache)[1:])
    assert {round(frame.required, 6) for frame in read_manifest(xavier.engine).gate.frames} == {0.97}


def kept_by(board):
    """(golden frame, share of its decided pixels) that a wrong engine keeps."""
    board.be("8.5.2.2", sm="7.2", device="Xavier", wrong=True)
    assert board.build("--int8", "--fp16", "--calib", given(board), "--min-agreement", "0")[0] == 0
    manifest = read_manifest(board.engine)
    assert manifest.settings.min_agreement == 0
    assert {frame.required for frame in manifest.gate.frames} == {0}
    os.unlink(board.engine)
    return [(frame.name, frame.decided) for frame in manifest.gate.frames]


def test_the_gate_asks_for_what_calibration_found_less_a_margin(xavier):
    kept = kept_by(xavier)
    assert max(share for _, share in kept) < 0.9
    found = tuple(FrameAgreement(name, share, share + MARGIN / 2) for name, share in kept)
    code, _, err = xavier.build("--int8", "--fp16", "--calib", given(xavier, agreement=found))
    assert code == 0
    assert "INT8 was found to change classes: of the frame that loses most, the gate asks for" in err
    gate = read_manifest(xavier.engine).gate
    assert [frame.required for frame in gate.frames] == [frame.required for frame in found]
    assert all(frame.decided < 0.9 for frame in gate.frames)


def test_an_engine_may_lose_what_it_loses_at_worst(xavier):
    kept = kept_by(xavier)
    better = tuple(FrameAgreement(name, 1.0, 1.0) for name, _ in kept)
    found = tuple(FrameAgreement(name, share, share + MARGIN / 2) for name, share in kept)
    assert xavier.build("--int8", "--fp16", "--calib", given(xavier, agreement=better, at_worst=None))[0] == 1
    for known in ({"agreement": better, "at_worst": found}, {"agreement": found, "at_worst": better}):
        assert xavier.build("--int8", "--fp16", "--calib", given(xavier, **known), "--rebuild")[0] == 0
        gate = read_manifest(xavier.engine).gate
        assert [frame.required for frame in gate.frames] == [frame.required for frame in found]


def test_a_ruined_engine_is_refused_though_the_simulation_was_as_bad(xavier):
    found = tuple(FrameAgreement(name, 0.1, 0.1) for name, _ in kept_by(xavier))
    xavier.be("8.5.2.2", sm="7.2", device="Xavier")
    code, _, err = xavier.build("--int8", "--fp16", "--calib", given(xavier, agreement=found))
    assert code == 0
    assert "asks for 50.0% of the decided pixels, no less of any: with fewer" in err
    assert {frame.required for frame in read_manifest(xavier.engine).gate.frames} == {0.5}


def test_an_engine_that_keeps_less_than_calibration_found_is_not_written(xavier):
    kept = kept_by(xavier)
    found = tuple(FrameAgreement(name, share, share + 1.5 * MARGIN) for name, share in kept)
    code, _, err = xavier.build("--int8", "--fp16", "--calib", given(xavier, agreement=found))
    assert code == 1
    assert "as many as calibration found must keep theirs, less 2%" in err
    assert "were required" in err
    assert not os.path.exists(xavier.engine)


def pinned_by(board, monkeypatch, **changes):
    """The layers that the gate keeps in FP32, one at a time, and what is said; conv alone is what goes wrong."""
    monkeypatch.setattr("ccc_jetson.engines.pinning._STEPS", (1, 2, 3, 4))
    board.be("8.5.2.2", sm="7.2", device="Xavier", wrong_unless_fp32=["conv"])
    nothing = {"fp32_layers": (), "fp16_layers": (), "agreement": None}
    cache = given(board, **dict(nothing, **changes))
    code, _, err = board.build("--int8", "--fp16", "--calib", cache, "--output", "logits", "--rebuild")
    assert code == 0
    return read_manifest(board.engine), err


def test_after_a_failed_gate_layers_that_lose_most_in_int8_are_kept_first(xavier, monkeypatch):
    errors = (Int8Error("head", 0.25), Int8Error("conv", 0.5))
    manifest, err = pinned_by(xavier, monkeypatch, layer_errors=errors)
    assert (manifest.pinned, manifest.attempts) == (("conv",), 2)
    assert "note: the layers that ccc-calibrate found to lose most in INT8 are the first to be kept in FP32" in err
    errors = (Int8Error("head", 0.25), Int8Error("conv", 0.125))
    manifest, _ = pinned_by(xavier, monkeypatch, layer_errors=errors)
    assert (manifest.pinned, manifest.attempts) == (("conv", "head"), 3)


def test_where_nobody_measured_that_it_is_said_and_fp16s_errors_decide(xavier, monkeypatch):
    manifest, err = pinned_by(xavier, monkeypatch, layer_errors=())
    assert (manifest.pinned, manifest.attempts) == (("conv", "relu"), 3)
    assert "which layers lose most in INT8 was not measured for these ranges (ccc-calibrate does)" in err


def test_where_no_layer_can_be_kept_nothing_is_said_of_their_order(xavier):
    write_tiny_model(xavier.model, ranges=())
    xavier.be("8.5.2.2", sm="7.2", device="Xavier", wrong=True)
    cache = given(xavier, fp32_layers=(), fp16_layers=(), agreement=None, layer_errors=())
    code, _, err = xavier.build("--int8", "--fp16", "--calib", cache)
    assert code == 1 and "first to be kept" not in err


def test_of_an_engine_in_fp16_nothing_is_said_of_int8(xavier):
    xavier.be(nan_unless_fp32=["conv"])
    code, _, err = xavier.build("--fp16")
    assert code == 0 and "INT8" not in err


def test_a_layer_that_the_provenance_names_in_vain_is_told_as_the_provenances(xavier):
    path = given(xavier, fp32_layers=("old_conv",), fp16_layers=())
    code, _, err = xavier.build("--int8", "--fp16", "--calib", path)
    assert code == 1 and "--layer-precision" not in err
    assert "{}: its provenance keeps old_conv out of INT8, and no layer or tensor".format(path) in err
    assert "-> calibrate this model" in err
    code, _, err = xavier.build(
        "--int8", "--fp16", "--calib", given(xavier, fp32_layers=(), fp16_layers=()), "--layer-precision", "old=fp32"
    )
    assert code == 1 and "--layer-precision old: no layer or tensor has such a name" in err


def test_a_layer_that_tensorrt_calls_something_else_is_found_by_what_it_writes(xavier):
    called = {"conv": "conv + scale"}
    xavier.be("8.5.2.2", sm="7.2", device="Xavier", layer_names=called, wrong_unless_fp32=["conv + scale"])
    cache = given(xavier, fp32_layers=("conv",), fp16_layers=(), agreement=None, layer_errors=())
    code, _, err = xavier.build("--int8", "--fp16", "--calib", cache)
    assert code == 0, err
    assert read_manifest(xavier.engine).attempts == 1


def test_of_a_node_that_tensorrt_makes_no_layer_of_there_is_nothing_to_keep(xavier):
    xavier.be("8.5.2.2", sm="7.2", device="Xavier", layer_names={"conv": None})
    cache = given(xavier, fp32_layers=("conv",), fp16_layers=(), agreement=None, layer_errors=())
    code, _, err = xavier.build("--int8", "--fp16", "--calib", cache)
    assert code == 0, err


def test_without_a_simulation_int8_is_asked_for_what_fp16_is_and_the_way_out_is_named(xavier):
    kept_by(xavier)
    code, _, err = xavier.build("--int8", "--fp16", "--calib", given(xavier, agreement=None))
    assert code == 1
    assert "99.5% of the decided pixels" in err
    assert "ccc-calibrate, on the workstation" in err and "--min-agreement PERCENT" in err


@pytest.mark.parametrize(
    "changes", [{"onnx_sha256": "0c" * 32}, {"agreement": (FrameAgreement("elsewhere", 0.5, 0.5),)}]
)
def test_what_was_found_for_other_frames_or_another_export_is_not_asked_for(xavier, changes):
    found = (FrameAgreement("frame0", 0.5, 0.5), FrameAgreement("frame1", 0.5, 0.5))
    cache = write_tiny_cache(
        xavier.folder / "model.calib", None, provenance_of(xavier)._replace(**{"agreement": found, **changes})
    )
    code, _, err = xavier.build("--int8", "--fp16", "--calib", cache)
    assert code == 0
    assert "the gate asks for" not in err
    assert ("is of other golden frames than this model's" in err) == ("agreement" in changes)
    assert {frame.required for frame in read_manifest(xavier.engine).gate.frames} == {0.995}


@pytest.mark.parametrize(
    "choice",
    [
        ["--calib-samples", "3"],
        ["--calib-seed", "0"],
        ["--calib-algorithm", "minmax"],
        ["--calib-not-in", "a"],
        ["--calib-fit", "crop"],
    ],
)
def test_choices_of_frames_are_refused_where_none_are_taken(xavier, choice):
    for more in (["--int8", "--fp16", "--calib", given(xavier)], ["--fp16"]):
        code, _, err = xavier.build(*more, *choice)
        assert code == 2
        assert "{} is about frames to calibrate on, and there are none".format(choice[0]) in err


def test_what_int8_costs_says_nothing_of_an_engine_without_it(xavier):
    found = (FrameAgreement("frame0", 0.5, 0.5), FrameAgreement("frame1", 0.5, 0.5))
    assert xavier.build("--int8", "--fp16", "--calib", given(xavier, agreement=found))[0] == 0
    assert xavier.build("--fp16")[0] == 0
    assert {frame.required for frame in read_manifest(xavier.engine).gate.frames} == {0.995}


@pytest.mark.parametrize("given_", ["101", "-1", "many"])
def test_a_share_that_is_none_is_refused(xavier, given_):
    with pytest.raises(SystemExit):
        xavier.build("--min-agreement", given_)


def test_names_of_layers_are_no_patterns():
    kept = layer_precisions_of(tiny_provenance(fp32_layers=("conv[1]*",), fp16_layers=()))
    assert kept == (("conv[[]1][*]", "fp32"),)


def test_a_cache_without_provenance_is_noted(xavier):
    path = given(xavier)
    os.unlink(path + ".json")
    code, _, err = xavier.build("--int8", "--calib", path)
    assert code == 0 and "note: {}: has no provenance".format(path) in err


def test_a_cache_of_another_preprocessing_is_refused(xavier):
    other = dict(tiny_provenance().preprocessing, color_order="RGB")
    code, _, err = xavier.build("--int8", "--calib", given(xavier, preprocessing=other))
    assert code == 1 and "was calibrated with preprocessing.color_order 'RGB', expected 'BGR'" in err
    assert xavier.files() == ["model.calib", "model.calib.json", "model.onnx"]


def test_a_cache_of_another_export_is_noted(xavier):
    path = given(xavier)
    xavier.build("--int8", "--fp16", "--calib", path)
    write_tiny_cache(path, provenance=tiny_provenance())
    assert "was calibrated on another export" in xavier.build("--int8", "--fp16", "--calib", path, "--rebuild")[2]


def test_a_cache_for_another_tensorrt_is_noted_and_what_tensorrt_does_not_take_is_an_error(xavier):
    code, _, err = xavier.build("--int8", "--fp16", "--calib", given(xavier, tiny_cache(8201)))
    assert "note: {}".format(xavier.folder / "model.calib: is for TensorRT 8.2.1, here is 8.5.2.2") in err
    assert code == 1 and "TensorRT does not accept the calibration cache" in err


def test_a_cache_that_no_calibrator_takes_is_refused_at_once(xavier):
    code, _, err = xavier.build("--int8", "--calib", given(xavier, tiny_cache(algorithm="EntropyCalibration")))
    assert code == 1 and "is of EntropyCalibration, a calibrator that is not used here" in err
    assert "asking TensorRT" not in err


def test_a_damaged_cache_is_refused_at_once(xavier):
    path = given(xavier)
    with open(path, "ab") as file:
        file.write(b"more: 3c0")
    code, _, err = xavier.build("--int8", "--calib", path)
    assert code == 1 and "line 6, 'more: 3c0'" in err and "asking TensorRT" not in err
    assert "No such file" in xavier.build("--int8", "--calib", str(xavier.folder / "none.calib"))[2]


def test_a_cache_goes_with_nothing_beside_it(xavier, pictures):
    code, _, err = xavier.build("--int8", "--calib", given(xavier), "--calib", pictures)
    assert code == 2 and "is a calibration cache, which takes no other --calib beside it" in err


def test_a_cache_is_not_written_over(xavier):
    path = given(xavier)
    code, _, err = xavier.build("--int8", "--calib", path, "-o", path)
    assert code == 2 and "is another file of this command" in err


# frames


def test_frames_give_a_cache_beside_the_engine_with_its_provenance(xavier, pictures, capsys):
    code, _, err = xavier.build("--int8", "--fp16", "--calib", pictures, "--calib-samples", "20", "--calib-seed", "3")
    assert code == 0 and "note: calibrating on 20 frames" in err
    assert "\ncalibrating: 5 nodes, workspace" in err and "\nbuilding: 5 nodes" in err
    assert xavier.files() == MEASURED
    path = xavier.engine + ".calib"
    cache, provenance = read_cache(path), read_provenance(path)
    assert cache.header == "TRT-8502-EntropyCalibration2" and dict(cache.scales)["image"] > 0
    assert provenance.made_by == ("TensorRT", "8.5.2.2") and provenance.algorithm == "entropy2"
    assert (provenance.samples, provenance.seed, provenance.fit) == (20, 3, "stretch")
    assert provenance.onnx_sha256 == sha256_of(xavier.model)
    manifest = read_manifest(xavier.engine)
    assert manifest.settings.calibration_cache == sha256_of(path) == provenance.cache_sha256
    # calibration takes FP32, the engine that is kept has half ends
    assert [binding.dtype for binding in manifest.bindings] == ["float16", "float16"]
    assert inspect([path]) == 0
    assert "on the device with TensorRT 8.5.2.2" in capsys.readouterr().out


def test_the_engine_is_that_of_the_cache(xavier, pictures):
    assert xavier.build("--int8", "--calib", pictures)[0] == 0
    measured = read_manifest(xavier.engine)
    shutil.copy(xavier.engine + ".calib", str(xavier.folder / "copy.calib"))
    assert "already built" in "".join(xavier.build("--int8", "--calib", str(xavier.folder / "copy.calib"))[1:])
    assert read_manifest(xavier.engine) == measured


def test_the_same_frames_are_not_measured_again_and_others_are(xavier, pictures):
    arguments = "--int8", "--calib", pictures
    assert "calibrating on 25 frames" in xavier.build(*arguments)[2]
    _, out, err = xavier.build(*arguments)
    assert "is of these frames and this model already" in err and "already built" in out + err
    first = xavier.bytes("model.engine.calib")
    shutil.copy(os.path.join(pictures, "picture000.png"), os.path.join(pictures, "picture001.png"))
    assert "calibrating on 25 frames" in xavier.build(*arguments)[2]
    assert "calibrating on 10 frames" in xavier.build(*(arguments + ("--calib-samples", "10")))[2]
    assert xavier.bytes("model.engine.calib") != first
    with open(xavier.engine + ".calib", "ab") as file:
        file.write(b"damage")
    assert "calibrating on 10 frames" in xavier.build(*(arguments + ("--calib-samples", "10")))[2]


def test_another_fit_is_measured_again_and_told(xavier, pictures):
    arguments = "--int8", "--calib", pictures
    xavier.build(*arguments)
    code, _, err = xavier.build(*(arguments + ("--calib-fit", "crop")))
    assert code == 0
    assert "model.engine.calib: is of these frames, but with --calib-fit stretch; crop was asked for" in err
    assert "calibrating on 25 frames" in err
    assert read_provenance(xavier.engine + ".calib").fit == "crop"
    err = xavier.build(*(arguments + ("--calib-fit", "crop")))[2]
    assert "is of these frames and this model already" in err and "was asked for" not in err


def test_minmax_and_a_video(xavier, tmp_path):
    video = write_video(tmp_path / "drive.mp4", frames=30)
    assert xavier.build("--int8", "--calib", video, "--calib-algorithm", "minmax")[0] == 0
    assert parse_cache(xavier.bytes("model.engine.calib"), "").algorithm == "MinMaxCalibration"


def test_what_is_said_of_frames_is_said_before_the_build(xavier, tmp_path):
    few = write_pictures(tmp_path / "few", 3)
    (tmp_path / "few" / "picture001.png").write_bytes(b"no picture")
    err = xavier.build("--int8", "--calib", few)[2]
    assert "note: 1 files or frames cannot be read and are passed over: picture001.png" in err
    assert "note: 2 frames are few" in err


def test_tensors_that_are_always_zero_are_told(xavier, tmp_path):
    for index in range(20):  # the mean's colour, which becomes an input of zero
        write_image(tmp_path / "grey" / "{}.png".format(index), np.full((32, 64, 3), (70, 80, 75), np.uint8))
    err = xavier.build("--int8", "--calib", str(tmp_path / "grey"))[2]
    assert "note: a scale of 0 says that a tensor is always zero; 3 of 4 tensors have it: conv, features, image" in err
    assert "95% of the frames are nearly identical" in err


def test_evaluation_frames_are_refused_and_nothing_is_written(xavier, pictures):
    code, _, err = xavier.build("--int8", "--calib", pictures, "--calib-not-in", pictures)
    assert code == 2 and "25 of 25 calibration frames are evaluation frames as well" in err
    assert xavier.files() == ["model.onnx"]


def test_a_tx2_is_refused_before_a_frame_is_looked_at(board, tmp_path):
    code, _, err = board.build("--int8", "--calib", str(tmp_path / "none"))
    assert code == 1 and "has no INT8 units" in err


def test_what_somebody_put_there_is_not_replaced(xavier, pictures):
    with open(xavier.engine + ".calib", "wb") as file:
        file.write(tiny_cache().to_bytes())
    code, _, err = xavier.build("--int8", "--calib", pictures)
    assert code == 2 and "model.engine.calib: is there already, without a provenance" in err
    assert xavier.bytes("model.engine.calib") == tiny_cache().to_bytes()


def test_calibration_goes_on_with_less_memory(xavier, pictures):
    xavier.be("8.5.2.2", sm="7.2", device="Xavier", oom_above_mib=100)
    code, _, err = xavier.build("--int8", "--calib", pictures, "--workspace", "256")
    assert code == 0 and "calibrating again with a workspace of 128 MiB" in err
    assert "calibrating again with a workspace of 64 MiB" in err


def test_no_memory_for_calibration_at_all_is_an_error(xavier, pictures):
    xavier.be("8.5.2.2", sm="7.2", device="Xavier", oom_above_mib=1)
    code, _, err = xavier.build("--int8", "--calib", pictures)
    assert code == 1 and "memory" in err
    assert xavier.files() == ["model.onnx"]


def test_a_dead_child_leaves_nothing(xavier, pictures):
    xavier.be("8.5.2.2", sm="7.2", device="Xavier", segfault=True)
    code, _, err = xavier.build("--int8", "--calib", pictures)
    assert code == 1 and "SIGSEGV" in err
    assert xavier.files() == ["model.onnx"]


def test_what_calibration_timed_is_kept_for_the_build(xavier, pictures):
    timing = str(xavier.folder / "timing")
    assert xavier.build("--int8", "--calib", pictures, "--timing-cache", timing)[0] == 0
    assert read_manifest(xavier.engine).timing_cache == "reused"
    os.unlink(xavier.engine)
    assert xavier.build("--int8", "--calib", pictures, "--no-timing-cache", "--rebuild")[0] == 0
    assert read_manifest(xavier.engine).timing_cache == "off"


def test_a_timing_cache_that_cannot_be_kept_costs_nothing_else(xavier, pictures):
    xavier.patch("ccc_jetson.engines.calibrating.store", lambda path, data: "the timing cache is not kept: full")
    code, _, err = xavier.build("--int8", "--calib", pictures)
    assert code == 0 and "note: the timing cache is not kept: full" in err


def test_a_network_that_states_its_own_ranges_takes_no_others_and_is_not_in_fp32(xavier, pictures):
    contract = tiny_contract()._replace(head=None)
    with open(xavier.model, "wb") as file:
        file.write(tiny_graph(contract, quantized=True).SerializeToString())
    (xavier.folder / "contract.json").write_text(contract.to_json())
    code, _, err = xavier.build(
        "--int8", "--calib", pictures, "--contract", xavier.folder / "contract.json", "--no-gate"
    )
    assert code == 2 and "--calib: {} has ranges of its own, in Q/DQ nodes".format(xavier.model) in err
    code, _, err = xavier.build("--fp32", "--contract", xavier.folder / "contract.json", "--no-gate")
    assert code == 2 and "--fp32: the model's QuantizeLinear and DequantizeLinear nodes put it in INT8" in err
