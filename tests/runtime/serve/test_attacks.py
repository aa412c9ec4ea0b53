"""What a hostile network sends. The page refuses it, and the run does not notice."""

import socket
import threading
import time

import pytest

from ccc_jetson.runtime.serve import doorway, handlers, server
from tests.doubles.http_client import ask, connected, say, was_closed
from tests.runtime.serve.conftest import TOKEN, feeding, opened_page, port_of

FOREIGN = ("evil.example", "evil.example:8080", "10.0.0.9", "localhost.evil.example", "", "127.0.0.1@evil.example")


def request(path, host="localhost", method="GET", more=""):
    return "{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}\r\n".format(method, path, host, more).encode(
        "latin-1"
    )


def status_of(answer):
    """0 where the connection was closed without a word."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.mark.parametrize("host", FOREIGN)
def test_under_a_foreign_name_a_loopback_page_is_not_to_be_had(page, host):
    for path in ("/", "/about", "/frame", "/metrics"):
        answer = say(port_of(page), request(path, host))
        assert status_of(answer) in (400, 403), answer[:80]
        assert b"Tiny" not in answer


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://localhost.evil.example", "file://"])
def test_a_foreign_origin_is_refused(page, guarded, origin):
    assert ask(port_of(page), "/about", headers={"Origin": origin}).status == 403
    given = {"Origin": origin, "Authorization": "Bearer " + TOKEN}
    assert ask(port_of(guarded), "/about", headers=given).status == 403


def test_a_tunnel_with_another_port_is_not_foreign(page):
    given = {"Host": "localhost:9000", "Origin": "http://localhost:9000"}
    assert ask(port_of(page), "/about", headers=given).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../handlers.py",
        "/assets/../../handlers.py",
        "/..%2fhandlers.py",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%252f..%252fetc/passwd",
        "//etc/passwd",
        "/page.js/../index.html",
        "/page.js%00.html",
        "/page.js;.css",
        "/assets/",
        "/assets/index.html",
        "/PAGE.JS",
        "/pageXjs",
        "/.",
        "/..\\..\\etc\\passwd",
        "http://evil.example/",
        "http://localhost/about",
        "/\x00",
        "*",
        "/%",
        "/%ff%fe",
        "/" + "a" * 4000,
        "about",
    ],
)
def test_no_path_leads_anywhere_else(page, path):
    answer = say(port_of(page), request(path))
    assert status_of(answer) in (0, 400, 403, 404, 405), answer[:80]
    for secret in (b"root:", b"import ", b"Tiny", b"followPictures", b"<script"):
        assert secret not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FOO", "get"])
@pytest.mark.parametrize("path", ["/", "/frame", "/live", "/about", "/nothing", "/page.css"])
def test_nothing_but_get_and_head(page, method, path):
    assert status_of(say(port_of(page), request(path, method=method, more="Content-Length: 0\r\n"))) in (400, 405)


def test_the_token_form_is_only_posted_to(guarded):
    for method in ("GET", "HEAD", "PUT", "OPTIONS"):
        assert ask(port_of(guarded), "/token", method).status == 405


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + 200 * b"\x00" + b"\r\n\r\n",  # TLS
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(2000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b'\\"' * 3500 + b"\r\nConnection: close\r\n\r\n",
        b"a" * 20000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_request_ends_the_connection_and_not_the_server(guarded, data):
    answer = say(port_of(guarded), data + b"\r\n\r\n")
    assert status_of(answer) in (0, 400, 401, 413, 431), answer[:80]
    assert ask(port_of(guarded), "/page.css").status == 200


BODIES = {
    "two encodings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "encoding with a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n",
    "an encoding of its own": b"Transfer-Encoding: identity\r\n\r\n",
    "encoding and length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n",
    "a length with a sign": b"Content-Length: +0\r\n\r\n",
    "a length with an underscore": b"Content-Length: 0_0\r\n\r\n",
    "a negative zero": b"Content-Length: -0\r\n\r\n",
    "digits of another script": "Content-Length: \u0660\r\n\r\n".encode(),
    "two lengths": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("how", sorted(BODIES))
def test_a_request_whose_end_can_be_read_in_two_ways_is_the_last_of_its_connection(guarded, how):
    """Behind a proxy, the bytes after it would be taken for somebody else's request (GHSA-753j-mpmx-qq6g)."""
    smuggled = b"GET /page.css HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = say(port_of(guarded), b"POST /token HTTP/1.1\r\nHost: localhost\r\n" + BODIES[how] + smuggled)
    assert answer.startswith(b"HTTP/1.1 400"), answer[:80]
    assert answer.count(b"HTTP/1.1 ") == 1 and b"text/css" not in answer


