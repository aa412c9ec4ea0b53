"""The parts of a report: what is kept between runs, how a command is run, what is packed, what is read."""

import errno
import json
import os
import signal
import sys
import threading
import time

import pytest

from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.runtime.board_report import bundle, running
from ccc_jetson.runtime.board_report.bundle import write_bundle
from ccc_jetson.runtime.board_report.outcome import read_outcome, read_record
from ccc_jetson.runtime.board_report.page import About, board_document, table_row
from ccc_jetson.runtime.board_report.plan import FULL, QUICK, Board, Wishes, plan
from ccc_jetson.runtime.board_report.power import Mode
from ccc_jetson.runtime.board_report.report import short_name
from ccc_jetson.runtime.board_report.running import Command, run, text_of_log
from ccc_jetson.runtime.board_report.state import DONE, FAILED, Outcome, State
from ccc_jetson.runtime.reports.html import page
from ccc_jetson.runtime.reports.markdown import markdown
from ccc_jetson.targets import target_named

MAXN, ARM = Mode(0, "MAXN", "the fastest"), Mode(3, "MAXP_CORE_ARM", "the boot's")
ABOUT = About(
    (), "NVIDIA Jetson TX2 Developer Kit", "Jetson TX2", "CCC2, 1024x512", "x", "y", False, "fp16", True, True
)


def steps_of(board, **wishes):
    return {step.name: step for step in plan(Wishes(("python3",), **wishes), board)}


def test_on_a_board_of_no_known_name_everything_is_tried():
    steps = steps_of(Board(None, (), None, "", has_pytest=True), calib=("x.calib",), checkout="/nowhere")
    assert steps["bench-fp16-as-found"].mode is None
    assert steps["build-int8"].why_left_out == ""


def test_a_classifier_is_not_evaluated():
    steps = steps_of(Board(target_named("tx2"), (MAXN, ARM), 3, "", is_classifier=True))
    assert "classifies whole pictures" in steps["accuracy-fp16"].why_left_out
    assert steps["bench-fp16-maxn"].why_left_out == ""


def test_frames_of_the_evaluation_do_not_calibrate(tmp_path):
    board = Board(target_named("orin"), (MAXN,), 0, "")
    labelled = {"images": "/i", "labels": "/l", "mapping": "camvid"}
    shown = steps_of(board, calib=(str(tmp_path),), **labelled)["build-int8"].commands[0].shown
    assert shown.endswith("--calib {} --calib-not-in /i".format(tmp_path))
    assert "--calib-not-in" not in steps_of(board, calib=("x.calib",), **labelled)["build-int8"].commands[0].shown


def test_the_device_tests_are_a_step_where_there_is_a_checkout_with_pytest(tmp_path):
    (tmp_path / "tests" / "jetson").mkdir(parents=True)
    board = Board(target_named("tx2"), (MAXN,), 0, "", has_pytest=True)
    step = steps_of(board, checkout=str(tmp_path))["suite"]
    assert step.why_left_out == "" and "-m jetson" in step.commands[0].shown
    assert "no pytest" in steps_of(board._replace(has_pytest=False), checkout=str(tmp_path))["suite"].why_left_out


@pytest.mark.parametrize(
    "board, target, expected",
    [
        ("NVIDIA Jetson TX2 Developer Kit", "tx2", "Jetson TX2"),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", "orin", "Jetson Orin Nano Super"),
        ("quill", "tx2", "Jetson TX2"),
        ("NVIDIA Jetson AGX Thor Developer Kit", None, "Jetson AGX Thor"),
        ("", None, "Jetson"),
    ],
)
def test_a_board_is_called_by_its_own_name_not_by_the_target_that_stands_for_it(board, target, expected):
    assert short_name(board, target and target_named(target)) == expected


def test_quick_is_quick():
    assert Wishes((), quick=True).lengths == QUICK and Wishes(()).lengths == FULL


