"""What Linux shows as /dev/videoN (V4L2): which there are, what each is called, and why one cannot be opened."""

import contextlib
import errno
import glob
import os
import re
import stat
import struct
from typing import NamedTuple, Tuple

from ccc_jetson.clean_text import clean
from ccc_jetson.errors import SourceError, UsageError

# linux/videodev2.h: struct v4l2_capability {driver[16], card[32], bus_info[32], version, capabilities, device_caps,
# reserved[3]}, VIDIOC_QUERYCAP = _IOR('V', 0, struct v4l2_capability)
_CAPABILITY = struct.Struct("16s32s32s3I12x")
_QUERYCAP = 0x80685600
_CAN_CAPTURE, _HAS_DEVICE_CAPS = 0x00000001, 0x80000000

_LIST = "list the cameras and their devices: v4l2-ctl --list-devices"
BUSY = "another program may be using it; see which: fuser -v {}"


class Device(NamedTuple):
    """A V4L2 device: the number N of /dev/videoN, its path as the user gave it, its name for itself, and its socket."""

    number: int
    path: str
    card: str
    bus: str

    def __str__(self) -> str:
        return "{} ({})".format(self.path, self.card)


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
            "a camera is /dev/videoN or N, this is something else: {}".format(path),
            hint="for a file: --video {}".format(path),
        )
    card, bus = _names(path)
    return Device(int(match.group(1)), path, card, bus)


def find_again(device: Device) -> Device:
    """The same camera after it was gone: Linux gives it another number while anyone holds the old one.

    Raises:
        SourceError: it is not there (yet).
    """
    try:
        return find_device(device.path)
    except SourceError as missing:
        for path in sorted(glob.glob("/dev/video*")):
            with contextlib.suppress(SourceError, UsageError):
                other = find_device(path)
                if (other.card, other.bus) == (device.card, device.bus):
                    return other
        raise missing


def fourcc_text(code: int) -> str:
    """The four letters of a pixel format: 0x47504A4D is MJPG."""
    letters = struct.pack("<I", code & 0xFFFFFFFF).decode("latin-1")
    return letters if letters.isprintable() and letters.strip() else "unknown format"


def _names(path: str) -> Tuple[str, str]:
    """The camera's name for itself and for its socket; a SourceError where the device is none that captures."""
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
            raise SourceError("{}: is in use".format(path), hint=BUSY.format(path))
        raise SourceError("{}: cannot be opened: {}".format(path, error.strerror), hint="look at: dmesg | tail")
    try:
        fcntl.ioctl(descriptor, _QUERYCAP, buffer, True)
    except OSError as error:
        raise SourceError("{}: is no video device ({})".format(path, error.strerror), hint=_LIST)
    finally:
        os.close(descriptor)
    _, card, bus, _, capabilities, device_capabilities = _CAPABILITY.unpack(bytes(buffer))
    if capabilities & _HAS_DEVICE_CAPS:
        capabilities = device_capabilities
    name, socket = (clean(text.split(b"\0")[0].decode("utf-8", "replace")) for text in (card, bus))
    if not capabilities & _CAN_CAPTURE:
        raise SourceError(
            "{} ({}): captures no pictures; cameras often have a second device for metadata".format(path, name),
            hint=_LIST,
        )
    return name, socket
