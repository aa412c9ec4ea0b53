"""A command in a report can be typed again, and tells no secret."""

import shlex

import pytest

from ccc_jetson.shown_command import shown_command, without_secrets


def test_words_are_quoted_for_a_shell():
    words = ["ccc-run", "--video", "my drive.mp4", "--out", "it's.mp4", "--model", "$HOME/a;b"]
    assert shlex.split(shown_command(words)) == words


@pytest.mark.parametrize(
    "address, shown",
    [
        ("rtsp://admin:hunter2@10.0.0.7:554/live", "rtsp://***@10.0.0.7:554/live"),
        ("rtsp://admin:hun/ter@2@cam/live", "rtsp://***@cam/live"),  # as nobody should write it, and people do
        ("rtsp://hunter2@cam/live", "rtsp://***@cam/live"),  # a token is a user without a password
        ("rtsp://cam/live?channel=1&Password=hunter2&subtype=0", "rtsp://cam/live?channel=1&Password=***&subtype=0"),
        ("rtsp://cam:554/user=hunter2&password=hunter2&channel=1", "rtsp://cam:554/user=***&password=***&channel=1"),
        ("http://127.0.0.1:8080/?token=hunter2", "http://127.0.0.1:8080/?token=***"),
        ("https://cam/?X-Amz-Signature=hunter2&api_key=hunter2", "https://cam/?X-Amz-Signature=***&api_key=***"),
        ("rtspsrc location=rtsp://cam user-id=me user-pw=hunter2 ! fakesink",
         "rtspsrc location=rtsp://cam user-id=*** user-pw=*** ! fakesink"),
    ],
)  # fmt: skip
def test_secrets_of_addresses_are_left_out(address, shown):
    assert without_secrets(address) == shown
    assert "hunter2" not in shown_command(["ccc-run", "--camera", address])


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


@pytest.mark.parametrize(
    "text", ["/dev/video0", "drive.mp4", "input=mapped", "a@b", "rtsp://cam:554/live?channel=1", "--fit=crop"]
)
def test_what_is_no_secret_stays(text):
    assert without_secrets(text) == text
