"""NVIDIA's ``tegrastats``: a child process that prints a line now and then, and what its lines say."""

import os
import re
import shutil
import subprocess
import time
from typing import Dict, Optional

from ccc_jetson.engines.machine import Memory
from ccc_jetson.runtime.telemetry.clocks import Clock
from ccc_jetson.runtime.telemetry.sample import GPU, MEMORY, Sample, total_power

COMMAND = "tegrastats"
_MIB = 1 << 20
_LONGEST_LINE = 1 << 14  # real ones have some 600 characters
_MOST_READS, _READ_BYTES = 16, 1 << 16
_ABSENT_BELOW_C = -200.0  # "CV0@-256C": a part that is switched off
_CONSTANT = ("PMIC",)  # always 50 or 100
_UNUSED = ("NC",)  # a channel of the sensor without a rail
_LATE_INTERVALS, _LATE_S = 3, 2.0  # a line as old as both together is of no moment any more
_PATIENCE_S = 1.0

# "CPU [44%@1421,off,off,17%@1420]": load and MHz of each core
_CORES = re.compile(r"\bCPU \[([^\]]*)\]")
_CORE = re.compile(r"\A\s*([0-9]{1,3})%@([0-9]{1,5})\s*\Z")
# "EMC_FREQ 1%@1866", without root "EMC_FREQ 0%"; "GR3D_FREQ 0%@114", JetPack 6 "63%@[621]", 7 "12%@[1300,1300]",
# Thor "@[1000,1000,1000]"
_LOAD = re.compile(r"\b(GR3D|EMC)_FREQ (?:([0-9]{1,3})%)?(?:@\[?([0-9]{1,5}(?:,[0-9]{1,5})*)\]?)?")
# "GPU@39.5C", "CV0@-256C", JetPack 7 "cpu@52.968C/52.968C"
_TEMPERATURE = re.compile(r"\b([A-Za-z][A-Za-z0-9_]{0,30})@(-?[0-9]{1,4}(?:\.[0-9]{1,6})?)C\b")
# "VDD_IN 5297/5297" in mW, now and on average since tegrastats started; from JetPack 5 on "VDD_IN 12479mW/12479mW"
_RAIL = re.compile(r"\b([A-Z][A-Z0-9_]{0,30}) ([0-9]{1,7})(?:mW)?/[0-9]{1,7}(?:mW)?(?:/[0-9]{1,7}mW)?(?=\s|\Z)")
# "RAM 3276/7859MB (lfb 5x4MB) SWAP 1626/12122MB"; "IRAM 0/252kB" is another memory
_MEMORY = re.compile(r"\b(RAM|SWAP) ([0-9]{1,8})/([0-9]{1,8})MB\b")


