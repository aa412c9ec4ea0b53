"""The page's server, asked over a real socket. Runs on Python 3.6; needs Tornado."""

import contextlib
import logging
import socket

from ccc_jetson.runtime.serve import doorway
from tests.fuzz.law import Fault
from tests.fuzz.target import Target
from tests.runtime.serve.conftest import TOKEN, give, opened_page, port_of

_PATIENCE_S = 0.3
_MOST_BYTES = 1 << 20
_LIMITS = {
    name: getattr(doorway, name)
    for name in ("REQUESTS_PER_S", "REQUESTS_AT_ONCE", "REFUSALS_PER_S", "REFUSALS_AT_ONCE")
}
_LOGGERS = ("tornado.application", "tornado.general", "ccc_jetson.serve", "asyncio")
_opened = []


class _Complaints(logging.Handler):
    """What the server itself could not handle."""

    def __init__(self):
        super(_Complaints, self).__init__(logging.ERROR)
        self.found = []

    def emit(self, record):
        self.found.append(record.getMessage() + (repr(record.exc_info[1]) if record.exc_info else ""))


def _page():
    """Opened once, without the limits that keep a client away which asks so often."""
    if not _opened:
        for name in _LIMITS:
            setattr(doorway, name, 1e9)
        page, complaints = opened_page("127.0.0.1", TOKEN), _Complaints()
        give(page)
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(complaints)
        _opened.extend([page, complaints])
    return _opened


def close_page():
    """Ends the page where it was opened, and puts the limits back, for whatever else runs in this process."""
    if _opened:
        page, complaints = _opened
        del _opened[:]
        page.close()
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(complaints)
        for name, value in _LIMITS.items():
            setattr(doorway, name, value)


def _answer(port, data):
    """All that comes back before the server closes, or is silent for a while."""
    answer = b""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), 5.0)) as connection:
        connection.settimeout(_PATIENCE_S)
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while len(answer) < _MOST_BYTES:
                piece = connection.recv(65536)
                if not piece:
                    break
                answer += piece
        except OSError:  # it is right to hang up on this
            pass
    return answer


def _asked(data):
    page, complaints = _page()
    answer = _answer(port_of(page), data)
    if answer and not answer.startswith(b"HTTP/1.1 "):
        raise Fault("answer", repr(answer[:100]), "serve")
    if b"Traceback" in answer or answer.startswith(b"HTTP/1.1 500"):
        raise Fault("answer", repr(answer[:300]), "serve")
    if complaints.found:
        text, complaints.found[:] = complaints.found[0], []
        raise Fault("complaint", text, "serve")
    for _ in range(20):  # where many wait for a frame, nobody is let in for a moment
        alive = _answer(port_of(page), b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        if alive:
            break
    if not alive.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503")):
        raise Fault("the page is gone", repr(alive[:100]), "serve")


def _requests():
    head = b" HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n"
    with_token = head + b"Authorization: Bearer " + TOKEN.encode("ascii") + b"\r\n\r\n"
    body = b"token=" + TOKEN.encode("ascii")
    form = b"Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://localhost:8080\r\n"
    form += b"Content-Length: %d\r\n\r\n"
    return [
        b"GET /" + head + b"\r\n",
        b"GET /about" + with_token,
        b"GET /live?from=0" + with_token,
        b"GET /metrics" + with_token,
        b"GET /frame?after=-1&token=" + body[6:] + head + b'Cookie: a=b; c="d"\r\nRange: bytes=0-1\r\n\r\n',
        b"POST /token" + head + form % len(body) + body,
        b"HEAD /page.css" + head + b'If-None-Match: "a"\r\nAccept-Encoding: gzip\r\n\r\n',
    ]


TARGETS = (
    Target(
        "page's server",
        _asked,
        _requests,
        tuple("runtime/serve/{}.py".format(name) for name in ("handlers", "doorway", "access")),
    ),
)
