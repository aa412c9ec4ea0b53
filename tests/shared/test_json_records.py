"""Records from JSON of anyone: what is refused, and that every complaint can be read."""

import json
from typing import NamedTuple, Tuple

import pytest

from ccc_jetson.errors import FileProblem
from ccc_jetson.json_records import JsonReader, indented, plain

READ = JsonReader("a.json", "the record", "write it again", FileProblem)


class Inner(NamedTuple):
    sizes: Tuple[int, ...]


class Outer(NamedTuple):
    name: str
    inner: Inner
    others: Tuple[Inner, ...]


def complaint(work, *arguments):
    """What is said of a value that must be refused, without the beginning that every complaint has."""
    with pytest.raises(FileProblem) as caught:
        work(*arguments)
    assert caught.value.hint.endswith("write it again")
    assert str(caught.value).startswith("a.json: the record ")
    return str(caught.value)[len("a.json: the record ") :]


def test_records_become_objects_and_tuples_lists():
    record = Outer("a", Inner((1, 2)), (Inner(()),))
    assert plain(record) == {"name": "a", "inner": {"sizes": [1, 2]}, "others": [{"sizes": []}]}


@pytest.mark.parametrize("text", ["", "{", b"\xff\xfe", "{'a': 1}", '{"a": 1} 2', "[" * 100000, '{"a":' * 100000])
def test_what_is_no_json_is_damaged(text):
    assert complaint(READ.parse, text).startswith("is damaged: ")


def test_a_key_that_comes_twice_is_damage():
    assert complaint(READ.parse, '{"a": {"b": 1, "b": 1}}') == "is damaged: the key 'b' comes twice"


def test_bytes_are_utf8():
    assert READ.parse('{"ä": 1}'.encode("utf-8")) == {"ä": 1}


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("mapping", []),
        ("text", 1),
        ("flag", 1),
        ("flag", None),
        ("number", True),
        ("number", "1"),
        ("number", float("nan")),
        ("number", float("inf")),
        ("number", 10**400),
        ("numbers", {"a": None}),
        ("free", []),
        ("free", {"a": [1, {"b": float("-inf")}]}),
        ("free", {"a": 10**400}),
        ("sha256", "0" * 63),
        ("sha256", "0" * 63 + "G"),
        ("sha256", "A" * 64),
        ("sha256", 7),
    ],
)
def test_wrong_values_are_refused_by_field(method, value):
    assert complaint(getattr(READ, method), value, "some.field").startswith("is damaged: some.field")


@pytest.mark.parametrize("value", [-1, 11, 1.0, True, "1", None, 10**400])
def test_whole_numbers_have_bounds(value):
    assert "a whole number from 0 to 10" in complaint(READ.integer, value, "n", 0, 10)
    assert READ.integer(10, "n", 0, 10) == 10


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), False, "1", None, 10**400])
def test_shares_have_bounds(value):
    assert "a number from 0 to 1" in complaint(READ.number_within, value, "n", 0, 1)
    assert READ.number_within(1, "n", 0, 1) == 1.0


def test_a_value_of_any_form_is_neither_deep_nor_infinite():
    fine = {"a": [1, 2.5, None, True, {"b": "text"}]}
    assert READ.free(fine, "f") is fine
    deep = json.loads('{"a":' + "[" * 20 + "]" * 20 + "}")
    assert "fewer lists and objects within each other" in complaint(READ.free, deep, "f")


def test_lists_are_checked_item_by_item():
    assert READ.each(["a"], "f", READ.text) == ["a"]
    assert complaint(READ.each, ["a", 2], "f", READ.text) == "is damaged: f[1] is 2, expected text"
    assert complaint(READ.three, [1.0, 2.0], "f", READ.number) == "is damaged: f is [1.0, 2.0], expected three values"
    assert "expected one of x, y" in complaint(READ.one_of, ["x"], "f", ("x", "y"))


def test_objects_have_exactly_their_keys():
    assert READ.texts({"b": "2", "a": "1"}, "f", ("a", "b")) == ["1", "2"]
    assert complaint(READ.object, {"a": 1, "c": 2}, "f", ("a", "b")) == "is damaged: f lacks b and has unknown c"


@pytest.mark.parametrize("found", [None, "1", True, 0, -1, 1.0])
def test_a_version_is_a_number(found):
    assert "expected a number from 1" in complaint(READ.version, {"v": found}, "v", 2)


def test_other_versions_are_refused_with_what_to_do():
    READ.version({"v": 2}, "v", 2)
    assert complaint(READ.version, {"v": 1}, "v", 2) == "has v 1, this version reads v 2"
    with pytest.raises(FileProblem, match="has v 3, this version reads up to 2") as caught:
        READ.version({"v": 3}, "v", 2)
    assert caught.value.hint == "update ccc-jetson on this machine, or with this version write it again"


def test_complaints_are_short_and_cannot_steer_the_terminal():
    for value in ("\x1b[2J" * 100000, list(range(100000)), 10**4000, json.loads("[" * 400 + "]" * 400)):
        text = complaint(READ.flag, value, "f")
        assert len(text) < 600 and "\x1b" not in text
    text = complaint(READ.object, {"\x1b]0;{}\x07".format(index): 1 for index in range(100000)}, "f", ())
    assert len(text) < 600 and "\x1b" not in text and "\x07" not in text
    assert "\x1b" not in complaint(READ.numbers, {"\x1b[2J" * 10000: "x"}, "f")


def test_lists_of_numbers_stand_on_one_line_in_files_that_people_open():
    record = {"name": "a [1,\n2]", "values": [1.5, -2e-07, 3], "none": [], "inner": [{"x": [1]}]}
    text = indented(record)
    assert '"values": [ 1.5, -2e-07, 3 ]' in text
    assert json.loads(text) == record
    with pytest.raises(ValueError):
        indented({"x": float("nan")})


def test_a_number_of_more_digits_than_any_means_is_damage():
    assert complaint(READ.parse, "[" + "9" * 4301 + "]") == "is damaged: a number has 4301 digits"
    assert READ.parse("[" + "9" * 4300 + "]") == [10**4300 - 1]
