"""Two reports of ``ccc-bench``: how the second's figures relate to the first's, and how sure that is.

A frame's time resembles that of the frame before it: clocks, temperature and whatever else runs change slowly. Drawing
single frames again would take them for independent and promise several times too narrow an interval. So blocks of
neighbouring frames are drawn: the moving-block bootstrap (Kuensch, Annals of Statistics 17, 1989). For there are few
blocks, the interval is the expanded percentile interval (Hesterberg, American Statistician 69, 2015), with blocks in
the place of samples. It is of these two runs; how much runs differ from each other, only more runs show.
"""

import math
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson import __version__
from ccc_jetson.errors import UsageError
from ccc_jetson.json_records import indented
from ccc_jetson.revision import revision
from ccc_jetson.runtime.bench.plan import DEFAULT_TOLERANCE_PERCENT, LEAST_SAMPLES, STATISTICS
from ccc_jetson.runtime.bench.reader import Figure, Measurement, Reading
from ccc_jetson.runtime.metrics import nearest_rank
from ccc_jetson.tables import aligned_table

SCHEMA = 1
KIND = "benchmark comparison"
FASTER, SLOWER, NEITHER = VERDICTS = ("faster", "slower", "no difference shown")
RESAMPLES, SEED = 4000, 1
_LEAST_FOR_P99 = 1000  # else fewer than ten frames are beyond it
_Z = 1.959964  # the normal distribution's 97.5 % quantile
_SAME_CLOCK = 0.05  # a clock that is free to move is never twice the same


class Pair(NamedTuple):
    """One model in both reports. ``ratio`` is B's figure divided by A's, ``low`` to ``high`` its 95 % interval."""

    name: str
    figure_a: float
    figure_b: float
    ratio: float
    low: float
    high: float
    verdict: str
    samples: Tuple[int, int]
    blocks: Tuple[int, int]  # samples in a block


class Comparison(NamedTuple):
    """What ``compare`` found. ``differences`` are (what, in A, in B), ``notes`` what else weakens the verdict."""

    a: str
    b: str
    statistic: str
    tolerance_percent: float
    pairs: Tuple[Pair, ...]
    differences: Tuple[Tuple[str, str, str], ...]
    notes: Tuple[str, ...]
    command: str = ""  # as ``shown_command`` has it

    @property
    def exit_code(self) -> int:
        """1 where B is slower in any pair, else 0."""
        return int(any(pair.verdict == SLOWER for pair in self.pairs))

    def to_json(self) -> str:
        """Indented JSON, schema 1."""
        record: Dict[str, Any] = {
            "schema": SCHEMA,
            "kind": KIND,
            "tool": "ccc-jetson " + __version__,
            "revision": revision(),
            "command": self.command,
            "a": self.a,
            "b": self.b,
            "statistic": self.statistic,
            "tolerance_percent": self.tolerance_percent,
            "bootstrap": {"method": "moving blocks", "resamples": RESAMPLES, "seed": SEED, "interval_percent": 95},
            "pairs": [
                {
                    "name": pair.name,
                    "a": round(pair.figure_a, 4),
                    "b": round(pair.figure_b, 4),
                    "ratio": round(pair.ratio, 5),
                    "low": round(pair.low, 5),
                    "high": round(pair.high, 5),
                    "verdict": pair.verdict,
                    "samples": list(pair.samples),
                    "block_lengths": list(pair.blocks),
                }
                for pair in self.pairs
            ],
            "differences": [{"what": what, "a": a, "b": b} for what, a, b in self.differences],
            "notes": list(self.notes),
            "exit_code": self.exit_code,
        }
        return indented(record)

    def to_text(self) -> str:
        """The table, how the interval was made, and a warning for each difference."""
        rows = [["model", "A", "B", "B / A", "95 % interval", "B is"]]
        for pair in self.pairs:
            rows.append(
                [
                    pair.name,
                    "{:.2f}".format(pair.figure_a),
                    "{:.2f}".format(pair.figure_b),
                    "{:.3f}".format(pair.ratio),
                    "{:.3f} to {:.3f}".format(pair.low, pair.high),
                    pair.verdict,
                ]
            )
        lines = [
            "{}: A is {}, B is {}".format(STATISTICS[self.statistic].title, self.a, self.b),
            "",
            aligned_table(rows, left=(0, 5)),
            "",
            "moving-block bootstrap: {} resamples, seed {}, blocks of {} samples; faster or slower is what the whole "
            "interval shows beyond {:g} %".format(
                RESAMPLES,
                SEED,
                ", ".join("{} and {}".format(*pair.blocks) for pair in self.pairs),
                self.tolerance_percent,
            ),
        ]
        lines += ["note: " + note for note in self.notes]
        lines += ["warning: {} differs: {} in A, {} in B".format(*each) for each in self.differences]
        return "\n".join(lines)


