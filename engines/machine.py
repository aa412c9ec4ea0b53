"""What machine this is for an engine: what it was built on, its memory and disk, and which known target it is.

Everything is read from files, without TensorRT, CUDA or another process; ``ccc_jetson.board`` reads the board's.
"""

import os
import re
import shutil
from typing import Dict, NamedTuple, Optional

from ccc_jetson.board import read_file
from ccc_jetson.errors import FileProblem
from ccc_jetson.targets import TARGETS, Target, target_named

_KIB = 1024

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


class Memory(NamedTuple):
    """Main memory in bytes, which is the GPU's as well on a Jetson. ``available`` counts caches that can be dropped."""

    total: int
    available: int
    swap_total: int
    swap_free: int


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
