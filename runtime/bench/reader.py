"""Reports of ``ccc-bench``, read back. They may be from anyone: what is used is checked, what is bad is named."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from ccc_jetson.clean_text import clean
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.json_records import JsonReader
from ccc_jetson.runtime.bench.plan import MOST_SAMPLES
from ccc_jetson.runtime.reports.saved import read_saved

SCHEMA = 1
KIND = "benchmark"
SAMPLES = ("frame_ms", "latency_ms", "network_ms")
_MOST_MODELS = 100
_LONGEST_MS = 1e9
_LONGEST_TEXT = 300
_ENVIRONMENT = ("board", "l4t", "jetpack", "power_mode", "cpu", "cores", "system", "python", "numpy", "opencv")

Figure = Union[str, float]  # a text or whole number is the same or not; a float may differ by measuring


class Measurement(NamedTuple):
    """What a report says of one model. ``circumstances`` are what it was measured under, beside the environment."""

    name: str
    circumstances: Dict[str, Figure]
    samples: Dict[str, List[float]]  # of each of SAMPLES, milliseconds


class Reading(NamedTuple):
    """A report. ``environment`` has the same keys for every report, "" where it says nothing."""

    origin: str
    environment: Dict[str, Figure]
    measurements: Tuple[Measurement, ...]


def read_report(path: str) -> Reading:
    """The report at ``path``.

    Raises:
        UsageError: it is missing, too large, damaged, or no report of ``ccc-bench``.
    """
    reader = JsonReader(path, "the report", "measure again: ccc-bench MODEL --report FILE.json", UsageError)
    record = reader.mapping(reader.parse(_text(path)), "")
    if record.get("kind") != KIND:
        raise UsageError("{}: is no report of ccc-bench".format(path), hint="ccc-bench MODEL --report FILE.json")
    reader.version(record, "schema", SCHEMA)
    return _reading(reader, record)


def _text(path: str) -> str:
    try:
        return read_saved(path)
    except FileProblem as problem:
        raise UsageError(str(problem), problem.hint)


def _reading(reader: JsonReader, record: Dict[str, Any]) -> Reading:
    said = reader.mapping(record.get("environment"), "environment")
    environment: Dict[str, Figure] = {"tool": _short(reader, record.get("tool"), "tool")}
    for key in _ENVIRONMENT:
        value = said.get(key, "")
        field = "environment." + key
        environment[key] = (
            str(reader.integer(value, field, 1, 4096)) if key == "cores" else _short(reader, value, field)
        )
    protocol = reader.mapping(record.get("protocol"), "protocol")
    environment["fit"] = _short(reader, protocol.get("fit"), "protocol.fit")
    environment["threads"] = str(reader.integer(protocol.get("threads"), "protocol.threads", 0, 4096))
    floor = reader.mapping(protocol.get("warm_up_floor"), "protocol.warm_up_floor")
    kept = reader.flag(floor.get("kept"), "protocol.warm_up_floor.kept")
    environment["warm-up"] = "as long as it should be" if kept else "too short"
    found = reader.each(record.get("results"), "results", lambda value, field: _measurement(reader, value, field))
    if not 1 <= len(found) <= _MOST_MODELS:
        reader.damaged("results has {} models, expected 1 to {}".format(len(found), _MOST_MODELS))
    return Reading(reader.origin, environment, tuple(found))


def _measurement(reader: JsonReader, value: Any, field: str) -> Measurement:
    record = reader.mapping(value, field)
    model = reader.mapping(record.get("model"), field + ".model")
    given = reader.object(model.get("input"), field + ".model.input", ("width", "height"))
    source = reader.mapping(record.get("source"), field + ".source")
    sides = [given["width"], given["height"]]
    circumstances: Dict[str, Figure] = {"network size": _size(reader, sides, field + ".model.input")}
    circumstances["frame size"] = _size(reader, source.get("size"), field + ".source.size")
    circumstances["ended"] = _short(reader, record.get("ended"), field + ".ended")
    circumstances["backend"] = _short(reader, record.get("backend"), field + ".backend")
    for key, fact in reader.mapping(record.get("facts"), field + ".facts").items():
        if not key.endswith("sha256"):  # another engine is what is compared
            text = _short(reader, fact, "{}.facts.{}".format(field, key))
            circumstances[_clipped(key).replace("_", " ")] = text.split(": ")[0]  # a reason or a time follows
    clocks = reader.mapping(record.get("clocks"), field + ".clocks").get("before")
    if clocks is not None:
        circumstances.update(
            _clocks(reader, reader.mapping(clocks, field + ".clocks.before"), field + ".clocks.before")
        )
    samples = reader.object(record.get("samples"), field + ".samples", SAMPLES)
    return Measurement(
        _short(reader, record.get("name"), field + ".name"),
        circumstances,
        {key: _samples(reader, samples[key], "{}.samples.{}".format(field, key)) for key in SAMPLES},
    )


def _samples(reader: JsonReader, value: Any, field: str) -> List[float]:
    record = reader.object(value, field, ("every", "values"))
    reader.integer(record["every"], field + ".every", 1, 1 << 40)
    values = reader.each(
        record["values"], field + ".values", lambda item, name: reader.number_within(item, name, 0.0, _LONGEST_MS)
    )
    if len(values) > MOST_SAMPLES:
        reader.damaged("{} has {} values, expected at most {}".format(field, len(values), MOST_SAMPLES))
    return values


def _clocks(reader: JsonReader, record: Dict[str, Any], field: str) -> Dict[str, Figure]:
    """Limits and governors as text, what a clock was as a number."""
    found: Dict[str, Figure] = {"cores that are on": _short(reader, record.get("online"), field + ".online")}
    cores = reader.each(record.get("cores"), field + ".cores", reader.mapping)
    named = [("{}.cores[{}]".format(field, index), core) for index, core in enumerate(cores)]
    for key in ("gpu", "memory"):
        if record.get(key) is not None:
            named.append((field + "." + key, reader.mapping(record[key], field + "." + key)))
    for place, clock in named:
        name = _short(reader, clock.get("name"), place + ".name") + " clock"
        limits = [_mhz(reader, clock.get(key), place + "." + key) for key in ("low_mhz", "high_mhz")]
        found[name + "'s limits"] = " to ".join("?" if limit is None else "{:g} MHz".format(limit) for limit in limits)
        found[name + "'s governor"] = _short(reader, clock.get("governor"), place + ".governor")
        found[name] = reader.number_within(clock.get("mhz"), place + ".mhz", 0.0, 1e6)
    return found


def _mhz(reader: JsonReader, value: Any, field: str) -> Optional[float]:
    return None if value is None else reader.number_within(value, field, 0.0, 1e6)


def _size(reader: JsonReader, value: Any, field: str) -> str:
    sides = reader.each(value, field, lambda item, name: reader.integer(item, name, 1, 1 << 20))
    return "x".join(str(side) for side in sides) or "several"


def _short(reader: JsonReader, value: Any, field: str) -> str:
    return _clipped(reader.text(value, field))


def _clipped(text: str) -> str:
    return clean(text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "...")
