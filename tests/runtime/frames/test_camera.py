"""Cameras, without one: the device is a stand-in, the questions to it are the real ones."""

import errno
import fcntl
import os
import struct

import numpy as np
import pytest

from ccc_jetson.errors import SourceError, UsageError
from ccc_jetson.runtime.frames import camera
from ccc_jetson.runtime.frames.camera import Camera, fourcc_text

MJPG, YUYV = 0x47504A4D, 0x56595559
CAPTURE, META, DEVICE_CAPS = 0x1, 0x00800000, 0x80000000


class FakeCapture:
    """A ``cv2.VideoCapture`` that delivers ``frames`` frames of the nearest size that it has."""

    def __init__(self, cv2):
        self.cv2 = cv2
        self.opened = cv2.opens
        self.properties = {}
        self.order = []
        self.left = cv2.frames

    def isOpened(self):
        return self.opened

    def set(self, number, value):
        self.properties[number] = value
        self.order.append(number)
        return True

    def get(self, number):
        return {"fps": 30.0, "fourcc": float(self.cv2.delivers_fourcc)}.get(number, 0.0)

    def read(self):
        if not self.left:
            return False, None
        self.left -= 1
        width, height = self.cv2.delivers_size
        return True, np.zeros((height, width, 3), np.uint8)

    def release(self):
        self.opened = False


class FakeCv2:
    """As much of ``cv2`` as a camera touches."""

    error = RuntimeError
    CAP_V4L2 = 200
    CAP_PROP_FPS, CAP_PROP_FOURCC, CAP_PROP_FRAME_WIDTH, CAP_PROP_FRAME_HEIGHT = "fps", "fourcc", "width", "height"
    CAP_PROP_BUFFERSIZE = "buffer"

    def __init__(self):
        self.opens, self.frames, self.delivers_size, self.delivers_fourcc = True, 5, (1280, 720), MJPG
        self.asked = None
        self.capture = None

    def VideoWriter_fourcc(self, *letters):
        return struct.unpack("<I", "".join(letters).encode())[0]

    def VideoCapture(self, number, backend):
        self.asked = (number, backend)
        self.capture = FakeCapture(self)
        return self.capture


@pytest.fixture
def fake(monkeypatch):
    """OpenCV and /dev/video0: a camera called ``Test Camera``. The device is /dev/null, which opens and is a device."""
    fake = FakeCv2()
    fake.capabilities = (CAPTURE | META | DEVICE_CAPS, CAPTURE)
    real_stat, real_open, real_path = os.stat, os.open, os.path.realpath

    def ioctl(descriptor, request, buffer, mutate):
        assert request == 0x80685600 and len(buffer) == 104
        fixed = struct.pack("16s32s32s3I", b"uvcvideo", b"Test Camera", b"usb-1", 0, *fake.capabilities)
        buffer[: len(fixed)] = fixed
        return 0

    def device(path):
        return "/dev/null" if path in ("/dev/video0", "/dev/cam") else path

    monkeypatch.setattr(camera, "import_cv2", lambda: fake)
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    monkeypatch.setattr(os, "stat", lambda path, *rest, **more: real_stat(device(path), *rest, **more))
    monkeypatch.setattr(os, "open", lambda path, *rest, **more: real_open(device(path), *rest, **more))
    monkeypatch.setattr(os.path, "realpath", lambda path: "/dev/video0" if path == "/dev/cam" else real_path(path))
    return fake


@pytest.mark.parametrize("name", ["0", "/dev/video0", "/dev/cam"])
def test_a_camera_is_named_by_path_number_or_link(fake, name):
    with Camera(name) as source:
        assert source.live and source.total is None
        assert fake.asked == (0, FakeCv2.CAP_V4L2)
        frame = source.read()
    assert (frame.number, frame.name, frame.image.shape) == (0, "frame_000000", (720, 1280, 3))
    assert not fake.capture.opened


def test_the_format_is_set_before_the_size_and_the_buffer_is_short(fake):
    Camera("0", (640, 480))
    assert fake.capture.order == ["fourcc", "width", "height", "buffer"]
    assert fake.capture.properties == {"fourcc": MJPG, "width": 640, "height": 480, "buffer": 1}


