"""Which modes are measured on which board, and the way back to the one that was found."""

import os
import subprocess

import pytest

from ccc_jetson.runtime.board_report import power
from ccc_jetson.runtime.board_report.power import PowerSwitch, modes_to_measure
from tests.doubles.machines import nano, nvpmodel, orin_nano, pc, tx2


@pytest.mark.parametrize(
    "make, mode, measured",
    [
        (tx2, 2, [(0, "MAXN", "the fastest"), (3, "MAXP_CORE_ARM", "the boot's")]),
        (nano, 0, [(0, "MAXN", "the fastest"), (1, "5W", "the most frugal")]),
        (orin_nano, 2, [(2, "MAXN_SUPER", "the fastest"), (1, "25W", "the boot's")]),
    ],
)
def test_the_fastest_and_the_boots_or_else_the_most_frugal(tmp_path, make, mode, measured):
    found, modes = modes_to_measure(make(tmp_path, mode))
    assert found == mode
    assert [tuple(each) for each in modes] == measured


def test_of_unknown_modes_the_one_that_is_set(tmp_path):
    changes = {"etc/nvpmodel.conf": nvpmodel({4: "QUIET"}, 4).replace("PM_CONFIG", "NOTHING")}
    assert modes_to_measure(tx2(tmp_path / "a", 4, changes=changes)) == (4, ((4, "QUIET", "the one that is set"),))
    assert modes_to_measure(pc(tmp_path / "b")) == (None, ())


def test_of_modes_with_the_same_watts_the_last_is_the_most_frugal(tmp_path):
    names = {0: "MAXN", 1: "30W_ALL", 2: "10W_4CORE", 3: "10W_2CORE"}
    root = tx2(tmp_path, 0, changes={"etc/nvpmodel.conf": nvpmodel(names, 0)})
    assert modes_to_measure(root)[1][1][:2] == (3, "10W_2CORE")


class Board:
    """A TX2 whose nvpmodel is a function; ``refuses`` makes sudo or nvpmodel fail."""

    def __init__(self, root, monkeypatch, euid=1000):
        self.root, self.calls, self.refuses, self.takes = root, [], "", True
        monkeypatch.setattr(os, "geteuid", lambda: euid)
        monkeypatch.setattr(power.shutil, "which", lambda name, path=None: "/usr/sbin/" + name)
        monkeypatch.setattr(power.subprocess, "run", self.run)

    def run(self, words, **settings):
        self.calls.append(" ".join(words).replace("/usr/sbin/", ""))
        if self.refuses:
            return subprocess.CompletedProcess(words, 1, self.refuses.encode())
        if "-m" in words and self.takes:
            with open(os.path.join(self.root, "var/lib/nvpmodel/status"), "w") as file:
                file.write("pmode:{:04d}".format(int(words[-1])))
        return subprocess.CompletedProcess(words, 0, b"")


@pytest.fixture
def board(tmp_path, monkeypatch):
    return lambda **settings: Board(tx2(tmp_path, 3), monkeypatch, **settings)


def test_it_goes_there_and_back_through_sudo_without_a_password(board):
    made = board()
    switch = PowerSwitch(3, made.root)
    assert (switch.why_not, switch.set(0), switch.set(0), switch.restore()) == ("", "", "", "")
    assert made.calls == ["sudo -n true", "sudo -n nvpmodel -m 0", "sudo -n nvpmodel -m 3"]


def test_root_needs_no_sudo(board):
    made = board(euid=0)
    switch = PowerSwitch(3, made.root)
    assert (switch.set(0), switch.restore()) == ("", "")
    assert made.calls == ["nvpmodel -m 0", "nvpmodel -m 3"]


def test_what_was_never_switched_is_not_set_back_unless_a_run_before_has_switched_it(board):
    made = board(euid=0)
    switch = PowerSwitch(0, made.root)
    assert switch.restore() == "" and made.calls == []
    switch.expect_another()
    assert switch.restore() == "" and made.calls == ["nvpmodel -m 0"]


def test_a_mode_that_nvpmodel_does_not_take_is_told(board):
    made = board(euid=0)
    made.takes = False
    assert PowerSwitch(3, made.root).set(0) == "nvpmodel -m 0 did not set the mode: the board is in the old one"


def test_a_mode_that_cannot_be_set_back_is_told(board):
    made = board(euid=0)
    switch = PowerSwitch(3, made.root)
    switch.set(0)
    made.refuses = "NVPM ERROR: busy\n"
    assert "NVPM ERROR: busy" in switch.restore() and switch.command_back == "sudo nvpmodel -m 3"


def test_why_nothing_can_be_switched(board, monkeypatch):
    made = board()
    assert "--no-sudo" in PowerSwitch(3, made.root, allowed=False).why_not
    assert "could not be set back" in PowerSwitch(None, made.root).why_not
    made.refuses = "sudo: a password is required\n"
    assert "a password is required" in PowerSwitch(3, made.root).why_not
    monkeypatch.setattr(power.shutil, "which", lambda name, path=None: None if name == "sudo" else "/usr/sbin/" + name)
    assert "there is no sudo" in PowerSwitch(3, made.root).why_not
    monkeypatch.setattr(power.shutil, "which", lambda name, path=None: None)
    assert "no nvpmodel" in PowerSwitch(3, made.root).why_not


def test_a_command_that_hangs_or_is_not_there_is_a_problem_and_no_traceback(board, monkeypatch):
    made = board(euid=0)
    for error, words in ((subprocess.TimeoutExpired("nvpmodel", 1), "no answer"), (OSError(2, "gone"), "gone")):

        def run(words, error=error, **settings):
            raise error

        monkeypatch.setattr(power.subprocess, "run", run)
        assert words in PowerSwitch(3, made.root).set(0)


def test_sudo_is_asked_again_before_it_forgets(board, monkeypatch):
    monkeypatch.setattr(power, "_REFRESH_S", 0.01)
    made = board()
    switch = PowerSwitch(3, made.root)
    until = power.threading.Event()
    for _ in range(500):
        if "sudo -n -v" in made.calls:
            break
        until.wait(0.02)
    switch.restore()
    assert "sudo -n -v" in made.calls
