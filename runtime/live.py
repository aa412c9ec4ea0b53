"""What a run is doing at this moment, for whoever watches it: a few minutes of FPS, latency, stages and class shares.

Memory is bounded and a frame costs some microseconds, the shares of its classes excepted, which are counted a few times
a second. May import the shared modules of ccc_jetson, ``metrics``, ``overlay`` and ``sinks``.
"""

import collections
import threading
import time
from typing import Any, Callable, Deque, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ccc_jetson.contract import Contract
from ccc_jetson.errors import CccError
from ccc_jetson.progress import say
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.metrics import Counters, nearest_rank
from ccc_jetson.runtime.overlay import class_shares, pixel_counts
from ccc_jetson.runtime.sinks import Sink

# name -> (value, unit), as a sensor's latest reading: {"power": (7.2, "W"), "GPU": (48.5, "C")}
Telemetry = Mapping[str, Tuple[float, str]]

SAMPLES = 300  # kept: five minutes at one a second
_LATENCIES = 1024  # kept for the percentiles
_SHARES_EVERY_S = 0.25


def no_telemetry() -> Telemetry:
    """Of a machine whose sensors nobody reads."""
    return {}


class LiveSample(NamedTuple):
    """The time since the sample before. ``number`` counts from 0, ``at_s`` is seconds since the start.

    Percentiles are None where no frame came; ``stages_ms`` are means a frame.
    """

    number: int
    at_s: float
    fps: float
    dropped: int
    p50_ms: Optional[float]
    p99_ms: Optional[float]
    stages_ms: Mapping[str, float]
    telemetry: Telemetry

    def to_json(self) -> Dict[str, Any]:
        """With numbers as short as a curve needs them."""
        return {
            "number": self.number,
            "at_s": round(self.at_s, 2),
            "fps": round(self.fps, 2),
            "dropped": self.dropped,
            "p50_ms": None if self.p50_ms is None else round(self.p50_ms, 2),
            "p99_ms": None if self.p99_ms is None else round(self.p99_ms, 2),
            "stages_ms": {name: round(value, 3) for name, value in self.stages_ms.items()},
            "telemetry": {name: [value, unit] for name, (value, unit) in self.telemetry.items()},
        }


class Latency(NamedTuple):
    """From capture to sinks, in seconds: of all frames their number and sum, of the newest ones percentiles."""

    frames: int
    total_s: float
    quantiles_s: Mapping[float, float]


class LiveStatistics(Sink):
    """A rolling window over a run. Written to by the pipeline, sampled by one thread, read by any.

    Args:
        contract: of the network; names the classes.
        telemetry: what the machine's sensors say now; called once a sample.
        clock: in seconds, that of ``Frame.captured_s``.
    """

    description = "live statistics"

    def __init__(
        self,
        contract: Contract,
        telemetry: Callable[[], Telemetry] = no_telemetry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._contract = contract
        self._telemetry = telemetry
        self._clock = clock
        self._lock = threading.Lock()
        self._counters: Callable[[], Counters] = Counters
        self._started_s = clock()
        self._last_frame_s: Optional[float] = None
        self._latencies: Deque[float] = collections.deque(maxlen=_LATENCIES)
        self._since_sample: List[float] = []
        self._frames, self._latency_total_s = 0, 0.0
        self._shares: Tuple[Tuple[str, float], ...] = ()
        self._shares_from_s = 0.0
        self._samples: Deque[LiveSample] = collections.deque(maxlen=SAMPLES)
        self._next_number = 0
        self._sampled_s, self._sampled = self._started_s, Counters()

    def watch(self, counters: Callable[[], Counters]) -> None:
        self._counters = counters

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        now_s = self._clock()
        shares = None
        if now_s >= self._shares_from_s:
            self._shares_from_s = now_s + _SHARES_EVERY_S
            counts = pixel_counts(segmentation.geometry.target.of(segmentation.class_map))
            shares = class_shares(counts, self._contract)
        latency_s = now_s - frame.captured_s
        with self._lock:
            self._last_frame_s = now_s
            self._frames += 1
            self._latency_total_s += latency_s
            self._latencies.append(latency_s)
            if len(self._since_sample) < _LATENCIES:  # nobody samples where nobody serves
                self._since_sample.append(latency_s)
            if shares is not None:
                self._shares = shares

    def sample(self) -> LiveSample:
        """Closes the time since the last sample and keeps what happened in it; to be called about once a second."""
        now_s, counters, telemetry = self._clock(), self._counters(), self._readings()
        before = {name: (count, seconds) for name, count, seconds in self._sampled.stages}
        stages_ms: Dict[str, float] = {}
        for name, count, seconds in counters.stages:
            count_before, seconds_before = before.get(name, (0, 0.0))
            if count > count_before:
                stages_ms[name] = 1000.0 * max(0.0, seconds - seconds_before) / (count - count_before)
        with self._lock:
            latencies, self._since_sample = sorted(self._since_sample), []
            duration_s = now_s - self._sampled_s
            sample = LiveSample(
                number=self._next_number,
                at_s=now_s - self._started_s,
                fps=(counters.frames - self._sampled.frames) / duration_s if duration_s > 0 else 0.0,
                dropped=counters.dropped - self._sampled.dropped,
                p50_ms=1000.0 * _percentile(latencies, 50) if latencies else None,
                p99_ms=1000.0 * _percentile(latencies, 99) if latencies else None,
                stages_ms=stages_ms,
                telemetry=telemetry,
            )
            self._next_number += 1
            self._sampled_s, self._sampled = now_s, counters
            self._samples.append(sample)
        return sample

    def _readings(self) -> Telemetry:
        """Sensors that fail are not asked again: the other curves go on."""
        try:
            return dict(self._telemetry())
        except (CccError, OSError, ValueError) as error:
            say("the sensors are not read any more: {}".format(error))
            self._telemetry = no_telemetry
            return {}

    def samples_from(self, number: int) -> List[LiveSample]:
        """The samples that are still kept, from that number on."""
        with self._lock:
            return [sample for sample in self._samples if sample.number >= number]

    @property
    def counters(self) -> Counters:
        """Of the pipeline that is watched."""
        return self._counters()

    @property
    def shares(self) -> Tuple[Tuple[str, float], ...]:
        """(class, share of the pixels that the network saw) of the newest frame that was counted, largest first."""
        with self._lock:
            return self._shares

    @property
    def latency(self) -> Latency:
        """From capture to here."""
        with self._lock:
            newest, frames, total_s = sorted(self._latencies), self._frames, self._latency_total_s
        quantiles = {percent / 100.0: _percentile(newest, percent) for percent in (50, 90, 99)} if newest else {}
        return Latency(frames, total_s, quantiles)

    @property
    def silence_s(self) -> Optional[float]:
        """Seconds since the last frame; None before the first."""
        with self._lock:
            return None if self._last_frame_s is None else self._clock() - self._last_frame_s


def _percentile(ordered: List[float], percent: int) -> float:
    return ordered[nearest_rank(len(ordered), percent) - 1]