def test_a_host_of_thousands_of_digits_is_refused_in_silence(page, caplog):
    """Tornado makes a number of its port, which Python 3.11 and newer refuse with an exception."""
    answer = say(port_of(page), request("/about", "localhost:" + "1" * 5000))
    assert status_of(answer) == 400
    assert not caplog.records


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "application/json", "text/plain", ""])
def test_a_body_that_is_no_form_is_not_parsed(guarded, kind, monkeypatch):
    """Multipart parsers write a line for every part, or take quadratic time (CVE-2025-47287, CVE-2025-67726)."""
    parsed = []
    monkeypatch.setattr("tornado.httputil.parse_body_arguments", lambda *given, **named: parsed.append(given))
    body = b"--b\r\n\r\n" * 100 + b"--b--"
    port = port_of(guarded)
    head = "Origin: http://127.0.0.1:{}\r\nContent-Length: {}\r\n".format(port, len(body))
    head += "Content-Type: {}\r\n".format(kind) if kind else ""
    answer = say(port, request("/token", "127.0.0.1:{}".format(port), "POST", head) + body)
    assert status_of(answer) == 400 and answer.count(b"HTTP/1.1 ") == 1
    assert not parsed


def test_refused_bodies_count_as_refusals(monkeypatch):
    monkeypatch.setattr(doorway, "REFUSALS_AT_ONCE", 3.0)
    monkeypatch.setattr(doorway, "REFUSALS_PER_S", 0.001)
    monkeypatch.setattr(doorway, "HELD_S", 0.2)
    page = opened_page()
    try:
        for _ in range(3):
            assert status_of(say(port_of(page), request("/token", method="POST", more="Content-Length: +0\r\n"))) == 400
        assert say(port_of(page), request("/page.css")) == b""
    finally:
        page.close()


@pytest.mark.parametrize(
    "cookie", ['a="' + '\\"' * 3900 + '"', ";" * 7800, "=" * 7800], ids=["quotes", "semicolons", "equals signs"]
)
def test_cookies_are_not_unquoted(guarded, cookie, monkeypatch):
    """Which takes Tornado 6.1 50 ms for each such head, with the run's threads waiting (CVE-2024-52804)."""
    parsed = []
    monkeypatch.setattr("tornado.httputil.parse_cookie", lambda *given: parsed.append(given) or {})
    assert ask(port_of(guarded), "/about", headers={"Cookie": cookie}).status == 401
    assert not parsed


def test_a_large_body_is_not_read(guarded):
    port = port_of(guarded)
    head = request("/token", "127.0.0.1:{}".format(port), "POST", "Content-Length: 100000\r\nOrigin: http://x\r\n")
    assert status_of(say(port, head + b"a" * 100000)) in (0, 400, 413)


def test_a_dripping_head_is_cut_off_at_its_deadline(monkeypatch):
    monkeypatch.setattr(server, "HEAD_S", 1.0)
    page = opened_page()
    try:
        with connected(port_of(page)) as drip:
            started = time.monotonic()
            for letter in "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}".format("a" * 300):
                try:
                    drip.sendall(letter.encode())
                except OSError:
                    break
                if was_closed(drip, 0.05):
                    break
            took_s = time.monotonic() - started
            print("cut off after {:.1f} s".format(took_s))
            assert 0.5 < took_s < 10  # the drip would have taken 17 s
        with connected(port_of(page)) as silent:
            assert was_closed(silent, 10)
    finally:
        page.close()


def test_two_hundred_connections_are_not_kept_and_the_page_still_answers(monkeypatch):
    monkeypatch.setattr(server, "HEAD_S", 2.0)
    page = opened_page()
    port, connections = port_of(page), []
    try:
        with feeding(page):
            for _ in range(200):
                connections.append(connected(port))
            until = time.monotonic() + 10
            while (
                page._server.clients > doorway.CONNECTIONS or sum(was_closed(each, 0.001) for each in connections) < 136
            ):
                assert time.monotonic() < until
            assert page._server.clients <= doorway.CONNECTIONS
            time.sleep(server.HEAD_S + 0.5)  # the silent ones are gone by then
            assert ask(port, "/frame?after=0").status == 200
    finally:
        for each in connections:
            each.close()
        page.close()


def test_one_address_of_the_network_cannot_take_all_connections(guarded):
    port = port_of(guarded)
    connections = [connected(port) for _ in range(doorway.CONNECTIONS_OF_AN_ADDRESS + 8)]
    try:
        until = time.monotonic() + 10
        while sum(was_closed(each, 0.001) for each in connections) < 8:
            assert time.monotonic() < until
        assert guarded._server.clients <= doorway.CONNECTIONS_OF_AN_ADDRESS
    finally:
        for each in connections:
            each.close()


