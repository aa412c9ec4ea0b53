"""What people see during a build, on a terminal and on a pipe."""

import io

import pytest

from ccc_jetson.engines.build_progress import BuildProgress, seconds

BUILDING = {"event": "building", "workspace_mib": 512, "build": 1, "expected_seconds": None, "nodes": 345}


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def progress_on(stream):
    clock = Clock()
    return BuildProgress(stream, clock), clock


def test_stages_and_notes_are_lines():
    stream = io.StringIO()
    progress, _ = progress_on(stream)
    progress({"event": "stage", "text": "asking"})
    progress({"event": "note", "text": "little memory"})
    assert stream.getvalue() == "asking\nnote: little memory\n"


def test_names_do_not_steer_the_terminal():
    stream = io.StringIO()
    progress, _ = progress_on(stream)
    progress({"event": "log", "severity": "error", "text": "layer \x1b[2J:\n\tno format"})
    progress({"event": "note", "text": "\x9b2J"})
    assert stream.getvalue() == "TensorRT error: layer ?[2J:\n        no format\nnote: ?2J\n"


def test_a_build_is_announced_with_what_it_takes():
    stream = io.StringIO()
    progress, _ = progress_on(stream)
    progress(BUILDING)
    progress(dict(BUILDING, build=2, expected_seconds=750.0))
    assert stream.getvalue() == (
        "building: 345 nodes, workspace 512 MiB\n"
        "building again: 345 nodes, workspace 512 MiB, 12 min 30 s the last time\n"
    )


def test_on_a_terminal_one_line_moves_with_time_and_layer():
    stream = Terminal()
    progress, clock = progress_on(stream)
    progress(dict(BUILDING, expected_seconds=60.0))
    clock.now += 7
    progress({"event": "layer", "name": "Conv_12 + PRelu_13"})
    assert stream.getvalue().endswith("\r  7.0 s of about 60 s  timing Conv_12 + PRelu_13")
    clock.now += 70
    progress({"event": "waiting"})
    assert "\r  77 s  timing Conv_12 + PRelu_13" in stream.getvalue()  # longer than it took: no promise any more
    progress({"event": "built", "seconds": 77.2, "bytes": 3500000})
    assert stream.getvalue().endswith("\rbuilt in 77 s, 3.5 MB; running it\n")


def test_the_moving_line_is_no_longer_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    progress, clock = progress_on(stream)
    progress(BUILDING)
    clock.now += 1
    progress({"event": "layer", "name": "Conv_1 + " * 40})
    assert len(stream.getvalue().split("\r")[-1]) == 59


def test_phases_of_newer_versions_are_shown_with_their_steps():
    stream = Terminal()
    progress, clock = progress_on(stream)
    progress(BUILDING)
    clock.now += 1
    progress({"event": "phase", "name": "Computing profile costs", "done": 3, "steps": 40})
    assert stream.getvalue().endswith("Computing profile costs 3/40")


def test_on_a_pipe_a_line_comes_every_half_minute():
    stream = io.StringIO()
    progress, clock = progress_on(stream)
    progress(BUILDING)
    for _ in range(60):
        clock.now += 1
        progress({"event": "layer", "name": "Conv_1"})
    assert stream.getvalue().splitlines()[1:] == ["  30 s  timing Conv_1", "  60 s  timing Conv_1"]


def test_a_warning_is_shown_once_and_many_are_counted():
    stream = io.StringIO()
    progress, _ = progress_on(stream)
    for number in range(8):
        for _ in range(3):
            progress({"event": "log", "severity": "warning", "text": "warning {}".format(number)})
    progress.close()
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["TensorRT warning: warning 0", "TensorRT warning: warning 1"]
    assert lines[5:] == ["TensorRT gave 3 more warnings; --verbose shows all"]


def test_errors_are_always_shown():
    stream = io.StringIO()
    progress, _ = progress_on(stream)
    for _ in range(9):
        progress({"event": "log", "severity": "error", "text": "bad"})
    assert stream.getvalue().count("TensorRT error: bad\n") == 9


def test_events_between_builds_move_nothing():
    stream = Terminal()
    progress, clock = progress_on(stream)
    clock.now += 100
    progress({"event": "waiting"})
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "value, text", [(0.26, "0.3 s"), (9.94, "9.9 s"), (95.4, "95 s"), (119.6, "120 s"), (750, "12 min 30 s")]
)
def test_times_read_well(value, text):
    assert seconds(value) == text