def test_what_is_done_is_kept_and_what_is_of_something_else_is_refused(tmp_path):
    state = State(str(tmp_path), {"model": "a"}, "2026-01-01T00:00:00Z")
    state.found_mode = 3
    state.note("build", Outcome(DONE, 2.5, "", 0))
    state.note("bench", Outcome(FAILED, 1.0, "broken", 1))
    again = State(str(tmp_path), {"model": "a"}, "2026-02-02T00:00:00Z")
    again.take_up()
    assert again.is_resumed and again.found_mode == 3 and again.started == "2026-01-01T00:00:00Z"
    assert again.is_done("build") and not again.is_done("bench") and again.outcomes["bench"].why == "broken"
    with pytest.raises(UsageError, match="another model"):
        State(str(tmp_path), {"model": "b"}, "").take_up()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 2, "about": {}, "found_mode": null, "steps": {}, "started": ""}',
             '{"format": 1, "about": {}, "found_mode": "x", "steps": {}, "started": ""}',
             '{"format": 1, "about": {}, "found_mode": 1, "steps": {"a": ["odd", 1]}, "started": ""}',
             '{"format": 1, "about": {}, "found_mode": 1, "steps": {"a": []}, "started": ""}',
             '{"format": 1, "about": {}, "found_mode": 1, "steps": {}, "started": "yesterday"}',
             '{"format": 1, "about": 5, "found_mode": 1, "steps": {}, "started": "2026-01-01T00:00:00Z"}',
             '{"format": 1, "about": {}, "found_mode": 1, "steps": {"a": ["done", "x"]}, '
             '"started": "2026-01-01T00:00:00Z"}', "[" * 100000],
    ids=range(11),
)  # fmt: skip
def test_a_damaged_state_is_refused_with_the_way_out(tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(FileProblem) as caught:
        State(str(tmp_path), {}, "").take_up()
    assert "rm -r " + str(tmp_path) in caught.value.hint


def test_on_a_full_disk_the_report_goes_on_and_says_that_it_cannot_be_resumed(tmp_path, monkeypatch):
    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    state = State(str(tmp_path), {}, "")
    monkeypatch.setattr(os, "replace", full)
    state.note("build", Outcome(DONE, 1.0))
    assert state.is_done("build") and "no space left" in state.unwritten
    assert os.listdir(str(tmp_path)) == []
    with pytest.raises(FileProblem, match="no space left"):
        write_bundle(str(tmp_path / "x.tar.gz"), "x", [("a", "b")], 0.0)
    assert os.listdir(str(tmp_path)) == []


def test_a_file_too_large_for_an_issue_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "MOST_BYTES", 10)
    with pytest.raises(FileProblem, match="an issue takes"):
        write_bundle(str(tmp_path / "x.tar.gz"), "x", [("a", "b")], 0.0)
    assert os.listdir(str(tmp_path)) == []


