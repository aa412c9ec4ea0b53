"""Text of anyone on a terminal."""

import io
import sys

import pytest

from ccc_jetson.clean_text import clean, listed, message_without_secrets, without_secrets

_OURS = "rtsp://USER:PASSWORD@HOST/PATH, with %40 for an @ in the password"


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("utf-8", "caf\u00e9 \x1b[31m\n", "caf\u00e9 ?[31m?"),
        ("ascii", "caf\u00e9 \u4e2d", "caf? ?"),
        ("latin-1", "caf\u00e9 \u4e2d", "caf\u00e9 ?"),
        ("utf-8", "\udc80", "?"),
    ],
)
def test_what_steers_a_terminal_or_cannot_be_encoded_becomes_a_question_mark(monkeypatch, encoding, text, shown):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert clean(text) == shown
    print(clean(text))


def test_without_standard_output_text_is_kept(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert clean("caf\u00e9") == "caf\u00e9"


def test_a_few_names_are_listed_with_the_number_of_the_others():
    assert listed("abc") == "a, b, c"
    assert listed("abcdefg") == "a, b, c, d, e and 2 more"
    assert listed(["\x1b[2Ja", "b"], 1) == "?[2Ja and 1 more"


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
        ("rtsp://cam:554/user=admin_password=hunter2_channel=1", "rtsp://cam:554/user=***"),
        ("rtsp://cam/?pw=hunter2&auth=hunter2&secret=hunter2", "rtsp://cam/?pw=***&auth=***&secret=***"),
        ("location=\"rtsp://cam/x?key=hunter2\" latency=9", "location=\"rtsp://cam/x?key=***\" latency=9"),
        ("rtsp://cam/?pw=hun:ter2: nothing listens there", "rtsp://cam/?pw=***: nothing listens there"),
        ("rtsp://me:hun:ter/2?#@x@cam/x", "rtsp://***@cam/x"),
        ("rtsp://:hunter2@cam/x", "rtsp://***@cam/x"),
        ("rtsp://me:with hunter2@cam", "rtsp://***@cam"),
        ("rtsp://me:hunter2@cam/x, not rtsp://USER:PASSWORD@HOST/x", "rtsp://***@HOST/x"),
    ],
)  # fmt: skip
def test_secrets_of_addresses_are_left_out(address, shown):
    assert without_secrets(address) == shown
    assert message_without_secrets("no frame of " + address) == "no frame of " + shown


@pytest.mark.parametrize(
    "text", ["/dev/video0", "drive.mp4", "input=mapped", "a@b", "rtsp://cam:554/live?channel=1", "--fit=crop", _OURS]
)
def test_what_is_no_secret_stays(text):
    assert without_secrets(text) == text


@pytest.mark.parametrize("text", ["--arch-args KEY=VALUE", "the line holds token=abc", "a password=1 without a URL"])
def test_a_message_without_an_address_stays(text):
    assert message_without_secrets(text) == text
    assert without_secrets(text) != text


@pytest.mark.parametrize("text", ["pass" * 250000, "a.pass-" * 150000, "://" * 300000, "@" + "://" * 300000])
def test_a_long_line_is_read_once(text):
    assert without_secrets(text) == text


def test_secrets_in_long_lines_are_hidden_as_in_short_ones():
    assert without_secrets("pass" * 3 + "=a b=token=c ://x:y@h @") == "pass" * 3 + "=*** b=token=*** ://***@"
    assert without_secrets("key= x\nrtsp://u:p@h/?token=abc") == "key= x\nrtsp://***@h/?token=***"
