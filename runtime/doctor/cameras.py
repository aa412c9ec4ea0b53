"""Probes of what cameras need: devices that may be opened, formats that are fast enough, NVIDIA's daemon for CSI."""

import re
from typing import Any, Dict, List

from ccc_jetson.clean_text import clean
from ccc_jetson.runtime.doctor.place import Place
from ccc_jetson.runtime.doctor.verdicts import BROKEN, NOT_HERE, NOTE, OK, PROBLEM, Finding

_DENIED = (1, 13)  # EPERM, EACCES
_SOCKET, _DAEMON = "tmp/argus_socket", "usr/sbin/nvargus-daemon"
_RESTART = "sudo systemctl restart nvargus-daemon"
_RAW = re.compile(r"\A(?:RG|BG|GB|GR|BA|BYR|p[RBG]AA)[0-9A-Z]{1,2}\Z")  # Bayer patterns: a sensor without its ISP
_UNCOMPRESSED = ("YUYV", "UYVY", "NV12", "YU12", "BGR3", "RGB3")
_WIDE, _SMOOTH_FPS = 1280, 25.0
_SIZES_SHOWN = 3


def cameras(place: Place) -> List[Finding]:
    """Every /dev/videoN that captures: whether it may be opened, and what it delivers."""
    devices = [name for name in place.names("dev") if re.match(r"video[0-9]{1,3}\Z", name)]
    if not devices:
        fix = "docker run --device /dev/video0 ..." if place.in_container else "plug one in; look again: ls /dev/video*"
        return [Finding(NOTE, "there is no /dev/video*", fix)]
    findings = []
    for name in devices:
        findings += _camera("/dev/" + name, place.query_camera("dev/" + name))
    return findings or [
        Finding(NOTE, "none of {} captures pictures".format(", ".join("/dev/" + name for name in devices)))
    ]


def argus(place: Place) -> List[Finding]:
    """The daemon behind nvarguscamerasrc, and its socket, which a container has to be given."""
    if not place.is_jetson:
        return [Finding(NOT_HERE, "CSI cameras are a Jetson's")]
    if not place.exists(_SOCKET):
        if place.in_container:
            return [
                Finding(
                    PROBLEM,
                    "/tmp/argus_socket is not in this container: CSI cameras cannot be opened",
                    "docker run -v /tmp/argus_socket:/tmp/argus_socket ...",
                )
            ]
        if place.exists(_DAEMON):
            return [Finding(PROBLEM, "nvargus-daemon is installed, and its socket is not there", _RESTART)]
        return [
            Finding(NOTE, "nvargus-daemon is not installed: no CSI cameras", "sudo apt-get install nvidia-l4t-camera")
        ]
    if not place.in_container and place.which("systemctl"):
        state = clean(place.run(["systemctl", "is-active", "nvargus-daemon"]).out.strip())
        if state in ("failed", "inactive"):
            return [Finding(BROKEN, "nvargus-daemon is {}: its socket is of nobody".format(state), _RESTART)]
    return [Finding(OK, "/tmp/argus_socket is there")]


def _camera(path: str, found: Dict[str, Any]) -> List[Finding]:
    if "error" in found:
        text = "{}: {}".format(path, clean(str(found["error"])))
        if found.get("errno") in _DENIED:
            return [Finding(PROBLEM, text, "sudo usermod -aG video $USER, then log out and in again")]
        return [Finding(BROKEN, text, "plug it in again, then look at: dmesg | tail")]
    if not found.get("captures"):
        return []  # cameras often have a second device, for metadata
    formats = found.get("formats", [])
    text = "{} ({}): {}".format(path, clean(str(found.get("card", ""))), _formats_text(formats))
    letters = [str(each["fourcc"]) for each in formats]
    if letters and all(_RAW.match(each) for each in letters):
        return [
            Finding(NOTE, text + "; raw frames of a sensor, which NVIDIA's ISP makes pictures of", "take it by CSI")
        ]
    slow = [each for each in formats if each["fourcc"] in _UNCOMPRESSED and _is_slow(each)]
    if slow and not any(each["fourcc"] in ("MJPG", "H264") for each in formats) and len(slow) == len(formats):
        return [
            Finding(
                NOTE,
                text + "; uncompressed alone, too slow above 640x480",
                "choose a smaller picture: --camera-size 640x480",
            )
        ]
    return [Finding(OK, text)]


def _formats_text(formats: List[Dict[str, Any]]) -> str:
    """``MJPG 1920x1080 at 30, 1280x720 at 30 and 5 more; YUYV 640x480 at 30``."""
    parts = []
    for each in formats:
        sizes = [
            "{}x{}{}".format(width, height, " at {:g}".format(fps) if fps else "")
            for width, height, fps in each["sizes"]
        ]
        more = " and {} more".format(len(sizes) - _SIZES_SHOWN) if len(sizes) > _SIZES_SHOWN else ""
        parts.append("{} {}{}".format(clean(str(each["fourcc"])), ", ".join(sizes[:_SIZES_SHOWN]), more).strip())
    return "; ".join(parts) or "no formats"


def _is_slow(entry: Dict[str, Any]) -> bool:
    """Whether it has no wide picture at a smooth rate."""
    return not any(width >= _WIDE and (fps or 0.0) >= _SMOOTH_FPS for width, _, fps in entry["sizes"])
