"""A command in a report can be typed again, and tells no secret."""

import shlex

import pytest

from ccc_jetson.shown_command import shown_command


def test_words_are_quoted_for_a_shell():
    words = ["ccc-run", "--video", "my drive.mp4", "--out", "it's.mp4", "--model", "$HOME/a;b"]
    assert shlex.split(shown_command(words)) == words


def test_secrets_of_addresses_are_left_out():
    assert shown_command(["ccc-run", "rtsp://admin:hunter2@cam/live"]) == "ccc-run 'rtsp://***@cam/live'"
    assert shown_command(["ccc-run", "user-pw=hunter2"]) == "ccc-run 'user-pw=***'"  # of no address, and no message


@pytest.mark.parametrize(
    "words",
    [
        ["--token", "hunter2"],
        ["--token=hunter2"],
        ["--serve-password", "hunter2"],
        ["--serve-token", "-hunter2"],
        ["--serve-token", "--token-hunter2"],
    ],
)
def test_secrets_of_options_are_left_out(words):
    assert "hunter2" not in shown_command(["ccc-run"] + words + ["--frames", "3"])
    assert shown_command(["ccc-run"] + words + ["--frames", "3"]).endswith(" --frames 3")


def test_an_option_without_a_value_hides_no_other_option():
    assert shown_command(["x", "--no-auth", "--frames", "3"]) == "x --no-auth --frames 3"