def test_who_asks_too_often_is_turned_away_and_held_at_the_door(monkeypatch):
    monkeypatch.setattr(doorway, "REQUESTS_AT_ONCE", 5.0)
    monkeypatch.setattr(doorway, "REQUESTS_PER_S", 0.001)
    monkeypatch.setattr(doorway, "HELD_S", 0.5)
    page = opened_page()
    try:
        with connected(port_of(page)) as kept:
            kept.sendall(6 * b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answers = b""
            while not answers.endswith(b"too many requests\n"):
                part = kept.recv(65536)
                assert part, answers
                answers += part
            assert answers.count(b"HTTP/1.1 200") == 5 and answers.count(b"HTTP/1.1 429") == 1
            assert was_closed(kept, 5)
        started = time.monotonic()
        assert say(port_of(page), request("/live")) == b""
        assert time.monotonic() - started > 0.4
    finally:
        page.close()


@pytest.mark.parametrize("kind", ["GET /nothing", "FOO /", "GET /?token=wrong"])
def test_refusals_are_counted_however_they_come(monkeypatch, kind):
    monkeypatch.setattr(doorway, "REFUSALS_AT_ONCE", 3.0)
    monkeypatch.setattr(doorway, "REFUSALS_PER_S", 0.001)
    monkeypatch.setattr(doorway, "HELD_S", 0.2)
    page = opened_page(token=TOKEN)
    try:
        method, path = kind.split(" ")
        answers = say(port_of(page), 10 * "{} {} HTTP/1.1\r\nHost: localhost\r\n\r\n".format(method, path).encode())
        assert answers.count(b"HTTP/1.1 4") in (3, 4) and b"Connection: close" in answers
        assert say(port_of(page), request("/page.css")) == b""
    finally:
        page.close()


def test_the_end_does_not_wait_for_who_is_held(monkeypatch):
    monkeypatch.setattr(doorway, "REFUSALS_AT_ONCE", 0.0)
    monkeypatch.setattr(doorway, "HELD_S", 600.0)
    page = opened_page()
    with connected(port_of(page)) as held:
        until = time.monotonic() + 10
        while not page._server.clients:
            assert time.monotonic() < until
        page.close()
        assert was_closed(held, 5)


def test_where_everything_is_full_others_wait_a_moment_and_get_in(page, monkeypatch):
    monkeypatch.setattr(doorway, "CONNECTIONS", 3)
    connections = [connected(port_of(page)) for _ in range(3)]
    late = connected(port_of(page))
    assert was_closed(late, 5)
    for each in connections + [late]:
        each.close()
    until = time.monotonic() + 10
    while page._server.clients:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert ask(port_of(page), "/healthz").status == 503


def test_a_client_that_reads_nothing_is_cut_off_and_nobody_waits_for_it(page, monkeypatch):
    monkeypatch.setattr(handlers, "_SEND_S", 1.0)
    page._pictures._encode = lambda *frame: b"x" * (8 << 20)  # more than the system's buffers take
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port_of(page)))
        deaf.sendall(request("/frame?after=0"))
        with feeding(page):
            picture = ask(port_of(page), "/frame?after=0")
            assert len(picture.body) == 8 << 20
            until = time.monotonic() + 15
            while page._server.clients:
                assert time.monotonic() < until, "the deaf client is still there"
                time.sleep(0.05)


def test_requests_sent_ahead_do_not_pile_up(page):
    """A client may send many at once; each is answered after the one before has gone out."""
    with feeding(page), connected(port_of(page)) as client:
        client.sendall(50 * b"GET /frame?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.2)
        assert ask(port_of(page), "/healthz").status == 200


def test_clients_that_come_and_go_leave_nothing(page):
    port = port_of(page)
    with feeding(page):
        for _ in range(30):
            with connected(port) as client:
                client.sendall(request("/frame?after=0"))
        until = time.monotonic() + 15
        while page._server.clients:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert ask(port, "/frame?after=0").status == 200
    assert sum(thread.name in ("ccc-page", "ccc-encode") for thread in threading.enumerate()) == 2


def test_the_token_is_in_no_log(guarded, caplog, capsys):
    port = port_of(guarded)
    caplog.set_level("DEBUG")
    for path in ("/?token=" + TOKEN, "/nothing?token=" + TOKEN, "/%zz?token=" + TOKEN, "/frame\x00?token=" + TOKEN):
        say(port, request(path, more="Authorization: Bearer {}\r\n".format(TOKEN)))
    say(port, request("/token?token=" + TOKEN, method="POST", more="Content-Length: 3\r\n") + b"%ff")
    shown = capsys.readouterr()
    assert TOKEN not in caplog.text + shown.out + shown.err
