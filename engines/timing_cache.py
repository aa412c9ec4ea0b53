"""TensorRT's timing cache between builds, which shortens the next one, and how long builds took, which foretells it.

Neither is ever needed. What cannot be read counts as empty, and what cannot be written costs a build nothing.
"""

import hashlib
import json
import os
import re
from typing import Dict, Mapping, Optional, Tuple

from ccc_jetson.engines.cache_folder import cache_folder, keep
from ccc_jetson.engines.machine import Machine

_MOST_BYTES = 1 << 26  # far above any timing cache; what is larger is something else, and not for a 4 GB board to read
_MOST_HISTORY_BYTES = 1 << 20
_LONGEST_NAME = 40
_FORMAT = 1
_MOST_BUILDS = 64
_LONGEST_BUILD_S = 1e7  # four months


def default_path(machine: Machine, environ: Mapping[str, str] = os.environ) -> str:
    """The timing cache of this machine: ``timing/TRT-8.2.1.8-NVIDIA_Tegra_X2-sm62.cache`` in the user's cache folder.

    Version, device and compute capability are in the name because TensorRT takes a cache for exactly the same ones
    alone.
    """
    capability = re.sub("[^0-9]", "", machine.sm)
    name = "TRT-{}-{}-sm{}.cache".format(_safe(machine.tensorrt), _safe(machine.device), capability or "-unknown")
    return os.path.join(cache_folder(environ), "timing", name)


def _safe(name: str) -> str:
    """A part of a file name: "NVIDIA Tegra X2" -> "NVIDIA_Tegra_X2". Blanks apart, a name that had to be changed gets
    a checksum, so that two devices never share a file."""
    safe = re.sub("[^A-Za-z0-9.-]+", "_", name).strip("_-.")
    if "_" not in name and safe == name.replace(" ", "_") and len(safe) <= _LONGEST_NAME:
        return safe or "unknown"
    checksum = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return (safe[:_LONGEST_NAME].rstrip("_-.") + "-" + checksum).lstrip("-")


def load(path: str) -> bytes:
    """The cache's bytes; none where it is missing, unreadable, or too large to be one."""
    return _read(path, _MOST_BYTES)


def store(path: str, data: bytes) -> Optional[str]:
    """Writes the cache, whole or not at all, and its folders; of several writers the last one wins.

    Nothing is raised where it cannot be written, for an engine without a cache is as good. No data change nothing.

    Returns:
        None, or a sentence on why the next build will not be faster.
    """
    reason = keep(path, data) if data else ""
    return "the timing cache is not kept, so the next build takes as long as this one: " + reason if reason else None


def _read(path: str, most_bytes: int) -> bytes:
    try:
        if not os.path.isfile(path):  # a pipe would be waited for without end
            return b""
        with open(path, "rb") as file:
            data = file.read(min(os.fstat(file.fileno()).st_size, most_bytes) + 1)
    except OSError:
        return b""
    return data if len(data) <= most_bytes else b""


class BuildTimes:
    """How long builds with a timing cache took, in a file beside it: the last 64, to say how long the next will take.

    A damaged file, or one of a newer format, counts as empty. Format: a JSON object
    ``{"format": 1, "builds": [[key, cached, seconds], ...]}``, oldest first.

    Args:
        path: the timing cache's path; the history has ".json" behind it.
    """

    def __init__(self, path: str) -> None:
        self.path = path + ".json"

    def expected_seconds(self, key: str, cached: bool) -> Optional[float]:
        """What the last such build took; None where there was none.

        Args:
            key: what is built: any string that stands for the ONNX file and the settings.
            cached: there is a timing cache to begin with, which makes it another build.
        """
        return self._builds().get((key, cached))

    def note(self, key: str, cached: bool, seconds: float) -> None:
        """Remembers how long a build took. Says nothing where it cannot: ``store`` has said it of the same folder."""
        if not _is_duration(seconds):
            return
        builds = self._builds()
        builds.pop((key, cached), None)
        builds[(key, cached)] = round(seconds, 3)
        rows = [[key, cached, seconds] for (key, cached), seconds in builds.items()]
        record = {"format": _FORMAT, "builds": rows[-_MOST_BUILDS:]}
        keep(self.path, (json.dumps(record) + "\n").encode("ascii"))

    def _builds(self) -> Dict[Tuple[str, bool], float]:
        """Seconds by key and cached, oldest first."""
        builds: Dict[Tuple[str, bool], float] = {}
        try:
            record = json.loads(_read(self.path, _MOST_HISTORY_BYTES).decode("utf-8"))
            if record["format"] != _FORMAT:
                return {}
            for key, cached, seconds in record["builds"]:
                if not isinstance(key, str) or not isinstance(cached, bool) or not _is_duration(seconds):
                    return {}
                builds[(key, cached)] = float(seconds)
        except (ValueError, TypeError, KeyError, RecursionError):
            return {}
        return builds


def _is_duration(seconds: object) -> bool:
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        return False
    return 0 <= seconds < _LONGEST_BUILD_S
