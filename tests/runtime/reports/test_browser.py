"""The page in a real browser, where there is one: it is shown, fetches nothing, and its policy is obeyed."""

import http.server
import shutil
import socketserver
import subprocess
import threading

import pytest

from ccc_jetson.runtime.reports.html import page
from tests.runtime.reports.test_html import document_with

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Browsers open connections that they may never use; each has a thread that is not waited for."""

    daemon_threads = True


@pytest.fixture
def browser(tmp_path):
    """Gives a page's DOM as the browser has it after loading."""
    found = [name for name in BROWSERS if shutil.which(name)]
    if not found:
        pytest.skip("none of {} is installed".format(", ".join(BROWSERS)))

    def dom_of(text):
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        command = [found[0], "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom",
                   "--user-data-dir=" + str(tmp_path / "profile"), "file://" + str(path)]  # fmt: skip
        out = tmp_path / "dom.html"  # not a pipe, which the browser's helpers keep open for a while
        with open(str(out), "wb") as file:
            subprocess.call(command, stdout=file, stderr=subprocess.DEVNULL, cwd=str(tmp_path), timeout=600)
        return out.read_text(encoding="utf-8")

    return dom_of


@pytest.fixture
def server():
    """(address, paths that were asked for) of a server on this machine."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    served = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield "http://127.0.0.1:{}".format(served.server_address[1]), asked
    served.shutdown()
    served.server_close()
    thread.join()


def fetching(address):
    """Markup that fetches from everywhere a page can, and that says so where a script runs."""
    return (
        '<img src="{0}/img"><link rel="stylesheet" href="{0}/css"><script src="{0}/js"></script>'
        '<iframe src="{0}/frame"></iframe><div style="background: url({0}/url)">d</div>'
        "<style>@import url({0}/import); body {{ background-image: url({0}/body) }}</style>"
        "<script>document.title = 'a script ran'</script>"
    ).format(address)


def test_names_that_are_markup_and_markup_that_slipped_through_fetch_and_run_nothing(browser, server):
    address, asked = server
    made = page(document_with(fetching(address)))
    dom = browser(made.replace("<footer>", fetching(address) + "<footer>"))
    assert "<h1>&lt;img src=" in dom and dom.count("<svg ") > 10
    assert '<img src="{}/img">'.format(address) in dom and "<title>a script ran</title>" not in dom
    assert asked == []


def test_this_would_be_noticed(browser, server):
    address, asked = server
    dom = browser("<title>t</title>" + fetching(address))
    assert {"/img", "/css", "/js"} <= set(asked)
    assert "<title>a script ran</title>" in dom
