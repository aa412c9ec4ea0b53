"""A camera's formats by ioctl, asked of a driver that only plays one."""

import errno
import json
import os
import struct
import subprocess
import sys

import pytest

from ccc_jetson.runtime.doctor import v4l2
from ccc_jetson.runtime.doctor.place import Place

YUYV, MJPG, RG10 = (struct.unpack("<I", letters)[0] for letters in (b"YUYV", b"MJPG", b"RG10"))


class Driver:
    """Answers as linux/videodev2.h lays it out: formats are {code: {(width, height): [(seconds, per)]}}."""

    def __init__(self, formats, capabilities=0x84A00001, of_device=0x04200001, endless=False):
        self.formats, self.capabilities, self.of_device, self.endless = formats, capabilities, of_device, endless

    def __call__(self, request, buffer):
        if request == 0x80685600:
            struct.pack_into(
                "<16s32s32s3I",
                buffer,
                0,
                b"uvcvideo",
                b"HD \x1b[2JWebcam",
                b"usb-1",
                5,
                self.capabilities,
                self.of_device,
            )
            return
        index = struct.unpack_from("<I", buffer)[0]
        if request == 0xC0405602:
            code = self._nth(list(self.formats), index)
            struct.pack_into("<I", buffer, 44, code)
        elif request == 0xC02C564A:
            code = struct.unpack_from("<I", buffer, 4)[0]
            width, height = self._nth(list(self.formats[code]), index)
            if width < 0:  # a range
                struct.pack_into("<7I", buffer, 8, 3, 16, -width, 16, 16, height, 16)
            else:
                struct.pack_into("<3I", buffer, 8, 1, width, height)
        else:
            assert request == 0xC034564B
            code, width, height = struct.unpack_from("<3I", buffer, 4)
            sizes = self.formats[code]
            intervals = sizes.get((width, height), sizes.get((-width, height)))
            seconds, per = self._nth(intervals, index)
            struct.pack_into("<3I", buffer, 16, 1 if per < 10**6 else 2, seconds, per)

    def _nth(self, items, index):
        if index >= len(items):
            if not self.endless:
                raise OSError(errno.EINVAL, "Invalid argument")
            return items[-1]
        return items[index]


def test_formats_sizes_and_rates_are_told():
    webcam = Driver(
        {YUYV: {(640, 480): [(1, 30), (1, 15)], (1280, 720): [(1, 10)]}, MJPG: {(1920, 1080): [(1001, 30000)]}}
    )
    found = v4l2.describe("", webcam)
    assert (found["driver"], found["bus"], found["captures"]) == ("uvcvideo", "usb-1", True)
    assert found["card"] == "HD ?[2JWebcam"
    assert found["formats"] == [
        {"fourcc": "YUYV", "sizes": [[640, 480, 30.0], [1280, 720, 10.0]]},
        {"fourcc": "MJPG", "sizes": [[1920, 1080, 29.97]]},
    ]
    json.dumps(found)


def test_of_a_range_the_greatest_size_counts():
    found = v4l2.describe("", Driver({RG10: {(-3264, 2464): [(1, 21)]}}))
    assert found["formats"] == [{"fourcc": "RG10", "sizes": [[3264, 2464, 21.0]]}]


def test_a_rate_that_is_no_rate_is_none():
    assert v4l2.describe("", Driver({YUYV: {(64, 48): [(0, 0)]}}))["formats"][0]["sizes"] == [[64, 48, None]]
    steps = v4l2.describe("", Driver({YUYV: {(64, 48): [(1, 10**6), (1, 5)]}}))
    assert steps["formats"][0]["sizes"] == [[64, 48, 1e6]]


def test_a_second_device_for_metadata_captures_nothing():
    found = v4l2.describe("", Driver({YUYV: {}}, of_device=0x04A00000))
    assert (found["captures"], found["formats"]) == (False, [])
    old = v4l2.describe("", Driver({YUYV: {}}, capabilities=0x04000001, of_device=0))
    assert old["captures"]


def test_a_list_without_end_is_cut():
    found = v4l2.describe("", Driver({YUYV: {(64, 48): [(1, 30)]}}, endless=True))
    assert len(found["formats"]) == 64 and len(found["formats"][0]["sizes"]) == 64


@pytest.mark.parametrize("number, text", [(errno.EBUSY, "busy"), (errno.EIO, "error")])
def test_a_driver_that_fails_is_told_by_its_error(number, text):
    def fails(request, buffer):
        raise OSError(number, os.strerror(number))

    found = v4l2.describe("", fails)
    assert found["errno"] == number and text in found["error"]

    def fails_later(request, buffer):
        if request != 0x80685600:
            raise OSError(number, os.strerror(number))
        Driver({})(request, buffer)

    assert v4l2.describe("", fails_later)["errno"] == number


def test_a_file_that_is_no_device_is_told_in_a_child_too(tmp_path):
    path = tmp_path / "video0"
    path.write_text("")
    found = Place(root=str(tmp_path)).query_camera("video0")
    assert found["errno"] == errno.ENOTTY
    assert Place(root=str(tmp_path)).query_camera("video1")["errno"] == errno.ENOENT
    out = subprocess.check_output([sys.executable, "-S", v4l2.__file__, str(path)])
    assert json.loads(out.decode())["errno"] == errno.ENOTTY


def test_a_child_that_gives_no_answer_is_an_error(tmp_path):
    assert "exit code" in Place(root=str(tmp_path), python="/bin/false").query_camera("video0")["error"]
    echo = tmp_path / "echo"
    echo.write_text("#!/bin/sh\necho 12\n")
    echo.chmod(0o755)
    assert Place(root=str(tmp_path), python=str(echo)).query_camera("video0") == {"error": "no answer"}


@pytest.mark.parametrize("facts", ["{", "[" * 3000, "3", "null"])
def test_facts_that_a_library_printed_into_are_none(tmp_path, facts):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ccc-doctor:{}'\n".format(facts))
    python.chmod(0o755)
    assert Place(root=str(tmp_path), python=str(python)).imported("numpy").facts is None


@pytest.mark.parametrize("formats", [3, [3], [{"fourcc": "MJPG"}], [{"fourcc": "MJPG", "sizes": [[640, 480]]}]])
def test_a_camera_of_another_form_is_no_answer(tmp_path, formats):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho '{}'\n".format(json.dumps({"captures": True, "formats": formats})))
    python.chmod(0o755)
    assert Place(root=str(tmp_path), python=str(python)).query_camera("video0") == {"error": "no answer"}
