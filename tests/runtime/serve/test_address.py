"""HOST:PORT, and the port that is opened."""

import argparse
import contextlib
import socket

import pytest

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.serve import address
from ccc_jetson.runtime.serve.address import Address, listen, parse_address, reachable_host


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8081", ("127.0.0.1", 8081)),
        ("127.0.0.1", ("127.0.0.1", 8080)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:9000", ("::1", 9000)),
        ("[::]", ("::", 8080)),
        ("tx2.local:80", ("tx2.local", 80)),
    ],
)
def test_addresses_as_people_write_them(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "::1",
        "::1:80",
        "host:",
        "1:2:3",
        "[::g]:1",
        "[1.2]:3",
        "0:65536",
        "70000",
        "a b:1",
        "h:-1",
        "a..b:80",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected HOST:PORT, as in"):
        parse_address(text)


def test_an_address_is_shown_as_it_is_written():
    assert str(Address("::1", 8080)) == "[::1]:8080"
    assert str(Address()) == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("host", "is_loopback"), [("127.0.0.1", True), ("localhost", True), ("127.9.9.9", True), ("0.0.0.0", False)]
)
def test_a_free_port_is_taken_and_told(host, is_loopback):
    listener = listen(Address(host, 0))
    with contextlib.closing(listener.socket):
        assert listener.is_loopback == is_loopback
        assert listener.url.endswith(":{}/".format(listener.port)) and listener.port > 0
        socket.create_connection(("127.0.0.1" if host != "127.9.9.9" else host, listener.port), 5).close()


def test_ipv6_works_where_the_machine_has_it():
    try:
        listener = listen(Address("::1", 0))
    except UsageError as problem:
        pytest.skip("no IPv6 here: {}".format(problem))
    with contextlib.closing(listener.socket):
        assert listener.is_loopback and listener.url == "http://[::1]:{}/".format(listener.port)


def test_a_busy_port_is_told_with_the_way_out():
    with contextlib.closing(listen(Address("127.0.0.1", 0)).socket) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="another program has this port") as caught:
            listen(Address("127.0.0.1", port))
    assert "127.0.0.1:0" in caught.value.hint and "ss -ltnp" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "message"),
    [(13, "ports below 1024 are root's"), (99, "this machine has no such address"), (12, "cannot listen there")],
)
def test_other_reasons_are_told(monkeypatch, number, message):
    class Refused(socket.socket):
        def bind(self, where):
            raise OSError(number, "as the system says")

    monkeypatch.setattr(address.socket, "socket", Refused)
    with pytest.raises(UsageError, match=message):
        listen(Address("127.0.0.1", 80))


def test_a_host_that_does_not_exist_is_told(monkeypatch):
    def unknown(*arguments):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(address.socket, "getaddrinfo", unknown)
    with pytest.raises(UsageError, match="there is no host of this name"):
        listen(Address("nowhere", 80))


def test_every_address_is_shown_as_the_one_that_others_reach(monkeypatch):
    assert reachable_host("127.0.0.1") == "127.0.0.1"
    assert reachable_host("0.0.0.0") != "0.0.0.0"

    class Lonely(socket.socket):
        def connect(self, where):
            raise OSError("Network is unreachable")

    monkeypatch.setattr(address.socket, "socket", Lonely)
    assert reachable_host("0.0.0.0") == socket.gethostname()


def test_every_ipv6_address_is_every_ipv4_address_too():
    try:
        listener = listen(Address("::", 0))
    except UsageError as problem:
        pytest.skip("no IPv6 here: {}".format(problem))
    with contextlib.closing(listener.socket):
        assert not listener.is_loopback
        socket.create_connection(("127.0.0.1", listener.port), 5).close()


def test_a_port_of_thousands_of_digits_is_none():
    with pytest.raises(argparse.ArgumentTypeError, match="ports end at 65535"):
        parse_address("9" * 5000)
