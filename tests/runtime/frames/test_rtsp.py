"""Network cameras: a server that speaks RTSP, read by FFmpeg as it is; and what a camera answers to a question."""

import os
import socket
import threading
import time

import pytest

from ccc_jetson.errors import SourceError
from ccc_jetson.runtime.frames import live, rtsp
from ccc_jetson.runtime.frames.attempts import Here
from ccc_jetson.runtime.frames.opening import open_source
from ccc_jetson.runtime.frames.rtsp import Answer, ask, ffmpeg_options, rtsp_attempts
from ccc_jetson.runtime.source_grammar import RtspStream, parse_source
from tests.doubles.rtsp_server import SIZE, RtspServer, number_of

OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


def opened(url, **patience):
    return open_source(parse_source(url), patience=live.DEFAULT_PATIENCE._replace(**patience), tell=lambda line: None)


def test_a_stream_is_read_and_its_lag_does_not_grow():
    with RtspServer() as server, opened(server.url) as source:
        assert source.live and source.size == SIZE
        assert source.details.backend == "FFMPEG" and source.details.kind == "rtsp"
        lags, numbers = [], []
        for _ in range(20):
            frame = source.read()
            numbers.append(number_of(frame.image))
            lags.append(server.sent - numbers[-1])
            time.sleep(0.15)  # a network four times too slow for 25 FPS
        print(lags)
        # read one by one, the last of the twenty would be some sixty frames behind
        assert max(lags[10:]) <= 25
        assert numbers == sorted(numbers) and source.replaced > 20


def test_a_camera_whose_power_fails_comes_back():
    server = RtspServer()
    port = server.port
    servers = [server]

    def back():
        servers.append(RtspServer(port))

    with opened(server.url, first_delay_s=0.1, longest_delay_s=0.3, stall_s=2.0) as source:
        assert source.read() is not None
        server.close()
        threading.Timer(1.0, back).start()
        while source.details.reconnects == 0:
            assert source.read() is not None
        assert number_of(source.read().image) >= 0
    servers[-1].close()


def test_a_camera_that_falls_silent_is_given_up_without_waiting_for_ffmpeg():
    with RtspServer() as server:
        with opened(server.url, stall_s=0.5, reconnect_for_s=0.0) as source:
            source.read()
            server.silent.set()
            with pytest.raises(SourceError, match="nothing came for"):
                while True:
                    source.read()


def test_a_user_and_a_password_are_given_to_the_camera_and_to_nobody_else(capfd):
    with RtspServer(user="me", password="s3c@ret:/") as server:
        assert "s3c%40ret%3A%2F" in server.url
        with opened(server.url) as source:
            source.read()
            texts = [source.description, repr(source.details), str(source.details.to_json())]
        assert "127.0.0.1" in texts[0] and "***@" in texts[0]
        with pytest.raises(SourceError) as caught:
            opened(server.url.replace("s3c%40ret%3A%2F", "wr0ng"))
        with pytest.raises(SourceError, match="asks for a user and a password") as without:
            opened(server.url.replace("me:s3c%40ret%3A%2F@", ""))
    assert "the user or the password may be wrong" in str(caught.value)
    assert caught.value.hint == without.value.hint == (
        "rtsp://USER:PASSWORD@HOST/PATH, with %40 for an @ in the password; or rtsp://USER@HOST/PATH, and the password "
        "in the variable CCC_RTSP_PASSWORD"
    )  # fmt: skip
    out, err = capfd.readouterr()
    for text in [*texts, str(caught.value), str(without.value), out, err]:
        assert "s3c" not in text and "wr0ng" not in text


def test_a_password_from_the_variable_reaches_the_camera(monkeypatch):
    monkeypatch.setenv("CCC_RTSP_PASSWORD", "s3c@ret:/")
    with RtspServer(user="me", password="s3c@ret:/") as server:
        with opened(server.url.replace(":s3c%40ret%3A%2F", "")) as source:
            assert source.read() is not None
            assert "s3c" not in source.description + str(source.details)


