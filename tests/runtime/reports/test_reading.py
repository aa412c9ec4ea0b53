"""Reports of anyone are read, or refused with a sentence; nothing else can come of them."""

import copy
import json

import pytest

pytest.importorskip("onnx")

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.reports.html import page
from ccc_jetson.runtime.reports.markdown import markdown
from ccc_jetson.runtime.reports.reading import read_report
from ccc_jetson.runtime.reports.records import Benchmark, Evaluation, Run
from ccc_jetson.runtime.reports.writing import document_of
from tests.doubles.reports import TELEMETRY, benchmark_record, comparison_record, evaluation_record, run_record

RECORDS = {
    "run": run_record(telemetry=TELEMETRY),
    "evaluation": evaluation_record(),
    "benchmark": benchmark_record([62.5, 64.0] * 10),
    "comparison": comparison_record(),
}


for result in RECORDS["benchmark"]["results"]:
    del result["samples"]  # which pages do not use, and which are long


def read(record):
    return read_report(json.dumps(record), "a.json")


def test_a_run_is_read_as_it_was_written():
    run = read(run_record(telemetry=TELEMETRY))
    assert isinstance(run, Run)
    assert (run.frames, run.dropped, run.live, run.fit) == (200, 40, True, "crop")
    assert run.header.machine.is_tx2 and run.header.machine.power_mode == "MAXN"
    assert run.header.command.startswith("ccc-run --camera")
    assert run.model.preprocessing.startswith("BGR, (pixel - [")
    assert run.model.palette[0] == ("road", "#804080")
    assert [each.name for each in run.stages] == ["capture", "preprocess", "infer", "postprocess", "sink"]
    assert sum(run.timeline.frames) == 200
    assert sorted(run.histograms) == ["infer", "latency"]
    assert run.class_shares[0] == ("road", 0.4)


def test_telemetry_is_read_by_its_units():
    telemetry = read(run_record(telemetry=TELEMETRY)).telemetry
    assert [each.name for each in telemetry.series] == [
        "power", "rail VDD_SYS_GPU", "temperature GPU", "GPU clock"
    ]  # fmt: skip
    assert telemetry.series[1].points == ((0.0, 4.5), (2.0, 5.5))
    assert telemetry.throttling == ((0.5, 1.5, "GPU clock (limit 828 of 1300 MHz)"),)
    assert dict(telemetry.summary) == {
        "power of": "VDD_IN", "mean power": "10.33 W", "energy": "20.7 J", "peak temperatures": "GPU 44.5 \u00b0C",
        "peak memory": "2.25 GB",
    }  # fmt: skip
    summary = {"hottest": "GPU", "energy_j": 2, "hottest_c": 54.5}
    assert read(run_record(telemetry=dict(TELEMETRY, summary=summary))).telemetry.summary == (
        ("hottest", "GPU, 54.5 \u00b0C"), ("energy", "2 J")
    )  # fmt: skip
    plain = dict(TELEMETRY, throttling=[{"from_s": 1, "to_s": 2, "reason": "heat"}])
    assert read(run_record(telemetry=plain)).telemetry.throttling == ((1.0, 2.0, "heat"),)


def test_an_evaluation_is_read_as_it_was_written():
    evaluation = read(evaluation_record())
    assert isinstance(evaluation, Evaluation)
    assert (evaluation.frames, evaluation.timed_frames) == (24, 24)
    assert evaluation.classes[10].iou is None and evaluation.classes[3].name == "Road"
    assert evaluation.classes[3].color == "#804080"
    assert evaluation.confusion[0][11] == 50
    assert evaluation.skipped == (("frame07", "is damaged"),)


def test_a_benchmark_is_read_as_it_was_written():
    benchmark = read(benchmark_record([62.5] * 120, [80.0] * 120))
    assert isinstance(benchmark, Benchmark)
    assert [each.name for each in benchmark.results] == ["model0.engine", "model1.engine"]
    assert benchmark.results[1].fps == 12.5
    assert benchmark.results[0].network.p99_ms == 40.0
    assert benchmark.header.libraries == (("numpy", "1.13.3"),)


