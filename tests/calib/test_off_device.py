"""``ccc-calibrate``: a cache with provenance, or a Q/DQ model, and what each costs."""

import json
import os

import numpy as np
import onnx
import pytest

from ccc_jetson.calib import off_device
from ccc_jetson.calib.cache import read_cache
from ccc_jetson.calib.cli import main
from ccc_jetson.calib.cost import Cost, Judge
from ccc_jetson.calib.provenance import check_provenance, provenance_in, read_provenance
from ccc_jetson.carried import read_contract
from ccc_jetson.engines.inspect_cli import main as inspect
from ccc_jetson.engines.manifest import read_manifest
from ccc_jetson.errors import ContractError, FileProblem
from ccc_jetson.files import sha256_of
from ccc_jetson.half_verdict import HalfPrecision
from ccc_jetson.int8_agreement import FrameAgreement
from ccc_jetson.onnx_file import read_onnx
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.eval_cli import main as evaluate
from tests.doubles.labelled_frames import write_cityscapes, write_pairs
from tests.doubles.pictures import write_pictures
from tests.doubles.tiny_model import tiny_contract, tiny_graph, write_tiny_model


class Bench:
    """A model, frames to calibrate on, labelled frames to judge on, and the command."""

    def __init__(self, folder, capsys):
        self.folder, self._capsys = folder, capsys
        self.model = write_tiny_model(folder / "model.onnx", target="xavier")
        self.frames = write_pictures(folder / "frames", 24, size=(80, 40))
        self.images, self.labels = write_pairs(folder / "test", 3)
        self.verify = ["--verify-images", self.images, "--verify-labels", self.labels, "--mapping", "camvid"]

    def run(self, *arguments, model=None):
        code = main([model or self.model, self.frames, "--threads", "1", *arguments])
        return (code, *self._capsys.readouterr())

    def cache(self, *arguments):
        code, out, err = self.run("--tensorrt", "8.5.2", *arguments)
        assert code == 0, err
        return out, read_cache(str(self.folder / "model.calib")), read_provenance(str(self.folder / "model.calib"))


@pytest.fixture()
def bench(tmp_path, capsys):
    return Bench(tmp_path, capsys)


def test_weights_in_another_file_are_not_fetched_from_there(bench):
    model = onnx.load(bench.model)
    onnx.save(model, bench.model, save_as_external_data=True, location="secret.bin", size_threshold=0)
    code, _, err = bench.run("--tensorrt", "8.5.2")
    assert code == 1 and "weights lie in another file" in err


@pytest.mark.parametrize(
    "method, algorithm", [("minmax", "Min" + "MaxCalibration"), ("entropy", "EntropyCalibration2")]
)
def test_a_cache_comes_to_lie_beside_the_model_with_its_provenance(bench, method, algorithm):
    out, cache, provenance = bench.cache("--method", method)
    assert cache.header == "TRT-8502-" + algorithm
    assert [name for name, _ in cache.scales] == ["image", "conv", "features", "logits"]
    contract = read_contract(bench.model)
    data = (bench.folder / "model.calib").read_bytes()
    assert check_provenance(provenance, contract, data, onnx_sha256=sha256_of(bench.model)) == []
    assert (provenance.algorithm, provenance.percentile, provenance.samples) == (method, None, 24)
    assert provenance.made_by.runtime == "ONNX Runtime" and not provenance.made_by.on_device
    assert [frame.name for frame in provenance.agreement] == ["frame0", "frame1"]
    assert [each.layer for each in provenance.layer_errors] == ["conv"] and 0 < provenance.layer_errors[0].error < 1
    assert [frame.name for frame in provenance.at_worst] == ["frame0", "frame1"]
    assert provenance.fp32_layers == ("head",)  # no subject of INT8, whatever the engine's output is
    assert "{0}, {0}.json".format(bench.folder / "model.calib") in out


def test_the_percentile_is_written_down(bench):
    assert bench.cache()[2].percentile == 99.99
    assert bench.cache("--percentile", "99")[2].percentile == 99


