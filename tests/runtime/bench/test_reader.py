"""Reports of ``ccc-bench`` may be from anyone: good ones are read whole, all others end in a message."""

import json
import random

import pytest

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.bench.reader import read_report
from ccc_jetson.runtime.telemetry.clocks import Clock, Clocks
from tests.runtime.bench.test_report import FIXED, benched_of, report_of, result_of


def whole(tmp_path):
    """The record of a good report, with all that can be in one."""
    clocks = Clocks("0-5", (Clock("cpu0", 2035.2, 345.6, None, "schedutil"),), FIXED, FIXED._replace(name="memory"))
    result = result_of([50.0], network_ms=[40.0], clocks_before=clocks)
    (tmp_path / "whole.json").write_text(report_of(benched_of(result)).to_json())
    return json.loads((tmp_path / "whole.json").read_text())


def refused(tmp_path, content):
    """The message with which a report of these bytes is refused."""
    place = tmp_path / "hostile.json"
    place.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(UsageError) as caught:
        read_report(str(place))
    message = str(caught.value)
    assert message.startswith(str(place) + ": ") and message.isprintable() and len(message) < 1200
    return message


def test_a_good_report_is_read_whole(tmp_path):
    whole(tmp_path)
    (measurement,) = read_report(str(tmp_path / "whole.json")).measurements
    assert measurement.samples == {"frame_ms": [50.0], "latency_ms": [150.0], "network_ms": [40.0]}
    assert measurement.circumstances["cpu0 clock's limits"] == "345.6 MHz to ?"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is damaged"),
        (b"\xff\xfe\x00", "is not a text file"),
        (b"[]", "expected an object"),
        (b"{}", "is no report of ccc-bench"),
        (b'{"schema": 1, "frames": 12}', "is no report of ccc-bench"),
        (b'{"kind": "benchmark"}', "schema is None"),
        (b'{"kind": "benchmark", "schema": 2}', "this version reads up to 1"),
        (b'{"kind": "benchmark", "schema": 1, "schema": 1}', "comes twice"),
        (b"[" * 100000, "is damaged"),
        (b'{"kind": "benchmark", "schema": 1' + b"0" * 5000 + b"}", "the report "),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, content, message):
    assert message in refused(tmp_path, content)


def test_a_missing_report_a_folder_and_a_huge_file_are_refused(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            read_report(str(path))
    place = tmp_path / "huge.json"
    with open(str(place), "wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(UsageError, match="has more than 64 MB"):
        read_report(str(place))


def test_a_report_that_is_cut_short_is_refused_wherever_that_is(tmp_path):
    seed = random.randrange(10**6)
    print("seed", seed)
    data = json.dumps(whole(tmp_path)).encode()
    for length in random.Random(seed).sample(range(len(data)), 60):
        refused(tmp_path, data[:length])


def paths_in(value, path=()):
    """The places of all values in a record."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield path + (key,)
        for deeper in paths_in(item, path + (key,)):
            yield deeper


def test_a_wrong_value_in_any_place_is_refused_by_name_or_is_of_no_use_to_a_comparison(tmp_path):
    good = json.dumps(whole(tmp_path))
    refusals = 0
    for path in list(paths_in(json.loads(good))):
        for wrong in (None, True, -1, 10**400, float("nan"), float("inf"), "\x1b[2J" * 200, [], {}, [[]], {"a": 1}):
            record = json.loads(good)
            place = record
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = wrong
            (tmp_path / "hostile.json").write_text(json.dumps(record))
            try:
                report = read_report(str(tmp_path / "hostile.json"))
            except UsageError as error:
                assert str(error).isprintable(), path
                refusals += 1
                continue
            texts = [report.environment] + [each.circumstances for each in report.measurements]
            for text in texts:
                assert all(
                    isinstance(value, float) or (value.isprintable() and len(value) < 400) for value in text.values()
                )
    print(refusals, "refused")
    assert refusals > 400


@pytest.mark.parametrize("path", ["frame_ms", "latency_ms", "network_ms"])
def test_more_samples_than_are_kept_of_any_run_are_refused(tmp_path, path):
    record = whole(tmp_path)
    record["results"][0]["samples"][path]["values"] = [1] * 100001
    assert "has 100001 values, expected at most 100000" in refused(tmp_path, record)


def test_no_models_and_too_many_are_refused(tmp_path):
    record = whole(tmp_path)
    for count in (0, 101):
        assert "results has {} models".format(count) in refused(
            tmp_path, dict(record, results=record["results"] * count)
        )
