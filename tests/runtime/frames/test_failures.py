"""Sentences of libraries and what they mean; what a slow camera may be slow for; what libraries say meanwhile."""

import os
import re
import subprocess
import sys

import pytest

from ccc_jetson.runtime.frames import native_words
from ccc_jetson.runtime.frames.details import SourceDetails, Stream
from ccc_jetson.runtime.frames.failures import CAUSES, cause_of, telling_lines
from ccc_jetson.runtime.frames.native_words import NativeWords, own_standard_output
from ccc_jetson.runtime.frames.slow import slow_camera

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


@pytest.mark.parametrize("words, fix", [
    ("Error generated. ... Failed to create CaptureSession", "restart nvargus-daemon"),
    ("(Argus) Error: Connecting to nvargus-daemon failed: No such file or directory", "/tmp/argus_socket"),
    ("Error generated. gstnvarguscamerasrc.cpp, execute:532 No cameras available", "ribbon cable"),
    ("libgomp.so.1: cannot allocate memory in static TLS block", "LD_PRELOAD=/usr/lib/aarch64-linux-gnu/libgomp.so.1"),
    ("Failed to load plugin: /lib/aarch64-linux-gnu/libGLdispatch.so.0: cannot allocate memory in static TLS block\n"
     "GStreamer has no element nvarguscamerasrc", "LD_PRELOAD=/lib/aarch64-linux-gnu/libGLdispatch.so.0"),
    ("nvbuf_utils: Could not get EGL display connection", "unset DISPLAY"),
    ('GStreamer warning: Error opening bin: no element "nvv4l2decoder"', "apt install gstreamer1.0-plugins-good"),
    ("module v4l2src0 reported: Internal data stream error.", "v4l2-ctl --list-formats-ext"),
    ("GStreamer warning: unable to start pipeline", "v4l2-ctl --list-formats-ext"),
    ("VIDIOC_REQBUFS: Device or resource busy", "fuser -v"),
    ("method DESCRIBE failed: 401 Unauthorized", "USER:PASSWORD"),
])  # fmt: skip
def test_a_known_sentence_has_a_cause_and_a_fix(words, fix):
    cause = cause_of(words)
    assert cause is not None and fix in cause.fix and cause.means


def test_what_is_not_known_has_no_cause():
    assert cause_of("[ WARN] something else") is None
    assert cause_of("") is None


def test_the_lines_that_sound_like_a_reason_are_shown_once_short_and_clean():
    said = (
        "GST_ARGUS: Creating output stream\nError: one\nError: one\n\x1b[31mcannot two\nthree\nWARN four\nfailed five\n"
    )
    assert telling_lines(said) == "?[31mcannot two / WARN four / failed five"
    assert telling_lines("all is well") == ""
    assert len(telling_lines("error " + "x" * 1000)) <= 160


def test_the_documents_list_every_cause():
    with open(os.path.join(ROOT, "docs", "sources.md"), encoding="utf-8") as file:
        text = file.read().lower()
    assert [cause.says for cause in CAUSES if cause.says not in text] == []


@pytest.mark.parametrize("arguments, expected", [
    (("asked for 30 FPS", 18.44, "v4l2", "MJPG", "MAXP_CORE_ARM"),
     "asked for 30 FPS, the camera delivers 18.4: power mode MAXP_CORE_ARM: switch to MAXN (sudo nvpmodel -m 0 on a "
     "TX2), then sudo jetson_clocks; or in the dark"),
    (("asked for 30 FPS", 10, "v4l2", "YUYV", ""), "delivers 10.0: uncompressed YUYV does not fit through USB"),
    (("asked for 30 FPS", 10, "rtsp", "", "MAXN"), "the camera's own settings have its rate"),
    (("asked for 30 FPS", 10, "csi", "NV12", ""), "asked for 30 FPS, the camera delivers 10.0"),
])  # fmt: skip
def test_a_slow_cameras_likely_cause_comes_with_its_fix(arguments, expected):
    assert expected in slow_camera(*arguments)


