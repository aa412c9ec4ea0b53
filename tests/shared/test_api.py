"""The front door: the same words as the commands, the same work, and silence."""

import argparse
import inspect
import json
import os
import sys

import numpy as np
import pytest

import ccc_jetson
from ccc_jetson import CccError, Segmenter, build_engine, evaluate, export_onnx
from ccc_jetson.engines import build_cli
from ccc_jetson.engines.manifest import manifest_path
from ccc_jetson.errors import UsageError
from ccc_jetson.export import cli as export_cli
from ccc_jetson.runtime import eval_cli
from tests.doubles.labelled_frames import write_cityscapes, write_pairs
from tests.doubles.tiny_model import write_tiny_model
from tests.engines.conftest import WRITTEN, board  # noqa: F401  (a fixture)

# what a command shows, and what a call is told by arguments of its own
SHOWN = {
    "export": {"explain", "json", "list", "no_passes", "random_weights"},
    "build": {"no_gate", "no_kernels", "no_timing_cache", "precisions"},
    "eval": {"json", "no_cuda_graph", "no_telemetry", "report", "telemetry_interval"},
}
TOLD = {
    "export": {"say"},
    "build": {"best", "fp16", "fp32", "gate", "int8", "kernels", "on_event", "say"},
    "eval": {"command", "cuda_graph", "on_frame", "on_scored", "say"},
}
RENAMED = {"onnx": "model"}


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "model.onnx")


def problem_of(work):
    with pytest.raises(CccError) as caught:
        work()
    print(caught.value, "->", caught.value.hint)
    return caught.value


# The names


def test_the_public_names_are_six():
    assert sorted(ccc_jetson.__all__) == [
        "CccError", "Segmenter", "__version__", "build_engine", "evaluate", "export_onnx"
    ]  # fmt: skip
    assert all(hasattr(ccc_jetson, name) for name in ccc_jetson.__all__)


@pytest.mark.parametrize(
    "name, parser, call",
    [
        ("export", export_cli.build_parser, export_onnx),
        ("build", build_cli.build_parser, build_engine),
        ("eval", eval_cli.build_parser, evaluate),
    ],
    ids=["export", "build", "eval"],
)
def test_a_keyword_is_the_name_of_the_commands_option(name, parser, call):
    actions = [each for each in parser()._actions if each.dest not in ("help", argparse.SUPPRESS)]
    options = {RENAMED.get(each.dest, each.dest) for each in actions} - {"version", "print_completion"} - SHOWN[name]
    keywords = set(inspect.signature(call).parameters) - TOLD[name]
    assert options == keywords


@pytest.mark.parametrize(
    "public", [export_onnx, build_engine, evaluate, Segmenter.from_file, Segmenter.__call__, Segmenter.stream]
)
def test_every_argument_is_annotated_and_told_of(public):
    signature = inspect.signature(public)
    assert signature.return_annotation is not inspect.Signature.empty
    for name, parameter in signature.parameters.items():
        if name != "self":
            assert parameter.annotation is not inspect.Parameter.empty, name
            assert "\n        {}{}: ".format("    " * ("." in public.__qualname__), name) in public.__doc__, name


# Export


@pytest.fixture
def exports(monkeypatch):
    """Calls of the work behind an export, which is not done."""
    if sys.version_info < (3, 10):
        pytest.skip("export needs Python 3.10")
    pytest.importorskip("torch")
    calls = []

    class Ended(CccError):
        """Enough was seen."""

    def export(checkpoint, path, options, on_progress):
        calls.append((checkpoint, path, options))
        raise Ended("enough")

    monkeypatch.setattr("ccc_jetson.export.api.export_onnx", export)
    return calls


