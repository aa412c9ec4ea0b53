"""The monitor: a bounded record of what the sensors show, which no sensor's failure ends."""

import json
import os
import threading
import time

import pytest

from ccc_jetson.engines.machine import Memory
from ccc_jetson.runtime.telemetry import Monitor, Sample
from ccc_jetson.runtime.telemetry.clocks import Clock
from ccc_jetson.runtime.telemetry.monitor import MOST_POINTS, Span


class Clocked:
    """Seconds that a test moves on."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


class Scripted:
    """Sensors that show one sample after the other, then the last one for ever; a step of the clock each."""

    def __init__(self, samples, clock=None, step_s=1.0):
        self.trouble = set()
        self.closed = False
        self.done = threading.Event()
        self._samples, self._clock, self._step_s = list(samples), clock, step_s
        self._given = 0

    def read(self):
        if self._given >= len(self._samples):
            time.sleep(0.05)  # or thousands would come before the test says that it has seen enough
        if self._clock is not None and self._given:
            self._clock.now_s += self._step_s
        sample = self._samples[min(self._given, len(self._samples) - 1)]
        self._given += 1
        if self._given >= len(self._samples):
            self.done.set()
        if isinstance(sample, Exception):
            raise sample
        return sample

    def close(self):
        self.closed = True


def monitored(samples, interval_s=0.0, **more):
    """A monitor that has seen at least these samples, with a clock of their own."""
    clock = Clocked()
    sensors = Scripted(samples, clock, **more)
    monitor = Monitor(interval_s, sensors=lambda: sensors, clock=clock)
    with monitor:
        assert sensors.done.wait(10)
    assert sensors.closed
    return monitor


def power(watts):
    return Sample(power_w=watts, power_of="VDD_IN", rails_w={"VDD_IN": watts, "VDD_SYS_GPU": watts / 2})


def test_a_record_has_series_with_units_a_summary_and_throttling():
    hot = power(8.0)._replace(
        temperatures_c={"GPU": 71.5, "BCPU": 60.0},
        loads_percent={"GPU": 97.0, "cpu0": 50.0, "cpu1": 100.0},
        clocks=(Clock("cpu0", 2035.2, 345.6, 2035.2, ""), Clock("GPU", 1122.0, 114.75, 1122.0, "")),
        memory=Memory(8 * 10**9, 5 * 10**9, 10**9, 10**9 - 4096),
    )
    record = monitored([power(4.0), hot]).record()
    told = json.loads(json.dumps(record.to_json(), allow_nan=False))
    assert set(told) == {"interval_s", "series", "summary", "throttling", "joules_per_frame", "notes"}
    series = {each["name"]: each for each in told["series"]}
    assert series["power"]["unit"] == "W"
    assert series["power"]["points"][:2] == [[0.0, 4.0], [1.0, 8.0]]
    assert series["CPU load"]["points"][0] == [1.0, 75.0]
    assert series["GPU clock"]["unit"] == "MHz"
    assert series["memory used"]["points"][0] == [1.0, 3.0]
    assert "rail VDD_SYS_GPU" in series and "rail VDD_IN" not in series
    summary = told["summary"]
    assert summary["power_of"] == "VDD_IN" and summary["max_power_w"] == 8.0
    assert (summary["hottest"], summary["hottest_c"]) == ("GPU", 71.5)
    assert summary["lowest_clocks_mhz"] == {"GPU": 1122.0, "CPU": 2035.2}
    assert (summary["peak_memory_bytes"], summary["peak_swap_bytes"]) == (3 * 10**9, 4096)
    assert told["throttling"] == [] and told["notes"] == []


def test_what_was_not_measured_is_none_and_never_zero():
    record = monitored([Sample()]).record(Span(100.0, 101.0, 10))
    told = record.to_json()
    assert told["series"] == [] and told["joules_per_frame"] is None
    for name in ("mean_power_w", "max_power_w", "energy_j", "hottest_c", "peak_memory_bytes", "peak_swap_bytes"):
        assert told["summary"][name] is None
    assert record.facts() == []


def test_energy_is_the_area_below_the_power_and_divided_among_the_frames_of_a_span():
    # 2 W, 4 W, 6 W at 0, 1, 2 s: 3 J and 5 J; from 0.5 to 1.5 s it is 4 J
    monitor = monitored([power(2.0), power(4.0), power(6.0), Sample()])
    assert monitor.record().summary.energy_j == pytest.approx(8.0)
    assert monitor.record(Span(100.5, 101.5, 8)).joules_per_frame == pytest.approx(0.5)
    assert monitor.record(Span(100.5, 101.5, 0)).joules_per_frame is None


def test_a_span_that_was_mostly_not_measured_has_no_energy():
    monitor = monitored([power(2.0), power(2.0), Sample()])
    assert monitor.record(Span(100.0, 102.1, 10)).joules_per_frame is None
    assert monitor.record(Span(100.0, 101.9, 10)).joules_per_frame == pytest.approx(2.0 * 1.9 / 10)


def test_hours_take_no_more_memory_than_minutes():
    monitor = monitored([power(float(number % 7)) for number in range(5 * MOST_POINTS)])
    record = monitor.record()
    assert record.summary.samples >= 5 * MOST_POINTS
    assert all(len(each.points) <= MOST_POINTS for each in record.series)
    assert record.summary.max_power_w == 6.0


def test_a_sample_that_fails_is_noted_once_and_the_next_one_taken():
    monitor = monitored([OSError("bus error\x1b[2J"), OSError("bus error\x1b[2J"), power(3.0)])
    record = monitor.record()
    assert record.notes == ("a sample failed: bus error?[2J",)
    assert record.summary.max_power_w == 3.0


def test_sensors_that_cannot_be_opened_leave_an_empty_record():
    def broken():
        raise RuntimeError("no sensors")

    monitor = Monitor(sensors=broken)
    with monitor:
        pass
    assert monitor.latest() is None and monitor.readings() == {}
    assert monitor.record().notes == ("the sensors could not be opened: no sensors",)


def test_a_sensor_that_hangs_keeps_nobody_waiting():
    release = threading.Event()

    class Hanging(Scripted):
        def read(self):
            release.wait(60)
            return Sample()

    sensors = Hanging([Sample()])
    monitor = Monitor(sensors=lambda: sensors)
    monitor.start()
    began_s = time.monotonic()
    monitor.stop()
    took_s = time.monotonic() - began_s
    release.set()
    assert took_s < 30
    assert monitor.record().summary.samples == 0


def test_the_latest_sample_can_be_had_at_any_time_as_a_page_shows_it():
    monitor = monitored([power(4.0)._replace(temperatures_c={"GPU": 50.0})])
    latest = monitor.latest().to_json()
    assert (latest["power_w"], latest["hottest"], latest["hottest_c"]) == (4.0, "GPU", 50.0)
    assert latest["gpu_mhz"] is None and latest["memory_used_bytes"] is None
    json.dumps(latest, allow_nan=False)
    assert monitor.readings() == {"power": (4.0, "W"), "temperature GPU": (50.0, "C"), "rail VDD_SYS_GPU": (2.0, "W")}


def test_this_machine_is_monitored_without_a_word():
    with Monitor(0.1) as monitor:
        time.sleep(0.3)
    record = monitor.record()
    assert record.summary.samples >= 2
    assert record.summary.memory_bytes > 0
    json.dumps(record.to_json(), allow_nan=False)


def test_a_monitor_leaves_neither_thread_nor_file_nor_child(tmp_path, monkeypatch):
    command = tmp_path / "tegrastats"
    command.write_text("#!/bin/sh\necho $$ > {}/pid\nexec sleep 600\n".format(tmp_path))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with Monitor(0.1) as monitor:
            until_s = time.monotonic() + 20
            while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text() and monitor.latest()):
                assert time.monotonic() < until_s
                time.sleep(0.01)
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)
        (tmp_path / "pid").unlink()
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == (threads, files)
