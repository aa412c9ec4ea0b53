"""A terminal that has gone ends no work."""

import errno
import signal
import sys

import pytest

from ccc_jetson.command import INTERRUPTED, Parser, run_command
from ccc_jetson.engines.build_progress import BuildProgress
from ccc_jetson.errors import CccError
from ccc_jetson.progress import Progress, say
from ccc_jetson.signals import ENDING_SIGNALS
from ccc_jetson.terminal import write_now
from tests.doubles.hung_up import HungUp


@pytest.fixture
def terminal():
    opened = HungUp()
    yield opened
    opened.close()


def test_progress_and_what_is_said_go_nowhere(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    progress, build = Progress("work", 3), BuildProgress()
    progress.step(3)
    build.line("begun")
    terminal.hang_up()
    progress.step()
    progress.done = 2
    progress.step()
    progress.close()
    say("lost")
    build.line("built")
    build.close()
    print("of a library's", file=sys.stderr, flush=True)


def test_a_terminal_that_is_there_gets_it_all(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    say("found")
    assert "found" in terminal.read_until("found")


def test_another_problem_of_a_stream_is_none_of_the_terminals():
    class Full:
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_now(Full(), "text")


def test_a_callers_own_problem_is_not_taken_for_a_terminals():
    def say_it(text):
        raise OSError(errno.EIO, "of the caller's log")

    with pytest.raises(OSError, match="of the caller's log"):
        BuildProgress.to_lines(say_it).line("begun")


@pytest.fixture
def ordinary_handlers():
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("ordinary_handlers")
@pytest.mark.parametrize("outcome", ["result", "problem", "interrupt"])
def test_a_command_whose_results_terminal_has_gone_was_interrupted(terminal, monkeypatch, outcome):
    monkeypatch.setattr(sys, "stdout", terminal.stream)
    monkeypatch.setattr(sys, "stderr", terminal.stream)

    def work(_):
        terminal.hang_up()
        if outcome == "result":
            print("42")
        raise CccError("it broke") if outcome == "problem" else KeyboardInterrupt

    assert run_command(Parser("ccc-test", "test", "ccc-test"), work, []) == INTERRUPTED
    sys.stdout.flush()


@pytest.mark.usefixtures("ordinary_handlers")
def test_what_is_no_terminals_problem_is_not_hidden():
    def work(_):
        raise OSError(errno.EIO, "of a camera")

    with pytest.raises(OSError, match="of a camera"):
        run_command(Parser("ccc-test", "test", "ccc-test"), work, [])
