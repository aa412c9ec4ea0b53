"""A run's figures in Prometheus' text format (version 0.0.4), for whoever collects them."""

from typing import Dict, List, Mapping, NamedTuple, Tuple

from ccc_jetson.runtime.live import LiveStatistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# a sensor's unit -> the metric's name, what it is, and the factor to the metric's unit
_BY_UNIT = {
    "W": ("ccc_power_watts", "Electrical power.", 1.0),
    "mW": ("ccc_power_watts", "Electrical power.", 1e-3),
    "C": ("ccc_temperature_celsius", "Temperature.", 1.0),
    "\N{DEGREE SIGN}C": ("ccc_temperature_celsius", "Temperature.", 1.0),
    "%": ("ccc_load_ratio", "Share in use.", 0.01),
    "GB": ("ccc_memory_bytes", "Memory in use.", 1e9),
    "Hz": ("ccc_clock_hertz", "Clock.", 1.0),
    "MHz": ("ccc_clock_hertz", "Clock.", 1e6),
}
_OTHER_UNITS = "ccc_sensor"

Labels = Tuple[Tuple[str, str], ...]


class Metric(NamedTuple):
    """One metric; ``values`` are (suffix of the name, labels, value)."""

    name: str
    kind: str
    help: str
    values: Tuple[Tuple[str, Labels, float], ...]

    def to_text(self) -> str:
        """The metric's lines.

        # HELP ccc_frames_total Frames that went through the whole run.
        # TYPE ccc_frames_total counter
        ccc_frames_total 1234
        """
        lines = [
            "# HELP {} {}".format(self.name, self.help.replace("\\", "\\\\").replace("\n", "\\n")),
            "# TYPE {} {}".format(self.name, self.kind),
        ]
        for suffix, labels, value in self.values:
            inside = ",".join('{}="{}"'.format(name, _escaped(text)) for name, text in labels)
            lines.append("{}{}{} {!r}".format(self.name, suffix, "{" + inside + "}" if inside else "", value))
        return "".join(line + "\n" for line in lines)


def metrics(live: LiveStatistics, clients: int, info: Mapping[str, str]) -> List[Metric]:
    """The metrics of a run; those that nothing is known of are left out.

    Args:
        live: sampled by the server.
        clients: open connections.
        info: labels of ``ccc_run_info``.
    """
    counters, latency, samples = live.counters, live.latency, live.samples_from(0)
    found = [
        Metric("ccc_run_info", "gauge", "What runs; always 1.", (("", tuple(sorted(info.items())), 1),)),
        _single("ccc_frames_total", "counter", "Frames that went through the whole run.", counters.frames),
        _single("ccc_frames_dropped_total", "counter", "Frames replaced by newer ones.", counters.dropped),
        _single("ccc_clients", "gauge", "Open connections to the page.", clients),
    ]
    if samples:
        found.append(_single("ccc_fps", "gauge", "Frames a second, over the last second.", samples[-1].fps))
    if latency.frames:
        values: List[Tuple[str, Labels, float]] = [
            ("", (("quantile", repr(quantile)),), seconds) for quantile, seconds in sorted(latency.quantiles_s.items())
        ]
        values += [("_sum", (), latency.total_s), ("_count", (), latency.frames)]
        text = "From capture to the end of the outputs; quantiles of the newest frames."
        found.append(Metric("ccc_latency_seconds", "summary", text, tuple(values)))
    if counters.stages:
        stages = [((("stage", name),), count, seconds) for name, count, seconds in counters.stages]
        found.append(
            Metric(
                "ccc_stage_seconds_total",
                "counter",
                "Time spent in each stage.",
                tuple(("", labels, seconds) for labels, _, seconds in stages),
            )
        )
        found.append(
            Metric(
                "ccc_stage_frames_total",
                "counter",
                "Frames that each stage has worked on.",
                tuple(("", labels, count) for labels, count, _ in stages),
            )
        )
    shares = tuple(("", (("class", name),), share) for name, share in live.shares)
    if shares:
        found.append(Metric("ccc_class_ratio", "gauge", "Share of the newest frame's pixels.", shares))
    return found + (_telemetry(samples[-1].telemetry) if samples else [])


def to_text(found: List[Metric]) -> str:
    """The whole page of them."""
    return "".join(metric.to_text() for metric in found)


def _single(name: str, kind: str, text: str, value: float) -> Metric:
    return Metric(name, kind, text, (("", (), value),))


def _telemetry(readings: Mapping[str, Tuple[float, str]]) -> List[Metric]:
    """Sensors, one metric for each kind of unit; those of other units share one, with the unit as a label."""
    found: Dict[str, Metric] = {}
    for sensor, (value, unit) in sorted(readings.items()):
        name, text, factor = _BY_UNIT.get(unit, (_OTHER_UNITS, "A sensor's value in its own unit.", 1.0))
        labels: Labels = (("sensor", sensor),) if unit in _BY_UNIT else (("sensor", sensor), ("unit", unit))
        metric = found.get(name, Metric(name, "gauge", text, ()))
        found[name] = metric._replace(values=metric.values + (("", labels, value * factor),))
    return list(found.values())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
