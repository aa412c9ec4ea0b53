"""Text of anyone on a terminal."""

import io
import sys

import pytest

from ccc_jetson.clean_text import clean, listed


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