def test_what_libraries_say_is_kept_and_python_prints_again_afterwards(capfd):
    print("before")
    with NativeWords() as words:
        os.write(1, b"on output\n")
        os.write(2, b"on error\n")
    print("after")
    assert words.text == "on output\non error\n"
    out, err = capfd.readouterr()
    assert out.split() == ["before", "after"] and err == ""


def test_opencv_says_what_it_warns_of_only_meanwhile():
    """In a process of its own: what OpenCV says depends on what was opened there before."""
    code = "from ccc_jetson.opencv import import_cv2\nfrom ccc_jetson.runtime.frames.native_words import NativeWords\n"
    code += "cv2 = import_cv2()\nwith NativeWords() as words:\n    cv2.VideoCapture(97, cv2.CAP_V4L2)\n"
    code += "cv2.VideoCapture(97, cv2.CAP_V4L2)\nprint(words.text)\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    child = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = child.communicate()
    assert err == b""
    assert b"v4l" in out.lower()


def test_an_opencv_that_has_no_log_level_is_left_alone(monkeypatch):
    class Old:
        pass

    monkeypatch.setattr(native_words, "import_cv2", lambda: Old)
    with NativeWords() as words:
        os.write(2, b"words")
    assert words.text == "words"


@pytest.mark.parametrize("module, name", [(os, "dup"), (native_words.tempfile, "TemporaryFile")])
def test_closed_descriptors_and_full_disks_keep_nothing(monkeypatch, module, name):
    def failing(*arguments):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(module, name, failing)
    with NativeWords() as words:
        pass
    assert words.text == ""
    with own_standard_output():
        pass


def test_standard_output_is_pythons_alone():
    script = (
        "import os\n"
        "from ccc_jetson.runtime.frames.native_words import own_standard_output\n"
        "print('before')\n"
        "with own_standard_output():\n"
        "    os.write(1, b'GST_ARGUS: Done Success\\n'); print('{}')\n"
        "os.write(1, b'after\\n')\n"
    )
    path = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=dict(os.environ, PYTHONPATH=path), universal_newlines=True)  # fmt: skip
    out, err = done.communicate(timeout=60)
    assert out.split() == ["before", "{}", "after"]
    assert err == "GST_ARGUS: Done Success\n"


def test_details_are_told_of_live_sources_and_recorded_of_all():
    details = SourceDetails(
        "v4l2", "/dev/video0", Stream((1280, 720), 30.0, "MJPG"), Stream((640, 480), 30.0, "MJPG"), 18.4444,
        "V4L2", reconnects=2, lost_s=6.1234567, stalls=1, replaced=7, stamped="by the driver", age_ms=12.34567,
    )  # fmt: skip
    assert details.facts(live=False) == []
    text = "\n".join("{}: {}".format(*fact) for fact in details.facts(live=True))
    assert text == (
        "source: asked for 1280x720 MJPG at 30 FPS; delivers 640x480 MJPG at 30 FPS, measured 18.4 FPS\n"
        "source: 2 reconnects, 6.1 s without it, 1 stall\n"
        "frame age: stamped by the driver, 12.3 ms before it arrives here (mean)"
    )
    record = details.to_json()
    assert record["asked"] == {"size": [1280, 720], "fps": 30.0, "format": "MJPG"}
    assert record["delivered"] == {"size": [640, 480], "fps": 30.0, "format": "MJPG", "measured_fps": 18.444}
    assert (record["reconnects"], record["lost_s"], record["stalls"], record["replaced"]) == (2, 6.123, 1, 7)
    assert record["age_ms"] == 12.346 and record["pipeline"] is None
    assert re.match("delivers", SourceDetails("rtsp", "x").facts(True)[0][1])


@pytest.mark.parametrize("words", ["(" * 65536, "[WARN:0]x" * 7000, "(a:1" * 16384, "[ " * 30000])
def test_words_that_fill_the_buffer_are_read_once(words):
    assert telling_lines(words) == ""
