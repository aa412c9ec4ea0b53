"""Files are whole or not there."""

import errno
import fcntl
import os
import signal

import pytest

from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.file_kinds import kind_of
from ccc_jetson.files import (
    check_output,
    path_of,
    read_bytes,
    read_text,
    replacing,
    sha256_of,
    write_bytes,
    write_text,
)
from ccc_jetson.images import read_frame


def test_a_written_file_is_there_and_nothing_else(tmp_path):
    write_text(str(tmp_path / "a.json"), "täxt")
    assert read_text(str(tmp_path / "a.json")) == "täxt"
    assert os.listdir(str(tmp_path)) == ["a.json"]


def test_the_umask_decides_the_mode(tmp_path):
    mask = os.umask(0o027)
    try:
        write_bytes(str(tmp_path / "a"), b"1")
    finally:
        os.umask(mask)
    assert os.stat(str(tmp_path / "a")).st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_keeps_the_old_file_and_leaves_no_temporary(tmp_path, error):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(str(path)) as temporary:
        assert temporary.endswith(".onnx")
        with open(temporary, "wb") as file:
            file.write(b"half")
        raise error()
    assert path.read_bytes() == b"old"
    assert os.listdir(str(tmp_path)) == ["a.onnx"]


def test_a_full_disk_says_so_and_leaves_nothing(tmp_path):
    with pytest.raises(FileProblem) as caught, replacing(str(tmp_path / "a")):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "no space left" in str(caught.value)
    assert os.listdir(str(tmp_path)) == []


def test_a_missing_folder_is_named_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(FileProblem) as caught:
        write_bytes(str(tmp_path / "no" / "a"), b"")
    assert "folder does not exist" in str(caught.value)
    assert caught.value.hint == "mkdir -p " + str(tmp_path / "no")


def test_another_write_error_keeps_its_reason(tmp_path):
    with pytest.raises(FileProblem, match="Read-only"), replacing(str(tmp_path / "a")):
        raise OSError(errno.EROFS, "Read-only file system")


def test_a_device_is_never_replaced():
    with pytest.raises(FileProblem, match="no ordinary file"):
        write_bytes(os.devnull, b"")
    assert not os.path.isfile(os.devnull)


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    os.symlink(str(tmp_path / "real"), str(tmp_path / "link"))
    write_bytes(str(tmp_path / "link"), b"new")
    assert os.path.islink(str(tmp_path / "link"))
    assert (tmp_path / "real").read_bytes() == b"new"


