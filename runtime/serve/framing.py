"""Where a request ends, decided by one strict rule before a byte of its body is read. Importing this needs Tornado.

The page takes one body, the token's form. Older Tornados read lengths and encodings that the standard does not know, or
pass over them and take the body for the next request (GHSA-753j-mpmx-qq6g, GHSA-qppv-j76h-2rpx): behind a proxy that
reads them otherwise, one client's request becomes another's. Their parsers of multipart bodies take quadratic time and
write a line for every mistake (CVE-2025-47287, CVE-2025-67726, CVE-2026-31958). None of these are reached here, and
neither is a ``Host`` of which Tornado would make a number of thousands of digits, an exception since Python 3.11.
"""

import re
from typing import Any, Mapping, Optional

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, ResponseStartLine

from ccc_jetson.runtime.serve.access import RateLimit

FORM = "application/x-www-form-urlencoded"
_LONGEST_HOST = 270  # a name has 253 characters (RFC 1035), a port five digits
_LENGTH = re.compile(r"[0-9]{1,9}\Z")


def framing_problem(headers: Mapping[str, str]) -> str:
    """What is wrong with the head of a request, of what Tornado should not be asked to read; "" where nothing is."""
    if len(headers.get("Host", "")) > _LONGEST_HOST:
        return "no host has a name as long as that"
    if "Transfer-Encoding" in headers:
        return "a body comes with its length, in one piece"
    length = headers.get("Content-Length", "0")
    if not _LENGTH.match(length):  # also "5, 5", of two headers
        return "Content-Length is no number"
    if int(length) and headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
        return "a body is a form"
    return ""


class Framed(HTTPMessageDelegate):
    """Hands a request on, or answers 400 and ends the connection where ``framing_problem`` finds one.

    Args:
        inner: what the request is for.
        connection: where its answer goes.
        refusals: counted by the client's address.
    """

    def __init__(self, inner: HTTPMessageDelegate, connection: Any, refusals: RateLimit) -> None:
        self._inner, self._connection, self._refusals = inner, connection, refusals
        self._refused = False

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> Optional[Any]:
        problem = framing_problem(headers)
        if not problem:
            return self._inner.headers_received(start_line, headers)
        self._refused = True
        self._refusals.take(str(self._connection.context.remote_ip))
        text = (problem + "\n").encode()
        answer = HTTPHeaders({"Connection": "close", "Content-Type": "text/plain", "Content-Length": str(len(text))})
        self._connection.write_headers(ResponseStartLine("HTTP/1.1", 400, "Bad Request"), answer, text)
        self._connection.finish()  # before the body was read: Tornado reads no further request here
        return None

    def data_received(self, chunk: bytes) -> Optional[Any]:
        return None if self._refused else self._inner.data_received(chunk)

    def finish(self) -> None:
        if not self._refused:
            self._inner.finish()

    def on_connection_close(self) -> None:
        if not self._refused:
            self._inner.on_connection_close()
