"""Telemetry in what the commands print and write."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

import ccc_jetson
from ccc_jetson.runtime import eval_cli, run_cli
from ccc_jetson.runtime.bench import cli as bench_cli
from ccc_jetson.runtime.telemetry.sample import Sample
from tests.doubles.labelled_frames import write_pairs
from tests.doubles.machines import orin_nano, tx2
from tests.doubles.pictures import write_pictures

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.doubles.tiny_model import write_tiny_model  # noqa: E402  (needs onnx)


class Warm:
    """Sensors of a board that draws 7.5 W and whose GPU is held back."""

    trouble = frozenset()

    def read(self):
        return Sample(power_w=7.5, power_of="VDD_IN", temperatures_c={"GPU": 61.5}, cooling={"gpu-balanced 2": 3})

    def close(self):
        pass


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a model, pictures and labelled pairs, on a board."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ccc_jetson.runtime.telemetry.monitor.Sensors", lambda interval_s, root: Warm())
    monkeypatch.setattr("ccc_jetson.runtime.bench.plan.NETWORK_S", 0.01)
    write_tiny_model(tmp_path / "model.onnx")
    (tmp_path / "pictures").mkdir()
    write_pictures(tmp_path / "pictures", 40)
    write_pairs(tmp_path, count=6)
    return tmp_path


BENCH = ["model.onnx", "--duration", "0.3", "--warm-up-frames", "5", "--warm-up-seconds", "0.01"]
PAIRS = ["model.onnx", "--images", "images", "--labels", "labels", "--mapping", "camvid"]
COMMANDS = {
    "ccc-run": (run_cli.main, ["--images", "pictures", "--headless"]),
    "ccc-bench": (bench_cli.main, BENCH),
    "ccc-eval": (eval_cli.main, PAIRS),
}


def telemetry_of(report):
    record = json.loads(report)
    return record["results"][0]["telemetry"] if "results" in record else record["telemetry"]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_run_tells_its_power_its_joules_per_frame_and_its_heat(folder, capsys, command):
    main, arguments = COMMANDS[command]
    assert main([*arguments, "--report", "report.json", "--telemetry-interval", "0.1"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^power +7\.50 W on average, 7\.50 W at most \(VDD_IN\), \d+\.\d{3} J a frame$", out, re.M)
    assert re.search(
        r"^heat +GPU was the hottest, 61\.5 C; throttled for .*: cooling by gpu-balanced 2 \(state 3\)$", out, re.M
    )
    telemetry = telemetry_of((folder / "report.json").read_text())
    assert telemetry["interval_s"] == 0.1
    assert telemetry["joules_per_frame"] > 0
    assert telemetry["summary"]["mean_power_w"] == 7.5
    assert {each["name"] for each in telemetry["series"]} == {"power", "temperature GPU"}


def test_a_benchs_joules_are_of_its_measured_frames(folder, capsys):
    assert bench_cli.main([*BENCH, "--report", "report.json", "--telemetry-interval", "0.1"]) == 0
    (result,) = json.loads((folder / "report.json").read_text())["results"]
    assert result["telemetry"]["joules_per_frame"] == pytest.approx(7.5 / result["fps"], abs=0.002)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_it_can_be_switched_off(folder, capsys, monkeypatch, command):
    def none(*arguments):
        raise AssertionError("no sensor is to be opened")

    monkeypatch.setattr("ccc_jetson.runtime.telemetry.monitor.Sensors", none)
    main, arguments = COMMANDS[command]
    assert main([*arguments, "--report", "report.json", "--no-telemetry"]) == 0
    assert "power " not in capsys.readouterr().out
    assert telemetry_of((folder / "report.json").read_text()) is None


@pytest.mark.parametrize("command", ["ccc-bench", "ccc-run"])
def test_a_board_that_is_slower_than_it_could_be_is_told_so_at_the_start(folder, capsys, monkeypatch, command):
    from ccc_jetson.runtime.telemetry import power_mode

    root = tx2(folder / "board", mode=3)
    for name in ("power_warnings", "consequence"):
        asked = functools.partial(getattr(power_mode, name), root)
        monkeypatch.setattr("ccc_jetson.runtime.telemetry.arguments." + name, asked)
    main, arguments = COMMANDS[command]
    assert main([*arguments, "--report", "report.json"]) == 0
    out, err = capsys.readouterr()
    assert "nvpmodel" not in out and "jetson_clocks" not in out
    assert "warning: the power mode is MAXP_CORE_ARM, not MAXN: sudo nvpmodel -m 0\n" in err
    assert err.count("sudo jetson_clocks") == 1
    assert err.count("18.5 FPS") == 1


def test_a_benchmarks_record_has_the_warnings_of_any_board_in_the_same_words(folder, monkeypatch):
    from ccc_jetson.runtime.telemetry import power_mode

    root = orin_nano(folder / "board", mode=0, fixed=False)
    monkeypatch.setattr(
        "ccc_jetson.runtime.telemetry.arguments.power_warnings", functools.partial(power_mode.power_warnings, root)
    )
    main, arguments = COMMANDS["ccc-bench"]
    assert main([*arguments, "--report", "report.json"]) == 0
    (result,) = json.loads((folder / "report.json").read_text())["results"]
    told = power_mode.power_warnings(root)
    assert len(told) == 2 and told[0].endswith("sudo nvpmodel -m 2")
    assert [note for note in result["notes"] if "sudo " in note] == told


def test_an_interval_that_would_keep_the_machine_busy_is_refused(capsys):
    with pytest.raises(SystemExit) as end:
        run_cli.main(["--images", "a", "--telemetry-interval", "0.01"])
    assert end.value.code == 2
    assert "'0.01' is not a number from 0.1" in capsys.readouterr().err


# A run without end: the one picture comes again and again
ENDLESS = """
import signal, sys
import ccc_jetson.runtime.frames.pictures as pictures
from ccc_jetson.runtime.run_cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # some shells switch it off for what runs in the background
read = pictures.Pictures.read
def again(self):
    self._next = 0
    return read(self)
pictures.Pictures.read = again
sys.exit(main(["--images", "pictures", "--headless"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_leaves_no_tegrastats_behind(tmp_path, number):
    write_tiny_model(tmp_path / "model.onnx")
    (tmp_path / "pictures").mkdir()
    write_pictures(tmp_path / "pictures", 1)
    command = tmp_path / "tegrastats"
    command.write_text("#!/bin/sh\necho $$ > pid.new && mv pid.new pid\nexec sleep 600\n")
    command.chmod(0o755)
    source = os.path.dirname(os.path.dirname(os.path.abspath(ccc_jetson.__file__)))
    environ = dict(os.environ, PATH=str(tmp_path) + os.pathsep + os.environ["PATH"], PYTHONPATH=source)
    process = subprocess.Popen([sys.executable, "-c", ENDLESS], env=environ, cwd=str(tmp_path), stderr=subprocess.PIPE)
    until_s = time.monotonic() + 60
    while not (tmp_path / "pid").exists():
        assert process.poll() is None and time.monotonic() < until_s
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=60)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