def test_an_export_is_the_same_work_as_the_commands(exports, tmp_path):
    problem_of(lambda: export_onnx("ckpt.pth", "model.onnx"))
    assert export_cli.main(["ckpt.pth", "model.onnx"]) == 1
    words = ["--target", "cpu", "--size", "128x64", "--batch", "2", "--output", "logits", "--arch", "ccc1"]
    words += ["--arch-args", "classes=3", "--mean", "1", "2", "3", "--std", "4", "5", "6", "--scale", "2"]
    words += ["--color-order", "RGB", "--classes", "names.txt", "--no-passes", "--verify-images", "a", "b"]
    words += ["--verify-labels", "c", "--mapping", "camvid"]
    assert export_cli.main(["ckpt.pth", "model.onnx"] + words) == 1
    problem_of(
        lambda: export_onnx(
            "ckpt.pth", "model.onnx", target="cpu", size=(128, 64), batch=2, output="logits", arch="ccc1",
            arch_args=["classes=3"], mean=(1, 2, 3), std=(4, 5, 6), scale=2, color_order="RGB", classes="names.txt",
            passes=(), verify_images=["a", "b"], verify_labels="c", mapping="camvid",
        )
    )  # fmt: skip
    assert exports[0] == exports[1]
    assert exports[2] == exports[3]
    assert exports[0] != exports[2]


def test_one_path_or_word_may_stand_for_several(exports):
    problem_of(lambda: export_onnx("a", "b", verify_images="photos", passes="scale-input", arch_args="classes=3"))
    problem_of(lambda: export_onnx("a", "b", verify_images=["photos"], passes=["scale-input"], arch_args=["classes=3"]))
    assert exports[0] == exports[1]


def test_an_exports_words_are_checked(exports):
    problem = problem_of(lambda: export_onnx("ckpt.pth", "model.onnx", color_order="GBR"))
    assert str(problem) == "color_order: 'GBR' is none of BGR, RGB"
    assert exports == []


@pytest.mark.parametrize(
    "given, message",
    [
        ({"mean": (1, 2)}, "mean: (1, 2) is not three numbers"),
        ({"std": "red"}, "std: 'red' is not three numbers"),
        ({"mean": 3}, "mean: 3 is not three numbers"),
        ({"scale": "large"}, "scale: 'large' is not a number"),
        ({"size": 512}, "size: 512 is no (width, height)"),
        ({"size": (0, 0)}, "size: '0x0' is no size; expected WIDTHxHEIGHT"),
        ({"batch": 0}, "batch: '0' is not a whole number from 1"),
        ({"output": "x"}, "output: 'x' is none of class_map, logits, scores"),
        ({"arch": 5}, "arch: 5 is no word"),
        ({"passes": [5]}, "passes: 5 is no word"),
        ({"verify_images": 5}, "verify_images: 5 is neither text nor a path"),
    ],
)
def test_what_the_command_refuses_is_refused_of_an_export(exports, given, message):
    problem = problem_of(lambda: export_onnx("ckpt.pth", "model.onnx", **given))
    assert isinstance(problem, UsageError) and message in str(problem)
    assert exports == []


def test_an_old_python_is_told_where_export_runs():
    if sys.version_info >= (3, 10):
        pytest.skip("this Python runs it")
    problem = problem_of(lambda: export_onnx("ckpt.pth", "model.onnx"))
    assert "with Python 3.10 or newer" in str(problem) and "copy the exported .onnx file" in problem.hint


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch):
    if sys.version_info < (3, 10):
        pytest.skip("export needs Python 3.10")
    monkeypatch.setitem(sys.modules, "ccc_jetson.export.api", None)
    problem = problem_of(lambda: export_onnx("ckpt.pth", "model.onnx"))
    assert "cannot be imported" in str(problem) and 'pip install ".[export]"' in problem.hint


# Build


def test_an_engine_is_built_in_silence_with_its_figures_and_notes(board, capsys):  # noqa: F811
    said, events = [], []
    built = build_engine(board.model, fp16=True, say=said.append, on_event=events.append)
    assert (built.path, built.manifest_path) == (board.engine, manifest_path(board.engine))
    assert board.files() == WRITTEN
    assert [frame.agreement for frame in built.manifest.gate.frames] == [1.0, 1.0]
    assert built.manifest.settings.precisions == ("fp16",)
    assert not built.reused and built.milliseconds > 0
    assert said[0] == "asking TensorRT what this machine has"
    assert any(text.startswith("built in ") for text in said)
    assert {"stage", "building", "built"} <= {event["event"] for event in events}
    (note,) = [text for text in built.notes if "no compiled kernels beside it" in text]
    assert "note: " + note.splitlines()[0] in "\n".join(said)
    assert capsys.readouterr() == ("", "")
    assert build_engine(board.model, fp16=True, kernels=False).reused


