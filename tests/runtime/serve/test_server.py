"""What the page answers."""

import json
import threading
import time

import pytest

from ccc_jetson.runtime.serve import server, state
from ccc_jetson.runtime.serve.picture import unpack
from tests.doubles.http_client import ask, connected, say, was_closed
from tests.runtime.serve.conftest import TOKEN, feeding, give, opened_page, port_of

HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def wait_until(condition, what):
    until = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("path", "content_type", "content"),
    [
        ("/", "text/html", '<script type="module" src="page.js">'),
        ("/page.js", "text/javascript", "followPictures"),
        ("/curves.js", "text/javascript", "class Curve"),
        ("/page.css", "text/css", "prefers-color-scheme"),
        ("/icon.svg", "image/svg+xml", "<svg"),
        ("/about", "application/json", '"model": "Tiny"'),
        ("/live", "application/json", '"samples"'),
        ("/metrics", "text/plain; version=0.0.4", "ccc_frames_total"),
    ],
)
def test_the_page_and_its_parts(page, path, content_type, content):
    answer = ask(port_of(page), path)
    assert answer.status == 200 and content in answer.text
    assert answer.headers["content-type"].startswith(content_type)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert "server" not in answer.headers
    head = ask(port_of(page), path, "HEAD")
    assert (head.status, head.body) == (200, b"")


def test_nothing_in_the_page_comes_from_elsewhere_or_stands_inside_it(page):
    for path in ("/", "/page.js", "/curves.js", "/page.css", "/icon.svg"):
        text = ask(port_of(page), path).text.replace("http://www.w3.org/2000/svg", "")
        assert "http" not in text.replace("http-equiv", ""), path
        assert "onclick" not in text and 'style="' not in text and "innerHTML" not in text


def test_about_names_model_classes_and_source(page):
    about = json.loads(ask(port_of(page), "/about").text)
    assert (about["file"], about["input"], about["source"]) == ("model.onnx", "64x32", "fake source")
    assert about["classes"][0] == {"name": "road", "color": [128, 64, 128]}
    assert about["opacity"] == 0.5


def test_the_next_frame_comes_to_everyone_who_waits(page):
    answers = []
    waiting = [threading.Thread(target=lambda: answers.append(ask(port_of(page), "/frame?after=0"))) for _ in range(5)]
    with feeding(page):
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join(15)
    assert [answer.status for answer in answers] == [200] * 5
    for answer in answers:
        head, jpeg, png = unpack(answer.body)
        assert head["name"].startswith("frame_") and jpeg[:2] == b"\xff\xd8" and png[1:4] == b"PNG"


def test_a_client_never_gets_an_old_frame_and_never_the_same_twice(page):
    seen = [0]
    with feeding(page):
        for _ in range(10):
            answer = ask(port_of(page), "/frame?after={}".format(seen[-1]))
            seen.append(int(answer.headers["picture"]))
            time.sleep(0.02)
    assert seen == sorted(set(seen))
    frames = unpack(answer.body)[0]["number"]
    assert frames > 10  # the pipeline went on meanwhile, and the newest was sent


@pytest.mark.parametrize("after", ["99999", "x", "-1", "", "9" * 40])
def test_a_page_of_an_earlier_run_or_with_a_strange_number_gets_the_next_frame(page, after):
    with feeding(page):
        assert ask(port_of(page), "/frame?after=" + after).status == 200


def test_without_a_frame_it_says_so_after_a_while(page, monkeypatch):
    from ccc_jetson.runtime.serve import handlers

    monkeypatch.setattr(handlers, "_WAIT_S", 0.1)
    answer = ask(port_of(page), "/frame")
    assert (answer.status, answer.body) == (204, b"")


def test_who_waits_is_told_when_the_run_ends():
    page, answers = opened_page(), []
    thread = threading.Thread(target=lambda: answers.append(ask(port_of(page), "/frame")))
    thread.start()
    wait_until(lambda: page._pictures._wanted, "nobody asked for a frame")
    page.close()
    thread.join(15)
    assert [(answer.status, answer.text) for answer in answers] == [(410, "the run has ended\n")]


