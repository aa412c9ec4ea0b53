"""``--report`` of the commands: several at once, in formats that the suffix decides, with pictures in the page."""

import base64
import json
import re

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from ccc_jetson.errors import SourceError, UsageError
from ccc_jetson.runtime.bench.cli import main as bench_main
from ccc_jetson.runtime.bench.reader import read_report
from ccc_jetson.runtime.eval_cli import main as eval_main
from ccc_jetson.runtime.frames import opening
from ccc_jetson.runtime.reports import writing
from ccc_jetson.runtime.run_cli import main as run_main
from tests.doubles.labelled_frames import write_pairs
from tests.doubles.stages import FakeSource, write_video
from tests.doubles.tiny_model import tiny_contract, tiny_graph, write_tiny_model

BENCH = ["--frames", "30", "--warm-up-frames", "5", "--warm-up-seconds", "0"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "model.onnx")
    write_video(tmp_path / "my drive.mp4", frames=30, size=(96, 64))
    return tmp_path


def pictures_in(page):
    found = [base64.b64decode(data) for data in re.findall('base64,([^"]+)', page)]
    assert all(each.startswith(b"\xff\xd8") for each in found)
    return len(found)


def test_one_run_writes_a_page_a_text_and_the_record(folder, capsys):
    argv = ["--video", "my drive.mp4", "--headless", "--report", "run.html", "--report", "run.json", "--report", "r.md"]
    assert run_main(argv) == 0
    page, record = (folder / "run.html").read_text(encoding="utf-8"), json.loads((folder / "run.json").read_text())
    assert pictures_in(page) == 6
    assert "Tiny on" in page and "my drive.mp4, 96x64" in page
    assert (folder / "r.md").read_text(encoding="utf-8").startswith("# ccc-run: Tiny on ")
    assert record["command"] == "ccc-run " + " ".join(argv).replace("my drive.mp4", "'my drive.mp4'")
    assert (record["schema"], record["kind"]) == (1, "run")
    assert sum(record["timeline"]["frames"]) == sum(record["histograms"]["latency"]["counts"]) == 30
    assert record["model"]["contract"]["palette"][0] == {"name": "road", "color": [128, 64, 128]}
    assert "sample pictures" not in record["outputs"] and "sample pictures" not in capsys.readouterr().out


@pytest.mark.parametrize("main", [run_main, eval_main])
def test_a_page_that_fails_takes_neither_the_record_nor_the_summary_along(folder, capsys, monkeypatch, main):
    def fail(*_):
        raise UsageError("timeline.dropped is no count")

    monkeypatch.setattr(writing, "document_of", fail)
    if main is run_main:
        argv = ["--video", "my drive.mp4", "--headless"]
    else:
        images, labels = write_pairs(folder, count=2)
        argv = ["model.onnx", "--images", images, "--labels", labels, "--mapping", "camvid"]
    assert main(argv + ["--report", "a.html", "--report", "a.json"]) == 2
    said = capsys.readouterr()
    assert "timeline.dropped is no count" in said.err and "Tiny" in said.out
    assert json.loads((folder / "a.json").read_text())["schema"] == 1 and not (folder / "a.html").exists()


def test_a_page_of_an_evaluation_shows_its_worst_and_best_frames(folder, capsys):
    images, labels = write_pairs(folder, count=7)
    argv = ["model.onnx", "--images", images, "--labels", labels, "--mapping", "camvid"]
    assert eval_main(argv + ["--report", "eval.html", "--report", "eval.json"]) == 0
    page, record = (folder / "eval.html").read_text(encoding="utf-8"), json.loads((folder / "eval.json").read_text())
    assert pictures_in(page) == 6
    assert page.count("worst: ") == 8 and page.count("best: ") == 4  # in the caption and for those who do not see it
    assert record["kind"] == "evaluation" and record["command"].startswith("ccc-eval model.onnx --images ")
    assert sum(record["histograms"]["infer"]["counts"]) == 7
    assert {tuple(each["color"]) for each in record["classes"]} >= {(128, 64, 128), (70, 130, 180)}


def test_a_benchmark_has_a_page_and_what_compare_reads_stays(folder, capsys):
    argv = ["model.onnx", "--report", "bench.html", "--report", "bench.json"] + BENCH
    assert bench_main(argv) == 0
    record = json.loads((folder / "bench.json").read_text())
    assert sum(record["results"][0]["timeline"]["frames"]) == 30
    assert sum(record["results"][0]["histograms"]["frame"]["counts"]) == 30
    assert record["command"] == "ccc-bench " + " ".join(argv)
    assert len(read_report("bench.json").measurements[0].samples["frame_ms"]) == 30
    assert pictures_in((folder / "bench.html").read_text(encoding="utf-8")) == 0


@pytest.mark.parametrize(
    "main, argv",
    [
        (run_main, ["--video", "my drive.mp4", "--headless"]),
        (eval_main, ["model.onnx", "--images", "in", "--labels", "labels", "--mapping", "camvid"]),
        (bench_main, ["model.onnx"] + BENCH),
    ],
)
def test_an_unknown_suffix_is_refused_before_the_run(folder, capsys, monkeypatch, main, argv):
    images, labels = write_pairs(folder, count=1)
    argv = [{"in": images, "labels": labels}.get(word, word) for word in argv]
    monkeypatch.setattr("ccc_jetson.runtime.backends.open_backend", None)  # it would be called otherwise
    assert main(argv + ["--report", "a.json", "--report", "a.pdf"]) == 2
    err = capsys.readouterr().err
    assert "--report a.pdf: no report has the suffix '.pdf'" in err and "Traceback" not in err
    assert not (folder / "a.json").exists()


def test_hostile_class_names_are_text_in_every_format(folder, capsys):
    contract = tiny_contract()._replace(head=None)
    names = ["<img src=x onerror=alert(1)>", "|*@someone* `#1`", "\u202ereversed\x07"] * 7
    classes = tuple(
        each._replace(name="{} {}".format(name, index))
        for index, (each, name) in enumerate(zip(contract.classes, names))
    )
    contract = contract._replace(classes=classes)
    (folder / "bad.onnx").write_bytes(tiny_graph(contract).SerializeToString())
    (folder / "bad.json").write_text(contract.to_json())
    argv = ["--model", "bad.onnx", "--contract", "bad.json", "--video", "my drive.mp4", "--headless"]
    assert run_main(argv + ["--report", "run.html", "--report", "run.md"]) == 0
    page, text = ((folder / name).read_text(encoding="utf-8") for name in ("run.html", "run.md"))
    assert "someone" in page and "someone" in text and "onerror" in page
    assert "<img src=x" not in page and "\u202e" not in page + text and "\x07" not in page + text
    assert "@someone" not in text and "<img src=x" not in text.replace("\\<", "&lt;")


def test_passwords_of_cameras_are_in_no_report(folder, capsys, monkeypatch):
    address = "rtsp://admin:hunter2@10.0.0.7/live?token=hunter2"
    source = FakeSource(9, live=True, fails_at=5, error=SourceError(address + ": the camera is gone"))
    source.description = address + ", 48x40"
    monkeypatch.setattr(opening, "open_source", lambda *arguments: source)
    argv = [address, "--headless", "--report", "a.html", "--report", "a.json", "--report", "a.md"]
    assert run_main(argv) == 1
    for name in ("a.html", "a.json", "a.md"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "hunter2" not in text and "10.0.0.7/live" in text.replace("<!-- -->", ""), name
