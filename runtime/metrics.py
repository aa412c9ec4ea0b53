"""How long each stage takes, in percentiles, and the machine on which that was measured."""

import math
import os
import platform
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson.board import read_board, read_file
from ccc_jetson.engines.machine import target_of
from ccc_jetson.tables import aligned_table

PERCENTS = (50, 90, 95, 99)
_SHORTEST_S, _GROWTH, _BINS = 1e-6, 1.01, 2100  # 1 us * 1.01^2100 = 1190 s
_LOG_GROWTH = math.log(_GROWTH)
_BARS, _MOST_BARS = 30, 120  # of a distribution, at most: from its 1st to its 99th percentile, and altogether


class StageSummary(NamedTuple):
    """A stage's durations in milliseconds: nearest-rank percentiles (``StageTimes``: within 0.5 %), the rest exact."""

    name: str
    samples: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    def to_json(self) -> Dict[str, float]:
        """All but the name, times rounded to a nanosecond: pages round to what they show, and should do so once."""
        record = {name: round(value, 6) for name, value in self._asdict().items() if name.endswith("_ms")}
        return dict(record, count=self.samples)


class Distribution(NamedTuple):
    """How many durations lie between which: ``counts[i]`` from ``edges_ms[i]`` to ``edges_ms[i + 1]``.

    Every bin is wider than the one before by the same factor.
    """

    edges_ms: List[float]
    counts: List[int]

    def to_json(self) -> Dict[str, Any]:
        """Edges rounded to a nanosecond."""
        return {"edges_ms": [round(edge, 6) for edge in self.edges_ms], "counts": list(self.counts)}


def distribution_of(seconds: Sequence[float]) -> Optional[Distribution]:
    """The distribution of durations that are all there; None without any."""
    histogram = _Histogram()
    for each in seconds:
        histogram.add(each)
    return histogram.distribution()


def nearest_rank(count: int, percent: int) -> int:
    """Which of so many ordered values is their percentile, from 1 on."""
    return max(1, math.ceil(count * percent / 100.0))


class Counters(NamedTuple):
    """A run's totals so far: ``frames`` that reached the end of the sinks, ``dropped`` ones that newer ones replaced,
    ``stages`` as (name, frames, seconds)."""

    frames: int = 0
    dropped: int = 0
    stages: Tuple[Tuple[str, int, float], ...] = ()


class StageTimes:
    """Durations per stage, in memory that does not grow with them: a day at 30 FPS costs what a second does.

    Each stage has a histogram whose bins are 1 % wide from 1 us to 19 min, so a percentile is within 0.5 % of the exact
    one; count, mean and maximum are exact. Several threads may add at a time, as long as each stage is written by one.

    Args:
        stages: names, in the order in which reports list them.
    """

    def __init__(self, stages: Sequence[str]) -> None:
        self.stages = tuple(stages)
        self._histograms = {name: _Histogram() for name in self.stages}

    def add(self, stage: str, seconds: float) -> None:
        """Notes one duration of a stage named at construction."""
        self._histograms[stage].add(seconds)

    def add_all(self, seconds: Mapping[str, float]) -> None:
        """Notes a duration of each stage in ``seconds``, such as ``Segmentation.seconds``."""
        for stage, duration in seconds.items():
            self._histograms[stage].add(duration)

    def totals(self) -> Tuple[Tuple[str, int, float], ...]:
        """(stage, durations, their sum in seconds) of the stages that have any; the sum may be one duration behind."""
        return tuple((name, each.count, each.total) for name, each in self._histograms.items() if each.count)

    def summaries(self) -> List[StageSummary]:
        """Of the stages that have durations, in their order."""
        return [self._histograms[name].summary(name) for name in self.stages if self._histograms[name].count]

    def distributions(self) -> Dict[str, Distribution]:
        """Of each stage that has durations, by its name."""
        found = {name: self._histograms[name].distribution() for name in self.stages}
        return {name: each for name, each in found.items() if each is not None}


