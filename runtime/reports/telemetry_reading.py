"""What a report's JSON says of the machine's sensors: telemetry, series and a summary whose names end with their units,
and clocks at one moment."""

from typing import Any, Dict, Optional, Tuple

from ccc_jetson.runtime.reports.fields import LONGEST_TEXT, MOST, Fields
from ccc_jetson.runtime.reports.records import Series, Telemetry
from ccc_jetson.runtime.telemetry.clocks import Clock, Clocks

_MOST_SERIES, _MOST_POINTS, _MOST_THROTTLED = 100, 200000, 10000
_UNITS = {"_w": "W", "_j": "J", "_c": "\u00b0C", "_mhz": "MHz", "_bytes": "GB", "_s": "s", "_percent": "%", "_ms": "ms"}


def read_telemetry(get: Fields, record: Dict[str, Any], field: str) -> Optional[Telemetry]:
    """What ``record`` holds under ``telemetry``; None where it has none. ``field`` is where the record stands."""
    if record.get("telemetry") is None:
        return None
    value, field = get.mapping(record, "telemetry", field), field + "telemetry."
    summary = get.mapping(value, "summary", field)
    return Telemetry(
        interval_s=get.figure(value, "interval_s", field),
        series=tuple(
            Series(get.text(each, "name", at), get.text(each, "unit", at), _points(get, each, at))
            for at, each in get.records(value, "series", field, _MOST_SERIES)
        ),
        summary=_summary(get, summary, field + "summary."),
        throttling=tuple(
            (get.figure(each, "from_s", at), get.figure(each, "to_s", at), _reason(get, each, at))
            for at, each in get.records(value, "throttling", field, _MOST_THROTTLED)
        ),
        joules_per_frame=get.maybe(value, "joules_per_frame", field),
        notes=get.texts(value, "notes", field),
    )


def _summary(get: Fields, summary: Dict[str, Any], field: str) -> Tuple[Tuple[str, str], ...]:
    """Facts by their names without units; those of one name are one: ``hottest`` and ``hottest_c`` -> GPU, 54.5 C."""
    facts: Dict[str, str] = {}
    for name in summary:
        text, shown = quantity(get, name, summary[name], field), without_unit(name)
        if text:
            facts[shown] = "{}, {}".format(facts[shown], text) if shown in facts else text
    return tuple(facts.items())


def read_clocks(get: Fields, record: Dict[str, Any], field: str) -> Tuple[Tuple[str, str], ...]:
    """(when, which) of the moments at which the machine showed any; ``field`` is where the record stands."""
    value, field = get.mapping(record, "clocks", field), field + "clocks."
    found = []
    for moment in ("before", "after"):
        if value.get(moment) is None:
            continue
        each, inner = get.mapping(value, moment, field), field + moment + "."
        cores = tuple(_clock(get, core, at) for at, core in get.records(each, "cores", inner, _MOST_SERIES))
        gpu, memory = (
            None if each.get(key) is None else _clock(get, get.mapping(each, key, inner), inner + key + ".")
            for key in ("gpu", "memory")
        )
        found.append((moment, Clocks(get.text(each, "online", inner), cores, gpu, memory).to_text()))
    return tuple(each for each in found if each[1])


def _clock(get: Fields, record: Dict[str, Any], field: str) -> Clock:
    return Clock(
        get.text(record, "name", field),
        get.amount(record, "mhz", field),
        get.maybe(record, "low_mhz", field),
        get.maybe(record, "high_mhz", field),
        get.text(record, "governor", field),
    )


def _reason(get: Fields, record: Dict[str, Any], field: str) -> str:
    """Why something was slowed down; what did it and how far, where these are told apart."""
    cause, detail = get.text(record, "cause", field), get.text(record, "detail", field)
    return get.text(record, "reason", field) or (cause + " (" + detail + ")" if detail else cause)


def quantity(get: Fields, name: str, value: Any, field: str, of_several: bool = False) -> str:
    """A value of a summary in the unit that its name ends with, or several by their names; "" where there is none."""
    if isinstance(value, dict) and not of_several:
        return ", ".join(
            "{} {}".format(key[:LONGEST_TEXT], quantity(get, name, value[key], field + name[:80] + ".", True))
            for key in value
        )
    if value is None or isinstance(value, str):
        return (value or "")[:LONGEST_TEXT]
    found = get.json.number_within(value, field + name[:80], -MOST, MOST)
    unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
    if unit == "GB":
        found /= 1e9
    return "{:,.4g} {}".format(found, unit).strip()


def _points(get: Fields, record: Dict[str, Any], field: str) -> Tuple[Tuple[float, float], ...]:
    """In the order of time; a moment without a value is passed over."""

    def point(value: Any, name: str) -> Optional[Tuple[float, float]]:
        pair = get.json.each(value, name, lambda item, _: item)
        if len(pair) != 2:
            get.json.fail(name, "a moment and a value", value)
        if pair[1] is None:
            return None
        at_s, found = (get.json.number_within(each, name, -MOST, MOST) for each in pair)
        return at_s, found

    points = get.json.each(record.get("points"), field + "points", point)
    if len(points) > _MOST_POINTS:
        get.too_many(field + "points", len(points), _MOST_POINTS)
    return tuple(sorted(each for each in points if each is not None))


def without_unit(name: str) -> str:
    """``mean_power_w`` -> ``mean power``."""
    ending = next((ending for ending in _UNITS if name.endswith(ending)), "")
    return name[: len(name) - len(ending)][:LONGEST_TEXT].replace("_", " ")
