"""Records as JSON and back. What is read may be from anyone: every field is checked, every complaint names it."""

import json
import re
import reprlib
from typing import Any, Callable, Dict, Iterable, List, NoReturn, Tuple, Type, Union

from ccc_jetson.clean_text import clean
from ccc_jetson.errors import CccError

_LARGEST = 1e30  # what float32 can hold with room to compute
_DEEPEST = 8  # lists and objects within each other, where a value has no fixed form
_LONGEST_VALUE = 80  # in a message
_LONGEST_REASON = 500
_MOST_DIGITS = 4300  # as Python reads from 3.11 on
_HEX_DIGITS = frozenset("0123456789abcdef")
_NUMBERS = re.compile(r"\[\n[^\[\]{}\":]*\]")  # a list of numbers as json.dumps indents it; texts hold no line breaks


def plain(value: Any) -> Any:
    """Records as dictionaries, tuples as lists."""
    if hasattr(value, "_fields"):
        return {name: plain(item) for name, item in zip(value._fields, value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def indented(record: Any) -> str:
    """A record as JSON for files that people open too: indented, but each list of numbers on one line; ASCII."""
    text = json.dumps(record, indent=2, ensure_ascii=True, allow_nan=False)
    return _NUMBERS.sub(lambda found: " ".join(found.group().split()), text) + "\n"


class JsonReader:
    """Checks parsed JSON, value by value; each method returns the value that it was given, or raises.

    Args:
        origin: names the file in messages.
        what: what the file should hold: "the contract".
        cure: what to do about a damaged or outdated one: "export it again: ...".
        error: what is raised.
    """

    def __init__(self, origin: str, what: str, cure: str, error: Type[CccError]) -> None:
        self.origin = origin
        self.what = what
        self.cure = cure
        self.error = error

    def parse(self, text: Union[str, bytes]) -> Any:
        """The value that a JSON text stands for; a key that comes twice is damage."""
        try:
            decoded = text if isinstance(text, str) else text.decode("utf-8")
            return json.loads(decoded, object_pairs_hook=_unique, parse_int=_whole_number)
        except (ValueError, RecursionError) as error:
            self.damaged(str(error))

    def version(self, record: Any, key: str, known: int) -> None:
        """Looks at the version's number before anything else, because fields differ between versions."""
        found = self.mapping(record, "").get(key)
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            self.fail(key, "a number from 1", found)
        if found != known:
            newer = found > known
            raise self.error(
                "{}: {} has {} {}, this version reads {}{}".format(
                    self.origin, self.what, key, _shown(found), "up to " if newer else key + " ", known
                ),
                hint="update ccc-jetson on this machine, or with this version " + self.cure if newer else self.cure,
            )

    def object(self, value: Any, field: str, keys: Tuple[str, ...]) -> Dict[str, Any]:
        """An object with exactly these keys."""
        value = self.mapping(value, field)
        missing = sorted(set(keys) - set(value))
        unknown = sorted(set(value) - set(keys))
        found = ["lacks " + ", ".join(missing)] * bool(missing) + ["has unknown " + ", ".join(unknown)] * bool(unknown)
        if found:
            self.damaged("{} {}".format(field or "it", " and ".join(found)))
        return value

    def mapping(self, value: Any, field: str) -> Dict[str, Any]:
        if not isinstance(value, dict):
            self.fail(field or self.what, "an object", value)
        return value

    def free(self, value: Any, field: str) -> Dict[str, Any]:
        """An object of any form; what it holds is finite and not deep, so that it can be written and shown."""
        self._free(self.mapping(value, field), field, _DEEPEST)
        return value

    def _free(self, value: Any, field: str, depth: int) -> None:
        if depth == 0:
            self.fail(field, "fewer lists and objects within each other", value)
        if isinstance(value, dict):
            for key, item in value.items():
                self._free(item, field + "." + key, depth - 1)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._free(item, "{}[{}]".format(field, index), depth - 1)
        elif not isinstance(value, (str, bool)) and value is not None:
            self.number(value, field)

    def text(self, value: Any, field: str) -> str:
        if not isinstance(value, str):
            self.fail(field, "text", value)
        return value

    def texts(self, value: Any, field: str, keys: Tuple[str, ...]) -> List[str]:
        """The values of an object that has exactly these keys, in their order."""
        value = self.object(value, field, keys)
        return [self.text(value[key], field + "." + key) for key in keys]

    def sha256(self, value: Any, field: str) -> str:
        """64 hexadecimal digits, as ``files.sha256_of`` writes them."""
        if not isinstance(value, str) or len(value) != 64 or not set(value) <= _HEX_DIGITS:
            self.fail(field, "64 hexadecimal digits", value)
        return value

    def flag(self, value: Any, field: str) -> bool:
        if not isinstance(value, bool):
            self.fail(field, "true or false", value)
        return value

    def integer(self, value: Any, field: str, low: int, high: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.fail(field, "a whole number from {} to {}".format(low, high), value)
        return value

    def number(self, value: Any, field: str) -> float:
        if not _is_number(value) or not abs(value) < _LARGEST:
            self.fail(field, "a number", value)
        return float(value)

    def number_within(self, value: Any, field: str, low: float, high: float) -> float:
        if not _is_number(value) or not low <= value <= high:
            self.fail(field, "a number from {:g} to {:g}".format(low, high), value)
        return float(value)

    def numbers(self, value: Any, field: str) -> Dict[str, float]:
        return {key: self.number(item, field + "." + key) for key, item in self.mapping(value, field).items()}

    def one_of(self, value: Any, field: str, allowed: Tuple[str, ...]) -> str:
        if value not in allowed:
            self.fail(field, "one of " + ", ".join(allowed), value)
        return value

    def each(self, value: Any, field: str, read: Callable[[Any, str], Any]) -> List[Any]:
        if not isinstance(value, list):
            self.fail(field, "a list", value)
        return [read(item, "{}[{}]".format(field, index)) for index, item in enumerate(value)]

    def three(self, value: Any, field: str, read: Callable[[Any, str], Any]) -> Tuple[Any, Any, Any]:
        items = self.each(value, field, read)
        if len(items) != 3:
            self.fail(field, "three values", value)
        return items[0], items[1], items[2]

    def fail(self, field: str, expected: str, found: Any) -> NoReturn:
        self.damaged("{} is {}, expected {}".format(field, _shown(found), expected))

    def damaged(self, reason: str) -> NoReturn:
        if len(reason) > _LONGEST_REASON:
            reason = reason[:_LONGEST_REASON] + "..."
        raise self.error("{}: {} is damaged: {}".format(self.origin, self.what, clean(reason)), hint=self.cure)


def loads(text: str) -> Any:
    """``json.loads``, but for numbers of more digits than any means: before Python 3.11 they cost minutes.

    Raises:
        ValueError, RecursionError: it is no JSON, or too deep.
    """
    return json.loads(text, parse_int=_whole_number)


def _whole_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("a number has {} digits".format(len(digits)))
    return int(digits)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _unique(pairs: Iterable[Tuple[str, Any]]) -> Dict[str, Any]:
    found = {}  # type: Dict[str, Any]
    for key, value in pairs:
        if key in found:
            raise ValueError("the key {} comes twice".format(_shown(key)))
        found[key] = value
    return found


def _shown(value: Any) -> str:
    """As Python writes it, cut to what fits in a message."""
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxlong = shortener.maxother = _LONGEST_VALUE
    return shortener.repr(value)
