"""A report's JSON as records. It may be from anyone: what is used is checked, what is bad is named.

Fields that older versions did not write are empty or None, and what is not known is passed over.
"""

from typing import Any, Dict, Optional, Tuple

from ccc_jetson.clean_text import without_secrets
from ccc_jetson.confusion import MAX_CLASSES
from ccc_jetson.errors import UsageError
from ccc_jetson.json_records import JsonReader
from ccc_jetson.runtime.bench.compare import KIND as COMPARISON
from ccc_jetson.runtime.bench.compare import VERDICTS
from ccc_jetson.runtime.bench.plan import STATISTICS
from ccc_jetson.runtime.bench.reader import KIND as BENCHMARK
from ccc_jetson.runtime.eval_report import KIND as EVALUATION
from ccc_jetson.runtime.metrics import Distribution, Machine, StageSummary
from ccc_jetson.runtime.report import KIND as RUN
from ccc_jetson.runtime.report import SCHEMA
from ccc_jetson.runtime.reports.fields import LONGEST_TEXT, MOST, Fields
from ccc_jetson.runtime.reports.records import (
    Benched,
    Benchmark,
    ClassScore,
    ComparedPair,
    Comparison,
    Evaluation,
    Header,
    Model,
    Publication,
    Reading,
    Run,
    Telemetry,
)
from ccc_jetson.runtime.reports.telemetry_reading import quantity, read_clocks, read_telemetry, without_unit
from ccc_jetson.runtime.timeline import Timeline

KINDS = (RUN, EVALUATION, BENCHMARK, COMPARISON)
_CURE = "measure again: ccc-run --report FILE.json, or ccc-eval, or ccc-bench"
_LONGEST_COMMAND = 8000
_TOLD = ("description", "live", "kind", "source")  # of a source: what its description says already
_SHORTEST_PART_S = 5e-7  # times are written in whole microseconds
_MOST_PARTS, _MOST_BARS, _MOST_SERIES, _MOST_RESULTS = 10000, 10000, 100, 100
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
    if kind == COMPARISON:
        return reader.comparison(record)
    return reader.run(record) if kind == RUN else reader.evaluation(record)


