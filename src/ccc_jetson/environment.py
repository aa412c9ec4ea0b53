"""What this Python has and where it runs, found without importing anything heavy: what a bug report needs."""

import importlib.util
import os
import platform
import re
import sys
from typing import List, Tuple

from ccc_jetson.board import read_board
from ccc_jetson.clean_text import clean

_MOST_BYTES = 1 << 16
_OPENCV = ("opencv_python", "opencv_python_headless", "opencv_contrib_python", "opencv_contrib_python_headless")
# What people call it, the module, and the packages that bring it
_LIBRARIES = (
    ("numpy", "numpy", ("numpy",)),
    ("OpenCV", "cv2", _OPENCV),
    ("TensorRT", "tensorrt", ("tensorrt",)),
    ("pycuda", "pycuda", ("pycuda",)),
    ("ONNX Runtime", "onnxruntime", ("onnxruntime", "onnxruntime_gpu", "onnxruntime_openvino")),
    ("OpenVINO", "openvino", ("openvino",)),
    ("PyTorch", "torch", ("torch",)),
)  # fmt: skip
# "numpy-1.19.4.dist-info", "numpy-1.13.3.egg-info", "pycuda-2022.1-py3.6.egg-info"
_RECORD = re.compile(
    r"\A([A-Za-z0-9_.]+)-([0-9][A-Za-z0-9.+!]*)(?:-py[0-9.]+)?(?:-[A-Za-z0-9_]+)?\.(?:dist|egg)-info\Z"
)
# __version__ = "8.2.1.8", in the module's own file where no package tells
_VERSION = re.compile(r"^__version__ *= *[\"']([0-9][A-Za-z0-9.+]{0,40})[\"']", re.MULTILINE)
_UNKNOWN, _MISSING = "there, of a version that its files do not tell", "not found"


def environment(root: str = "/") -> List[Tuple[str, str]]:
    """(name, text) of the interpreter, the libraries that the commands use, and the machine; the board of files below
    ``root``."""
    facts = [("Python", "{} ({})".format(platform.python_version(), clean(sys.executable)))]
    facts += [(title, library_version(module, packages)) for title, module, packages in _LIBRARIES]
    board = read_board(root)
    if board.board or board.l4t:
        words = [board.board or "a Jetson"]
        words += [title + " " + value for title, value in (("L4T", board.l4t), ("JetPack", board.jetpack)) if value]
        facts.append(("board", clean(", ".join(words))))
    facts.append(("system", "{} {} {}".format(platform.system(), platform.release(), platform.machine())))
    return facts


def library_version(module: str, packages: Tuple[str, ...]) -> str:
    """The version of a module that could be imported, by the files beside it; or that it is not there."""
    try:
        spec = importlib.util.find_spec(module)  # of a module at the top nothing is imported
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return _MISSING
    places = list(spec.submodule_search_locations or [])
    folder = os.path.dirname(places[0] if places else spec.origin or "")
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    for name in sorted(names):
        found = _RECORD.match(name)
        if found and found.group(1).lower().replace("-", "_") in packages:
            return found.group(2)
    for path in [os.path.join(place, name) for place in places for name in ("version.py", "__init__.py")] + [
        spec.origin
    ]:
        found = _VERSION.search(_text(path))
        if found:
            return found.group(1)
    return _UNKNOWN


def _text(path: object) -> str:
    """The beginning of a Python file; "" where it is none."""
    if not isinstance(path, str) or not path.endswith(".py"):
        return ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return ""
