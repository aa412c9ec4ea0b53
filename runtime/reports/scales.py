"""From values to places on an axis, and which round numbers stand there."""

import math
from typing import List, NamedTuple, Tuple

_STEPS = (1.0, 2.0, 5.0, 10.0)
_LEAST = 1e-12  # a distance below it is none: its labels would be zeros
_NARROW, _ONE_DECADE, _MANY_DECADES = 3.0, 20.0, 300.0  # of a logarithmic axis: last value / first


class Scale(NamedTuple):
    """Values from ``low`` to ``high`` on places from ``start`` to ``end``, in proportion or (``log``) to logarithms."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; of one beyond the ends, that end."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        at = math.log(max(value, self.low)) if self.log else value
        share = (at - low) / (high - low) if high > low else 0.0
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))


def ticks(low: float, high: float, most: int) -> List[float]:
    """At most ``most`` multiples of 1, 2 or 5 times a power of ten, from ``low`` to ``high``; at least one."""
    step = _step((high - low) / max(1, most - 1)) if high > low else 1.0
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)] or [low]


def log_ticks(low: float, high: float, most: int) -> List[float]:
    """Round numbers for a logarithmic axis: of a narrow one as of any axis, else 1, 2, 5, 10 ... or 1, 10, 100 ..."""
    if high / low < _NARROW:
        return ticks(low, high, most)
    digits: Tuple[float, ...] = (1.0, 2.0, 5.0) if high / low < _MANY_DECADES else (1.0,)
    if high / low < _ONE_DECADE:
        digits = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    found = [
        digit * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digit in digits
        if low * (1 - 1e-9) <= digit * 10.0**power <= high * (1 + 1e-9)
    ]
    return found[:: -(-len(found) // most)] if found else [low]


def rounded_up(value: float, most: int) -> float:
    """The end of an axis from 0 that holds ``value``: the tick at or above it; 1 where that is nothing."""
    if value < _LEAST:
        return 1.0
    step = _step(value / max(1, most - 1))
    return step * math.ceil(value / step - 1e-9)


def rounded_span(low: float, high: float, most: int) -> Tuple[float, float]:
    """The ends of an axis that need not hold 0: the ticks below ``low`` and above ``high``.

    A step is a hundredth of the values at least, so that what hardly moves looks so.
    """
    step = _step(max((high - low) / max(1, most - 2), 0.01 * max(abs(low), abs(high))) or 1.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return step * (first - (last - first < 1)), step * (last + (last - first < 2))


def label(value: float, step: float) -> str:
    """A tick's number, with as many digits as its distance to the next one needs."""
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    text = "{:,.{}f}".format(value, digits)
    return "0" if not text.strip("-0.,") else text


def labels(values: List[float]) -> List[str]:
    """Of ticks in their order."""
    steps = [after - before for before, after in zip(values, values[1:])]
    return [
        label(value, min(steps[max(0, index - 1) : index + 1] or [abs(value)])) for index, value in enumerate(values)
    ]


def _step(least: float) -> float:
    """The smallest round distance that is no smaller than ``least``."""
    least = max(least, _LEAST)
    power = 10.0 ** math.floor(math.log10(least))
    return power * next(step for step in _STEPS if step * power >= least * (1 - 1e-9))
