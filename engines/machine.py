"""What machine this is: the board, its JetPack and power mode, its memory and disk, and which known target it is.

Everything is read from files, without TensorRT, CUDA or another process; a container may hide some of them.
"""

import os
import re
import shutil
from typing import Dict, NamedTuple, Optional

from ccc_jetson.errors import FileProblem
from ccc_jetson.targets import TARGETS, Target, target_named

_MOST_BYTES = 1 << 20  # an nvpmodel.conf, the longest file read here, has some 30 kB
_LONGEST_NAME = 200
_KIB = 1024

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
# "MemAvailable:    5613404 kB"
_MEMORY = re.compile(rb"^([A-Za-z]+):[ \t]+([0-9]{1,15}) kB$", re.MULTILINE)

# Words of a model -> target, the first that fits: "tx2 nx" is a "tx2", and an "orin nano" is no "nano". Code names are
# what older releases say: quill is the TX2, storm the TX2i, lightning the TX2 with 4 GB, lanai the TX2 NX
_MODELS = (
    (re.compile(r"\btx2 nx\b|\blanai\b"), "tx2-nx"),
    (re.compile(r"\btx2i?\b|\b(?:quill|storm|lightning)\b"), "tx2"),
    (re.compile(r"\borin\b"), "orin"),
    (re.compile(r"\bxavier nx\b"), "xavier-nx"),
    (re.compile(r"\b(?:agx|jetson) xavier\b|^jetson agx$"), "xavier"),
    (re.compile(r"\bjetson nano\b"), "nano"),
)
# Compute capabilities that no graphics card has; the last two are Thor's, for which there is no target
_INTEGRATED = {(5, 3): "nano", (6, 2): "tx2", (7, 2): "xavier", (8, 7): "orin", (10, 1): None, (11, 0): None}
_FIRST_WITH_BOTH = (7, 0)  # from Volta on, every graphics card computes both FP16 and INT8 fast


class Machine(NamedTuple):
    """The machine that an engine was built on, or is to run on. Every field is "" where it is not known.

    Attributes:
        tensorrt: version of the library: "8.2.1.8".
        cuda: version of CUDA: "10.2".
        device: CUDA's name of the GPU: "NVIDIA Tegra X2".
        sm: compute capability: "6.2".
        board: the device tree's model: "NVIDIA Jetson TX2 Developer Kit".
        l4t: version of NVIDIA's Linux for Tegra: "32.7.1".
        jetpack: the JetPack that it belongs to: "4.6.1".
        power_mode: nvpmodel's name of the power mode: "MAXN".
    """

    tensorrt: str
    cuda: str
    device: str
    sm: str
    board: str
    l4t: str
    jetpack: str
    power_mode: str


def sm_text(sm: str) -> str:
    """``sm_62`` for 6.2."""
    return "sm_" + sm.replace(".", "")


def gpu_text(device: str, sm: str) -> str:
    """``NVIDIA Tegra X2 (sm_62)``."""
    return "{} ({})".format(device, sm_text(sm))


class Board(NamedTuple):
    """The fields of a Machine that are found without TensorRT and CUDA; each is "" where it is not known."""

    board: str
    l4t: str
    jetpack: str
    power_mode: str


class PowerModes(NamedTuple):
    """nvpmodel's modes, number -> name, as its configuration lists them; and the number of the one that is set.

    ``number`` is None where no file tells it; ``saved`` is whether somebody chose it, else it is the one of the boot.
    """

    names: Dict[int, str]
    number: Optional[int]
    saved: bool

    @property
    def name(self) -> str:
        """Of the mode that is set; "" where it is not known."""
        return "" if self.number is None else self.names.get(self.number, "")


class Memory(NamedTuple):
    """Main memory in bytes, which is the GPU's as well on a Jetson. ``available`` counts caches that can be dropped."""

    total: int
    available: int
    swap_total: int
    swap_free: int


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
    chosen = _STATUS.search(status) if status else _DEFAULT_MODE.search(modes)
    names: Dict[int, str] = {}
    for number, name in _MODE.findall(modes):
        names.setdefault(int(number), _name(name))
    return PowerModes(names, None if chosen is None else int(chosen.group(1)), bool(status))


def read_memory(root: str = "/") -> Optional[Memory]:
    """Memory by ``/proc/meminfo``; None where that cannot be read. Kernels before 3.14 give no MemAvailable."""
    sizes: Dict[bytes, int] = {}
    for name, kibibytes in _MEMORY.findall(read_file(root, "proc/meminfo")):
        sizes.setdefault(name, int(kibibytes) * _KIB)
    if b"MemTotal" not in sizes or b"MemFree" not in sizes:
        return None
    droppable = sizes[b"MemFree"] + sizes.get(b"Cached", 0) + sizes.get(b"Buffers", 0)
    return Memory(
        total=sizes[b"MemTotal"],
        available=min(sizes[b"MemTotal"], sizes.get(b"MemAvailable", droppable)),
        swap_total=sizes.get(b"SwapTotal", 0),
        swap_free=sizes.get(b"SwapFree", 0),
    )


def free_disk(folder: str) -> int:
    """Bytes that may be written below ``folder``; "" is the current one.

    Raises:
        FileProblem: there is no such folder, or it may not be looked at.
    """
    try:
        return shutil.disk_usage(folder or os.curdir).free
    except OSError as error:
        raise FileProblem("{}: its free space cannot be read: {}".format(folder, error.strerror or error))


def target_of(sm: str, board: str) -> Optional[Target]:
    """The known target that this machine is; None where none is.

    The board's name decides, for a TX2 and a TX2 NX have the same GPU; then the compute capability, which a container
    shows as well: 6.2 is a TX2, 7.2 an AGX Xavier, 8.7 an Orin, 5.3 a Nano. A name that contradicts the compute
    capability is not believed (an IGX Orin with a graphics card). The nearest entry stands for a board without its
    own: the Nano's for a TX1, the AGX Orin's for Orin NX and Orin Nano. Software and precisions are theirs then; peak
    rates are not, nor is the number of DLA cores, which the builder knows.

    A graphics card is "x86" from compute capability 7.0 on. Older ones lack one of the two precisions that the entry
    promises, so nothing is said of them, and the builder is to be asked.

    Args:
        sm: compute capability, "6.2"; "" where unknown.
        board: the device tree's model, "NVIDIA Jetson TX2 Developer Kit"; "" where unknown.
    """
    digits = re.match(r"([0-9]{1,2})\.([0-9]{1,2})\Z", sm)
    capability = (int(digits.group(1)), int(digits.group(2))) if digits else None
    words = " ".join(re.findall(r"[a-z0-9]+", board.lower()))
    named = next((target_named(name) for pattern, name in _MODELS if pattern.search(words)), None)
    if named is not None and capability in (None, named.compute_capability):
        return named
    if capability is None:
        return None
    if capability in _INTEGRATED:
        return next((target for target in TARGETS if target.name == _INTEGRATED[capability]), None)
    return target_named("x86") if not board and capability >= _FIRST_WITH_BOTH else None


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
