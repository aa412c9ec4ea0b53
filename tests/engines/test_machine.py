"""Which board this is, how much memory it has, and which target: from the files that real boards have."""

import os
import random

import pytest

from ccc_jetson.board import Board, read_board
from ccc_jetson.engines.machine import Memory, free_disk, read_memory, target_of
from ccc_jetson.errors import FileProblem
from ccc_jetson.targets import TARGETS

MODEL, COMPATIBLE = "proc/device-tree/model", "proc/device-tree/compatible"
RELEASE, MODES, STATUS = "etc/nv_tegra_release", "etc/nvpmodel.conf", "var/lib/nvpmodel/status"
FAMILY, SOC_MACHINE = "sys/devices/soc0/family", "sys/devices/soc0/machine"
MEMINFO = "proc/meminfo"

TX2_RELEASE = b"""\
# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t186ref, EABI: aarch64, DATE: Sat Feb 19 17:07:00 UTC 2022
"""
ORIN_RELEASE = b"""\
# R36 (release), REVISION: 4.0, GCID: 37537400, BOARD: generic, EABI: aarch64, DATE: Fri Sep 13 04:36:44 UTC 2024
# KERNEL_VARIANT: oot
TARGET_USERSPACE_LIB_DIR=nvidia
"""
TX2_MODES = b"""\
# FORMAT:
# < POWER_MODEL ID=id_num NAME=mode_name >
# PARAM1_NAME ARG11_NAME ARG11_VAL
# < PM_CONFIG DEFAULT=default_mode >

< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_1 /sys/devices/system/cpu/cpu1/online

# MAXN is the NONE power model to release all constraints
< POWER_MODEL ID=0 NAME=MAXN >
CPU_ONLINE CORE_1 1
GPU MAX_FREQ -1

< POWER_MODEL ID=1 NAME=MAXQ >
GPU MAX_FREQ 850000000

< POWER_MODEL ID=3 NAME=MAXP_CORE_ARM >
CPU_ONLINE CORE_1 0
GPU MAX_FREQ 1120000000

# mandatory section to configure the default mode
< PM_CONFIG DEFAULT=3 >
"""
NANO_MODES = b"< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=5W >\n< PM_CONFIG DEFAULT=0 >\n"
ORIN_MODES = b"< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=2 NAME=30W >\n< PM_CONFIG DEFAULT=2 >\n"

TX2_MEMORY = b"""\
MemTotal:        8042400 kB
MemFree:         4512340 kB
MemAvailable:    5613404 kB
Buffers:           61204 kB
Cached:          1204560 kB
SwapCached:            0 kB
SwapTotal:       4021200 kB
SwapFree:        4021184 kB
HugePages_Total:       0
"""


def short(value):
    """A test's name that a file of a megabyte does not make unreadable."""
    return repr(value)[:40]


def root_with(folder, files):
    """A root folder that holds ``files``: path -> bytes."""
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return str(folder)