def compare(
    a: Reading, b: Reading, statistic: str = "fps", tolerance_percent: float = DEFAULT_TOLERANCE_PERCENT
) -> Comparison:
    """Compares what ``b`` measured with what ``a`` did.

    Args:
        a: what it was.
        b: what it is now.
        statistic: one of ``STATISTICS``.
        tolerance_percent: how much is not worth a verdict.

    Raises:
        UsageError: the models cannot be paired, or a report has too few samples of that kind.
    """
    paired, notes = _paired(a, b)
    pairs, differences = [], _differences("", a.environment, b.environment)
    for first, second in paired:
        pairs.append(_pair(a, first, b, second, statistic, tolerance_percent / 100.0))
        prefix = first.name + ": " if len(paired) > 1 else ""
        differences += _differences(prefix, first.circumstances, second.circumstances)
    if statistic.endswith("p99") and min(min(pair.samples) for pair in pairs) < _LEAST_FOR_P99:
        notes.append("fewer than {} samples: hardly ten of them decide on a 99th percentile".format(_LEAST_FOR_P99))
    return Comparison(a.origin, b.origin, statistic, tolerance_percent, tuple(pairs), tuple(differences), tuple(notes))


def _paired(a: Reading, b: Reading) -> Tuple[List[Tuple[Measurement, Measurement]], List[str]]:
    """By name where both have it once, else by order; and what was left out."""
    names_a, names_b = ([each.name for each in report.measurements] for report in (a, b))
    common = [name for name in names_a if name in names_b]
    unique = len(set(names_a)) == len(names_a) and len(set(names_b)) == len(names_b)
    if common and unique:
        left = ["{} only has {}".format(report.origin, each.name)
                for report in (a, b) for each in report.measurements if each.name not in common]  # fmt: skip
        of_b = {each.name: each for each in b.measurements}
        return [(each, of_b[each.name]) for each in a.measurements if each.name in of_b], left
    if len(names_a) != len(names_b):
        raise UsageError(
            "{} has {}, {} has {}: it is not clear what to compare with what".format(
                a.origin, ", ".join(names_a), b.origin, ", ".join(names_b)
            ),
            hint="measure the same models in both",
        )
    notes = ["{} is compared with {}".format(*pair) for pair in zip(names_a, names_b) if pair[0] != pair[1]]
    return list(zip(a.measurements, b.measurements)), notes


