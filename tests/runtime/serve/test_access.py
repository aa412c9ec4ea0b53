"""Tokens, names, origins and limits."""

import pytest

from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.runtime.serve.access import RateLimit, Token, cookie_value, is_local_name, is_same_origin, token_for

GIVEN = "0123456789abcdef"


def test_a_loopback_page_has_no_token_unless_one_is_given():
    assert token_for(True, None, {}) is None
    assert token_for(True, GIVEN, {}) == Token(GIVEN, False)


def test_any_other_page_has_one_that_nobody_guesses():
    first, second = token_for(False, None, {}), token_for(False, None, {})
    assert first.generated and len(first.text) >= 32 and first.text != second.text


def test_it_comes_from_a_file_or_a_variable(tmp_path):
    (tmp_path / "token").write_text(GIVEN + "\n")
    assert token_for(False, "@" + str(tmp_path / "token"), {}).text == GIVEN
    assert token_for(True, None, {"CCC_SERVE_TOKEN": GIVEN}).text == GIVEN
    assert token_for(False, "f" * 16, {"CCC_SERVE_TOKEN": GIVEN}).text == "f" * 16
    assert token_for(True, None, {"CCC_SERVE_TOKEN": ""}) is None  # as an empty line of a service's variables
    assert token_for(False, None, {"CCC_SERVE_TOKEN": ""}).generated
    with pytest.raises(FileProblem, match="cannot be read"):
        token_for(False, "@" + str(tmp_path / "none"), {})


@pytest.mark.parametrize("bad", ["", "short", "with a space in it", "x" * 257, "semi;colon;semi;colon", "\u00fc" * 20])
def test_a_token_that_would_not_do_is_refused_and_not_repeated(bad):
    with pytest.raises(UsageError, match="--serve-token: the token has {} char".format(len(bad))) as caught:
        token_for(False, bad, {})
    assert not bad or bad not in str(caught.value) + caught.value.hint


def test_the_cookie_is_not_the_token_and_stays_the_same():
    token = Token(GIVEN, False)
    assert GIVEN not in token.cookie and token.cookie == Token(GIVEN, True).cookie
    assert token.matches_cookie(token.cookie) and not token.matches_cookie(GIVEN)
    assert token.matches(GIVEN) and not token.matches(token.cookie) and not token.matches("")
    assert not token.matches("\ud800")  # what a header may hold


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1:8080", "127.1.2.3", "[::1]:80", "[::1]"])
def test_names_of_this_machine(host):
    assert is_local_name(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "10.0.0.1:80", "127.0.0.1.evil", "[::2]", "a b", "[x]:1"]
)
def test_names_that_are_not(host):
    assert not is_local_name(host)


@pytest.mark.parametrize(
    "header, value",
    [
        ("ccc=abc", "abc"),
        ("other=1; ccc=abc; more=2", "abc"),
        ("other=1;ccc = abc", "abc"),
        ("ccc=a=b", "a=b"),
        ('ccc="abc"', '"abc"'),
        ("cccc=abc; xccc=abc", ""),
        ("ccc", ""),
        ("ccc=", ""),
        ("", ""),
        ("ccc=first; ccc=second", "first"),
    ],
)
def test_one_cookie_is_read_as_it_stands(header, value):
    assert cookie_value(header, "ccc") == value


def test_an_origin_is_the_same_or_foreign():
    assert is_same_origin("http://tx2:8080", "TX2:8080")
    assert is_same_origin("https://tx2", "tx2")  # behind somebody's proxy
    for foreign in ("null", "http://evil.example", "http://tx2:8081", "file://tx2:8080", "", "tx2:8080"):
        assert not is_same_origin(foreign, "tx2:8080"), foreign


def test_a_limit_fills_again_with_time():
    now = [0.0]
    limit = RateLimit(2.0, 3.0, lambda: now[0])
    assert [limit.take("a") for _ in range(4)] == [True, True, True, False]
    assert limit.take("b")
    now[0] = 0.5
    assert limit.take("a") and not limit.take("a")
    now[0] = 100.0
    assert limit.left("a") == 3.0


def test_addresses_are_forgotten_and_many_of_them_cost_no_memory():
    now = [0.0]
    limit = RateLimit(1.0, 2.0, lambda: now[0])
    taken = [limit.take(str(number)) for number in range(2000)]
    assert taken.count(True) == 1024
    now[0] = 10.0
    assert limit.take("another")
    assert len(limit._left) == 1
