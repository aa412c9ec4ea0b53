"""Network cameras: what one says of itself, and the ways to open it."""

import contextlib
import os
import re
import socket
import threading
import time
from typing import Any, Iterator, List, NamedTuple, Optional
from urllib.parse import urlsplit

from ccc_jetson.clean_text import clean
from ccc_jetson.errors import SourceError
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.frames import gstreamer
from ccc_jetson.runtime.frames.attempts import (
    Attempt,
    Here,
    Opened,
    gstreamer_attempt,
    opened_capture,
    stated_format,
    stated_fps,
)
from ccc_jetson.runtime.pixels import BGR, NV12
from ccc_jetson.runtime.source_grammar import CODECS, PASSWORD_VARIABLE, RtspStream

_DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}
_ASK_S = 5.0
_MOST_BYTES = 64 << 10
# FFmpeg's own patience is longer than the watchdog's, so that a thread that was given up still comes to its end
_TIMEOUT_S = 10
_PASSWORD_HINT = (
    "rtsp://USER:PASSWORD@HOST/PATH, with %40 for an @ in the password; or rtsp://USER@HOST/PATH, and the password in "
    "the variable " + PASSWORD_VARIABLE
)
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


class Answer(NamedTuple):
    """A camera's answer to a DESCRIBE without a password: the status, and the codec where it told one."""

    status: int
    codec: str