def test_how_frames_met_the_networks_size_is_said_and_written_down(bench):
    out, stretched, provenance = bench.cache()
    assert provenance.fit == "stretch" and "over 24 frames, seed 0, fit stretch; 4 tensors" in out
    code, out, err = bench.run("--tensorrt", "8.5.2", "--fit", "crop", "--json", *bench.verify)
    assert code == 0 and json.loads(out)["fit"] == "crop"
    assert "note: frames to judge on are stretched to the network's size" in err
    assert read_provenance(str(bench.folder / "model.calib")).fit == "crop"
    _, wide, _ = bench.cache("--fit", "letterbox", "--method", "minmax")
    assert dict(wide.scales) != dict(stretched.scales)


def test_a_split_of_cityscapes_is_chosen_where_there_is_one(bench, tmp_path, capsys):
    root = write_cityscapes(tmp_path / "cityscapes", split="val", size=(80, 40))
    assert main([bench.model, root, "--tensorrt", "8.5.2", "--threads", "1"]) == 1
    assert "train" in capsys.readouterr().err
    assert main([bench.model, root, "--tensorrt", "8.5.2", "--threads", "1", "--split", "val"]) == 0
    assert read_provenance(str(bench.folder / "model.calib")).samples == 4
    code, _, err = bench.run("--tensorrt", "8.5.2", "--split", "val")
    assert code == 2 and "--split is of the folder of Cityscapes" in err


@pytest.mark.parametrize("labelled", [False, True])
def test_frames_to_judge_on_that_cannot_be_read_are_passed_over_and_told(bench, labelled):
    with open(os.path.join(bench.images, "frame01.png"), "wb") as file:
        file.write(b"no picture")
    arguments = bench.verify if labelled else bench.verify[:2]
    code, out, err = bench.run("--tensorrt", "8.5.2", "--json", *arguments)
    assert code == 0
    (note,) = [note for note in json.loads(out)["notes"] if "to judge on" in note]
    assert note.startswith("1 files or frames to judge on cannot be read and are passed over: frame01")
    assert "note: " + note in err
    assert len(json.loads(out)["cost"]["frames"]) == 2


def test_where_no_frame_to_judge_on_can_be_read_nothing_is_written(bench):
    for name in os.listdir(bench.images):
        with open(os.path.join(bench.images, name), "wb") as file:
            file.write(b"no picture")
    for arguments in (bench.verify, bench.verify[:2]):
        code, _, err = bench.run("--tensorrt", "8.5.2", *arguments)
        assert code == 1 and "none of the frames to judge on can be read" in err
        assert "measuring ranges" not in err
    assert not (bench.folder / "model.calib").exists()


def test_ccc_inspect_reads_what_was_written(bench, capsys):
    bench.cache()
    assert inspect([str(bench.folder / "model.calib")]) == 0
    assert "ONNX Runtime" in capsys.readouterr().out


def test_the_cost_is_told_class_by_class_and_as_a_whole(bench):
    out, _, _ = bench.cache(*bench.verify)
    assert out.startswith("class       IoU FP32  IoU INT8  points  IoU at worst  points\nSky")
    assert "layers that lose most  own error  SQNR dB" in out and "\nconv " in out
    assert "mIoU " in out and "points on 3 frames" in out and "\nmIoU        at worst: " in out
    assert "\nverdict     fit for use: " in out and "of the decided pixels keep their class, of the golden" in out
    assert "\nsame class  at worst: " in out and "\ngolden      at worst: " in out
    assert "over the 90% with the largest margin" in out
    assert "nothing was measured on a board" in out


def test_without_labels_the_agreement_is_told_on_the_golden_frames(bench):
    out, _, _ = bench.cache()
    assert "of 2 frames' pixels" in out and "mIoU" not in out and "\ngolden" not in out


