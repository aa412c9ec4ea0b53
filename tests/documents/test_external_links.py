"""The check of links to elsewhere, asked about a server of this machine."""

import http.server

import pytest

from tests.documents.external_links import addresses, problem
from tests.documents.serving import served


class Answers(http.server.BaseHTTPRequestHandler):
    """The code that the path names."""

    def do_GET(self):
        self.send_response(int(self.path[1:]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def server():
    with served(Answers) as address:
        yield address


@pytest.mark.parametrize("code, said", [(200, ""), (403, ""), (404, "404 Not Found"), (500, "500")])
def test_an_address_is_broken_where_it_is_not_there(server, code, said):
    found = problem(server + str(code))
    assert found.startswith(said) and bool(found) == bool(said)


def test_a_server_that_is_not_there_is_told():
    assert "refused" in problem("http://127.0.0.1:1/")


def test_addresses_are_those_of_others_without_their_anchors():
    text = "[a](https://a.org/x#y) <https://b.org> [c](c.md) [d](http://localhost:8080/) [e](https://a.org/x)"
    assert addresses(text) == ["https://a.org/x", "https://b.org"]
