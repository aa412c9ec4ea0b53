"""Values of a report's JSON by their keys: what is missing is empty, what is there is checked."""

from typing import Any, Dict, List, NoReturn, Optional, Tuple

from ccc_jetson.json_records import JsonReader

LONGEST_TEXT = 400
MOST = 1e15  # of any figure


class Fields:
    """Gives the values of objects; each method takes the object, a key, and where in the file the object stands."""

    def __init__(self, reader: JsonReader) -> None:
        self.json = reader

    def text(self, record: Dict[str, Any], key: str, field: str, longest: int = LONGEST_TEXT) -> str:
        """Empty where there is none."""
        value = self.json.text(record.get(key, ""), field + key)
        return value if len(value) <= longest else value[:longest] + "..."

    def figure(self, record: Dict[str, Any], key: str, field: str) -> float:
        return self.json.number_within(record.get(key), field + key, -MOST, MOST)

    def amount(self, record: Dict[str, Any], key: str, field: str) -> float:
        return self.json.number_within(record.get(key), field + key, 0.0, MOST)

    def maybe(self, record: Dict[str, Any], key: str, field: str) -> Optional[float]:
        return None if record.get(key) is None else self.figure(record, key, field)

    def count(self, record: Dict[str, Any], key: str, field: str) -> int:
        return self.json.integer(record.get(key), field + key, 0, int(MOST))

    def share(self, record: Dict[str, Any], key: str, field: str) -> Optional[float]:
        value = record.get(key)
        return None if value is None else self.json.number_within(value, field + key, 0.0, 1.0)

    def texts(self, record: Dict[str, Any], key: str, field: str) -> Tuple[str, ...]:
        found = self.json.each(record.get(key, []), field + key, self.json.text)
        return tuple(each[:LONGEST_TEXT] for each in found)

    def mapping(self, record: Dict[str, Any], key: str, field: str) -> Dict[str, Any]:
        return self.json.mapping(record.get(key, {}), field + key)

    def records(self, record: Dict[str, Any], key: str, field: str, most: int) -> List[Tuple[str, Dict[str, Any]]]:
        """(where it stands, the record) of each in a list."""
        found = self.json.each(record.get(key, []), field + key, self.json.mapping)
        if len(found) > most:
            self.too_many(field + key, len(found), most)
        return [("{}{}[{}].".format(field, key, index), each) for index, each in enumerate(found)]

    def column(self, record: Dict[str, Any], key: str, field: str, most: int, low: float = -MOST) -> List[float]:
        found = self.json.each(
            record.get(key), field + key, lambda value, name: self.json.number_within(value, name, low, MOST)
        )
        if len(found) > most:
            self.too_many(field + key, len(found), most)
        return found

    def too_many(self, field: str, found: int, most: int) -> NoReturn:
        self.json.damaged("{} has {} values, expected at most {}".format(field, found, most))
