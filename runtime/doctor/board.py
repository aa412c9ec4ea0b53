"""Probes of the board: which it is, its power mode, its cores, clocks and heat."""

import re
from typing import List

from ccc_jetson.clean_text import clean
from ccc_jetson.runtime.doctor.place import Place
from ccc_jetson.runtime.doctor.verdicts import NOT_HERE, NOTE, OK, PROBLEM, Finding
from ccc_jetson.runtime.telemetry.clocks import read_clocks
from ccc_jetson.runtime.telemetry.power_mode import CONSEQUENCE, clocks_are_fixed, read_power_mode
from ccc_jetson.runtime.telemetry.sysfs import Sysfs
from ccc_jetson.runtime.telemetry.throttling import EVENTS

# "nvidia-l4t-core	32.7.1-20220219090432"
_PACKAGE = re.compile(r"\Anvidia-l4t-core\s+([0-9]{1,3}(?:\.[0-9]{1,3}){1,3})")
_FIRST_WITH_TENSORRT_8 = (32, 6)
_HOT_C = 85.0  # ten below the limit of a TX2, 95.5 C (Jetson TX2 Thermal Design Guide, 4.3)


def jetpack(place: Place) -> List[Finding]:
    """The board, its L4T and JetPack; TensorRT 8 comes with JetPack 4.6 and newer."""
    if not place.is_jetson:
        return [Finding(NOT_HERE, "no Jetson: {} {}".format(place.architecture, place.kernel))]
    name = place.board.board or "a Jetson (its name is hidden here)"
    l4t, raw = place.board.l4t, place.text("etc/nv_tegra_release")
    if not l4t:
        answer = place.run(["dpkg-query", "--show", "nvidia-l4t-core"])
        found = _PACKAGE.match(answer.out)
        if found is None:
            shown = "its release is written as {!r}".format(raw) if raw else "no file or package here tells its release"
            return [
                Finding(
                    NOTE,
                    "{}; {}".format(name, shown),
                    "in a container: docker run -v /etc/nv_tegra_release:/etc/nv_tegra_release:ro ..." * (not raw),
                )
            ]
        l4t = found.group(1)
    if tuple(int(part) for part in l4t.split("."))[:2] < _FIRST_WITH_TENSORRT_8:
        return [
            Finding(
                PROBLEM,
                "{}, L4T {}: its TensorRT is older than 8, which the engines need".format(name, l4t),
                "flash JetPack 4.6.6 (L4T 32.7.6, the last for TX2 and Nano; a Xavier takes 5.1)",
            )
        ]
    if not place.board.jetpack and place.board.l4t:
        return [Finding(NOTE, "{}, L4T {}, of a JetPack that this program does not know ({})".format(name, l4t, raw))]
    return [Finding(OK, "{}, L4T {}{}".format(name, l4t, place.board.jetpack and ", JetPack " + place.board.jetpack))]


def power_mode(place: Place) -> List[Finding]:
    """nvpmodel's mode, by its name."""
    if not place.is_jetson:
        return [Finding(NOT_HERE, "nvpmodel is a Jetson's")]
    mode = read_power_mode(place.root, place.which("nvpmodel"))
    if mode.is_fastest is None:
        return [
            Finding(
                NOTE,
                "{}; whether there is a faster one is not known here".format(
                    "the mode is " + clean(mode.name) if mode.name else "the mode cannot be read"
                ),
                "on the board, outside of containers: nvpmodel -q",
            )
        ]
    if not mode.is_fastest:
        target = place.target
        more = "; " + CONSEQUENCE if target is not None and target.name == "tx2" else ""
        evidence = "{}, and {} is the fastest{}".format(clean(mode.name), clean(mode.fastest), more)
        return [Finding(PROBLEM, evidence, "sudo nvpmodel -m {}".format(mode.fastest_number))]
    return [Finding(OK, "{}, the fastest".format(clean(mode.name)))]


def cores(place: Place) -> List[Finding]:
    """Whether all cores are on."""
    present, online = (_count(place.text("sys/devices/system/cpu/" + name)) for name in ("present", "online"))
    if not present or not online:
        return [Finding(NOT_HERE, "the kernel shows no list of cores here")]
    text = "{} of {} cores are on ({})".format(online, present, place.text("sys/devices/system/cpu/online"))
    if online == present:
        return [Finding(OK, text)]
    if place.is_jetson:
        return [Finding(PROBLEM, text, "the power mode decides; see power-mode")]
    return [Finding(NOTE, text, "echo 1 | sudo tee /sys/devices/system/cpu/cpuN/online")]


def clocks(place: Place) -> List[Finding]:
    """Whether ``jetson_clocks`` is in effect."""
    if not place.is_jetson:
        return [Finding(NOT_HERE, "jetson_clocks is a Jetson's")]
    found = read_clocks(place.root)
    fixed = clocks_are_fixed(found)
    if fixed is None:
        return [Finding(NOT_HERE, "no clocks are shown here")]
    if fixed:
        return [Finding(OK, "fixed: " + clean(found.to_text()))]
    return [
        Finding(
            NOTE,
            "free to move: {}; figures vary, and the first frames are slow".format(clean(found.to_text())),
            "sudo jetson_clocks (until the next boot)",
        )
    ]


def heat(place: Place) -> List[Finding]:
    """Whether something is slowed down now, is hot, or was short of power since the boot."""
    sample = Sysfs(place.root).read()
    cooling = ["{} at {}".format(name, state) for name, state in sample.cooling.items() if state > 0]
    short = ["{} ({})".format(EVENTS[name], count) for name, count in sample.events.items() if count and name in EVENTS]
    parts = []
    if sample.hottest is not None:
        parts.append("{} is the hottest, {:.1f} C".format(*sample.hottest))
    if sample.power_w is not None:
        parts.append("{:.2f} W ({})".format(sample.power_w, sample.power_of))
    if cooling:
        text = "; ".join([*parts, "slowed down by " + ", ".join(cooling)])
        return [Finding(PROBLEM, text, "see to fan and airflow, let it cool down, then measure")]
    if short:
        text = "; ".join([*parts, "since the boot: " + ", ".join(short)])
        return [Finding(NOTE, text, "a stronger power supply or a shorter cable; else a lower power mode")]
    if sample.hottest is not None and sample.hottest[1] >= _HOT_C:
        return [Finding(NOTE, "; ".join(parts), "see to fan and airflow: slowing down is near")]
    if parts:
        return [Finding(OK, "; ".join(parts))]
    return [Finding(NOT_HERE, "no sensor can be read here")]


def _count(ranges: str) -> int:
    """How many numbers a list such as "0,3-5" holds; 0 where it is none."""
    if not re.match(r"[0-9]{1,5}(?:-[0-9]{1,5})?(?:,[0-9]{1,5}(?:-[0-9]{1,5})?)*\Z", ranges):
        return 0
    total = 0
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        total += max(0, int(last or first) - int(first) + 1)
    return total
