"""What a file is: its content counts before its name."""

import json
import struct
import zipfile

import pytest

from ccc_jetson.errors import FileProblem
from ccc_jetson.file_kinds import CALIBRATION, CHECKPOINT, ENGINE, ONNX, kind_of
from tests.doubles.tiny_model import tiny_model_bytes

HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
SAFETENSORS = struct.pack("<Q", len(HEADER)) + HEADER + b"\0\0\0\0"


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


def archive(tmp_path, name, members):
    path = str(tmp_path / name)
    with zipfile.ZipFile(path, "w") as file:
        for member in members:
            file.writestr(member, "x")
    return path


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("model.onnx", tiny_model_bytes(golden=0), ONNX),
        ("model.pb", tiny_model_bytes(golden=0), ONNX),
        ("model.pth", tiny_model_bytes(golden=0), ONNX),
        ("weights.onnx", b"\x80\x02}q\x00.", CHECKPOINT),
        ("weights", b"\x80\x04\x95", CHECKPOINT),
        ("weights.bin", SAFETENSORS, CHECKPOINT),
        ("damaged.pth", b"nothing that is known", CHECKPOINT),
        ("other.bin", b"nothing that is known", ONNX),
        ("model.bin", b"ftrt\0\0\0\0", ENGINE),
        ("model.engine", b"anything", ENGINE),
        ("model.plan", b"anything", ENGINE),
        ("model.trt", b"anything", ENGINE),
        ("cache.txt", b"TRT-8201-EntropyCalibration2\ninput: 3c010a14\n", CALIBRATION),
    ],
)
def test_kinds(tmp_path, name, content, kind):
    assert kind_of(written(tmp_path, name, content)) == kind


def test_a_zip_archive_is_a_checkpoint_where_it_holds_a_pickle(tmp_path):
    assert kind_of(archive(tmp_path, "weights.zip", ["archive/data.pkl", "archive/data/0"])) == CHECKPOINT
    with pytest.raises(FileProblem, match=r"no PyTorch checkpoint: it holds 'a.txt' and 1 more"):
        kind_of(archive(tmp_path, "other.zip", ["a.txt", "b.txt"]))
    whole = archive(tmp_path, "whole.zip", ["archive/data.pkl"])
    with open(whole, "rb") as file:
        start = file.read()[:40]
    with pytest.raises(FileProblem, match="damaged or truncated zip archive"):
        kind_of(written(tmp_path, "cut.zip", start))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n  <html>", "a web page"),
        (b"\xff\xd8\xff\xe0JFIF", "a JPEG picture"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\x1f\x8b\x08", "gzip archive"),
    ],
)
def test_what_people_hand_over_by_mistake_is_named(tmp_path, content, says):
    with pytest.raises(FileProblem, match=says):
        kind_of(written(tmp_path, "model.onnx", content))


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileProblem, match="No such file"):
        kind_of(str(tmp_path / "model.engine"))
    with pytest.raises(FileProblem, match="directory"):
        kind_of(str(tmp_path))
