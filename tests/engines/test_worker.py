"""The process that has TensorRT ends with the command that started it, however that ends, and leaves no file."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ccc_jetson.engines.worker import Worker
from ccc_jetson.errors import BuildError, FileProblem

COMMAND = "import sys; from ccc_jetson.engines.build_cli import main; sys.exit(main(sys.argv[1:]))"
PATIENCE_S = 30.0


def children(folder):
    """Process numbers of builders that work in the folder."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/{}/cmdline".format(name), "rb") as file:
                    words = file.read().decode("utf-8", "replace")
            except OSError:  # it has ended meanwhile
                continue
            if "build_child" in words and str(folder) in words:
                found.append(int(name))
    return found


def wait_until(true):
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "waited in vain for {}".format(true)
        time.sleep(0.02)


@pytest.fixture()
def building(board):
    """ccc-build-engine in the middle of a build that takes too long for any test."""
    board.be(build_seconds=100)
    process = subprocess.Popen([sys.executable, "-c", COMMAND, board.model], stderr=subprocess.PIPE)
    lines = []
    while not any(line.startswith(b"building") for line in lines):
        line = process.stderr.readline()
        assert line, lines
        lines.append(line)
    (child,) = children(board.folder)
    yield process, child
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stderr.close()


def is_running(number):
    try:
        with open("/proc/{}/stat".format(number)) as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_the_builder_and_leave_no_file(board, building, number):
    process, child = building
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 130
    assert not is_running(child)
    assert board.files() == ["model.onnx"]


def test_a_second_ctrl_c_during_the_clean_up_leaves_no_file_either(board, building):
    process, child = building
    process.send_signal(signal.SIGINT)
    time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE_S)
    wait_until(lambda: not is_running(child))
    assert board.files() == ["model.onnx"]


def test_what_a_power_cut_left_is_removed_by_the_next_build(board):
    for name in (".model.engine.a.part", ".x.a.part"):
        (board.folder / name).mkdir()
        (board.folder / name / "plan").write_text("half")
    Worker(board.engine, lambda event: None).close()
    assert board.files() == [".x.a.part", "model.onnx"]


def test_what_another_build_of_the_same_engine_is_working_on_stays(board):
    with Worker(board.engine, lambda event: None) as other:
        Worker(board.engine, lambda event: None).close()
        assert board.files() == [os.path.basename(other.folder), "model.onnx"]
    assert board.files() == ["model.onnx"]


def test_a_builder_whose_command_was_killed_ends_by_itself_and_leaves_no_file(board, building):
    process, child = building
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(child))
    wait_until(lambda: board.files() == ["model.onnx"])


def test_a_worker_that_is_idle_is_ended_in_order(board):
    board.be()
    events = []
    with Worker(board.engine, events.append) as worker:
        assert worker.facts().device == "NVIDIA Tegra X2"
        (child,) = children(board.folder)
        with open(worker.path("printed.log")) as log:
            printed = log.read()
    assert not is_running(child)
    assert board.files() == ["model.onnx"]
    assert "context stack was not empty" not in printed


def test_a_dead_worker_is_started_again(board):
    board.be(abort="create")
    with Worker(board.engine, lambda event: None) as worker:
        with pytest.raises(BuildError, match="the builder ended with SIGABRT"):
            worker.facts()
        board.be()
        assert worker.facts().sm == "6.2"


def test_closing_twice_is_harmless(board):
    worker = Worker(board.engine, lambda event: None)
    worker.close()
    worker.close()
    assert board.files() == ["model.onnx"]


def test_a_folder_that_cannot_be_written_is_named(board):
    with pytest.raises(FileProblem, match="its folder does not exist"):
        Worker(str(board.folder / "missing" / "x.engine"), lambda event: None)
