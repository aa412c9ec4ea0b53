"""What ``host.py`` measured of each contender, and how that is told: table, verdict, profile."""

import math
import statistics
from typing import Any, NamedTuple

from ccc_jetson.tables import aligned_table

PLAIN, OURS = "onnxruntime", "ccc-jetson"  # names of contenders
SAME_CLASS_MAP = 0.9999  # share of pixels
WANTED_RATIO = 2.5  # ours to the plain export on ONNX Runtime
PROFILE_ROWS = 12


class Contender(NamedTuple):
    """Who runs: ``name`` for the command line, ``title`` for the table, the rest for ``host_child.py``."""

    name: str
    title: str
    runtime: str
    graphs: tuple[str, ...] = ()  # plain exports that it needs, by their output
    flush: bool = False
    precision: str = ""


class Measured:
    """What is known of a contender: a run's median milliseconds for each round, the worst agreement, or the problem."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.runs_ms: list[float | None] = []
        self.agreement = 1.0
        self.about = ""
        self.problem = ""

    @property
    def times_ms(self) -> list[float]:
        """Of the rounds that have one."""
        return [run for run in self.runs_ms if run is not None]

    @property
    def agrees(self) -> bool:
        """Whether the class map is PyTorch's but for rounding."""
        return self.agreement >= SAME_CLASS_MAP

    def to_json(self, plain: "Measured | None") -> dict[str, Any]:
        """Everything, with the ratio to the plain export."""
        times = self.times_ms
        return {
            "name": self.contender.name,
            "title": self.contender.title,
            "about": self.about,
            "runs_ms": [None if run is None else round(run, 3) for run in self.runs_ms],
            "median_ms": round(statistics.median(times), 3) if times else None,
            "min_ms": round(min(times), 3) if times else None,
            "max_ms": round(max(times), 3) if times else None,
            "times_as_fast_as_plain": times_as_fast(self, plain) if plain else None,
            "agreement": self.agreement if times else None,
            "problem": self.problem,
        }


def by_name(measured: list[Measured], name: str) -> Measured | None:
    """The contender of that name, where it has a time."""
    return next((each for each in measured if each.contender.name == name and each.times_ms), None)


def times_as_fast(one: Measured, other: Measured) -> float | None:
    """How many times as fast ``one`` is as ``other``: the median over the rounds in which both ran."""
    pairs = zip(one.runs_ms, other.runs_ms, strict=False)  # an interrupted round has some only
    ratios = [theirs / ours for ours, theirs in pairs if ours is not None and theirs is not None]
    return statistics.median(ratios) if ratios else None


def table(measured: list[Measured]) -> str:
    """A row for each contender that ran, then a line for each problem."""
    plain = by_name(measured, PLAIN)
    rows = [["contender", "median ms", "spread ms", "x plain", "same class", "", "runtime"]]
    for each in measured:
        times = each.times_ms
        if times:
            ratio = times_as_fast(each, plain) if plain else None
            rows.append(
                [
                    each.contender.title,
                    f"{statistics.median(times):.1f}",
                    f"{min(times):.1f} - {max(times):.1f}",
                    "-" if ratio is None else f"{ratio:.2f}",
                    percent(each.agreement),
                    "" if each.agrees else "!",
                    each.about,
                ]
            )
    lines = aligned_table(rows, left=(0, 5, 6)).splitlines() if len(rows) > 1 else []
    if any(not each.agrees for each in measured):
        lines.append(f"! another class map than PyTorch's: less than {SAME_CLASS_MAP:.2%} of the pixels are the same")
    lines += [f"{each.contender.title}: {each.problem}" for each in measured if each.problem]
    return "\n".join(lines or ["nothing was measured"])


def percent(share: float) -> str:
    """With four decimals, rounded down: only all of it is 100 %."""
    return f"{math.floor(share * 1e6) / 1e4:.4f} %"


class Verdict(NamedTuple):
    """Ours against the plain export on ONNX Runtime, and against every peer with the same class map; titles."""

    times_as_fast_as_plain: float | None
    slower_peers: list[str]
    faster_peers: list[str]  # or as fast
    other_class_maps: list[str]  # not counted: they compute something else

    def line(self, machine: object) -> str:
        """In words."""
        if self.times_as_fast_as_plain is None:
            return f"no verdict: it takes {OURS} and {PLAIN}, measured in the same round"
        reached = "at least" if self.times_as_fast_as_plain >= WANTED_RATIO else "less than"
        if self.faster_peers:
            peers = "not faster than " + "; ".join(self.faster_peers)
        else:
            peers = f"faster than every peer with the same class map ({len(self.slower_peers)} measured)"
        return (
            f"{OURS} is {self.times_as_fast_as_plain:.2f} times as fast as the plain export on ONNX Runtime "
            f"({reached} {WANTED_RATIO} times) and {peers}, as measured on {machine}"
        )


def verdict(measured: list[Measured]) -> Verdict:
    """Of the medians of the rounds' ratios."""
    ours, plain = by_name(measured, OURS), by_name(measured, PLAIN)
    slower: list[str] = []
    faster: list[str] = []
    others: list[str] = []
    for peer in measured:
        ratio = times_as_fast(ours, peer) if ours and peer is not ours else None
        if ratio is not None:
            (others if not peer.agrees else slower if ratio > 1 else faster).append(peer.contender.title)
    return Verdict(times_as_fast(ours, plain) if ours and plain else None, slower, faster, others)


def profile_table(name: str, operators: list[dict[str, Any]]) -> str:
    """The operators that take most; a row is ``host_child.by_operator``'s."""
    total_ms = sum(row["ms"] for row in operators)
    rows = [["operator", "nodes", "ms", "share"]]
    for row in operators[:PROFILE_ROWS]:
        rows.append([row["operator"], str(row["nodes"]), f"{row['ms']:.1f}", f"{row['ms'] / total_ms:.1%}"])
    lines = [f"profile of {name}: {total_ms:.1f} ms", aligned_table(rows, left=(0,))]
    if len(operators) > PROFILE_ROWS:
        rest_ms = sum(row["ms"] for row in operators[PROFILE_ROWS:])
        lines.append(f"and {rest_ms:.1f} ms in {len(operators) - PROFILE_ROWS} more")
    return "\n".join(lines)
