"""What the probes look at: files below a root, commands on a PATH, a Python and what it can import."""

import json
import os
import platform
import re
import shutil
import sys
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson.board import Board, read_board, read_file
from ccc_jetson.child import Answer, run_child
from ccc_jetson.clean_text import clean
from ccc_jetson.engines.machine import free_disk, target_of
from ccc_jetson.targets import Target

CHILD_S = 30.0  # a TX2 that swaps imports TensorRT in ten
_MARK = "ccc-doctor:"
# "4.9.337-tegra" is a kernel of L4T 32
_LINES = {"4.4": (28,), "4.9": (32,), "5.10": (34, 35), "5.15": (36,), "6.8": (38, 39)}
_V4L2 = os.path.join(os.path.dirname(os.path.abspath(__file__)), "v4l2.py")
# What each import is asked for when it has gone well
_FACTS = {
    "numpy": "import numpy as module\nfacts = {}",
    "cv2": "import cv2 as module\n"
    "lines = [line.strip() for line in module.getBuildInformation().splitlines()]\n"
    "facts = {'gstreamer': any(line.startswith('GStreamer:') and 'YES' in line for line in lines)}",
    "onnxruntime": "import onnxruntime as module\nfacts = {}",
    "tensorrt": "import tensorrt as module\nfacts = {}",
    "pycuda": "import pycuda as module, pycuda.driver as driver\n"
    "driver.init()\ndevice = driver.Device(0)\nnumber = driver.get_driver_version()\n"
    "facts = {'device': device.name(), 'sm': '%d.%d' % device.compute_capability(),\n"
    "         'cuda': '%d.%d' % (number // 1000, number % 1000 // 10),\n"
    "         'version': getattr(module, 'VERSION_TEXT', '')}",
}
_REPORT = (
    "import json\nfacts.setdefault('version', str(getattr(module, '__version__', '')))\n"
    "facts['file'] = str(getattr(module, '__file__', ''))\nprint('{}' + json.dumps(facts))".format(_MARK)
)


class Imported(NamedTuple):
    """What became of an import in a child: its ``facts``, or None and the ``answer`` that says why."""

    facts: Optional[Dict[str, Any]]
    answer: Answer
    is_missing: bool

    @property
    def version(self) -> str:
        return clean(str(self.facts.get("version", ""))) if self.facts else ""


class Place:
    """A machine as the probes see it; every argument is this process's own by default.

    Args:
        root: of the files.
        environ: of the children; commands are found on its PATH.
        python: the interpreter whose imports are tried.
        prefix: the folder of that interpreter's environment.
        running: its version.
        architecture: the processor's, "aarch64".
        folder: where work is done.
    """

    def __init__(
        self,
        root: str = "/",
        environ: Mapping[str, str] = os.environ,
        python: str = sys.executable,
        prefix: str = sys.prefix,
        running: Tuple[int, int] = (sys.version_info[0], sys.version_info[1]),
        architecture: str = platform.machine(),
        folder: str = ".",
        free_bytes: Callable[[str], int] = free_disk,
    ) -> None:
        self.root, self.environ, self.python, self.prefix = root, dict(environ), python, prefix
        self.running, self.architecture, self.folder = running, architecture, folder
        self.free_bytes = free_bytes
        self._imports: Dict[str, Imported] = {}
        self.board: Board = read_board(root)
        self.kernel = self.text("proc/sys/kernel/osrelease")

    @property
    def is_jetson(self) -> bool:
        """By its device tree, its release, or its kernel, which a container shows as well."""
        return bool(self.board.board or self.board.l4t or self.kernel.endswith("-tegra"))

    @property
    def has_gpu(self) -> bool:
        """Whether there is a GPU for CUDA, as far as files tell."""
        return self.is_jetson or self.exists("proc/driver/nvidia/version") or self.exists("dev/nvidia0")

    @property
    def in_container(self) -> bool:
        if self.exists(".dockerenv") or self.exists("run/.containerenv"):
            return True
        return bool(re.search(r"docker|kubepods|containerd", self.text("proc/1/cgroup", 4096)))

    @property
    def target(self) -> Optional[Target]:
        """The known board that this is."""
        return target_of("", self.board.board)

    @property
    def l4t_line(self) -> int:
        """32 of L4T 32.7.4, by the release or else by the kernel; 0 where it is not known."""
        first = self.board.l4t.split(".")[0]
        return int(first) if first else max(self.lines_of_kernel, default=0)

    @property
    def lines_of_kernel(self) -> Tuple[int, ...]:
        """The lines of L4T that have this kernel, which is the board's in a container too; none off a Jetson."""
        version = re.match(r"([0-9]{1,2}\.[0-9]{1,3})\..*-tegra\Z", self.kernel)
        return _LINES.get(version.group(1), ()) if version else ()

    def text(self, path: str, most: int = 300) -> str:
        """The beginning of a file, cleaned; "" where there is none."""
        return clean(read_file(self.root, path)[:most].decode("utf-8", "replace").strip().replace("\n", " "))

    def data(self, path: str) -> bytes:
        """A file's bytes, 1 MiB at most; empty where there is none."""
        return read_file(self.root, path)

    def exists(self, path: str) -> bool:
        return os.path.exists(os.path.join(self.root, path))

    def names(self, folder: str) -> List[str]:
        """What lies in a folder, in order; nothing where there is none."""
        try:
            return sorted(os.listdir(os.path.join(self.root, folder)))
        except OSError:
            return []

    def which(self, command: str) -> str:
        """A command's path; "" where PATH has none of the name."""
        return shutil.which(command, path=self.environ.get("PATH", "")) or ""

    def run(self, command: Sequence[str], seconds: float = CHILD_S) -> Answer:
        """Runs a child to its end, for a limited time."""
        return run_child(command, seconds, self.environ)

    def imported(self, module: str) -> Imported:
        """What becomes of importing ``module`` (one of ``_FACTS``) in a child; tried once."""
        if module not in self._imports:
            self._imports[module] = self._try_import(module)
        return self._imports[module]

    def query_camera(self, path: str) -> Dict[str, Any]:
        """What a video device says of itself, as ``v4l2.describe``; asked in a child, for drivers hang."""
        answer = self.run([self.python, "-S", _V4L2, os.path.join(self.root, path)], 10.0)
        try:
            found = json.loads(answer.out)
            return found if isinstance(found, dict) else {"error": "no answer"}
        except ValueError:
            return {"error": answer.complaint}

    def _try_import(self, module: str) -> Imported:
        answer = self.run([self.python, "-c", _FACTS[module] + "\n" + _REPORT])
        for line in answer.out.splitlines():
            if line.startswith(_MARK) and answer.code == 0:
                return Imported(json.loads(line[len(_MARK) :]), answer, False)
        is_missing = "No module named '{}'".format(module) in answer.err
        return Imported(None, answer, is_missing)