BOARDS = {
    "TX2": (
        {MODEL: b"NVIDIA Jetson TX2 Developer Kit\0", COMPATIBLE: b"nvidia,quill\0nvidia,tegra186\0",
         RELEASE: TX2_RELEASE, MODES: TX2_MODES, STATUS: b"pmode:0000"},
        Board("NVIDIA Jetson TX2 Developer Kit", "32.7.1", "4.6.1", "MAXN"), "6.2", "tx2",
    ),
    "TX2 that calls itself quill": (
        {MODEL: b"quill\0", RELEASE: TX2_RELEASE.replace(b"7.1", b"6.1"), MODES: TX2_MODES, STATUS: b"pmode:0003\n"},
        Board("quill", "32.6.1", "4.6", "MAXP_CORE_ARM"), "6.2", "tx2",
    ),
    "TX2 NX": (
        {MODEL: b"lanai-3636\0", RELEASE: TX2_RELEASE.replace(b"7.1", b"7.4"), MODES: TX2_MODES,
         STATUS: b"pmode:0003 fmode:quiet"},
        Board("lanai-3636", "32.7.4", "4.6.4", "MAXP_CORE_ARM"), "6.2", "tx2-nx",
    ),
    "Nano": (
        {MODEL: b"NVIDIA Jetson Nano Developer Kit\0", MODES: NANO_MODES, STATUS: b"pmode:0001",
         RELEASE: TX2_RELEASE.replace(b"7.1", b"5.0").replace(b"t186ref", b"t210ref")},
        Board("NVIDIA Jetson Nano Developer Kit", "32.5.0", "4.5", "5W"), "5.3", "nano",
    ),
    "Xavier NX": (
        {MODEL: b"NVIDIA Jetson Xavier NX Developer Kit (SD-card)\0",
         RELEASE: b"# R35 (release), REVISION: 5.0, GCID: 35550185, BOARD: t186ref, EABI: aarch64, DATE: Tue\n"},
        Board("NVIDIA Jetson Xavier NX Developer Kit (SD-card)", "35.5.0", "5.1.3", ""), "7.2", "xavier-nx",
    ),
    "AGX Orin": (
        {MODEL: b"NVIDIA Jetson AGX Orin Developer Kit\0",
         COMPATIBLE: b"nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0", RELEASE: ORIN_RELEASE, MODES: ORIN_MODES},
        Board("NVIDIA Jetson AGX Orin Developer Kit", "36.4.0", "6.1", "30W"), "8.7", "orin",
    ),
    "TX2 in a container": (
        {FAMILY: b"tegra186\n", SOC_MACHINE: b"quill\n", RELEASE: TX2_RELEASE},
        Board("quill", "32.7.1", "4.6.1", ""), "6.2", "tx2",
    ),
    "TX2 in a container that hides everything": ({}, Board("", "", "", ""), "6.2", "tx2"),
    "PC": ({"etc/os-release": b"NAME=Debian\n"}, Board("", "", "", ""), "8.6", "x86"),
    "PC without a GPU": ({}, Board("", "", "", ""), "", None),
    "Raspberry Pi": (
        {MODEL: b"Raspberry Pi 4 Model B Rev 1.4\0", COMPATIBLE: b"raspberrypi,4-model-b\0brcm,bcm2711\0",
         FAMILY: b"BCM2711\n", SOC_MACHINE: b"Raspberry Pi 4\n"},
        Board("", "", "", ""), "", None,
    ),
    "phone": ({FAMILY: b"Snapdragon\n", SOC_MACHINE: b"SM8550\n"}, Board("", "", "", ""), "", None),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_board_is_recognised_by_its_files(tmp_path, name):
    files, expected, sm, target = BOARDS[name]
    board = read_board(root_with(tmp_path, files))
    assert board == expected
    found = target_of(sm, board.board)
    assert (found.name if found else None) == target


def test_this_machine_can_be_read():
    assert all(isinstance(field, str) for field in read_board())
    memory = read_memory()
    assert 0 < memory.available <= memory.total
    assert memory.swap_free <= memory.swap_total


@pytest.mark.parametrize(
    "release, l4t, jetpack",
    [
        ("# R32 (release), REVISION: 4.3, GCID: 21589087, BOARD: t186ref", "32.4.3", "4.4"),
        ("# R32 (release), REVISION: 7.5, GCID: 36094834, BOARD: t186ref", "32.7.5", "4.6.5"),
        ("# R32 (release), REVISION: 7.6, GCID: 38994118, BOARD: t186ref", "32.7.6", "4.6.6"),
        ("# R35 (release), REVISION: 6.1, GCID: 39721438, BOARD: t186ref", "35.6.1", "5.1.5"),
        ("# R36 (release), REVISION: 3.0, GCID: 36923193, BOARD: generic", "36.3.0", "6.0"),
        ("# R39 (release), REVISION: 0.0, GCID: 1, BOARD: generic", "39.0.0", "7.2"),
        ("# R39 (release), REVISION: 0, GCID: 1, BOARD: generic", "39.0", "7.2"),
    ],
)
def test_a_release_has_its_jetpack(tmp_path, release, l4t, jetpack):
    board = read_board(root_with(tmp_path, {RELEASE: release.encode() + b", EABI: aarch64\n"}))
    assert (board.l4t, board.jetpack) == (l4t, jetpack)


@pytest.mark.parametrize("revision", ["7.9", "70.1", "7", "7.1.0.1"])
def test_a_release_newer_than_the_table_keeps_its_number_and_has_no_jetpack(tmp_path, revision):
    line = "# R32 (release), REVISION: {}, GCID: 1, BOARD: t186ref\n".format(revision).encode()
    board = read_board(root_with(tmp_path, {RELEASE: line}))
    assert (board.l4t, board.jetpack) == ("32." + revision, "")


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"# R32", b"# R32 (release), REVISION: ", b"# R32 (release), REVISION: 7.x", b"R32 REVISION: 7.1",
     b"# R32 (release), REVISION: 7.1.", b"# R3\xb2 (release), REVISION: 7.1", b"\xff\xfe\0\0# R32", b"x" * 100000,
     "# R\u0663\u0662 (release), REVISION: \u0667.\u0661".encode("utf-8")],
    ids=short,
)  # fmt: skip
def test_another_release_line_gives_nothing(tmp_path, line):
    assert read_board(root_with(tmp_path, {RELEASE: line}))[1:3] == ("", "")


