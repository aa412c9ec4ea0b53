"""Whether a board runs as fast as it can, by the words of nvpmodel and by the clocks."""

import os
import random
import tracemalloc

import pytest

from ccc_jetson.runtime.telemetry.clocks import Clock, Clocks
from ccc_jetson.runtime.telemetry.power_mode import (
    ask_nvpmodel,
    clocks_are_fixed,
    consequence,
    fastest_mode,
    parse_query,
    power_warnings,
    read_power_mode,
)
from tests.doubles.children import is_running
from tests.doubles.machines import nano, orin_nano, pc, tx2


@pytest.mark.parametrize(
    "text, expected",
    [
        ("NV Power Mode: MAXP_CORE_ARM\n3\n", ("MAXP_CORE_ARM", 3)),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: MAXN\n0\n", ("MAXN", 0)),
        (
            "NVPM VERB: Config file: /etc/nvpmodel.conf\nNVPM VERB: parsing done for /etc/nvpmodel.conf\n"
            "NVPM VERB: Current mode: NV Power Mode: MAXN\n0\nNV Power Mode: MODE_15W\n2\n",
            ("MODE_15W", 2),
        ),
        ("NV Power Mode: 15W\nNVPM WARN: something\n0\n", ("15W", 0)),
        ("NV Power Mode: MAXN_SUPER\r\n2\r\n", ("MAXN_SUPER", 2)),
        ("NV Power Mode: MAXN\n", ("", None)),
        ("nvpmodel: command failed\n", ("", None)),
        ("", ("", None)),
    ],
)
def test_the_answer_of_nvpmodel_is_understood_with_its_remarks(text, expected):
    assert parse_query(text) == expected


@pytest.mark.parametrize(
    "names, expected",
    [
        ({0: "MAXN", 1: "MAXQ", 3: "MAXP_CORE_ARM"}, (0, "MAXN")),
        ({0: "15W", 1: "25W", 2: "MAXN_SUPER"}, (2, "MAXN_SUPER")),
        ({0: "15W", 1: "7W"}, (0, "15W")),
        ({0: "15W_2CORE", 1: "15W_4CORE", 2: "15W_6CORE", 3: "10W_2CORE"}, (2, "15W_6CORE")),
        ({0: "MODE_10W_2CORE", 8: "MODE_20W_6CORE", 7: "MODE_20W_4CORE"}, (8, "MODE_20W_6CORE")),
        ({1: "10W", 3: "30W_ALL", 4: "30W_6CORE"}, (3, "30W_ALL")),
        ({0: "quick", 1: "slow"}, None),
        ({}, None),
    ],
)
def test_the_fastest_mode_is_found_by_its_name_and_not_by_its_number(names, expected):
    assert fastest_mode(list(names.items())) == expected


def test_a_tx2_as_it_comes_is_told_what_it_loses_and_the_two_commands(tmp_path):
    mode = read_power_mode(tx2(tmp_path, mode=3))
    assert (mode.name, mode.number, mode.fastest, mode.fastest_number) == ("MAXP_CORE_ARM", 3, "MAXN", 0)
    assert (mode.online, mode.is_fixed, mode.is_fastest) == ("0,3-5", False, False)
    first, second = power_warnings(tx2(tmp_path, mode=3))
    assert first == "the power mode is MAXP_CORE_ARM, not MAXN: sudo nvpmodel -m 0"
    assert second == "the clocks are free to move: sudo jetson_clocks fixes them until the next boot"
    assert "18.5 FPS" in consequence(str(tmp_path)) and "29.8" in consequence(str(tmp_path))


def test_a_tx2_at_its_fastest_is_told_nothing(tmp_path):
    assert power_warnings(tx2(tmp_path, mode=0, fixed=True)) == []


def test_another_boards_warning_names_its_own_mode_and_no_tx2(tmp_path):
    warnings = power_warnings(orin_nano(tmp_path, mode=0, fixed=True))
    assert warnings == ["the power mode is 15W, not MAXN_SUPER: sudo nvpmodel -m 2"]
    assert consequence(str(tmp_path)) == ""
    assert power_warnings(nano(tmp_path / "nano", mode=0, fixed=True)) == []


def test_a_pc_is_told_nothing(tmp_path):
    root = pc(tmp_path)
    assert power_warnings(root) == []
    assert read_power_mode(root).is_fastest is None


def test_before_anybody_chose_a_mode_the_one_of_the_boot_counts(tmp_path):
    assert read_power_mode(tx2(tmp_path, mode=None)).name == "MAXP_CORE_ARM"


def fake(folder, text):
    path = folder / "nvpmodel"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_where_no_file_tells_the_command_is_asked(tmp_path):
    command = fake(
        tmp_path, "#!/bin/sh\necho 'NVPM WARN: fan mode is not set!' >&2\necho 'NV Power Mode: 15W'\necho 2\n"
    )
    assert ask_nvpmodel(command) == ("15W", 2)
    assert read_power_mode("/", command).name == "15W"


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nkill -9 $$\n", "no interpreter"])
def test_a_command_that_fails_leaves_the_mode_unknown(tmp_path, script):
    assert ask_nvpmodel(fake(tmp_path, script)) == ("", None)
    assert ask_nvpmodel(str(tmp_path / "missing")) == ("", None)


def test_a_command_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("ccc_jetson.runtime.telemetry.power_mode._PATIENCE_S", 0.1)
    assert ask_nvpmodel(fake(tmp_path, "#!/bin/sh\nexec sleep 600\n")) == ("", None)


def test_a_command_that_leaves_a_process_behind_keeps_nobody_waiting(tmp_path):
    script = "#!/bin/sh\nsleep 60 &\necho $! > {}\necho 'NV Power Mode: MAXN'\necho 0\n"
    assert ask_nvpmodel(fake(tmp_path, script.format(tmp_path / "pid"))) == ("MAXN", 0)
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_command_that_floods_fills_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("ccc_jetson.runtime.telemetry.power_mode._PATIENCE_S", 0.5)
    tracemalloc.start()
    try:
        assert ask_nvpmodel(fake(tmp_path, "#!/bin/sh\nexec yes NVPM\n")) == ("", None)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_clocks_are_fixed_only_if_none_of_them_can_move():
    fixed, free = Clock("cpu0", 1.0, 1.0, 1.0, ""), Clock("GPU", 1.0, 0.5, 1.0, "")
    unknown = Clock("cpu1", 1.0, None, None, "")
    assert clocks_are_fixed(Clocks("", (fixed,), free, None)) is False
    assert clocks_are_fixed(Clocks("", (fixed, unknown), None, None)) is True
    assert clocks_are_fixed(Clocks("", (unknown,), None, None)) is None


def test_whatever_the_command_prints_nothing_is_raised():
    seed = random.randrange(10**6)
    print("seed", seed)
    generator = random.Random(seed)
    for _ in range(300):
        words = [
            generator.choice(["NV Power Mode:", "NVPM WARN", "MAXN", "3", "\n", " ", "\x1b", "9" * 40])
            for _ in range(9)
        ]
        name, number = parse_query("".join(words))
        assert (name == "") == (number is None)
        assert name.isprintable()
    assert os.sep not in name
