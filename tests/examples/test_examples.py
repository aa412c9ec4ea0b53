"""Every program in ``examples/``, run as its docstring says, on a small network."""

import os
import runpy
import sys

import numpy as np
import pytest

from tests.doubles import engine_room
from tests.doubles.labelled_frames import frame_picture, write_image, write_pairs
from tests.doubles.tiny_model import write_tiny_model

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "examples")
PROGRAMS = sorted(name for name in os.listdir(FOLDER) if name.endswith(".py"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a model and a picture."""
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "model.onnx")
    write_image(tmp_path / "street.png", frame_picture(np.random.RandomState(1), 160, 90))
    return tmp_path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Runs an example: its exit code and what it printed."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name] + [str(each) for each in arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(os.path.join(FOLDER, name), run_name="__main__")
        captured = capsys.readouterr()
        print(captured.out + captured.err)
        return ended.value.code, captured.out, captured.err

    return run


@pytest.fixture
def checkpoint(folder, monkeypatch):
    """Writes the checkpoint of a small network; where nothing is said of its input, that is small, too."""
    if sys.version_info < (3, 10):
        pytest.skip("export needs Python 3.10")
    torch = pytest.importorskip("torch")
    from tests.export.conftest import small_state

    torch.set_num_threads(1)
    monkeypatch.setattr("ccc_jetson.export.api._size", lambda options, recognised: (128, 64))

    def write(name, **arguments):
        torch.save(small_state(**arguments), str(folder / name))
        return name

    return write


def write_video(path, frames=4):
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (160, 90))
    for seed in range(frames):
        writer.write(frame_picture(np.random.RandomState(seed), 160, 90))
    writer.release()
    return str(path)


def test_01_a_checkpoint_becomes_a_file_and_its_verification_is_told(run, checkpoint):
    code, out, _ = run("01_export.py", checkpoint("ckpt.pth"), "exported.onnx")
    assert code == 0
    assert "wrote    exported.onnx: C3Net: " in out and "input    128 x 64" in out
    assert "verified on 6 frames: " in out and "FP16     safe" in out


def test_01_what_is_no_checkpoint_ends_with_a_hint(run, checkpoint):
    code, _, err = run("01_export.py", "street.png", "exported.onnx")
    assert code == 1
    assert err.startswith("error: street.png") and "\n  -> " in err


def test_02_a_picture_gets_an_overlay_and_shares(run, folder):
    code, out, _ = run("02_segment_a_picture.py", "model.onnx", "street.png", "overlay.png")
    assert code == 0
    assert out.startswith("Tiny on ONNX Runtime")
    assert "in the middle: " in out
    assert (folder / "overlay.png").stat().st_size > 1000
    assert run("02_segment_a_picture.py", "model.onnx", "none.png", "overlay.png")[0] == 1


def test_03_a_loop_counts_frames_and_tells_where_the_time_goes(run, folder):
    code, out, _ = run("03_live_loop.py", "model.onnx", write_video(folder / "drive.avi"))
    assert code == 0
    assert "\n4 frames, " in "\n" + out and "preprocess " in out and "infer " in out


def test_04_labelled_frames_give_iou_and_mistakes(run, folder):
    images, labels = write_pairs(folder, count=3)
    code, out, _ = run("04_evaluate.py", "model.onnx", images, labels, "camvid")
    assert code == 0
    assert out.startswith("Sky ") and " taken for " in out
    assert "pixel accuracy" in out and "3 frames" in out
    assert (folder / "eval.json").exists()


def test_05_an_engine_is_built_judged_and_run(folder):
    code, out, err = engine_room.program(
        folder, os.path.join(FOLDER, "05_build_on_the_board.py"), "model.onnx", "model.engine"
    )
    assert code == 0, err
    assert "model.engine\n  frame0: 100.000% of the pixels keep FP32's class\n" in out
    assert "ready: TensorRT 8.2.1.8 on NVIDIA Tegra X2" in out
    code, out, _ = engine_room.program(
        folder, os.path.join(FOLDER, "05_build_on_the_board.py"), "model.onnx", "model.engine"
    )
    assert code == 0 and "model.engine, there already\n" in out


def test_06_own_classes_come_out_where_they_went_in(run, folder, checkpoint):
    code, out, _ = run("06_own_classes.py", checkpoint("own.pth", classes=5), "own.onnx", "street.png")
    assert code == 0
    assert "classes: floor, wall, shelf, person, forklift" in out
    assert "person: " in out and " of 8192 pixels" in out
    assert (folder / "classes.png").exists()


def test_07_capture_and_network_in_two_threads(run, folder):
    code, out, _ = run("07_two_threads.py", "model.onnx", write_video(folder / "drive.avi"))
    assert code == 0
    assert out.count("frame ") == 4
    code, _, err = run("07_two_threads.py", "none.onnx", str(folder / "drive.avi"))
    assert code == 1 and "none.onnx" in err and "-> " in err


def test_every_example_is_run_here_and_told_of_in_the_table():
    with open(os.path.abspath(__file__)) as file:
        tests = file.read()
    with open(os.path.join(FOLDER, "README.md")) as file:
        table = file.read()
    for name in PROGRAMS:
        assert '"{}"'.format(name) in tests and "[`{0}`]({0})".format(name) in table, name


@pytest.mark.parametrize("name", ["02_segment_a_picture.py", "03_live_loop.py", "04_evaluate.py"])
def test_a_missing_model_ends_an_example_with_its_cure(run, folder, name):
    (folder / "model.onnx").unlink()
    code, _, _ = run(name)
    assert code.startswith("error: ") and "\n  -> " in code
