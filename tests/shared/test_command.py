"""Ctrl-C and SIGTERM end a command once, however often they come."""

import os
import signal
import sys

import pytest

from ccc_jetson.command import INTERRUPTED, Interrupt, Parser, print_error, run_command, runs_here
from ccc_jetson.errors import CccError
from ccc_jetson.signals import ENDING_SIGNALS


@pytest.fixture(autouse=True)
def ordinary_handlers():
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("first", ENDING_SIGNALS)
@pytest.mark.parametrize("second", ENDING_SIGNALS)
def test_what_is_being_cleaned_up_is_not_interrupted_by_a_second_signal(first, second):
    steps = []

    def work(_):
        try:
            os.kill(os.getpid(), first)
            steps.append("never reached")
        finally:
            os.kill(os.getpid(), second)
            steps.append("cleaned up")
        return 0

    assert run_command(Parser("ccc-test", "test", "ccc-test"), work, []) == INTERRUPTED
    assert steps == ["cleaned up"]


def test_a_clean_up_that_hangs_can_be_interrupted_after_a_second():
    now = [100.0]
    interrupt = Interrupt(lambda: now[0])
    with pytest.raises(KeyboardInterrupt):
        interrupt(signal.SIGINT, None)
    now[0] += 0.9
    interrupt(signal.SIGINT, None)
    now[0] += 0.2
    with pytest.raises(KeyboardInterrupt):
        interrupt(signal.SIGTERM, None)


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_signal_that_was_switched_off_stays_off(number):
    signal.signal(number, signal.SIG_IGN)
    assert run_command(Parser("ccc-test", "test", "ccc-test"), lambda _: 0, []) == 0
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.parametrize("words", [["--serve-tok", "hunter2"], ["--serve-t=hunter2"]])
def test_options_are_written_in_full_for_a_report_knows_a_secret_by_its_option(words, capsys):
    parser = Parser("ccc-test", "test", "ccc-test")
    parser.add_argument("--serve-token")
    with pytest.raises(SystemExit):
        parser.parse_args(words)
    assert "unrecognized arguments" in capsys.readouterr().err
    assert parser.parse_args(["--serve-token", "hunter2"]).serve_token == "hunter2"


@pytest.mark.parametrize(
    "words, expected",
    [
        (["-oa.engine", "m"], ("a.engine", False, ["m"])),
        (["m", "-o", "a.engine"], ("a.engine", False, ["m"])),
        (["-o=a", "-v"], ("a", True, [])),
        (["-o-", "--", "-ob"], ("-", False, ["-ob"])),
    ],
)
def test_a_letter_and_its_value_may_be_one_word(words, expected):
    parser = Parser("ccc-test", "test", "ccc-test")
    parser.add_argument("-o", "--engine")
    parser.add_argument("-v", action="store_true")
    parser.add_argument("models", nargs="*")
    found = parser.parse_args(words)
    assert (found.engine, found.v, found.models) == expected


def test_no_message_has_the_secrets_of_an_address(capsys):
    address = "rtsp://127.0.0.1:1/user=admin_password=hunter2_channel=1"
    print_error("ccc-test", CccError("cannot open " + address, hint="ccc-run " + address + "?key=hunter2"))
    with pytest.raises(SystemExit):
        Parser("ccc-test", "test", "ccc-test").parse_args([address])
    err = capsys.readouterr().err
    assert "hunter2" not in err and err.count("rtsp://127.0.0.1:1/user=***") == 3
    print_error("ccc-test", CccError("--arch-args KEY=VALUE"))
    assert "KEY=VALUE" in capsys.readouterr().err


def test_no_message_steers_the_terminal(capsys):
    print_error("ccc-test", CccError("\x1b[2J.mp4: no video\nof any kind", hint="ccc-run '\x9b2J'"))
    with pytest.raises(SystemExit):
        Parser("ccc-test", "test", "ccc-test").parse_args(["\x1b[2J"])
    err = capsys.readouterr().err
    assert "\x1b" not in err and "\x9b" not in err
    assert err.startswith("ccc-test: error: ?[2J.mp4: no video\nof any kind\n  -> ccc-run '?2J'\n")
    assert err.endswith("unrecognized arguments: ?[2J\n")


def test_a_command_of_the_workstation_says_in_a_line_where_it_runs(capsys):
    assert runs_here("ccc-test", (3, 5), "copy the file")
    assert capsys.readouterr().err == ""
    assert not runs_here("ccc-test", (99, 1), "copy the file")
    assert capsys.readouterr().err == (
        "ccc-test: error: runs on the workstation, with Python 99.1 or newer; this is Python {}.{} (copy the file)\n"
    ).format(*sys.version_info)
