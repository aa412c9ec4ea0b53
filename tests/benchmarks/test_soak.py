"""The soak in its short form, and what it says of a run that grows."""

import json

import pytest
import soak

from tests.doubles.tiny_model import write_tiny_model

SECONDS = 4.0
QUICK = "synthetic://?size=96x64&fps=20&live=1"


def looks_of(values, name=None):
    return [soak.Look(float(number), {name or soak.MEMORY: value}) for number, value in enumerate(values)]


def test_a_live_run_with_a_page_does_not_grow_and_ends_well(tmp_path, capsys):
    pytest.importorskip("tornado", reason="Tornado is not installed")
    model = write_tiny_model(tmp_path / "model.onnx")
    arguments = [model, str(tmp_path), "--minutes", str(SECONDS / 60), "--interval", "0.1", "--source", QUICK]
    code = soak.main(arguments)
    out = capsys.readouterr().out
    print(out, (tmp_path / "said.txt").read_text())
    assert code == 0
    assert "nothing grows" in out and "descriptors" in out and "threads" in out
    record = json.loads((tmp_path / "soak.json").read_text())
    assert record["problems"] == [] and len(record["looks"]) > 5
    assert (tmp_path / "soak.svg").read_text().startswith("<svg xmlns=")
    assert json.loads((tmp_path / "run.json").read_text())["frames"] > 20


def test_a_run_that_cannot_start_says_why(tmp_path, capsys):
    pytest.importorskip("tornado", reason="Tornado is not installed")
    assert soak.main([str(tmp_path / "no.onnx"), str(tmp_path), "--minutes", "0.01"]) == 1
    assert "the run did not start" in capsys.readouterr().err


def test_memory_that_leaks_is_seen_through_the_noise():
    noise = [0.0, 300.0, -200.0, 100.0]
    leaking = [200000.0 + 60.0 * number + noise[number % 4] for number in range(400)]
    flat = [200000.0 + noise[number % 4] for number in range(400)]
    assert soak.trend(soak.MEMORY, looks_of(leaking)).grows
    assert not soak.trend(soak.MEMORY, looks_of(flat)).grows


def test_a_single_peak_and_a_warm_up_are_no_growth():
    values = [50000.0 + 1000.0 * min(number, 90) for number in range(200)]
    values[150] += 90000.0
    assert not soak.trend(soak.MEMORY, looks_of(values)).grows


def test_a_descriptor_lost_at_every_reconnection_grows():
    lost = [10.0 + number // 40 for number in range(400)]
    assert soak.trend("descriptors", looks_of(lost, "descriptors")).grows
    comes_and_goes = [10.0 + (number // 20) % 2 for number in range(400)]
    assert not soak.trend("descriptors", looks_of(comes_and_goes, "descriptors")).grows


def test_minutes_have_their_rate_latencies_and_drops(tmp_path):
    lines = [
        {
            "captured": "2026-03-01T12:{:02d}:{:02d}.000Z".format(*divmod(second, 60)),
            "latency_ms": 10.0 + second % 60,
            "dropped": second // 60,
        }
        for second in range(150)
    ]
    path = tmp_path / "frames.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    minutes = soak.minutes_of(str(path))
    assert [each.fps for each in minutes] == [1.0, 1.0]
    assert [each.dropped for each in minutes] == [0, 1]
    assert minutes[0].median_ms == pytest.approx(39.5) and minutes[0].p99_ms == 69.0
