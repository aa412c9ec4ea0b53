"""Every Python block of docs/python.md, executed: a complete program each, in a folder with the files that it names."""

import os
import re
import sys

import numpy as np
import pytest

from tests.doubles import engine_room
from tests.doubles.labelled_frames import frame_picture, write_image, write_pairs
from tests.doubles.tiny_model import write_tiny_model

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "docs", "python.md")
with open(PAGE, encoding="utf-8") as page:
    BLOCKS = re.findall(r"^```python\n(.*?)^```", page.read(), re.DOTALL | re.MULTILINE)
EXPORTS = [block for block in BLOCKS if " = export_onnx(" in block]
OTHERS = [block for block in BLOCKS if block not in EXPORTS]


def write_video(path):
    import cv2

    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 10.0, (160, 90))
    for seed in range(3):
        writer.write(frame_picture(np.random.RandomState(seed), 160, 90))
    writer.release()


def test_every_block_runs_as_it_stands(tmp_path):
    write_tiny_model(tmp_path / "model.onnx")
    write_image(tmp_path / "frame.png", frame_picture(np.random.RandomState(1), 160, 90))
    write_video(str(tmp_path / "drive.mp4"))
    write_pairs(tmp_path, count=2)
    program = tmp_path / "page.py"
    program.write_text("\n".join(OTHERS), encoding="utf-8")
    code, out, err = engine_room.program(tmp_path, "page.py")
    assert code == 0, err
    assert "frame0 1.0" in out and "model.engine.json" in out, "an engine is built"
    assert "a frame is a numpy array, this is NoneType" in out
    assert (tmp_path / "overlay.png").exists()
    assert "mIoU" in out
    assert len(OTHERS) == 6


def test_the_block_of_an_export_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    if sys.version_info < (3, 10):
        pytest.skip("export needs Python 3.10")
    torch = pytest.importorskip("torch")
    from tests.export.conftest import small_state

    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ccc_jetson.export.api._size", lambda options, recognised: (128, 64))
    torch.save(small_state(), "ckpt.pth")
    (block,) = EXPORTS
    exec(compile(block, PAGE, "exec"), {})
    assert capsys.readouterr().out.startswith("model.onnx C3Net: ")
    assert (tmp_path / "model.onnx").exists()
