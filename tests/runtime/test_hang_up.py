"""An SSH connection that breaks: what was asked for in files is whole, and the exit code tells of it."""

import json
import sys

import pytest

from tests.doubles.hung_up import HungUp
from tests.doubles.labelled_frames import write_pairs
from tests.doubles.stages import video_frames
from tests.doubles.tiny_model import write_tiny_model
from tests.runtime.test_run_cli import environment

CAMERA = "synthetic://?size=128x64&fps=30&frames=600&live=1"
SLOW = """
import sys, time
from ccc_jetson.runtime import {0}
from ccc_jetson.runtime.backends.cpu import CpuBackend
start = CpuBackend.start
def slow(self, staged):
    time.sleep(0.05)
    return start(self, staged)
CpuBackend.start = slow
sys.exit({0}.main())
"""


@pytest.fixture
def terminal():
    opened = HungUp()
    yield opened
    opened.close()


def command(module, *words):
    """A command with a network that takes 50 ms."""
    return [sys.executable, "-c", SLOW.format(module), *words]


def hung_up(terminal, folder, words, sign, **options):
    """The exit code of a command whose terminal goes once it has shown ``sign``."""
    process = terminal.start(words, cwd=str(folder), env=environment(), **options)
    try:
        terminal.read_until(sign)
        terminal.hang_up()
        return process.wait(60)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("more", [(), ("--jsonl", "-")], ids=["summary", "lines"])
def test_a_cameras_run_finishes_its_video_and_its_report(terminal, tmp_path, more):
    write_tiny_model(tmp_path / "model.onnx")
    words = command("run_cli", CAMERA, "--headless", "--out", "o.mp4", "--report", "r.json", *more)
    assert hung_up(terminal, tmp_path, words, "segmenting ") == 130
    record = json.loads((tmp_path / "r.json").read_text())
    written = len(video_frames(str(tmp_path / "o.mp4")))
    assert 0 < record["frames"] <= written <= record["frames"] + 1  # of one frame its line may have been too late
    assert record["outputs"][0].startswith("overlay video")


def test_results_that_go_elsewhere_are_as_after_ctrl_c(terminal, tmp_path):
    write_tiny_model(tmp_path / "model.onnx")
    with open(str(tmp_path / "summary.txt"), "wb") as summary:
        words = command("run_cli", CAMERA, "--headless")
        assert hung_up(terminal, tmp_path, words, "segmenting ", stdout=summary) == 0
    assert "frames in" in (tmp_path / "summary.txt").read_text()


def test_an_evaluation_keeps_what_is_done(terminal, tmp_path):
    model = write_tiny_model(tmp_path / "model.onnx")
    images, labels = write_pairs(tmp_path, count=40)
    frames = ["--images", images, "--labels", labels, "--mapping", "camvid"]
    words = command("eval_cli", model, "--resume", "eval.state", *frames)
    assert hung_up(terminal, tmp_path, words, "/40 (") == 130
    assert json.loads((tmp_path / "eval.state").read_text())["done"]