def test_a_stream_that_is_not_there_is_told_from_a_camera_that_is_not():
    with RtspServer() as server:
        with pytest.raises(SourceError, match="the camera has no stream of that path") as caught:
            opened("rtsp://127.0.0.1:{}/other".format(server.port))
        assert "/Streaming/Channels/101" in caught.value.hint
        port = server.port
    with pytest.raises(SourceError, match="is there, but nothing listens on port {}".format(port)):
        opened("rtsp://127.0.0.1:{}/stream".format(port))


@pytest.mark.parametrize("error, message, hint", [
    (socket.gaierror(-2, "Name or service not known"), "there is no host of the name cam", "ping cam"),
    (socket.timeout("timed out"), "cam:554 does not answer within 5 s", "is the camera on"),
    (OSError(113, "No route to host"), "cam:554 cannot be reached: No route to host", "ping cam"),
])  # fmt: skip
def test_a_camera_that_cannot_be_reached(monkeypatch, error, message, hint):
    def failing(address, timeout):
        assert address == ("cam", 554)
        raise error

    monkeypatch.setattr(socket, "create_connection", failing)
    with pytest.raises(SourceError, match=message) as caught:
        ask(RtspStream("rtsp://me:secret@cam/x"))
    assert hint in caught.value.hint
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("error, message, hint", [
    (socket.timeout("timed out"), "[fe80::1]:8554 does not answer within 5 s", "ping fe80::1;"),
    (ConnectionRefusedError(), "fe80::1 is there, but nothing listens on port 8554", "rtsp://[fe80::1]:PORT/..."),
    (OSError(113, "No route to host"), "[fe80::1]:8554 cannot be reached: No route to host", "ping fe80::1"),
])  # fmt: skip
def test_an_ipv6_address_has_its_brackets_where_a_port_follows(monkeypatch, error, message, hint):
    def failing(address, timeout):
        assert address == ("fe80::1", 8554)
        raise error

    monkeypatch.setattr(socket, "create_connection", failing)
    with pytest.raises(SourceError) as caught:
        ask(RtspStream("rtsp://[fe80::1]:8554/x"))
    assert message in str(caught.value) and hint in caught.value.hint


class Answering:
    """A connection that gives ``pieces`` and keeps what it was asked."""

    def __init__(self, *pieces):
        self.pieces, self.asked = list(pieces), b""

    def settimeout(self, seconds):
        pass

    def sendall(self, data):
        self.asked += data

    def recv(self, size):
        return self.pieces.pop(0) if self.pieces else b""

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        pass


SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n"


@pytest.mark.parametrize("pieces, expected", [
    ([b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SDP), SDP[:10], SDP[10:]], Answer(200, "h265")),
    ([b"RTSP/1.0 200 OK\r\n\r\n" + SDP.replace(b"H265", b"h264")], Answer(200, "h264")),
    ([b"RTSP/1.0 401 Unauthorized\r\n\r\n"], Answer(401, "")),
    ([b"RTSP/1.0 200 OK\r\nContent-Length: 99999\r\n\r\nshort"], Answer(200, "")),
    ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], None),
    ([], None),
    ([b"\xff\xfe" * 100000], None),
])  # fmt: skip
def test_what_a_camera_answers(monkeypatch, pieces, expected):
    connection = Answering(*pieces)
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: connection)
    assert ask(RtspStream("rtsp://me:secret@cam/x")) == expected
    assert connection.asked.startswith(b"DESCRIBE rtsp://cam/x RTSP/1.0\r\n")  # without the password


def test_a_refusal_is_shown_and_cannot_steer_the_terminal(monkeypatch):
    answer = Answering(b"RTSP/1.0 453 Not \x1b[31m Enough Bandwidth\r\n\r\n")
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: answer)
    with pytest.raises(SourceError, match="the camera refuses it: 453 Not") as caught:
        ask(RtspStream("rtsp://cam/x"))
    assert "\x1b" not in str(caught.value)


