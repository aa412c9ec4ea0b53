"""A report's JSON as records. It may be from anyone: what is used is checked, what is bad is named.

Fields that older versions did not write are empty or None, and what is not known is passed over.
"""

from typing import Any, Dict, List, NoReturn, Optional, Tuple

from ccc_jetson.confusion import MAX_CLASSES
from ccc_jetson.errors import UsageError
from ccc_jetson.json_records import JsonReader
from ccc_jetson.runtime.metrics import Distribution, Machine, StageSummary
from ccc_jetson.runtime.reports.records import (
    Benched,
    Benchmark,
    ClassScore,
    Evaluation,
    Header,
    Model,
    Publication,
    Reading,
    Run,
    Series,
    Telemetry,
)
from ccc_jetson.runtime.timeline import Timeline

RUN, EVALUATION, BENCHMARK = KINDS = ("run", "evaluation", "benchmark")
SCHEMA = 1
_CURE = "measure again: ccc-run --report FILE.json, or ccc-eval, or ccc-bench"
_LONGEST_TEXT, _LONGEST_COMMAND = 400, 8000
_MOST = 1e15  # of any figure
_MOST_PARTS, _MOST_BARS, _MOST_POINTS, _MOST_SERIES, _MOST_RESULTS = 10000, 10000, 200000, 100, 100
_UNITS = {"_w": "W", "_j": "J", "_c": "\u00b0C", "_mhz": "MHz", "_bytes": "GB", "_s": "s", "_percent": "%", "_mw": "mW"}
_TIMES = ("mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms")
_COLUMNS = ("from_s", "to_s", "frames", "dropped", "latency_p50_ms", "latency_max_ms")


def read_report(text: str, origin: str) -> Reading:
    """The report in ``text``, JSON; ``origin`` names its file in messages.

    Raises:
        UsageError: it is damaged, or no report.
    """
    reader = _Reader(origin)
    record = reader.json.mapping(reader.json.parse(text), "")
    kind = record.get("kind", EVALUATION if "miou" in record else RUN if "class_shares" in record else "")
    if kind not in KINDS:
        raise UsageError("{}: is no report of ccc-run, ccc-eval or ccc-bench".format(origin), hint=_CURE)
    reader.json.version(record, "schema", SCHEMA)
    if kind == BENCHMARK:
        return reader.benchmark(record)
    return reader.run(record) if kind == RUN else reader.evaluation(record)


