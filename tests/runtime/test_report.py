"""What a run says of itself, to machines and to people."""

import json

import pytest

from ccc_jetson.contract import Published
from ccc_jetson.published import PAPER_TX2
from ccc_jetson.runtime.frames.details import SourceDetails
from ccc_jetson.runtime.metrics import Machine, StageSummary
from ccc_jetson.runtime.pipeline import TO_CLASS_MAP, TO_SINKS, Measured
from ccc_jetson.runtime.report import COMPLETE, ENDED_BY_USER, Model, Report
from ccc_jetson.runtime.sinks.top_classes import Classified, TopClass
from tests.doubles.tiny_model import tiny_contract

PC = Machine("", "Some CPU", 2, "Debian", "3.11.2")
TX2 = Machine("NVIDIA Jetson TX2 Developer Kit", "ARMv8", 6, "Ubuntu", "3.6.9")
TINY = tiny_contract()
CCC1 = tiny_contract(width=1024, height=512)._replace(published=(Published("FPS", 15.9, PAPER_TX2),))


def stage(name, milliseconds):
    return StageSummary(name, 100, *(factor * milliseconds for factor in (1, 1, 1.1, 1.2, 1.3, 2)))


def report(contract=TINY, **changes):
    stages = [
        stage("capture", 3),
        stage("preprocess", 2),
        stage("infer", 58),
        stage("postprocess", 0.2),
        stage("sink", 9),
    ]
    latency = [stage(TO_SINKS, 120), stage(TO_CLASS_MAP, 90)]
    backend = "ONNX Runtime 1.10.0 on the CPU"
    record = Report(
        started="2024-05-06T07:08:09Z",
        machine=PC,
        model=Model("model.onnx", "ab" * 32, "as asked", contract),
        fit="stretch",
        source="drive.mp4, 960x540",
        live=False,
        outputs=("overlay video out.mp4",),
        measured=Measured(100, 0, 100 / 7.95, stages, latency, backend, (("memory", "input mapped"),)),
        class_shares=(("road", 0.4), ("sky", 0.25)),
        ended=COMPLETE,
    )
    return record._replace(**changes)


def test_the_json_has_everything_a_comparison_needs():
    record = json.loads(report().to_json())
    assert record["schema"] == 1
    assert record["tool"].startswith("ccc-jetson ")
    assert record["model"] == {
        "path": "model.onnx",
        "sha256": "ab" * 32,
        "chosen": "as asked",
        "architecture": "tiny",
        "title": "Tiny",
        "input": {"width": 64, "height": 32},
        "checkpoint": "tiny.pth",
        "contract": record["model"]["contract"],
    }
    assert record["machine"] == {
        "board": "", "cpu": "Some CPU", "cores": 2, "system": "Debian", "python": "3.11.2"
    }  # fmt: skip
    assert record["source"] == {"description": "drive.mp4, 960x540", "live": False}
    assert (record["fit"], record["ended"], record["started"]) == ("stretch", "complete", "2024-05-06T07:08:09Z")
    assert (record["frames"], record["dropped"], record["fps"]) == (100, 0, 7.95)
    assert list(record["stages"]) == ["capture", "preprocess", "infer", "postprocess", "sink"]
    assert record["stages"]["infer"]["p50_ms"] == 58
    assert record["latency"]["p50_ms"] == 120
    assert record["latency_to_class_map"]["p50_ms"] == 90
    assert record["backend_facts"] == {"memory": "input mapped"}
    assert record["backend"] == "ONNX Runtime 1.10.0 on the CPU"
    assert record["outputs"] == ["overlay video out.mp4"]
    assert record["class_shares"] == {"road": 0.4, "sky": 0.25}
    assert record["bottleneck"].startswith("infer: 58.0 ms")


def test_the_json_has_what_the_model_promises_in_its_contract():
    contract = json.loads(report().to_json())["model"]["contract"]
    assert (contract["target"], contract["precision"], contract["output"]) == ("tx2", "fp32", "class_map")
    assert (contract["passes"], contract["classes"]) == (["fold-batchnorm"], 19)
    assert contract["preprocessing"]["color_order"] == "BGR"
    assert tuple(contract["preprocessing"]["mean"]) == TINY.preprocessing.mean
    assert contract["palette"][1] == {"name": "sidewalk", "color": [244, 35, 232]}
    classifier = json.loads(report(model=Model("m", "ab" * 32, "", tiny_contract("scores", classes=300))).to_json())
    assert (classifier["model"]["contract"]["palette"], classifier["model"]["contract"]["classes"]) == ([], 300)


