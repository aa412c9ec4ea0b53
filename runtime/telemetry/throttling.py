"""Whether the machine was slowed down, by what, and when."""

from typing import Any, Dict, Iterator, List, NamedTuple

from ccc_jetson.runtime.telemetry.clocks import Clock
from ccc_jetson.runtime.telemetry.sample import Sample

MOST_INTERVALS = 200
_BELOW = 0.99  # of a limit: some kernels round
_FAR_BELOW = 0.9  # of a clock that was fixed: what is shown moves by some MHz
# What Orin's counters count, by NVIDIA's developer guide (L4T 35 and 36)
EVENTS = {
    "oc1_event_cnt": "under-voltage",
    "oc2_event_cnt": "average over-current",
    "oc3_event_cnt": "instantaneous over-current",
}


class Throttled(NamedTuple):
    """A time in which something was slowed down: seconds since the start, what did it, and the worst of it."""

    cause: str
    from_s: float
    to_s: float
    detail: str

    def to_json(self) -> Dict[str, Any]:
        """The record as a dictionary, seconds to the millisecond."""
        return dict(self._asdict(), from_s=round(self.from_s, 3), to_s=round(self.to_s, 3))


class _Finding(NamedTuple):
    """What one sample shows of a cause; the detail of the greatest ``weight`` is kept."""

    cause: str
    from_s: float
    weight: float
    detail: str


class ThrottleWatch:
    """Looks at samples one after the other.

    It notices devices that cool by slowing something down, limits of clocks below the highest that the run has seen,
    clocks that are fixed and run slower all the same, and counters of hardware events. Of more than
    ``MOST_INTERVALS`` the later ones are only counted.
    """

    def __init__(self) -> None:
        self.uncounted = 0
        self._ended: List[Throttled] = []
        self._open: Dict[str, Throttled] = {}
        self._weights: Dict[str, float] = {}
        self._highest_mhz: Dict[str, float] = {}
        self._events: Dict[str, int] = {}
        self._last_s = 0.0

    def see(self, sample: Sample) -> None:
        """Notes what one sample shows."""
        found = {finding.cause: finding for finding in self._findings(sample)}
        for cause in sorted(set(self._open) - set(found)):
            self._end(self._open.pop(cause))
        for cause, finding in found.items():
            interval = self._open.get(cause)
            if interval is None:
                interval = Throttled(cause, finding.from_s, sample.at_s, finding.detail)
                self._weights[cause] = finding.weight
            elif finding.weight > self._weights[cause]:
                interval = interval._replace(detail=finding.detail)
                self._weights[cause] = finding.weight
            self._open[cause] = interval._replace(to_s=sample.at_s)
        self._last_s = sample.at_s

    @property
    def intervals(self) -> List[Throttled]:
        """All of them, those too that have not ended, by their beginning."""
        return sorted(self._ended + list(self._open.values()), key=lambda each: (each.from_s, each.cause))

    def _end(self, interval: Throttled) -> None:
        if len(self._ended) < MOST_INTERVALS:
            self._ended.append(interval)
        else:
            self.uncounted += 1

    def _findings(self, sample: Sample) -> Iterator[_Finding]:
        for name, state in sample.cooling.items():
            if state > 0:
                yield _Finding("cooling by " + name, sample.at_s, state, "state {}".format(state))
        for clock in sample.clocks:
            if clock.high_mhz is not None:
                yield from self._of_clock(clock, clock.high_mhz, sample.at_s)
        for name, count in sample.events.items():
            more = count - self._events.get(name, count)
            self._events[name] = count
            if more > 0:
                cause = EVENTS.get(name, name.replace("_", " "))
                yield _Finding(cause, self._last_s, more, "{} more, {} since boot".format(more, count))

    def _of_clock(self, clock: Clock, high_mhz: float, at_s: float) -> Iterator[_Finding]:
        highest = self._highest_mhz[clock.name] = max(high_mhz, self._highest_mhz.get(clock.name, 0.0))
        if high_mhz < _BELOW * highest:
            yield _Finding(
                "limit of {}".format(clock.name),
                at_s,
                highest - high_mhz,
                "at most {:.0f} MHz instead of {:.0f}".format(high_mhz, highest),
            )
        elif clock.is_fixed and clock.mhz < _FAR_BELOW * high_mhz:
            yield _Finding(
                "{} below its fixed clock".format(clock.name),
                at_s,
                high_mhz - clock.mhz,
                "{:.0f} MHz instead of {:.0f}".format(clock.mhz, high_mhz),
            )


def throttled_s(intervals: List[Throttled]) -> float:
    """Seconds in which anything was slowed down; intervals may overlap."""
    total_s = until_s = 0.0
    for each in sorted(intervals, key=lambda interval: interval.from_s):
        total_s += max(0.0, each.to_s - max(each.from_s, until_s))
        until_s = max(until_s, each.to_s)
    return total_s