@pytest.mark.parametrize(
    "model",
    [b"", b"\0", b"\0NVIDIA Jetson TX2\0", b"\xff\xfe\x80", b"Jetson\x1b[31m TX2\0", b"Jetson\nTX2\0", b"x" * 201,
     "Jetson\u202eTX2\0".encode("utf-8")],
    ids=short,
)  # fmt: skip
def test_a_model_that_is_no_name_gives_nothing(tmp_path, model):
    assert read_board(root_with(tmp_path, {MODEL: model})).board == ""


def test_a_model_ends_at_its_zero_byte(tmp_path):
    assert (
        read_board(root_with(tmp_path, {MODEL: "Jetson TX2 für µs\0rest".encode("utf-8")})).board == "Jetson TX2 für µs"
    )


@pytest.mark.parametrize(
    "modes, status, expected",
    [
        (TX2_MODES, b"pmode:0001", "MAXQ"),
        (TX2_MODES, b"pmode:0001 fmode:quiet\n", "MAXQ"),
        (TX2_MODES, None, "MAXP_CORE_ARM"),  # never set: the mode that it boots with
        (TX2_MODES, b"", "MAXP_CORE_ARM"),
        (TX2_MODES, b"pmode:0009", ""),  # a mode that the file does not name
        (TX2_MODES, b"pmode:", ""),
        (TX2_MODES, b"\xff\0rubbish", ""),
        (None, b"pmode:0000", ""),
        (None, None, ""),
        (b"# < POWER_MODEL ID=0 NAME=MAXN >\n", b"pmode:0000", ""),  # a comment
        (b"< POWER_MODEL ID=0 NAME=MAX\xff >\n", b"pmode:0000", ""),
        (b"< POWER_MODEL ID=0 NAME=MAXN>\n", b"pmode:0000", "MAXN"),
        (TX2_MODES.replace(b"\n", b"\r\n"), b"pmode:0000\r\n", "MAXN"),
        (b"\n" * 1000000 + b"<" * 40000, b"pmode:0000", ""),  # in no time
        (b" " * 1000000 + b"< POWER_MODEL", b"pmode:0000", ""),
    ],
    ids=short,
)
def test_the_power_mode_is_the_saved_one_by_its_name(tmp_path, modes, status, expected):
    files = {path: data for path, data in ((MODES, modes), (STATUS, status)) if data is not None}
    assert read_board(root_with(tmp_path, files)).power_mode == expected


def test_folders_and_pipes_in_place_of_the_files_give_nothing(tmp_path):
    for path in (MODEL, RELEASE, STATUS, MEMINFO):
        (tmp_path / path).mkdir(parents=True)
    os.mkfifo(str(tmp_path / MODES))
    os.makedirs(str(tmp_path / "sys/devices/soc0"))
    os.symlink("machine", str(tmp_path / SOC_MACHINE))  # a link to itself
    (tmp_path / FAMILY).write_bytes(b"tegra186\n")
    assert read_board(str(tmp_path)) == Board("", "", "", "")
    assert read_memory(str(tmp_path)) is None


def test_files_that_fail_while_they_are_read_give_nothing(tmp_path):
    for path in (MODEL, RELEASE, MODES, STATUS, MEMINFO):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        os.symlink("/proc/self/mem", str(tmp_path / path))  # opens, and its first byte is an input/output error
    assert read_board(str(tmp_path)) == Board("", "", "", "")
    assert read_memory(str(tmp_path)) is None


