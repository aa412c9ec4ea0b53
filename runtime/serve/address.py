"""Where the page listens: HOST:PORT as people write it, and the socket, opened before the run starts."""

import argparse
import errno
import ipaddress
import os
import re
import socket
from typing import NamedTuple

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.source_grammar import is_host

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080
_BACKLOG = 64
_LAST_PORT = 65535
_ELSEWHERE = ("192.0.2.1", 9)  # an address for documents (RFC 5737); asking for the way to it sends nothing


class Address(NamedTuple):
    """``host`` is a name or an IP address without brackets; port 0 takes any free one."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return "{}:{}".format(bracketed(self.host), self.port)


def parse_address(text: str) -> Address:
    """Argument type: ``HOST:PORT``, ``HOST`` or ``PORT``; IPv6 in brackets, as in ``[::1]:8080``."""
    match = re.match(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]+))(?::(?P<port>\d{1,5}))?\Z", text)
    if match is None:
        raise argparse.ArgumentTypeError(_expected(text, "0.0.0.0:PORT is every address of this machine"))
    host, port = match.group("ipv6") or match.group("name"), match.group("port")
    if host.isdigit() and port is None:  # "8080" alone is a port
        host, port = DEFAULT_HOST, host
    if not is_host(host):
        raise argparse.ArgumentTypeError(_expected(text, "{} is no host".format(host)))
    if port is not None and (len(port) > 5 or int(port) > _LAST_PORT):
        raise argparse.ArgumentTypeError(_expected(text, "ports end at {}".format(_LAST_PORT)))
    if match.group("ipv6"):
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise argparse.ArgumentTypeError(_expected(text, "{} is no IPv6 address".format(host)))
    return Address(host, DEFAULT_PORT if port is None else int(port))


def _expected(text: str, remark: str) -> str:
    return "{!r} is no address; expected HOST:PORT, as in 127.0.0.1:8080 or [::1]:8080; {}".format(text, remark)


class Listener(NamedTuple):
    """An open port: ``host`` and ``port`` as bound; ``is_loopback`` is whether only this machine reaches it."""

    socket: socket.socket
    host: str
    port: int
    is_loopback: bool

    @property
    def url(self) -> str:
        """What to type into a browser, without a token."""
        return "http://{}:{}/".format(bracketed(reachable_host(self.host)), self.port)


def listen(address: Address) -> Listener:
    """Opens the port; nothing is answered yet, but connections wait from now on.

    Raises:
        UsageError: it is taken, not allowed, or no address of this machine; with what to do.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    except OSError:
        raise UsageError(
            "--serve {}: there is no host of this name".format(address),
            hint="--serve 127.0.0.1:8080 for this machine alone, --serve 0.0.0.0:8080 for its network",
        )
    # of "localhost" IPv4 first, as browsers and ssh -L try both
    family, kind, protocol, _, where = sorted(found, key=lambda each: each[0] != socket.AF_INET)[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or the port of a run that ended waits a minute
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # [::] is every address, IPv4's as well
        opened.bind(where)
        opened.listen(_BACKLOG)
        opened.setblocking(False)
        host, port = opened.getsockname()[:2]
    except (OSError, OverflowError) as error:
        opened.close()
        raise _cannot_listen(address, error)
    return Listener(opened, host, port, ipaddress.ip_address(host.partition("%")[0]).is_loopback)


def _cannot_listen(address: Address, error: Exception) -> UsageError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return UsageError(
            "--serve {}: another program has this port".format(address),
            hint="--serve {}:0 takes a free one; who has it: ss -ltnp 'sport = :{}'".format(
                bracketed(address.host), address.port
            ),
        )
    if number == errno.EACCES:
        return UsageError("--serve {}: ports below 1024 are root's".format(address), hint="choose a higher port")
    if number == errno.EADDRNOTAVAIL:
        return UsageError(
            "--serve {}: this machine has no such address".format(address), hint="its addresses: ip -brief address"
        )
    return UsageError("--serve {}: cannot listen there: {}".format(address, os.strerror(number) if number else error))


def bracketed(host: str) -> str:
    """An IPv6 address in brackets; everything else as it is."""
    return "[{}]".format(host) if ":" in host else host


def reachable_host(host: str) -> str:
    """For "every address of this machine" the one by which others reach it, else its name; other hosts stay."""
    if not ipaddress.ip_address(host.partition("%")[0]).is_unspecified:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(_ELSEWHERE)
            return str(asking.getsockname()[0])
        except OSError:
            return socket.gethostname()
