"""Commands that are run to their end, whatever they do."""

import os

import pytest

from ccc_jetson.child import MOST_OUTPUT, run_child
from tests.doubles.children import is_running

LONG_S = 300.0


def shell(script, seconds=LONG_S, environ=None):
    return run_child(["/bin/sh", "-c", script], seconds, environ)


def test_both_streams_and_the_exit_code_come_back():
    answer = shell("echo out; echo err >&2; exit 3")
    assert (answer.code, answer.out, answer.err, answer.why_not) == (3, "out\n", "err\n", "")
    assert (answer.complaint, answer.signal) == ("err", "")
    assert shell("exit 3").complaint == "exit code 3"


def test_it_has_the_environment_it_was_given_and_the_root_as_its_folder():
    assert shell("echo $NAME; pwd", environ={"NAME": "value", "PATH": os.environ["PATH"]}).out == "value\n/\n"


def test_both_streams_may_come_as_one_from_another_folder(tmp_path):
    command = ["/bin/sh", "-c", "pwd; echo err >&2; echo out"]
    answer = run_child(command, LONG_S, folder=str(tmp_path), together=True)
    assert (answer.code, answer.out, answer.err) == (0, "{}\nerr\nout\n".format(os.path.realpath(str(tmp_path))), "")


@pytest.mark.parametrize("number, name", [(4, "SIGILL"), (11, "SIGSEGV"), (9, "SIGKILL")])
def test_a_signal_is_told_by_its_name(number, name):
    answer = shell("kill -{} $$".format(number))
    assert (answer.signal, answer.complaint) == (name, name)


def test_what_cannot_be_started_is_told():
    answer = run_child(["/nowhere"], LONG_S)
    assert answer.code is None and answer.refused.startswith("No such file or directory")
    assert answer.complaint.startswith("/nowhere: No such file or directory")  # Python 3.6 says the name once more


def test_what_hangs_is_ended_with_what_it_has_started_and_what_it_said_is_kept():
    answer = shell("sleep 600 & echo $!; sleep 600", 0.5)
    assert (answer.code, answer.why_not) == (None, "no answer in 0.5 s")
    assert not is_running(int(answer.out))


def test_what_closes_its_pipes_and_hangs_is_ended_too():
    assert shell("exec >&- 2>&-; sleep 600", 0.3).why_not == "no answer in 0.3 s"


def test_what_it_leaves_behind_is_ended_and_not_waited_for():
    answer = shell("sleep 600 & echo $!")
    assert (answer.code, answer.why_not) == (0, "")
    assert not is_running(int(answer.out))


def test_what_floods_and_leaves_a_flood_behind_is_kept_up_to_a_bound():
    assert len(shell("exec yes", 0.5).out) == MOST_OUTPUT
    assert len(shell("yes >&2 & exit 0").err) <= MOST_OUTPUT


def test_all_of_a_long_answer_is_there():
    assert len(shell("head -c 1000000 /dev/zero | tr '\\0' x").out) == 1000000