class _Histogram:
    """Durations in logarithmic bins."""

    __slots__ = ("bins", "count", "longest", "shortest", "total")

    def __init__(self) -> None:
        self.bins = [0] * (_BINS + 1)
        self.count = 0
        self.total = 0.0
        self.shortest = math.inf
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        index = 0 if seconds <= _SHORTEST_S else min(_BINS, int(math.log(seconds / _SHORTEST_S) / _LOG_GROWTH))
        self.bins[index] += 1
        self.count += 1
        self.total += seconds
        self.shortest = min(self.shortest, seconds)
        self.longest = max(self.longest, seconds)

    def percentile(self, percent: int) -> float:
        middle = _SHORTEST_S * _GROWTH ** (self._bin_of(percent) + 0.5)
        return min(max(middle, self.shortest), self.longest)

    def _bin_of(self, percent: int) -> int:
        """In which bin a percentile lies."""
        rank = nearest_rank(self.count, percent)
        seen = 0
        for index, count in enumerate(self.bins):
            seen += count
            if seen >= rank:
                return index
        return _BINS

    def distribution(self) -> Optional[Distribution]:
        """Neighbouring bins as one, so that as many are left as can be drawn; None without durations."""
        if not self.count:
            return None
        filled = [index for index, count in enumerate(self.bins) if count]
        first, last = filled[0], filled[-1]
        middle = self._bin_of(99) - self._bin_of(1) + 1
        bars = min(_BARS, math.ceil(2 * math.sqrt(self.count)))  # of few durations few, or most would be empty
        together = max(1, math.ceil(middle / bars), math.ceil((last - first + 1) / _MOST_BARS))
        starts = range(first, last + 1, together)
        counts = [sum(self.bins[start : start + together]) for start in starts]
        edges_ms = [1000.0 * _SHORTEST_S * _GROWTH ** (first + together * index) for index in range(len(counts) + 1)]
        return Distribution(edges_ms, counts)

    def summary(self, name: str) -> StageSummary:
        p50_ms, p90_ms, p95_ms, p99_ms = (1000.0 * self.percentile(percent) for percent in PERCENTS)
        mean_ms = 1000.0 * self.total / self.count
        return StageSummary(name, self.count, mean_ms, p50_ms, p90_ms, p95_ms, p99_ms, 1000.0 * self.longest)


def percentile_table(summaries: Sequence[StageSummary], title: str = "stage") -> str:
    """The summaries as aligned text, milliseconds, one a line; ``title`` says of what; empty for no summaries."""
    if not summaries:
        return ""
    rows = [[title, "p50 ms", "p90 ms", "p95 ms", "p99 ms", "mean ms", "max ms", "count"]]
    for each in summaries:
        times = (each.p50_ms, each.p90_ms, each.p95_ms, each.p99_ms, each.mean_ms, each.max_ms)
        rows.append([each.name] + ["{:.2f}".format(time) for time in times] + [str(each.samples)])
    return aligned_table(rows, left=(0,))


def stages_with_warm_up(stages: Sequence[StageSummary], frames: int) -> str:
    """Which of a benchmark's stages count frames of the warm-up beside the measured ones; "" where none does."""
    names = [each.name for each in stages if each.samples > frames]
    return "{}: with the frames of the warm-up".format(", ".join(names)) if frames and names else ""


class Machine(NamedTuple):
    """Where something was measured; ``cores`` are those that may be used.

    ``board``, ``l4t``, ``jetpack`` and ``power_mode`` are a Jetson's, as ``ccc_jetson.board.Board`` has them, and ""
    elsewhere and where they are not known.
    """

    board: str
    cpu: str
    cores: int
    system: str
    python: str
    l4t: str = ""
    jetpack: str = ""
    power_mode: str = ""

    @property
    def is_tx2(self) -> bool:
        """Whether this is a Jetson TX2, on which the paper measured; a TX2 NX has slower memory and is none."""
        target = target_of("", self.board)
        return target is not None and target.name == "tx2"

    def __str__(self) -> str:
        name = self.board or self.cpu
        return "{} ({} core{})".format(name, self.cores, "" if self.cores == 1 else "s")

    def to_json(self) -> Dict[str, Any]:
        """The record as a dictionary; what only a Jetson has is there where it is known."""
        of_jetsons = ("l4t", "jetpack", "power_mode")
        return {name: value for name, value in self._asdict().items() if value or name not in of_jetsons}


def machine(root: str = "/") -> Machine:
    """The machine this runs on, as the files under ``root`` describe it."""
    board = read_board(root)
    return Machine(
        board=board.board,
        cpu=_after(_text(root, "proc/cpuinfo"), "model name", ":") or platform.machine() or "unknown CPU",
        cores=len(os.sched_getaffinity(0)),
        system="{}, {} {} {}".format(
            _after(_text(root, "etc/os-release"), "PRETTY_NAME", "=").strip('"') or "unknown distribution",
            platform.system(),
            platform.release(),
            platform.machine(),
        ),
        python=platform.python_version(),
        l4t=board.l4t,
        jetpack=board.jetpack,
        power_mode=board.power_mode,
    )


def _text(root: str, path: str) -> str:
    return read_file(root, path).decode("utf-8", "replace").strip()


def _after(text: str, key: str, separator: str) -> str:
    """The value of the first line with that key.

    model name      : Intel(R) Xeon(R) Processor
    PRETTY_NAME="Ubuntu 18.04.6 LTS"
    """
    for line in text.splitlines():
        name, found, value = line.partition(separator)
        if found and name.strip() == key:
            return value.strip()
    return ""
