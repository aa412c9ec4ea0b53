"""One grammar for where frames come from, on every command line.

    0, /dev/video0, v4l2:///dev/video0?format=mjpg&size=1280x720&fps=30
    csi://0?size=1920x1080&fps=30&flip=0
    rtsp://USER:PASSWORD@HOST/PATH#transport=tcp&latency=100&codec=h264
    drive.mp4, file:///home/me/drive.mp4, frames/, picture.png
    synthetic://?size=1280x720&fps=30&frames=300&live=0

What follows a ``?`` belongs to the source; an RTSP camera has a ``?`` of its own, so options for it follow a ``#``.
Imports neither numpy nor OpenCV, because the command lines' help has its lines.
"""

import difflib
import math
import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union
from urllib.parse import quote, unquote, urlsplit

from ccc_jetson.clean_text import HIDDEN, clean, message_without_secrets, without_secrets
from ccc_jetson.errors import UsageError

Size = Tuple[int, int]

DEFAULT_SIZE: Size = (1280, 720)
DEFAULT_CSI_SIZE: Size = (1920, 1080)
DEFAULT_FPS = 30.0
FORMATS = MJPG, YUYV_FORMAT, ANY_FORMAT = ("mjpg", "yuyv", "any")
TRANSPORTS = ("tcp", "udp")
CODECS = ("h264", "h265")
PASSWORD_VARIABLE = "CCC_RTSP_PASSWORD"  # of a URL that names a user alone: the list of processes does not show it
SYNTHETIC_FRAMES = 300  # of a scene that is not live, where nothing else is said
_LONGEST_SIDE, _HIGHEST_FPS, _HIGHEST_SENSOR, _LONGEST_LATENCY_MS = 16384, 1000.0, 15, 10000
_LONGEST_LABEL = 63  # of a host's name (RFC 1035)

# One line of help for each kind, in the order in which people use them
V4L2_LINE = "v4l2:///dev/video0?format=mjpg|yuyv|any&size=1280x720&fps=30, or /dev/video0, or 0"
CSI_LINE = "csi://0?size=1920x1080&fps=30&flip=0..7"
RTSP_LINE = "rtsp://USER:PASSWORD@HOST:554/PATH#transport=tcp|udp&latency=100&codec=h264|h265 (rtsps:// as well)"
FILE_LINE = "drive.mp4, file:///home/me/drive.mp4, frames/, or picture files"
SYNTHETIC_LINE = "synthetic://?size=1280x720&fps=30&frames=300&live=0|1"
LINES = (V4L2_LINE, CSI_LINE, RTSP_LINE, FILE_LINE, SYNTHETIC_LINE)


class V4l2Camera(NamedTuple):
    """A camera that Linux shows as /dev/videoN. ``size`` None is the default; ``device`` is a path or a number."""

    device: str
    size: Optional[Size] = None
    fps: float = DEFAULT_FPS
    format: str = MJPG

    @property
    def shown(self) -> str:
        """The source for people."""
        return "/dev/video" + self.device if self.device.isdigit() else self.device


class CsiCamera(NamedTuple):
    """A camera at a Jetson's CSI connector, by its number for Argus; ``flip`` is nvvidconv's ``flip-method``."""

    sensor: int
    size: Size = DEFAULT_CSI_SIZE
    fps: float = DEFAULT_FPS
    flip: int = 0

    @property
    def shown(self) -> str:
        """The source for people."""
        return "csi://{}".format(self.sensor)


class RtspStream(NamedTuple):
    """A network camera. ``url`` has the password, if any, and goes to nobody but the camera; people see ``shown``.

    ``codec`` is "" where the camera is asked.
    """

    url: str
    transport: str = "tcp"
    latency_ms: int = 100
    codec: str = ""

    @property
    def shown(self) -> str:
        """The source for people, without its user and password."""
        return without_secrets(self.url)

    def hide(self, text: str) -> str:
        """``text`` of a library, without this source's password."""
        password = urlsplit(self.url).password or ""
        for secret in (self.url, password, unquote(password)):
            if secret:
                text = text.replace(secret, self.shown if secret == self.url else HIDDEN)
        return without_secrets(text)

    def __repr__(self) -> str:
        return "RtspStream({})".format(self.shown)


