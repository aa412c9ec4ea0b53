"""That the law is one: a parser that breaks it is caught, and one that keeps it is not."""

import pytest

from ccc_jetson.errors import CccError
from tests.fuzz.law import Fault, check, check_error, check_memory, check_text
from tests.fuzz.target import Target


def broken(parse, write=None):
    return Target("broken", parse, lambda: [b""], (), "bytes", write)


def fault_of(target, data=b"data", look=check):
    with pytest.raises(Fault) as caught:
        look(target, data)
    return caught.value


def refuse(message, hint=""):
    def parse(data):
        raise CccError(message, hint)

    return broken(parse)


def test_a_value_and_a_refusal_are_lawful():
    assert check(broken(len), b"data") is True
    assert check(broken(len, lambda value: b"1234"), b"data") is True
    assert check(refuse("x: is damaged", "copy it again"), b"data") is False


@pytest.mark.parametrize("error", [KeyError("a"), RecursionError(), MemoryError(), ZeroDivisionError(), UnicodeError()])
def test_any_other_error_is_a_fault(error):
    def parse(data):
        raise error

    assert fault_of(broken(parse)).kind == type(error).__name__


def test_a_message_that_cannot_be_shown_is_a_fault():
    assert fault_of(refuse("")).kind == "empty message"
    assert fault_of(refuse("x" * 30000)).kind == "long message"
    error = CccError("x")
    error.hint = "\x1b[2J"
    with pytest.raises(Fault, match="unprintable message"):
        check_error(error)
    with pytest.raises(Fault, match=r"a page: .*x1b"):
        check_text("line\nand \x1b[31m", "a page")


def test_what_does_not_come_back_is_a_fault():
    assert fault_of(broken(len, lambda value: b"another")).kind == "round trip"


def test_memory_out_of_proportion_is_a_fault():
    assert fault_of(broken(lambda data: bytearray(100 << 20)), look=check_memory).kind == "memory"
    assert check_memory(broken(lambda data: bytearray(1 << 20)), b"data") is True


def test_work_out_of_proportion_is_a_fault(monkeypatch):
    monkeypatch.setattr("tests.fuzz.law.SECONDS", -1.0)
    assert fault_of(broken(len)).kind == "slow"


def test_a_fault_names_the_line_of_ours():
    from ccc_jetson.protobuf import fields

    fault = fault_of(broken(lambda data: fields(memoryview(data))), b"\x0f")
    assert fault.kind == "Damaged" and "protobuf.py:" in fault.place
