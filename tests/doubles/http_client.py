"""A client that says exactly what a test wants said, well-formed or not."""

import http.client
import socket

PATIENCE_S = 15.0


class Answer:
    """What came back; ``headers`` by lower-case name."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()


def ask(port, path="/", method="GET", headers=(), body=None, host="127.0.0.1"):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def connected(port, host="127.0.0.1"):
    """An open connection on which nothing has been said."""
    return socket.create_connection((host, port), PATIENCE_S)


def say(port, data, patience_s=PATIENCE_S):
    """What a server answers to bytes until it closes; b"" where it only closes."""
    with connected(port) as connection:
        connection.settimeout(patience_s)
        received = b""
        try:
            connection.sendall(data)
            while True:
                part = connection.recv(65536)
                if not part:
                    break
                received += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


def was_closed(connection, within_s):
    """Whether the other side closes an open connection in so many seconds."""
    connection.settimeout(within_s)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except socket.timeout:
        return False
