"""Inputs from seeds: bytes, JSON and protobuf changed at random, each in the way of its format. Runs on Python 3.6."""

import json
import struct
import zlib

from ccc_jetson.protobuf import Damaged, encoded, encoded_varint, fields

_NUMBERS = (0, 1, -1, 2, 7, 127, 128, 255, 256, 65535, 65536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 60)
_NUMBERS += ((1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 63))
_FLOATS = (0.5, -0.0, 1e-300, 1e30, 1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
_TEXTS = (
    "",
    "\x1b[31m",
    "\x00",
    "\n",
    "\u202e",
    "\ud800",
    "a" * 300,
    "../..",
    "\u0663",
    "%s{}{0}",
    "'\"\\",
    "\x85",
    "None",
)
_TOKENS = (
    b"0", b"-", b"9" * 20, b"9" * 5000, b"1e999", b"NaN", b"Infinity", b"\x00", b"\xff", b"\n", b"\r\n", b"\x1b[2J",
    b"[" * 200,     b"{", b"}", b'"', b"\\ud800", b"://", b"?", b"#", b"@", b"%00", b"%", b"=", b"&", b":",
    b"/", b"\xef\xbb\xbf", b" " * 100,
)  # fmt: skip
_DEEPEST = 6


def mutated(rng, seeds, form):
    """An input: one of the seeds, changed; ``form`` is "json", "protobuf", "zlib" (of JSON), "bytes", or "any"."""
    data = rng.choice(seeds)
    if form == "any":
        form = rng.choice(("json", "bytes")) if b'"' in data[:400] else rng.choice(("protobuf", "bytes"))
        return data[:1] + mutated(rng, [data[1:]], form)
    if form == "zlib" and rng.random() < 0.8:
        try:
            inner = zlib.decompressobj().decompress(data, 1 << 20)
        except zlib.error:
            inner = b"{}"
        return zlib.compress(mutated(rng, [inner], "json"))
    if rng.random() < 0.7:
        if form == "json":
            data = _of_json(rng, data)
        elif form == "protobuf":
            data = _of_protobuf(rng, data, _DEEPEST)
        else:
            data = _of_bytes(rng, data, seeds)
        if rng.random() < 0.9:
            return data
    for _ in range(1 + int(rng.expovariate(0.7))):
        data = _of_bytes(rng, data, seeds)
    return data


def _of_bytes(rng, data, seeds):
    data = bytearray(data)
    at = rng.randrange(len(data) + 1)
    until = min(len(data), at + 1 + int(rng.expovariate(0.1)))
    kind = rng.randrange(9)
    if kind == 0 and data:
        data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 1 and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del data[at:until]
    elif kind == 3:
        data[at:at] = data[at:until] * (1 + int(rng.expovariate(0.2)))
    elif kind == 4:
        data[at:at] = rng.choice(_TOKENS)
    elif kind == 5:
        data[at:until] = rng.choice(_TOKENS)
    elif kind == 6:
        del data[at:]
    elif kind == 7:
        other = rng.choice(seeds)
        data[at:] = other[rng.randrange(len(other) + 1) :]
    else:
        number = rng.choice(_NUMBERS) & 0xFFFFFFFFFFFFFFFF
        data[at : at + 8] = struct.pack(rng.choice("<>") + "Q", number)[: rng.choice((1, 2, 4, 8))]
    return bytes(data)


def _of_json(rng, data):
    """Another value, key, or number of values somewhere; what is around the JSON (a first line, a binary) stays."""
    start, end = data.find(b"{"), data.rfind(b"}") + 1
    bracket = data.find(b"[")
    if start < 0 or 0 <= bracket < start:
        start, end = bracket, data.rfind(b"]") + 1
    try:
        record = json.loads(data[start:end].decode("utf-8"))
    except (ValueError, RecursionError):
        return data
    for _ in range(1 + int(rng.expovariate(1.5))):
        record = _other_value(rng, record)
    return data[:start] + json.dumps(record).encode("utf-8", "surrogatepass") + data[end:]


def _other_value(rng, value):
    """The value with something in it changed."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.85:
        if isinstance(value, dict):
            keys = sorted(value)
            key = rng.choice(keys)
            changed = dict(value)
        else:
            keys, key, changed = list(range(len(value))), rng.randrange(len(value)), list(value)
        if rng.random() < 0.8:
            changed[key] = _other_value(rng, value[key])
        elif rng.random() < 0.5:
            del changed[key]
        elif isinstance(value, dict):
            changed[rng.choice(_TEXTS + tuple(keys))] = value[key]
        else:
            changed[key:key] = [value[key]] * rng.choice((1, 2, 3, 300))
        return changed
    return rng.choice((_number, _float, _text, lambda r: None, lambda r: True, lambda r: [], lambda r: {}, _deep))(rng)


def _number(rng):
    return rng.choice(_NUMBERS) + rng.choice((0, 0, 1, -1))


def _float(rng):
    return rng.choice(_FLOATS) if rng.random() < 0.6 else rng.uniform(-10, 10)


def _text(rng):
    return rng.choice(_TEXTS)


def _deep(rng):
    value = 1
    for _ in range(rng.choice((3, 10, 100, 900))):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def _of_protobuf(rng, data, depth):
    """A field somewhere in the message changed, dropped or doubled; lengths of what holds it are right again."""
    try:
        found = fields(memoryview(data))
    except Damaged:
        return _of_bytes(rng, data, [data])
    if not found:
        return data + encoded_field(rng.randrange(1, 30), rng.choice(_NUMBERS))
    at = rng.randrange(len(found))
    number, value = found[at]
    kind = rng.random()
    if kind < 0.08:
        del found[at]
    elif kind < 0.16:
        found[at:at] = [found[at]] * rng.choice((1, 1, 2, 50))
    elif kind < 0.22:
        found[at] = (rng.randrange(1, 30), value)
    elif kind < 0.28:
        found.append((rng.randrange(1, 26), rng.choice(_NUMBERS)))
    elif isinstance(value, int):
        found[at] = (number, rng.choice(_NUMBERS) if rng.random() < 0.7 else rng.randrange(300))
    elif depth and len(value) and rng.random() < 0.85:
        found[at] = (number, _of_protobuf(rng, bytes(value), depth - 1))
    else:
        words = (b"", b"\xff", b"\x1b[31m", b"\n", b"?", bytes(8), b"\x01" * 40, b"\xff" * 9 + b"\x01", b"N")
        found[at] = (number, rng.choice(words) if rng.random() < 0.6 else _of_bytes(rng, bytes(value), [bytes(value)]))
    return b"".join(encoded_field(number, value) for number, value in found)


def encoded_field(number, value):
    """A field of a message: a varint of an int, else its bytes."""
    if isinstance(value, int):
        return encoded_varint(number << 3) + encoded_varint(value & 0xFFFFFFFFFFFFFFFF)
    return encoded(number, bytes(value))
