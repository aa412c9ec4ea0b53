"""The page in a real browser: Debian's Chromium, driven by Playwright. ``CCC_SCREENSHOTS`` is a folder for pictures."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (it needs Python 3.8)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("there is no Chromium: apt install chromium", allow_module_level=True)

import ccc_jetson  # noqa: E402
from ccc_jetson.runtime.serve.address import Address  # noqa: E402
from ccc_jetson.runtime.serve.entrance import open_entrance  # noqa: E402
from ccc_jetson.runtime.serve.page import Page  # noqa: E402
from tests.doubles.stages import FakeSource  # noqa: E402
from tests.doubles.tiny_model import tiny_contract  # noqa: E402
from tests.runtime.serve.conftest import TOKEN, feeding, give, opened_page, port_of  # noqa: E402

DESKTOP, PHONE, SMALL = (1360, 900), (390, 844), (320, 568)
PATIENCE_MS = 60000  # a machine may be slow
READINGS = {
    "power": (7.42, "W"), "GPU load": (93.0, "%"), "CPU load": (41.0, "%"), "memory used": (3.2, "GB"),
    "temperature GPU": (48.5, "C"), "temperature CPU": (47.0, "C"), "rail DDR": (1.3, "W"),
}  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def look(browser):
    """Opens tabs; a message in the console, which a policy's violation is as well, fails the test.

    But for those by which a browser itself tells of the form, of the run's end and of reading a canvas in a test.
    """
    contexts, messages = [], []

    def opened(url, size=DESKTOP, scheme="light"):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: messages.append(message.text))
        tab.on("pageerror", lambda error: messages.append(str(error)))
        tab.goto(url)
        return tab

    yield opened
    for context in contexts:
        context.close()
    expected = ("401 (Unauthorized)", "410 (Gone)", "ERR_", "willReadFrequently")
    assert [each for each in messages if not any(part in each for part in expected)] == []


def shot(tab, name):
    if os.environ.get("CCC_SCREENSHOTS"):
        tab.screenshot(path=os.path.join(os.environ["CCC_SCREENSHOTS"], name + ".png"), full_page=True)


def wait_until(tab, expression, argument=None):
    """Until an expression of JavaScript is true; Playwright's own waiting needs what the page's policy forbids."""
    until = time.monotonic() + PATIENCE_MS / 1000
    while not _is_true(tab, expression, argument):
        assert time.monotonic() < until, expression
        tab.wait_for_timeout(50)


def _is_true(tab, expression, argument):
    try:
        return tab.evaluate(expression, argument)
    except playwright.Error as error:
        assert "navigation" in str(error)  # between two pages there is nothing to ask
        return False


def wait_for_state(tab, text):
    wait_until(tab, "text => document.getElementById('state').textContent.includes(text)", text)


def pixel(tab, across=0.5, down=0.5):
    """The picture's colour at shares of its size."""
    return tab.evaluate(
        """([u, v]) => { const c = document.getElementById("picture");
        return [...c.getContext("2d").getImageData(u * c.width, v * c.height, 1, 1).data.slice(0, 3)] }""",
        [across, down],
    )


def wait_for_pixel(tab, color, tolerance=12, down=0.5):
    until = time.monotonic() + PATIENCE_MS / 1000
    while max(abs(a - b) for a, b in zip(pixel(tab, 0.5, down), color)) > tolerance:
        assert time.monotonic() < until, pixel(tab, 0.5, down)
        tab.wait_for_timeout(50)