def test_secrets_of_an_address_are_in_no_report():
    outputs = ("page at http://127.0.0.1:8080/?token=secret",)
    shown = report(source="rtsp://me:secret@cam/1, 1280x720", ended="rtsp://me:secret@cam/1: lost", outputs=outputs)
    shown = shown.to_json()
    assert "secret" not in shown and "rtsp://***@cam/1, 1280x720" in shown


def test_the_networks_published_speed_is_in_the_json_beside_what_was_measured():
    (speed,) = json.loads(report(CCC1).to_json())["published"]
    assert (speed["value"], speed["measured"], speed["comparable"]) == (15.9, 7.95, False)
    (speed,) = json.loads(report(CCC1, machine=TX2).to_json())["published"]
    assert speed["comparable"] is True


def test_the_summary_says_how_fast_and_on_which_machine():
    text = report().to_text()
    print(text)
    assert text.startswith("7.95 FPS end to end: 100 frames in 12.58 s, 0 dropped\n")
    assert "bottleneck  infer: 58.0 ms a frame" in text
    assert "classes     road 40.0 %, sky 25.0 %" in text
    assert "output      overlay video out.mp4" in text
    assert "published   mIoU % 61.96 (Cityscapes, paper): not measured here" in text


def test_on_a_tx2_the_share_of_the_papers_speed_is_said_and_elsewhere_why_not():
    text = report(CCC1, machine=TX2).to_text()
    assert "published   FPS 15.9 (Jetson TX2, 1024x512, paper): 7.95 on NVIDIA Jetson TX2 " in text
    assert " (6 cores), 0.50 of it" in text
    assert "not comparable with 7.95 on Some CPU (2 cores): not a TX2" in report(CCC1).to_text()


def test_the_latency_is_shown_where_it_matters():
    assert "latency" not in report().to_text()
    assert "latency     captured to sunk: 120.0 ms (p50), 156.0 ms (p99)" in report(live=True).to_text()
    assert "latency     captured to class map: 90.0 ms (p50), 117.0 ms (p99)" in report(live=True).to_text()


def test_what_a_gpu_backend_chose_is_shown():
    assert "memory      input mapped" in report().to_text()


@pytest.mark.parametrize(
    ("slowest", "why_not"),
    [("capture", "the frames came no faster"), ("sink", "the results were written no faster"), ("infer", "")],
)
def test_a_pace_that_others_set_is_not_compared_with_the_papers(slowest, why_not):
    stages = [stage(name, 500 if name == slowest else 10) for name in ("capture", "infer", "sink")]
    shown = report(
        machine=TX2,
        model=Model("model.engine", "ab" * 32, "as asked", CCC1),
        measured=report().measured._replace(stages=stages),
    )
    (record,) = json.loads(shown.to_json())["published"]
    assert (record["why_not"], record["comparable"]) == (why_not, not why_not)


def test_a_pictures_name_cannot_steer_the_terminal():
    shown = report(classified=(Classified("\x1b[31mred", (TopClass("a", 1.0, 0.5),)),)).to_text()
    assert shown.splitlines()[1].split() == ["?[31mred", "a", "50.0", "%"]


def test_what_happened_to_a_source_is_recorded_and_told_where_it_is_live():
    details = SourceDetails("rtsp", "rtsp://***@cam/x", reconnects=1, lost_s=5.25, stalls=1)
    record = json.loads(report(details=details, live=True).to_json())["source"]
    assert (record["description"], record["live"], record["kind"]) == ("drive.mp4, 960x540", True, "rtsp")
    assert (record["reconnects"], record["lost_s"], record["stalls"]) == (1, 5.25, 1)
    assert "source      1 reconnect, 5.2 s without it, 1 stall\n" in report(details=details, live=True).to_text()
    assert "reconnect" not in report(details=details).to_text()


def test_a_run_that_ended_early_says_so():
    assert report(ended=ENDED_BY_USER).to_text().splitlines()[0].endswith("0 dropped; interrupted")
    assert report(ended="camera lost").to_text().splitlines()[0].endswith("0 dropped; ended early")


def test_a_run_without_frames_can_be_reported():
    empty = report(measured=Measured(0, 0, 0.0, [], [], "backend"), class_shares=(), outputs=())
    assert empty.to_text().startswith("0.00 FPS end to end: 0 frames")
    assert json.loads(empty.to_json())["latency"] is None
    assert json.loads(empty.to_json())["published"][0]["measured"] is None
