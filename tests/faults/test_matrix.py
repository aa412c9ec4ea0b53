"""A sample of the table of commands and faults: every fault, every command of the device.

All of it, with those of the workstation: python -m tests.faults.matrix
"""

import os
import random
import sys

import pytest

from tests.doubles.fetching import Missing, skip_or_fail
from tests.faults.commands import COMMANDS, PROJECT, modules_of_the_package, why_not_whole
from tests.faults.disturbed import Disturber, compiled_library
from tests.faults.matrix import FAULTS, Room, markdown, run_matrix

SEED = int(os.environ.get("CCC_FAULTS_SEED", "8"))
QUICK = [each for each in COMMANDS if each.needs == (3, 6)]


@pytest.fixture(scope="module")
def library():
    try:
        return compiled_library()
    except Missing as error:
        return skip_or_fail(error)


def sampled(rng):
    """A fault for each command, so that each fault has one."""
    names = list(FAULTS)
    rng.shuffle(names)
    return [(command, names[index % len(names)]) for index, command in enumerate(QUICK)]


@pytest.mark.skipif((3, 7) <= sys.version_info < (3, 10), reason="of the old Pythons the oldest is disturbed")
def test_commands_keep_the_law_under_a_sample_of_faults(library):
    print("CCC_FAULTS_SEED={}".format(SEED))
    cells = sampled(random.Random(SEED))
    assert {fault for _, fault in cells} == set(FAULTS), "a fault without a command"
    table, broken = run_matrix([each for each, _ in cells], dict(cells_by_name(cells)), 0, SEED, print)
    assert len(table) == len(cells)
    assert broken == []


def cells_by_name(cells):
    return ((command.name, [fault]) for command, fault in cells)


def test_a_missing_cell_is_seen_in_the_table():
    commands, faults = COMMANDS[:2], list(FAULTS)[:2]
    table = {(commands[0].name, faults[0]): "1: 1 refused", (commands[1].name, faults[1]): "-"}
    lines = markdown(table, commands, faults).splitlines()
    assert lines[2] == "| {} | 1: 1 refused | **missing** |".format(commands[0].name)
    assert lines[3] == "| {} | **missing** | - |".format(commands[1].name)


@pytest.mark.skipif(not os.path.exists(PROJECT), reason="the tests of a wheel have no pyproject.toml beside them")
def test_every_command_of_the_package_is_in_the_table():
    installed = modules_of_the_package()
    assert len(installed) >= 9
    assert installed <= {each.module for each in COMMANDS}


def test_the_library_strikes_at_the_event_that_it_is_told(library, tmp_path):
    command = next(each for each in QUICK if each.name == "ccc-report")
    with Disturber() as disturber:
        room = Room(disturber, str(tmp_path), [command])
        folder = room.fresh(command)
        whole = disturber.run(command, folder)
        assert whole.code == 0 and whole.events > 4
        ended = disturber.run(command, folder, what="full", at=1)
        assert ended.code == 1 and "no space left on the disk" in ended.err
        ended = disturber.run(command, folder, what=9, at=whole.events)
        assert ended.code == -9


def test_half_a_result_is_seen(tmp_path):
    (tmp_path / "run.html").write_text("<html><body>half")
    (tmp_path / "run.json").write_text("{")
    (tmp_path / "lines.jsonl").write_text('{"frame": 1}\n{"fra')
    for name in os.listdir(str(tmp_path)):
        assert "is not whole" in why_not_whole(str(tmp_path / name), name)