class VideoPath(NamedTuple):
    """A video file."""

    path: str

    @property
    def shown(self) -> str:
        """The source for people."""
        return self.path


class PicturePaths(NamedTuple):
    """Picture files, and folders of them."""

    paths: Tuple[str, ...]

    @property
    def shown(self) -> str:
        """The source for people."""
        return ", ".join(self.paths)


class SyntheticScene(NamedTuple):
    """A drawn road. ``live`` gives a frame when it is due, and no other; ``frames`` None is without end."""

    size: Size = DEFAULT_SIZE
    fps: float = DEFAULT_FPS
    frames: Optional[int] = SYNTHETIC_FRAMES
    live: bool = False

    @property
    def shown(self) -> str:
        """The source for people."""
        return "synthetic://?size={}x{}&fps={:g}{}{}".format(
            self.size[0],
            self.size[1],
            self.fps,
            "" if self.frames is None else "&frames={}".format(self.frames),
            "&live=1" if self.live else "",
        )


Source = Union[V4l2Camera, CsiCamera, RtspStream, VideoPath, PicturePaths, SyntheticScene]
_KINDS = {
    V4l2Camera: "v4l2",
    CsiCamera: "csi",
    RtspStream: "rtsp",
    VideoPath: "video",
    PicturePaths: "pictures",
    SyntheticScene: "synthetic",
}


def kind_of(source: Source) -> str:
    """The source's kind in one word, for reports."""
    return _KINDS[type(source)]


def is_live(source: Source) -> bool:
    """Whether the source does not wait for whoever reads it."""
    return (
        source.live if isinstance(source, SyntheticScene) else isinstance(source, (V4l2Camera, CsiCamera, RtspStream))
    )


def parse_source(text: str) -> Source:
    """What ``text`` names.

    Raises:
        UsageError: an unknown scheme, parameter or value, with the closest one that exists and the grammar's line.
    """
    if not text:
        raise UsageError("an empty source", hint=_all_lines())
    scheme, separator, _ = text.partition("://")
    if separator:
        parse = _SCHEMES.get(scheme.lower())
        if parse is None:
            raise UsageError(
                "{}: unknown scheme {!r}; {}".format(_safe(text), clean(scheme), _closest(scheme, _SCHEMES)),
                hint=_all_lines(),
            )
        return parse(text)
    device = re.match(r"(\d+|/dev/[^?]*)(?:\?(.*))?$", text)
    if device is not None:
        return _v4l2_of(text, device.group(1), device.group(2) or "")
    return _path(text)


def parse_sources(texts: Sequence[str]) -> Source:
    """What one or more arguments name: one source, or several pictures and folders of them.

    Raises:
        UsageError: as ``parse_source``; several that are not all pictures.
    """
    parsed = [parse_source(text) for text in texts]
    if len(parsed) == 1:
        return parsed[0]
    paths: List[str] = []
    for each in parsed:
        if not isinstance(each, PicturePaths):
            raise UsageError(
                "several sources, and {} is none of pictures; a run has one source".format(clean(each.shown)),
                hint="only picture files and folders of them may be several",
            )
        paths.extend(each.paths)
    return PicturePaths(tuple(paths))


def camera_source(text: str) -> V4l2Camera:
    """What ``--camera`` names: a path, a number, or ``v4l2://...``."""
    if "://" in text:
        parsed = parse_source(text)
        if not isinstance(parsed, V4l2Camera):
            raise UsageError(
                "--camera takes /dev/videoN or N, this is {}".format(_safe(text)), hint="without the option: ccc-run "
                + parsed.shown
            )  # fmt: skip
        return parsed
    path, _, query = text.partition("?")
    return _v4l2_of(text, path, query)


