"""How fast the machine is allowed to be, and is: the clocks of its CPU cores, its GPU and its memory, from sysfs.

A Jetson computes as fast as its power mode and its governors let it; figures without the clocks cannot be compared.
Where a file is missing its clock is left out, and nothing is raised. The paths are those that users of boards show in
public; none was seen on a board yet.
"""

import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ccc_jetson.board import read_file
from ccc_jetson.json_records import plain

_MOST_CORES = 32  # on some kernels each current frequency costs milliseconds
_MOST_BYTES = 200
_KHZ, _HZ = 1e3, 1e6  # in a MHz: cpufreq counts in kHz, everything else in Hz

# "17000000.gp10b" on a TX2, "57000000.gpu" on a Nano, "17000000.gv11b" on a Xavier, "17000000.ga10b" or "17000000.gpu"
# on an Orin; other devices scale their clocks as well
_GPU = re.compile(r"\A[0-9a-f]+\.(?:gpu|gm20b|gp10b|gv11b|ga10b)\Z")
_GPU_FOLDERS = ("sys/class/devfreq", "sys/devices/gpu.0/devfreq")
# The memory's clock, which only root may read; the second is a Nano's
_EMC_FOLDERS = (
    ("sys/kernel/debug/bpmp/debug/clk/emc", "rate", "min_rate", "max_rate"),
    ("sys/kernel/debug/clk/emc", "clk_rate", "clk_min_rate", "clk_max_rate"),
)
_CPU_FOLDER = "sys/devices/system/cpu"


class Clock(NamedTuple):
    """A clock in MHz: what it is now and the limits that are set; None where they are not known, and "" a governor."""

    name: str
    mhz: float
    low_mhz: Optional[float]
    high_mhz: Optional[float]
    governor: str

    @property
    def is_fixed(self) -> bool:
        """Whether it cannot move, as after ``jetson_clocks``."""
        return self.low_mhz is not None and self.low_mhz == self.high_mhz

    def __str__(self) -> str:
        limits = ""
        if self.is_fixed:
            limits = ", fixed"
        elif self.low_mhz is not None and self.high_mhz is not None:
            limits = " of {:.0f} to {:.0f}".format(self.low_mhz, self.high_mhz)
        return "{} {:.0f} MHz{}{}".format(self.name, self.mhz, limits, self.governor and " (" + self.governor + ")")


class Clocks(NamedTuple):
    """All clocks at one moment. ``online`` is the kernel's list of cores that are switched on: "0,3-5"."""

    online: str
    cores: Tuple[Clock, ...]
    gpu: Optional[Clock]
    memory: Optional[Clock]

    def to_json(self) -> Dict[str, Any]:
        """The record as a dictionary, MHz."""
        return plain(self)

    def to_text(self) -> str:
        """One line; neighbouring cores of the same clock once."""
        shown: List[Clock] = []
        for clock in self.cores:
            if not shown or shown[-1]._replace(name=clock.name) != clock:
                shown.append(clock)
        shown.extend(clock for clock in (self.gpu, self.memory) if clock is not None)
        if not shown:
            return ""
        return "; ".join((["cores {} on".format(self.online)] if self.online else []) + [str(each) for each in shown])


def read_clocks(root: str = "/") -> Clocks:
    """The clocks as the files under ``root`` show them."""
    return Clocks(
        online=_text(root, _CPU_FOLDER, "online"),
        cores=tuple(_cores(root)),
        gpu=_gpu(root),
        memory=_memory(root),
    )


def _cores(root: str) -> List[Clock]:
    clocks = []
    for number in range(_MOST_CORES):
        folder = "{}/cpu{}/cpufreq".format(_CPU_FOLDER, number)  # not there for a core that is switched off
        governor = _text(root, folder, "scaling_governor")
        clock = _clock(
            root,
            folder,
            "cpu{}".format(number),
            ("scaling_cur_freq", "scaling_min_freq", "scaling_max_freq"),
            _KHZ,
            governor,
        )
        if clock is not None:
            clocks.append(clock)
    return clocks


def _gpu(root: str) -> Optional[Clock]:
    for parent in _GPU_FOLDERS:
        try:
            names = sorted(os.listdir(os.path.join(root, parent)))
        except OSError:
            continue
        for name in names:
            if _GPU.match(name):
                folder = parent + "/" + name
                governor = _text(root, folder, "governor")
                clock = _clock(root, folder, "GPU", ("cur_freq", "min_freq", "max_freq"), _HZ, governor)
                if clock is not None:
                    return clock
    return None


def _memory(root: str) -> Optional[Clock]:
    for folder, now, low, high in _EMC_FOLDERS:
        clock = _clock(root, folder, "memory", (now, low, high), _HZ, "")
        if clock is not None:
            return clock
    return None


def _clock(
    root: str, folder: str, name: str, files: Tuple[str, str, str], unit: float, governor: str
) -> Optional[Clock]:
    """The clock whose present frequency, lower and upper limit stand in these files; None without the first."""
    now, low, high = (_frequency(_text(root, folder, file), unit) for file in files)
    return None if now is None else Clock(name, now, low, high, governor)


def _frequency(text: str, unit: float) -> Optional[float]:
    return int(text) / unit if re.match(r"[0-9]{1,15}\Z", text) else None


def _text(root: str, folder: str, name: str) -> str:
    """A line of a file in sysfs; "" where there is none, or it is not printable."""
    try:
        text = read_file(root, os.path.join(folder, name))[:_MOST_BYTES].decode("ascii").strip()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() else ""
