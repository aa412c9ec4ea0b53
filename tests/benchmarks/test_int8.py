"""The table of what INT8 costs."""

import sys

import int8 as script

from tests.doubles.labelled_frames import write_pairs
from tests.doubles.pictures import write_pictures
from tests.doubles.tiny_model import write_tiny_model


def run(tmp_path, monkeypatch, capsys, *options):
    model = write_tiny_model(tmp_path / "model.onnx", target="xavier")
    frames = write_pictures(tmp_path / "frames", 3)
    images, labels = write_pairs(tmp_path / "test", 2)
    told = ["--labels", labels, "--mapping", "camvid"] if "labels" in options else []
    given = ["int8.py", model, "--calibrate", frames, "--images", images, "--threads", "1", "--max-drop", "0", *told]
    monkeypatch.setattr(sys, "argv", given)
    assert script.main() == 0
    header, *rows = (line.split("  ") for line in capsys.readouterr().out.splitlines())
    return [[cell.strip() for cell in row if cell.strip()] for row in (header, *rows)]


def test_every_way_to_choose_ranges_has_a_row_by_agreement(tmp_path, monkeypatch, capsys):
    header, *rows = run(tmp_path, monkeypatch, capsys)
    assert header == script.TITLES
    assert [row[1:4] for row in rows] == [[name, "agreement", "1.0000"] for name in ("percentile", "minmax", "entropy")]
    for row in rows:
        convolutions, worst, everything = (float(row[column]) for column in (4, 6, 8))
        assert everything <= worst <= convolutions < 1
        assert row[10] == row[4]  # no convolution is depth-wise
        assert row[12:] == ["1.0000", "100.00%", "1 of 1"]  # the one that there is stays in floats


def test_with_labels_it_is_by_miou(tmp_path, monkeypatch, capsys):
    _, *rows = run(tmp_path, monkeypatch, capsys, "labels")
    assert {row[2] for row in rows} == {"mIoU"} and all(0 < float(row[4]) < 1 for row in rows)
