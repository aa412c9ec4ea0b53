"""What the page's server answers. Importing this needs Tornado.

    GET  /             the page
    GET  /about        model, classes and source, as JSON
    GET  /frame        ``?after=N``: the first picture after the Nth (``picture``), once there is one; 204 after a while
                       without, 410 after the run
    GET  /live         ``?from=N``: the samples from the Nth on, and the newest frame's class shares, as JSON
    GET  /metrics      Prometheus' text format
    GET  /healthz      200, or 503 while no frame comes; asks for no token, and says no more than that
    POST /token        trades the token for a cookie

Nothing here changes the run: pause and opacity are each page's own.
"""

import datetime
import json
import logging
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from tornado.web import RequestHandler

from ccc_jetson.files import read_bytes
from ccc_jetson.runtime.serve import prometheus
from ccc_jetson.runtime.serve.access import cookie_value, is_local_name, is_same_origin
from ccc_jetson.runtime.serve.state import PageState

_ASSETS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "assets")
_WAIT_S = 20.0  # for the next frame
_SEND_S = 20.0  # for a client to take an answer
_REFUSALS = (400, 401, 403, 404, 405)
_HEADERS = (
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Referrer-Policy", "same-origin"),  # with "no-referrer" the form's own Origin would be "null"
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)
_log = logging.getLogger("ccc_jetson.serve")


class StaticFile(NamedTuple):
    """A file of the page; ``secret`` ones need the token."""

    path: str
    name: str
    content_type: str
    secret: bool = True


STATIC = (
    StaticFile("/", "index.html", "text/html; charset=utf-8"),
    StaticFile("/page.js", "page.js", "text/javascript; charset=utf-8"),
    StaticFile("/curves.js", "curves.js", "text/javascript; charset=utf-8"),
    # the form that asks for the token looks like the page
    StaticFile("/page.css", "page.css", "text/css; charset=utf-8", secret=False),
    StaticFile("/icon.svg", "icon.svg", "image/svg+xml", secret=False),
)


def routes(state: PageState) -> List[Tuple[Any, ...]]:
    """The handlers by their paths, as ``tornado.web.Application`` takes them; files are read now, once."""
    found: List[Tuple[Any, ...]] = []
    form = read_bytes(os.path.join(_ASSETS, "token.html"))
    given: Dict[str, Any] = {"state": state, "form": form}
    for each in STATIC:
        more = {"data": read_bytes(os.path.join(_ASSETS, each.name)), "file": each}
        found.append((re.escape(each.path), _Static, dict(given, **more)))
    for path, handler in (
        ("/about", _About),
        ("/frame", _Frame),
        ("/live", _Live),
        ("/metrics", _Metrics),
        ("/healthz", _Health),
        ("/token", _Token),
        (".*", _Nothing),
    ):
        found.append((path, handler, given))
    return found


