"""Where frames come from and where the page listens: the grammar, pipelines made of it, what cameras and browsers send.
Runs on Python 3.6."""

import argparse
import contextlib
import io
from unittest import mock

from ccc_jetson.clean_text import without_secrets
from ccc_jetson.errors import CccError
from ccc_jetson.runtime.frames import gstreamer, rtsp
from ccc_jetson.runtime.frames.elements import element_names
from ccc_jetson.runtime.run_cli import build_parser
from ccc_jetson.runtime.serve.access import is_local_name, is_same_origin, token_for
from ccc_jetson.runtime.serve.address import parse_address
from ccc_jetson.runtime.source_arguments import files_of, source_of
from ccc_jetson.runtime.source_grammar import (
    CsiCamera,
    RtspStream,
    SyntheticScene,
    V4l2Camera,
    VideoPath,
    is_live,
    kind_of,
    parse_source,
)
from tests.fuzz.law import Fault, check_error
from tests.fuzz.target import Target, written

_TAME = {
    V4l2Camera: (V4l2Camera("/dev/video0"), lambda it: gstreamer.v4l2_mjpg(it.device, (64, 48), it.fps, True, False)),
    CsiCamera: (CsiCamera(0), lambda it: gstreamer.csi(it.sensor, it.size, it.fps, 0, True)),
    RtspStream: (
        RtspStream("rtsp://host/a"),
        lambda it: gstreamer.rtsp(it.url, it.transport, it.latency_ms, "h264", True, True),
    ),
    VideoPath: (VideoPath("a.mp4"), lambda it: gstreamer.video(it.path, True)),
}


def _source(data):
    text = data.decode("utf-8", "surrogateescape").replace("\0", "")  # no argument of a command has one
    source = parse_source(text)
    kind_of(source), is_live(source)
    if isinstance(source, SyntheticScene) and parse_source(source.shown) != source._replace(
        fps=float("%g" % source.fps)
    ):
        raise Fault("round trip", source.shown, "source_grammar")
    if isinstance(source, RtspStream):
        _hides(source)
    tame = _TAME.get(type(source))
    if tame is not None:
        pipeline = tame[1](source)
        if element_names(pipeline) != element_names(tame[1](tame[0])):
            raise Fault("another pipeline", pipeline, "gstreamer")


def _hides(stream):
    """The password of a network camera is in nothing that people see; USER:PASSWORD is our own example."""
    login = stream.url.partition("://")[2].rpartition("@")[0]
    password = login.partition(":")[2]
    if (
        login != "USER:PASSWORD"
        and len(password) > 6
        and password in stream.shown + repr(stream) + stream.hide("cannot open " + stream.url)
    ):
        raise Fault("password", stream.shown, "source_grammar")


def _source_seeds():
    return [
        b"0", b"/dev/video0?size=640x480&fps=29.97", b"v4l2:///dev/video0?format=mjpg&size=1280x720&fps=30",
        b"csi://0?size=1920x1080&fps=30&flip=2", b"rtsp://USER:PASS%40WORD@HOST:554/PATH?a=1#transport=udp&latency=100",
        b"rtsps://[::1]/a#codec=h265", b"drive.mp4", b"file:///home/me/drive.mp4", b"frames/", b"picture.png",
        b"synthetic://?size=1280x720&fps=30&frames=300&live=1",
    ]  # fmt: skip


def _arguments(data):
    """``ccc-run`` and its words, apart by zero bytes: understood, or refused as argparse does."""
    words = [word.decode("utf-8", "surrogateescape") for word in data.split(b"\0")[:20]]
    if any(word.startswith(("--h", "-h", "--ver", "--print")) for word in words):
        return
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            arguments = build_parser().parse_args(words)
        except SystemExit as error:
            if error.code != 2:
                raise Fault("exit code", repr(error.code), "ccc-run")
            return
    files_of(source_of(arguments))


def _argument_seeds():
    words = ("--model", "model.engine", "drive.mp4", "--out", "a.mp4", "--frames", "10", "--fit", "crop")
    return [
        "\0".join(words).encode("ascii"),
        b"--model\0m.onnx\0--csi\x000?flip=2\0--report\0a.html",
        b"--camera\x000\0--reconnect-for\x0010\0--memory\0pinned=copy",
    ]


class _Camera:
    """A socket from which the input comes, in pieces."""

    def __init__(self, data):
        self._data = data

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        pass

    def settimeout(self, seconds):
        pass

    def sendall(self, data):
        pass

    def recv(self, most):
        piece, self._data = self._data[:1000], self._data[1000:]
        return piece


def _answer(data):
    with mock.patch("socket.create_connection", lambda *arguments: _Camera(data)):
        answer = rtsp.ask(RtspStream("rtsp://host/stream"))
    if answer is not None and (answer.codec not in ("", "h264", "h265") or not 0 <= answer.status <= 999):
        raise Fault("answer", repr(answer), "rtsp")


def _answers():
    body = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n"
    head = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(body)
    refusals = (b"401 Unauthorized", b"404 Not Found", b"453 Not Enough Bandwidth")
    return [head + body, *(b"RTSP/1.0 " + each + b"\r\nCSeq: 1\r\n\r\n" for each in refusals)]


def _access(data):
    text = data.decode("latin-1")
    with contextlib.suppress(argparse.ArgumentTypeError):
        address = parse_address(text)
        if not 0 <= address.port <= 65535:
            raise Fault("port", repr(address), "address")
    host, _, origin = text.partition("\n")
    is_local_name(host), is_same_origin(origin, host)
    for given in (text, "@" + written("token", data)):
        try:
            token = token_for(False, given)
        except (CccError, OSError, ValueError) as error:
            if not isinstance(error, CccError):
                raise
            check_error(error)
            if len(text) > 6 and text in str(error):
                raise Fault("token in a message", str(error), "access")
        else:
            token.matches(text), token.matches_cookie(text), token.cookie


def _access_seeds():
    return [
        b"127.0.0.1:8080\nhttp://127.0.0.1:8080",
        b"[::1]:8080",
        b"localhost:9000\nnull",
        b"0123456789abcdef-._~+/=",
    ]


def _secrets(data):
    """What hides passwords must not take its time over a long line."""
    without_secrets(data.decode("utf-8", "replace"))


TARGETS = (
    Target(
        "source",
        _source,
        _source_seeds,
        ("runtime/source_grammar.py", "runtime/frames/gstreamer.py", "runtime/frames/elements.py"),
    ),
    Target(
        "ccc-run's arguments", _arguments, _argument_seeds, ("runtime/source_arguments.py", "src/ccc_jetson/command.py")
    ),
    Target("camera's answer", _answer, _answers, ("runtime/frames/rtsp.py",)),
    Target("who may see the page", _access, _access_seeds, ("runtime/serve/access.py", "runtime/serve/address.py")),
    Target(
        "secrets in a text",
        _secrets,
        lambda: [b"cannot open rtsp://user:password@host/a?token=abc&x=1", b"user-pw=secret " * 3, b"pass" * 400],
        ("src/ccc_jetson/clean_text.py",),
    ),
)
