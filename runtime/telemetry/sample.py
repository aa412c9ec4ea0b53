"""What the sensors of a machine show at one moment, from whatever they were read."""

from types import MappingProxyType
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ccc_jetson.engines.machine import Memory
from ccc_jetson.runtime.telemetry.clocks import Clock

GPU, MEMORY = "GPU", "memory"
_GB = 1e9
_NONE: Mapping[str, Any] = MappingProxyType({})

# Rails whose sum is what the module draws, the first set that is there whole. VDD_IN: TX1, TX2, Xavier NX, Orin NX,
# Orin Nano; POM_5V_IN: Nano; the third is an AGX Xavier; the fourth an AGX Orin, whose VDDQ_VDD2_1V8AO is taken for a
# part of VIN_SYS_5V0 (its sensor shows the same 5 V). The developer guides' chapters on power, L4T 32.7 and 35
_TOTALS = (
    ("VDD_IN",),
    ("POM_5V_IN",),
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
)


class Sample(NamedTuple):
    """One moment; None, or no entry, where it was not measured.

    Attributes:
        at_s: seconds since the monitor was started.
        power_w: what the module draws, or the processor alone on a PC; ``power_of`` says which.
        power_of: the rails that ``power_w`` is the sum of: "VDD_IN".
        rails_w: every rail's power.
        temperatures_c: by the sensors' names: "GPU", "BCPU", "x86_pkg_temp".
        loads_percent: "cpu0", "cpu1", ..., "GPU", "memory".
        clocks: of the cores that are on, then "GPU" and "memory".
        memory: main memory, which is the GPU's as well on a Jetson.
        cooling: devices that cool by slowing something down -> their state; 0 is no cooling.
        events: counters of throttling by hardware, since boot.
    """

    at_s: float = 0.0
    power_w: Optional[float] = None
    power_of: str = ""
    rails_w: Mapping[str, float] = _NONE
    temperatures_c: Mapping[str, float] = _NONE
    loads_percent: Mapping[str, float] = _NONE
    clocks: Tuple[Clock, ...] = ()
    memory: Optional[Memory] = None
    cooling: Mapping[str, int] = _NONE
    events: Mapping[str, int] = _NONE

    @property
    def hottest(self) -> Optional[Tuple[str, float]]:
        """The sensor with the highest temperature, and that."""
        return max(self.temperatures_c.items(), key=lambda item: item[1]) if self.temperatures_c else None

    @property
    def gpu_load_percent(self) -> Optional[float]:
        return self.loads_percent.get(GPU)

    @property
    def cpu_load_percent(self) -> Optional[float]:
        """Mean over the cores that are on."""
        loads = [load for name, load in self.loads_percent.items() if name.startswith("cpu")]
        return sum(loads) / len(loads) if loads else None

    @property
    def memory_used_bytes(self) -> Optional[int]:
        """What could not be had for something else."""
        return self.memory.total - self.memory.available if self.memory else None

    def mhz(self, name: str) -> Optional[float]:
        """Of the clock called ``name``: "GPU", "memory", "cpu0"."""
        return next((clock.mhz for clock in self.clocks if clock.name == name), None)

    @property
    def cpu_mhz(self) -> Optional[float]:
        """Of the fastest core: the others may idle."""
        return max((clock.mhz for clock in self.clocks if clock.name.startswith("cpu")), default=None)

    def quantities(self) -> List[Tuple[str, str, float]]:
        """(name, unit, value) of everything that is worth a curve."""
        used = self.memory_used_bytes
        quantities = [
            ("power", "W", self.power_w),
            ("GPU load", "%", self.gpu_load_percent),
            ("CPU load", "%", self.cpu_load_percent),
            ("memory load", "%", self.loads_percent.get(MEMORY)),
            ("GPU clock", "MHz", self.mhz(GPU)),
            ("CPU clock", "MHz", self.cpu_mhz),
            ("memory clock", "MHz", self.mhz(MEMORY)),
            ("memory used", "GB", None if used is None else used / _GB),
        ]
        found = [(name, unit, value) for name, unit, value in quantities if value is not None]
        found += [("temperature " + name, "C", value) for name, value in self.temperatures_c.items()]
        found += [("rail " + name, "W", value) for name, value in self.rails_w.items() if name != self.power_of]
        return found

    def to_json(self) -> Dict[str, Any]:
        """A flat dictionary for a page that shows it live; None where something was not measured."""
        hottest = self.hottest
        return {
            "at_s": round(self.at_s, 3),
            "power_w": _rounded(self.power_w),
            "power_of": self.power_of,
            "hottest_c": _rounded(hottest[1]) if hottest else None,
            "hottest": hottest[0] if hottest else "",
            "gpu_load_percent": _rounded(self.gpu_load_percent),
            "cpu_load_percent": _rounded(self.cpu_load_percent),
            "gpu_mhz": _rounded(self.mhz(GPU)),
            "cpu_mhz": _rounded(self.cpu_mhz),
            "memory_mhz": _rounded(self.mhz(MEMORY)),
            "memory_used_bytes": self.memory_used_bytes,
            "memory_total_bytes": self.memory.total if self.memory else None,
            "temperatures_c": {name: round(value, 3) for name, value in self.temperatures_c.items()},
            "rails_w": {name: round(value, 3) for name, value in self.rails_w.items()},
        }


def total_power(rails_w: Mapping[str, float]) -> Tuple[Optional[float], str]:
    """What the module draws by its rails, and the rails that were added up; (None, "") where the board is not known."""
    for names in _TOTALS:
        if all(name in rails_w for name in names):
            return sum(rails_w[name] for name in names), " + ".join(names)
    return None, ""


def merged(first: Sample, second: Sample) -> Sample:
    """What ``tegrastats`` says and what sysfs says, in one; ``first`` counts where both say something.

    But not for memory, which the two count differently and sysfs to the byte, nor for clocks, whose limits sysfs alone
    knows.

    Args:
        first: of tegrastats.
        second: of sysfs.
    """
    clocks = {clock.name: clock for clock in second.clocks}
    clocks.update(
        (clock.name, clock) for clock in first.clocks if clock.high_mhz is not None or clock.name not in clocks
    )
    source = second if first.power_w is None else first
    return Sample(
        at_s=first.at_s,
        power_w=source.power_w,
        power_of=source.power_of,
        rails_w=first.rails_w or second.rails_w,
        temperatures_c=first.temperatures_c or second.temperatures_c,
        loads_percent=dict(second.loads_percent, **first.loads_percent),
        clocks=tuple(clocks.values()),
        memory=second.memory or first.memory,
        cooling=dict(second.cooling, **first.cooling),
        events=dict(second.events, **first.events),
    )


def _rounded(value: Optional[float]) -> Optional[float]:
    return None if value is None else round(value, 3)
