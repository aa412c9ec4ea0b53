"""What a page says of a run."""

import json

import pytest

pytest.importorskip("onnx")

from ccc_jetson.contract import Published
from ccc_jetson.published import PAPER_TX2
from ccc_jetson.runtime.reports import document
from ccc_jetson.runtime.reports.document import Picture
from ccc_jetson.runtime.reports.writing import document_of
from ccc_jetson.runtime.sinks.top_classes import Classified, TopClass
from tests.doubles.reports import TELEMETRY, measured, run_record
from tests.doubles.tiny_model import tiny_contract

PICTURES = (Picture("frame_000012", b"jpeg"),)
CCC1 = tiny_contract(width=1024, height=512)._replace(published=(Published("FPS", 15.9, PAPER_TX2),))


def document_from(pictures=(), **changes):
    return document_of(json.dumps(run_record(**changes)), pictures)


def blocks(found, kind):
    """All parts of a kind, those that stand side by side too."""
    for section in found.sections:
        for each in section.blocks:
            for part in (each.left, each.right) if isinstance(each, document.SideBySide) else (each,):
                if isinstance(part, kind):
                    yield part


def figures(found):
    return {figure.title: figure for each in blocks(found, document.Figures) for figure in each.figures}


def facts(found):
    return {name: text for each in blocks(found, document.FactSheets) for sheet in each.sheets
            for name, text in sheet.rows}  # fmt: skip


def headlines(found):
    return {each.label: "{} {}; {}".format(each.value, each.unit, each.detail) for each in found.headlines}


def titles(found):
    return [section.title for section in found.sections]


def test_a_cameras_run_is_told_with_its_latency_and_its_drops():
    found = document_from()
    shown = headlines(found)
    assert found.title == "Tiny on NVIDIA Jetson TX2 Developer Kit"
    assert found.lead[0] == "/dev/video0, 1280x720, 30 FPS, 2024-05-06 07:08 UTC"
    assert shown["Speed"] == "15.88 FPS; 200 frames in 12.6 s, end to end"
    assert shown["Latency"].startswith("126.3 ms; median, capture to result; p99: ")
    assert shown["Dropped"] == "16.7 %; 40 frames, for newer ones"
    assert {"Latency of the frames", "Dropped frames", "Speed", "Latency"} <= set(figures(found))
    assert found.warning == ""


def test_a_files_run_is_told_with_its_inference_time_because_its_frames_queue():
    found = document_from(live=False)
    assert sorted(headlines(found)) == ["Inference", "Speed"]
    assert headlines(found)["Inference"].startswith("62.93 ms; median of a frame; p99: ")
    assert "Inference time of the frames" in figures(found) and "Dropped frames" not in figures(found)
    assert any("wait in queues" in each.text for each in blocks(found, document.Paragraph))


def test_the_papers_speed_is_a_headline_and_compared_only_on_a_tx2():
    shown = headlines(document_from(contract=CCC1))
    assert shown["Published"] == "15.9 FPS; Jetson TX2, 1024x512, paper; reached 100 % of it"
    record = run_record(CCC1)
    (published,) = record["published"]
    record["published"] = [dict(published, comparable=False, why_not="not a TX2")]
    assert "not compared: not a TX2" in headlines(document_of(json.dumps(record)))["Published"]
    (table,) = [each for each in blocks(document_from(contract=CCC1), document.Table) if each.header[0] == "figure"]
    assert table.rows == (("FPS", "Jetson TX2, 1024x512, paper", "15.9", "15.88", "1.00 of it"),)


def test_the_threads_show_what_sets_the_pace():
    threads = figures(document_from())["Mean time of a frame in each thread"]
    assert [bar.label for bar in threads.bars] == ["capture thread", "compute thread", "sink thread"]
    assert threads.marked == "infer"
    (stages,) = [each for each in blocks(document_from(), document.Table) if each.header[0] == "stage"]
    assert [row[0] for row in stages.rows][-2:] == ["latency", "latency to the class map"]


def test_conditions_hold_what_a_comparison_needs():
    shown = facts(document_from())
    assert shown["JetPack"] == "4.6.1" and shown["power mode"] == "MAXN" and shown["L4T"] == "32.7.1"
    assert shown["SHA-256"] == "abababababababab\u2026"
    assert shown["input"] == "64x32, crop" and shown["output"] == "class map of 19 classes"
    assert shown["chosen"] == "this machine can run it" and shown["cuda graph"] == "used"
    assert shown["exported for"] == "tx2, fp32" and shown["passes"] == "fold-batchnorm"
    assert "engine sha256" not in shown  # it is the model's, which is there already


def test_what_else_a_source_tells_is_told_without_its_secrets():
    record = run_record()
    record["source"].update(
        kind="rtsp", reconnects=2, lost_s=3.25, stalls=0, age_ms=41.5, backend="GStreamer", asked={"width": 1280},
        pipeline="rtspsrc location=rtsp://me:secret@cam/1 ! appsink", passed_over=["FFMPEG: none"], on_arrival=True,
    )  # fmt: skip
    shown = facts(document_of(json.dumps(record)))
    assert (shown["reconnects"], shown["lost"], shown["age"]) == ("2", "3.25 s", "41.5 ms")
    assert shown["pipeline"] == "rtspsrc location=rtsp://***@cam/1 ! appsink"
    assert not {"stalls", "asked", "passed over", "on arrival"} & set(shown)


