"""A line a frame."""

import json
import os
import resource
import time

import numpy as np
import pytest

from ccc_jetson.errors import SinkError
from ccc_jetson.preprocess import fitting
from ccc_jetson.runtime.backends import Classification
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.metrics import Counters

pytest.importorskip("onnx")

from ccc_jetson.runtime.sinks import json_lines  # noqa: E402
from ccc_jetson.runtime.sinks.json_lines import JsonLines  # noqa: E402
from tests.doubles.stages import segmentation_of  # noqa: E402
from tests.doubles.tiny_model import tiny_contract  # noqa: E402


def frame_of(number=0, age_s=0.02, name="drive_{:06d}"):
    return Frame(number, name.format(number), np.zeros((40, 48, 3), np.uint8), time.monotonic() - age_s)


def write(sink, number=0, class_index=10):
    frame = frame_of(number)
    sink.write(frame, segmentation_of(frame.image, class_index))


def test_a_line_is_there_as_soon_as_its_frame_is_through(tmp_path):
    path = tmp_path / "run.jsonl"
    sink = JsonLines(str(path), tiny_contract())
    sink.watch(lambda: Counters(1, 4, ()))
    write(sink, 12)
    record = json.loads(path.read_text())
    assert (record["frame"], record["name"], record["dropped"]) == (12, "drive_000012", 4)
    assert record["classes"] == {"sky": 1.0}
    assert 19 < record["latency_ms"] < 10000
    assert record["captured"].startswith(time.strftime("%Y-", time.gmtime())) and record["captured"].endswith("Z")
    write(sink, 13)
    assert [json.loads(line)["frame"] for line in path.read_text().splitlines()] == [12, 13]
    sink.close()
    sink.close()
    assert sink.description == "JSON lines in " + str(path)


def test_a_classifier_has_its_best_classes(tmp_path):
    contract = tiny_contract("scores", classes=300)
    sink = JsonLines(str(tmp_path / "run.jsonl"), contract)
    scores = np.zeros(300, np.float32)
    scores[7] = 9.0
    sink.write(frame_of(), Classification(scores, fitting((48, 40), (64, 32), "crop"), {}))
    sink.close()
    top = json.loads((tmp_path / "run.jsonl").read_text())["top"]
    assert top[0]["class"] == contract.class_names[7] and top[0]["score"] == 9.0 and len(top) == 5


def test_standard_output_is_written_to_at_once_and_stays_open(tmp_path, monkeypatch, capfd):
    sink = JsonLines("-", tiny_contract())
    write(sink, 3)
    assert json.loads(capfd.readouterr().out)["frame"] == 3
    sink.close()
    print("still open", flush=True)
    assert capfd.readouterr().out == "still open\n"


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(SinkError, match="cannot be written: No such file or directory"):
        JsonLines(str(tmp_path / "none" / "run.jsonl"), tiny_contract())


def test_a_full_disk_loses_no_line_and_leaves_no_half_one(tmp_path):
    path = tmp_path / "run.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    sink = JsonLines(str(path), tiny_contract())
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(SinkError, match=r"run.jsonl: File too large; the \d+ lines before are whole") as caught:
            for number in range(100):
                write(sink, number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sink.close()
    numbers = [json.loads(line)["frame"] for line in path.read_text().splitlines()]
    assert numbers == list(range(len(numbers))) and len(numbers) > 3
    assert "the {} lines".format(len(numbers)) in str(caught.value)
    assert path.read_text().endswith("}\n")


def test_no_space_is_named_as_such(tmp_path, monkeypatch):
    sink = JsonLines(str(tmp_path / "run.jsonl"), tiny_contract())
    write(sink)

    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json_lines.os, "write", full)
    with pytest.raises(SinkError, match="no space left on the disk; the 1 lines before are whole"):
        write(sink)
    monkeypatch.undo()
    sink.close()
    assert len((tmp_path / "run.jsonl").read_text().splitlines()) == 1


def test_a_reader_that_has_gone_is_a_sinks_problem(tmp_path):
    sink = JsonLines(str(tmp_path / "run.jsonl"), tiny_contract())
    write(sink)
    reading, sink_end = os.pipe()
    os.close(reading)
    os.dup2(sink_end, sink._file)
    os.close(sink_end)
    with pytest.raises(SinkError, match=r"the reader of .*run.jsonl has gone; 1 lines were written"):
        write(sink, 1)
    sink.close()
