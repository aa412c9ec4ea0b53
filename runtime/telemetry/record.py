"""What a monitor has seen, as reports hold it: series, a summary, throttling, joules per frame."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ccc_jetson.runtime.telemetry.series import Point
from ccc_jetson.runtime.telemetry.throttling import Throttled, throttled_s

_CAUSES_SHOWN = 2
_LEAST_COVERED = 0.5  # of the time that a frame's energy is asked for


class SeriesRecord(NamedTuple):
    """A quantity over time: (seconds since the start, value)."""

    name: str
    unit: str
    points: Tuple[Point, ...]

    def to_json(self) -> Dict[str, Any]:
        """As a chart takes it."""
        points = [[round(at_s, 3), round(value, 3)] for at_s, value in self.points]
        return {"name": self.name, "unit": self.unit, "points": points}


class Summary(NamedTuple):
    """The whole time in figures; None, or no entry, where nothing was measured.

    ``energy_j`` is of the time between the first and the last measurement of power.
    """

    duration_s: float
    samples: int
    power_of: str
    mean_power_w: Optional[float]
    max_power_w: Optional[float]
    energy_j: Optional[float]
    peak_temperatures_c: Dict[str, float]
    lowest_clocks_mhz: Dict[str, float]
    peak_memory_bytes: Optional[int]
    memory_bytes: Optional[int]
    peak_swap_bytes: Optional[int]

    @property
    def hottest(self) -> Optional[Tuple[str, float]]:
        """The sensor that became the hottest, and how hot."""
        return max(self.peak_temperatures_c.items(), key=lambda item: item[1]) if self.peak_temperatures_c else None

    def to_json(self) -> Dict[str, Any]:
        """The record as a dictionary, and the hottest sensor by name."""
        hottest = self.hottest
        record: Dict[str, Any] = {name: _rounded(value) for name, value in self._asdict().items()}
        return dict(record, hottest=hottest[0] if hottest else "", hottest_c=_rounded(hottest[1]) if hottest else None)


class Telemetry(NamedTuple):
    """A run's telemetry. ``notes`` name the sensors that stopped working."""

    interval_s: float
    series: Tuple[SeriesRecord, ...]
    summary: Summary
    throttling: Tuple[Throttled, ...]
    joules_per_frame: Optional[float]
    notes: Tuple[str, ...]

    def to_json(self) -> Dict[str, Any]:
        """What a report's JSON holds under ``telemetry``."""
        return {
            "interval_s": self.interval_s,
            "series": [each.to_json() for each in self.series],
            "summary": dict(self.summary.to_json(), throttled_s=round(throttled_s(list(self.throttling)), 3)),
            "throttling": [each.to_json() for each in self.throttling],
            "joules_per_frame": _rounded(self.joules_per_frame),
            "notes": list(self.notes),
        }

    def facts(self) -> List[Tuple[str, str]]:
        """Lines for a summary: power, and heat; none where nothing was measured."""
        facts = []
        summary = self.summary
        if summary.mean_power_w is not None and summary.max_power_w is not None:
            text = "{:.2f} W on average, {:.2f} W at most ({})".format(
                summary.mean_power_w, summary.max_power_w, summary.power_of
            )
            if self.joules_per_frame is not None:
                text += ", {:.3f} J a frame".format(self.joules_per_frame)
            facts.append(("power", text))
        heat = []
        if summary.hottest is not None:
            heat.append("{} was the hottest, {:.1f} C".format(*summary.hottest))
        if self.throttling:
            shown = ["{} ({})".format(each.cause, each.detail) for each in self.throttling[:_CAUSES_SHOWN]]
            more = len(self.throttling) - len(shown)
            heat.append(
                "throttled for {:.1f} s: {}{}".format(
                    throttled_s(list(self.throttling)), ", ".join(shown), " and {} more".format(more) if more else ""
                )
            )
        elif heat:
            heat.append("no throttling seen")
        if heat:
            facts.append(("heat", "; ".join(heat)))
        return facts


def joules_per_frame(joules: float, covered_s: float, wanted_s: float, frames: int) -> Optional[float]:
    """Of a time of ``wanted_s`` with so many frames, by the mean power of the part of it in which power was measured;
    None where that is less than half of it."""
    if frames < 1 or covered_s <= 0 or covered_s < _LEAST_COVERED * wanted_s:
        return None
    return joules / covered_s * wanted_s / frames


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return value
