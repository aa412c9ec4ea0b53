"""Power, temperatures, loads and clocks from the kernel's own files, on a Jetson and on a PC.

What a machine does not have is left out, never 0. Paths and units: NVIDIA's developer guides (chapters on power of L4T
32.7, 35 and 36) and the kernel's documentation (hwmon, thermal, powercap); none was seen on a board yet.
"""

import os
import re
import time
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from ccc_jetson.board import read_file
from ccc_jetson.engines.machine import read_memory
from ccc_jetson.runtime.telemetry.clocks import read_clocks
from ccc_jetson.runtime.telemetry.sample import GPU, Sample, total_power

_ABSENT_BELOW_C, _HOTTEST_C = -200.0, 300.0
# "0-0040/iio:device0" holds rail_name_0 and in_power0_input (mW): L4T 32
_IIO_FOLDERS = "sys/bus/i2c/drivers/ina3221x"
_HWMON = "sys/class/hwmon"
_THERMAL = "sys/class/thermal"
_POWERCAP = "sys/class/powercap"
_CHANNELS = 8
# "GPU-therm" (TX2), "gpu-thermal" (Orin), "Tboard_tegra", "thermal-fan-est" -> as tegrastats calls them
_ZONE_ENDS = re.compile(r"(?:-therm|-thermal|_tegra|-fan-est)\Z")
_CONSTANT_ZONE = re.compile(r"\APMIC")
# What slows something down: "gpu-balanced", "bcpu-throttle-alert" (TX2), "cpufreq-cpu0", "devfreq-17000000.gpu", a PC's
# "Processor". Fans ("pwm-fan") and voltages that follow the temperature ("CORE-floor") work on a cool machine too
_SLOWS = re.compile(r"throttle|balanced|cpufreq|devfreq|\AProcessor\Z")
_GPU_LOADS = ("sys/devices/gpu.0/load", "sys/devices/platform/gpu.0/load", "sys/devices/platform/bus@0/gpu.0/load")
_EVENT = re.compile(r"\Aoc[0-9]{1,2}_event_cnt\Z")  # of "soctherm_oc", over-current and under-voltage on Orin
_X86_EVENTS = ("core_throttle_count", "package_throttle_count")
_MOST_CORES = 32


class Sysfs:
    """The sensors below ``root``, looked for once.

    ``trouble`` names those that could be read at first and then could not.
    """

    def __init__(self, root: str = "/") -> None:
        self.trouble: Set[str] = set()
        self._root = root
        self._iio = [item for item in _iio_rails(root) if self._number(item[1]) is not None]
        self._hwmon = [item for item in _hwmon_rails(root) if self._number(item[1]) is not None]
        self._zones = [item for item in _zones(root) if self._celsius(item[1]) is not None]
        self._cooling = [item for item in _cooling(root) if self._number(item[1]) is not None]
        self._events = [item for item in _events(root) if self._number(item[1]) is not None]
        self._packages = [item for item in _packages(root) if self._number(item[1]) is not None]
        self._energies: Dict[str, Tuple[float, int]] = {}  # when it was read, microjoules
        self._busy: Dict[str, Tuple[int, int]] = {}  # ticks at work, and all

    def read(self) -> Sample:
        """This moment; what comes from counters (load of a PC's CPU, its power) is of the time since the last call."""
        rails = self._rails()
        power_w, power_of = total_power(rails)
        if power_w is None:
            power_w, power_of = self._package_power()
        clocks = read_clocks(self._root)
        return Sample(
            power_w=power_w,
            power_of=power_of,
            rails_w=rails,
            temperatures_c=self._read_all(self._zones, self._celsius),
            loads_percent=self._loads(),
            clocks=clocks.cores + tuple(clock for clock in (clocks.gpu, clocks.memory) if clock is not None),
            memory=read_memory(self._root),
            cooling={name: int(state) for name, state in self._read_all(self._cooling, self._number).items()},
            events={name: int(count) for name, count in self._read_all(self._events, self._number).items()},
        )

    def _read_all(self, items: Sequence[Tuple[str, str]], read: Callable[[str], Optional[float]]) -> Dict[str, float]:
        found = {}
        for name, path in items:
            value = read(path)
            if value is None:
                self.trouble.add(name)
            else:
                found[name] = value
        return found

    def _rails(self) -> Dict[str, float]:
        rails = {name: value / 1e3 for name, value in self._read_all(self._iio, self._number).items()}
        for name, path, current in self._hwmon:
            millivolts, milliamperes = self._number(path), self._number(current)
            if millivolts is None or milliamperes is None:
                self.trouble.add(name)
            else:
                rails[name] = millivolts * milliamperes / 1e6
        return rails

    def _package_power(self) -> Tuple[Optional[float], str]:
        """Of a PC's processors by their counters of energy, which mostly only root may read."""
        total_w, names = 0.0, []
        for name, path in self._packages:
            now_s, energy = time.monotonic(), self._number(path)
            before = self._energies.get(path)
            if energy is None:
                self.trouble.add(name)
                continue
            self._energies[path] = (now_s, int(energy))
            if before is not None and energy >= before[1] and now_s > before[0]:  # else it has begun at 0 again
                total_w += (energy - before[1]) / 1e6 / (now_s - before[0])
                names.append(name)
        return (total_w, "{} (RAPL: the processor alone)".format(" + ".join(names))) if names else (None, "")

    def _loads(self) -> Dict[str, float]:
        loads = {}
        for path in _GPU_LOADS:
            per_mille = self._number(path)
            if per_mille is not None:
                loads[GPU] = min(100.0, per_mille / 10)
                break
        for name, at_work, all_ticks in _ticks(read_file(self._root, "proc/stat").decode("ascii", "replace")):
            worked, passed = self._busy.get(name, (at_work, all_ticks))
            if all_ticks > passed and at_work >= worked:
                loads[name] = min(100.0, 100.0 * (at_work - worked) / (all_ticks - passed))
            self._busy[name] = (at_work, all_ticks)
        return loads

    def _number(self, path: str) -> Optional[float]:
        return number_in(self._root, path)

    def _celsius(self, path: str) -> Optional[float]:
        """Thousandths of a degree: "42500"; -256000 where a part is switched off."""
        found = number_in(self._root, path)
        return found / 1e3 if found is not None and _ABSENT_BELOW_C < found / 1e3 < _HOTTEST_C else None