def csi_source(text: str) -> CsiCamera:
    """What ``--csi`` names: a sensor's number, with parameters where wanted, or ``csi://...``."""
    return _csi(text if "://" in text else "csi://" + text)


def rtsp_source(text: str) -> RtspStream:
    """What ``--rtsp`` names."""
    return _rtsp(text)


def _v4l2(text: str) -> V4l2Camera:
    rest, _, query = text.partition("://")[2].partition("?")
    if not re.match(r"(\d+|/.+)$", rest):
        raise UsageError("{}: names no device".format(_safe(text)), hint=V4L2_LINE)
    return _v4l2_of(text, rest, query)


def _v4l2_of(text: str, device: str, query: str) -> V4l2Camera:
    known = {"size": _size, "fps": _fps, "format": _one_of(FORMATS)}
    return V4l2Camera(device, **_parameters(text, query, known, V4L2_LINE))


def _csi(text: str) -> CsiCamera:
    scheme, _, rest = text.partition("://")
    sensor, _, query = rest.partition("?")
    if scheme.lower() != "csi" or not re.match(r"\d{1,2}$", sensor) or int(sensor) > _HIGHEST_SENSOR:
        raise UsageError(
            "{}: names no CSI camera; expected a number from 0 to {}".format(_safe(text), _HIGHEST_SENSOR),
            hint=CSI_LINE,
        )
    known = {"size": _even_size, "fps": _fps, "flip": _whole(0, 7)}
    return CsiCamera(int(sensor), **_parameters(text, query, known, CSI_LINE))