@pytest.mark.parametrize("kind", ["run", "evaluation", "benchmark"])
def test_reports_from_before_there_were_pages_are_read(kind):
    old = copy.deepcopy(RECORDS[kind])
    for record in [old] + old.get("results", []):
        for key in ("revision", "command", "timeline", "histograms", "notes", "telemetry"):
            record.pop(key, None)
        record.get("model", {}).pop("contract", None)
    if kind != "benchmark":
        del old["kind"]
    for each in old.get("classes", []):
        del each["color"]
    assert page(document_of(json.dumps(old)))
    assert markdown(document_of(json.dumps(old)))


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("{}", "is no report of ccc-run, ccc-eval or ccc-bench"),
        ('{"kind": "holiday"}', "is no report"),
        ('{"kind": ["run"]}', "is no report"),
        ('{"kind": "run", "schema": 99}', "schema 99, this version reads up to 1"),
        ('{"kind": "run", "kind": "run"}', "comes twice"),
        ("[" * 100000, "damaged"),
    ],
)
def test_what_is_no_report_is_refused(text, words):
    with pytest.raises(UsageError) as caught:
        read_report(text, "a.json")
    assert words in str(caught.value) and caught.value.hint


@pytest.mark.parametrize(
    "kind, path, value",
    [
        ("run", ("timeline", "frames"), [1]),
        ("run", ("timeline", "from_s"), None),
        ("run", ("histograms", "infer", "counts"), []),
        ("run", ("histograms", "infer", "edges_ms"), [1.0, 1.0]),
        ("run", ("model", "sha256"), "<script>"),
        ("run", ("model", "contract", "palette"), [{"name": "a", "color": [0, 0, 256]}]),
        ("run", ("telemetry", "series"), [{"name": "a", "unit": "W", "points": [[0.0]]}]),
        ("run", ("class_shares", "road"), 1.5),
        ("evaluation", ("confusion",), [[1, 2]]),
        ("evaluation", ("miou",), 40.2),
        ("run", ("timeline", "to_s"), [5e-324]),
        ("evaluation", ("pixels",), 3),
        ("evaluation", ("classes",), [{}] * 300),
        ("run", ("timeline",), {"from_s": [0.0] * 10001}),
        (
            "run",
            ("timeline",),
            {
                "from_s": [0, 1],
                "to_s": [2, 3],
                "frames": [1, 1],
                "dropped": [0, 0],
                "latency_p50_ms": [1, 1],
                "latency_max_ms": [1, 1],
            },
        ),
        ("run", ("stages",), {str(index): {} for index in range(101)}),
        ("run", ("histograms",), {str(index): {} for index in range(101)}),
        ("run", ("telemetry", "series", 0, "points"), [[0, 1]] * 200001),
        ("run", ("published", 0, "value"), 0),
        ("benchmark", ("results",), [3]),
        ("comparison", ("statistic",), "fun"),
        ("comparison", ("pairs", 0, "verdict"), "better"),
        ("run", ("telemetry", "summary"), {"peaks_c": {"GPU": {"GPU": 3}}}),
    ],
)
def test_what_does_not_fit_together_is_refused(kind, path, value):
    record = copy.deepcopy(RECORDS[kind])
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(UsageError, match="the report is damaged: "):
        read(record)


def places(value, path=()):
    """The paths of all values in a record; of long lists the first few."""
    yield path
    if isinstance(value, dict):
        for key in value:
            for each in places(value[key], path + (key,)):
                yield each
    elif isinstance(value, list):
        for index in range(min(2, len(value))):
            for each in places(value[index], path + (index,)):
                yield each


JUNK = (None, -1, 0, 1e300, float("nan"), "\x1b<b>\ud800", [], {"a": None}, [1e14, -1e14])


@pytest.mark.parametrize("kind", sorted(RECORDS))
def test_rubbish_anywhere_is_refused_or_shown_and_never_more(kind):
    record, refused, shown = copy.deepcopy(RECORDS[kind]), 0, 0
    for path in list(places(RECORDS[kind]))[1:]:
        inner = record
        for key in path[:-1]:
            inner = inner[key]
        before = inner[path[-1]]
        for junk in JUNK:
            inner[path[-1]] = junk
            try:
                document = document_of(json.dumps(record))
            except UsageError as error:
                assert str(error).isprintable()
                refused += 1
            else:
                page(document).encode("utf-8")
                markdown(document).encode("utf-8")
                shown += 1
        inner[path[-1]] = before
    print(refused, "refused,", shown, "shown")
    assert refused > 100 and shown > 50


def test_an_evaluation_without_classes_is_refused():
    record = dict(RECORDS["evaluation"], classes=[], confusion=[], pixels=0)
    with pytest.raises(UsageError, match="it has no classes"):
        read(record)