def test_a_qdq_model_runs_as_any_other_and_has_the_miou_that_was_told(bench, capsys):
    path = str(bench.folder / "model.int8.onnx")
    code, out, err = bench.run("--qdq", path, "--json", *bench.verify)
    assert code == 0, err
    report = json.loads(out)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    written = read_contract(path)
    added = set(written.attachments) - set(read_contract(bench.model).attachments)
    assert added == {"ccc_jetson.int8", "ccc_jetson.int8_errors", "ccc_jetson.int8_provenance"}
    assert written._replace(attachments={}) == read_contract(bench.model)._replace(attachments={})
    told = str(bench.folder / "eval.json")
    options = ["--images", bench.images, "--labels", bench.labels, "--mapping", "camvid", "--report", told]
    assert evaluate([path, *options]) == 0
    with open(told, encoding="utf-8") as file:
        assert json.load(file)["miou"] == pytest.approx(report["cost"]["int8"]["miou"], abs=1e-9)
    assert report["written"] == [path] and report["int8_layers"] == 1 and report["float_layers"] == 0


def test_a_qdq_model_says_where_its_ranges_come_from_and_what_it_keeps_in_floats(bench, capsys):
    path = str(bench.folder / "model.int8.onnx")
    code, out, err = bench.run("--qdq", path, "--json", "--seed", "3", "--fit", "crop", "--percentile", "99")
    assert code == 0, err
    report, file = json.loads(out), read_onnx(path)
    found = provenance_in(read_contract(path), file, path)
    assert (found.algorithm, found.percentile, found.samples, found.seed, found.fit) == (
        "percentile",
        99,
        24,
        3,
        "crop",
    )
    assert found.images_sha256 == report["images_sha256"]
    assert found.onnx_sha256 == sha256_of(bench.model) and found.cache_sha256 is None
    assert [frame.name for frame in found.agreement] == ["frame0", "frame1"]
    assert [each.layer for each in found.layer_errors] == ["conv"]
    assert inspect([path]) == 0
    page = capsys.readouterr().out
    assert "INT8 by 2 pairs of QuantizeLinear and DequantizeLinear: 1 of 1 convolutions; the rest in floats" in page
    assert "percentile 99 of 24 frames, seed 3, fit crop" in page and "xavier, in INT8 and fp32" in page


@pytest.mark.parametrize("wrong", [False, True])
def test_the_gate_asks_the_qdq_models_engine_for_what_was_simulated(bench, board, wrong):
    code, out, err = bench.run("--qdq", str(bench.folder / "q.onnx"), "--json")
    assert code == 0, err
    told = {each["name"]: each["decided"] for each in json.loads(out)["golden"]["frames"]}
    os.replace(str(bench.folder / "q.onnx"), board.model)
    board.be("8.5.2.2", sm="7.2", device="Xavier", wrong=wrong)
    code, _, err = board.build("--int8")
    assert code == int(wrong)
    if wrong:
        assert "as many as calibration found must keep theirs, less 2%" in err
        return
    assert "INT8 was found to change classes" in err
    gate = read_manifest(board.engine).gate
    assert {frame.name: frame.required for frame in gate.frames} == {
        name: pytest.approx(share - 0.02) for name, share in told.items()
    }
    assert {frame.name: frame.decided for frame in gate.frames} == pytest.approx(told, abs=0.01)


def test_the_gate_of_a_qdq_models_engine_keeps_the_layers_first_that_lose_most(bench, board):
    code, _, err = bench.run("--qdq", str(bench.folder / "q.onnx"))
    assert code == 0, err
    os.replace(str(bench.folder / "q.onnx"), board.model)
    board.be("8.5.2.2", sm="7.2", device="Xavier", wrong_unless_fp32=["conv"])
    board.patch("ccc_jetson.engines.pinning._STEPS", (1, 2, 3))
    code, _, err = board.build("--int8", "--fp16")
    assert code == 0 and "the layers that ccc-calibrate found to lose most in INT8" in err
    assert read_manifest(board.engine).pinned == ("conv",)


def test_a_label_map_is_not_written_over(bench):
    target = os.path.join(bench.labels, sorted(os.listdir(bench.labels))[0])
    before = os.path.getsize(target)
    code, _, err = bench.run("--tensorrt", "8.5.2", "--out", target, *bench.verify)
    assert code == 2 and "lies in a folder that is read" in err
    assert os.path.getsize(target) == before


