"""Lines of ``tegrastats`` as users of boards show them, and the child process that prints them."""

import os
import random
import sys
import time

import pytest

from ccc_jetson.engines.machine import Memory
from ccc_jetson.runtime.telemetry import Monitor
from ccc_jetson.runtime.telemetry.sample import merged
from ccc_jetson.runtime.telemetry.sensors import Sensors
from ccc_jetson.runtime.telemetry.sysfs import Sysfs
from ccc_jetson.runtime.telemetry.tegrastats import Tegrastats, parse_line, start_tegrastats
from tests.doubles.machines import tx2

HERE = os.path.dirname(os.path.abspath(__file__))


def lines():
    with open(os.path.join(HERE, "tegrastats_lines.txt"), encoding="ascii") as file:
        return dict(line.rstrip("\n").split("\t") for line in file)


LINES = lines()
MIB = 1 << 20
# name -> power in W, the rails that it is of, GPU load, GPU MHz, memory load, memory MHz, loads of the cores, hottest
GOLDEN = {
    "tx2_r32_sudo": (5.297, "VDD_IN", 0, 114, 1, 1866, (44, 49, 67, 17, 25, 8), ("PLL", 42.5)),
    "tx2_r32_nosudo": (1.649, "VDD_IN", 0, None, None, None, (0, 0, 0, 0, 0, 0), ("PLL", 35.5)),
    "tx2_4gb": (2.93, "VDD_IN", 0, 114, 0, 1600, (8, 26, 24, 7, 7, 6), ("PLL", 39.0)),
    "tx2_mode3_off": (1.423, "VDD_IN", 0, 114, 16, 102, (1, None, None, 0, 2, 0), ("PLL", 35.5)),
    "tx2_r28": (7.358, "VDD_IN", 0, 1300, 2, 1866, (85, 67, 56, 81, 80, 86), ("BCPU", 38.5)),
    "nano_r32": (2.056, "POM_5V_IN", 0, None, None, None, (21, 15, 21, 19), ("AO", 26.0)),
    "tx1": (2.532, "VDD_IN", 0, 76, 7, 408, (1, 4, 0, 0), ("Tdiode", 42.75)),
    "agx_xavier_r32": (
        3.229, "GPU + CPU + SOC + CV + VDDRQ + SYS5V", 0, None, None, None,
        (0, 0, 0, 1, None, None, None, None), ("Tdiode", 44.75),
    ),
    "xavier_nx_r32": (3.528, "VDD_IN", 0, 114, 1, 1600, (14, 9, 2, 4, 0, 1), ("CPU", 33.0)),
    "agx_orin_jp5": (
        9.428, "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0", 0, 114, 0, 204, (0, 0, 1) + (0,) * 9, ("CPU", 43.5)
    ),
    "orin_nano_jp6": (12.479, "VDD_IN", 63, 621, 43, 2133, (15, 11, 14, 13, 11, 8), ("cpu", 53.968)),
    "agx_orin_jp7": (
        13.907, "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0", 12, 1300, 3, 3199,
        (23, 10, 4, 14, 30, 18, 10, 10, 33, 7, 5, 27), ("cpu", 52.968),
    ),
    "thor": (None, "", None, 1000, 2, 1866, (), None),
}  # fmt: skip


def test_every_line_has_a_golden_record():
    assert set(GOLDEN) == set(LINES)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_real_line_is_understood(name):
    power_w, power_of, gpu_load, gpu_mhz, memory_load, memory_mhz, cores, hottest = GOLDEN[name]
    sample = parse_line(LINES[name])
    assert sample.power_w == (None if power_w is None else pytest.approx(power_w))
    assert sample.power_of == power_of
    assert (sample.gpu_load_percent, sample.mhz("GPU")) == (gpu_load, gpu_mhz)
    assert (sample.loads_percent.get("memory"), sample.mhz("memory")) == (memory_load, memory_mhz)
    assert tuple(sample.loads_percent.get("cpu{}".format(number)) for number in range(len(cores))) == cores
    assert sample.hottest == hottest
    assert not {"PMIC", "CV0"} & set(sample.temperatures_c)
    assert "NC" not in sample.rails_w


def test_the_line_of_a_tx2_to_the_last_figure():
    sample = parse_line(LINES["tx2_r32_sudo"])
    assert sample.memory == Memory(7859 * MIB, (7859 - 3276) * MIB, 12122 * MIB, (12122 - 1626) * MIB)
    assert sample.rails_w == {
        "VDD_SYS_GPU": 0.182, "VDD_SYS_SOC": 0.73, "VDD_4V0_WIFI": 0.0, "VDD_IN": 5.297, "VDD_SYS_CPU": 1.917,
        "VDD_SYS_DDR": 1.241,
    }  # fmt: skip
    assert sample.temperatures_c == {
        "PLL": 42.5, "MCPU": 42.5, "Tboard": 38.0, "GPU": 39.5, "BCPU": 42.5, "thermal": 41.3, "Tdiode": 39.25
    }  # fmt: skip
    assert sample.mhz("cpu2") == 2034.0


def test_hostile_lines_raise_nothing():
    seed = random.randrange(10**6)
    print("seed", seed)
    generator = random.Random(seed)
    for line in LINES.values():
        for _ in range(40):
            damaged = list(line)
            for _ in range(generator.randrange(1, 30)):
                place = generator.randrange(len(damaged))
                damaged[place] = generator.choice("0129%@[],/ C\x00\x1b-.mWé")
            cut = "".join(damaged)[: generator.randrange(len(line))]
            sample = parse_line(cut)
            assert all(-200 < value < 10000 for value in sample.temperatures_c.values())
    for line in (
        "",
        "9" * 10**6,
        "RAM 1/" + "9" * 5000 + "MB",
        "CPU [" + "1%@1," * 5000,
        "GR3D_FREQ 1%@[",
        "RAM 9/1MB",
    ):
        parse_line(line)
    assert parse_line("RAM 9/1MB").memory.available == 0