def number_in(root: str, path: str) -> Optional[float]:
    """The whole number in a file of sysfs; None where there is none."""
    text = read_file(root, path).strip()
    return float(text) if re.match(rb"-?[0-9]{1,18}\Z", text) else None


def text_in(root: str, path: str) -> str:
    """The printable line in a file of sysfs; "" where there is none."""
    text = read_file(root, path).decode("utf-8", "replace").strip()
    return text if text.isprintable() and len(text) <= 200 else ""


def folders(root: str, parent: str, start: str = "") -> List[str]:
    """What lies in a folder below ``root`` and begins with ``start``, as paths below ``root``, in order."""
    try:
        names = os.listdir(os.path.join(root, parent))
    except OSError:
        return []
    return [parent + "/" + name for name in sorted(names) if name.startswith(start)]


def _iio_rails(root: str) -> Iterator[Tuple[str, str]]:
    for chip in folders(root, _IIO_FOLDERS):
        for device in folders(root, chip, "iio"):
            for channel in range(_CHANNELS):
                name = text_in(root, "{}/rail_name_{}".format(device, channel))
                if name and name != "NC":
                    yield name, "{}/in_power{}_input".format(device, channel)


def _hwmon_rails(root: str) -> Iterator[Tuple[str, str, str]]:
    """(name, file in mV, file in mA) of an INA3221: in1_label "VDD_IN", in1_input, curr1_input; L4T 35 and newer."""
    for device in folders(root, _HWMON, "hwmon"):
        if text_in(root, device + "/name").startswith("ina3221"):
            for channel in range(1, _CHANNELS):
                name = text_in(root, "{}/in{}_label".format(device, channel))
                current = "{}/curr{}_input".format(device, channel)
                if name and name != "NC" and "shunt" not in name and number_in(root, current) is not None:
                    yield name, "{}/in{}_input".format(device, channel), current


def _zones(root: str) -> Iterator[Tuple[str, str]]:
    seen: Set[str] = set()
    for zone in folders(root, _THERMAL, "thermal_zone"):
        name = _ZONE_ENDS.sub("", text_in(root, zone + "/type"))
        if name and not _CONSTANT_ZONE.match(name):
            if name in seen:
                name += zone.rsplit("thermal_zone", 1)[1]
            seen.add(name)
            yield name, zone + "/temp"


def _cooling(root: str) -> Iterator[Tuple[str, str]]:
    for device in folders(root, _THERMAL, "cooling_device"):
        kind = text_in(root, device + "/type")
        if _SLOWS.search(kind):
            yield "{} {}".format(kind, device.rsplit("cooling_device", 1)[1]), device + "/cur_state"


def _events(root: str) -> Iterator[Tuple[str, str]]:
    for device in folders(root, _HWMON, "hwmon"):
        if text_in(root, device + "/name") == "soctherm_oc":
            for path in folders(root, device, "oc"):
                if _EVENT.match(path.rsplit("/", 1)[1]):
                    yield path.rsplit("/", 1)[1], path
    for number in range(_MOST_CORES):
        for name in _X86_EVENTS:
            path = "sys/devices/system/cpu/cpu{}/thermal_throttle/{}".format(number, name)
            yield "cpu{} {}".format(number, name), path


def _packages(root: str) -> Iterator[Tuple[str, str]]:
    """ "intel-rapl:0" is a package, "intel-rapl:0:1" a part of it; AMD's come by the same name."""
    for zone in folders(root, _POWERCAP, "intel-rapl:"):
        name = text_in(root, zone + "/name")
        if name.startswith("package"):
            yield name, zone + "/energy_uj"


def _ticks(stat: str) -> Iterator[Tuple[str, int, int]]:
    """(core, ticks at work, all ticks) of /proc/stat: "cpu0 user nice system idle iowait irq softirq steal ..."."""
    for line in stat.splitlines():
        found = re.match(r"(cpu[0-9]{1,4}) ([0-9 ]{7,400})\Z", line)
        if found:
            ticks = [int(each) for each in found.group(2).split()[:8] if len(each) <= 18]
            if len(ticks) >= 4:
                yield found.group(1), sum(ticks) - sum(ticks[3:5]), sum(ticks)
