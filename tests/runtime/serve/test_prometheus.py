"""Figures for monitoring, line by line."""

import re

import pytest

pytest.importorskip("onnx")

from ccc_jetson.runtime.live import LiveStatistics  # noqa: E402
from ccc_jetson.runtime.metrics import Counters  # noqa: E402
from ccc_jetson.runtime.serve.prometheus import Metric, metrics, to_text  # noqa: E402
from tests.doubles.stages import segmentation_of  # noqa: E402
from tests.doubles.tiny_model import tiny_contract  # noqa: E402
from tests.runtime.serve.conftest import frame_of  # noqa: E402

LABELS = r"\{[a-z]+=\"(?:[^\"\\]|\\.)*\"(?:,[a-z]+=\"(?:[^\"\\]|\\.)*\")*\}"
LINE = re.compile(r"([a-z_]+)(" + LABELS + r")? (-?[0-9.e+-]+)\Z")


def parsed(text):
    """{name with labels: value}; fails on a line that the format does not allow, or without its HELP and TYPE."""
    values, kinds, helped = {}, {}, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split(" ", 3)[2])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds and name in helped and kind in ("counter", "gauge", "summary"), line
            kinds[name] = kind
        else:
            match = LINE.match(line)
            assert match, line
            base = re.sub(r"_(sum|count)\Z", "", match.group(1))
            assert match.group(1) in kinds or kinds.get(base) == "summary", line
            assert (match.group(1) + (match.group(2) or "")) not in values, line
            values[match.group(1) + (match.group(2) or "")] = float(match.group(3))
    assert text.endswith("\n")
    return values, kinds


def test_a_run_before_its_first_frame():
    values, _ = parsed(to_text(metrics(LiveStatistics(tiny_contract()), 0, {"model": "Tiny"})))
    assert values == {
        'ccc_run_info{model="Tiny"}': 1,
        "ccc_frames_total": 0,
        "ccc_frames_dropped_total": 0,
        "ccc_clients": 0,
    }


def test_everything_that_is_known_of_a_run():
    readings = {
        "VDD_IN": (7400.0, "mW"), "total": (9.5, "W"), "GPU": (48.5, "C"), "CPU": (50.0, "\u00b0C"),
        "load": (37.0, "%"), "EMC": (1866.0, "MHz"), "fan": (1200.0, "rpm"), "memory used": (3.5, "GB"),
    }  # fmt: skip
    live = LiveStatistics(tiny_contract(), lambda: readings)
    live.watch(lambda: Counters(41, 3, (("infer", 41, 2.05), ("sink", 41, 0.1))))
    frame = frame_of(0)
    live.write(frame, segmentation_of(frame.image, 10))
    live.sample()
    values, kinds = parsed(to_text(metrics(live, 2, {"model": "Tiny", "source": 'a "b"\\\nc'})))
    assert values["ccc_frames_total"] == 41 and values["ccc_frames_dropped_total"] == 3 and values["ccc_clients"] == 2
    assert values['ccc_stage_seconds_total{stage="infer"}'] == 2.05
    assert values['ccc_stage_frames_total{stage="sink"}'] == 41
    assert values["ccc_latency_seconds_count"] == 1
    assert 0 <= values['ccc_latency_seconds{quantile="0.5"}'] == values["ccc_latency_seconds_sum"]
    assert values['ccc_class_ratio{class="sky"}'] == 1.0
    assert values['ccc_power_watts{sensor="VDD_IN"}'] == pytest.approx(7.4)
    assert values['ccc_power_watts{sensor="total"}'] == 9.5
    assert values['ccc_temperature_celsius{sensor="GPU"}'] == 48.5
    assert values['ccc_temperature_celsius{sensor="CPU"}'] == 50.0
    assert values['ccc_load_ratio{sensor="load"}'] == pytest.approx(0.37)
    assert values['ccc_clock_hertz{sensor="EMC"}'] == pytest.approx(1.866e9)
    assert values['ccc_memory_bytes{sensor="memory used"}'] == 3.5e9
    assert values['ccc_sensor{sensor="fan",unit="rpm"}'] == 1200.0
    assert values["ccc_fps"] > 0
    assert kinds["ccc_latency_seconds"] == "summary" and kinds["ccc_frames_total"] == "counter"


def test_labels_and_help_are_escaped():
    metric = Metric("ccc_x", "gauge", "a\\b\nc", (("", (("name", 'q"\\\n'),), 1.5),))
    assert metric.to_text() == '# HELP ccc_x a\\\\b\\nc\n# TYPE ccc_x gauge\nccc_x{name="q\\"\\\\\\n"} 1.5\n'
