"""Who may see the page: tokens, the names under which it may be asked for, and how often. Knows nothing of servers.

On a loopback address the operating system keeps other machines away, but not a page of another site in this machine's
browser, which could reach it under a name of its own (DNS rebinding): there the ``Host`` has to be this machine's.
Anywhere else a token is asked for, which such a page does not have.
"""

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Tuple

from ccc_jetson.errors import UsageError
from ccc_jetson.files import read_text

TOKEN_VARIABLE = "CCC_SERVE_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}\Z")
_TOKEN_BYTES = 24  # of one that is generated: 192 bits
_COOKIE_OF = b"the cookie of ccc-run's page"
_ADDRESSES = 1024  # remembered at a time


class Token(NamedTuple):
    """The word that opens the page; ``generated`` where nobody chose it, so that it has to be told."""

    text: str
    generated: bool

    def matches(self, given: str) -> bool:
        """Whether ``given`` is the token, in a time that says nothing about it."""
        return hmac.compare_digest(self.text.encode(), given.encode("utf-8", "replace"))

    @property
    def cookie(self) -> str:
        """What a browser keeps instead: the same in the next run with this token, and no way back to it."""
        return hmac.new(self.text.encode(), _COOKIE_OF, hashlib.sha256).hexdigest()

    def matches_cookie(self, given: str) -> bool:
        """As ``matches``, of a cookie."""
        return hmac.compare_digest(self.cookie.encode(), given.encode("utf-8", "replace"))


def token_for(
    is_loopback: bool, given: Optional[str], environment: Optional[Mapping[str, str]] = None
) -> Optional[Token]:
    """The token of a page: the one given (``TOKEN`` or ``@FILE``), else the variable's, else one is made up.

    None on a loopback address where none was given.

    Raises:
        UsageError, FileProblem: it is too short or too long, has other characters, or its file cannot be read.
    """
    origin = "--serve-token"
    if given is not None and given.startswith("@"):
        origin, given = "--serve-token " + given, read_text(given[1:]).strip()
    elif given is None:
        given = (os.environ if environment is None else environment).get(TOKEN_VARIABLE) or None  # empty: as not set
        origin = TOKEN_VARIABLE
    if given is None:
        return None if is_loopback else Token(secrets.token_urlsafe(_TOKEN_BYTES), True)
    if not _TOKEN.match(given):
        raise UsageError(  # which must not repeat it
            "{}: the token has {} characters; expected 16 to 256 of letters, digits and . _ ~ + / = -".format(
                origin, len(given)
            ),
            hint="leave it out, and one is made up and printed; or: openssl rand -hex 24 > token, --serve-token @token",
        )
    return Token(given, False)


def cookie_value(header: str, name: str) -> str:
    """The value of one cookie in a ``Cookie`` header, as it stands there; "" where it is missing.

    Ours need no unquoting, which takes older Tornados quadratic time (CVE-2024-52804): 8 KiB of quotes, sent without a
    token, were 50 ms of a server's core, and several times as much on a board.
    """
    for pair in header.split(";"):
        key, _, value = pair.partition("=")
        if key.strip() == name:
            return value.strip()
    return ""


def is_local_name(host: str) -> bool:
    """Whether a ``Host`` header names this machine from within: localhost or a loopback address, with any port.

    The port may be another one than ours: ``ssh -L 9000:localhost:8080`` makes it ``localhost:9000``.
    """
    match = re.match(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::\d{1,5})?\Z", host)
    if match is None:
        return False
    name = (match.group(1) or match.group(2)).lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an ``Origin`` header is that of the page under this ``Host``; ``null`` is not."""
    scheme, separator, rest = origin.lower().partition("://")
    return scheme in ("http", "https") and separator == "://" and rest == host.lower()


class RateLimit:
    """So many events a second for each address, and ``burst`` at once; old addresses are forgotten.

    Args:
        clock: in seconds.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float]) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._left: Dict[str, Tuple[float, float]] = {}  # address -> events left, and when

    def left(self, address: str) -> float:
        """Events that it has left."""
        now_s = self._clock()
        left, then_s = self._left.get(address, (self._burst, now_s))
        return min(self._burst, left + (now_s - then_s) * self._per_second)

    def take(self, address: str) -> bool:
        """Counts an event; False where it is one too many, which is not counted."""
        left = self.left(address)
        if left < 1.0:
            return False
        if len(self._left) >= _ADDRESSES and address not in self._left:
            self._left = {each: state for each, state in self._left.items() if self.left(each) < self._burst}
            if len(self._left) >= _ADDRESSES:  # an attack from more addresses than are kept: all share what is left
                return False
        self._left[address] = (left - 1.0, self._clock())
        return True
