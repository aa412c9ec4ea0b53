"""``ccc-doctor`` from its command line to its exit code."""

import json
import os
import subprocess
import sys

import pytest

import ccc_jetson
from ccc_jetson.runtime.doctor import cli
from ccc_jetson.runtime.doctor.cli import build_parser, main, to_json, to_text
from ccc_jetson.runtime.doctor.probes import PROBES, Result
from ccc_jetson.runtime.doctor.verdicts import BROKEN, NOT_HERE, NOTE, OK, PROBLEM, Finding, worst
from tests.runtime.doctor.cases import ERROR, PC, TX2, no


@pytest.fixture
def on(monkeypatch, tmp_path):
    """Puts the command on a machine."""
    monkeypatch.setattr("ccc_jetson.engines.nvcc.PREFIX", str(tmp_path / "no-cuda"))

    def put(machine):
        monkeypatch.setattr(cli, "Place", lambda: machine.place(tmp_path))

    return put


@pytest.mark.parametrize(
    "machine, code",
    [
        (TX2, 0),
        (PC.but({"dev/video0": None}), 0),  # a note
        (PC.but(cameras={"dev/video0": ERROR}), 1),
        (TX2.but(modules=no("pycuda")), 3),
    ],
)
def test_the_exit_code_is_of_the_worst_verdict(on, capsys, machine, code):
    on(machine)
    assert main([]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines()[-1].startswith("broken ")


def test_a_page_has_a_line_for_each_finding_and_its_fix_below(on, capsys):
    on(PC.but(cameras={"dev/video0": ERROR}))
    main([])
    lines = capsys.readouterr().out.splitlines()
    (number,) = [number for number, line in enumerate(lines) if " cameras " in line]
    assert lines[number].split() == ["problem", "cameras", "/dev/video0:", "Permission", "denied"]
    assert lines[number + 1].strip() == "-> sudo usermod -aG video $USER, then log out and in again"
    assert lines[-1] == "broken 0, problem 1, note 0, ok 9, does not apply 12"
    assert not any(line.startswith(NOT_HERE) for line in lines)
    main(["--all"])
    assert sum(line.startswith(NOT_HERE) for line in capsys.readouterr().out.splitlines()) == 12


def test_json_holds_every_finding(on, capsys):
    on(TX2.but(modules=no("pycuda")))
    assert main(["--json"]) == 3
    record = json.loads(capsys.readouterr().out)
    assert (record["schema"], record["kind"], record["worst"]) == (1, "doctor", BROKEN)
    assert [each["probe"] for each in record["findings"]] == [probe.name for probe in PROBES]
    for each in record["findings"]:
        assert set(each) == {"probe", "verdict", "evidence", "fix"}


def test_one_probe_can_be_asked_alone_and_what_does_not_apply_is_shown_then(on, capsys):
    on(PC)
    assert main(["--only", "argus", "--only", "disk"]) == 0
    out = capsys.readouterr().out
    assert out.index("disk") < out.index("argus") and "memory" not in out
    assert main(["--only", "disk", "missing.engine"]) == 3
    assert "missing.engine" in capsys.readouterr().out


def test_a_probe_that_there_is_not_is_a_mistake_of_the_command_line(capsys):
    assert main(["--only", "everything"]) == 2
    assert "ccc-doctor --list" in capsys.readouterr().err


def test_the_list_names_every_probe(capsys):
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [probe.name for probe in PROBES]


def test_the_parser_is_pure():
    assert vars(build_parser().parse_args(["a", "b"]))["files"] == ["a", "b"]


def test_nothing_found_is_ok():
    assert worst([]) == OK
    assert worst([NOTE, NOT_HERE, PROBLEM, OK]) == PROBLEM
    assert to_text([], False).endswith("does not apply 0")
    assert json.loads(to_json([Result("disk", Finding(OK, "x"))]))["findings"][0]["fix"] == ""


def test_it_runs_with_nothing_but_python(tmp_path):
    """No package of any kind: not even numpy."""
    source = os.path.dirname(os.path.dirname(os.path.abspath(ccc_jetson.__file__)))
    call = "import sys; sys.path.insert(0, {!r}); from ccc_jetson.runtime.doctor.cli import main; main(['--json'])"
    environ = {"PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", call.format(source)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, cwd=str(tmp_path),
    )  # fmt: skip
    out, err = process.communicate()
    assert err.decode() == ""
    record = json.loads(out.decode())
    assert {each["probe"] for each in record["findings"]} == {probe.name for probe in PROBES}
    assert not any("probe itself failed" in each["evidence"] for each in record["findings"])
