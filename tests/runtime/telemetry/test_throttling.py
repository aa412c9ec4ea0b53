"""What slows a machine down, noticed from its samples."""

import json

import pytest

from ccc_jetson.runtime.telemetry import Monitor
from ccc_jetson.runtime.telemetry.clocks import Clock
from ccc_jetson.runtime.telemetry.record import SeriesRecord, Summary, Telemetry
from ccc_jetson.runtime.telemetry.sample import Sample
from ccc_jetson.runtime.telemetry.sysfs import Sysfs
from ccc_jetson.runtime.telemetry.throttling import MOST_INTERVALS, Throttled, ThrottleWatch, throttled_s
from tests.doubles.machines import orin_nano, tx2

GPU = Clock("GPU", 1122.0, 114.75, 1300.5, "nvhost_podgov")
CAP = "sys/class/devfreq/17000000.gp10b/max_freq"


def watched(*samples):
    watch = ThrottleWatch()
    for second, sample in enumerate(samples):
        watch.see(sample._replace(at_s=float(second)))
    return watch


def test_a_board_that_is_cool_is_not_throttled(tmp_path):
    sensors = Sysfs(tx2(tmp_path))
    assert watched(sensors.read(), sensors.read()).intervals == []


def test_a_tx2_whose_gpu_is_held_back_shows_its_cooling_device_and_its_limit(tmp_path):
    sensors = Sysfs(tx2(tmp_path))
    watch = ThrottleWatch()
    watch.see(sensors.read()._replace(at_s=0.0))
    for second, (state, limit) in enumerate(((2, 1122000000), (4, 930750000), (1, 1236750000)), 1):
        tx2(tmp_path, changes={"sys/class/thermal/cooling_device3/cur_state": state, CAP: limit})
        watch.see(sensors.read()._replace(at_s=float(second)))
    tx2(tmp_path)
    watch.see(sensors.read()._replace(at_s=4.0))
    assert watch.intervals == [
        Throttled("cooling by gpu-throttle-alert 3", 1.0, 3.0, "state 4"),
        Throttled("limit of GPU", 1.0, 3.0, "at most 931 MHz instead of 1300"),
    ]


def test_a_limit_of_the_power_mode_is_no_throttling():
    assert watched(*[Sample(clocks=(GPU._replace(high_mhz=1122.0),))] * 3).intervals == []


def test_a_fixed_clock_that_runs_slower_is_noticed_and_a_free_one_is_not():
    fixed = GPU._replace(low_mhz=1300.5, mhz=1300.5)
    (found,) = watched(Sample(clocks=(fixed,)), Sample(clocks=(fixed._replace(mhz=650.0),))).intervals
    assert found == Throttled("GPU below its fixed clock", 1.0, 1.0, "650 MHz instead of 1300")
    assert watched(Sample(clocks=(GPU._replace(mhz=114.75),))).intervals == []


def test_an_orins_over_current_events_are_counted_from_the_first_sample_on(tmp_path):
    sensors = Sysfs(orin_nano(tmp_path))
    watch = ThrottleWatch()
    watch.see(sensors.read()._replace(at_s=0.0))
    orin_nano(tmp_path, changes={"sys/class/hwmon/hwmon3/oc3_event_cnt": 9})
    watch.see(sensors.read()._replace(at_s=1.0))
    watch.see(sensors.read()._replace(at_s=2.0))
    assert watch.intervals == [Throttled("instantaneous over-current", 0.0, 1.0, "7 more, 9 since boot")]


def test_more_intervals_than_are_kept_are_counted():
    on, off = Sample(cooling={"gpu-balanced 2": 1}), Sample(cooling={"gpu-balanced 2": 0})
    watch = watched(*([on, off] * (MOST_INTERVALS + 3)))
    assert len(watch.intervals) == MOST_INTERVALS and watch.uncounted == 3


def test_times_that_overlap_count_once():
    intervals = [Throttled("a", 0.0, 3.0, ""), Throttled("b", 2.0, 5.0, ""), Throttled("c", 7.0, 8.0, "")]
    assert throttled_s(intervals) == 6.0
    assert throttled_s([]) == 0.0


def summary(**changes):
    values = dict.fromkeys(Summary._fields)
    values.update(duration_s=5.0, samples=5, power_of="VDD_IN", peak_temperatures_c={}, lowest_clocks_mhz={})
    return Summary(**dict(values, **changes))


def telemetry(**changes):
    record = Telemetry(1.0, (SeriesRecord("power", "W", ((0.0, 7.0),)),), summary(), (), None, ())
    return record._replace(**changes)


def test_the_two_lines_of_a_report():
    hot = summary(mean_power_w=7.25, max_power_w=9.1, peak_temperatures_c={"GPU": 61.5, "BCPU": 60.0})
    assert telemetry(summary=hot, joules_per_frame=0.4567).facts() == [
        ("power", "7.25 W on average, 9.10 W at most (VDD_IN), 0.457 J a frame"),
        ("heat", "GPU was the hottest, 61.5 C; no throttling seen"),
    ]
    three = tuple(Throttled("cause {}".format(number), 0.0, 1.0 + number, "state 1") for number in range(3))
    assert telemetry(summary=hot, throttling=three).facts()[1][1] == (
        "GPU was the hottest, 61.5 C; throttled for 3.0 s: cause 0 (state 1), cause 1 (state 1) and 1 more"
    )
    assert telemetry(throttling=three[:1]).facts() == [("heat", "throttled for 1.0 s: cause 0 (state 1)")]
    assert telemetry().facts() == []


@pytest.mark.parametrize("record", [telemetry(), Monitor().record()])
def test_a_record_is_json(record):
    told = json.loads(json.dumps(record.to_json(), allow_nan=False))
    assert told["summary"]["throttled_s"] == 0.0
