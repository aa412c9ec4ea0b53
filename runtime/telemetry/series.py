"""Values over time in bounded memory, and the energy below a curve of power."""

from typing import List, Sequence, Tuple

Point = Tuple[float, float]  # seconds, value


class Series:
    """A quantity over time: every value up to ``most``, from then on means of two, of four, ...

    A mean of ``every`` values stands at the middle of their times, so the area below the curve stays what it was;
    ``lowest``, ``highest`` and ``mean`` are of all values.

    Args:
        name: what it is: "power".
        unit: "W".
        most: points to keep, even.
    """

    def __init__(self, name: str, unit: str, most: int) -> None:
        self.name, self.unit = name, unit
        self.every = 1
        self.seen = 0
        self.lowest = self.highest = 0.0
        self._total = 0.0
        self._most = most
        self._points: List[Point] = []
        # Of an unfinished mean the sums alone, which take the same room for 2 values and for 100000
        self._open_s = self._open_value = 0.0
        self._open_count = 0

    def add(self, at_s: float, value: float) -> None:
        """Notes a value; times only rise."""
        self.lowest = min(self.lowest, value) if self.seen else value
        self.highest = max(self.highest, value) if self.seen else value
        self.seen += 1
        self._total += value
        self._open_s += at_s
        self._open_value += value
        self._open_count += 1
        if self._open_count < self.every:
            return
        self._points.append(self._unfinished())
        self._open_s = self._open_value = 0.0
        self._open_count = 0
        if len(self._points) >= self._most:
            self._points = [_mean(self._points[index : index + 2]) for index in range(0, len(self._points), 2)]
            self.every *= 2

    @property
    def mean(self) -> float:
        """Of all values; 0 of none."""
        return self._total / self.seen if self.seen else 0.0

    @property
    def points(self) -> List[Point]:
        """What is kept, the values of an unfinished mean too."""
        return self._points + ([self._unfinished()] if self._open_count else [])

    def _unfinished(self) -> Point:
        return self._open_s / self._open_count, self._open_value / self._open_count


def energy_between(points: Sequence[Point], from_s: float, to_s: float) -> Tuple[float, float]:
    """Joules below a curve of watts between two times, by trapezoids; and the seconds that the curve covers of them.

    Args:
        points: (seconds, watts), times rising.
    """
    joules = covered_s = 0.0
    for (first_s, first), (last_s, last) in zip(points, points[1:]):
        start_s, end_s = max(first_s, from_s), min(last_s, to_s)
        if start_s >= end_s:
            continue
        slope = (last - first) / (last_s - first_s)
        middle = first + slope * ((start_s + end_s) / 2 - first_s)
        joules += middle * (end_s - start_s)
        covered_s += end_s - start_s
    return joules, covered_s


def _mean(points: Sequence[Point]) -> Point:
    return sum(at_s for at_s, _ in points) / len(points), sum(value for _, value in points) / len(points)