def ask(stream: RtspStream) -> Optional[Answer]:
    """Asks the camera for its stream's description; None where it answers in nothing that is known (``rtsps`` is not
    asked, only reached).

    Raises:
        SourceError: it cannot be reached, has no such stream, or wants a password and none is given.
    """
    parts = urlsplit(stream.url)
    host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
    in_url = "[{}]".format(host) if ":" in host else host  # an IPv6 address; ping takes it bare
    try:
        with socket.create_connection((host, port), _ASK_S) as connection:
            if parts.scheme == "rtsps":
                return None
            text = _described(connection, parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
    except socket.gaierror:
        raise SourceError("{}: there is no host of the name {}".format(stream.shown, host), hint="ping {}".format(host))
    except socket.timeout:
        raise SourceError(
            "{}: {}:{} does not answer within {:g} s".format(stream.shown, in_url, port, _ASK_S),
            hint="ping {}; is the camera on, and in this network?".format(host),
        )
    except ConnectionRefusedError:
        raise SourceError(
            "{}: {} is there, but nothing listens on port {}".format(stream.shown, host, port),
            hint="switch RTSP on in the camera's settings, or give its port: rtsp://{}:PORT/...".format(in_url),
        )
    except OSError as error:
        raise SourceError(
            "{}: {}:{} cannot be reached: {}".format(stream.shown, in_url, port, error.strerror or error),
            hint="ping {}".format(host),
        )
    return _answer(stream, text)


def _described(connection: socket.socket, url: str) -> str:
    """The answer to a DESCRIBE, as text. One deadline for all of it: bytes that drip are no answer."""
    until_s = time.monotonic() + _ASK_S
    connection.settimeout(_ASK_S)
    connection.sendall(
        "DESCRIBE {} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\nUser-Agent: ccc-run\r\n\r\n".format(url).encode(
            "ascii"
        )
    )
    data = b""
    while len(data) < _MOST_BYTES:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise socket.timeout("the answer is not whole")
        connection.settimeout(left_s)
        piece = connection.recv(4096)
        data += piece
        head, end, body = data.partition(b"\r\n\r\n")
        # Content-Length: 460
        length = re.search(rb"(?im)^content-length:\s*(\d{1,6})\s*$", head)
        if not piece or (end and len(body) >= (int(length.group(1)) if length else 0)):
            break
    return data.decode("utf-8", "replace")


def _answer(stream: RtspStream, text: str) -> Optional[Answer]:
    # RTSP/1.0 401 Unauthorized
    first = re.match(r"RTSP/\d\.\d (\d{3})([^\r\n]*)", text)
    if first is None:
        return None
    status = int(first.group(1))
    if status == 401 and urlsplit(stream.url).username is None:
        raise SourceError(
            "{}: the camera asks for a user and a password".format(stream.shown),
            hint=_PASSWORD_HINT,
        )
    if status == 404:
        raise SourceError(
            "{}: the camera has no stream of that path".format(stream.shown),
            hint="its manual, or ONVIF, has the path, such as /stream1 or /Streaming/Channels/101",
        )
    if status >= 400 and status != 401:
        raise SourceError(
            "{}: the camera refuses it: {}{}".format(stream.shown, status, clean(first.group(2))[:80]),
            hint="too many viewers is a usual cause; restart the camera",
        )
    # a=rtpmap:96 H265/90000
    codec = re.search(r"(?im)^a=rtpmap:\d+ (H26[45])/", text)
    return Answer(status, codec.group(1).lower() if codec else "")


def rtsp_attempts(stream: RtspStream, machine: Here, answer: Optional[Answer]) -> List[Attempt]:
    """On a Jetson its video decoder, then the CPU's, through GStreamer; then, and elsewhere, FFmpeg."""
    attempts: List[Attempt] = []
    codec = stream.codec or (answer.codec if answer is not None else "")
    if machine.jetson:
        for each in (codec,) if codec else CODECS:
            for decoder, hardware in (("NVIDIA's decoder", True), ("the CPU", False)):
                attempts.append(_piped(stream, each, hardware, decoder, machine))
    attempts.append(Attempt("FFmpeg, " + stream.transport.upper(), lambda: _opened(stream), hide=stream.hide))
    return attempts


def _piped(stream: RtspStream, codec: str, hardware: bool, decoder: str, machine: Here) -> Attempt:
    def pipeline(url: str) -> str:
        return gstreamer.rtsp(url, stream.transport, stream.latency_ms, codec, machine.raw, hardware)

    return gstreamer_attempt(
        "GStreamer, {} by {}".format(codec.upper(), decoder),
        pipeline(stream.shown),
        NV12 if machine.raw else BGR,
        machine,
        lambda: pipeline(stream.url),
        stream.hide,
    )


def _opened(stream: RtspStream) -> Opened:
    cv2 = import_cv2()
    try:
        with ffmpeg_options(stream.transport):
            capture = opened_capture(lambda: _capture(cv2, stream.url), "FFmpeg cannot open it", stream.hide)
    except SourceError:
        answer = ask(stream)  # raises where that knows why
        if answer is not None and answer.status == 401:
            raise SourceError(
                "FFmpeg cannot open it; the camera asks for a password, so the user or the password may be wrong",
                hint=_PASSWORD_HINT,
            )
        raise
    return Opened(capture, BGR, stated_format(capture), stated_fps(capture), "FFMPEG")


def _capture(cv2: Any, url: str) -> Any:
    """FFmpeg with a timeout where this OpenCV has one (from 4.5.2 on)."""
    properties = []
    for name in ("CAP_PROP_OPEN_TIMEOUT_MSEC", "CAP_PROP_READ_TIMEOUT_MSEC"):
        if hasattr(cv2, name):
            properties.extend([getattr(cv2, name), 1000 * _TIMEOUT_S])
    if not properties:
        return cv2.VideoCapture(url, cv2.CAP_FFMPEG)
    return cv2.VideoCapture(url, cv2.CAP_FFMPEG, properties)


_environment = threading.Lock()


@contextlib.contextmanager
def ffmpeg_options(transport: str) -> Iterator[None]:
    """OpenCV's only way to give FFmpeg options, set for one open; what the user has set stays.

    ``stimeout`` is FFmpeg's up to 4; 5 does not know it, and its ``timeout`` made 4 wait for a camera that calls.
    """
    options = "rtsp_transport;{}|stimeout;{}|fflags;nobuffer|flags;low_delay".format(transport, 1000000 * _TIMEOUT_S)
    with _environment:
        ours = _OPTIONS not in os.environ
        if ours:
            os.environ[_OPTIONS] = options
    try:
        yield
    finally:
        with _environment:
            if ours and os.environ.get(_OPTIONS) == options:
                del os.environ[_OPTIONS]
