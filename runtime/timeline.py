"""How a run went over its time: frames, drops and latency in parts of equal length, in memory that does not grow.

A run of an hour has no more parts than one of a minute; they are longer. Where the parts run out, every two neighbours
become one.
"""

import math
from typing import Any, Dict, List, NamedTuple

MOST_PARTS = 240
_FIRST_PART_S = 0.125
_FRAMES_IN_A_PART = 8  # with fewer, frames per second jump by an eighth with each frame more or less
_LEAST_PARTS = 8
_SHORTEST_S, _LOG_GROWTH = 1e-5, math.log(1.05)  # bins of 5 %: a part's median is within 2.5 %


class Timeline(NamedTuple):
    """Parts of a run, in order, as columns: each from ``from_s`` to ``to_s`` after the start of the run.

    ``frames`` were finished in it and ``dropped`` were not taken; latencies in milliseconds, 0 where there is no frame.
    """

    from_s: List[float]
    to_s: List[float]
    frames: List[int]
    dropped: List[int]
    latency_p50_ms: List[float]
    latency_max_ms: List[float]

    def to_json(self) -> Dict[str, Any]:
        """The columns as a dictionary."""
        return dict(self._asdict())


class TimelineRecorder:
    """Notes frames as they are finished, from one thread; about a microsecond a frame.

    Args:
        most_parts: an even number of parts at most.
    """

    def __init__(self, most_parts: int = MOST_PARTS) -> None:
        self._most = most_parts
        self._part_s = _FIRST_PART_S
        self._parts: List[_Part] = []
        self._dropped = 0

    def add(self, at_s: float, latency_s: float, dropped: int = 0) -> None:
        """Notes a frame that was finished ``at_s`` after the start; ``dropped`` counts all until now."""
        index = int(max(0.0, at_s) / self._part_s)
        while index >= self._most:
            self._parts = _halved(self._parts)
            self._part_s *= 2.0
            index = int(at_s / self._part_s)
        while len(self._parts) <= index:
            self._parts.append(_Part())
        self._parts[index].add(latency_s, max(0, dropped - self._dropped))
        self._dropped = max(self._dropped, dropped)

    def timeline(self, wall_s: float) -> Timeline:
        """The run of ``wall_s`` in parts that are long enough for their figures to mean something."""
        parts, part_s = self._parts if wall_s > 0 else [], self._part_s
        while len(parts) >= 2 * _LEAST_PARTS and sum(part.frames for part in parts) < _FRAMES_IN_A_PART * len(parts):
            parts, part_s = _halved(parts), 2.0 * part_s
        edges = [index * part_s for index in range(len(parts))] + [wall_s]
        if len(parts) > 1 and edges[-1] - edges[-2] < 0.5 * part_s:  # a rest in which hardly a frame was finished
            parts = parts[:-2] + [parts[-2].plus(parts[-1])]
            del edges[-2]
        return Timeline(
            from_s=[round(edge, 6) for edge in edges[:-1]] if parts else [],
            to_s=[round(edge, 6) for edge in edges[1:]],
            frames=[part.frames for part in parts],
            dropped=[part.dropped for part in parts],
            latency_p50_ms=[round(1000.0 * part.median_s, 3) for part in parts],
            latency_max_ms=[round(1000.0 * part.longest_s, 3) for part in parts],
        )


class _Part:
    """One part: how many frames had a latency in which bin."""

    __slots__ = ("bins", "dropped", "frames", "longest_s", "shortest_s")

    def __init__(self) -> None:
        self.bins: Dict[int, int] = {}
        self.frames = self.dropped = 0
        self.longest_s = 0.0
        self.shortest_s = math.inf

    def add(self, latency_s: float, dropped: int) -> None:
        index = 0 if latency_s <= _SHORTEST_S else int(math.log(latency_s / _SHORTEST_S) / _LOG_GROWTH)
        self.bins[index] = self.bins.get(index, 0) + 1
        self.frames += 1
        self.dropped += dropped
        self.longest_s = max(self.longest_s, latency_s)
        self.shortest_s = min(self.shortest_s, latency_s)

    def plus(self, other: "_Part") -> "_Part":
        """Both as one; neither changes."""
        both = _Part()
        both.bins = {
            index: self.bins.get(index, 0) + other.bins.get(index, 0) for index in set(self.bins) | set(other.bins)
        }
        both.frames, both.dropped = self.frames + other.frames, self.dropped + other.dropped
        both.longest_s = max(self.longest_s, other.longest_s)
        both.shortest_s = min(self.shortest_s, other.shortest_s)
        return both

    @property
    def median_s(self) -> float:
        """Of the latencies; 0 without a frame."""
        seen = 0
        for index in sorted(self.bins):
            seen += self.bins[index]
            if 2 * seen >= self.frames:
                middle = _SHORTEST_S * math.exp(_LOG_GROWTH * (index + 0.5))
                return min(max(middle, self.shortest_s), self.longest_s)
        return 0.0


def _halved(parts: List[_Part]) -> List[_Part]:
    """Every two neighbours as one."""
    return [
        parts[index].plus(parts[index + 1]) if index + 1 < len(parts) else parts[index]
        for index in range(0, len(parts), 2)
    ]