def test_healthz_tells_starting_running_and_silent(page, monkeypatch):
    port = port_of(page)
    answer = ask(port, "/healthz")
    assert (answer.status, answer.text) == (503, "starting\n")
    give(page)
    assert ask(port, "/healthz").text == "ok\n"
    clock = page.live._clock
    monkeypatch.setattr(page.live, "_clock", lambda: clock() + state.STALE_S + 1)
    answer = ask(port, "/healthz")
    assert (answer.status, answer.text) == (503, "silent\n")


def test_samples_come_once_and_shares_with_them(page):
    page.live.sample()
    give(page, class_index=10)
    page.live.sample()
    record = json.loads(ask(port_of(page), "/live?from=0").text)
    numbers = [sample["number"] for sample in record["samples"]]
    assert numbers[:2] == [0, 1] and record["shares"] == {"sky": 1.0}
    assert record["samples"][1]["p50_ms"] >= 0
    later = json.loads(ask(port_of(page), "/live?from={}".format(numbers[-1] + 1)).text)["samples"]
    assert all(sample["number"] > numbers[-1] for sample in later)


def test_the_server_takes_a_sample_every_second(monkeypatch):
    monkeypatch.setattr(server, "_SAMPLE_MS", 20)
    page = opened_page(telemetry=lambda: {"power": (7.5, "W")})
    try:
        wait_until(lambda: len(page.live.samples_from(0)) > 3, "no samples")
        assert 'ccc_power_watts{sensor="power"} 7.5' in ask(port_of(page), "/metrics").text
    finally:
        page.close()


def test_sensors_that_fail_stop_neither_run_nor_page(monkeypatch, capsys):
    monkeypatch.setattr(server, "_SAMPLE_MS", 20)

    def broken():
        raise OSError("sensor gone")

    page = opened_page(telemetry=broken)
    try:
        wait_until(lambda: len(page.live.samples_from(0)) > 3, "no samples")
        assert capsys.readouterr().err == "the sensors are not read any more: sensor gone\n"
        give(page)
        assert ask(port_of(page), "/healthz").status == 200
    finally:
        page.close()


@pytest.mark.parametrize("path", ["/", "/frame", "/live", "/metrics", "/about", "/page.js", "/nothing"])
def test_without_the_token_there_is_only_a_form(guarded, path):
    answer = ask(port_of(guarded), path)
    assert answer.status == 401
    assert "<form" in answer.text and "Tiny" not in answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for name, value in HEADERS.items():
        assert answer.headers[name] == value


def test_a_health_check_needs_no_token_and_learns_one_word(guarded):
    answer = ask(port_of(guarded), "/healthz")
    assert (answer.status, answer.text) == (503, "starting\n")
    give(guarded)
    answer = ask(port_of(guarded), "/healthz")
    assert (answer.status, answer.text) == (200, "ok\n") and "set-cookie" not in answer.headers
    assert ask(port_of(guarded), "/healthz", headers={"Origin": "http://elsewhere"}).status == 403


def test_the_token_opens_the_page_and_becomes_a_cookie(guarded):
    port = port_of(guarded)
    answer = ask(port, "/?token=" + TOKEN)
    assert answer.status == 200
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie and TOKEN not in cookie
    name_and_value = cookie.split(";")[0]
    assert ask(port, "/about", headers={"Cookie": "other=1; " + name_and_value}).status == 200
    assert ask(port, "/about", headers={"Cookie": name_and_value[:-1]}).status == 401
    assert ask(port, "/about", headers={"Cookie": name_and_value.split("=")[0] + "=" + TOKEN}).status == 401


def test_the_token_opens_it_for_programs_as_well(guarded):
    port = port_of(guarded)
    assert ask(port, "/metrics", headers={"Authorization": "Bearer " + TOKEN}).status == 200
    assert "set-cookie" not in ask(port, "/metrics", headers={"Authorization": "Bearer " + TOKEN}).headers
    for wrong in ("Bearer x", "Bearer", "Basic " + TOKEN, TOKEN, "Bearer " + TOKEN + "x", "Bearer \u00fc"):
        assert ask(port, "/metrics", headers={"Authorization": wrong.encode("latin-1")}).status == 401, wrong