def test_a_build_is_the_same_work_as_the_commands(board):  # noqa: F811
    calls = []

    def build(model, engine, options, on_event):
        calls.append((model, engine, options))
        raise CccError("enough")

    board.patch("ccc_jetson.engines.build.build_engine", build)
    problem_of(lambda: build_engine(board.model))
    assert board.build()[0] == 1
    words = ["-o", "x.engine", "--fp16", "--int8", "--layer-precision", "conv*=fp32", "--output", "logits"]
    words += ["--workspace", "512", "--dla", "1", "--contract", "c.json", "--min-agreement", "90"]
    words += ["--no-timing-cache", "--rebuild", "--force", "--no-kernels", "--profile", "--verbose"]
    assert board.build(*words)[0] == 1
    problem_of(
        lambda: build_engine(
            board.model, "x.engine", fp16=True, int8=True, layer_precision=[("conv*", "fp32")], output="logits",
            workspace=512, dla=1, contract="c.json", min_agreement=90, timing_cache=None, rebuild=True, force=True,
            kernels=False, profile=True, verbose=True,
        )
    )  # fmt: skip
    assert calls[0] == calls[1]
    assert calls[2] == calls[3]
    assert calls[2][2].min_agreement == 0.9


def test_what_cannot_be_built_is_a_ccc_error(board, tmp_path):  # noqa: F811
    assert "no.onnx" in str(problem_of(lambda: build_engine(tmp_path / "no.onnx")))
    problem = problem_of(lambda: build_engine(board.model, int8=True))
    assert "--fp16" in problem.hint, "a TX2 has no INT8"
    problem = problem_of(lambda: build_engine(board.model, calib_samples=3))
    assert "--calib-samples is about frames to calibrate on" in str(problem)
    problem = problem_of(lambda: build_engine(board.model, calib=[tmp_path], calib_algorithm="best"))
    assert "calib_algorithm: 'best' is none of entropy2, minmax" in str(problem)
    assert board.files() == ["model.onnx"]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"workspace": 0}, "workspace: '0' is not a whole number from 1"),
        ({"workspace": -7}, "workspace: '-7' is not a whole number from 1"),
        ({"workspace": 1 << 21}, "workspace: 2097152 MiB are more than any GPU has"),
        ({"min_agreement": -5}, "min_agreement: '-5' is not a number from 0 to 100"),
        ({"min_agreement": 1000}, "min_agreement: '1000' is not a number from 0 to 100"),
        ({"output": "clases"}, "output: 'clases' is none of features, logits, classes, scores"),
        ({"layer_precision": [("*", "fp17")]}, "layer_precision: '*=fp17' is not PATTERN=fp32 or PATTERN=fp16"),
        ({"layer_precision": ("*", "fp16")}, "layer_precision: '*' is no pair of words"),
        ({"layer_precision": [("*", "a=fp16")]}, "layer_precision: ('*', 'a=fp16') is no such pair"),
        ({"dla": -1}, "dla: '-1' is not a whole number from 0"),
        ({"calib": "x", "calib_samples": 0}, "calib_samples: '0' is not a whole number from 1"),
        ({"calib": [5]}, "calib: 5 is neither text nor a path"),
        ({"engine": 5}, "engine: 5 is neither text nor a path"),
    ],
)
def test_what_the_command_refuses_is_refused_of_a_build(board, given, message):  # noqa: F811
    problem = problem_of(lambda: build_engine(board.model, **given))
    assert isinstance(problem, UsageError) and message in str(problem)
    assert board.files() == ["model.onnx"]


# Evaluate