def test_the_command_can_be_typed_again():
    (command,) = blocks(document_from(), document.Command)
    assert command.text == "ccc-run --camera /dev/video0 --report 'my run.html'"
    assert "To measure it again" not in titles(document_from(command=""))


def test_classes_are_shown_in_their_colours_beside_the_pictures():
    found = document_from(PICTURES)
    shares = figures(found)["Classes, share of the pixels"]
    assert [(bar.label, bar.text, bar.color) for bar in shares.bars] == [
        ("road", "40.0 %", "#804080"), ("sky", "25.0 %", "#4682b4")
    ]  # fmt: skip
    assert [each.pictures for each in blocks(found, document.Pictures)] == [PICTURES]
    assert any(each.text.startswith("1 more class with") for each in blocks(found, document.Paragraph))
    assert not list(blocks(document_from(), document.Pictures))


def test_pictures_of_a_classifier_are_a_table_of_bounded_length():
    classified = tuple(Classified("p{}".format(index), (TopClass("cat", 3.0, 0.75),)) for index in range(60))
    found = document_from(contract=tiny_contract("scores"), class_shares=(), classified=classified, live=False)
    (table,) = [each for each in blocks(found, document.Table) if each.header[0] == "picture"]
    assert len(table.rows) == 40 and table.rows[0] == ("p0", "cat", "75.0 %")
    assert any(each.text.startswith("And 20 more pictures") for each in blocks(found, document.Paragraph))


@pytest.mark.parametrize(
    "ended, warning",
    [
        ("interrupted", "Interrupted: this is what was measured until then."),
        ("rtsp://me:secret@cam/1: lost", "Ended early: rtsp://***@cam/1: lost"),
    ],
)
def test_a_run_that_ended_early_says_so_first(ended, warning):
    assert document_from(ended=ended).warning == warning


def test_a_run_without_frames_is_a_page_all_the_same():
    found = document_from(measured=measured(0)._replace(wall_s=0.0), class_shares=(), outputs=())
    assert titles(found) == ["Beside what was published", "Measured on", "To measure it again"]
    assert headlines(found)["Speed"].startswith("0.00 FPS; 0 frames")


def test_a_run_of_a_moment_has_no_course():
    assert "Over the run" not in titles(document_from(measured=measured(1)))


def test_a_long_run_is_told_in_minutes_and_hours():
    for frames, unit in ((5000, "time, min"), (200000, "time, h")):
        chart = figures(document_from(measured=measured(frames)))["Speed"]
        assert chart.x_title == unit
        assert chart.lines[0].points[-1][0] < chart.until < 10 if unit == "time, h" else chart.until < 180


def test_telemetry_is_drawn_by_unit_with_throttling_shaded():
    found = document_from(telemetry=TELEMETRY)
    power, heat = figures(found)["Power"], figures(found)["Temperature GPU"]
    assert [line.name for line in power.lines] == ["power", "VDD_SYS_GPU"]
    assert (power.unit, heat.unit, power.from_zero, heat.from_zero) == ("W", "\u00b0C", True, False)
    assert power.shades == ((0.5, 1.5, "GPU clock (limit 828 of 1300 MHz)"),)
    assert "Clocks" not in figures(found)  # a series without a point
    shown = facts(found)
    assert shown["energy of a frame"] == "0.651 J" and shown["mean power"] == "10.33 W"
    (notes,) = blocks(found, document.Notes)
    assert notes.notes == (
        "throttled from 0 to 2 s: GPU clock (limit 828 of 1300 MHz)", "the fan was not seen"
    )  # fmt: skip


def test_more_series_than_can_be_told_apart_take_several_charts_and_much_throttling_is_counted():
    series = [{"name": "t{}".format(index), "unit": "C", "points": [[0, 1], [9, 2]]} for index in range(7)]
    throttling = [{"from_s": at, "to_s": at + 1, "reason": "heat"} for at in range(30)]
    found = document_from(telemetry=dict(TELEMETRY, series=series, throttling=throttling))
    charts = [figure for each in blocks(found, document.Figures) for figure in each.figures
              if figure.title.startswith("Temperature")]  # fmt: skip
    assert [(chart.title, len(chart.lines)) for chart in charts] == [
        ("Temperature, 1 of 2", 3), ("Temperature, 2 of 2", 4)
    ]  # fmt: skip
    assert [line.name for chart in charts for line in chart.lines] == [each["name"] for each in series]
    (notes,) = blocks(found, document.Notes)
    assert "throttled 20 times more" in notes.notes


@pytest.mark.parametrize("telemetry", [None, dict(TELEMETRY, series=[])])
def test_without_sensors_there_is_no_section_for_them(telemetry):
    assert "The machine over the run" not in titles(document_from(telemetry=telemetry))
