"""The sensors of boards and of a PC, from trees of their files."""

import os
import random

import pytest

from ccc_jetson.runtime.telemetry.sysfs import Sysfs
from tests.doubles.machines import build, nano, orin_nano, pc, pc_files, tx2, tx2_files


def test_a_tx2_shows_its_rails_temperatures_loads_and_clocks(tmp_path):
    sample = Sysfs(tx2(tmp_path)).read()
    assert (sample.power_w, sample.power_of) == (7.358, "VDD_IN")
    assert sample.rails_w["VDD_SYS_DDR"] == 1.318
    assert sample.temperatures_c == {
        "BCPU": 42.5, "MCPU": 42.5, "GPU": 39.5, "PLL": 42.5, "Tboard": 38.0, "Tdiode": 39.25, "thermal": 41.3
    }  # fmt: skip
    assert sample.gpu_load_percent == 42.1
    assert sample.mhz("GPU") == 318.75
    assert sample.cpu_mhz == 1420.8
    assert sample.memory.total == 7854 << 20
    assert sample.cooling == {"bcpu-throttle-alert 1": 0, "mcpu-throttle-alert 2": 0, "gpu-throttle-alert 3": 0}
    assert sample.mhz("memory") is None and "memory" not in sample.loads_percent


def test_a_nano_has_other_names(tmp_path):
    sample = Sysfs(nano(tmp_path)).read()
    assert (sample.power_w, sample.power_of) == (2.056, "POM_5V_IN")
    assert sample.temperatures_c == {"AO": 26.0, "CPU": 20.5, "GPU": 20.0}


def test_an_orins_rails_are_voltage_times_current_and_parts_that_are_off_are_left_out(tmp_path):
    sensors = Sysfs(orin_nano(tmp_path))
    sample = sensors.read()
    assert sample.power_w == pytest.approx(12.48)
    assert sample.power_of == "VDD_IN"
    assert sample.temperatures_c == {"cpu": 53.968, "gpu": 53.343, "tj": 53.968}
    assert sample.gpu_load_percent == 63.0
    assert sample.events == {"oc1_event_cnt": 0, "oc2_event_cnt": 0, "oc3_event_cnt": 2}
    assert sample.cooling == {"cpufreq-cpu0 1": 0, "devfreq-17000000.gpu 2": 0}
    assert sensors.trouble == set()


def test_a_pcs_power_and_load_are_of_the_time_between_two_readings(tmp_path, monkeypatch):
    now_s = [10.0]
    monkeypatch.setattr("ccc_jetson.runtime.telemetry.sysfs.time.monotonic", lambda: now_s[0])
    sensors = Sysfs(pc(tmp_path))
    first = sensors.read()
    assert first.power_w is None and first.loads_percent == {} and first.rails_w == {}
    assert first.temperatures_c == {"acpitz": 27.8, "x86_pkg_temp": 51.0}
    assert first.events == {"cpu0 core_throttle_count": 4}
    assert first.cooling == {"Processor 0": 0}  # neither an offset nor a clamp that is not in use
    now_s[0] += 2.0
    pc(tmp_path, changes={
        "sys/class/powercap/intel-rapl:0/energy_uj": 35000000,
        "proc/stat": "cpu0 275 0 50 775 0 0 0 0 0 0\ncpu1 200 0 50 850 0 0 0 0 0 0\n",
    })  # fmt: skip
    second = sensors.read()
    assert (second.power_w, second.power_of) == (15.0, "package-0 (RAPL: the processor alone)")
    assert second.loads_percent == {"cpu0": 75.0, "cpu1": 0.0}
    assert second.cpu_load_percent == 37.5
    now_s[0] += 2.0
    pc(tmp_path, changes={"sys/class/powercap/intel-rapl:0/energy_uj": 5})
    assert sensors.read().power_w is None  # the counter has begun at 0 again


def test_a_machine_that_shows_nothing_has_nothing_and_no_zeros(tmp_path):
    sample = Sysfs(str(tmp_path)).read()
    assert sample.power_w is None and sample.hottest is None and sample.memory is None
    assert sample.cpu_load_percent is None and sample.gpu_load_percent is None and sample.clocks == ()


def test_a_sensor_that_stops_is_named_and_the_others_go_on(tmp_path):
    sensors = Sysfs(tx2(tmp_path))
    os.unlink(str(tmp_path / "sys/class/thermal/thermal_zone2/temp"))
    os.unlink(str(tmp_path / "sys/bus/i2c/drivers/ina3221x/0-0041/iio:device1/in_power0_input"))
    sample = sensors.read()
    assert sensors.trouble == {"GPU", "VDD_IN"}
    assert sample.power_w is None and sample.temperatures_c["BCPU"] == 42.5
    orin = tmp_path / "orin"
    sensors = Sysfs(orin_nano(orin))
    os.unlink(str(orin / "sys/class/hwmon/hwmon1/curr1_input"))
    assert "VDD_IN" not in sensors.read().rails_w
    assert sensors.trouble == {"VDD_IN"}
    other = tmp_path / "pc"
    sensors = Sysfs(pc(other))
    os.unlink(str(other / "sys/class/powercap/intel-rapl:0/energy_uj"))
    assert sensors.read().power_w is None
    assert sensors.trouble == {"package-0"}


def test_two_zones_of_the_same_name_are_both_kept(tmp_path):
    zone = "sys/class/thermal/thermal_zone{}/{}"
    files = {
        zone.format(number, name): value for number in (0, 1) for name, value in (("type", "acpitz"), ("temp", 30000))
    }
    assert Sysfs(build(tmp_path, files)).read().temperatures_c == {"acpitz": 30.0, "acpitz1": 30.0}


@pytest.mark.parametrize("files", [tx2_files(), pc_files()], ids=["TX2", "PC"])
def test_whatever_the_files_hold_nothing_is_raised(tmp_path, files):
    seed = random.randrange(10**6)
    print("seed", seed)
    generator = random.Random(seed)
    for number in range(20):
        noise = {
            path: bytes(generator.randrange(256) for _ in range(generator.randrange(12)))
            for path in files
            if generator.random() < 0.5
        }
        sensors = Sysfs(build(tmp_path / str(number), files, changes=noise))
        sensors.read()
        sample = sensors.read()
        assert all(name.isprintable() for name in sample.temperatures_c)
        assert all(value == value for value in sample.rails_w.values())