def _pair(a: Reading, of_a: Measurement, b: Reading, of_b: Measurement, statistic: str, tolerance: float) -> Pair:
    key, percent = STATISTICS[statistic].samples, STATISTICS[statistic].percent
    arrays = []
    for report, measurement in ((a, of_a), (b, of_b)):
        values = np.array(measurement.samples[key], np.float64)
        if len(values) < LEAST_SAMPLES:
            raise UsageError(
                "{}: {} has {} samples of {}, at least {} are needed".format(
                    report.origin, measurement.name, len(values), key, LEAST_SAMPLES
                ),
                hint="measure longer: ccc-bench --duration 60",
            )
        arrays.append(values)
        if values.min() <= 0.0:
            raise UsageError("{}: {} has a time of 0 in {}".format(report.origin, measurement.name, key))
    generator = np.random.RandomState(SEED)  # its numbers are the same with every numpy
    figures = [figure(values, percent) for values in arrays]
    lengths = [block_length(len(values)) for values in arrays]
    drawn_a, drawn_b = (resampled(values, length, percent, generator) for values, length in zip(arrays, lengths))
    low, high = interval(drawn_b / drawn_a, min(len(values) // length for values, length in zip(arrays, lengths)))
    return Pair(
        of_a.name,
        figures[0],
        figures[1],
        figures[1] / figures[0],
        low,
        high,
        _verdict(low, high, tolerance, more_is_better=percent is None),
        (len(arrays[0]), len(arrays[1])),
        (lengths[0], lengths[1]),
    )


def _verdict(low: float, high: float, tolerance: float, more_is_better: bool) -> str:
    if high < 1.0 - tolerance:
        return SLOWER if more_is_better else FASTER
    if low > 1.0 + tolerance:
        return FASTER if more_is_better else SLOWER
    return NEITHER


def figure(values: np.ndarray, percent: Optional[int]) -> float:
    """FPS of frame times in milliseconds, or their nearest-rank percentile."""
    return 1000.0 / float(values.mean()) if percent is None else float(_percentile(values, percent))


def block_length(samples: int) -> int:
    """Neighbours that are drawn together: twice the root of their number.

    With series of 300 frames whose neighbours have a correlation of 0.8, the interval then holds the true ratio in 46
    of 50 runs, with single frames in 24 (``tests/runtime/bench/test_compare.py`` prints these). Neighbours that
    resemble each other still more, as where something else takes the machine for seconds, need longer runs.
    """
    return math.ceil(2.0 * math.sqrt(samples))


def interval(drawn: np.ndarray, blocks: int) -> Tuple[float, float]:
    """The 95 % interval of what was drawn, as wide as Student's t makes it for so many blocks.

    Args:
        drawn: a figure of each resample.
        blocks: of which a resample was made, at least two.
    """
    freedom = blocks - 1.0
    t = _Z + (_Z**3 + _Z) / (4.0 * freedom) + (5.0 * _Z**5 + 16.0 * _Z**3 + 3.0 * _Z) / (96.0 * freedom**2)
    beyond = 50.0 * math.erfc(t * math.sqrt(blocks / freedom) / math.sqrt(2.0))  # percent, on each side
    low, high = np.percentile(drawn, (beyond, 100.0 - beyond))
    return float(low), float(high)


def resampled(values: np.ndarray, length: int, percent: Optional[int], generator: np.random.RandomState) -> np.ndarray:
    """(RESAMPLES,) figures, each of as many blocks as make up at least as many values again."""
    blocks = -(-len(values) // length)
    starts = generator.randint(0, len(values) - length + 1, (RESAMPLES, blocks))
    if percent is None:  # a mean is one of the blocks' sums
        sums = np.concatenate(([0.0], np.cumsum(values)))
        return 1000.0 * blocks * length / (sums[starts + length] - sums[starts]).sum(axis=1)
    within = np.arange(length)
    return np.array([_percentile(values[(row[:, None] + within).ravel()], percent) for row in starts])


def _percentile(values: np.ndarray, percent: int) -> float:
    index = nearest_rank(len(values), percent) - 1
    return float(np.partition(values, index)[index])


def _differences(prefix: str, a: Dict[str, Figure], b: Dict[str, Figure]) -> List[Tuple[str, str, str]]:
    """What is not the same in both."""
    found = []
    for key in list(a) + [key for key in b if key not in a]:
        in_a, in_b = a.get(key, ""), b.get(key, "")
        if isinstance(in_a, float) and isinstance(in_b, float):
            if abs(in_a - in_b) <= _SAME_CLOCK * max(in_a, in_b):
                continue
        elif in_a == in_b:
            continue
        found.append((prefix + key.replace("_", " "), _shown(in_a), _shown(in_b)))
    return found


def _shown(value: Figure) -> str:
    return "{:.0f} MHz".format(value) if isinstance(value, float) else value or "unknown"