def parse_line(line: str) -> Sample:
    """What a line says; nothing is raised, whatever it holds.

    TX2, L4T 32, as root:
    RAM 3276/7859MB (lfb 5x4MB) SWAP 1626/12122MB (cached 181MB) CPU [44%@1421,49%@2031,67%@2034,17%@1420,25%@1419,
    8%@1420] EMC_FREQ 1%@1866 GR3D_FREQ 0%@114 APE 150 MTS fg 1% bg 1% PLL@42.5C MCPU@42.5C PMIC@50C Tboard@38C
    GPU@39.5C BCPU@42.5C thermal@41.3C Tdiode@39.25C VDD_SYS_GPU 182/182 VDD_SYS_SOC 730/730 VDD_4V0_WIFI 0/0
    VDD_IN 5297/5297 VDD_SYS_CPU 1917/1917 VDD_SYS_DDR 1241/1241

    Orin Nano, JetPack 6:
    11-15-2024 08:38:09 RAM 6185/7620MB (lfb 8x2MB) SWAP 851/3810MB (cached 1MB) CPU [15%@729,11%@729,14%@729,13%@729,
    11%@729,8%@729] EMC_FREQ 43%@2133 GR3D_FREQ 63%@[621] NVDEC off VIC off APE 200 cpu@53.968C gpu@53.343C
    VDD_IN 12479mW/12479mW VDD_CPU_GPU_CV 4667mW/4667mW VDD_SOC 2817mW/2817mW
    """
    line = line[:_LONGEST_LINE]
    loads: Dict[str, float] = {}
    clocks = []
    cores = _CORES.search(line)
    for number, core in enumerate(cores.group(1).split(",") if cores else ()):
        found = _CORE.match(core)
        if found:
            name = "cpu{}".format(number)
            loads[name] = float(found.group(1))
            clocks.append(Clock(name, float(found.group(2)), None, None, ""))
    for unit, load, frequencies in _LOAD.findall(line):
        name = GPU if unit == "GR3D" else MEMORY
        if load and (frequencies or name == GPU):  # without root the memory's load is not known, and shown as 0
            loads[name] = float(load)
        if frequencies:
            clocks.append(Clock(name, max(float(each) for each in frequencies.split(",")), None, None, ""))
    rails = {name: int(milliwatts) / 1e3 for name, milliwatts in _RAIL.findall(line) if name not in _UNUSED}
    power_w, power_of = total_power(rails)
    return Sample(
        power_w=power_w,
        power_of=power_of,
        rails_w=rails,
        temperatures_c={
            name: float(degrees)
            for name, degrees in _TEMPERATURE.findall(line)
            if name not in _CONSTANT and float(degrees) > _ABSENT_BELOW_C
        },
        loads_percent=loads,
        clocks=tuple(clocks),
        memory=_memory(line),
    )


def _memory(line: str) -> Optional[Memory]:
    found = {name: (int(used) * _MIB, int(total) * _MIB) for name, used, total in _MEMORY.findall(line)}
    if "RAM" not in found:
        return None
    used, total = found["RAM"]
    swap_used, swap_total = found.get("SWAP", (0, 0))
    return Memory(total, max(0, total - used), swap_total, max(0, swap_total - swap_used))


class Tegrastats:
    """A running ``tegrastats``; ``close`` ends it.

    It has a session of its own: Ctrl-C in the terminal is for the program that watches, which still wants the last
    lines. Should that be killed, the next line ends tegrastats.

    Args:
        interval_s: between lines.
        command: the program, by default the one on PATH.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, interval_s: float, command: str = COMMAND) -> None:
        self._late_s = _LATE_INTERVALS * interval_s + _LATE_S
        self._process = subprocess.Popen(
            [command, "--interval", str(max(1, round(1000 * interval_s)))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdout is not None
        self._file = self._process.stdout.fileno()
        os.set_blocking(self._file, False)
        self._begun = b""
        self._sample: Optional[Sample] = None
        self._sample_s = time.monotonic()

    def latest(self) -> Optional[Sample]:
        """What the last line said; None before the first, and where it is late. Lines that say nothing do not count."""
        self._read()
        return None if self.is_late else self._sample

    @property
    def is_late(self) -> bool:
        """Whether it said nothing for longer than it may, since its last line or since it was started."""
        return time.monotonic() - self._sample_s > self._late_s

    @property
    def exit_code(self) -> Optional[int]:
        """None while it runs."""
        return self._process.poll()

    def close(self) -> None:
        """Ends it and waits for its end."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        """Takes what it has printed, a bounded part of a flood; the last complete line counts."""
        text = self._begun
        for _ in range(_MOST_READS):
            try:
                block = os.read(self._file, _READ_BYTES)
            except BlockingIOError:
                break
            if not block:
                break
            text = (text + block)[-_LONGEST_LINE:]
        *lines, self._begun = text.split(b"\n")
        said = parse_line(lines[-1].decode("ascii", "replace")) if lines else Sample()
        if said != Sample():
            self._sample, self._sample_s = said, time.monotonic()


def start_tegrastats(interval_s: float) -> Optional[Tegrastats]:
    """The one on PATH, started; None where there is none, as on a PC and in most containers."""
    command = shutil.which(COMMAND)
    if command is None:
        return None
    try:
        return Tegrastats(interval_s, command)
    except OSError:
        return None
