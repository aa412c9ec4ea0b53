"""GStreamer pipelines for a Jetson, as text: JetPack's elements decode and convert outside of the CPU.

Sources: NVIDIA's Accelerated GStreamer guide for L4T r32 (nvarguscamerasrc, nvv4l2decoder, nvvidconv), GStreamer 1.14's
documentation (v4l2src, rtspsrc, appsink), and OpenCV's ``cap_gstreamer.cpp``, whose appsink takes BGR, NV12 and YUY2
but not BGRx. None of them ran on a board yet.
"""

import os
from fractions import Fraction
from typing import Tuple

from ccc_jetson.errors import UsageError

Size = Tuple[int, int]

# The newest frame only: what a slow reader leaves is dropped, and nothing waits for a clock
_NEWEST = "appsink drop=true max-buffers=1 sync=false"
_EVERY = "appsink drop=false max-buffers=2 sync=false"
_LEAKY = "queue leaky=downstream max-size-buffers=1"
# nvvidconv has no BGR, so that one pass of the CPU is left
_HARDWARE_NV12 = "nvvidconv{} ! video/x-raw,format=NV12"
_HARDWARE_BGR = "nvvidconv{} ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR"
_CPU_NV12 = "videoconvert ! video/x-raw,format=NV12"
_CPU_BGR = "videoconvert ! video/x-raw,format=BGR"


def csi(sensor: int, size: Size, fps: float, flip: int, nv12: bool) -> str:
    """A CSI camera through Argus."""
    return " ! ".join(
        (
            "nvarguscamerasrc sensor-id={:d}".format(sensor),
            "video/x-raw(memory:NVMM),width={},height={},framerate={},format=NV12".format(*size, fraction(fps)),
            _converted(nv12, True, flip),
            _NEWEST,
        )
    )


def v4l2_mjpg(device: str, size: Size, fps: float, nv12: bool, hardware: bool) -> str:
    """A USB camera's JPEG stream, decoded by ``nvv4l2decoder`` or by the CPU."""
    return " ! ".join(
        (
            "v4l2src device={} io-mode=2".format(quoted(device)),
            "image/jpeg,width={},height={},framerate={}".format(*size, fraction(fps)),
            "nvv4l2decoder mjpeg=1" if hardware else _LEAKY + " ! jpegdec",
            _converted(nv12, hardware),
            _NEWEST,
        )
    )


def v4l2_yuyv(device: str, size: Size, fps: float, raw: bool) -> str:
    """A USB camera's uncompressed stream, as it comes where ``raw``, else as BGR."""
    return " ! ".join(
        (
            "v4l2src device={} io-mode=2".format(quoted(device)),
            "video/x-raw,format=YUY2,width={},height={},framerate={}".format(*size, fraction(fps)),
            _LEAKY if raw else _LEAKY + " ! " + _CPU_BGR,
            _NEWEST,
        )
    )


def rtsp(url: str, transport: str, latency_ms: int, codec: str, nv12: bool, hardware: bool) -> str:
    """A network camera."""
    decoder = "nvv4l2decoder enable-max-performance=1" if hardware else "avdec_" + codec
    return " ! ".join(
        (
            "rtspsrc location={} latency={:d} drop-on-latency=true protocols={}".format(
                quoted(url), latency_ms, transport
            ),
            "rtp{0}depay ! {0}parse".format(codec),
            decoder,
            _converted(nv12, hardware),
            _NEWEST,
        )
    )


def video(path: str, nv12: bool) -> str:
    """An MP4 file with H.264, every frame of it."""
    return " ! ".join(
        (
            "filesrc location={}".format(quoted(os.path.abspath(path))),
            "qtdemux ! h264parse ! nvv4l2decoder",
            _converted(nv12, True),
            _EVERY,
        )
    )


def quoted(text: str) -> str:
    """A value of gst-launch's syntax, in which nothing ends the value early.

    Raises:
        UsageError: it has a character that steers a terminal or ends a line, which no name here needs.
    """
    if not text.isprintable():
        raise UsageError("{!r}: has a character that cannot be printed".format(text))
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def fraction(fps: float) -> str:
    """30 -> 30/1, 29.97 -> 30000/1001, as cameras and broadcasters have it."""
    of_ntsc = round(fps * 1.001)
    if of_ntsc and fps != round(fps) and abs(fps * 1.001 - of_ntsc) < 0.001 * of_ntsc / 30:
        return "{:d}000/1001".format(of_ntsc)
    exact = Fraction(fps).limit_denominator(1000)
    return "{:d}/{:d}".format(exact.numerator, exact.denominator)


def _converted(nv12: bool, hardware: bool, flip: int = 0) -> str:
    if hardware:
        return (_HARDWARE_NV12 if nv12 else _HARDWARE_BGR).format(" flip-method={:d}".format(flip) if flip else "")
    return _CPU_NV12 if nv12 else _CPU_BGR
