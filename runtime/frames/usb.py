"""USB cameras, and every other that Linux shows as /dev/videoN: the ways to open one."""

from typing import Callable, List, Tuple

from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.frames import gstreamer
from ccc_jetson.runtime.frames.attempts import (
    Attempt,
    Here,
    Opened,
    gstreamer_attempt,
    opened_capture,
    stated_format,
    stated_fps,
)
from ccc_jetson.runtime.frames.devices import Device, find_again
from ccc_jetson.runtime.pixels import BGR, NV12, YUYV
from ccc_jetson.runtime.source_grammar import ANY_FORMAT, MJPG, YUYV_FORMAT, V4l2Camera


def usb_attempts(camera: V4l2Camera, device: Device, machine: Here) -> List[Attempt]:
    """On a Jetson its JPEG decoder, then the CPU's, through GStreamer; then, and elsewhere, OpenCV's own V4L2."""
    attempts: List[Attempt] = []
    size = camera.size
    if machine.jetson and size is not None:
        if camera.format == MJPG:
            pixel_format = NV12 if machine.raw else BGR
            attempts.append(
                _piped(
                    "GStreamer, MJPG by NVIDIA's decoder",
                    lambda path: gstreamer.v4l2_mjpg(path, size, camera.fps, machine.raw, True),
                    (device, pixel_format, machine),
                )
            )
            attempts.append(
                _piped(
                    "GStreamer, MJPG by the CPU",
                    lambda path: gstreamer.v4l2_mjpg(path, size, camera.fps, machine.raw, False),
                    (device, pixel_format, machine),
                )
            )
        elif camera.format == YUYV_FORMAT:
            attempts.append(
                _piped(
                    "GStreamer, YUYV",
                    lambda path: gstreamer.v4l2_yuyv(path, size, camera.fps, machine.raw),
                    (device, YUYV if machine.raw else BGR, machine),
                )
            )
    attempts.append(Attempt("OpenCV's V4L2", lambda: _opened(camera, device, machine)))
    return attempts


def _piped(name: str, pipeline: Callable[[str], str], what: Tuple[Device, str, Here]) -> Attempt:
    """A pipeline that begins with the camera's device, wherever that is by then."""
    device, pixel_format, machine = what
    return gstreamer_attempt(
        name, pipeline(device.path), pixel_format, machine, lambda: pipeline(find_again(device).path)
    )


def _opened(camera: V4l2Camera, device: Device, machine: Here) -> Opened:
    """OpenCV's V4L2, set as far as the camera can."""
    cv2 = import_cv2()
    number = find_again(device).number
    capture = opened_capture(lambda: cv2.VideoCapture(number, cv2.CAP_V4L2), "OpenCV cannot open it as a camera")
    # The format first: uncompressed, most USB cameras do not reach 30 FPS above 640x480, and setting a size asks for it
    # in the format of the moment.
    if camera.format != ANY_FORMAT:
        letters = "MJPG" if camera.format == MJPG else "YUYV"
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*letters))
    if camera.size is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, camera.size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, camera.size[1])
    capture.set(cv2.CAP_PROP_FPS, camera.fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a longer one would hand out old frames
    delivered = stated_format(capture)
    pixel_format = BGR
    if machine.raw and delivered == "YUYV" and capture.set(cv2.CAP_PROP_CONVERT_RGB, 0):
        pixel_format = YUYV
    return Opened(capture, pixel_format, delivered, stated_fps(capture), "V4L2")
