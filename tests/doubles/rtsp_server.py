"""An RTSP camera: a server for one stream, JPEG in RTP (RFC 2435) inside its TCP connection, for FFmpeg as it is.

Every picture carries its number as black and white fields, so that a reader knows how old it is.
"""

import base64
import contextlib
import re
import socket
import struct
import threading
from urllib.parse import quote

import numpy as np

from ccc_jetson.opencv import import_cv2

SIZE = (320, 240)
_BITS, _FIELD = 16, 20  # of the number; a field's side in pixels
_PACKET = 1400


def picture_of(number):
    """(240, 320, 3) uint8: grey, the number's bits in its first row of fields."""
    picture = np.full((SIZE[1], SIZE[0], 3), 110, np.uint8)
    for bit in range(_BITS):
        picture[:_FIELD, bit * _FIELD : (bit + 1) * _FIELD] = 255 if number >> bit & 1 else 0
    return picture


def number_of(picture):
    """The number that a decoded picture carries."""
    middle = _FIELD // 2
    bits = [int(picture[middle, bit * _FIELD + middle].mean() > 128) for bit in range(_BITS)]
    return sum(bit << index for index, bit in enumerate(bits))


class RtspServer:
    """Serves ``/stream`` on a port of this machine, until it is closed.

    Attributes:
        silent: set, it plays and sends nothing.
        sent: number of the newest picture that was made, sent or not.
        seen: the requests' methods, in order.
    """

    def __init__(self, port=0, fps=25.0, user="", password=""):
        self.fps, self.silent, self.sent, self.seen = fps, threading.Event(), -1, []
        self._token = base64.b64encode("{}:{}".format(user, password).encode()).decode() if user else ""
        self._listening = socket.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind(("127.0.0.1", port))
        self._listening.listen(5)
        self.port = self._listening.getsockname()[1]
        self.url = "rtsp://{}127.0.0.1:{}/stream".format(
            "{}:{}@".format(user, quote(password, "")) if user else "", self.port
        )
        self._closed = threading.Event()
        self._connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Ends all connections, as a camera does that is unplugged from its power."""
        self._closed.set()
        for each in [self._listening, *self._connections]:
            with contextlib.suppress(OSError):  # or whoever waits in accept or recv would keep it open
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def _accept(self):
        while not self._closed.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        data = b""
        try:
            while not self._closed.is_set():
                piece = connection.recv(4096)
                if not piece:
                    return
                data += piece
                while b"\r\n\r\n" in data:
                    request, _, data = data.partition(b"\r\n\r\n")
                    start = request.find(b"RTSP/1.0")
                    if start >= 0:  # anything else is the reader's RTCP
                        self._answer(connection, request.decode("latin-1"))
        except OSError:
            pass

    def _answer(self, connection, request):
        method = re.search(r"([A-Z_]+) \S+ RTSP/1\.0", request).group(1)
        self.seen.append(method)
        sequence = re.search(r"(?i)cseq:\s*(\d+)", request).group(1)
        status, headers, body = "200 OK", ["CSeq: " + sequence], ""
        if self._token and method not in ("OPTIONS",) and "Basic " + self._token not in request:
            status = "401 Unauthorized"
            headers.append('WWW-Authenticate: Basic realm="camera"')
        elif "/stream" not in request.splitlines()[0] and method != "OPTIONS":
            status = "404 Not Found"
        elif method == "OPTIONS":
            headers.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            body = (
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                "m=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000\r\na=control:track1\r\n"
            )
            headers.extend(["Content-Type: application/sdp", "Content-Length: {}".format(len(body))])
        elif method == "SETUP":
            headers.extend(["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"])
        else:
            headers.append("Session: 1")
        connection.sendall("RTSP/1.0 {}\r\n{}\r\n\r\n{}".format(status, "\r\n".join(headers), body).encode())
        if method == "PLAY" and status == "200 OK":
            threading.Thread(target=self._play, args=(connection,), daemon=True).start()

    def _play(self, connection):
        sequence = 0
        try:
            while not self._closed.wait(1.0 / self.fps):
                number = self.sent + 1
                self.sent = number
                if self.silent.is_set():
                    continue
                for packet in packets(picture_of(number), sequence, int(number * 90000 / self.fps)):
                    connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                    sequence = sequence + 1 & 0xFFFF
        except OSError:
            pass


def packets(picture, sequence, timestamp):
    """RTP packets of a picture: its JPEG scan in pieces, its two quantisation tables before the first."""
    cv2 = import_cv2()
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
    tables, scan = _parts(jpeg)
    made = []
    for offset in range(0, len(scan), _PACKET):
        piece = scan[offset : offset + _PACKET]
        last = offset + _PACKET >= len(scan)
        header = struct.pack(">BBHII", 0x80, (0x80 if last else 0) | 26, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 7)
        sequence += 1
        header += struct.pack(">I", offset) + bytes([1, 255, SIZE[0] // 8, SIZE[1] // 8])
        if offset == 0:
            header += struct.pack(">BBH", 0, 0, len(tables)) + tables
        made.append(header + piece)
    return made


def _parts(jpeg):
    """The quantisation tables and the scan of a baseline JPEG."""
    tables, position = b"", 2
    while True:
        marker, length = jpeg[position + 1], struct.unpack(">H", jpeg[position + 2 : position + 4])[0]
        content = jpeg[position + 4 : position + 2 + length]
        position += 2 + length
        if marker == 0xDB:
            while content:
                tables += content[1:65]
                content = content[65:]
        elif marker == 0xDA:
            return tables, jpeg[position:-2]
