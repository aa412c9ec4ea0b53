"""The timing cache's file and the history of build times: never needed, never in the way, never half written."""

import errno
import json
import os
import random
import subprocess
import sys
import time

import pytest

from ccc_jetson.engines.machine import Machine
from ccc_jetson.engines.timing_cache import BuildTimes, default_path, load, store

TX2 = Machine("8.2.1.8", "10.2", "NVIDIA Tegra X2", "6.2", "NVIDIA Jetson TX2", "32.7.1", "4.6.1", "MAXN")
NAME = "TRT-8.2.1.8-NVIDIA_Tegra_X2-sm62.cache"


def short(value):
    """A test's name that a long value does not make unreadable."""
    return ascii(value)[:40]


def named(device, tensorrt="8.2.1.8", sm="6.2"):
    return os.path.basename(default_path(TX2._replace(device=device, tensorrt=tensorrt, sm=sm), {"HOME": "/h"}))


@pytest.mark.parametrize(
    "environ, folder",
    [
        ({"HOME": "/home/nvidia"}, "/home/nvidia/.cache/ccc-jetson"),
        ({"HOME": "/home/nvidia", "XDG_CACHE_HOME": "/data/cache"}, "/data/cache/ccc-jetson"),
        ({"HOME": "/home/nvidia", "XDG_CACHE_HOME": "relative"}, "/home/nvidia/.cache/ccc-jetson"),
        ({"HOME": "/home/nvidia", "XDG_CACHE_HOME": ""}, "/home/nvidia/.cache/ccc-jetson"),
        ({"HOME": "/home/nvidia", "XDG_CACHE_HOME": "/x", "CCC_JETSON_CACHE": "/ssd/ccc"}, "/ssd/ccc"),
        ({"HOME": "/home/nvidia", "CCC_JETSON_CACHE": ""}, "/home/nvidia/.cache/ccc-jetson"),
        ({"HOME": "relative"}, "/.cache/ccc-jetson"),
    ],
)
def test_the_cache_lies_where_the_environment_says(environ, folder):
    assert default_path(TX2, environ) == os.path.join(folder, "timing", NAME)


def test_a_relative_folder_means_the_current_one():
    assert default_path(TX2, {"CCC_JETSON_CACHE": "c"}) == os.path.join(os.getcwd(), "c", "timing", NAME)


