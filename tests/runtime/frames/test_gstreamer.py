"""Pipelines, as text: nothing here has GStreamer."""

import re

import pytest

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.frames import gstreamer

TAIL = " ! appsink drop=true max-buffers=1 sync=false"


def test_csi():
    assert gstreamer.csi(0, (1920, 1080), 30.0, 0, True) == (
        "nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=30/1,format=NV12 ! "
        "nvvidconv ! video/x-raw,format=NV12" + TAIL
    )
    assert "nvvidconv flip-method=2 ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR" in gstreamer.csi(
        0, (1920, 1080), 30.0, 2, False
    )


def test_usb():
    hardware = gstreamer.v4l2_mjpg("/dev/video0", (1280, 720), 30.0, True, True)
    assert hardware == (
        'v4l2src device="/dev/video0" io-mode=2 ! image/jpeg,width=1280,height=720,framerate=30/1 ! '
        "nvv4l2decoder mjpeg=1 ! nvvidconv ! video/x-raw,format=NV12" + TAIL
    )
    on_cpu = gstreamer.v4l2_mjpg("/dev/video0", (1280, 720), 30.0, False, False)
    assert "queue leaky=downstream max-size-buffers=1 ! jpegdec ! videoconvert ! video/x-raw,format=BGR" in on_cpu
    raw = gstreamer.v4l2_yuyv("/dev/video0", (640, 480), 30.0, True)
    assert "format=YUY2,width=640" in raw and "videoconvert" not in raw
    assert "videoconvert ! video/x-raw,format=BGR" in gstreamer.v4l2_yuyv("/dev/video0", (640, 480), 30.0, False)


def test_rtsp():
    assert gstreamer.rtsp("rtsp://cam/x?a=1&b=2", "tcp", 100, "h264", True, True) == (
        'rtspsrc location="rtsp://cam/x?a=1&b=2" latency=100 drop-on-latency=true protocols=tcp ! '
        "rtph264depay ! h264parse ! nvv4l2decoder enable-max-performance=1 ! nvvidconv ! video/x-raw,format=NV12" + TAIL
    )
    assert "rtph265depay ! h265parse ! avdec_h265 ! videoconvert" in gstreamer.rtsp("u", "udp", 0, "h265", True, False)


def test_a_file_loses_no_frame():
    pipeline = gstreamer.video("/tmp/drive.mp4", True)
    assert pipeline.startswith('filesrc location="/tmp/drive.mp4" ! qtdemux ! h264parse ! nvv4l2decoder ! nvvidconv ! ')
    assert pipeline.endswith("appsink drop=false max-buffers=2 sync=false")


def elements(pipeline):
    """The pieces between the exclamation marks that gst-launch would see: those outside of quotes."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', pipeline).split(" ! ")


@pytest.mark.parametrize("path", [
    '/tmp/x" ! filesink location="y.mp4', "/tmp/x\\", '/tmp/x\\" ! fakesink', "/tmp/a ! b", '/tmp/"', "/tmp/x' y",
])  # fmt: skip
def test_a_name_adds_no_element(path):
    pipeline = gstreamer.video(path, True)
    assert len(elements(pipeline)) == len(elements(gstreamer.video("/tmp/plain.mp4", True)))
    inside = re.match(r'filesrc location="((?:[^"\\]|\\.)*)" ! qtdemux', pipeline).group(1)
    assert re.sub(r"\\(.)", r"\1", inside) == path


@pytest.mark.parametrize("path", ["/tmp/x\ny", "/tmp/\x1b[31m", "/tmp/\0"])
def test_what_cannot_be_printed_is_refused(path):
    with pytest.raises(UsageError, match="cannot be printed"):
        gstreamer.quoted(path)


@pytest.mark.parametrize("fps, text", [
    (30, "30/1"), (29.97, "30000/1001"), (59.94, "60000/1001"), (23.976, "24000/1001"), (12.5, "25/2"), (7.5, "15/2"),
    (60.0, "60/1"), (0.1, "1/10"), (1000.0, "1000/1"), (1.0, "1/1"), (999.0, "999/1"),
])  # fmt: skip
def test_rates_are_the_fractions_that_cameras_have(fps, text):
    assert gstreamer.fraction(fps) == text
