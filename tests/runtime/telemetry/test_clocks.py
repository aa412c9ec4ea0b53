"""The clocks of CPU, GPU and memory, from files as boards have them."""

import os
import random

import pytest

from ccc_jetson.runtime.telemetry.clocks import Clock, Clocks, read_clocks

CPU = "sys/devices/system/cpu/cpu{}/cpufreq/"
GPU, EMC = "sys/class/devfreq/17000000.gp10b/", "sys/kernel/debug/bpmp/debug/clk/emc/"


def core(number, now=2035200, low=345600, high=2035200, governor="schedutil"):
    folder = CPU.format(number)
    return {
        folder + "scaling_cur_freq": now,
        folder + "scaling_min_freq": low,
        folder + "scaling_max_freq": high,
        folder + "scaling_governor": governor,
    }


def gpu(folder=GPU, now=1122000000, low=114750000, high=1122000000):
    return {
        folder + "cur_freq": now,
        folder + "min_freq": low,
        folder + "max_freq": high,
        folder + "governor": "nvhost_podgov",
    }


EMC_FILES = {EMC + "rate": 1600000000, EMC + "min_rate": 40800000, EMC + "max_rate": 1866000000}
TX2_MODE_3 = {"sys/devices/system/cpu/online": "0,3-5"}
for _number in (0, 3, 4, 5):
    TX2_MODE_3.update(core(_number))


def root_with(folder, *files):
    for group in files:
        for path, value in group.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(value if isinstance(value, bytes) else "{}\n".format(value).encode())
    return str(folder)


def test_a_tx2_in_its_default_mode(tmp_path):
    clocks = read_clocks(root_with(tmp_path, TX2_MODE_3, gpu(), EMC_FILES))
    assert clocks.online == "0,3-5"
    assert [clock.name for clock in clocks.cores] == ["cpu0", "cpu3", "cpu4", "cpu5"]
    assert clocks.cores[0] == Clock("cpu0", 2035.2, 345.6, 2035.2, "schedutil")
    assert clocks.gpu == Clock("GPU", 1122.0, 114.75, 1122.0, "nvhost_podgov")
    assert clocks.memory == Clock("memory", 1600.0, 40.8, 1866.0, "")
    assert clocks.to_text() == (
        "cores 0,3-5 on; cpu0 2035 MHz of 346 to 2035 (schedutil); GPU 1122 MHz of 115 to 1122 (nvhost_podgov); "
        "memory 1600 MHz of 41 to 1866"
    )
    assert clocks.to_json()["gpu"]["mhz"] == 1122.0


def test_clocks_that_jetson_clocks_has_fixed_are_told_as_fixed(tmp_path):
    root = root_with(tmp_path, core(0, low=2035200), gpu(now=1300500000, low=1300500000, high=1300500000))
    clocks = read_clocks(root)
    assert clocks.gpu.is_fixed and clocks.cores[0].is_fixed
    assert "GPU 1300 MHz, fixed (nvhost_podgov)" in clocks.to_text()


def test_cores_that_differ_are_told_apart(tmp_path):
    root = root_with(tmp_path, core(0), core(1, now=1420800), core(2, now=1420800), core(3))
    assert read_clocks(root).to_text().count("cpu") == 3


@pytest.mark.parametrize(
    "folder",
    ["sys/class/devfreq/57000000.gpu/", "sys/class/devfreq/17000000.gv11b/", "sys/class/devfreq/17000000.ga10b/",
     "sys/devices/gpu.0/devfreq/17000000.gp10b/"],
)  # fmt: skip
def test_other_boards_have_other_names_for_the_gpu(tmp_path, folder):
    others = gpu("sys/class/devfreq/15340000.vic/", now=1), gpu("sys/class/devfreq/13e10000.host1x/", now=2)
    assert read_clocks(root_with(tmp_path, gpu(folder), *others)).gpu.mhz == 1122.0


def test_the_nanos_memory_clock_has_another_place(tmp_path):
    folder = "sys/kernel/debug/clk/emc/"
    assert read_clocks(root_with(tmp_path, {folder + "clk_rate": 1600000000})).memory == Clock(
        "memory", 1600.0, None, None, ""
    )


def test_a_machine_that_shows_no_clocks_has_none(tmp_path):
    clocks = read_clocks(str(tmp_path))
    assert clocks == Clocks("", (), None, None)
    assert clocks.to_text() == ""


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"<unsupported>", b"-5", b"1e9", b"9" * 40, b"\xff\xfe", b"\x1b[2J", b"12 34"]
)
def test_a_file_without_a_frequency_leaves_its_clock_out(tmp_path, content):
    clocks = read_clocks(root_with(tmp_path, {GPU + "cur_freq": content, CPU.format(0) + "scaling_cur_freq": content}))
    assert clocks.gpu is None and clocks.cores == ()


def test_whatever_the_files_hold_it_is_read_without_an_exception(tmp_path):
    seed = random.randrange(10**6)
    print("seed", seed)
    generator = random.Random(seed)
    files = dict(TX2_MODE_3, **gpu())
    for number in range(30):
        changed = {path: bytes(generator.randrange(256) for _ in range(generator.randrange(12))) for path in files}
        clocks = read_clocks(root_with(tmp_path / str(number), changed))
        assert clocks.to_text().isprintable()


def test_a_pipe_or_folder_in_a_files_place_is_not_waited_for(tmp_path):
    root = root_with(tmp_path, gpu())
    os.unlink(root + "/" + GPU + "cur_freq")
    os.mkfifo(root + "/" + GPU + "cur_freq")
    os.makedirs(root + "/" + CPU.format(0) + "scaling_cur_freq")
    assert read_clocks(root).gpu is None