def test_an_evaluation_gives_the_figures_of_the_command(tmp_path, model, capsys):
    images, labels = write_pairs(tmp_path, count=4)
    report = evaluate(model, images=images, labels=labels, mapping="camvid")
    assert capsys.readouterr() == ("", "")
    arguments = [model, "--images", images, "--labels", labels, "--mapping", "camvid", "--json"]
    assert eval_cli.main(arguments) == 0
    record = json.loads(capsys.readouterr().out)
    assert report.miou == record["miou"] and report.pixel_accuracy == record["pixel_accuracy"]
    assert report.confusion.tolist() == record["confusion"]
    assert report.class_iou == {each["name"]: each["iou"] for each in record["classes"]}
    assert (report.frames, report.notes) == (4, tuple(record["dataset"]["notes"]))
    assert "mIoU" in report.to_text() and json.loads(report.to_json())["command"] == ""
    assert report.fps > 0 and isinstance(report.confusion, np.ndarray)


def test_an_evaluation_tells_how_far_it_is(tmp_path, model):
    root = write_cityscapes(tmp_path)
    said, told, scored = [], [], []

    def on_frame(*far):
        told.append(far)

    report = evaluate(model, cityscapes=root, frames=3, say=said.append, on_frame=on_frame, on_scored=scored.append)
    assert [(done, total) for done, total, _ in told] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert told[0][2] != told[0][2] and told[-1][2] == report.miou
    assert [each.name for each in scored] == [each.name for each in report.dataset.samples]
    assert scored[0].picture.shape[:2] == scored[0].labels.shape == scored[0].prediction.shape
    assert len(scored[0].colors) == len(report.class_iou)
    assert said[0].startswith("model: ") and "3 of 4 frames" in "\n".join(said)


def test_an_interrupted_evaluation_goes_on_and_a_complete_one_is_answered_at_once(tmp_path, model):
    images, labels = write_pairs(tmp_path, count=4)
    state = tmp_path / "eval.state"
    given = {"images": images, "labels": labels, "mapping": "camvid", "resume": state}
    whole = evaluate(model, images=images, labels=labels, mapping="camvid")
    said = []

    def interrupt(done, total, miou):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(model, on_frame=interrupt, say=said.append, **given)
    assert "2 of 4 frames are kept in {}; to go on:".format(state) in said
    assert said[-1] == "  evaluate(..., resume={!r})".format(str(state))
    resumed, again = evaluate(model, **given), evaluate(model, **given)
    assert resumed.confusion.tolist() == again.confusion.tolist() == whole.confusion.tolist()
    assert (resumed.timed_frames, again.timed_frames) == (2, 0)
    assert os.path.exists(str(state))


@pytest.mark.parametrize(
    "given, message",
    [
        ({}, "neither --cityscapes nor --images"),
        ({"images": "x"}, "--images needs --labels and --mapping too"),
        ({"cityscapes": "x", "labels": "y"}, "--labels does not go with --cityscapes"),
        ({"images": "a", "labels": "b", "mapping": "camvid", "split": "val"}, "--split belongs to --cityscapes"),
        ({"images": "images", "labels": "labels", "mapping": "camvid", "fit": "zoom"}, "unknown fit 'zoom'"),
        ({"images": "images", "labels": "labels", "mapping": "camvid", "eval_size": "x"}, "unknown eval size 'x'"),
        (
            {"images": "images", "labels": "labels", "mapping": "camvid", "frames": 0},
            "frames: '0' is not a whole number",
        ),
        ({"images": "images", "labels": "labels", "mapping": "camvid", "threads": -1}, "threads: '-1' is not a whole"),
        ({"images": ["im"], "labels": "labels", "mapping": "camvid"}, "images: ['im'] is neither text nor a path"),
        ({"images": "images", "labels": "labels", "mapping": "camvid", "memory": 5}, "memory: 5 is no pair of words"),
        ({"images": "images", "labels": "labels", "mapping": "camvid", "resume": "model.onnx"}, "is another file"),
        (
            {"images": "images", "labels": "labels", "mapping": "camvid", "memory": [("input", "fast")]},
            "memory: 'input=fast' is not one of input",
        ),
    ],
)
def test_what_means_nothing_is_refused(tmp_path, monkeypatch, model, given, message):
    write_pairs(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert message in str(problem_of(lambda: evaluate("model.onnx", **given)))