class _Handler(RequestHandler):
    """What all have in common: who may ask, and the headers of every answer."""

    SUPPORTED_METHODS: Tuple[str, ...] = ("GET", "HEAD")
    needs_token = True

    def initialize(self, state: PageState, form: bytes) -> None:
        self._state, self._form = state, form

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in _HEADERS:
            self.set_header(name, value)

    def prepare(self) -> None:
        address = str(self.request.remote_ip)
        if not self._state.doorway.requests.take(address):
            self._refuse(429, "too many requests", {"Retry-After": "2"})
            return
        host, origin = self.request.headers.get("Host", ""), self.request.headers.get("Origin")
        if self._state.listener.is_loopback and not is_local_name(host):
            self._refuse(403, "this page is for this machine alone: ask for it as localhost or 127.0.0.1")
        elif origin is not None and not is_same_origin(origin, host):
            self._refuse(403, "another site may not ask for this")
        elif self.needs_token and self._state.token is not None:
            self._ask_for_token(address)

    def _ask_for_token(self, address: str) -> None:
        token = self._state.token
        assert token is not None
        cookies = self.request.headers.get("Cookie", "")
        if token.matches_cookie(cookie_value(cookies, self._state.cookie_name)):
            return
        scheme, _, given = self.request.headers.get("Authorization", "").partition(" ")
        in_query = self.get_query_argument("token", None)
        if in_query is not None or scheme.lower() == "bearer":
            self.check_token(in_query if in_query is not None else given.strip(), address, in_query is not None)
        else:
            self._show_form("")

    def check_token(self, given: str, address: str, keep: bool) -> None:
        """Goes on with the right token, which ``keep`` makes a cookie, and answers everything else."""
        token = self._state.token
        assert token is not None
        if self._state.bad_tokens.left(address) < 1.0:
            self._refuse(429, "too many wrong tokens; wait a minute", {"Retry-After": "60"})
        elif not token.matches(given):
            self._state.bad_tokens.take(address)
            self._show_form("That was not the token.")
        elif keep:
            # by hand: cookies of Python 3.6's library have no SameSite
            cookie = "{}={}; Path=/; HttpOnly; SameSite=Strict".format(self._state.cookie_name, token.cookie)
            self.add_header("Set-Cookie", cookie)

    def _show_form(self, remark: str) -> None:
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Bearer realm="ccc-run"')
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(self._form.replace(b"<!-- remark -->", remark.encode()))

    def _refuse(self, status: int, text: str, headers: Optional[Dict[str, str]] = None) -> None:
        self.set_status(status)
        for name, value in (headers or {}).items():
            self.set_header(name, value)
        self.answer("text/plain; charset=utf-8", text + "\n")

    def answer(self, content_type: str, data: Any) -> None:
        """The whole answer."""
        self.set_header("Content-Type", content_type)
        self.finish(data)

    def finish(self, chunk: Any = None) -> Any:
        """As of a ``RequestHandler``, with a deadline for taking it; who is refused too often is sent away."""
        connection: Any = self.request.connection
        status, address = self.get_status(), str(self.request.remote_ip)
        ends = status == 429 or (status in _REFUSALS and not self._state.doorway.refusals.take(address))
        if ends:
            self.set_header("Connection", "close")
        sent = super().finish(chunk)
        late = self._state.loop.call_later(_SEND_S, connection.close)

        def done(_: Any) -> None:
            self._state.loop.remove_timeout(late)
            if ends:
                connection.close()

        sent.add_done_callback(done)
        return sent

    def compute_etag(self) -> None:
        """None: answers differ every time, or are small."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.answer("text/plain; charset=utf-8", "{} {}\n".format(status_code, self._reason))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """A bug is told; the query, which may hold a token, is not, and what a client does wrong neither."""
        if getattr(value, "status_code", 500) >= 500:
            _log.error("%s %s failed", self.request.method, self.request.path, exc_info=(typ, value, tb))

    def _count(self, name: str) -> int:
        """A number from the query, 0 where there is none or it is no number."""
        text = self.get_query_argument(name, "0")
        return int(text) if re.match(r"[0-9]{1,12}\Z", text) else 0


class _Static(_Handler):
    def initialize(self, state: PageState, form: bytes, data: bytes, file: StaticFile) -> None:  # type: ignore[override]
        super().initialize(state, form)
        self._data, self._file = data, file
        self.needs_token = file.secret

    def get(self) -> None:
        self.answer(self._file.content_type, self._data)

    head = get


class _About(_Handler):
    def get(self) -> None:
        self.answer("application/json", json.dumps(self._state.about))

    head = get


class _Frame(_Handler):
    SUPPORTED_METHODS = ("GET",)

    async def get(self) -> None:
        after, state = self._count("after"), self._state
        if after > state.pictures.newest.number:  # of the run before this one
            after = 0
        until_s = state.loop.time() + _WAIT_S
        while state.pictures.newest.number <= after:
            if state.pictures.ended:
                self._refuse(410, "the run has ended")
                return
            state.pictures.want()
            left_s = until_s - state.loop.time()
            if left_s <= 0 or self.request.connection.stream.closed():  # type: ignore[union-attr]
                self.set_status(204)
                self.finish()
                return
            await state.new_picture.wait(datetime.timedelta(seconds=left_s))
        picture = state.pictures.newest
        self.set_header("Picture", str(picture.number))
        self.answer("application/octet-stream", picture.data)


class _Live(_Handler):
    def get(self) -> None:
        live = self._state.live
        counters, silence_s = live.counters, live.silence_s
        samples = live.samples_from(self._count("from"))
        record = {
            "run": self._state.run,
            "frames": counters.frames,
            "dropped": counters.dropped,
            "silence_s": None if silence_s is None else round(silence_s, 1),
            "shares": {name: round(share, 5) for name, share in live.shares},
            "samples": [sample.to_json() for sample in samples],
        }
        self.answer("application/json", json.dumps(record))

    head = get


class _Metrics(_Handler):
    def get(self) -> None:
        found = prometheus.metrics(self._state.live, self._state.doorway.connections, self._state.info)
        self.answer(prometheus.CONTENT_TYPE, prometheus.to_text(found))

    head = get


class _Health(_Handler):
    """What watches the run from outside, a container's health check for one, has no token."""

    needs_token = False

    def get(self) -> None:
        silence_s = self._state.live.silence_s
        if silence_s is None:
            self._refuse(503, "starting")
        elif silence_s > self._state.stale_s:
            self._refuse(503, "silent")
        else:
            self.answer("text/plain; charset=utf-8", "ok\n")

    head = get


class _Token(_Handler):
    """The form's target. Only the page's own form may post here, so the origin has to be there and right."""

    SUPPORTED_METHODS = ("POST",)
    needs_token = False

    def post(self) -> None:
        if self._state.token is None or self.request.headers.get("Origin") is None:
            self._refuse(403, "another site may not ask for this")
            return
        self.check_token(self.get_body_argument("token", ""), str(self.request.remote_ip), True)
        if not self._finished:
            self.redirect("/", status=303)


class _Nothing(_Handler):
    def get(self) -> None:
        self._refuse(404, "there is nothing here")

    head = get