@pytest.mark.parametrize("size", [DESKTOP, PHONE, SMALL])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_picture_classes_figures_and_curves(look, size, scheme):
    page = opened_page(telemetry=lambda: READINGS)
    try:
        with feeding(page, 0.02):
            tab = look(page.url, size, scheme)
            wait_for_state(tab, "live")
            assert tab.inner_text("#model") == "Tiny"
            assert "model.onnx, 64x32 from fake source" in tab.inner_text("#source")
            assert tab.locator("#legend li").count() == 19
            wait_until(tab, "document.querySelectorAll('.curve').length >= 5")
            wait_until(tab, "document.querySelector('.curve polyline').getAttribute('points').includes(' ')")
            wait_until(tab, "document.querySelector('#legend li:not(.absent)')")
            assert re.search(r"\d", tab.inner_text("#legend li:not(.absent) .share"))
            tiles = tab.inner_text("#tiles")
            assert "FPS" in tiles and "7.4 W" in tiles and "48.5 \u00b0C" in tiles
            assert "rail DDR" in tab.inner_text("#sensors") and "47.0 \u00b0C" in tab.inner_text("#sensors")
            assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]  # nothing to scroll sideways
            bright = sum(tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"))
            assert (bright > 600) == (scheme == "light")
            shot(tab, "{}x{}-{}".format(size[0], size[1], scheme))
    finally:
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_enough(look, page, scheme):
    """WCAG 2.1, 1.4.3: a contrast of 4.5 for text."""
    give(page)
    tab = look(page.url, scheme=scheme)
    tab.wait_for_selector("#legend li")
    colors = tab.evaluate(
        """() => Object.fromEntries(["ground", "panel", "text", "faint", "accent", "second", "bad"].map((name) => {
        const probe = document.body.appendChild(document.createElement("i"));
        probe.style.color = `var(--${name})`;
        return [name, getComputedStyle(probe).color.match(/\\d+/g).map(Number)] }))"""
    )

    def luminance(color):
        parts = [each / 255 for each in color]
        linear = [each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for ground in ("ground", "panel"):
        for name in ("text", "faint", "accent", "second", "bad"):
            light, dark = sorted((luminance(colors[ground]), luminance(colors[name])), reverse=True)
            contrast = (light + 0.05) / (dark + 0.05)
            assert contrast >= (4.5 if name != "second" else 3.0), (ground, name, contrast)  # that one is a line


def test_opacity_is_each_pages_own(look, page):
    first, second = look(page.url), look(page.url)
    for tab in (first, second):
        tab.wait_for_selector("#legend li")
    with feeding(page, 0.02):
        for tab in (first, second):
            wait_for_state(tab, "live")
    # one class, sky (70, 130, 180), over a grey of 40
    give_until_shown(page, first, second)
    wait_for_pixel(first, (55, 85, 110))
    first.locator("#opacity").focus()
    first.keyboard.press("End")
    wait_for_pixel(first, (70, 130, 180))
    assert first.inner_text("#opacity-value") == "100 %"
    wait_for_pixel(second, (55, 85, 110))
    second.locator("#opacity").focus()
    second.keyboard.press("Home")
    wait_for_pixel(second, (40, 40, 40))


def give_until_shown(page, *tabs):
    """The frame 40, all sky, until every tab shows it."""
    until = time.monotonic() + PATIENCE_MS / 1000
    while not all("frame_000040" in tab.inner_text("#frame") for tab in tabs):
        assert time.monotonic() < until
        give(page, 40, 10)
        tabs[0].wait_for_timeout(60)


def test_the_class_under_the_pointer_is_named(look, page):
    tab = look(page.url)
    tab.wait_for_selector("#legend li")
    give_until_shown(page, tab)
    tab.hover("#picture")
    assert tab.inner_text("#pointed") == "sky"
    tab.hover("h1")
    assert tab.is_hidden("#pointed")


def test_only_what_the_network_saw_is_coloured(look, page):
    tab = look(page.url)
    tab.wait_for_selector("#legend li")
    until = time.monotonic() + PATIENCE_MS / 1000
    while "frame_000040" not in tab.inner_text("#frame"):
        assert time.monotonic() < until
        give(page, 40, 10, "crop", (100, 100))
        tab.wait_for_timeout(60)
    tab.locator("#opacity").focus()
    tab.keyboard.press("End")
    wait_for_pixel(tab, (70, 130, 180))
    assert max(abs(value - 40) for value in pixel(tab, 0.5, 0.1)) < 12
    tab.mouse.move(*(lambda box: (box["x"] + box["width"] / 2, box["y"] + 5))(tab.locator("#picture").bounding_box()))
    assert tab.is_hidden("#pointed")


def test_pause_stops_this_page_and_not_the_run(look, page):
    tab = look(page.url)
    with feeding(page, 0.02):
        wait_for_state(tab, "live")
        tab.keyboard.press("p")
        wait_for_state(tab, "paused here, the run goes on")
        assert tab.get_attribute("#pause", "aria-pressed") == "true" and tab.inner_text("#pause") == "Resume"
        tab.wait_for_timeout(500)
        shown, frames = tab.inner_text("#frame"), page.live.latency.frames
        tab.wait_for_timeout(700)
        assert tab.inner_text("#frame") == shown and page.live.latency.frames > frames
        tab.locator("#pause").focus()
        tab.keyboard.press("Space")
        wait_for_state(tab, "live")
        wait_until(tab, "shown => document.getElementById('frame').textContent !== shown", shown)


def test_a_page_is_of_use_without_a_mouse(look, page):
    tab = look(page.url)
    tab.wait_for_selector("#legend li")
    reached = []
    for _ in range(2):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id"))
        outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
    assert reached == ["pause", "opacity"]


def test_nobody_asks_for_pictures_in_a_hidden_tab(look, page):
    tab = look(page.url)
    with feeding(page, 0.02):
        wait_for_state(tab, "live")
        tab.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
        tab.wait_for_timeout(500)
        before = page._pictures.newest.number
        tab.wait_for_timeout(700)
        assert page._pictures.newest.number == before


def test_the_token_leaves_the_address_bar(look, guarded):
    with feeding(guarded, 0.02):
        url = "http://127.0.0.1:{}/".format(port_of(guarded))
        tab = look(url + "?token=" + TOKEN)
        wait_for_state(tab, "live")
        assert tab.url == url
        tab.reload()
        wait_for_state(tab, "live")  # by the cookie
        assert TOKEN not in tab.evaluate("document.cookie + JSON.stringify(performance.getEntriesByType('resource'))")


def test_the_form_takes_the_token(look, guarded):
    with feeding(guarded, 0.02):
        tab = look("http://127.0.0.1:{}/".format(port_of(guarded)), PHONE, "dark")
        assert "asks for its token" in tab.inner_text("form")
        shot(tab, "token")
        tab.keyboard.type("not-the-token-at-all")  # the field has the focus
        tab.keyboard.press("Enter")
        wait_until(tab, "document.querySelector('.remark').textContent.includes('not the token')")
        tab.fill("#token", TOKEN)
        tab.click("button")
        wait_for_state(tab, "live")
        assert tab.url.endswith("/") and TOKEN not in tab.url


def test_the_end_is_told_and_the_next_run_taken_up(look):
    page = opened_page()
    port = port_of(page)
    tab = look(page.url)
    with feeding(page, 0.02):
        wait_for_state(tab, "live")
    page.close()
    wait_for_state(tab, "the run has ended")
    contract = tiny_contract()
    other = contract._replace(architecture=contract.architecture._replace(title="Another"))
    page = Page(open_entrance(Address("127.0.0.1", port), None), other, "other.onnx", FakeSource(10), 0.5)
    try:
        with feeding(page, 0.02):
            wait_for_state(tab, "live")
            wait_until(tab, "document.getElementById('model').textContent === 'Another'")
            shown = tab.inner_text("#frame")
            wait_until(tab, "shown => document.getElementById('frame').textContent !== shown", shown)
    finally:
        page.close()


def test_a_road_video_plays_on_desktop_and_phone(look, official_onnx, shared_data):
    command = [sys.executable, "-m", "ccc_jetson.runtime.run_cli", "--model", official_onnx, "--serve", "127.0.0.1:0"]
    command += ["--video", shared_data("video/solidWhiteRight.mp4")]
    package = os.path.dirname(os.path.dirname(os.path.abspath(ccc_jetson.__file__)))
    environment = dict(os.environ, PYTHONPATH=package)
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        url = None
        while url is None:
            line = run.stderr.readline().decode()
            assert line, "it ended before it told where its page is"
            url = re.match(r"page: (\S+)|", line).group(1)
        tabs = {name: look(url, size) for name, size in (("desktop", DESKTOP), ("phone", PHONE))}
        for name, tab in tabs.items():
            wait_for_state(tab, "live")
            wait_until(tab, "document.querySelectorAll('#stages li').length >= 4")
            wait_until(tab, "document.querySelector('#frame').textContent.startsWith('solidWhiteRight_')")
            shares = dict(re.findall(r"(road|sky)\s+([0-9.]+) %", tab.inner_text("#legend")))
            assert 25 < float(shares["road"]) < 60 and float(shares["sky"]) > 5
            tab.locator("#opacity").focus()
            tab.keyboard.press("End")
            tab.keyboard.press("p")
            wait_for_pixel(tab, (128, 64, 128), 12, 0.85)  # in the middle of the lower half there is road
            shot(tab, "road-" + name)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
        assert run.returncode in (0, 130)
    finally:
        run.kill()
        run.communicate()
