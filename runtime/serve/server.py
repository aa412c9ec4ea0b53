"""The page's server: one thread with an event loop, whatever number of clients there is.

Tornado brings what a page on an open network needs: a deadline for a request's head that no dripping client can
push on, limits of its size, and writing that waits for whoever reads. What it lacks is in ``doorway``, limits of
connections and requests, and in ``handlers``, a deadline for taking an answer.
"""

import asyncio
import logging
import threading
from typing import Any, Callable, Optional

from ccc_jetson.errors import DependencyMissing
from ccc_jetson.runtime.live import LiveStatistics
from ccc_jetson.runtime.serve.address import Listener
from ccc_jetson.runtime.serve.newest import NewestPicture

try:
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop, PeriodicCallback
    from tornado.web import Application
except ImportError as error:
    raise DependencyMissing(
        "--serve needs Tornado, which cannot be imported: {}".format(error),
        hint="pip3 install tornado==6.1 on Python 3.6, pip install tornado on newer ones",
    )

from ccc_jetson.runtime.serve.doorway import Doorway  # these need Tornado as well
from ccc_jetson.runtime.serve.framing import Framed
from ccc_jetson.runtime.serve.handlers import routes
from ccc_jetson.runtime.serve.state import PageState

HEAD_S = 10.0  # for a request's head, and between requests
_BODY_S = 5.0
_HEAD_BYTES, _BODY_BYTES = 8192, 1024
_SAMPLE_MS = 1000.0
_GOODBYE_S = 1.0  # for answers under way when the run ends


class _Server(HTTPServer):
    """An ``HTTPServer`` with the limits of one that stands in an open network."""

    def initialize(self, application: Any, doorway: Doorway) -> None:  # type: ignore[override]
        super().initialize(
            application,
            max_header_size=_HEAD_BYTES,
            max_body_size=_BODY_BYTES,
            idle_connection_timeout=HEAD_S,
            body_timeout=_BODY_S,
        )
        self._doorway = doorway

    def start_request(self, server_conn: Any, request_conn: Any) -> Any:
        return Framed(super().start_request(server_conn, request_conn), request_conn, self._doorway.refusals)

    def on_close(self, server_conn: Any) -> None:
        self._doorway.left(server_conn.stream)
        super().on_close(server_conn)


class PageServer:
    """Answers on a listener until it is closed.

    Args:
        listener: open; closed by ``close``.
        pictures: the newest frame; closed by ``close``.
        make_state: called in the server's thread.
    """

    def __init__(self, listener: Listener, pictures: NewestPicture, make_state: Callable[[], PageState]) -> None:
        self._listener, self._pictures, self._make_state = listener, pictures, make_state
        self._loop: Optional[IOLoop] = None
        self._state: Optional[PageState] = None
        self._ready = threading.Event()
        self._failure: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._guarded, name="ccc-page", daemon=True)

    @property
    def failure(self) -> Optional[BaseException]:
        """What ended it before its time; None where nothing did."""
        return self._failure

    @property
    def clients(self) -> int:
        """Open connections."""
        return self._state.doorway.connections if self._state is not None else 0

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Tells everyone who waits for a frame that there will be none, and ends; may be called twice."""
        self._pictures.close()
        if self._loop is not None and self._thread.is_alive():
            self._loop.add_callback(self._loop.stop)
        self._thread.join()
        self._listener.socket.close()

    def _guarded(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    def _work(self) -> None:
        for name in ("tornado.access", "tornado.general"):  # what clients do wrong, with their addresses and URLs
            logging.getLogger(name).setLevel(logging.CRITICAL)
        own = asyncio.new_event_loop()
        asyncio.set_event_loop(own)
        loop = IOLoop.current()
        try:
            self._state = state = self._make_state()
            application = Application(routes(state), default_host=None, log_function=lambda handler: None)
            server = _Server(application, state.doorway)
            state.doorway.open(server)
            sampling = PeriodicCallback(lambda: _sample(state.live), _SAMPLE_MS)
            sampling.start()
            self._pictures.announce(lambda: loop.add_callback(state.new_picture.notify_all))
            self._loop = loop
            self._ready.set()
            loop.start()
            sampling.stop()
            state.doorway.close()
            loop.run_sync(lambda: _goodbye(server))
        finally:
            self._pictures.announce(lambda: None)
            loop.close(all_fds=True)


def _sample(live: LiveStatistics) -> None:
    live.sample()


async def _goodbye(server: HTTPServer) -> None:
    """Lets the answers under way go out, then closes every connection."""
    await asyncio.sleep(0.05)  # those that waited for a frame have been told, and write now
    closing = asyncio.ensure_future(server.close_all_connections())
    await asyncio.wait([closing], timeout=_GOODBYE_S)
    closing.cancel()
