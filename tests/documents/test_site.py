"""The site: every option of every command is in it, and a browser that reads it asks nobody else for anything."""

import functools
import html
import http.server
import importlib.util
import re
import shutil
import subprocess
import sys

import pytest

from tests.documents.blocks import ROOT
from tests.documents.serving import served
from tests.doubles.terminal.programs import entry_points

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DESKTOP, PHONE, SMALL = (1360, 900), (390, 844), (320, 568)
PATIENCE_MS = 60000


@pytest.fixture(scope="module")
def hook():
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    spec = importlib.util.spec_from_file_location("site_pages", ROOT + "/docs/site/pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    pytest.importorskip("material", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=600)
    return folder


@pytest.fixture(scope="module")
def address(site):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Handler, directory=str(site))
    with served(handler) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt install chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def test_every_command_has_its_section(hook):
    modules = {parser.module for parser in hook.PARSERS}
    assert {entry.partition(":")[0] for entry in entry_points().values()} <= modules
    assert len({hook.made(parser).prog for parser in hook.PARSERS}) == len(hook.PARSERS)


def test_every_option_is_in_the_built_page(hook, site):
    page = html.unescape((site / "reference" / "commands" / "index.html").read_text(encoding="utf-8"))
    for parser in map(hook.made, hook.PARSERS):
        section = page.partition('<h2 id="{}"'.format(parser.prog.replace(" ", "-")))[2].partition("<h2 ")[0]
        options = {name for action in parser._actions for name in action.option_strings} - hook.IN_ALL - {"-h"}
        assert options <= set(re.findall(r"<code>(-[\w-]+)", section)), parser.prog


def test_a_browser_asks_nobody_else_and_has_nothing_to_complain_of(browser, address):
    for size, scheme in ((DESKTOP, "light"), (PHONE, "dark"), (SMALL, "light")):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        context.set_default_timeout(PATIENCE_MS)
        tab, asked, complaints = context.new_page(), [], []
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        for event in ("console", "pageerror"):
            tab.on(event, lambda said, complaints=complaints: complaints.append(str(said)))
        for page in ("", "reference/commands/", "reference/python/", "containers/", "networks/", "contributing/"):
            tab.goto(address + page)
            width, seen = tab.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
            assert width <= seen, "{} is {} pixels wide on {}".format(page, width, seen)
        assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
        assert complaints == []
        context.close()


def test_the_search_finds_an_option(browser, address):
    tab = browser.new_page(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
    tab.set_default_timeout(PATIENCE_MS)
    tab.goto(address + "?q=timing-cache")  # as if typed, whenever the search is ready
    tab.locator(".md-search-result__link").first.wait_for()
    found = tab.locator(".md-search-result__link").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert any("reference/commands" in link for link in found), found
    tab.close()


def test_light_and_dark_are_the_readers_choice(browser, address):
    colours = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        tab = context.new_page()
        tab.set_default_timeout(PATIENCE_MS)
        tab.goto(address)
        colours.append(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        context.close()
    light, dark = (sum(map(float, re.findall(r"[\d.]+", colour)[:3])) for colour in colours)
    assert light > 600 and dark < 200, colours
