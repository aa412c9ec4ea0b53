"""The progress line: what it says, and that a pipe never sees it."""

import io
import sys

from ccc_jetson.progress import Progress, say


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_pipe_sees_nothing():
    stream = io.StringIO()
    with Progress("work", 3, stream) as progress:
        for _ in range(3):
            progress.step()
    assert stream.getvalue() == ""


def test_the_line_says_how_far_how_fast_and_how_long_still():
    progress = Progress("work", 40, Terminal())
    progress.done = 10
    assert progress.line(5.0) == "work [#####               ] 10/40 (2.0/s, 15 s left)"


def test_without_a_total_it_counts():
    progress = Progress("camera", None, Terminal())
    progress.done = 30
    assert progress.line(2.0, "2 dropped") == "camera: 30 (15.0/s)  2 dropped"


def test_a_terminal_sees_the_last_step_and_a_clean_line_after_it():
    stream = Terminal()
    with Progress("work", 2, stream) as progress:
        progress.step()
        progress.step()
    assert "2/2" in stream.getvalue()
    assert stream.getvalue().endswith(" \r")


def test_names_do_not_steer_the_terminal(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    say("model: \x1b]0;owned\x07.onnx\nnote: a\rb\x9b2J")
    assert stream.getvalue() == "model: ?]0;owned?.onnx\nnote: a?b?2J\n"
    assert Progress("work", None, Terminal()).line(2.0, "\x1b[2J").endswith("  ?[2J")


def test_a_line_about_what_happens_takes_the_place_of_the_progress_line(monkeypatch):
    for terminal, expected in ((True, "\r\x1b[Klost\n"), (False, "lost\n")):
        stream = Terminal() if terminal else io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        say("lost")
        assert stream.getvalue() == expected
