"""What a Python whose OpenCV has GStreamer does with our pipelines: run by tests/runtime/frames/test_real_gstreamer.py.

NVIDIA's elements are replaced by the CPU's of the same kind; the rest of a pipeline is as a Jetson gets it: caps,
quotes, queues, the sink, and what OpenCV makes of them. Prints one JSON object. Needs neither pytest nor a network.
"""

import json
import os
import struct
import sys
import time
from unittest import mock

import cv2

from ccc_jetson.board import Board
from ccc_jetson.errors import CccError
from ccc_jetson.runtime.frames import attempts, devices, live, usb
from ccc_jetson.runtime.frames.elements import missing_elements
from ccc_jetson.runtime.frames.opening import open_source
from ccc_jetson.runtime.source_grammar import parse_source

TX2 = Board("NVIDIA Jetson TX2 Developer Kit", "32.7.1", "4.6.1", "MAXN")
STAND_INS = (
    ("nvarguscamerasrc sensor-id=0", "videotestsrc is-live=true"),
    ("(memory:NVMM)", ""),
    ("nvvidconv flip-method=2", "videoflip method=2 ! videoconvert"),
    ("nvvidconv", "videoconvert"),
    ('v4l2src device="/dev/video0" io-mode=2 ! image/jpeg', "videotestsrc is-live=true ! jpegenc ! image/jpeg"),
    ('v4l2src device="/dev/video0" io-mode=2', "videotestsrc is-live=true"),
    ("nvv4l2decoder mjpeg=1", "jpegdec"),
    ("rtph264depay ! h264parse ! nvv4l2decoder enable-max-performance=1", "rtpjpegdepay ! jpegdec"),
    ("nvv4l2decoder", "openh264dec"),
)
_capture = cv2.VideoCapture


def replaced(pipeline):
    """A Jetson's pipeline as this machine can run it."""
    for theirs, ours in STAND_INS:
        pipeline = pipeline.replace(theirs, ours)
    return pipeline


def capture(source, *rest):
    """``cv2.VideoCapture``."""
    return _capture(replaced(source) if rest[:1] == (cv2.CAP_GSTREAMER,) else source, *rest)


def read(text, raw, frames=8, **patience):
    """What comes of a source: its frames' shape, format and number, its details, or the error."""
    told = []
    try:
        waits = live.DEFAULT_PATIENCE._replace(**patience)
        with open_source(parse_source(text), raw, patience=waits, tell=told.append) as source:
            numbers = []
            while len(numbers) < frames:
                frame = source.read()
                if frame is None:
                    break
                numbers.append(frame.number)
                shape, mean, pixel_format = frame.image.shape, float(frame.image.mean()), frame.pixel_format
            return {
                "shape": shape, "mean": mean, "format": pixel_format, "numbers": numbers, "told": told,
                "details": source.details.to_json(), "total": source.total,
            }  # fmt: skip
    except CccError as problem:
        return {"error": str(problem), "hint": problem.hint, "told": told}


def write_h264(path, frames, size=(96, 64)):
    """An MP4 file with H.264."""
    pipeline = (
        "appsrc ! videoconvert ! video/x-raw,format=I420 ! x264enc ! h264parse ! mp4mux ! filesink location=" + path
    )
    writer = cv2.VideoWriter(pipeline, cv2.CAP_GSTREAMER, 0, 25.0, size)
    assert writer.isOpened()
    import numpy as np

    random = np.random.RandomState(1)  # noise takes space, so that a cut falls among the frames
    for _ in range(frames):
        writer.write(random.randint(0, 256, (size[1], size[0], 3)).astype(np.uint8))
    writer.release()


def header_first(data):
    """An MP4 file that ends with its header (moov) as one that begins with it, which can be read when it is cut."""
    start = data.index(b"moov") - 4
    header = bytearray(data[start:])
    table = header.index(b"stco") + 8  # version and flags, then how many chunks there are and where each is
    (chunks,) = struct.unpack_from(">I", header, table)
    for place in range(table + 4, table + 4 + 4 * chunks, 4):
        struct.pack_into(">I", header, place, struct.unpack_from(">I", header, place)[0] + len(header))
    first = struct.unpack(">I", data[:4])[0]  # ftyp stays the first
    return data[:first] + bytes(header) + data[first:start]


def slow_lag(url):
    """How many pictures the camera has made while a reader that is four times too slow read fifteen."""
    from tests.doubles.rtsp_server import number_of

    with open_source(parse_source(url), False, tell=lambda line: None) as source:
        first = number_of(source.read().image)
        for _ in range(15):
            time.sleep(0.16)
            last = number_of(source.read().image)
        return {"passed": last - first}


def main(folder, url):
    found = {
        "csi nv12": read("csi://0?size=320x240", True),
        "csi bgr": read("csi://0?size=320x240", False),
        "csi flipped": read("csi://0?size=320x240&flip=2&fps=29.97", True),
        "usb mjpg nv12": read("0?size=320x240", True),
        "usb mjpg bgr": read("0?size=320x240", False),
        "usb yuyv raw": read("0?size=320x240&format=yuyv", True),
        "usb yuyv bgr": read("0?size=320x240&format=yuyv", False),
        "rtsp": read(url + "#codec=h264", True),
        "rtsp wrong password": read(url.replace("s3cret%40", "wr0ng") + "#codec=h264", True),
        "rtsp lag": slow_lag(url + "#codec=h264"),
    }
    plain = os.path.join(folder, "plain.mp4")
    write_h264(plain, 30)
    found["file"] = read(plain, True, frames=1000)
    with open(plain, "rb") as file, open(os.path.join(folder, "cut.mp4"), "wb") as cut:
        data = header_first(file.read())
        cut.write(data[: len(data) * 6 // 10])
    found["cut file"] = read(os.path.join(folder, "cut.mp4"), True, frames=1000)
    evil = os.path.join(folder, 'a" ! filesink location="stolen.mp4')
    os.rename(plain, evil)
    found["evil file"] = read("file://" + evil.replace("%", "%25").replace(" ", "%20"), True, frames=1000)
    found["files"] = sorted(os.listdir(folder))
    with mock.patch.object(cv2, "VideoCapture", _capture), mock.patch.object(
        attempts, "missing_elements", missing_elements
    ):
        found["without NVIDIA's elements"] = read("csi://0", True)
    print(json.dumps(found))


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    camera = devices.Device(0, "/dev/video0", "Test Camera", "usb-1")
    with mock.patch.object(cv2, "VideoCapture", capture), mock.patch.object(
        attempts, "read_board", lambda root="/": TX2
    ), mock.patch.object(
        attempts, "missing_elements", lambda pipeline: missing_elements(replaced(pipeline))
    ), mock.patch.object(devices, "find_device", lambda name: camera), mock.patch.object(
        usb, "find_again", lambda device: device
    ):
        main(sys.argv[1], sys.argv[2])