def test_the_same_texts_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_bundle(str(tmp_path / name), "x", [("a", "b")], 5.0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def python(code, output=""):
    return Command("code", (sys.executable, "-c", code), output)


def test_a_command_has_its_output_in_a_file_and_its_complaint_in_words(tmp_path):
    log = str(tmp_path / "a.log")
    assert run(python("print(5)", "out.txt"), str(tmp_path), log, 60, "t")[::2] == (0, "")
    assert (tmp_path / "out.txt").read_text() == "5\n"
    told = "import sys; sys.stderr.write('x\\nccc-x: error: no GPU\\n  -> buy one\\n'); sys.exit(3)"
    assert run(python(told), str(tmp_path), log, 60, "t")[::2] == (3, "no GPU -> buy one")
    assert run(python("import sys; sys.exit(4)"), str(tmp_path), log, 60, "t")[::2] == (4, "exit code 4")
    assert run(python("raise ValueError('odd')"), str(tmp_path), log, 60, "t").complaint == "ValueError: odd"
    assert text_of_log(log).count("$ code") == 4


def test_a_command_that_is_not_there_or_does_not_end_is_noted(tmp_path, monkeypatch):
    log = str(tmp_path / "a.log")
    found = run(Command("x", ("/nowhere",)), str(tmp_path), log, 60, "t")
    assert found.code is None and found.complaint.startswith("cannot be started: No such file")
    monkeypatch.setattr(running, "_GRACE_S", 0.5)
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(100)"
    found = run(python(deaf), str(tmp_path), log, 1.0, "t")
    assert found[::2] == (None, "no end after 1 s") and found.seconds < 60


def test_ctrl_c_ends_the_command_in_order_and_goes_on_up(tmp_path):
    code = (
        "import time\ntry:\n    open('began', 'w').close()\n    time.sleep(100)\n"
        "except KeyboardInterrupt:\n    open('ended', 'w').close()\n"
    )

    def press():
        while not (tmp_path / "began").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run(python(code), str(tmp_path), str(tmp_path / "a.log"), 60, "t")
    assert (tmp_path / "ended").exists()


def test_what_runs_long_says_so_now_and_then(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(running, "_PIPE_EVERY_S", 0.1)
    run(python("import time; time.sleep(0.7)"), str(tmp_path), str(tmp_path / "a.log"), 60, "[1/2] x")
    assert "[1/2] x: 0 s\n" in capsys.readouterr().err


class GoneTerminal:
    """What is left of a terminal after its connection was lost."""

    def __init__(self, folder):
        self._descriptor = os.open(str(folder / "terminal"), os.O_CREAT | os.O_WRONLY)

    def fileno(self):
        return self._descriptor

    def isatty(self):
        return True

    def write(self, text):
        raise OSError(errno.EIO, "Input/output error")

    def flush(self):
        raise OSError(errno.EIO, "Input/output error")


def test_a_terminal_that_has_gone_ends_no_step_and_is_no_problem_of_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_SHOW_S", 0.1)
    monkeypatch.setattr(sys, "stderr", GoneTerminal(tmp_path))
    code = "import time; time.sleep(0.7); print(5)"
    assert run(python(code), str(tmp_path), str(tmp_path / "a.log"), 60, "t")[::2] == (0, "")
    assert "5\n[exit code 0]" in text_of_log(str(tmp_path / "a.log"))


def test_a_lost_connection_is_an_interruption_though_its_terminal_has_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_SHOW_S", 0.1)
    monkeypatch.setattr(sys, "stderr", GoneTerminal(tmp_path))

    def hang_up():
        while not (tmp_path / "began").exists():
            time.sleep(0.05)
        time.sleep(0.5)  # a line was shown, and is to be wiped
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=hang_up, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        code = "import time; open('began', 'w').close(); time.sleep(100)"
        run(python(code), str(tmp_path), str(tmp_path / "a.log"), 60, "t")


def test_a_log_that_cannot_be_written_is_a_problem(tmp_path):
    with pytest.raises(FileProblem, match="its folder does not exist"):
        run(python(""), str(tmp_path), str(tmp_path / "no" / "a.log"), 60, "t")


def test_of_a_very_long_log_the_middle_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_MOST_LOG", 100)
    (tmp_path / "a.log").write_text("begin" + "x" * 300 + "end")
    text = text_of_log(str(tmp_path / "a.log"))
    assert text.startswith("begin") and text.endswith("end") and "208 bytes left out" in text


def test_damaged_records_leave_their_rows_out_and_break_nothing(tmp_path):
    names = [
        "doctor.json",
        "fp16.engine.json",
        "bench-fp16-maxn.json",
        "accuracy-fp16.json",
        "kernels.json",
        "camera.json",
    ]
    odd = ["", "[1, 2]", '{"results": [5]}', '{"results": [{}]}', '{"findings": 5, "kernels": 5, "miou": "x"}',
           '{"findings": [5, {}], "kernels": [5, {}], "results": [{"fps": null, "telemetry": 5}]}']  # fmt: skip
    done = ("build-fp16", "bench-fp16-maxn", "accuracy-fp16", "kernels", "camera", "soak")
    for text in odd:
        for name in names:
            (tmp_path / name).write_text(text)
        found = read_outcome(str(tmp_path), (MAXN,), done)
        assert found.built == [] and found.soak is None
        document = board_document(ABOUT, (), {}, found)
        assert "No row for the table" in markdown(document) and page(document)
    assert read_record(str(tmp_path / "nothing")) is None
    (tmp_path / "deep.json").write_text("[" * 100000)
    assert read_record(str(tmp_path / "deep.json")) is None


def test_a_row_is_one_line_of_three_cells(tmp_path):
    result = {"fps": 16.25, "frame": {"p99_ms": 80.0}, "backend": "a|b"}
    benched = {"results": [result], "environment": {"power_mode": "MAXN"}}
    (tmp_path / "bench-fp16-maxn.json").write_text(json.dumps(benched))
    found = read_outcome(str(tmp_path), (MAXN,), ("bench-fp16-maxn",))
    row, why_not = table_row(ABOUT, found)
    assert why_not == "" and row.count("|") == 4 and "\n" not in row
    assert row.startswith(
        "| FPS on a Jetson TX2 | **16.25 in MAXN** (FP16, CCC2, 1024x512; p99 of the frame time 80.00 ms;"
    )
    assert "; paper: CCC1 15.9, CCC2 16.4)" in row
    assert "paper" not in table_row(ABOUT._replace(is_tx2=False), found)[0]
    assert table_row(ABOUT._replace(quick=True), found)[0] == ""
