"""Clients of the page for benchmarks/serve.py, each a process of its own: they share no interpreter with the run.

    python benchmarks/serve_clients.py KIND PORT TOKEN

``follower`` asks for picture after picture as a browser does, ``deaf`` asks for them and reads nothing, ``hostile``
keeps 200 silent connections open, drips heads byte by byte and guesses tokens, ``flood`` asks without a token. Ends
when something comes on its standard input, and prints what it got.
"""

import http.client
import json
import select
import socket
import sys
import time
from typing import Callable, Dict, List

_SILENT, _DRIPPING = 200, 20
_PATIENCE_S = 30.0


def is_over() -> bool:
    """Whether whoever started this wants its figures."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def follow(port: int, token: str) -> Dict[str, float]:
    """Pictures and bytes of a reader that keeps up."""
    pictures = received = after = 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    while not is_over():
        connection.request("GET", "/frame?after={}".format(after), headers={"Authorization": "Bearer " + token})
        answer = connection.getresponse()
        received += len(answer.read())
        if answer.status == 200:
            pictures += 1
            after = int(answer.getheader("Picture") or 0)
    return {"pictures": pictures, "bytes": received}


def be_deaf(port: int, token: str) -> Dict[str, float]:
    """Connections that ask for pictures and read nothing; opened again when the server closes them."""
    request = "GET /frame?after=0 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n".format(token)
    opened = 0
    while not is_over():
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", port))
            deaf.sendall(100 * request.encode())
            opened += 1
            while not is_over() and not _closed(deaf):
                time.sleep(0.1)
    return {"connections": opened}


def attack(port: int, token: str) -> Dict[str, float]:
    """Everything at once: silent connections, dripping heads, guessed tokens."""
    tried = refused = answered = guesses = 0
    silent: List[socket.socket] = []
    dripping: List[socket.socket] = []
    while not is_over():
        silent, dripping = [each for each in silent if not _closed(each)], [each for each in dripping if _drip(each)]
        while len(silent) + len(dripping) < _SILENT + _DRIPPING and not is_over():
            try:
                (silent if len(silent) < _SILENT else dripping).append(
                    socket.create_connection(("127.0.0.1", port), _PATIENCE_S)
                )
                tried += 1
            except OSError:
                refused += 1
                break
        for _ in range(20):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
                connection.request("GET", "/?token=guess{}".format(guesses))
                answered += connection.getresponse().status in (401, 429)
            except (OSError, http.client.HTTPException):
                refused += 1
            guesses += 1
            connection.close()
        time.sleep(0.05)
    return {"connections": tried, "guesses": guesses, "refused by status": answered, "refused by closing": refused}


def flood(port: int, token: str) -> Dict[str, float]:
    """Requests without the token as fast as they are answered, over eight connections."""
    refused = closed = 0
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S) for _ in range(8)]
    while not is_over():
        for connection in connections:
            try:
                connection.request("GET", "/live")
            except OSError:
                connection.close()
        for connection in connections:
            try:
                answer = connection.getresponse()
                answer.read()
                refused += answer.status in (401, 429)
            except (OSError, http.client.HTTPException):
                connection.close()
                closed += 1
    return {"refused by status": refused, "refused by closing": closed}


def _closed(connection: socket.socket) -> bool:
    """Whether the server has closed it; what it sent is left unread."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _drip(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"a")
    except OSError:
        return False
    return not _closed(connection)


KINDS: Dict[str, Callable[[int, str], Dict[str, float]]] = {
    "follower": follow,
    "deaf": be_deaf,
    "hostile": attack,
    "flood": flood,
}

if __name__ == "__main__":
    print(json.dumps(KINDS[sys.argv[1]](int(sys.argv[2]), sys.argv[3])))
