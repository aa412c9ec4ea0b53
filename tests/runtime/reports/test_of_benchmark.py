"""What a page says of a benchmark."""

import json

import pytest

pytest.importorskip("onnx")

from ccc_jetson.runtime.reports import document
from ccc_jetson.runtime.reports.writing import document_of
from tests.doubles.reports import TELEMETRY, benchmark_record
from tests.runtime.reports.test_of_run import blocks, facts, figures, headlines, titles


def document_from(*frame_ms, **changes):
    return document_of(json.dumps(dict(benchmark_record(*frame_ms), **changes)))


def test_one_model_is_told_with_its_frame_times_and_its_network():
    found = document_from([62.5] * 400)
    shown = headlines(found)
    assert found.title == "Tiny on NVIDIA Jetson TX2 Developer Kit"
    assert shown["Speed"] == "16.00 FPS; 400 frames in 25.0 s, after 50 frames and 3.2 s of warm-up"
    assert shown["Frame time"] == "62.50 ms; median, from one frame to the next; p99: 62.50 ms"
    assert shown["Network alone"] == "40.00 ms; median, nothing copied; p99: 40.00 ms"
    assert "not compared: the input is 64x32" in shown["Published"]
    assert {"Frame times", "Speed", "Latency"} <= set(figures(found))
    assert titles(found)[0] == "Where the time goes" and titles(found)[-1] == "To measure it again"
    assert facts(found)["network alone"].startswith("device time of the engine alone")
    assert facts(found)["power mode"] == "MAXP_CORE_ARM"


def test_clocks_steadiness_and_warm_up_are_told_as_the_text_tells_them():
    shown = facts(document_from([62.5] * 400))
    assert shown["steadiness"].startswith("16.00 to 16.00 FPS in 10 parts of as many frames")
    assert shown["clocks before"] == "cores 0,3-5 on; GPU 1122 MHz of 115 to 1122 (nvhost_podgov)"
    assert shown["clocks after"] == shown["clocks before"]
    assert shown["warm-up"] == "50 frames, 3.2 s"


def test_an_older_report_has_neither_clocks_nor_a_warm_up():
    record = benchmark_record([62.5] * 120)
    for key in ("clocks", "slices_fps", "warm_up"):
        del record["results"][0][key]
    found = document_of(json.dumps(record))
    assert headlines(found)["Speed"].endswith("after a warm-up")
    assert not {"steadiness", "clocks before", "warm-up"} & set(facts(found))


def test_stages_that_count_the_warm_up_say_so():
    record = benchmark_record([62.5] * 120)
    (stage, *_) = record["results"][0]["stages"]
    record["results"][0]["stages"][stage]["count"] = 170
    (notes,) = blocks(document_of(json.dumps(record)), document.Notes)
    assert notes.notes[0] == "Counts of {}: with the frames of the warm-up".format(stage)


def test_notes_that_weaken_the_figures_are_told():
    record = benchmark_record()
    told = "the power mode is MAXP_CORE_ARM, not MAXN: sudo nvpmodel -m 0"
    record["results"][0]["notes"] = [told]
    (notes,) = blocks(document_of(json.dumps(record)), document.Notes)
    assert told in notes.notes


def test_several_models_stand_side_by_side_and_have_a_chapter_each():
    found = document_from([62.5] * 120, [80.0] * 120)
    assert found.title.startswith("2 models on ") and found.headlines == ()
    assert [section.title for section in found.sections if section.level == 1] == ["model0.engine", "model1.engine"]
    (table,) = [each for each in blocks(found, document.Table) if each.header[0] == "model"]
    assert [row[2] for row in table.rows] == ["16.00", "12.50"]
    machines = [sheet for each in blocks(found, document.FactSheets) for sheet in each.sheets
                if sheet.title == "Machine"]  # fmt: skip
    assert len(machines) == 1


def test_what_was_not_measured_is_said_first():
    problems = [{"model": "bad.engine", "message": "is damaged"}]
    found = document_from(problems=problems, not_run=["late.onnx"], ended="interrupted")
    assert found.warning == (
        "Interrupted: this is what was measured until then. bad.engine: is damaged late.onnx was not measured"
    )


def test_a_model_that_ended_before_it_was_measured_has_no_figures():
    record = benchmark_record([62.5] * 120)
    record["results"][0].update(frame=None, latency=None, network=None, stages={}, bottleneck="", histograms={},
                                timeline=None, fps=0.0, frames=0, notes=[])  # fmt: skip
    found = document_of(json.dumps(record))
    assert list(headlines(found)) == ["Speed", "Published"]
    assert titles(found)[0] == "Beside what was published"


def test_telemetry_of_the_whole_benchmark_or_of_a_model_is_drawn():
    assert "Power" in figures(document_from(telemetry=TELEMETRY))
    record = benchmark_record([62.5] * 120, [80.0] * 120)
    record["results"][1]["telemetry"] = TELEMETRY
    found = document_of(json.dumps(record))
    assert titles(found).count("The machine over the run") == 1


def test_without_any_result_the_page_says_why():
    found = document_from(results=[], problems=[{"model": "bad.engine", "message": "is damaged"}])
    assert found.title.startswith("0 models") and "is damaged" in found.warning