def test_a_classifier_is_refused_with_what_calibrates_it(bench, tmp_path):
    model = write_tiny_model(tmp_path / "scores.onnx", kind="scores", target="xavier")
    code, _, err = bench.run("--tensorrt", "8.5.2", model=model)
    assert code == 2
    assert "classifies whole pictures" in err and "ccc-build-engine --int8 --calib IMAGES" in err


def test_json_has_everything_and_null_for_a_class_that_is_not_there(bench):
    code, out, _ = bench.run("--tensorrt", "8.5.2", "--json", *bench.verify)
    report = json.loads(out)
    assert code == 0 and set(report["ranges"]) == {"image", "conv", "features", "logits"}
    assert report["errors"][0]["node"] == "conv" and report["blocks"] == [] and report["kept"] == []
    assert (report["layers"], report["pinned"], report["fit_for_use"]) == ("convolutions", ["head"], True)
    assert len(report["at_worst"]["frames"]) == 3 and len(report["golden_at_worst"]["frames"]) == 2
    assert len(report["cost"]["frames"]) == 3 and len(report["golden"]["frames"]) == 2
    assert len(report["cost"]["fp32"]["iou"]) == 11 and report["cost"]["fp32"]["iou"]["Pole"] is not None


def test_a_bound_that_does_not_hold_keeps_layers_in_floats(bench):
    out, _, provenance = bench.cache("--max-drop", "0.0")
    assert provenance.fp32_layers == ("head", "conv", "relu") and provenance.fp16_layers == ()
    assert "0 convolutions in INT8, 1 in floats" in out and "in floats" in out and "0 allowed" in out
    assert "conv to relu" in out.split("blocks that lose most alone")[1]
    assert "NO convolution is left in INT8" in out
    assert provenance.agreement[0].agreement == 1 and provenance.at_worst[0].agreement == 1
    assert provenance.layer_errors == ()
    code, _, err = bench.run("--qdq", str(bench.folder / "none.onnx"), "--max-drop", "0.0")
    assert code == 2 and "holds only with no convolution in INT8" in err
    assert not (bench.folder / "none.onnx").exists()
    out, _, provenance = bench.cache("--max-drop", "99")
    assert provenance.fp32_layers == ("head",)


def test_a_bound_on_drawn_scenes_alone_is_told_to_be_one(bench, monkeypatch):
    note = "the bound was judged on drawn scenes alone"
    assert note not in bench.cache("--max-drop", "0.0")[0]
    monkeypatch.setattr("ccc_jetson.calib.off_device_report.DRAWN", "frame")
    for bound in ("0.0", "99"):
        assert note in bench.cache("--max-drop", bound)[0]
    assert note not in bench.cache()[0]
    assert note not in bench.cache("--max-drop", "0.0", *bench.verify)[0]


def test_what_is_not_fit_on_drawn_scenes_may_be_on_streets(bench, monkeypatch):
    monkeypatch.setattr(Judge, "cost", lambda self, model: Cost(RUINED))
    note = "the golden frames are drawn scenes; ccc-export --verify-images takes real streets"
    assert note not in bench.run("--tensorrt", "8.5.2")[1]
    monkeypatch.setattr("ccc_jetson.calib.off_device_report.DRAWN", "frame")
    assert note in bench.run("--tensorrt", "8.5.2")[1]
    assert note not in bench.run("--tensorrt", "8.5.2", "--min-agreement", "45")[1]


def test_drawn_scenes_have_the_name_that_they_are_known_by():
    from ccc_jetson.export.verify import real_frames
    from ccc_jetson.golden import DRAWN

    assert all(name.startswith(DRAWN) for name, _ in real_frames(64, 64, []))


def test_what_may_be_in_int8_is_told(bench):
    assert "pinned      1 other nodes, which the build keeps in floats: --layers convolutions" in bench.cache()[0]
    assert "all others may be in INT8" in bench.cache("--layers", "all")[0]


RUINED = (FrameAgreement("frame0", 0.9, 0.95), FrameAgreement("frame1", 0.4, 0.45))


