"""``ccc-eval`` as a user meets it."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from ccc_jetson.datasets import CITYSCAPES_FRAMES
from ccc_jetson.errors import FileProblem
from ccc_jetson.runtime import eval_cli
from ccc_jetson.runtime.eval_cli import build_parser, main
from ccc_jetson.runtime.eval_state import StateFile
from tests.doubles.labelled_frames import write_cityscapes, write_pairs
from tests.doubles.tiny_model import tiny_contract, tiny_graph, write_tiny_model


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "tiny.onnx")


@pytest.fixture
def pairs(tmp_path):
    images, labels = write_pairs(tmp_path, count=6)
    return ["--images", images, "--labels", labels, "--mapping", "camvid"]


def report_of(tmp_path, arguments):
    path = str(tmp_path / "eval.json")
    assert main(list(arguments) + ["--report", path]) == 0
    with open(path) as file:
        return json.load(file)


def error_of(capsys, arguments, code):
    assert main([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


# What it prints


def test_the_tables_hold_accuracy_speed_and_what_was_published(capsys, model, pairs):
    assert main([model] + pairs) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert lines[0].startswith("model      {}: Tiny, 64x32, stretch".format(model))
    assert "data set   images (camvid labels), 6 frames" in lines
    assert "eval size  network (class map as it comes; labels nearest)" in lines
    for name in ("Sky", "SignSymbol", "Bicyclist"):
        (line,) = [line for line in lines if line.startswith(name + " ")]
        assert 0 <= float(line.split()[1]) <= 1
        assert line.endswith(" %")
    (miou,) = [line for line in lines if line.startswith("mIoU")]
    share, percent = float(miou.split()[1]), float(miou.split()[2].strip("("))
    assert abs(100 * share - percent) <= 0.01
    for stage in ("read", "preprocess", "infer", "postprocess", "score"):
        assert any(line.split()[:1] == [stage] and line.split()[-1] == "6" for line in lines), stage
    assert "p50 ms" in text
    assert " FPS: preprocess, infer and postprocess one after the other, ONNX Runtime " in text
    assert "published  mIoU % 61.96 (Cityscapes, paper): not comparable with " in text
    assert " on images (camvid labels): another data set" in text


def test_the_report_holds_everything(tmp_path, model, pairs):
    report = report_of(tmp_path, [model] + pairs)
    assert report["model"]["path"] == model
    assert len(report["model"]["sha256"]) == 64
    assert (report["frames"], report["timed_frames"], report["skipped"]) == (6, 6, [])
    assert (report["fit"], report["eval_size"]) == ("stretch", "network")
    assert sum(map(sum, report["confusion"])) == report["pixels"]
    assert [each["pixels"] for each in report["classes"]] == [sum(row) for row in report["confusion"]]
    ious = [each["iou"] for each in report["classes"]]
    assert report["miou"] == sum(ious) / len(ious)
    assert report["stages"]["infer"]["count"] == 6
    (published,) = report["published"]
    assert published == {
        "figure": "mIoU %", "value": 61.96, "where": "Cityscapes, paper", "comparable": False,
        "measured": round(100 * report["miou"], 4), "why_not": "another data set",
    }  # fmt: skip


def test_json_goes_to_a_pipe_alone(capsys, model, pairs):
    assert main([model, "--json"] + pairs) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 6


def test_a_class_without_pixels_has_no_figure(tmp_path, capsys, model):
    own = tmp_path / "own.json"
    own.write_text(
        json.dumps(
            {
                "classes": ["all", "nothing"],
                "label_to_class": {str(label): 0 for label in range(12)},
                "ignore": [],
                "train_id_to_class": {"0": 0},
            }
        )
    )
    images, labels = write_pairs(tmp_path)
    arguments = [model, "--images", images, "--labels", labels, "--mapping", str(own)]
    report = report_of(tmp_path, arguments)
    assert report["classes"][1] == {"name": "nothing", "iou": None, "pixels": 0, "color": [128, 128, 128]}
    captured = capsys.readouterr()
    assert "nothing       -   0.00 %" in captured.out
    assert "mean of 1 classes" in captured.out
    assert "note: the network has no output for one class: nothing" in captured.err
    assert "no class  predicted for " in captured.out


def test_full_size_is_said_to_cost_logits(capsys, model, pairs):
    assert main([model, "--eval-size", "full"] + pairs) == 0
    text = capsys.readouterr().out
    assert "eval size  full (logits bilinear, then the largest)" in text
    assert "logits included, which live use does without" in text


def test_all_of_cityscapes_val_at_full_size_is_compared_with_the_paper(tmp_path, capsys, model, monkeypatch):
    root = write_cityscapes(tmp_path)
    monkeypatch.setitem(CITYSCAPES_FRAMES, "val", 4)
    report = report_of(tmp_path, [model, "--cityscapes", root, "--eval-size", "full"])
    assert report["published"][0]["comparable"] is True
    points = "{:+.2f}".format(100 * report["miou"] - 61.96)
    assert "on all frames of Cityscapes val, {} points".format(points) in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments,expected,reason",
    [
        ([], 4, "not at the labels' full size"),
        (["--eval-size", "full", "--frames", "3"], 4, "not all frames of the split"),
        (["--eval-size", "full"], 500, "not all frames of the split"),
        (["--eval-size", "full", "--split", "train"], 4, "the frames that networks are trained on"),
    ],
)
def test_less_than_that_is_not_compared(tmp_path, capsys, model, monkeypatch, arguments, expected, reason):
    split = "train" if "train" in arguments else "val"
    root = write_cityscapes(tmp_path, split=split)
    monkeypatch.setitem(CITYSCAPES_FRAMES, split, expected)
    report = report_of(tmp_path, [model, "--cityscapes", root] + arguments)
    assert report["published"][0]["comparable"] is False
    assert reason in report["published"][0]["why_not"]
    assert "on Cityscapes {}: {}".format(split, reason) in capsys.readouterr().out


def test_skipped_frames_are_named_and_no_longer_comparable(tmp_path, capsys, model, monkeypatch):
    root = write_cityscapes(tmp_path)
    monkeypatch.setitem(CITYSCAPES_FRAMES, "val", 4)
    broken = os.path.join(root, "leftImg8bit/val/bonn/bonn_000001_000019_leftImg8bit.png")
    open(broken, "w").close()
    arguments = [model, "--cityscapes", root, "--eval-size", "full", "--skip-unreadable"]
    report = report_of(tmp_path, arguments)
    assert report["frames"] == 3
    (skipped,) = report["skipped"]
    assert skipped["name"] == "bonn/bonn_000001_000019"
    assert skipped["reason"].startswith(broken + ": is no picture that OpenCV can decode")
    assert "not all frames" in report["published"][0]["why_not"]
    assert "skipped as unreadable: 1 (bonn/bonn_000001_000019)" in capsys.readouterr().out


def test_another_order_of_work_gives_the_same_counts(tmp_path, model, pairs):
    """The same frames by the Cityscapes layout, as pairs of label ids, and with one thread."""
    root = write_cityscapes(tmp_path / "city", frames=(("bonn", 3),))
    whole = report_of(tmp_path, [model, "--cityscapes", root])["confusion"]
    folders = [os.path.join(root, part, "val", "bonn") for part in ("leftImg8bit", "gtFine")]
    arguments = ["--images", folders[0], "--labels", folders[1], "--mapping", "labelids", "--threads", "1"]
    assert report_of(tmp_path, [model] + arguments)["confusion"] == whole


def test_the_model_here_is_the_default(tmp_path, capsys, monkeypatch, model, pairs):
    monkeypatch.chdir(tmp_path)
    shutil.copy(model, "model.onnx")
    assert main(pairs) == 0
    assert "model: ./model.onnx" in capsys.readouterr().err


def test_a_model_without_contract_takes_one_from_a_file(tmp_path, capsys, pairs):
    contract = tiny_contract()._replace(head=None)
    path = tmp_path / "bare.onnx"
    path.write_bytes(tiny_graph(contract).SerializeToString())
    assert "holds no contract" in error_of(capsys, [path] + pairs, 1)
    (tmp_path / "contract.json").write_text(contract.to_json())
    assert main([str(path), "--contract", str(tmp_path / "contract.json")] + pairs) == 0


# Resuming


def interrupt_after(monkeypatch, frames, error=KeyboardInterrupt):
    """Ctrl-C when the progress shows that many frames."""
    step = eval_cli.Progress.step

    def interrupted(self, *arguments, **named):
        step(self, *arguments, **named)
        if self.done == frames:
            raise error

    monkeypatch.setattr(eval_cli.Progress, "step", interrupted)


@pytest.mark.parametrize("eval_size", ["network", "full"])
def test_a_resumed_run_gives_the_same_counts_as_an_uninterrupted_one(tmp_path, capsys, model, pairs, eval_size):
    arguments = [model, "--eval-size", eval_size] + pairs
    whole = report_of(tmp_path, arguments)
    state = str(tmp_path / "eval state")
    for done in (2, 3):
        with pytest.MonkeyPatch.context() as patch:
            interrupt_after(patch, done)
            assert main(arguments + ["--resume", state]) == 130
    err = capsys.readouterr().err
    assert "2 of 6 frames are kept in {}; to go on:\n  ccc-eval {} ".format(state, model) in err
    assert "--resume '{}'".format(state) in err
    assert err.endswith("ccc-eval: interrupted\n")
    resumed = report_of(tmp_path, arguments + ["--resume", state])
    assert "going on after 5 frames" in capsys.readouterr().err
    assert resumed["confusion"] == whole["confusion"]
    assert (resumed["frames"], resumed["timed_frames"]) == (6, 1)
    assert not os.path.exists(state)


def test_without_resume_an_interruption_says_what_would_have_helped(capsys, monkeypatch, model, pairs):
    interrupt_after(monkeypatch, 4)
    assert "stopped after 4 of 6 frames; nothing is kept without --resume FILE" in error_of(
        capsys, [model] + pairs, 130
    )


def test_an_error_in_the_middle_keeps_the_state_and_the_repaired_run_goes_on(tmp_path, capsys, model, pairs):
    whole = report_of(tmp_path, [model] + pairs)
    path = os.path.join(pairs[1], "frame03.png")
    with open(path, "rb") as file:
        good = file.read()
    with open(path, "wb") as file:
        file.write(b"\0" * len(good))
    state = str(tmp_path / "eval.state")
    capsys.readouterr()
    err = error_of(capsys, [model, "--resume", state] + pairs, 1)
    assert "3 of 6 frames are kept in {}".format(state) in err
    assert "error: {}: is no picture".format(path) in err
    with open(path, "wb") as file:
        file.write(good)
    assert report_of(tmp_path, [model, "--resume", state] + pairs)["confusion"] == whole["confusion"]


def test_a_state_that_was_complete_but_not_reported_is_reported(tmp_path, capsys, model, pairs):
    whole = report_of(tmp_path, [model] + pairs)
    state = str(tmp_path / "eval.state")
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 6)
        assert main([model, "--resume", state] + pairs) == 130
    capsys.readouterr()
    again = report_of(tmp_path, [model, "--resume", state] + pairs)
    assert again["confusion"] == whole["confusion"]
    assert (again["timed_frames"], again["fps"], again["stages"]) == (0, 0.0, {})
    assert "FPS" not in capsys.readouterr().out


@pytest.mark.parametrize("is_there", [True, False])
def test_a_state_that_cannot_be_saved_at_the_end_costs_no_report(tmp_path, capsys, monkeypatch, model, pairs, is_there):
    whole, state, save = report_of(tmp_path, [model] + pairs), tmp_path / "eval.state", StateFile.save

    def full(self, tally):
        if tally.done == 6:
            if not is_there:
                state.unlink()
            raise FileProblem("eval.state: no space left on the disk")
        save(self, tally)

    monkeypatch.setattr(StateFile, "save", full)
    assert report_of(tmp_path, [model, "--resume", str(state)] + pairs)["confusion"] == whole["confusion"]
    captured = capsys.readouterr()
    assert "note: eval.state: no space left on the disk" in captured.err and "mIoU" in captured.out
    assert not state.exists(), "its work is reported"


def test_the_state_of_another_evaluation_is_refused(tmp_path, capsys, monkeypatch, model, pairs):
    state = str(tmp_path / "eval.state")
    interrupt_after(monkeypatch, 1)
    assert main([model, "--resume", state] + pairs) == 130
    capsys.readouterr()
    err = error_of(capsys, [model, "--resume", state, "--fit", "crop"] + pairs, 2)
    assert "is of another evaluation:\n  fit: stretch there, crop now" in err


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_a_real_signal_exits_130_with_the_state_kept(tmp_path, model, pairs, signal_name):
    program = (
        "import os, signal, sys\n"
        "from ccc_jetson.runtime import eval_cli\n"
        "step = eval_cli.Progress.step\n"
        "def killed(self, *arguments, **named):\n"
        "    step(self, *arguments, **named)\n"
        "    if self.done == 2: os.kill(os.getpid(), signal.{})\n"
        "eval_cli.Progress.step = killed\n"
        "sys.exit(eval_cli.main())\n"
    ).format(signal_name)
    state = str(tmp_path / "eval.state")
    ended = subprocess.run(
        [sys.executable, "-c", program, model, "--resume", state] + pairs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=60,
    )
    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    with open(state) as file:
        assert len(json.load(file)["done"]) in (2, 3)


# What it refuses


@pytest.mark.parametrize(
    "arguments,message",
    [
        ([], "neither --cityscapes nor --images"),
        (["--images", "x"], "--images needs --labels and --mapping too"),
        (["--labels", "x", "--mapping", "camvid"], "--labels needs --images too"),
        (["--cityscapes", "x", "--mapping", "camvid"], "--mapping does not go with --cityscapes"),
        (["--cityscapes", "x", "--allow-missing"], "--allow-missing does not go with --cityscapes"),
        (
            ["--images", "a", "--labels", "b", "--mapping", "camvid", "--split", "val"],
            "--split belongs to --cityscapes",
        ),
        (["--cityscapes", "x", "--split", "test"], "publishes no labels of its test split"),
        (["--images", "a", "--labels", "b", "--mapping", "kitti"], "unknown mapping 'kitti'"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(capsys, model, arguments, message):
    assert message in error_of(capsys, [model] + arguments, 2)


@pytest.mark.parametrize("arguments", [["--frames", "0"], ["--threads", "-1"], ["--fit", "zoom"], ["--eval-size", "x"]])
def test_numbers_and_choices_out_of_range_are_refused(arguments):
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(arguments)
    assert caught.value.code == 2


def test_outputs_that_cannot_be_written_are_refused_before_the_work(tmp_path, capsys, model, pairs):
    for option, path, message in (
        ("--report", tmp_path / "nowhere" / "eval.json", "its folder does not exist"),
        ("--report", tmp_path, "is a folder"),
        ("--report", model, "is another file of this command"),
        ("--resume", model, "is another file of this command"),
    ):
        err = error_of(capsys, [model, option, path] + pairs, 2)
        assert message in err
        assert "model:" not in err
    same = tmp_path / "same.json"
    assert "is another file" in error_of(capsys, [model, "--report", same, "--resume", same] + pairs, 2)


def test_a_missing_model_is_an_error_with_a_way_out(tmp_path, capsys, monkeypatch, pairs):
    monkeypatch.chdir(tmp_path)
    assert "ccc-export CHECKPOINT model.onnx" in error_of(capsys, pairs, 1)


def test_a_classifier_is_refused_with_what_runs_it(tmp_path, capsys, pairs):
    model = write_tiny_model(tmp_path / "scores.onnx", kind="scores")
    err = error_of(capsys, [model] + pairs, 2)
    assert "classifies whole pictures" in err and "ccc-run --model {} --images FOLDER".format(model) in err


def test_missing_partners_may_be_allowed(tmp_path, capsys, model, pairs):
    os.unlink(os.path.join(pairs[3], "frame02.png"))
    assert "1 without a label map: frame02" in error_of(capsys, [model] + pairs, 1)
    report = report_of(tmp_path, [model, "--allow-missing"] + pairs)
    assert report["frames"] == 5
    assert report["dataset"]["notes"] == ["1 without a label map: frame02"]


def test_help_comes_at_once_and_without_numpy():
    program = (
        "import sys\nfrom ccc_jetson.runtime import eval_cli\neval_cli.build_parser()\nprint('numpy' in sys.modules)"
    )
    started = time.time()
    assert subprocess.check_output([sys.executable, "-c", program]).strip() == b"False"
    assert time.time() - started < 2, "a busy machine may take longer than the 0.05 s this needs, but not so much"