def test_what_is_delivered_and_what_was_asked_for_are_both_said(fake):
    assert Camera("0").description == "/dev/video0 (Test Camera), 1280x720 MJPG at 30 FPS"
    fake.delivers_size, fake.delivers_fourcc = (640, 480), YUYV
    assert Camera("0").description == "/dev/video0 (Test Camera), 640x480 YUYV at 30 FPS (asked for 1280x720)"


def test_a_camera_that_is_lost_says_so(fake):
    source = Camera("0")
    frames = []
    with pytest.raises(SourceError, match=r"Test Camera\): lost after 4 frames") as caught:
        for frame in iter(source.read, None):
            frames.append(frame)
    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    assert "dmesg" in caught.value.hint


def test_an_exception_of_opencv_while_reading_is_a_lost_camera(fake, monkeypatch):
    source = Camera("0")

    def failing():
        raise FakeCv2.error("select timeout")

    monkeypatch.setattr(fake.capture, "read", failing)
    with pytest.raises(SourceError, match="lost after 0 frames"):
        source.read()


def test_a_missing_camera_lists_what_there_is(monkeypatch):
    monkeypatch.setattr(camera.glob, "glob", lambda pattern: ["/dev/video3", "/dev/video2"])
    with pytest.raises(SourceError, match="no such camera; there are /dev/video2, /dev/video3") as caught:
        Camera("/dev/video_none")
    assert "ls /dev/video*" in caught.value.hint


def test_a_missing_camera_where_there_is_none(monkeypatch):
    monkeypatch.setattr(camera.glob, "glob", lambda pattern: [])
    with pytest.raises(SourceError, match="/dev/video97: no such camera; there is none"):
        Camera("97")


def test_a_file_is_sent_to_video(tmp_path):
    path = tmp_path / "drive.mp4"
    path.write_bytes(b"x")
    with pytest.raises(UsageError) as caught:
        Camera(str(path))
    assert caught.value.hint == "for a file: --video {}".format(path)


def test_a_busy_camera_names_the_command_that_finds_the_other_program(fake):
    fake.frames = 0
    with pytest.raises(SourceError, match="opens, but delivers no frame") as caught:
        Camera("0")
    assert "fuser -v /dev/video0" in caught.value.hint
    assert not fake.capture.opened


def test_a_camera_that_opencv_cannot_open(fake):
    fake.opens = False
    with pytest.raises(SourceError, match="OpenCV cannot open it"):
        Camera("0")


@pytest.mark.parametrize("number, message, hint", [
    (errno.EACCES, "permission denied", "usermod -aG video"),
    (errno.EBUSY, "is in use", "fuser"),
    (errno.ENODEV, "cannot be opened: No such device", "dmesg"),
])  # fmt: skip
def test_a_device_that_cannot_be_opened(fake, monkeypatch, number, message, hint):
    def refusing(path, *rest):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(SourceError, match=message) as caught:
        Camera("0")
    assert hint in caught.value.hint


@pytest.mark.parametrize("capabilities", [(CAPTURE | META | DEVICE_CAPS, META), (META, 0)])
def test_the_metadata_device_of_a_camera_is_refused(fake, capabilities):
    fake.capabilities = capabilities
    with pytest.raises(SourceError, match=r"Test Camera\): captures no pictures") as caught:
        Camera("0")
    assert "v4l2-ctl --list-devices" in caught.value.hint


def test_a_driver_without_device_capabilities_is_believed(fake):
    fake.capabilities = (CAPTURE, 0)
    assert "Test Camera" in Camera("0").description


def test_a_device_that_is_no_video_device(fake, monkeypatch):
    def not_a_video_device(*arguments):
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    monkeypatch.setattr(fcntl, "ioctl", not_a_video_device)
    with pytest.raises(SourceError, match="is no video device"):
        Camera("0")


@pytest.mark.parametrize("code, text", [(MJPG, "MJPG"), (YUYV, "YUYV"), (0, "unknown format"), (-1, "ÿÿÿÿ")])
def test_pixel_formats_are_spelled_out(code, text):
    assert fourcc_text(code) == text
