"""Probes of memory, swap and disk: what a build needs most of."""

import os
import re
from typing import List

from ccc_jetson.clean_text import clean
from ccc_jetson.engines.machine import read_memory
from ccc_jetson.engines.preflight import ADD_SWAP, END_DESKTOP, LEAST_MEMORY_MIB, LITTLE_MEMORY_MIB, MIB
from ccc_jetson.errors import CccError
from ccc_jetson.runtime.doctor.place import Place
from ccc_jetson.runtime.doctor.verdicts import BROKEN, NOTE, OK, PROBLEM, Finding

_GB = 1e9
_NO_SWAP_NEEDED_GB = 12.0
_DISK_BROKEN_GB, _DISK_LITTLE_GB = 0.2, 2.0


def memory(place: Place) -> List[Finding]:
    """What can be had now; a Jetson's GPU takes its memory from it as well."""
    found = read_memory(place.root)
    if found is None:
        return [Finding(NOTE, "/proc/meminfo cannot be read here")]
    text = "{:.1f} of {:.1f} GB are available".format(found.available / _GB, found.total / _GB)
    if found.available < LEAST_MEMORY_MIB * MIB:
        return [Finding(BROKEN, text + ", too little for TensorRT's libraries alone", _free_some(place))]
    if found.available < LITTLE_MEMORY_MIB * MIB:
        return [Finding(PROBLEM, text + ": a build may run out of it", _free_some(place))]
    return [Finding(OK, text)]


def swap(place: Place) -> List[Finding]:
    """Swap on a disk; the one in memory (zram) that a Jetson comes with gives a build little."""
    found = read_memory(place.root)
    if found is None:
        return [Finding(NOTE, "/proc/meminfo cannot be read here")]
    total_gb = found.total / _GB
    if total_gb >= _NO_SWAP_NEEDED_GB:
        return [Finding(OK, "{:.1f} GB of memory need none".format(total_gb))]
    if not found.swap_total:
        return [Finding(PROBLEM, "none, with {:.1f} GB of memory: builds are killed".format(total_gb), ADD_SWAP)]
    text = "{:.1f} of {:.1f} GB are free".format(found.swap_free / _GB, found.swap_total / _GB)
    places = re.findall(r"^(/\S+)\s", place.data("proc/swaps").decode("utf-8", "replace"), re.MULTILINE)
    if places and all("zram" in each for each in places):
        return [Finding(NOTE, text + ", all of it compressed memory (zram)", ADD_SWAP)]
    return [Finding(OK, text)]


def disk(place: Place) -> List[Finding]:
    """Room where work is done: an engine, its cache, videos."""
    try:
        free_gb = place.free_bytes(place.folder) / _GB
    except CccError as problem:
        return [Finding(PROBLEM, str(problem), "cd to a folder that is there")]
    text = "{:.1f} GB are free in {}".format(free_gb, clean(os.path.abspath(place.folder)))
    fix = "sudo apt-get clean; du -xhd1 / | sort -h | tail shows what takes the room"
    if free_gb < _DISK_BROKEN_GB:
        return [Finding(BROKEN, text, fix)]
    if free_gb < _DISK_LITTLE_GB:
        return [Finding(PROBLEM, text, fix)]
    return [Finding(OK, text)]


def _free_some(place: Place) -> str:
    return "end other programs" + ("; over ssh: " + END_DESKTOP if place.is_jetson else "")
