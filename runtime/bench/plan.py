"""How long a benchmark measures, and by what two are compared. Imports nothing, so that ``--help`` starts at once."""

from typing import NamedTuple, Optional

FLOOR_FRAMES, FLOOR_S = 50, 2.0  # of a warm-up; clocks rise, caches fill and graphs are captured in that time
DEFAULT_DURATION_S = 20.0
LEAST_SAMPLES = 100  # that a comparison takes
# The bare network: at least as long as trtexec's 3 s, after a longer warm-up than its 0.2 s
NETWORK_S, NETWORK_WARM_UP_S, NETWORK_WARM_UP_RUNS = 3.0, 1.0, 10
MOST_SAMPLES = 100000  # of each kind are kept: 0.8 MB


class NetworkPlan(NamedTuple):
    """How long the bare network is run: its warm-up, then ``least_s`` and ``least_runs``, or ``most_s``."""

    warm_up_s: float
    warm_up_runs: int
    least_s: float
    least_runs: int
    most_s: float


class Plan(NamedTuple):
    """How long is measured: ``duration_s`` or ``frames``, whichever comes first; None for no such limit.

    The warm-up has at least ``warm_up_frames`` frames and takes at least ``warm_up_s``.
    """

    duration_s: Optional[float] = DEFAULT_DURATION_S
    frames: Optional[int] = None
    warm_up_frames: int = FLOOR_FRAMES
    warm_up_s: float = FLOOR_S

    @property
    def keeps_the_floor(self) -> bool:
        """Whether there is as much warm-up as figures to be published need."""
        return self.warm_up_frames >= FLOOR_FRAMES and self.warm_up_s >= FLOOR_S

    @property
    def network(self) -> "NetworkPlan":
        """How long the bare network is run: no longer than all is measured, however slow it is."""
        most_s = DEFAULT_DURATION_S if self.duration_s is None else self.duration_s
        return NetworkPlan(
            warm_up_s=min(NETWORK_WARM_UP_S, self.warm_up_s),
            warm_up_runs=NETWORK_WARM_UP_RUNS,
            least_s=min(NETWORK_S, most_s),
            least_runs=LEAST_SAMPLES,
            most_s=most_s,
        )

    def to_text(self) -> str:
        """How long is measured, in words."""
        limits = []
        if self.duration_s is not None:
            limits.append("{:g} s".format(self.duration_s))
        if self.frames is not None:
            limits.append("{} frame{}".format(self.frames, "" if self.frames == 1 else "s"))
        return " or ".join(limits)


class Statistic(NamedTuple):
    """A figure that two reports can be compared by: which samples it is of, which percentile; None for FPS."""

    title: str
    samples: str
    percent: Optional[int]


STATISTICS = {
    "fps": Statistic("frames per second", "frame_ms", None),
    "frame_p50": Statistic("frame time p50, ms", "frame_ms", 50),
    "frame_p99": Statistic("frame time p99, ms", "frame_ms", 99),
    "latency_p50": Statistic("latency p50, ms", "latency_ms", 50),
    "network_p50": Statistic("network alone p50, ms", "network_ms", 50),
}
DEFAULT_TOLERANCE_PERCENT = 2.0
