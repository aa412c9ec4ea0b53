"""What a report may not hold is taken out of it, and what it needs stays."""

import json

import pytest

from ccc_jetson.errors import CccError
from ccc_jetson.runtime.board_report import privacy
from ccc_jetson.runtime.board_report.privacy import (
    Known,
    check_scrubbed,
    known_here,
    scrubbed,
    scrubbed_json,
    scrubbed_page,
    scrubbed_value,
)
from ccc_jetson.runtime.reports.document import Document, Facts, FactSheets, Section
from ccc_jetson.runtime.reports.html import page
from tests.doubles.machines import tx2

NOBODY = Known((), ())


@pytest.mark.parametrize(
    "text, expected",
    [
        ("/home/greta/nets/model.onnx", "~/nets/model.onnx"),
        ("cp /home/greta/x /root/y /home/bo", "cp ~/x ~/y ~"),
        ("rtsp://admin:pw@10.0.0.7:554/stream", "rtsp://***/stream"),
        ("http://camera.lan/?token=abc", "http://***/?token=***"),
        ("eth0 00:04:4b:a5:12:9f up", "eth0 *** up"),
        ("at 192.168.55.1 and 172.20.0.3", "at *** and ***"),
        ("10.20.30.40:8080 and 8.8.8.8/24", "***:8080 and ***/24"),
        ("fe80::204:4bff:fea5:129f, 2001:db8::1", "***, ***"),
        ("greta@tegra-ubuntu.local:", "***:"),
        ("/dev/v4l/by-id/usb-046d_C920_1234ABCD-video-index0", "/dev/v4l/by-id/***"),
        ("Serial Number: 0324817022553", "Serial Number: ***"),
        ('"serial_number": "A1B2C3"', '"serial_number": "***"'),
    ],
)
def test_what_tells_who_and_where_is_taken_out(text, expected):
    assert scrubbed(text, NOBODY) == expected
    assert scrubbed(expected, NOBODY) == expected


@pytest.mark.parametrize(
    "text",
    [
        "TensorRT 8.2.1.8, cuDNN 8.2.1.32, CUDA 10.2.300, TensorRT 10.3.0.26, 11.0.0.114",
        "numpy 1.19.4, kernel 4.9.337-tegra, L4T 32.7.4",
        "12:30:45, 2026-11-28T12:30:45Z, nvinfer1::builder, std::vector",
        "NVIDIA Tegra X2 (sm_62), /usr/lib/python3.6/dist-packages/tensorrt",
        "https://github.com/clovaai/c3_sinet", "SHA-256 2674615a45dc9180eca946fbe4ce42ace34e8b2872901f558245a1cc9d3f",
        "/dev/video0, csi://0", "1.5e-3 to 10.25 ms", "/roots/of/things",
    ],
)  # fmt: skip
def test_what_a_report_needs_stays(text):
    assert scrubbed(text, NOBODY) == text


def test_what_is_known_of_the_machine_is_taken_out_wherever_it_stands(tmp_path, monkeypatch):
    root = tx2(tmp_path, changes={
        "proc/device-tree/serial-number": "0324817022553\0",
        "etc/machine-id": "d2c1f0a9b8e74c6d\n",
        "proc/net/fib_trie": "  |-- 10.20.30.41\n     /32 host LOCAL\n  |-- 127.0.0.1\n     /32 host LOCAL\n",
        "proc/net/route": "Iface Destination Gateway\neth0 00000000 010A14AC 0003\neth0 x zz\n",
        "proc/net/if_inet6": "fe8000000000000002044bfffea5129f 02 40 20 80 eth0\nodd\n",
        "sys/class/net/eth0/address": "00:04:4B:a5:12:9f\n",
    })  # fmt: skip
    monkeypatch.setattr(privacy.socket, "gethostname", lambda: "roof.example.org")
    monkeypatch.setattr(privacy.getpass, "getuser", lambda: "greta")
    monkeypatch.setenv("SUDO_USER", "jetson")
    monkeypatch.setenv("USER", "greta")
    monkeypatch.setenv("LOGNAME", "greta")
    monkeypatch.setenv("HOME", "/data/greta")
    known = known_here(root, [("/data/greta/nets/secret-project/model.onnx", "model.onnx")])
    text = "board 0324817022553 d2c1f0a9b8e74c6d on roof.example.org (roof), 10.20.30.41 via 172.20.10.1, Greta, jetson"
    assert scrubbed(text, known) == "board *** *** on *** (***), *** via ***, ***, jetson"
    assert scrubbed("/data/greta/nets/secret-project/model.onnx in /data/greta/x", known) == "model.onnx in ~/x"
    assert scrubbed("version 110.20.30.411 and 10.20.30.419", known) == "version 110.20.30.411 and 10.20.30.419"
    assert scrubbed("gretas", known) == "gretas"
    assert scrubbed("127.0.0.1", known) == "127.0.0.1"
    for secret in ("0324817022553", "roof", "10.20.30.41", "GRETA"):
        with pytest.raises(CccError, match=r"x\.json still holds 1 names") as caught:
            check_scrubbed("x.json", "a {} b".format(secret), known)
        assert secret not in str(caught.value)
    check_scrubbed("x.json", scrubbed(text, known), known)