def fake(folder, body):
    """A program called tegrastats; Python, so that it can be asked for anything."""
    path = folder / "tegrastats"
    path.write_text("#!{}\nimport os, sys, time\n{}\n".format(sys.executable, body))
    path.chmod(0o755)
    return str(path)


def wait_for(condition):
    until_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_the_child_is_read_as_it_prints_and_ended_and_reaped(tmp_path):
    command = fake(
        tmp_path,
        "assert sys.argv[1:] == ['--interval', '200'], sys.argv\n"
        "print({!r}, flush=True)\nprint('RAM 1/2', end='', flush=True)\ntime.sleep(600)".format(LINES["tx2_r28"]),
    )
    child = Tegrastats(0.2, command)
    wait_for(lambda: child.latest() is not None)
    assert child.latest().power_w == 7.358  # the line that it is still printing does not count
    assert child.exit_code is None
    process = child._process
    child.close()
    assert process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_child_that_does_not_want_to_end_is_killed(tmp_path):
    command = fake(
        tmp_path, "import signal\nsignal.signal(15, signal.SIG_IGN)\nprint('RAM 1/2MB', flush=True)\ntime.sleep(600)"
    )
    child = Tegrastats(0.2, command)
    wait_for(lambda: child.latest() is not None)
    child.close()
    assert child.exit_code == -9


def test_a_child_that_floods_costs_no_memory(tmp_path):
    child = Tegrastats(0.1, fake(tmp_path, "while True: os.write(1, b'x' * 65536)"))
    for _ in range(3):
        child.latest()
        assert len(child._begun) <= 1 << 14
    child.close()


def test_a_line_that_is_late_is_of_no_moment(tmp_path, monkeypatch):
    child = Tegrastats(0.1, fake(tmp_path, "print('RAM 1/2MB', flush=True)\ntime.sleep(600)"))
    wait_for(lambda: child.latest() is not None)
    child._late_s = -1.0
    assert child.latest() is None
    child.close()


def test_a_machine_without_tegrastats_has_the_rest(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert start_tegrastats(1.0) is None
    (tmp_path / "tegrastats").write_text("no interpreter")
    (tmp_path / "tegrastats").chmod(0o755)
    assert start_tegrastats(1.0) is None
    sensors = Sensors(1.0)
    assert sensors.read().memory.total > 0
    sensors.close()


def test_a_monitor_takes_the_childs_figures_first_and_sysfs_for_the_rest(tmp_path, monkeypatch):
    fake(tmp_path, "print({!r}, flush=True)\ntime.sleep(600)".format(LINES["tx2_r32_nosudo"]))
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    with Monitor(0.1) as monitor:
        wait_for(lambda: monitor.latest() is not None and monitor.latest().power_w is not None)
    assert monitor.latest().power_w == 1.649
    assert monitor.record().summary.power_of == "VDD_IN"


def test_a_child_that_dies_is_noted_once(tmp_path, monkeypatch):
    fake(tmp_path, "print('VDD_IN 9999000/9999000', flush=True)\nsys.exit(3)")
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    sensors = Sensors(0.1)
    wait_for(lambda: sensors._tegrastats.exit_code is not None)
    sensors.read()
    assert sensors.read().power_w != 9999.0
    assert sensors.trouble == {"tegrastats, which ended with code 3"}
    sensors.close()


@pytest.mark.parametrize(
    "body",
    ["", "print('VDD_IN 9999000/9999000', flush=True)", "while True: print('what?', flush=True); time.sleep(0.01)"],
    ids=["nothing", "one line", "rubbish"],
)
def test_a_child_that_runs_and_says_nothing_any_more_is_noted_once(tmp_path, monkeypatch, body):
    monkeypatch.setattr("ccc_jetson.runtime.telemetry.tegrastats._LATE_S", 0.2)
    fake(tmp_path, body + "\ntime.sleep(600)")
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    with Monitor(0.1) as monitor:
        wait_for(lambda: monitor.record().notes)
        seen = monitor.latest()
        wait_for(lambda: monitor.latest() is not seen)
    assert monitor.record().notes == ("stopped working: tegrastats, which runs and says nothing that can be read",)
    assert monitor.latest().power_w != 9999.0


def test_a_child_that_prints_in_time_is_not_noted(tmp_path, monkeypatch):
    fake(tmp_path, "while True: print('RAM 1/2MB', flush=True); time.sleep(0.01)")
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    with Monitor(0.1) as monitor:
        wait_for(lambda: monitor.record().summary.samples > 5)
    assert monitor.record().notes == ()


def test_of_two_sources_each_counts_for_what_it_knows_better(tmp_path):
    line, files = parse_line(LINES["tx2_r32_sudo"]), Sysfs(tx2(tmp_path)).read()
    both = merged(line, files)
    assert (both.power_w, both.rails_w, both.temperatures_c) == (5.297, line.rails_w, line.temperatures_c)
    assert both.gpu_load_percent == 0.0 and both.loads_percent["memory"] == 1.0
    assert both.memory == files.memory
    assert both.cooling == files.cooling
    clocks = {clock.name: clock for clock in both.clocks}
    assert clocks["GPU"] == files.clocks[-1] and clocks["GPU"].high_mhz == 1300.5
    assert clocks["memory"].mhz == 1866.0
    bare = merged(parse_line("RAM 1/2MB"), files._replace(memory=None))
    assert (bare.power_w, bare.memory.total) == (7.358, 2 << 20)