def test_an_output_is_checked_before_the_work_begins(tmp_path):
    (tmp_path / "in").write_bytes(b"")
    check_output(str(tmp_path / "new"), [str(tmp_path / "in")])
    for path, message in (
        (str(tmp_path), "is a folder"),
        (str(tmp_path / "no" / "a"), "folder does not exist"),
        (str(tmp_path / "in"), "would overwrite"),
        (os.devnull, "no ordinary file"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            check_output(path, [str(tmp_path / "in")], "--report")
        assert str(caught.value).startswith("--report " + path)


def test_reading_what_is_not_there_or_no_text_says_so(tmp_path):
    with pytest.raises(FileProblem, match="No such file"):
        read_bytes(str(tmp_path / "a"))
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    with pytest.raises(FileProblem, match="not a text file"):
        read_text(str(tmp_path / "b"))


def test_sha256_is_the_standard_one(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(str(tmp_path / "a")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_what_a_killed_process_left_is_taken_over_by_the_next(tmp_path):
    (tmp_path / ".a.part.json").write_bytes(b"half of another, and longer")
    write_bytes(str(tmp_path / "a.json"), b"whole")
    assert (tmp_path / "a.json").read_bytes() == b"whole"
    assert os.listdir(str(tmp_path)) == ["a.json"]


def test_what_was_left_gives_its_successor_no_mode(tmp_path):
    (tmp_path / ".a.part.json").write_bytes(b"half")
    os.chmod(str(tmp_path / ".a.part.json"), 0o666)
    mask = os.umask(0o027)
    try:
        write_bytes(str(tmp_path / "a.json"), b"whole")
    finally:
        os.umask(mask)
    assert os.stat(str(tmp_path / "a.json")).st_mode & 0o777 == 0o640


def test_what_another_user_left_is_not_taken_over(tmp_path, monkeypatch):
    (tmp_path / ".a.part").write_bytes(b"of somebody")
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    write_bytes(str(tmp_path / "a"), b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert (tmp_path / ".a.part").read_bytes() == b"of somebody"
    assert not os.path.samefile(str(tmp_path / "a"), str(tmp_path / ".a.part"))


@pytest.mark.parametrize("taken", ["locked", "removed"])
def test_a_temporary_that_another_takes_before_it_is_locked_is_left_to_it(tmp_path, monkeypatch, taken):
    lock, others = fcntl.flock, []

    def taken_first(file, how):
        monkeypatch.setattr(fcntl, "flock", lock)
        if taken == "locked":
            others.append(os.open(str(tmp_path / ".a.part"), os.O_WRONLY))
            lock(others[0], how)
        else:
            os.unlink(str(tmp_path / ".a.part"))
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", taken_first)
    with replacing(str(tmp_path / "a")) as temporary:
        assert temporary == str(tmp_path / ".a.{}.part".format(os.getpid()))
    for other in others:
        os.close(other)
    assert (tmp_path / "a").exists()


def test_two_that_write_the_same_file_do_not_disturb_each_other(tmp_path):
    path = str(tmp_path / "a.json")
    with replacing(path) as first:
        with replacing(path) as second:
            assert first != second
            with open(second, "wb") as file:
                file.write(b"second")
        with open(first, "wb") as file:
            file.write(b"first")
    assert (tmp_path / "a.json").read_bytes() == b"first"
    assert os.listdir(str(tmp_path)) == ["a.json"]


def test_what_another_process_is_writing_is_left_to_it(tmp_path):
    with open(str(tmp_path / ".a.part"), "wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        write_bytes(str(tmp_path / "a"), b"whole")
    assert sorted(os.listdir(str(tmp_path))) == [".a.part", "a"]


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
def test_nothing_is_written_through_what_somebody_has_put_in_the_temporarys_place(tmp_path, kind):
    (tmp_path / "precious").write_bytes(b"precious")
    planted, precious = str(tmp_path / ".a.part"), str(tmp_path / "precious")
    {"link": os.symlink, "hard link": os.link, "pipe": lambda _, path: os.mkfifo(path)}[kind](precious, planted)
    write_bytes(str(tmp_path / "a"), b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_without_locks_files_are_written_all_the_same(tmp_path, monkeypatch):
    def refused(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    (tmp_path / ".a.part").write_bytes(b"of somebody")
    write_bytes(str(tmp_path / "a"), b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert (tmp_path / ".a.part").read_bytes() == b"of somebody"
    write_bytes(str(tmp_path / "b"), b"whole")
    assert sorted(os.listdir(str(tmp_path))) == [".a.part", "a", "b"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_temporary_is_made_leaves_none(tmp_path, monkeypatch, number):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    opened = os.open

    def open_and_be_asked_to_end(*arguments):
        file = opened(*arguments)
        os.kill(os.getpid(), number)
        return file

    before = signal.signal(number, interrupted)
    try:
        monkeypatch.setattr(os, "open", open_and_be_asked_to_end)
        with pytest.raises(KeyboardInterrupt):
            write_bytes(str(tmp_path / "a"), b"whole")
    finally:
        signal.signal(number, before)
    assert os.listdir(str(tmp_path)) == []


def test_a_pipe_or_a_device_is_not_read(tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    for path in (str(tmp_path / "pipe"), "/dev/zero"):
        for read in (read_bytes, read_text, sha256_of):
            with pytest.raises(FileProblem, match="no ordinary file"):
                read(path)


@pytest.mark.parametrize("read", [read_bytes, read_text, sha256_of, read_frame, kind_of])
@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_name_that_no_file_can_have_is_a_problem_of_the_file(read, name):
    with pytest.raises(FileProblem, match=r"a\?b: no file has such a name"):
        read(name)


def test_a_callers_path_is_text_or_a_path(tmp_path):
    assert path_of("model", "a") == "a" and path_of("model", tmp_path) == str(tmp_path)
    for given, message in ((3, "model: 3 is neither"), (b"a", "model: b'a' is neither"), ("a\0b", "no file has such")):
        with pytest.raises(UsageError, match=message):
            path_of("model", given)