def test_a_user_without_a_home_gets_no_folder_called_tilde(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert default_path(TX2, {}) == os.path.join("/.cache/ccc-jetson/timing", NAME)


def test_the_processs_own_environment_is_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("CCC_JETSON_CACHE", str(tmp_path))
    assert default_path(TX2) == str(tmp_path / "timing" / NAME)


@pytest.mark.parametrize(
    "device",
    [
        "../../etc/passwd",
        "/dev/sda",
        "a\nb",
        "",
        "....",
        "-rf",
        "x" * 5000,
        "\u30c6\u30b0\u30e9",
        "\ud800",
        "a\0b",
        "*?$(x)",
    ],
    ids=short,
)
def test_any_device_name_makes_a_file_name(device, tmp_path):
    name = named(device, tensorrt=device, sm=device)
    assert name.startswith("TRT-") and name.endswith(".cache")
    assert len(name) < 150
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert store(str(tmp_path / name), b"data") is None
    assert os.listdir(str(tmp_path)) == [name]


def test_another_device_version_or_capability_has_another_file():
    devices = ["NVIDIA Tegra X2", "NVIDIA-Tegra-X2", "NVIDIA_Tegra_X2", "NVIDIA  Tegra X2", " NVIDIA Tegra X2", "",
               "NVIDIA Tegra X2\n", "\u30c6", "\u30b0", "x" * 41, "x" * 42, "Orin", "nvidia tegra x2"]  # fmt: skip
    names = [named(device) for device in devices] + [named("Orin", tensorrt="8.2.1.9"), named("Orin", sm="8.7")]
    assert len(set(names)) == len(names), names
    assert named("NVIDIA A100-SXM4-40GB", "10.3.0", "8.0") == "TRT-10.3.0-NVIDIA_A100-SXM4-40GB-sm80.cache"
    assert named("", "", "") == "TRT-unknown-unknown-sm-unknown.cache"


def test_what_is_stored_is_loaded_and_the_folders_are_made(tmp_path):
    path = str(tmp_path / "a" / "b" / NAME)
    assert load(path) == b""
    assert store(path, b"first") is None
    assert store(path, b"second") is None
    assert load(path) == b"second"
    assert os.listdir(os.path.dirname(path)) == [NAME]


def test_no_data_keep_the_cache_that_is_there(tmp_path):
    path = str(tmp_path / NAME)
    assert store(path, b"") is None
    assert not os.path.exists(path)
    store(path, b"measured")
    assert store(path, b"") is None
    assert load(path) == b"measured"


def test_a_relative_path_without_a_folder_is_stored_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert store("plain.cache", b"data") is None
    assert load("plain.cache") == b"data"


def test_what_is_no_cache_loads_as_none(tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    os.symlink("loop", str(tmp_path / "loop"))
    with open(str(tmp_path / "huge"), "wb") as file:
        file.truncate((1 << 26) + 1)
    with open(str(tmp_path / "largest"), "wb") as file:
        file.truncate(1 << 26)
    for path in ("pipe", "loop", "huge", "", "missing", "loop/below"):
        assert load(str(tmp_path / path)) == b""
    assert len(load(str(tmp_path / "largest"))) == 1 << 26
    assert load("/proc/self/mem") == b""  # opens, and its first byte is an input/output error


def test_a_folder_that_cannot_be_made_is_a_sentence_and_no_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (str(tmp_path / "file" / "timing" / NAME), "/proc/nowhere/timing/" + NAME):
        sentence = store(path, b"data")
        assert sentence.startswith("the timing cache is not kept, so the next build takes as long as this one: ")
        assert os.path.dirname(path) + ": cannot be made: " in sentence
        assert load(path) == b""


def test_something_else_in_the_caches_place_is_a_sentence_and_stays(tmp_path):
    (tmp_path / NAME).mkdir()
    assert "is no ordinary file" in store(str(tmp_path / NAME), b"data")
    assert (tmp_path / NAME).is_dir()


@pytest.mark.parametrize(
    "code, message", [(errno.ENOSPC, "no space left"), (errno.EROFS, "Read-only"), (errno.EIO, "Input/output")]
)
def test_a_disk_that_fails_keeps_the_old_cache_and_says_so(tmp_path, monkeypatch, code, message):
    path = str(tmp_path / NAME)
    store(path, b"old")

    def fail(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    sentence = store(path, b"new")
    assert message in sentence and path in sentence
    BuildTimes(path).note("key", False, 1.0)
    assert load(path) == b"old"
    assert os.listdir(str(tmp_path)) == [NAME]


WRITER = """
import sys
from ccc_jetson.engines.timing_cache import BuildTimes, store
path, letter = sys.argv[1:]
times = BuildTimes(path)
for number in range(1, 21):
    assert store(path, letter.encode() * (1000 * number)) is None
    times.note(letter + str(number), False, number)
"""


def test_of_several_writers_the_last_one_wins_and_no_reader_sees_half_a_file(tmp_path):
    path = str(tmp_path / NAME)
    environ = dict(os.environ, PYTHONPATH=os.pathsep.join(entry for entry in sys.path if entry))
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, letter], env=environ) for letter in "abc"]
    while any(writer.poll() is None for writer in writers):
        data = load(path)
        assert len(set(data)) <= 1 and len(data) % 1000 == 0, "{} bytes of {}".format(len(data), set(data))
        time.sleep(0.005)
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert load(path) in (b"a" * 20000, b"b" * 20000, b"c" * 20000)
    with open(path + ".json") as file:
        assert 1 <= len(json.load(file)["builds"]) <= 60
    assert sorted(os.listdir(str(tmp_path))) == [NAME, NAME + ".json"]


def test_a_build_is_expected_to_take_what_it_took_last_time(tmp_path):
    path = str(tmp_path / "cache" / NAME)
    assert BuildTimes(path).expected_seconds("model", False) is None
    BuildTimes(path).note("model", False, 612.3456)
    BuildTimes(path).note("model", True, 48)
    BuildTimes(path).note("other", False, 7.5)
    times = BuildTimes(path)
    assert times.expected_seconds("model", False) == 612.346
    assert times.expected_seconds("model", True) == 48.0
    assert times.expected_seconds("other", True) is None
    times.note("model", False, 580)
    assert BuildTimes(path).expected_seconds("model", False) == 580.0
    assert os.listdir(os.path.dirname(path)) == [NAME + ".json"]


