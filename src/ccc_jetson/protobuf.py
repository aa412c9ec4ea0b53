"""The wire format of protocol buffers, as far as an ONNX file needs it, without the ``protobuf`` package.

A message is a sequence of fields

    key = field_number << 3 | wire_type        wire types: 0 varint, 1 eight bytes, 2 length + bytes, 5 four bytes

Readers look fields up by number and step over the others. Nothing is copied: bytes are views into the file, and every
length is compared with what is left before it is used.
"""

from typing import List, Tuple, Union

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIGN = 1 << 63

Value = Union[int, memoryview]  # int for varints, bytes for the rest
Field = Tuple[int, Value]


class Damaged(Exception):
    """The bytes are no protobuf message of the expected kind."""


def encoded(number: int, payload: bytes) -> bytes:
    """A field of bytes."""
    return encoded_varint(number << 3 | _BYTES) + encoded_varint(len(payload)) + payload


def fields(data: memoryview) -> List[Field]:
    """All fields of a message, in order."""
    found: List[Field] = []
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise Damaged("field number 0")
        if wire == _VARINT:
            value, at = varint(data, at)
            found.append((number, value))
            continue
        if wire == _BYTES:
            size, at = varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise Damaged("unknown wire type {} of field {}".format(wire, number))
        if size > len(data) - at:
            raise Damaged("field {} needs {} bytes, {} are left".format(number, size, len(data) - at))
        found.append((number, data[at : at + size]))
        at += size
    return found


def varint(data: memoryview, at: int) -> Tuple[int, int]:
    """The unsigned number at ``at`` and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Damaged("it ends in the middle of a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise Damaged("a number is longer than 64 bits")


def as_bytes(value: Value) -> memoryview:
    """A field's value that must be bytes."""
    if isinstance(value, int):
        raise Damaged("a number stands where bytes are expected")
    return value


def messages(found: List[Field], number: int) -> List[memoryview]:
    """The values of a repeated field of bytes: messages or texts."""
    return [as_bytes(value) for n, value in found if n == number]


def text(value: Value) -> str:
    """A field's value that must be UTF-8 text; a UnicodeDecodeError where it is none."""
    return bytes(as_bytes(value)).decode("utf-8")


def texts(found: List[Field], number: int) -> Tuple[str, ...]:
    """A repeated text."""
    return tuple(text(value) for n, value in found if n == number)


def last_text(found: List[Field], number: int) -> str:
    """A text: the last counts, as protobuf says; empty where there is none."""
    values = texts(found, number)
    return values[-1] if values else ""


def last_int(found: List[Field], number: int) -> int:
    """A signed number: the last counts; 0 where there is none."""
    values = [_signed(value) for n, value in found if n == number]
    return values[-1] if values else 0


def ints(found: List[Field], number: int) -> Tuple[int, ...]:
    """A repeated signed number, packed (one field of bytes) or not (a field a number)."""
    numbers: List[int] = []
    for n, value in found:
        if n != number:
            continue
        if isinstance(value, int):
            numbers.append(_signed(value))
            continue
        at = 0
        while at < len(value):
            one, at = varint(value, at)
            numbers.append(_signed(one))
    return tuple(numbers)


def packed(found: List[Field], number: int) -> bytes:
    """A repeated number of four or eight bytes, packed or not, as the bytes one behind the other."""
    return b"".join(bytes(value) for value in messages(found, number))


def _signed(value: Value) -> int:
    if not isinstance(value, int):
        raise Damaged("bytes stand where a number is expected")
    return value - (1 << 64) if value >= _SIGN else value


def encoded_varint(value: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