def test_rubbish_is_never_an_error(tmp_path):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    good = {MODEL: b"quill\0", RELEASE: TX2_RELEASE, MODES: TX2_MODES, STATUS: b"pmode:0003", MEMINFO: TX2_MEMORY}
    for attempt in range(100):
        files = {}
        for path, data in good.items():
            damaged = bytearray(data)
            for _ in range(chance.randrange(8)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            files[path] = bytes(damaged[: chance.randrange(len(damaged) + 1)])
        root = root_with(tmp_path / str(attempt), files)
        for field in read_board(root):
            assert field.isprintable()
        memory = read_memory(root)
        assert memory is None or 0 <= memory.available <= memory.total


def test_memory_is_in_bytes(tmp_path):
    found = read_memory(root_with(tmp_path, {MEMINFO: TX2_MEMORY}))
    assert found == Memory(8042400 * 1024, 5613404 * 1024, 4021200 * 1024, 4021184 * 1024)


def test_an_old_kernel_without_memavailable_counts_what_it_could_drop(tmp_path):
    old = TX2_MEMORY.replace(b"MemAvailable:    5613404 kB\n", b"")
    assert read_memory(root_with(tmp_path, {MEMINFO: old})).available == (4512340 + 61204 + 1204560) * 1024


def test_a_machine_without_swap_has_none(tmp_path):
    found = read_memory(root_with(tmp_path, {MEMINFO: b"MemTotal: 4000 kB\nMemFree: 1000 kB\n"}))
    assert found == Memory(4000 * 1024, 1000 * 1024, 0, 0)


def test_no_more_is_available_than_there_is(tmp_path):
    files = {MEMINFO: b"MemTotal: 4000 kB\nMemFree: 1000 kB\nMemAvailable: 99999999 kB\n"}
    assert read_memory(root_with(tmp_path, files)).available == 4000 * 1024


@pytest.mark.parametrize(
    "text",
    [None, b"", b"MemTotal: 4000 kB\n", b"MemFree: 4000 kB\n", b"MemTotal: many kB\nMemFree: 1 kB\n", b"\xff\0\xfe",
     b"MemTotal: -1 kB\nMemFree: 1 kB\n", b"MemTotal: " + b"9" * 5000 + b" kB\nMemFree: 1 kB\n"],
    ids=short,
)  # fmt: skip
def test_memory_that_cannot_be_read_is_not_known(tmp_path, text):
    assert read_memory(root_with(tmp_path, {} if text is None else {MEMINFO: text})) is None


def test_free_disk_is_what_may_be_written(tmp_path):
    stats = os.statvfs(str(tmp_path))
    found = free_disk(str(tmp_path))
    print("free disk", found)
    assert abs(found - stats.f_bavail * stats.f_frsize) < 1 << 30  # others write as well
    assert free_disk("") > 0


def test_the_disk_of_no_folder_is_a_problem_that_names_it(tmp_path):
    with pytest.raises(FileProblem, match="nowhere: its free space cannot be read: No such file"):
        free_disk(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    "board, sm, expected",
    [
        ("NVIDIA Jetson TX2 NX Developer Kit", "6.2", "tx2-nx"),
        ("NVIDIA Jetson TX2 NX Developer Kit", "", "tx2-nx"),
        ("NVIDIA Jetson TX2", "", "tx2"),
        ("storm", "6.2", "tx2"),
        ("lightning", "6.2", "tx2"),
        ("a carrier board of another maker", "6.2", "tx2"),
        ("jetson-nano", "5.3", "nano"),
        ("jetson_tx1", "5.3", "nano"),
        ("NVIDIA Jetson TX1", "", None),
        ("NVIDIA Orin Nano Developer Kit", "8.7", "orin"),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", "", "orin"),
        ("Jetson AGX Orin", "8.7", "orin"),
        ("Jetson-AGX", "7.2", "xavier"),
        ("jetson-xavier", "7.2", "xavier"),
        ("NVIDIA Jetson AGX Xavier Developer Kit", "7.2", "xavier"),
        ("NVIDIA Jetson AGX Thor Developer Kit", "11.0", None),
        ("NVIDIA Jetson AGX Thor Developer Kit", "", None),
        ("NVIDIA IGX Orin Developer Kit", "8.6", None),  # its graphics card runs the engine
        ("", "7.2", "xavier"),
        ("", "8.7", "orin"),
        ("", "11.0", None),
        ("", "7.0", "x86"),
        ("", "12.0", "x86"),
        ("", "6.1", None),
        ("", "0.0", None),
        ("", "8.6\n", None),
        ("", "sm_62", None),
        ("", "6", None),
        ("", "999.1", None),
        ("\0\ud800 \u0664", "\u0666.\u0662", None),
    ],
    ids=repr,
)
def test_a_target_is_found_by_name_then_by_compute_capability(board, sm, expected):
    found = target_of(sm, board)
    assert (found.name if found else None) == expected


def test_every_jetson_among_the_targets_is_found_by_its_title():
    for target in TARGETS:
        if any(target.compute_capability):
            sm = "{}.{}".format(*target.compute_capability)
            assert target_of(sm, "NVIDIA {} Developer Kit".format(target.title)) == target
