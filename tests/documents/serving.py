"""A server on this machine for the time of a test."""

import contextlib
import http.server
import threading


@contextlib.contextmanager
def served(handler):
    """The address of a server that answers with ``handler`` until the block ends."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield "http://127.0.0.1:{}/".format(server.server_port)
        server.shutdown()
        thread.join()
