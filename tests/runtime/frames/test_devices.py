"""What is asked of /dev/videoN: the devices are stand-ins, the questions are the real ones."""

import errno
import fcntl
import os

import pytest

from ccc_jetson.errors import SourceError, UsageError
from ccc_jetson.runtime.frames.devices import find_again, find_device, fourcc_text
from tests.doubles.cameras import CAPTURE, DEVICE_CAPS, META, MJPG, YUYV, FakeCamera, installed


@pytest.mark.parametrize("name", ["0", "/dev/video0", "/dev/cam"])
def test_a_camera_is_named_by_path_number_or_link(name):
    with installed({0: FakeCamera()}):
        device = find_device(name)
    assert (device.number, device.card, device.bus) == (0, "Test Camera", "usb-1")
    assert str(device) == ("/dev/cam" if name == "/dev/cam" else "/dev/video0") + " (Test Camera)"


def test_a_missing_camera_lists_what_there_is():
    with installed({2: FakeCamera(), 3: FakeCamera()}):
        with pytest.raises(SourceError, match="no such camera; there are /dev/video2, /dev/video3") as caught:
            find_device("/dev/video7")
    assert "ls /dev/video*" in caught.value.hint


def test_a_missing_camera_where_there_is_none():
    with installed({}), pytest.raises(SourceError, match="/dev/video97: no such camera; there is none"):
        find_device("97")


def test_a_file_is_sent_to_video(tmp_path):
    path = tmp_path / "drive.mp4"
    path.write_bytes(b"x")
    with pytest.raises(UsageError) as caught:
        find_device(str(path))
    assert caught.value.hint == "for a file: --video {}".format(path)


@pytest.mark.parametrize("number, message, hint", [
    (errno.EACCES, "permission denied", "usermod -aG video"),
    (errno.EBUSY, "is in use", "fuser"),
    (errno.ENODEV, "cannot be opened: No such device", "dmesg"),
])  # fmt: skip
def test_a_device_that_cannot_be_opened(number, message, hint):
    with installed({0: FakeCamera(errno=number)}), pytest.raises(SourceError, match=message) as caught:
        find_device("0")
    assert hint in caught.value.hint


@pytest.mark.parametrize("capabilities", [(CAPTURE | META | DEVICE_CAPS, META), (META, 0)])
def test_the_metadata_device_of_a_camera_is_refused(capabilities):
    with installed({0: FakeCamera(capabilities=capabilities)}):
        with pytest.raises(SourceError, match=r"Test Camera\): captures no pictures") as caught:
            find_device("0")
    assert "v4l2-ctl --list-devices" in caught.value.hint


def test_a_driver_without_device_capabilities_is_believed():
    with installed({0: FakeCamera(capabilities=(CAPTURE, 0))}):
        assert find_device("0").card == "Test Camera"


def test_a_device_that_is_no_video_device(monkeypatch):
    def not_a_video_device(*arguments):
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    with installed({0: FakeCamera()}), monkeypatch.context() as patch:
        patch.setattr(fcntl, "ioctl", not_a_video_device)
        with pytest.raises(SourceError, match="is no video device"):
            find_device("0")


def test_a_camera_that_steers_the_terminal_by_its_name_does_not():
    with installed({0: FakeCamera(card="\x1b[31mred")}):
        assert find_device("0").card == "?[31mred"


def test_a_camera_that_comes_back_under_another_number_is_found_by_its_name_and_socket():
    camera, other_socket = FakeCamera(), FakeCamera(bus="usb-2")
    with installed({0: camera, 2: other_socket, 3: FakeCamera()}):
        device = find_device("0")
        assert find_again(device).number == 0
        camera.present = False
        assert find_again(device).number == 3


def test_another_camera_does_not_take_its_place():
    camera = FakeCamera()
    with installed({0: camera, 2: FakeCamera(card="Other"), 3: FakeCamera(bus="usb-2")}):
        device = find_device("0")
        camera.present = False
        with pytest.raises(SourceError, match="/dev/video0: no such camera; there are /dev/video2, /dev/video3"):
            find_again(device)


@pytest.mark.parametrize("code, text", [(MJPG, "MJPG"), (YUYV, "YUYV"), (0, "unknown format"), (-1, "ÿÿÿÿ")])
def test_pixel_formats_are_spelled_out(code, text):
    assert fourcc_text(code) == text