class _Reader:
    """Turns parsed JSON into records; ``field`` names where in the file a value stands."""

    def __init__(self, origin: str) -> None:
        self.json = JsonReader(origin, "the report", _CURE, UsageError)

    # one value

    def text(self, record: Dict[str, Any], key: str, field: str, longest: int = _LONGEST_TEXT) -> str:
        """Empty where there is none."""
        value = self.json.text(record.get(key, ""), field + key)
        return value if len(value) <= longest else value[:longest] + "..."

    def figure(self, record: Dict[str, Any], key: str, field: str) -> float:
        return self.json.number_within(record.get(key), field + key, -_MOST, _MOST)

    def amount(self, record: Dict[str, Any], key: str, field: str) -> float:
        return self.json.number_within(record.get(key), field + key, 0.0, _MOST)

    def maybe(self, record: Dict[str, Any], key: str, field: str) -> Optional[float]:
        return None if record.get(key) is None else self.figure(record, key, field)

    def count(self, record: Dict[str, Any], key: str, field: str) -> int:
        return self.json.integer(record.get(key), field + key, 0, int(_MOST))

    def share(self, record: Dict[str, Any], key: str, field: str) -> Optional[float]:
        value = record.get(key)
        return None if value is None else self.json.number_within(value, field + key, 0.0, 1.0)

    def texts(self, record: Dict[str, Any], key: str, field: str) -> Tuple[str, ...]:
        found = self.json.each(record.get(key, []), field + key, self.json.text)
        return tuple(each[:_LONGEST_TEXT] for each in found)

    def mapping(self, record: Dict[str, Any], key: str, field: str) -> Dict[str, Any]:
        return self.json.mapping(record.get(key, {}), field + key)

    def records(self, record: Dict[str, Any], key: str, field: str, most: int) -> List[Tuple[str, Dict[str, Any]]]:
        """(where it stands, the record) of each in a list."""
        found = self.json.each(record.get(key, []), field + key, self.json.mapping)
        if len(found) > most:
            self.too_many(field + key, len(found), most)
        return [("{}{}[{}].".format(field, key, index), each) for index, each in enumerate(found)]

    def column(self, record: Dict[str, Any], key: str, field: str, most: int, low: float = -_MOST) -> List[float]:
        found = self.json.each(
            record.get(key), field + key, lambda value, name: self.json.number_within(value, name, low, _MOST)
        )
        if len(found) > most:
            self.too_many(field + key, len(found), most)
        return found

    def too_many(self, field: str, found: int, most: int) -> NoReturn:
        self.json.damaged("{} has {} values, expected at most {}".format(field, found, most))

    # parts of reports

    def header(self, record: Dict[str, Any], machine_key: str = "machine") -> Header:
        machine = self.mapping(record, machine_key, "")
        field = machine_key + "."
        names = [name for name in Machine._fields if name != "cores"]
        known = {name: self.text(machine, name, field) for name in names}
        libraries = [(name, self.text(machine, key, field)) for name, key in (("numpy", "numpy"), ("OpenCV", "opencv"))]
        return Header(
            tool=self.text(record, "tool", ""),
            revision=self.text(record, "revision", ""),
            started=self.text(record, "started", ""),
            command=self.text(record, "command", "", _LONGEST_COMMAND),
            machine=Machine(cores=self.count(machine, "cores", field), **known),
            libraries=tuple(each for each in libraries if each[1]),
        )

    def model(self, record: Dict[str, Any], field: str) -> Model:
        value, field = self.mapping(record, "model", field), field + "model."
        size = self.mapping(value, "input", field)
        contract, inner = self.mapping(value, "contract", field), field + "contract."
        palette = [
            (self.text(each, "name", at), self.color(each, at))
            for at, each in self.records(contract, "palette", inner, MAX_CLASSES + 1)
        ]
        return Model(
            path=self.text(value, "path", field),
            sha256=self.json.sha256(value.get("sha256"), field + "sha256"),
            title=self.text(value, "title", field),
            width=self.count(size, "width", field + "input."),
            height=self.count(size, "height", field + "input."),
            checkpoint=self.text(value, "checkpoint", field),
            chosen=self.text(value, "chosen", field),
            target=self.text(contract, "target", inner),
            precision=self.text(contract, "precision", inner),
            passes=self.texts(contract, "passes", inner),
            preprocessing=self.preprocessing(contract, inner),
            output=self.text(contract, "output", inner),
            classes=self.count(contract, "classes", inner) if "classes" in contract else 0,
            palette=tuple(palette),
        )

    def color(self, record: Dict[str, Any], field: str) -> str:
        found = self.json.three(
            record.get("color"), field + "color", lambda value, name: self.json.integer(value, name, 0, 255)
        )
        return "#{:02x}{:02x}{:02x}".format(*found)

    def preprocessing(self, contract: Dict[str, Any], field: str) -> str:
        """Empty where it is not known."""
        if "preprocessing" not in contract:
            return ""
        value, field = self.mapping(contract, "preprocessing", field), field + "preprocessing."
        mean, std = (self.json.three(value.get(key), field + key, self.json.number) for key in ("mean", "std"))
        return "{}, (pixel - [{}]) / [{}] * {:g}".format(
            self.text(value, "color_order", field),
            " ".join("{:.6g}".format(each) for each in mean),
            " ".join("{:.6g}".format(each) for each in std),
            self.figure(value, "scale", field),
        )

    def facts(self, record: Dict[str, Any], key: str, field: str) -> Tuple[Tuple[str, str], ...]:
        facts = self.mapping(record, key, field)
        return tuple((name[:_LONGEST_TEXT], self.text(facts, name, field + key + ".")) for name in sorted(facts))

    def stages(self, record: Dict[str, Any], field: str) -> Tuple[StageSummary, ...]:
        stages = self.mapping(record, "stages", field)
        if len(stages) > _MOST_SERIES:
            self.too_many(field + "stages", len(stages), _MOST_SERIES)
        return tuple(
            self._summary(self.mapping(stages, name, field), name[:_LONGEST_TEXT], field + "stages.") for name in stages
        )

    def summary(self, record: Dict[str, Any], key: str, field: str, name: str) -> Optional[StageSummary]:
        if record.get(key) is None:
            return None
        return self._summary(self.mapping(record, key, field), name, field + key + ".")

    def _summary(self, value: Dict[str, Any], name: str, field: str) -> StageSummary:
        times = {key: self.json.number_within(value.get(key), field + key, 0.0, _MOST) for key in _TIMES}
        return StageSummary(name, self.count(value, "count", field), **times)

    def published(self, record: Dict[str, Any], field: str) -> Tuple[Publication, ...]:
        return tuple(
            Publication(
                self.text(each, "figure", at),
                self.json.number_within(each.get("value"), at + "value", 1e-9, _MOST),
                self.text(each, "where", at),
                self.maybe(each, "measured", at),
                self.json.flag(each.get("comparable"), at + "comparable"),
                self.text(each, "why_not", at),
            )
            for at, each in self.records(record, "published", field, _MOST_SERIES)
        )

    def timeline(self, record: Dict[str, Any], field: str) -> Optional[Timeline]:
        if record.get("timeline") is None:
            return None
        value, field = self.mapping(record, "timeline", field), field + "timeline."
        columns = [self.column(value, key, field, _MOST_PARTS, 0.0) for key in _COLUMNS]
        if len({len(column) for column in columns}) != 1:
            self.json.damaged("{} has columns of several lengths".format(field[:-1]))
        parts = list(zip(columns[0], columns[1]))
        if any(end <= start for start, end in parts) or any(
            later[0] < earlier[1] for earlier, later in zip(parts, parts[1:])
        ):
            self.json.damaged("{} has parts that do not follow each other".format(field[:-1]))
        frames, dropped = ([int(each) for each in column] for column in columns[2:4])
        return Timeline(columns[0], columns[1], frames, dropped, columns[4], columns[5])

    def histograms(self, record: Dict[str, Any], field: str) -> Dict[str, Distribution]:
        found = self.mapping(record, "histograms", field)
        if len(found) > _MOST_SERIES:
            self.too_many(field + "histograms", len(found), _MOST_SERIES)
        return {name: self.distribution(self.mapping(found, name, field), name, field) for name in found}

    def distribution(self, value: Dict[str, Any], name: str, field: str) -> Distribution:
        field += "histograms.{}.".format(name[:_LONGEST_TEXT])
        edges = self.column(value, "edges_ms", field, _MOST_BARS)
        counts = [int(each) for each in self.column(value, "counts", field, _MOST_BARS)]
        rising = all(0 < earlier < later for earlier, later in zip(edges, edges[1:]))
        if not counts or len(edges) != len(counts) + 1 or not rising or min(counts) < 0 or not any(counts):
            self.json.damaged("{} has no rising edges around its counts".format(field[:-1]))
        return Distribution(edges, counts)

    def telemetry(self, record: Dict[str, Any], field: str) -> Optional[Telemetry]:
        if record.get("telemetry") is None:
            return None
        value, field = self.mapping(record, "telemetry", field), field + "telemetry."
        summary = self.mapping(value, "summary", field)
        return Telemetry(
            interval_s=self.figure(value, "interval_s", field),
            series=tuple(
                Series(self.text(each, "name", at), self.text(each, "unit", at), self.points(each, at))
                for at, each in self.records(value, "series", field, _MOST_SERIES)
            ),
            summary=tuple(
                (_without_unit(name), text)
                for name in summary
                for text in [self.quantity(name, summary[name], field + "summary.")]
                if text
            ),
            throttling=tuple(
                (self.figure(each, "from_s", at), self.figure(each, "to_s", at), self.reason(each, at))
                for at, each in self.records(value, "throttling", field, _MOST_PARTS)
            ),
            joules_per_frame=self.maybe(value, "joules_per_frame", field),
            notes=self.texts(value, "notes", field),
        )

    def reason(self, record: Dict[str, Any], field: str) -> str:
        """Why something was slowed down; what did it and how far, where these are told apart."""
        cause, detail = self.text(record, "cause", field), self.text(record, "detail", field)
        return self.text(record, "reason", field) or (cause + " (" + detail + ")" if detail else cause)

    def quantity(self, name: str, value: Any, field: str) -> str:
        """A value of a summary in the unit that its name ends with; "" where there is none."""
        if isinstance(value, dict):
            return ", ".join(
                "{} {}".format(key[:_LONGEST_TEXT], self.quantity(name, value[key], field + name[:80] + "."))
                for key in value
            )
        if value is None or isinstance(value, str):
            return (value or "")[:_LONGEST_TEXT]
        found = self.json.number_within(value, field + name[:80], -_MOST, _MOST)
        unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
        if unit == "GB":
            found /= 1e9
        return "{:,.4g} {}".format(found, unit).strip()

    def points(self, record: Dict[str, Any], field: str) -> Tuple[Tuple[float, float], ...]:
        """In the order of time; a moment without a value is passed over."""

        def point(value: Any, name: str) -> Optional[Tuple[float, float]]:
            pair = self.json.each(value, name, lambda item, _: item)
            if len(pair) != 2:
                self.json.fail(name, "a moment and a value", value)
            if pair[1] is None:
                return None
            at_s, found = (self.json.number_within(each, name, -_MOST, _MOST) for each in pair)
            return at_s, found

        points = self.json.each(record.get("points"), field + "points", point)
        if len(points) > _MOST_POINTS:
            self.too_many(field + "points", len(points), _MOST_POINTS)
        return tuple(sorted(each for each in points if each is not None))

    # whole reports

    def run(self, record: Dict[str, Any]) -> Run:
        source = self.mapping(record, "source", "")
        shares = self.mapping(record, "class_shares", "")
        pictures = []
        for at, each in self.records(record, "pictures", "", int(_MOST)):
            for inner, top in self.records(each, "top", at, _MOST_SERIES)[:1]:
                best = self.json.number_within(top.get("probability"), inner + "probability", 0.0, 1.0)
                pictures.append((self.text(each, "name", at), self.text(top, "class", inner), best))
        return Run(
            header=self.header(record),
            model=self.model(record, ""),
            backend=self.text(record, "backend", ""),
            facts=self.facts(record, "backend_facts", ""),
            fit=self.text(record, "fit", ""),
            source=self.text(source, "description", "source."),
            live=self.json.flag(source.get("live"), "source.live"),
            outputs=self.texts(record, "outputs", ""),
            ended=self.text(record, "ended", ""),
            frames=self.count(record, "frames", ""),
            dropped=self.count(record, "dropped", ""),
            wall_s=self.amount(record, "wall_s", ""),
            fps=self.amount(record, "fps", ""),
            stages=self.stages(record, ""),
            latency=self.summary(record, "latency", "", "latency"),
            latency_to_class_map=self.summary(record, "latency_to_class_map", "", "latency to the class map"),
            bottleneck=self.text(record, "bottleneck", ""),
            class_shares=tuple(
                (name[:_LONGEST_TEXT], self.json.number_within(shares[name], "class_shares", 0.0, 1.0))
                for name in shares
            ),
            pictures=tuple(pictures),
            published=self.published(record, ""),
            timeline=self.timeline(record, ""),
            histograms=self.histograms(record, ""),
            telemetry=self.telemetry(record, ""),
        )

    def evaluation(self, record: Dict[str, Any]) -> Evaluation:
        dataset = self.mapping(record, "dataset", "")
        classes = tuple(
            ClassScore(
                self.text(each, "name", at),
                self.share(each, "iou", at),
                self.count(each, "pixels", at),
                self.color(each, at) if "color" in each else "",
            )
            for at, each in self.records(record, "classes", "", MAX_CLASSES)
        )
        rows = self.json.each(record.get("confusion"), "confusion", self.counts)
        pixels = self.count(record, "pixels", "")
        if len(rows) != len(classes) or any(len(row) != len(classes) + 1 for row in rows):
            self.json.damaged("confusion has not a row for each of {} classes".format(len(classes)))
        if sum(map(sum, rows)) != pixels:
            self.json.damaged("confusion does not hold the {} pixels".format(pixels))
        return Evaluation(
            header=self.header(record),
            model=self.model(record, ""),
            backend=self.text(record, "backend", ""),
            fit=self.text(record, "fit", ""),
            eval_size=self.text(record, "eval_size", ""),
            prediction=self.text(record, "prediction", ""),
            dataset=self.text(dataset, "title", "dataset."),
            split=self.text(dataset, "split", "dataset."),
            mapping=self.text(dataset, "mapping", "dataset."),
            notes=self.texts(dataset, "notes", "dataset."),
            skipped=tuple(
                (self.text(each, "name", at), self.text(each, "reason", at))
                for at, each in self.records(record, "skipped", "", int(_MOST))
            ),
            frames=self.count(record, "frames", ""),
            miou=self.share(record, "miou", ""),
            pixel_accuracy=self.share(record, "pixel_accuracy", ""),
            pixels=pixels,
            pixels_without_class=self.count(record, "pixels_without_class", ""),
            classes=classes,
            confusion=tuple(rows),
            stages=self.stages(record, ""),
            fps=self.amount(record, "fps", ""),
            wall_s=self.amount(record, "wall_s", ""),
            timed_frames=self.count(record, "timed_frames", ""),
            published=self.published(record, ""),
            histograms=self.histograms(record, ""),
            telemetry=self.telemetry(record, ""),
        )

    def counts(self, value: Any, field: str) -> Tuple[int, ...]:
        return tuple(self.json.each(value, field, lambda each, name: self.json.integer(each, name, 0, int(_MOST))))

    def benchmark(self, record: Dict[str, Any]) -> Benchmark:
        protocol = self.mapping(record, "protocol", "")
        results = self.records(record, "results", "", _MOST_RESULTS)
        whole = self.telemetry(record, "") if len(results) == 1 else None
        return Benchmark(
            header=self.header(record, "environment"),
            fit=self.text(protocol, "fit", "protocol."),
            ended=self.text(record, "ended", ""),
            results=tuple(self.benched(each, at, whole) for at, each in results),
            problems=tuple(
                (self.text(each, "model", at), self.text(each, "message", at))
                for at, each in self.records(record, "problems", "", _MOST_RESULTS)
            ),
            not_run=self.texts(record, "not_run", ""),
        )

    def benched(self, record: Dict[str, Any], field: str, telemetry: Optional[Telemetry]) -> Benched:
        return Benched(
            name=self.text(record, "name", field),
            model=self.model(record, field),
            backend=self.text(record, "backend", field),
            facts=self.facts(record, "facts", field),
            source=self.text(self.mapping(record, "source", field), "description", field + "source."),
            ended=self.text(record, "ended", field),
            frames=self.count(record, "frames", field),
            wall_s=self.amount(record, "wall_s", field),
            fps=self.amount(record, "fps", field),
            frame=self.summary(record, "frame", field, "frame time"),
            latency=self.summary(record, "latency", field, "latency, queues full"),
            network=self.summary(record, "network", field, "network alone"),
            network_is=self.text(record, "network_is", field),
            stages=self.stages(record, field),
            bottleneck=self.text(record, "bottleneck", field),
            notes=self.texts(record, "notes", field),
            published=self.published(record, field),
            timeline=self.timeline(record, field),
            histograms=self.histograms(record, field),
            telemetry=self.telemetry(record, field) or telemetry,
        )


def _without_unit(name: str) -> str:
    """``mean_power_w`` -> ``mean power``."""
    ending = next((ending for ending in _UNITS if name.endswith(ending)), "")
    return name[: len(name) - len(ending)][:_LONGEST_TEXT].replace("_", " ")