def test_an_encrypted_stream_is_reached_and_not_asked(monkeypatch):
    connection = Answering()
    seen = []
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: seen.append(address) or connection)
    assert ask(RtspStream("rtsps://cam/x")) is None
    assert (seen, connection.asked) == ([("cam", 322)], b"")


def test_ffmpegs_options_are_set_for_one_open(monkeypatch):
    monkeypatch.delenv(OPTIONS, raising=False)
    with ffmpeg_options("udp"):
        assert os.environ[OPTIONS].startswith("rtsp_transport;udp|stimeout;10000000|")
    assert OPTIONS not in os.environ
    with pytest.raises(ValueError), ffmpeg_options("tcp"):
        raise ValueError
    assert OPTIONS not in os.environ


def test_the_users_own_options_for_ffmpeg_stay(monkeypatch):
    monkeypatch.setenv(OPTIONS, "rtsp_transport;udp")
    with ffmpeg_options("tcp"):
        assert os.environ[OPTIONS] == "rtsp_transport;udp"
    assert os.environ[OPTIONS] == "rtsp_transport;udp"


@pytest.mark.parametrize("codec, answer, names", [
    ("", Answer(200, "h265"), ["H265 by NVIDIA's decoder", "H265 by the CPU"]),
    ("h264", Answer(200, "h265"), ["H264 by NVIDIA's decoder", "H264 by the CPU"]),
    ("", None, ["H264 by NVIDIA's decoder", "H264 by the CPU", "H265 by NVIDIA's decoder", "H265 by the CPU"]),
])  # fmt: skip
def test_on_a_jetson_the_decoders_are_tried_before_ffmpeg(codec, answer, names):
    stream = RtspStream("rtsp://me:secret@cam/x", codec=codec)
    attempts = rtsp_attempts(stream, Here(jetson=True, gstreamer=True, raw=True), answer)
    assert [attempt.name for attempt in attempts] == ["GStreamer, " + name for name in names] + ["FFmpeg, TCP"]
    assert all('location="rtsp://***@cam/x"' in attempt.pipeline for attempt in attempts[:-1])
    assert [each.name for each in rtsp_attempts(stream, Here(False, True), answer)] == ["FFmpeg, TCP"]


def test_the_pipeline_that_runs_has_the_password_that_nobody_sees(monkeypatch):
    from tests.doubles.cameras import TX2, FakeCamera, installed

    monkeypatch.setattr(rtsp, "ask", lambda stream: Answer(401, ""))
    told = []
    with installed({}, [("rtspsrc", FakeCamera(), "BGR")], gstreamer=True, board=TX2) as room:
        with open_source(parse_source("rtsp://me:secret@cam/x"), tell=told.append) as source:
            assert "***@cam/x" in source.details.pipeline
        assert 'location="rtsp://me:secret@cam/x"' in room.asked[0][0]
    assert "secret" not in "".join(told) + source.description


def test_an_opencv_without_timeouts_is_asked_without(monkeypatch):
    class Old:
        CAP_FFMPEG = 1900

        def VideoCapture(self, *arguments):
            return arguments

    assert rtsp._capture(Old(), "rtsp://cam/x") == ("rtsp://cam/x", 1900)
    Old.CAP_PROP_OPEN_TIMEOUT_MSEC, Old.CAP_PROP_READ_TIMEOUT_MSEC = 53, 54
    assert rtsp._capture(Old(), "rtsp://cam/x") == ("rtsp://cam/x", 1900, [53, 10000, 54, 10000])


def test_an_answer_that_drips_is_none(monkeypatch):
    monkeypatch.setattr(rtsp, "_ASK_S", 0.5)
    ended = threading.Event()

    def drip(listening):
        connection, _ = listening.accept()
        with connection:
            while not ended.wait(0.05):
                try:
                    connection.sendall(b"R")
                except OSError:
                    break

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        stream = RtspStream("rtsp://127.0.0.1:{}/x".format(listening.getsockname()[1]))
        try:
            with pytest.raises(SourceError, match=r"does not answer within 0\.5 s"):
                ask(stream)
        finally:
            ended.set()
            thread.join()