def test_the_oldest_of_more_than_64_builds_is_forgotten(tmp_path):
    times = BuildTimes(str(tmp_path / NAME))
    for number in range(64):
        times.note("key {}".format(number), False, number)
    times.note("key 0", False, 1000)  # is now the youngest
    times.note("key 64", False, 64)
    assert times.expected_seconds("key 1", False) is None
    assert times.expected_seconds("key 0", False) == 1000.0
    assert [times.expected_seconds("key {}".format(number), False) for number in (2, 64)] == [2.0, 64.0]
    with open(str(tmp_path / NAME) + ".json") as file:
        assert len(json.load(file)["builds"]) == 64


@pytest.mark.parametrize("key", ["", "a b", "\n", "\u30c6\u30b0\u30e9", "\ud800", "k" * 10000, '"]}'], ids=short)
def test_any_string_is_a_key(tmp_path, key):
    times = BuildTimes(str(tmp_path / NAME))
    times.note("another", True, 3)
    times.note(key, True, 2)
    assert (times.expected_seconds(key, True), times.expected_seconds(key, False)) == (2.0, None)
    assert times.expected_seconds("another", True) == 3.0


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e30])
def test_what_is_no_duration_is_not_remembered(tmp_path, seconds):
    times = BuildTimes(str(tmp_path / NAME))
    times.note("key", False, 5)
    times.note("key", False, seconds)
    assert times.expected_seconds("key", False) == 5.0


DAMAGED = [
    b"", b"\xff\xfe", b"{", b"[]", b"null", b"3", b'"text"', b"{}", b'{"format": 1}', b'{"format": 2, "builds": []}',
    b'{"format": 1, "builds": 3}', b'{"format": 1, "builds": {"key": 1}}', b'{"format": 1, "builds": [3]}',
    b'{"format": 1, "builds": [["key", false]]}', b'{"format": 1, "builds": [["key", false, 5, 6]]}',
    b'{"format": 1, "builds": [["key", false, 5], ["key", false, "5"]]}', b'{"format": 1, "builds": [["key", 0, 5]]}',
    b'{"format": 1, "builds": [["key", false, true]]}', b'{"format": 1, "builds": [["key", false, NaN]]}',
    b'{"format": 1, "builds": [["key", false, Infinity]]}', b'{"format": 1, "builds": [["key", false, -5]]}',
    b'{"format": 1, "builds": [["key", false, 1e999]]}', b'{"format": 1, "builds": [[["key"], false, 5]]}',
    b'{"format": 1, "builds": [["key", false, null]]}', b'{"format": 1, "builds": "abc"}', b"[" * 100000,
    b'{"format": 1, "builds": [["key", false, ' + b"9" * 6000 + b"]]}",
    b'{"format": 1, "builds": [["key", false, 5]]}' + b" " * (1 << 20),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(DAMAGED)))
def test_a_damaged_history_counts_as_empty_and_is_replaced(tmp_path, number):
    (tmp_path / (NAME + ".json")).write_bytes(DAMAGED[number])
    times = BuildTimes(str(tmp_path / NAME))
    assert times.expected_seconds("key", False) is None
    times.note("key", False, 9)
    assert times.expected_seconds("key", False) == 9.0


def test_random_damage_to_a_history_is_never_an_error(tmp_path):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    times = BuildTimes(str(tmp_path / NAME))
    for number in range(5):
        times.note("key", bool(number % 2), number)
    whole = (tmp_path / (NAME + ".json")).read_bytes()
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 5)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (tmp_path / (NAME + ".json")).write_bytes(bytes(damaged[: chance.randrange(1, len(damaged) + 1)]))
        expected = times.expected_seconds("key", True)
        assert expected is None or 0 <= expected < 1e7


def test_a_history_that_cannot_be_written_costs_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    times = BuildTimes(str(tmp_path / "file" / NAME))
    times.note("key", False, 5)
    assert times.expected_seconds("key", False) is None