@pytest.mark.parametrize(
    "arguments, frames, message",
    [
        ([], RUINED, "'frame1' keeps 45.0% (50% asked for)"),
        ([], RUINED[1:] * 2, "the frames judged keep 45.0% of their decided pixels (70% asked for); 'frame1' keeps"),
        (["--min-agreement", "75"], RUINED, "the frames judged keep 70.0% of their decided pixels (75% asked for)"),
        (["--min-agreement", "45"], RUINED, ""),
    ],
)
def test_what_is_not_fit_for_use_is_written_and_fails(bench, monkeypatch, arguments, frames, message):
    monkeypatch.setattr(Judge, "cost", lambda self, model: Cost(frames))
    code, out, err = bench.run("--tensorrt", "8.5.2", *arguments)
    assert (bench.folder / "model.calib").exists() and (bench.folder / "model.calib.json").exists()
    if not message:
        assert code == 0 and "fit for use" in out and "NOT FIT" not in out
        return
    assert code == 1
    assert "NOT FIT for use: " in out and message in out
    assert "INT8 is not fit for use here" in err and message in err and "was written all the same" in err
    assert "--min-agreement PERCENT says what you accept" in err
    assert "--layers convolutions" not in err
    code, out, err = bench.run("--tensorrt", "8.5.2", "--json", "--layers", "all", *arguments)
    assert code == 1 and json.loads(out)["fit_for_use"] is False and "--layers convolutions" in err


@pytest.mark.parametrize("worse", [0, 1])
def test_the_verdict_is_of_whichever_way_keeps_fewer(bench, monkeypatch, worse):
    good = (FrameAgreement("frame0", 0.9, 0.95), FrameAgreement("frame1", 0.8, 0.85))
    ways = [Cost(good), Cost(good)]  # at worst, convolutions
    ways[worse] = Cost(RUINED)
    given = iter(ways)
    monkeypatch.setattr(Judge, "cost", lambda self, model: next(given))
    code, out, _ = bench.run("--tensorrt", "8.5.2")
    assert code == 1 and "NOT FIT for use: 'frame1' keeps 45.0% (50% asked for)" in out


def test_a_bound_holds_in_both_ways_of_a_cache(bench, monkeypatch):
    monkeypatch.setattr(off_device._Int8, "at_worst", lambda self, kept: self.model)  # loses nothing
    _, _, provenance = bench.cache("--max-drop", "0.0")
    assert "conv" in provenance.fp32_layers and provenance.agreement[0].agreement == 1


def test_a_cache_is_not_left_without_its_provenance(bench, monkeypatch):
    def full(path, text):
        raise FileProblem(path + ": no space left on the disk")

    monkeypatch.setattr("ccc_jetson.calib.provenance.write_text", full)
    code, _, err = bench.run("--tensorrt", "8.5.2")
    assert code == 1 and "no space left" in err
    assert not [name for name in os.listdir(str(bench.folder)) if "calib" in name]


def test_layers_are_kept_in_fp16_where_export_found_it_safe(bench):
    from ccc_jetson.calib.off_device_report import provenance_of

    found = off_device.calibrate(bench.model, [bench.frames], off_device.Options(max_drop=0.0, threads=1))
    safe = HalfPrecision(1, 1.0, 1.0, 1.0, 1.0, None, None, 1.0, 1.0, True)
    found = found._replace(contract=found.contract._replace(half=safe))
    written = provenance_of(found, off_device.Options(), "0" * 64, b"")
    assert written.fp16_layers == ("conv",) and written.fp32_layers == ()
    found = found._replace(pinned=("head",))
    assert provenance_of(found, off_device.Options(), "0" * 64, b"").fp16_layers == ("head", "conv")


def test_other_methods_use_what_was_observed(bench, monkeypatch):
    first = off_device.calibrate(bench.model, [bench.frames], off_device.Options(threads=1))
    monkeypatch.setattr(off_device, "observe", None)
    options = off_device.Options(method="minmax", threads=1)
    again = off_device.calibrate(bench.model, [bench.frames], options, observed=first.observed)
    assert again.ranges == first.observed.ranges("minmax")


