"""Probes of containers: the host's settings for Docker, and what a container was given."""

import json
import os
from typing import Any, Dict, List, Optional

from ccc_jetson.runtime.doctor.place import Place
from ccc_jetson.runtime.doctor.verdicts import BROKEN, NOT_HERE, NOTE, OK, PROBLEM, Finding

_DAEMON, _LISTS = "etc/docker/daemon.json", "etc/nvidia-container-runtime/host-files-for-container.d"
_NEEDED_LISTS = ("l4t.csv", "cuda.csv", "cudnn.csv", "tensorrt.csv")
_LIBRARIES = "usr/lib/aarch64-linux-gnu"
# As nvidia-container-runtime's own instructions have it, and for builds too
_WRITE_IT = (
    'write into it: {"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []}}, '
    '"default-runtime": "nvidia"}'
)
_MOUNT_ALL = "docker run --runtime nvidia -e NVIDIA_REQUIRE_JETPACK=csv-mounts=all ..."
_MOUNTING_LINE = 32  # the L4T whose containers get CUDA and TensorRT from the host


def docker(place: Place) -> List[Finding]:
    """Whether Docker on this board gives containers its GPU, in runs and in builds."""
    if not place.is_jetson or place.in_container:
        return [Finding(NOT_HERE, "the settings of Docker are looked at on a Jetson, outside of containers")]
    data = place.data(_DAEMON)
    if not data and not place.which("docker"):
        return [Finding(NOT_HERE, "Docker is not installed")]
    try:
        settings = _settings(data)
    except ValueError as error:
        return [
            Finding(
                BROKEN,
                "/{} cannot be read as JSON: {}".format(_DAEMON, error),
                "python3 -m json.tool /{} shows where".format(_DAEMON)
                if isinstance(error, json.JSONDecodeError)
                else _WRITE_IT,
            )
        ]
    runtimes = {} if settings is None else settings.get("runtimes") or {}
    if settings is None or not isinstance(runtimes, dict):
        what = "the file" if settings is None else '"runtimes" in it'
        return [
            Finding(
                BROKEN,
                "/{} is no settings file: {} is to be an object, in braces".format(_DAEMON, what),
                _WRITE_IT,
            )
        ]
    if "nvidia" not in runtimes:
        package = "nvidia-container-runtime" if place.l4t_line <= _MOUNTING_LINE else "nvidia-container-toolkit"
        return [
            Finding(
                PROBLEM,
                "Docker knows no runtime called nvidia: containers have no GPU",
                "sudo apt-get install {}; sudo systemctl restart docker".format(package),
            )
        ]
    if place.l4t_line == _MOUNTING_LINE:
        missing = [name for name in _NEEDED_LISTS if not place.exists(_LISTS + "/" + name)]
        if missing:
            packages = " ".join("nvidia-container-csv-" + name[:-4] for name in missing if name != "l4t.csv")
            return [
                Finding(
                    PROBLEM,
                    "{} not in /{}: containers lack those libraries".format(", ".join(missing), _LISTS),
                    "sudo apt-get install {}".format(packages or "nvidia-container-runtime"),
                )
            ]
        if place.which("nvidia-ctk"):  # newer than JetPack 4's own; mounts the base list only, unless told otherwise
            return [
                Finding(NOTE, "this nvidia-container-toolkit mounts neither CUDA nor TensorRT by itself", _MOUNT_ALL)
            ]
    if settings.get("default-runtime") != "nvidia":
        return [
            Finding(
                NOTE,
                "docker build has no GPU and no nvcc: nvidia is not the default runtime",
                'add "default-runtime": "nvidia" to /{}; sudo systemctl restart docker'.format(_DAEMON),
            )
        ]
    return [Finding(OK, "nvidia is the default runtime")]


def container(place: Place) -> List[Finding]:
    """Whether this container fits the board below it, and was given its libraries."""
    if not place.in_container:
        return [Finding(NOT_HERE, "this is no container")]
    if not place.is_jetson:
        return [Finding(OK, "a container, on no Jetson")]
    lines = place.lines_of_kernel
    if place.l4t_line and lines and place.l4t_line not in lines:
        fitting = " or ".join("r{}".format(line) for line in lines)
        return [
            Finding(
                BROKEN,
                "the image is of L4T {}, the board's kernel {} of {}".format(place.board.l4t, place.kernel, fitting),
                "take an image whose tag begins with {}".format(fitting),
            )
        ]
    inference = [name for name in place.names(_LIBRARIES) if name.startswith("libnvinfer.so")]
    empty = [name for name in inference if _is_empty(os.path.join(place.root, _LIBRARIES, name))]
    if empty:
        return [Finding(BROKEN, "/{}/{} is empty: nothing was mounted".format(_LIBRARIES, empty[0]), _MOUNT_ALL)]
    if not inference:
        return [Finding(PROBLEM, "there is no libnvinfer.so in this container", _MOUNT_ALL)]
    return [Finding(OK, "a container for L4T {} with TensorRT's libraries".format(place.board.l4t or "?"))]


def _settings(data: bytes) -> Optional[Dict[str, Any]]:
    """Docker's settings; none of an empty file, and None where they are no object.

    Raises:
        ValueError: it is no JSON; the text says why.
    """
    try:
        settings = json.loads(data.decode("utf-8")) if data.strip() else {}
    except UnicodeDecodeError:
        raise ValueError("it is no text")
    except RecursionError:
        raise ValueError("it is nested too deeply")
    return settings if isinstance(settings, dict) else None


def _is_empty(path: str) -> bool:
    """Whether nothing is in it: a link into what was not mounted is as empty as a file."""
    try:
        return os.path.getsize(path) == 0
    except OSError:
        return True
