"""Our pipelines on a real GStreamer, where a Python of this machine has an OpenCV with it (Debian's and JetPack's do).

NVIDIA's elements are replaced by the CPU's: tests/doubles/gstreamer_scenes.py, which that Python runs.
"""

import json
import os
import subprocess
import sys

import pytest

import ccc_jetson
from ccc_jetson.runtime.frames import elements
from ccc_jetson.runtime.frames.elements import element_names, missing_elements
from tests.doubles.rtsp_server import RtspServer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
NEEDED = (
    "videotestsrc ! jpegenc ! jpegdec ! rtspsrc ! rtpjpegdepay ! x264enc ! openh264dec ! qtdemux ! h264parse ! mp4mux"
)
ASKING = "import cv2; print([line for line in cv2.getBuildInformation().splitlines() if 'GStreamer:' in line])"


def python_with_gstreamer():
    """The first Python whose OpenCV has GStreamer; None where there is none."""
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            said = subprocess.check_output(
                [python, "-c", ASKING], env=alone, stderr=subprocess.DEVNULL, universal_newlines=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        if "YES" in said:
            return python
    return None


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the scenes found, by their names."""
    python = python_with_gstreamer()
    if python is None:
        pytest.skip("no Python here has an OpenCV with GStreamer (Debian: apt install python3-opencv)")
    lacking = missing_elements(NEEDED)
    if lacking:
        pytest.skip("GStreamer has no " + ", ".join(lacking))
    # the package alone: what is installed beside it is for another Python
    only_ours = tmp_path_factory.mktemp("package")
    os.symlink(os.path.dirname(os.path.abspath(ccc_jetson.__file__)), str(only_ours / "ccc_jetson"))
    with RtspServer(user="me", password="s3cret@") as server:
        said = subprocess.check_output(
            [python, "-m", "tests.doubles.gstreamer_scenes", str(tmp_path_factory.mktemp("scenes")), server.url],
            cwd=ROOT,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(only_ours), ROOT])),
            universal_newlines=True,
            timeout=120,
        )
    assert "s3cret" not in said
    return json.loads(said.splitlines()[-1])


@pytest.mark.parametrize("scene, pixel_format, shape", [
    ("csi nv12", "NV12", [360, 320]), ("csi bgr", "BGR", [240, 320, 3]), ("csi flipped", "NV12", [360, 320]),
    ("usb mjpg nv12", "NV12", [360, 320]), ("usb mjpg bgr", "BGR", [240, 320, 3]),
    ("usb yuyv raw", "YUYV", [240, 320, 2]), ("usb yuyv bgr", "BGR", [240, 320, 3]), ("rtsp", "NV12", [360, 320]),
])  # fmt: skip
def test_a_pipeline_gives_frames_of_its_format_at_its_size(found, scene, pixel_format, shape):
    result = found[scene]
    print(result)
    assert (result["format"], result["shape"]) == (pixel_format, shape)
    assert result["numbers"] == sorted(set(result["numbers"])) and len(result["numbers"]) == 8
    assert 60 < result["mean"] < 190  # neither black nor white
    assert result["details"]["backend"] == "GStreamer" and result["details"]["passed_over"] == []


def test_the_lag_of_a_stream_does_not_grow(found):
    # 25 FPS, read fifteen times in two and a half seconds: of a queue, fifteen frames would have passed
    assert found["rtsp lag"]["passed"] > 30


def test_a_wrong_password_is_told_by_every_way(found):
    result = found["rtsp wrong password"]
    assert "cannot be opened; tried in this order:" in result["error"]
    assert result["hint"].startswith("rtsp://USER:PASSWORD@HOST/PATH")
    assert "wr0ng" not in json.dumps(result)


def test_a_file_is_read_whole_and_its_length_is_known(found):
    result = found["file"]
    assert result["numbers"] == list(range(30)) and result["total"] == 30
    assert result["format"] == "NV12" and "filesrc" in result["told"][0]


def test_a_file_that_is_cut_short_is_told(found):
    assert "of 30 frames; the file is cut short" in found["cut file"]["error"]


def test_a_files_name_adds_no_element_to_the_pipeline(found):
    result = found["evil file"]
    assert result["details"]["backend"] == "GStreamer" and len(result["numbers"]) == 30
    assert found["files"] == ['a" ! filesink location="stolen.mp4', "cut.mp4"]


def test_without_nvidias_elements_each_is_named_and_nobody_waits(found):
    result = found["without NVIDIA's elements"]
    assert "1. GStreamer, Argus, NV12: GStreamer has no element nvarguscamerasrc, nvvidconv" in result["error"]
    assert "come with JetPack" in result["hint"]


def test_the_elements_of_a_pipeline_are_its_first_words():
    pipeline = 'rtspsrc location="a ! b \\" ! c" latency=1 ! video/x-raw,format=NV12 ! queue leaky=downstream ! appsink'
    assert element_names(pipeline) == ["rtspsrc", "queue", "appsink"]


def test_where_gstreamer_cannot_be_asked_nothing_is_missing(monkeypatch):
    monkeypatch.setattr(elements, "_LIBRARY", "libgstreamer-that-is-not-there.so")
    assert missing_elements("nvarguscamerasrc ! appsink") == []