def test_unlabelled_frames_are_judged_by_agreement(bench):
    out, _, _ = bench.cache("--verify-images", bench.images)
    assert "of 3 frames' pixels" in out and "golden" in out


def test_frames_of_the_judgement_do_not_calibrate(bench):
    code, _, err = bench.run("--tensorrt", "8.5.2", "--verify-images", bench.frames)
    assert code == 2 and "are evaluation frames as well" in err


def test_nodes_with_constants_of_their_own_are_named(bench):
    from tests.doubles.quantisable import quantisable_bytes

    assert off_device.helper_nodes(onnx.load_model_from_string(quantisable_bytes())) == ("act",)
    assert "tensors that TensorRT makes of" not in bench.cache()[0]


def test_a_board_without_int8_units_is_told(bench, tmp_path):
    model = write_tiny_model(tmp_path / "tx2.onnx")
    code, out, _ = bench.run("--tensorrt", "8.5.2", model=model)
    assert code == 0 and "Jetson TX2 has no INT8 units" in out


def test_models_that_are_in_other_types_already_are_refused(bench, tmp_path):
    half = write_tiny_model(tmp_path / "half.onnx", precision="fp16")
    code, _, err = bench.run("--tensorrt", "8.5.2", model=half)
    assert code == 2 and "is in FP16; INT8 is made of the FP32 model" in err
    path = str(tmp_path / "once.onnx")
    assert bench.run("--qdq", path)[0] == 0
    code, _, err = bench.run("--tensorrt", "8.5.2", model=path)
    assert code == 2 and "is in INT8 already" in err


def test_without_any_convolution_there_is_nothing_to_do(bench, monkeypatch):
    monkeypatch.setattr(off_device, "convolutions", lambda model, features: [])
    code, _, err = bench.run("--tensorrt", "8.5.2")
    assert code == 2 and "no convolution could be in INT8" in err


def test_without_golden_frames_there_is_no_cost_and_no_bound(bench, tmp_path):
    bare = write_tiny_model(tmp_path / "bare.onnx", attachments=False, head="bilinear")
    code, out, _ = bench.run("--tensorrt", "8.5.2", model=bare)
    assert code == 0 and "same class" not in out
    code, out, _ = bench.run("--tensorrt", "8.5.2", "--json", model=bare)
    assert json.loads(out)["cost"] is None
    code, _, err = bench.run("--tensorrt", "8.5.2", "--max-drop", "1", model=bare)
    assert code == 2 and "--max-drop: the model has no golden frames" in err


def test_labels_need_their_pictures_and_their_meaning(bench):
    code, _, err = bench.run("--tensorrt", "8.5.2", "--mapping", "camvid")
    assert code == 2 and "--mapping says what label maps mean" in err
    code, _, err = bench.run("--tensorrt", "8.5.2", "--verify-images", bench.images, "--verify-labels", bench.labels)
    assert code == 2 and "--verify-labels needs one folder of pictures and the meaning" in err


def test_frames_with_labels_are_chosen_so_that_every_class_is_seen(bench):
    """Of many frames that show one class, and one that shows another, that one is among the two."""
    pictures, labels = bench.folder / "many", bench.folder / "manylabels"
    for folder in (pictures, labels):
        folder.mkdir()
    for index in range(12):
        name = "f{:02d}.png".format(index)
        noise = np.random.RandomState(index).randint(0, 256, (32, 64, 3))
        import_cv2().imwrite(str(pictures / name), noise.astype(np.uint8))
        import_cv2().imwrite(str(labels / name), np.full((32, 64), 5 if index == 7 else 0, np.uint8))
    options = ["--labels", str(labels), "--mapping", "camvid", "--samples", "2"]
    found = off_device.calibrate(
        bench.model,
        [str(pictures)],
        off_device.Options(method="minmax", samples=2, labels=str(labels), mapping="camvid", threads=1),
    )
    assert "f07" in " ".join(frame.name for frame in found.selection.frames)
    code = main([bench.model, str(pictures), "--tensorrt", "8.5.2", *options])
    assert code == 0
    assert bench.run("--tensorrt", "8.5.2", "--labels", str(labels))[0] == 2


