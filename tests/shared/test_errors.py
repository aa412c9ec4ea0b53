"""The exception root and the command frame around every command line."""

import errno
import os
import signal
import sys
import time

import pytest

from ccc_jetson.command import INTERRUPTED, Parser, run_command
from ccc_jetson.errors import CccError, UsageError


def run(work):
    return run_command(Parser("ccc-test", "test", "ccc-test"), work, [])


def raiser(error):
    def work(arguments):
        raise error

    return work


def test_an_error_becomes_message_hint_and_exit_code_without_a_traceback(capsys):
    assert run(raiser(UsageError("found that", hint="do this"))) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "ccc-test: error: found that\n  -> do this\n"


def test_an_error_without_hint_prints_no_arrow(capsys):
    assert run(raiser(CccError("found that"))) == 1
    assert capsys.readouterr().err == "ccc-test: error: found that\n"


def test_a_full_disk_is_an_error_and_not_a_traceback(capsys):
    assert run(raiser(OSError(errno.ENOSPC, "No space left on device"))) == 1
    assert "no space left" in capsys.readouterr().err


def test_out_of_memory_is_an_error_and_not_a_traceback(capsys):
    assert run(raiser(MemoryError())) == 1
    assert "out of memory" in capsys.readouterr().err


def test_an_os_error_with_a_file_names_it(capsys):
    assert run(raiser(PermissionError(errno.EACCES, "Permission denied", "/some/file"))) == 1
    assert "error: /some/file: Permission denied" in capsys.readouterr().err


def test_an_os_error_without_a_file_is_a_bug_and_stays_visible():
    with pytest.raises(OSError):
        run(raiser(OSError(errno.EIO, "Input/output error")))


def test_ctrl_c_ends_with_130(capsys):
    assert run(raiser(KeyboardInterrupt())) == INTERRUPTED
    assert "interrupted" in capsys.readouterr().err


def test_sigterm_is_treated_as_ctrl_c():
    def work(arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        return 0

    before = signal.getsignal(signal.SIGTERM)
    try:
        assert run(work) == INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_closed_pipe_behind_us_is_no_traceback(tmp_path):
    script = tmp_path / "writes.py"
    script.write_text(
        "from ccc_jetson.command import Parser, run_command\n"
        "import sys\n"
        "def work(arguments):\n"
        "    for number in range(200000):\n"
        "        print(number)\n"
        "    return 0\n"
        "sys.exit(run_command(Parser('ccc-test', 'test', 'ccc-test'), work, []))\n"
    )
    errors = tmp_path / "errors"
    os.system("{} {} 2> {} | head -1 > {}".format(sys.executable, script, errors, os.devnull))
    assert errors.read_text() == ""


def test_what_steers_a_terminal_is_no_part_of_a_message():
    error = CccError("a\x1b[31m.onnx: is no\x85model\nat\tall", hint="rm 'a\x1b[31m.onnx'")
    assert str(error) == "a?[31m.onnx: is no?model\nat all"
    assert error.hint == "rm 'a?[31m.onnx'"
