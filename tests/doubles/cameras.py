"""Cameras that are not there: /dev/videoN and pipelines, as faulty as a test wants them, below a real ``cv2``.

Only what touches the machine is replaced: the device's file, its answer to a QUERYCAP, ``cv2.VideoCapture`` and what
OpenCV says of its build. Runs in other processes as well: ``with installed({0: FakeCamera()}): main([...])``.
"""

import contextlib
import fcntl
import functools
import glob
import os
import re
import struct
import threading
import time
from unittest import mock

import numpy as np

from ccc_jetson.board import Board
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.frames import attempts, live
from ccc_jetson.runtime.pixels import BGR, shape_of_size

MJPG, YUYV = 0x47504A4D, 0x56595559
CAPTURE, META, DEVICE_CAPS = 0x1, 0x00800000, 0x80000000
TX2 = Board("NVIDIA Jetson TX2 Developer Kit", "32.7.1", "4.6.1", "MAXP_CORE_ARM")
PC = Board("", "", "", "")


@functools.lru_cache(maxsize=8)
def picture(size, pixel_format):
    """What every camera sees; not to be written to."""
    shape = shape_of_size(size, pixel_format)
    return (np.arange(np.prod(shape)) // 7 % 251).astype(np.uint8).reshape(shape)


class FakeCamera:
    """A camera and its faults, which a test may change at any time.

    Attributes:
        present: whether its file is there.
        errno: of opening the file; 0 opens it.
        opens: whether OpenCV can open it as a camera.
        frames: how many it delivers before there are no more, None without end.
        interval_s: between two frames.
        size, fourcc: what it delivers, whatever was asked for.
        stated_fps: what it says of its rate.
        capabilities: of the driver and of the device.
        card, bus: its names.
        says: written to standard error when it is opened, as a library does.
        stamps: age in seconds that the driver's stamps have; None for a driver that stamps on another clock.
        hangs: while set, reading does not return, whatever happens.
        opening_hangs: while set, opening does not return.
        unplugged: while set, reading fails and the file is gone.
        captures: all ``FakeCapture`` that were opened.
    """

    def __init__(self, **changes):
        self.present, self.errno, self.opens, self.frames = True, 0, True, None
        self.interval_s, self.size, self.fourcc, self.stated_fps = 0.005, (1280, 720), MJPG, 30.0
        self.capabilities = (CAPTURE | META | DEVICE_CAPS, CAPTURE)
        self.card, self.bus, self.says, self.stamps = "Test Camera", "usb-1", "", None
        self.hangs, self.opening_hangs, self.unplugged = threading.Event(), threading.Event(), threading.Event()
        self.captures = []
        self.delivered = 0
        for name, value in changes.items():
            assert hasattr(self, name), name
            setattr(self, name, value)

    @property
    def has_file(self):
        return self.present and not self.unplugged.is_set()

    def unplug_for(self, seconds, after_frames):
        """Gone once it has delivered so many frames, for so long."""

        def gone():
            while self.delivered < after_frames:
                time.sleep(0.001)
            self.unplugged.set()
            time.sleep(seconds)
            self.unplugged.clear()

        threading.Thread(target=gone, daemon=True).start()


class FakeCapture:
    """A ``cv2.VideoCapture`` of a ``FakeCamera``, None for a pipeline that cannot start."""

    def __init__(self, camera, pixel_format=BGR):
        self.camera, self.pixel_format = camera, pixel_format
        self.properties, self.order = {}, []
        self.released = False
        if camera is not None:
            camera.captures.append(self)
            os.write(2, camera.says.encode())
            while camera.opening_hangs.is_set():
                time.sleep(0.005)

    def isOpened(self):
        return self.camera is not None and self.camera.opens and self.camera.has_file and not self.released

    def set(self, number, value):
        cv2 = import_cv2()
        self.properties[number] = value
        self.order.append(number)
        if number == cv2.CAP_PROP_CONVERT_RGB and not value:
            self.pixel_format = "YUYV"
        return True

    def get(self, number):
        cv2 = import_cv2()
        if number == cv2.CAP_PROP_POS_MSEC:
            return 0.0 if self.camera.stamps is None else 1000.0 * (time.monotonic() - self.camera.stamps)
        values = {cv2.CAP_PROP_FPS: self.camera.stated_fps, cv2.CAP_PROP_FOURCC: float(self.camera.fourcc)}
        return values.get(number, 0.0)

    def grab(self):
        camera = self.camera
        time.sleep(camera.interval_s)
        while camera.hangs.is_set():
            time.sleep(0.005)
        if camera.unplugged.is_set() or camera.delivered == camera.frames:
            return False
        camera.delivered += 1
        return True

    def retrieve(self):
        return True, picture(tuple(self.camera.size), self.pixel_format).copy()

    def read(self):
        return self.retrieve() if self.grab() else (False, None)

    def release(self):
        self.released = True


class Room:
    """The machine with its cameras: ``cameras`` by their number, ``pipelines`` as (pattern, camera, pixel format)."""

    def __init__(self, cameras, pipelines=(), gstreamer=False, board=PC):
        self.cameras, self.pipelines, self.gstreamer, self.board = dict(cameras), pipelines, gstreamer, board
        self.asked = []  # (source, backend), in order
        self._stat, self._open, self._realpath, self._glob = os.stat, os.open, os.path.realpath, glob.glob
        self._capture, self._build = import_cv2().VideoCapture, import_cv2().getBuildInformation
        self._opening = threading.local()

    def patches(self):
        cv2 = import_cv2()
        return [
            mock.patch.object(os, "stat", self.stat),
            mock.patch.object(os, "open", self.open),
            mock.patch.object(os.path, "realpath", self.realpath),
            mock.patch.object(glob, "glob", self.glob),
            mock.patch.object(fcntl, "ioctl", self.ioctl),
            mock.patch.object(cv2, "VideoCapture", self.capture),
            mock.patch.object(cv2, "getBuildInformation", self.build),
            mock.patch.object(attempts, "missing_elements", lambda pipeline: []),
            mock.patch.object(attempts, "read_board", lambda root="/": self.board),
            mock.patch.object(live, "read_board", lambda root="/": self.board),
        ]

    def _camera(self, path):
        match = re.match(r"/dev/video(\d+)$", str(path))
        return None if match is None else self.cameras.get(int(match.group(1)), FakeCamera(present=False))

    def stat(self, path, *rest, **more):
        camera = self._camera(self.realpath(path)) if isinstance(path, str) else None
        if camera is None:
            return self._stat(path, *rest, **more)
        return self._stat("/dev/null" if camera.has_file else "/dev/video_that_is_not_there", *rest, **more)

    def open(self, path, *rest, **more):
        camera = self._camera(self.realpath(path)) if isinstance(path, str) else None
        if camera is None:
            return self._open(path, *rest, **more)
        if camera.errno:
            raise OSError(camera.errno, os.strerror(camera.errno))
        self._opening.camera = camera
        return self._open("/dev/null" if camera.has_file else "/dev/video_that_is_not_there", *rest, **more)

    def realpath(self, path, *rest, **more):
        if isinstance(path, str) and path.startswith("/dev/"):
            return "/dev/video0" if path == "/dev/cam" else path
        return self._realpath(path, *rest, **more)

    def glob(self, pattern, *rest, **more):
        if pattern != "/dev/video*":
            return self._glob(pattern, *rest, **more)
        return ["/dev/video{}".format(number) for number, camera in self.cameras.items() if camera.has_file]

    def ioctl(self, descriptor, request, buffer, mutate):
        assert request == 0x80685600 and len(buffer) == 104
        camera = self._opening.camera
        names = (b"uvcvideo", camera.card.encode(), camera.bus.encode())
        fixed = struct.pack("16s32s32s3I", *names, 0, *camera.capabilities)
        buffer[: len(fixed)] = fixed
        return 0

    def capture(self, source, *rest):
        cv2 = import_cv2()
        if isinstance(source, str) and rest[:1] != (cv2.CAP_GSTREAMER,):
            return self._capture(source, *rest)
        self.asked.append((source, rest[0]))
        if isinstance(source, int):
            assert rest == (cv2.CAP_V4L2,)
            return FakeCapture(self.cameras.get(source))
        for pattern, camera, pixel_format in self.pipelines:
            if pattern in source:
                return FakeCapture(camera, pixel_format)
        return FakeCapture(None)

    def build(self):
        return "  Video I/O:\n    GStreamer:                   {}\n".format("YES (1.14.5)" if self.gstreamer else "NO")


@contextlib.contextmanager
def installed(cameras, pipelines=(), gstreamer=False, board=PC, **patience):
    """The room with these cameras, and the patience with which they are waited for."""
    room = Room(cameras, pipelines, gstreamer, board)
    with contextlib.ExitStack() as stack:
        for patch in room.patches():
            stack.enter_context(patch)
        quick = dict({"open_s": 10.0, "first_delay_s": 0.05, "longest_delay_s": 0.2}, **patience)
        stack.enter_context(mock.patch.object(live, "DEFAULT_PATIENCE", live.DEFAULT_PATIENCE._replace(**quick)))
        yield room