def test_an_attachment_without_frames_is_refused(bench, monkeypatch):
    monkeypatch.setattr(off_device, "read_golden", lambda *arguments: [])
    assert bench.run("--tensorrt", "8.5.2")[0] == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "none was named"),
        (["--tensorrt", "11.0.0"], "TensorRT 11 takes no calibration cache"),
        (["--tensorrt", "eight"], "is no version of TensorRT"),
        (["--tensorrt", "8.5.2", "--depthwise"], "--depthwise belongs to --qdq"),
        (["--tensorrt", "8.5.2", "--method", "minmax", "--percentile", "99"], "--percentile belongs to"),
        (["--qdq", "x.onnx", "--tensorrt", "8.5.2"], "--tensorrt belongs to a cache"),
        (["--qdq", "x.onnx", "--out", "x.calib"], "--out belongs to a cache"),
        (["--qdq", "x.onnx", "--layers", "all"], "--layers belongs to a cache"),
    ],
)
def test_options_that_do_not_go_together_are_refused(bench, arguments, message):
    code, _, err = bench.run(*arguments)
    assert code == 2 and message in err


@pytest.mark.parametrize("option, value", [("--percentile", "12"), ("--max-drop", "much"), ("--max-drop", "-1")])
def test_numbers_out_of_range_are_refused(bench, option, value):
    with pytest.raises(SystemExit) as caught:
        bench.run("--tensorrt", "8.5.2", option, value)
    assert caught.value.code == 2


def test_neither_the_model_nor_the_frames_are_written_over(bench):
    for arguments in (["--qdq", bench.model], ["--tensorrt", "8.5.2", "--out", bench.model]):
        code, _, err = bench.run(*arguments)
        assert code == 2 and "would overwrite" in err


def test_missing_packages_are_named(bench, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ccc_jetson.calib.off_device", None)
    code, _, err = bench.run("--tensorrt", "8.5.2")
    assert code == 1 and "cannot be imported" in err and '".[export]"' in err


def test_a_file_whose_name_has_another_ending_keeps_it(bench, tmp_path):
    model = write_tiny_model(tmp_path / "network.bin")
    assert bench.run("--tensorrt", "8.5.2", model=model)[0] == 0
    assert (tmp_path / "network.bin.calib").exists()


def test_a_model_of_someone_else_is_refused(tmp_path):
    path = tmp_path / "foreign.onnx"
    path.write_bytes(tiny_graph(tiny_contract()).SerializeToString())
    with pytest.raises(ContractError, match="holds no contract"):
        off_device.calibrate(str(path), [str(tmp_path)], off_device.Options())


def test_on_an_old_python_it_says_where_it_runs(monkeypatch, capsys):
    from ccc_jetson.calib import cli

    monkeypatch.setattr(cli, "NEEDS", (99, 0))
    assert main(["model.onnx", "frames/"]) == 2
    assert "with Python 99.0 or newer" in capsys.readouterr().err


def test_a_board_builds_from_the_cache_and_pins_what_it_names(board, tmp_path, capsys):
    from ccc_jetson.engines.manifest import read_manifest

    board.be("8.5.2.2", sm="7.2", device="Xavier")
    cache = str(tmp_path / "made.calib")
    frames = write_pictures(tmp_path / "frames", 24)
    arguments = ["--tensorrt", "8.5.2", "--out", cache, "--max-drop", "0", "--threads", "1"]
    assert main([board.model, frames, *arguments]) == 0
    capsys.readouterr()
    code, _, err = board.build("--int8", "--fp16", "--calib", cache)
    assert code == 0 and "provenance" not in err and "may not accept it" not in err
    settings = read_manifest(board.engine).settings
    pinned = (("head", "fp32"), ("conv", "fp32"), ("relu", "fp32"))
    assert settings.calibration_cache == sha256_of(cache) and settings.layer_precisions == pinned