def test_a_user_without_a_name_is_no_problem(tmp_path, monkeypatch):
    def nobody():
        raise KeyError("uid not found: 4711")

    for name in ("USER", "LOGNAME", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(privacy.getpass, "getuser", nobody)
    monkeypatch.setattr(privacy.socket, "gethostname", lambda: "localhost")
    assert known_here(str(tmp_path)).words == ()


def test_json_keeps_its_keys_and_figures_and_loses_the_rest():
    known = Known((("/data/x", "."),), ("frames",))
    record = {"frames": [1, 2.5, None, True], "path": "/data/x/frames.txt", "in": {"frames": "no frames"}}
    assert json.loads(scrubbed_json(json.dumps(record), known)) == {
        "frames": [1, 2.5, None, True], "path": "./***.txt", "in": {"frames": "no ***"}
    }  # fmt: skip
    assert scrubbed_json("no json of 192.168.1.1", NOBODY) == "no json of ***"


def test_records_of_a_document_stay_records():
    found = scrubbed_value((Facts("at 192.168.1.1", (("a", "00:04:4b:a5:12:9f"),)), 5), NOBODY)
    assert found == (Facts("at ***", (("a", "***"),)), 5) and isinstance(found[0], Facts)


WORDS_OF_OURS = ("gpu", "board", "media", "print", "dark", "class", "span", "div", "charset", "steps")


@pytest.mark.parametrize("name", WORDS_OF_OURS)
def test_a_name_that_is_a_word_of_our_formats_hides_values_and_breaks_nothing(name):
    known = Known((), (name,))
    text = "on {0}, {0}-2 and {0}s".format(name)
    facts = FactSheets((Facts("z", (("who", text),)),))
    whole = page(Document("x", name, (), "", (), (Section("y", (facts,)),), "z"))
    shown = scrubbed_page(whole, known)
    style = whole[whole.index("<style>") : whole.index("</style>")]
    assert style in shown and "<dd>on ***, ***-2 and {}s</dd>".format(name) in shown and "<h1>***</h1>" in shown
    check_scrubbed("x.html", shown, known)
    record = scrubbed_json(json.dumps({name: [text, 5]}), known)
    assert json.loads(record) == {name: ["on ***, ***-2 and {}s".format(name), 5]}
    check_scrubbed("x.json", record, known)
    for kind, told in (("html", whole), ("json", json.dumps({"a": [{"b": text}]})), ("json", "no json: " + text)):
        with pytest.raises(CccError, match="still holds 1 names"):
            check_scrubbed("x." + kind, told, known)


def test_what_stands_in_a_tag_or_is_escaped_is_hidden_too():
    known = Known((("/data/a&b/x", "x"),), ("greta",))
    assert scrubbed_page('<img class="greta" alt="of greta"/>/data/a&amp;b/x', known) == (
        '<img class="greta" alt="of ***"/>x'
    )
    with pytest.raises(CccError):
        check_scrubbed("x.svg", '<img alt="of greta"/>', known)


@pytest.mark.parametrize("text", ["größer", "gröbär"])
def test_a_part_of_a_word_is_no_name(text):
    assert scrubbed(text, Known((), ("grö",))) == text


@pytest.mark.parametrize(
    "camera, said, expected",
    [
        ("rtsp://bob7:hunter2@cam7.acme.example/x", "no route to CAM7.acme.example: bob7, hunter2",
         "no route to ***: ***, ***"),
        ("rtsp://bob7:a/b@c9@cam7.acme.example:554/x#transport=tcp", "cam7.acme.example refuses a/b@c9",
         "*** refuses ***"),
        ("rtsps://bob7:s%40fe@10.1.2.3/x", "10.1.2.3 knows no s@fe, 10.1.2.30", "*** knows no ***, 10.1.2.30"),
        ("rtsp://[fd00::5]:99999999/x", "fd00::5", "***"),
        ("rtsp://[odd/x", "odd", "odd"),
        ("rtsp://admin:camera@camera/x", "admin at the device", "admin at the device"),
        ("csi://0?size=640x480", "csi://0, 640x480", "csi://0, 640x480"),
        ("/dev/video0", "/dev/video0", "/dev/video0"),
    ],
)  # fmt: skip
def test_a_cameras_host_user_and_password_are_hidden_where_they_stand_alone(tmp_path, camera, said, expected):
    assert scrubbed(said, known_here(str(tmp_path), (), camera)) == expected


def test_the_password_of_the_environment_is_hidden(tmp_path, monkeypatch):
    monkeypatch.setenv("CCC_RTSP_PASSWORD", "hunter2")
    assert scrubbed("401 for hunter2", known_here(str(tmp_path), (), "rtsp://bob7@cam7/x")) == "401 for ***"


def test_json_too_deep_to_read_is_scrubbed_as_text():
    deep = "[" * 100000 + " greta"
    assert scrubbed_json(deep, Known((), ("greta",))).endswith(" ***")
    with pytest.raises(CccError):
        check_scrubbed("x.json", deep, Known((), ("greta",)))