class _Reader:
    """Turns parsed JSON into records; ``field`` names where in the file a value stands."""

    def __init__(self, origin: str) -> None:
        self.json = JsonReader(origin, "the report", _CURE, UsageError)
        self.get = Fields(self.json)

    # parts of reports

    def header(self, record: Dict[str, Any], machine_key: str = "machine") -> Header:
        machine = self.get.mapping(record, machine_key, "")
        field = machine_key + "."
        names = [name for name in Machine._fields if name != "cores"]
        known = {name: self.get.text(machine, name, field) for name in names}
        libraries = [
            (name, self.get.text(machine, key, field)) for name, key in (("numpy", "numpy"), ("OpenCV", "opencv"))
        ]
        return Header(
            tool=self.get.text(record, "tool", ""),
            revision=self.get.text(record, "revision", ""),
            started=self.get.text(record, "started", ""),
            command=self.get.text(record, "command", "", _LONGEST_COMMAND),
            machine=Machine(cores=self.get.count(machine, "cores", field), **known),
            libraries=tuple(each for each in libraries if each[1]),
        )

    def model(self, record: Dict[str, Any], field: str) -> Model:
        value, field = self.get.mapping(record, "model", field), field + "model."
        size = self.get.mapping(value, "input", field)
        contract, inner = self.get.mapping(value, "contract", field), field + "contract."
        palette = [
            (self.get.text(each, "name", at), self.color(each, at))
            for at, each in self.get.records(contract, "palette", inner, MAX_CLASSES + 1)
        ]
        return Model(
            path=self.get.text(value, "path", field),
            sha256=self.json.sha256(value.get("sha256"), field + "sha256"),
            title=self.get.text(value, "title", field),
            width=self.get.count(size, "width", field + "input."),
            height=self.get.count(size, "height", field + "input."),
            checkpoint=self.get.text(value, "checkpoint", field),
            chosen=self.get.text(value, "chosen", field),
            target=self.get.text(contract, "target", inner),
            precision=self.get.text(contract, "precision", inner),
            passes=self.get.texts(contract, "passes", inner),
            preprocessing=self.preprocessing(contract, inner),
            output=self.get.text(contract, "output", inner),
            classes=self.get.count(contract, "classes", inner) if "classes" in contract else 0,
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
        value, field = self.get.mapping(contract, "preprocessing", field), field + "preprocessing."
        mean, std = (self.json.three(value.get(key), field + key, self.json.number) for key in ("mean", "std"))
        return "{}, (pixel - [{}]) / [{}] * {:g}".format(
            self.get.text(value, "color_order", field),
            " ".join("{:.6g}".format(each) for each in mean),
            " ".join("{:.6g}".format(each) for each in std),
            self.get.figure(value, "scale", field),
        )

    def facts(self, record: Dict[str, Any], key: str, field: str) -> Tuple[Tuple[str, str], ...]:
        facts = self.get.mapping(record, key, field)
        return tuple((name[:LONGEST_TEXT], self.get.text(facts, name, field + key + ".")) for name in sorted(facts))

    def stages(self, record: Dict[str, Any], field: str) -> Tuple[StageSummary, ...]:
        stages = self.get.mapping(record, "stages", field)
        if len(stages) > _MOST_SERIES:
            self.get.too_many(field + "stages", len(stages), _MOST_SERIES)
        return tuple(
            self._summary(self.get.mapping(stages, name, field), name[:LONGEST_TEXT], field + "stages.")
            for name in stages
        )

    def summary(self, record: Dict[str, Any], key: str, field: str, name: str) -> Optional[StageSummary]:
        if record.get(key) is None:
            return None
        return self._summary(self.get.mapping(record, key, field), name, field + key + ".")

    def _summary(self, value: Dict[str, Any], name: str, field: str) -> StageSummary:
        times = {key: self.json.number_within(value.get(key), field + key, 0.0, MOST) for key in _TIMES}
        return StageSummary(name, self.get.count(value, "count", field), **times)

    def published(self, record: Dict[str, Any], field: str) -> Tuple[Publication, ...]:
        return tuple(
            Publication(
                self.get.text(each, "figure", at),
                self.json.number_within(each.get("value"), at + "value", 1e-9, MOST),
                self.get.text(each, "where", at),
                self.get.maybe(each, "measured", at),
                self.json.flag(each.get("comparable"), at + "comparable"),
                self.get.text(each, "why_not", at),
            )
            for at, each in self.get.records(record, "published", field, _MOST_SERIES)
        )

    def timeline(self, record: Dict[str, Any], field: str) -> Optional[Timeline]:
        if record.get("timeline") is None:
            return None
        value, field = self.get.mapping(record, "timeline", field), field + "timeline."
        columns = [self.get.column(value, key, field, _MOST_PARTS, 0.0) for key in _COLUMNS]
        if len({len(column) for column in columns}) != 1:
            self.json.damaged("{} has columns of several lengths".format(field[:-1]))
        parts = list(zip(columns[0], columns[1]))
        if any(end - start < _SHORTEST_PART_S for start, end in parts) or any(
            later[0] < earlier[1] for earlier, later in zip(parts, parts[1:])
        ):
            self.json.damaged("{} has parts that do not follow each other".format(field[:-1]))
        frames, dropped = ([int(each) for each in column] for column in columns[2:4])
        return Timeline(columns[0], columns[1], frames, dropped, columns[4], columns[5])

    def histograms(self, record: Dict[str, Any], field: str) -> Dict[str, Distribution]:
        found = self.get.mapping(record, "histograms", field)
        if len(found) > _MOST_SERIES:
            self.get.too_many(field + "histograms", len(found), _MOST_SERIES)
        return {name: self.distribution(self.get.mapping(found, name, field), name, field) for name in found}

    def distribution(self, value: Dict[str, Any], name: str, field: str) -> Distribution:
        field += "histograms.{}.".format(name[:LONGEST_TEXT])
        edges = self.get.column(value, "edges_ms", field, _MOST_BARS)
        counts = [int(each) for each in self.get.column(value, "counts", field, _MOST_BARS)]
        rising = all(0 < earlier < later for earlier, later in zip(edges, edges[1:]))
        if not counts or len(edges) != len(counts) + 1 or not rising or min(counts) < 0 or not any(counts):
            self.json.damaged("{} has no rising edges around its counts".format(field[:-1]))
        return Distribution(edges, counts)

    # whole reports

    def run(self, record: Dict[str, Any]) -> Run:
        source = self.get.mapping(record, "source", "")
        shares = self.get.mapping(record, "class_shares", "")
        pictures = []
        for at, each in self.get.records(record, "pictures", "", int(MOST)):
            for inner, top in self.get.records(each, "top", at, _MOST_SERIES)[:1]:
                best = self.json.number_within(top.get("probability"), inner + "probability", 0.0, 1.0)
                pictures.append((self.get.text(each, "name", at), self.get.text(top, "class", inner), best))
        return Run(
            header=self.header(record),
            model=self.model(record, ""),
            backend=self.get.text(record, "backend", ""),
            facts=self.facts(record, "backend_facts", ""),
            fit=self.get.text(record, "fit", ""),
            source=self.get.text(source, "description", "source."),
            live=self.json.flag(source.get("live"), "source.live"),
            outputs=self.get.texts(record, "outputs", ""),
            ended=self.get.text(record, "ended", ""),
            frames=self.get.count(record, "frames", ""),
            dropped=self.get.count(record, "dropped", ""),
            wall_s=self.get.amount(record, "wall_s", ""),
            fps=self.get.amount(record, "fps", ""),
            stages=self.stages(record, ""),
            latency=self.summary(record, "latency", "", "latency"),
            latency_to_class_map=self.summary(record, "latency_to_class_map", "", "latency to the class map"),
            bottleneck=self.get.text(record, "bottleneck", ""),
            class_shares=tuple(
                (name[:LONGEST_TEXT], self.json.number_within(shares[name], "class_shares", 0.0, 1.0))
                for name in shares
            ),
            pictures=tuple(pictures),
            source_facts=tuple(
                (without_unit(key), without_secrets(quantity(self.get, key, source[key], "source.")))
                for key in sorted(source)
                if key not in _TOLD and type(source[key]) in (str, int, float) and source[key]
            ),
            published=self.published(record, ""),
            timeline=self.timeline(record, ""),
            histograms=self.histograms(record, ""),
            telemetry=read_telemetry(self.get, record, ""),
        )

    def evaluation(self, record: Dict[str, Any]) -> Evaluation:
        dataset = self.get.mapping(record, "dataset", "")
        classes = tuple(
            ClassScore(
                self.get.text(each, "name", at),
                self.get.share(each, "iou", at),
                self.get.count(each, "pixels", at),
                self.color(each, at) if "color" in each else "",
            )
            for at, each in self.get.records(record, "classes", "", MAX_CLASSES)
        )
        if not classes:
            self.json.damaged("it has no classes")
        rows = self.json.each(record.get("confusion"), "confusion", self.counts)
        pixels = self.get.count(record, "pixels", "")
        if len(rows) != len(classes) or any(len(row) != len(classes) + 1 for row in rows):
            self.json.damaged("confusion has not a row for each of {} classes".format(len(classes)))
        if sum(map(sum, rows)) != pixels:
            self.json.damaged("confusion does not hold the {} pixels".format(pixels))
        return Evaluation(
            header=self.header(record),
            model=self.model(record, ""),
            backend=self.get.text(record, "backend", ""),
            fit=self.get.text(record, "fit", ""),
            eval_size=self.get.text(record, "eval_size", ""),
            prediction=self.get.text(record, "prediction", ""),
            dataset=self.get.text(dataset, "title", "dataset."),
            split=self.get.text(dataset, "split", "dataset."),
            mapping=self.get.text(dataset, "mapping", "dataset."),
            notes=self.get.texts(dataset, "notes", "dataset."),
            skipped=tuple(
                (self.get.text(each, "name", at), self.get.text(each, "reason", at))
                for at, each in self.get.records(record, "skipped", "", int(MOST))
            ),
            frames=self.get.count(record, "frames", ""),
            miou=self.get.share(record, "miou", ""),
            pixel_accuracy=self.get.share(record, "pixel_accuracy", ""),
            pixels=pixels,
            pixels_without_class=self.get.count(record, "pixels_without_class", ""),
            classes=classes,
            confusion=tuple(rows),
            stages=self.stages(record, ""),
            fps=self.get.amount(record, "fps", ""),
            wall_s=self.get.amount(record, "wall_s", ""),
            timed_frames=self.get.count(record, "timed_frames", ""),
            published=self.published(record, ""),
            histograms=self.histograms(record, ""),
            telemetry=read_telemetry(self.get, record, ""),
        )

    def counts(self, value: Any, field: str) -> Tuple[int, ...]:
        return tuple(self.json.each(value, field, lambda each, name: self.json.integer(each, name, 0, int(MOST))))

    def benchmark(self, record: Dict[str, Any]) -> Benchmark:
        protocol = self.get.mapping(record, "protocol", "")
        results = self.get.records(record, "results", "", _MOST_RESULTS)
        whole = read_telemetry(self.get, record, "") if len(results) == 1 else None
        return Benchmark(
            header=self.header(record, "environment"),
            fit=self.get.text(protocol, "fit", "protocol."),
            ended=self.get.text(record, "ended", ""),
            results=tuple(self.benched(each, at, whole) for at, each in results),
            problems=tuple(
                (self.get.text(each, "model", at), self.get.text(each, "message", at))
                for at, each in self.get.records(record, "problems", "", _MOST_RESULTS)
            ),
            not_run=self.get.texts(record, "not_run", ""),
        )

    def benched(self, record: Dict[str, Any], field: str, telemetry: Optional[Telemetry]) -> Benched:
        return Benched(
            name=self.get.text(record, "name", field),
            model=self.model(record, field),
            backend=self.get.text(record, "backend", field),
            facts=self.facts(record, "facts", field),
            source=self.get.text(self.get.mapping(record, "source", field), "description", field + "source."),
            ended=self.get.text(record, "ended", field),
            warm_up=self.warm_up(record, field),
            frames=self.get.count(record, "frames", field),
            wall_s=self.get.amount(record, "wall_s", field),
            fps=self.get.amount(record, "fps", field),
            frame=self.summary(record, "frame", field, "frame time"),
            latency=self.summary(record, "latency", field, "latency, queues full"),
            network=self.summary(record, "network", field, "network alone"),
            network_is=self.get.text(record, "network_is", field),
            stages=self.stages(record, field),
            bottleneck=self.get.text(record, "bottleneck", field),
            slices_fps=tuple(self.get.column(record, "slices_fps", field, _MOST_PARTS, 0.0))
            if "slices_fps" in record
            else (),
            clocks=read_clocks(self.get, record, field),
            notes=self.get.texts(record, "notes", field),
            published=self.published(record, field),
            timeline=self.timeline(record, field),
            histograms=self.histograms(record, field),
            telemetry=read_telemetry(self.get, record, field) or telemetry,
        )

    def warm_up(self, record: Dict[str, Any], field: str) -> Optional[Tuple[int, float]]:
        if record.get("warm_up") is None:
            return None
        value, field = self.get.mapping(record, "warm_up", field), field + "warm_up."
        return self.get.count(value, "frames", field), self.get.amount(value, "seconds", field)

    def comparison(self, record: Dict[str, Any]) -> Comparison:
        if not record.get("pairs"):
            self.json.damaged("it compares nothing")
        return Comparison(
            tool=self.get.text(record, "tool", ""),
            revision=self.get.text(record, "revision", ""),
            command=self.get.text(record, "command", "", _LONGEST_COMMAND),
            a=self.get.text(record, "a", ""),
            b=self.get.text(record, "b", ""),
            statistic=self.json.one_of(record.get("statistic"), "statistic", tuple(STATISTICS)),
            tolerance_percent=self.get.amount(record, "tolerance_percent", ""),
            pairs=tuple(
                ComparedPair(
                    name=self.get.text(each, "name", at),
                    figure_a=self.get.amount(each, "a", at),
                    figure_b=self.get.amount(each, "b", at),
                    ratio=self.get.amount(each, "ratio", at),
                    low=self.get.amount(each, "low", at),
                    high=self.get.amount(each, "high", at),
                    verdict=self.json.one_of(each.get("verdict"), at + "verdict", VERDICTS),
                )
                for at, each in self.get.records(record, "pairs", "", _MOST_RESULTS)
            ),
            differences=tuple(
                (self.get.text(each, "what", at), self.get.text(each, "a", at), self.get.text(each, "b", at))
                for at, each in self.get.records(record, "differences", "", _MOST_PARTS)
            ),
            notes=self.get.texts(record, "notes", ""),
        )
