"""A thread that looks at the sensors once a second while something else runs."""

import threading
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from ccc_jetson.clean_text import clean
from ccc_jetson.runtime.telemetry.record import SeriesRecord, Summary, Telemetry, joules_per_frame
from ccc_jetson.runtime.telemetry.sample import Sample
from ccc_jetson.runtime.telemetry.sensors import Sensors
from ccc_jetson.runtime.telemetry.series import Series, energy_between
from ccc_jetson.runtime.telemetry.throttling import ThrottleWatch

DEFAULT_INTERVAL_S = 1.0
SHORTEST_INTERVAL_S = 0.1
MOST_POINTS = 300
_MOST_SERIES = 64
_FIRST_S, _PATIENCE_S = 1.0, 2.0  # with a sensor that hangs: at the beginning, at the end


class Span(NamedTuple):
    """A time of interest: ``time.monotonic()`` at both ends, and how many frames it saw."""

    from_s: float
    to_s: float
    frames: int


class Monitor:
    """Samples in the background from ``with`` (or ``start``) to its end; memory does not grow with hours.

    Nothing that goes wrong in a sensor is raised: it is noted, and the others go on.

    Args:
        interval_s: between samples.
        root: of the files that are read.
        sensors: makes the sensors, in the monitor's own thread.
        clock: seconds, the one that stamps frames.
    """

    def __init__(
        self,
        interval_s: float = DEFAULT_INTERVAL_S,
        root: str = "/",
        sensors: Optional[Callable[[], Sensors]] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval_s = interval_s
        self._make_sensors = sensors or (lambda: Sensors(interval_s, root))
        self._clock = clock
        self._stop, self._first = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ccc-telemetry", daemon=True)
        self._lock = threading.Lock()
        self._started_s = 0.0
        self._latest: Optional[Sample] = None
        self._seen = 0
        self._series: Dict[str, Series] = {}
        self._watched = ThrottleWatch()
        self._energy_j: Optional[float] = None
        self._power: Optional[Tuple[float, float]] = None
        self._power_of = ""
        self._memory_bytes: Optional[int] = None
        self._peaks: Dict[str, int] = {}
        self._notes: List[str] = []

    def __enter__(self) -> "Monitor":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begins, and returns when the first sample is there, or a second later; to be called once."""
        self._started_s = self._clock()
        self._thread.start()
        self._first.wait(_FIRST_S)

    def stop(self) -> None:
        """Takes a last sample and ends; a sensor that hangs is left behind after two seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_S)

    def latest(self) -> Optional[Sample]:
        """The last sample; None before the first."""
        with self._lock:
            return self._latest

    def readings(self) -> Dict[str, Tuple[float, str]]:
        """The latest (value, unit) of everything that a series is kept of: {"power": (7.2, "W")}, for a live page."""
        sample = self.latest()
        return {name: (value, unit) for name, unit, value in sample.quantities()} if sample else {}

    def record(self, span: Optional[Span] = None) -> Telemetry:
        """All so far; at any time, also while it runs.

        Args:
            span: the time whose energy is divided among its frames.
        """
        with self._lock:
            power = self._series.get("power")
            per_frame = None
            if span is not None and power is not None:
                start_s, end_s = span.from_s - self._started_s, span.to_s - self._started_s
                per_frame = joules_per_frame(
                    *energy_between(power.points, start_s, end_s), wanted_s=end_s - start_s, frames=span.frames
                )
            notes = list(self._notes)
            if self._watched.uncounted:
                notes.append("{} more intervals of throttling were not kept".format(self._watched.uncounted))
            return Telemetry(
                interval_s=self.interval_s,
                series=tuple(SeriesRecord(each.name, each.unit, tuple(each.points)) for each in self._series.values()),
                summary=self._summary(power),
                throttling=tuple(self._watched.intervals),
                joules_per_frame=per_frame,
                notes=tuple(notes),
            )

    def _summary(self, power: Optional[Series]) -> Summary:
        return Summary(
            duration_s=self._latest.at_s if self._latest else 0.0,
            samples=self._seen,
            power_of=self._power_of,
            mean_power_w=power.mean if power else None,
            max_power_w=power.highest if power else None,
            energy_j=self._energy_j,
            peak_temperatures_c={
                each.name[len("temperature ") :]: each.highest for each in self._series.values() if each.unit == "C"
            },
            lowest_clocks_mhz={
                each.name[: -len(" clock")]: each.lowest for each in self._series.values() if each.unit == "MHz"
            },
            peak_memory_bytes=self._peaks.get("memory"),
            memory_bytes=self._memory_bytes,
            peak_swap_bytes=self._peaks.get("swap"),
        )

    def _watch(self) -> None:
        """In the monitor's own thread."""
        try:
            sensors = self._make_sensors()
        except Exception as problem:
            self._note("the sensors could not be opened: {}".format(problem))
            self._first.set()
            return
        try:
            due_s = self._clock()
            while True:
                last = self._stop.is_set()
                self._sample(sensors)
                self._first.set()
                if last:
                    break
                due_s, now_s = due_s + self.interval_s, self._clock()
                if due_s < now_s:  # sensors that are slower than the interval get their pause all the same
                    due_s = now_s + self.interval_s
                self._stop.wait(due_s - now_s)
        finally:
            sensors.close()

    def _sample(self, sensors: Sensors) -> None:
        try:
            sample = sensors.read()
        except Exception as problem:  # whatever it is, the pipeline goes on
            self._note("a sample failed: {}".format(problem))
            return
        with self._lock:
            sample = sample._replace(at_s=self._clock() - self._started_s)
            self._take(sample)
        for name in sorted(sensors.trouble):
            self._note("stopped working: {}".format(name))

    def _note(self, text: str) -> None:
        text = clean(text)
        with self._lock:
            if text not in self._notes and len(self._notes) < _MOST_SERIES:
                self._notes.append(text)

    def _take(self, sample: Sample) -> None:
        self._latest = sample
        self._seen += 1
        self._watched.see(sample)
        if sample.power_w is not None:
            if self._power is not None:
                before_s, before_w = self._power
                self._energy_j = (self._energy_j or 0.0) + (sample.at_s - before_s) * (before_w + sample.power_w) / 2
            self._power, self._power_of = (sample.at_s, sample.power_w), sample.power_of
        if sample.memory is not None:
            self._memory_bytes = sample.memory.total
            self._peak("memory", sample.memory.total - sample.memory.available)
            self._peak("swap", sample.memory.swap_total - sample.memory.swap_free)
        for name, unit, value in sample.quantities():
            if name not in self._series and len(self._series) < _MOST_SERIES:
                self._series[name] = Series(name, unit, MOST_POINTS)
            if name in self._series:
                self._series[name].add(sample.at_s, value)

    def _peak(self, name: str, value: int) -> None:
        self._peaks[name] = max(value, self._peaks.get(name, 0))