def _rtsp(text: str) -> RtspStream:
    url, _, options = text.partition("#")
    # GStreamer's and FFmpeg's syntax begin with these; a URL has them as %22 and so on
    bad = re.search(r"[^!$%&()*+,./0-9:;=?@A-Z\[\]_a-z~-]", url)
    if bad is not None:
        raise UsageError(
            "{}: {!r} does not belong into a URL".format(_safe(text), bad.group()),
            hint="write it as {}; in a password as well".format(
                "".join("%{:02X}".format(byte) for byte in bad.group().encode("utf-8", "replace"))
            ),
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port  # a ValueError where it is no number
    except ValueError:
        parts, host, port = urlsplit("rtsp://"), "", None
    if parts.scheme not in ("rtsp", "rtsps") or not is_host(host) or port == 0:
        raise UsageError("{}: names no host that can be asked".format(_safe(text)), hint=RTSP_LINE)
    if url.count("@") > 1 or "@" in parts.path + parts.query:
        raise UsageError(
            # no such sign in our own words: all up to the last one is hidden as a password
            "{}: has more than one at sign, or one behind the host".format(_safe(text)),
            hint="write it as %40 in a password",
        )
    known = {
        "transport": _one_of(TRANSPORTS), "latency": _whole(0, _LONGEST_LATENCY_MS), "codec": _one_of(CODECS)
    }  # fmt: skip
    given = _parameters(text, options, known, RTSP_LINE)
    if "latency" in given:
        given["latency_ms"] = given.pop("latency")
    password = os.environ.get(PASSWORD_VARIABLE)
    if parts.username and parts.password is None and password:
        url = url.replace("@", ":{}@".format(quote(os.fsencode(password), safe="")))
    return RtspStream(url, **given)


def is_host(text: str) -> bool:
    """Whether this may be a host's name or address: DNS has parts of 1 to 63 characters, and a dot may end the last."""
    if not re.match(r"[0-9A-Za-z.:_-]+$", text):
        return False
    name = text[:-1] if text.endswith(".") else text
    return ":" in text or all(1 <= len(part) <= _LONGEST_LABEL for part in name.split("."))


def _file(text: str) -> Source:
    rest = text.partition("://")[2]
    if not rest.startswith("/"):
        raise UsageError(
            "{}: a file's URL has three slashes and then its whole path".format(_safe(text)), hint=FILE_LINE
        )
    path = unquote(rest)
    if "\0" in path:
        raise UsageError("{}: no file's name has a %00".format(_safe(text)), hint=FILE_LINE)
    return _path(path)


def _path(path: str) -> Source:
    """A folder, a picture by its name's end, else a video."""
    from ccc_jetson.images import SUFFIXES  # needs numpy, which --help does not load

    if path.endswith("/") or os.path.isdir(path) or path.lower().endswith(SUFFIXES):
        return PicturePaths((path,))
    return VideoPath(path)


def _synthetic(text: str) -> SyntheticScene:
    rest, _, query = text.partition("://")[2].partition("?")
    if rest.strip("/"):
        raise UsageError("{}: a drawn scene has no name".format(_safe(text)), hint=SYNTHETIC_LINE)
    known = {"size": _even_size, "fps": _fps, "frames": _whole(1, 10**9), "live": _whole(0, 1)}
    given = _parameters(text, query, known, SYNTHETIC_LINE)
    given["live"] = bool(given.get("live", 0))
    if given["live"]:
        given.setdefault("frames", None)
    return SyntheticScene(**given)


_SCHEMES: Dict[str, Callable[[str], Source]] = {
    "v4l2": _v4l2,
    "csi": _csi,
    "rtsp": _rtsp,
    "rtsps": _rtsp,
    "file": _file,
    "synthetic": _synthetic,
}


def _parameters(text: str, query: str, known: Dict[str, Callable[[str], Any]], line: str) -> Dict[str, Any]:
    """``size=640x480&fps=30`` -> {"size": (640, 480), "fps": 30.0}."""
    given: Dict[str, Any] = {}
    for piece in query.split("&") if query else []:
        name, _, value = piece.partition("=")
        if name not in known:
            raise UsageError(
                "{}: unknown parameter {!r}; {}".format(_safe(text), clean(name), _closest(name, known)), hint=line
            )
        if name in given:
            raise UsageError("{}: {} is given twice".format(_safe(text), name), hint=line)
        try:
            given[name] = known[name](value)
        except ValueError as wrong:
            raise UsageError("{}: {}={}: {}".format(_safe(text), name, clean(value), wrong), hint=line)
    return given


def _size(value: str) -> Size:
    match = re.match(r"(\d{1,5})[xX](\d{1,5})$", value)
    if match is None or not all(1 <= int(side) <= _LONGEST_SIDE for side in match.groups()):
        raise ValueError("expected WIDTHxHEIGHT, as in 1280x720")
    return int(match.group(1)), int(match.group(2))


def _even_size(value: str) -> Size:
    width, height = _size(value)
    if width % 2 or height % 2:
        raise ValueError("expected an even width and an even height")
    return width, height


def _fps(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number <= _HIGHEST_FPS:
        raise ValueError("expected frames per second, as in 30 or 29.97")
    return number


def _whole(least: int, most: int) -> Callable[[str], int]:
    def number(value: str) -> int:
        if not re.match(r"[0-9]{1,10}$", value) or not least <= int(value) <= most:
            raise ValueError("expected a whole number from {} to {}".format(least, most))
        return int(value)

    return number


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    def choice(value: str) -> str:
        if value.lower() not in choices:
            raise ValueError(_closest(value, choices))
        return value.lower()

    return choice


def _closest(word: str, known: Any) -> str:
    """``did you mean rtsp? expected one of ...``."""
    matches = difflib.get_close_matches(word.lower(), list(known), 1, 0.4)
    return "{}expected one of {}".format("did you mean {}? ".format(matches[0]) if matches else "", ", ".join(known))


def _all_lines() -> str:
    return "sources are:\n     " + "\n     ".join(LINES)


def _safe(text: str) -> str:
    """What the user wrote, fit for a terminal and without secrets."""
    return message_without_secrets(clean(text))
