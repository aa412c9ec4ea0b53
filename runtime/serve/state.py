"""What the handlers of one page share."""

import secrets
from typing import Any, Mapping, Optional

from tornado.ioloop import IOLoop
from tornado.locks import Condition

from ccc_jetson.runtime.live import LiveStatistics
from ccc_jetson.runtime.serve.access import RateLimit, Token
from ccc_jetson.runtime.serve.address import Listener
from ccc_jetson.runtime.serve.doorway import Doorway
from ccc_jetson.runtime.serve.newest import NewestPicture

STALE_S = 10.0  # without a frame the run counts as not healthy
_BAD_TOKENS_PER_S, _BAD_TOKENS_AT_ONCE = 0.2, 10.0  # of an address


class PageState:
    """Belongs to the server's thread.

    Args:
        listener: where it listens.
        token: asked for where there is one.
        pictures: the newest frame.
        live: the figures.
        about: of model and source, for the page's head, as JSON.
        info: labels of the metric that names the run.
    """

    def __init__(
        self,
        listener: Listener,
        token: Optional[Token],
        pictures: NewestPicture,
        live: LiveStatistics,
        about: Mapping[str, Any],
        info: Mapping[str, str],
    ) -> None:
        self.listener, self.token = listener, token
        self.pictures, self.live = pictures, live
        self.about, self.info = about, info
        self.stale_s = STALE_S
        self.run = secrets.token_hex(8)  # by which a page sees that another run has taken the place of its own
        self.loop = IOLoop.current()
        self.doorway = Doorway(listener, self.loop)
        self.new_picture = Condition()
        self.bad_tokens = RateLimit(_BAD_TOKENS_PER_S, _BAD_TOKENS_AT_ONCE, self.loop.time)

    @property
    def cookie_name(self) -> str:
        """Of this port: browsers give cookies to all ports of a host."""
        return "ccc_run_{}".format(self.listener.port)
