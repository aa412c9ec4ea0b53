"""USB cameras, and everything else that Linux shows as /dev/videoN (V4L2)."""

import errno
import glob
import os
import re
import stat
import struct
import time
from typing import Any, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.errors import SourceError, UsageError
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.frames import Frame, FrameSource

DEFAULT_SIZE = (1280, 720)

# linux/videodev2.h: struct v4l2_capability {driver[16], card[32], bus_info[32], version, capabilities, device_caps,
# reserved[3]}, VIDIOC_QUERYCAP = _IOR('V', 0, struct v4l2_capability)
_CAPABILITY = struct.Struct("16s32s32s3I12x")
_QUERYCAP = 0x80685600
_CAN_CAPTURE, _HAS_DEVICE_CAPS = 0x00000001, 0x80000000


class Device(NamedTuple):
    """A V4L2 device: the number N of /dev/videoN, its path as the user gave it, and its name for itself."""

    number: int
    path: str
    card: str


class Camera(FrameSource):
    """A camera, read as fast as it delivers.

    Args:
        device: a path such as ``/dev/video0``, or its number.
        size: width and height to ask for; the camera delivers the nearest that it can, and ``description`` says both.

    Raises:
        SourceError: it is missing, busy, not permitted, not a camera, or (from ``read``) lost.
    """

    live = True

    def __init__(self, device: str, size: Tuple[int, int] = DEFAULT_SIZE) -> None:
        self._device = find_device(device)
        self._next = 0
        cv2 = import_cv2()
        self._error = cv2.error
        self._capture = _opened(cv2, self._device, size)
        first = self._grab()  # some cameras open well and then deliver nothing; its age is unknown, so it is not used
        if first is None:
            self.close()
            raise SourceError(
                "{}: opens, but delivers no frame".format(self._device.path), hint=_BUSY.format(self._device.path)
            )
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0 < fps < 1000 else None
        self.size = delivered = (first.shape[1], first.shape[0])
        self.description = "{} ({}), {}x{} {}{}{}".format(
            self._device.path,
            self._device.card,
            delivered[0],
            delivered[1],
            fourcc_text(int(self._capture.get(cv2.CAP_PROP_FOURCC))),
            " at {:g} FPS".format(round(fps, 2)) if self.fps else "",
            "" if delivered == size else " (asked for {}x{})".format(*size),
        )

    def read(self) -> Optional[Frame]:
        image = self._grab()
        if image is None:
            raise SourceError(
                "{} ({}): lost after {} frames".format(self._device.path, self._device.card, self._next),
                hint="check the cable and the power, then look at: dmesg | tail",
            )
        number = self._next
        self._next += 1
        return Frame(number, "frame_{:06d}".format(number), image, time.monotonic())

    def close(self) -> None:
        self._capture.release()

    def _grab(self) -> Optional[np.ndarray]:
        try:
            good, image = self._capture.read()
        except self._error:
            return None
        return image if good else None


def find_device(device: str) -> Device:
    """The V4L2 device that ``device`` names, checked as far as one can without opening a stream."""
    path = "/dev/video" + device if device.isdigit() else device
    try:
        mode = os.stat(path).st_mode
    except OSError:
        present = sorted(glob.glob("/dev/video*"))
        raise SourceError(
            "{}: no such camera; {}".format(path, "there are " + ", ".join(present) if present else "there is none"),
            hint="plug it in and look again: ls /dev/video* (in a container: docker run --device {})".format(path),
        )
    match = re.match(r"/dev/video(\d+)$", os.path.realpath(path))
    if not stat.S_ISCHR(mode) or match is None:
        raise UsageError(
            "--camera takes /dev/videoN or N, this is something else: {}".format(path),
            hint="for a file: --video {}".format(path),
        )
    return Device(int(match.group(1)), path, _card(path))


def fourcc_text(code: int) -> str:
    """The four letters of a pixel format: 0x47504A4D is MJPG."""
    letters = struct.pack("<I", code & 0xFFFFFFFF).decode("latin-1")
    return letters if letters.isprintable() and letters.strip() else "unknown format"


def _card(path: str) -> str:
    """The camera's name for itself; a SourceError where the device is none that captures."""
    import fcntl

    buffer = bytearray(_CAPABILITY.size)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise SourceError(
                "{}: permission denied".format(path),
                hint="sudo usermod -aG video $USER, then log out and in again",
            )
        if error.errno == errno.EBUSY:
            raise SourceError("{}: is in use".format(path), hint=_BUSY.format(path))
        raise SourceError("{}: cannot be opened: {}".format(path, error.strerror), hint="look at: dmesg | tail")
    try:
        fcntl.ioctl(descriptor, _QUERYCAP, buffer, True)
    except OSError as error:
        raise SourceError("{}: is no video device ({})".format(path, error.strerror), hint=_LIST)
    finally:
        os.close(descriptor)
    _, card, _, _, capabilities, device_capabilities = _CAPABILITY.unpack(bytes(buffer))
    if capabilities & _HAS_DEVICE_CAPS:
        capabilities = device_capabilities
    name = card.split(b"\0")[0].decode("utf-8", "replace")
    if not capabilities & _CAN_CAPTURE:
        raise SourceError(
            "{} ({}): captures no pictures; cameras often have a second device for metadata".format(path, name),
            hint=_LIST,
        )
    return name


_LIST = "list the cameras and their devices: v4l2-ctl --list-devices"
_BUSY = "another program may be using it; see which: fuser -v {}"


def _opened(cv2: Any, device: Device, size: Tuple[int, int]) -> Any:
    """An open ``cv2.VideoCapture``, set as far as the camera can."""
    try:
        capture = cv2.VideoCapture(device.number, cv2.CAP_V4L2)
        opened = capture.isOpened()
    except cv2.error:
        opened = False
    if not opened:
        raise SourceError(
            "{} ({}): OpenCV cannot open it as a camera".format(device.path, device.card),
            hint=_BUSY.format(device.path),
        )
    # The format first: uncompressed, most USB cameras do not reach 30 FPS above 640x480, and setting a size asks for it
    # in the format of the moment.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a longer one would hand out old frames
    return capture
