"""Which Jetson this is: its name, its L4T and JetPack, its power modes.

Everything is read from files, without another process; a container may hide some of them.
"""

import os
import re
from typing import Dict, NamedTuple, Optional

_MOST_BYTES = 1 << 20  # an nvpmodel.conf, the longest file read here, has some 30 kB
_LONGEST_NAME = 200

# L4T without a last ".0" -> JetPack: NVIDIA's releases as jetson-containers and jetson_stats list them
_JETPACKS = {
    "32.4.3": "4.4", "32.4.4": "4.4.1", "32.5": "4.5", "32.5.1": "4.5.1", "32.5.2": "4.5.1", "32.6.1": "4.6",
    "32.7.1": "4.6.1", "32.7.2": "4.6.2", "32.7.3": "4.6.3", "32.7.4": "4.6.4", "32.7.5": "4.6.5", "32.7.6": "4.6.6",
    "34.1": "5.0 DP", "35.1": "5.0.2", "35.2.1": "5.1", "35.3.1": "5.1.1", "35.4.1": "5.1.2", "35.5": "5.1.3",
    "35.6": "5.1.4", "35.6.1": "5.1.5", "35.6.2": "5.1.5", "35.6.3": "5.1.5", "35.6.4": "5.1.6",
    "36.2": "6.0 DP", "36.3": "6.0", "36.4": "6.1", "36.4.3": "6.2", "36.4.4": "6.2.1", "36.4.7": "6.2.1",
    "36.5": "6.2.2", "38.2": "7.0", "38.4": "7.1", "39.0": "7.2", "39.1": "7.2", "39.2": "7.2",
}  # fmt: skip

# "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t186ref, EABI: aarch64, DATE: Sat Feb 19 17:07:00 UTC 2022"
_RELEASE = re.compile(rb"^#[ \t]*R([0-9]{1,3}) \(release\), REVISION: ([0-9]{1,3}(?:\.[0-9]{1,3}){0,3})(?![0-9.])")
# "pmode:0003", on some releases followed by " fmode:quiet"
_STATUS = re.compile(rb"\bpmode:([0-9]{1,4})\b")
# "< POWER_MODEL ID=3 NAME=MAXP_CORE_ARM >" at the start of a line: the file's own comments hold a pattern of it
_MODE = re.compile(rb"^[ \t]*<[ \t]*POWER_MODEL[ \t]+ID=([0-9]{1,4})[ \t]+NAME=([^\s>]+)[ \t]*>", re.MULTILINE)
# "< PM_CONFIG DEFAULT=3 >"
_DEFAULT_MODE = re.compile(rb"^[ \t]*<[ \t]*PM_CONFIG[ \t]+DEFAULT=([0-9]{1,4})[ \t]*>", re.MULTILINE)


class Board(NamedTuple):
    """The fields of a Machine that are found without TensorRT and CUDA; each is "" where it is not known."""

    board: str
    l4t: str
    jetpack: str
    power_mode: str


class PowerModes(NamedTuple):
    """nvpmodel's modes, number -> name, as its configuration lists them; and the number of the one that is set.

    ``number`` is None where no file tells it; ``saved`` is whether somebody chose it, else it is the one of the boot.
    ``default`` is the one that the board boots with when it is new; None where no file tells that.
    """

    names: Dict[int, str]
    number: Optional[int]
    saved: bool
    default: Optional[int] = None

    @property
    def name(self) -> str:
        """Of the mode that is set; "" where it is not known."""
        return "" if self.number is None else self.names.get(self.number, "")


def read_board(root: str = "/") -> Board:
    """The board as the files under ``root`` describe it; all fields are "" off a Jetson.

    A missing or odd file leaves its field empty, and nothing is raised. An L4T newer than the table keeps its number
    and has no JetPack. The power mode is the one that nvpmodel saved, or the one that it boots with where it saved
    none. Formats are those that users of boards show in public; the fallback for a container, which hides the device
    tree (``/sys/devices/soc0``), and the power mode before the first ``nvpmodel -m`` were not seen on a board yet.
    """
    l4t = _l4t(root)
    return Board(_model(root), l4t, _jetpack(l4t), _power_mode(root))


def read_power_modes(root: str = "/") -> PowerModes:
    """nvpmodel's modes and choice, from its configuration and from what it saved; no root, no process needed."""
    modes, status = read_file(root, "etc/nvpmodel.conf"), read_file(root, "var/lib/nvpmodel/status")
    default = _DEFAULT_MODE.search(modes)
    chosen = _STATUS.search(status) if status else default
    names: Dict[int, str] = {}
    for number, name in _MODE.findall(modes):
        names.setdefault(int(number), _name(name))
    number, first = (None if each is None else int(each.group(1)) for each in (chosen, default))
    return PowerModes(names, number, bool(status), first)


def _model(root: str) -> str:
    model = _name(read_file(root, "proc/device-tree/model"))  # b"NVIDIA Jetson TX2 Developer Kit\0"
    compatible = read_file(root, "proc/device-tree/compatible")  # b"nvidia,quill\0nvidia,tegra186\0"
    if model:
        return model if not compatible or b"nvidia," in compatible else ""
    family = read_file(root, "sys/devices/soc0/family")  # b"tegra186\n"; other makers' chips have such a file too
    return _name(read_file(root, "sys/devices/soc0/machine")) if family.lower().startswith(b"tegra") else ""


def _l4t(root: str) -> str:
    found = _RELEASE.match(read_file(root, "etc/nv_tegra_release"))
    return "{}.{}".format(int(found.group(1)), found.group(2).decode("ascii")) if found else ""


def _jetpack(l4t: str) -> str:
    """The file says 35.5.0 where NVIDIA says 35.5, and 39.0 is no 39."""
    return _JETPACKS.get(l4t) or _JETPACKS.get(re.sub(r"\.0\Z", "", l4t), "")


def _power_mode(root: str) -> str:
    return read_power_modes(root).name


def _name(data: bytes) -> str:
    """A name from a file, up to the zero byte that ends the device tree's strings; "" where it is no printable text."""
    try:
        text = data.split(b"\0", 1)[0].decode("utf-8").strip()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() and len(text) <= _LONGEST_NAME else ""


def read_file(root: str, path: str) -> bytes:
    """A file's bytes, 1 MiB of them at most; empty where there is no ordinary file of that name below ``root``, or it
    may not be read."""
    path = os.path.join(root, path)
    try:
        if not os.path.isfile(path):  # a pipe would be waited for without end
            return b""
        with open(path, "rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""
