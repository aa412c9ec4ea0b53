"""Who gets in: connections are limited before a byte of them is read. Importing this needs Tornado.

Turning somebody away must cost less than coming again. So an address that has used up its requests, or was refused too
often, is held at the door for a second, and where everything is full nobody is let in for a moment: then connections
wait in the operating system, which costs nothing.
"""

import socket
from typing import Any, Callable, Dict

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream
from tornado.netutil import add_accept_handler

from ccc_jetson.runtime.serve.access import RateLimit
from ccc_jetson.runtime.serve.address import Listener

CONNECTIONS, CONNECTIONS_OF_AN_ADDRESS = 64, 24
REQUESTS_PER_S, REQUESTS_AT_ONCE = 200.0, 400.0  # of an address; a page at 25 FPS makes 26 a second
REFUSALS_PER_S, REFUSALS_AT_ONCE = 5.0, 100.0
HELD_S, _FULL_S = 1.0, 0.2
_BUFFER_BYTES = 1 << 17  # for what a client sends


class Doorway:
    """Hands the connections of a listener to a server, within the limits. Belongs to the loop's thread.

    Args:
        listener: open.
        loop: that of this thread.
    """

    def __init__(self, listener: Listener, loop: IOLoop) -> None:
        self.requests = RateLimit(REQUESTS_PER_S, REQUESTS_AT_ONCE, loop.time)
        self.refusals = RateLimit(REFUSALS_PER_S, REFUSALS_AT_ONCE, loop.time)
        self._listener, self._loop = listener, loop
        # behind ssh -L everyone has the same loopback address
        self._of_an_address = CONNECTIONS if listener.is_loopback else CONNECTIONS_OF_AN_ADDRESS
        self._inside: Dict[Any, str] = {}  # stream -> address
        self._held: Dict[socket.socket, str] = {}
        self._stop_accepting: Callable[[], None] = lambda: None

    @property
    def connections(self) -> int:
        """Those that were let in or are held."""
        return len(self._inside) + len(self._held)

    def open(self, server: HTTPServer) -> None:
        """Lets connections in to this server, which tells ``left`` of each that ends."""
        self._server = server
        self._accept()

    def left(self, stream: Any) -> None:
        """A connection has ended."""
        self._inside.pop(stream, None)

    def close(self) -> None:
        """Lets nobody in any more."""
        self._stop_accepting()
        self._stop_accepting = lambda: None
        for connection in list(self._held):
            self._release(connection)

    def _accept(self) -> None:
        self._stop_accepting = add_accept_handler(self._listener.socket, self._arrived)

    def _arrived(self, connection: socket.socket, address: Any) -> None:
        host = str(address[0])
        of_this = sum(each == host for each in self._inside.values()) + sum(
            each == host for each in self._held.values()
        )
        if self.connections >= CONNECTIONS or of_this >= self._of_an_address:
            connection.close()
            self._stop_accepting()
            again = self._loop.call_later(_FULL_S, self._accept)
            self._stop_accepting = lambda: self._loop.remove_timeout(again)
        elif self.requests.left(host) < 1.0 or self.refusals.left(host) < 1.0:
            self._held[connection] = host
            self._loop.call_later(HELD_S, self._release, connection)
        else:
            stream = IOStream(connection, max_buffer_size=_BUFFER_BYTES)
            self._inside[stream] = host
            self._server.handle_stream(stream, address)

    def _release(self, connection: socket.socket) -> None:
        if self._held.pop(connection, None) is not None:
            connection.close()