def test_the_form_trades_the_token_for_the_cookie(guarded):
    port = port_of(guarded)
    host = "127.0.0.1:{}".format(port)
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://" + host, "Host": host}
    answer = ask(port, "/token", "POST", form, "token=" + TOKEN)
    assert answer.status == 303 and answer.headers["location"] == "/"
    assert "HttpOnly" in answer.headers["set-cookie"]
    wrong = ask(port, "/token", "POST", form, "token=wrong")
    assert wrong.status == 401 and "That was not the token." in wrong.text and "set-cookie" not in wrong.headers
    assert ask(port, "/token", "POST", form, "").status == 401
    foreign = dict(form, Origin="http://evil.example")
    assert ask(port, "/token", "POST", foreign, "token=" + TOKEN).status == 403
    del form["Origin"]
    assert ask(port, "/token", "POST", form, "token=" + TOKEN).status == 403


def test_without_a_token_nobody_can_post(page):
    given = {"Origin": page.url.rstrip("/"), "Content-Type": "application/x-www-form-urlencoded"}
    assert ask(port_of(page), "/token", "POST", given, "token=x").status == 403


def test_wrong_tokens_are_limited_and_the_cookie_goes_on(guarded):
    port = port_of(guarded)
    cookie = ask(port, "/?token=" + TOKEN).headers["set-cookie"].split(";")[0]
    answers = [ask(port, "/?token=wrong{}".format(number)) for number in range(12)]
    assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
    assert answers[-1].headers["retry-after"] == "60"
    assert ask(port, "/?token=" + TOKEN).status == 429  # or guessing would go on
    assert ask(port, "/about", headers={"Cookie": cookie}).status == 200


def test_a_loopback_page_may_have_a_token_too():
    page = opened_page(token=TOKEN)
    try:
        assert ask(port_of(page)).status == 401
        assert page.secret_url == page.url  # who chose it knows it
    finally:
        page.close()


def test_a_made_up_token_is_in_the_address_that_is_told(capsys):
    from ccc_jetson.runtime.serve.page import tell

    page = opened_page("0.0.0.0")
    try:
        tell(page)
        url = capsys.readouterr().err.split()[1]
        assert url == page.url + "?token=" + page.token.text
        assert ask(port_of(page), "/" + url.split("/", 3)[3]).status == 200
        assert page.token.text not in page.description
    finally:
        page.close()


def test_a_bug_is_told_without_the_query(guarded, monkeypatch, caplog):
    monkeypatch.setattr(type(guarded.live), "shares", property(lambda self: 1 / 0))
    answer = ask(port_of(guarded), "/live?token=" + TOKEN)
    assert (answer.status, answer.text) == (500, "500 Internal Server Error\n")
    assert "GET /live failed" in caplog.text and "ZeroDivisionError" in caplog.text
    assert TOKEN not in caplog.text


def test_the_end_leaves_no_thread_and_no_port():
    before = set(threading.enumerate())
    page = opened_page()
    port, waiting = port_of(page), connected(port_of(page))
    assert {thread.name for thread in set(threading.enumerate()) - before} == {"ccc-page", "ccc-encode"}
    page.close()
    page.close()
    assert set(threading.enumerate()) == before
    assert was_closed(waiting, 5)
    waiting.close()
    with pytest.raises(ConnectionRefusedError):
        connected(port)


def test_a_server_that_cannot_start_says_so_and_leaves_nothing(monkeypatch):
    def broken(state):
        raise ZeroDivisionError("a bug")

    before = set(threading.enumerate())
    monkeypatch.setattr(server, "routes", broken)
    with pytest.raises(ZeroDivisionError):
        opened_page()
    assert set(threading.enumerate()) == before


def test_a_server_that_breaks_on_the_way_is_not_hidden(monkeypatch):
    async def broken(server):
        raise ZeroDivisionError("a bug")

    before = set(threading.enumerate())
    monkeypatch.setattr(server, "_goodbye", broken)
    page = opened_page()
    with pytest.raises(ZeroDivisionError):
        page.close()
    page.abort()
    assert set(threading.enumerate()) == before


def test_a_kept_connection_serves_one_request_after_another(page):
    request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert say(port_of(page), (2 * request + last).encode()).count(b"HTTP/1.1 503") == 3
