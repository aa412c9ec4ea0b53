"""The table of what FP16 does before and after the passes."""

import sys

import cv2
import half_precision as script
import numpy as np
import torch

from ccc_jetson.half_verdict import HalfPrecision
from tests.export.conftest import small_state


def test_the_table_has_the_mean_and_the_worst_frame():
    half = HalfPrecision(24, 0.99644, 0.98718, 0.99999, 0.9999, 0.402, 0.4022, 4.77146, 20.9, True)
    header, row, plain = script.table([("all passes", half), ("plain", half._replace(miou_fp32=None))])
    assert row.split()[2:] == [
        "99.644%", "98.718%", "99.999%", "99.990%", "4.77146", "20.9", "0.4020", "FP32,", "0.4022", "FP16",
    ]  # fmt: skip
    assert header.startswith(" ") and "decided" in header
    assert plain.endswith("20.9")


def test_every_variant_is_judged_on_pictures(tmp_path, monkeypatch, capsys):
    torch.save(small_state(), str(tmp_path / "weights.pth"))
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "0.png"), np.full((64, 128, 3), 90, np.uint8))
    export = script.export_onnx
    monkeypatch.setattr(
        script, "export_onnx", lambda *rest: export(*rest[:2], rest[2]._replace(width=128, height=64), rest[3])
    )
    monkeypatch.setattr(
        sys, "argv", ["half_precision.py", str(tmp_path / "weights.pth"), "--images", str(tmp_path / "images")]
    )
    assert script.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:24].strip() for line in lines] == ["", *(title for title, _ in script.VARIANTS)]


def test_frames_of_a_video_are_spread_over_it(tmp_path):
    video = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(video, cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for level in range(9):
        writer.write(np.full((48, 64, 3), 20 * level, np.uint8))
    writer.release()
    chosen = list(script.frames_of(video, 3, tmp_path))
    assert [path.name for path in chosen] == ["000000.png", "000004.png", "000008.png"]
    assert abs(int(cv2.imread(str(chosen[1])).mean()) - 80) < 4


def test_one_source_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["half_precision.py", "weights.pth"])
    assert script.main() == 2
    assert "one of --images and --video" in capsys.readouterr().err
