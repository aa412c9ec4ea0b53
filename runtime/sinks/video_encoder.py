"""What encodes a video: a Jetson's own encoder where OpenCV can reach it, else the CPU.

Not tried on a board yet. The elements and their order are those that users of Jetsons show for OpenCV (opencv#15948);
that OpenCV ends such a pipeline properly, so that the file gets its index, is its own promise.
"""

from typing import Any, NamedTuple, Tuple

from ccc_jetson.board import read_board
from ccc_jetson.opencv import import_cv2, readable_name
from ccc_jetson.progress import say

_CODEC = "mp4v"  # MPEG-4 part 2: the one that every build of OpenCV can encode
_BITS_PER_PIXEL = 0.15  # and frame: 8 Mbit/s for 1920x1080 at 25 FPS
_LEAST_BITRATE = 500000


class Encoder(NamedTuple):
    """An open ``cv2.VideoWriter``; ``in_hardware`` where a Jetson's encoder is behind it."""

    writer: Any
    in_hardware: bool


def hardware_pipeline(path: str, fps: float, size: Tuple[int, int]) -> str:
    """GStreamer's description of the way from OpenCV's BGR frames of a size (width, height) to an MP4 file."""
    bitrate = max(_LEAST_BITRATE, int(_BITS_PER_PIXEL * size[0] * size[1] * fps))
    return " ! ".join(
        (
            "appsrc",
            "video/x-raw, format=BGR",
            "videoconvert",
            "video/x-raw, format=BGRx",  # nvvidconv takes no BGR
            "nvvidconv",
            "video/x-raw(memory:NVMM), format=NV12",
            "nvv4l2h264enc bitrate={}".format(bitrate),
            "h264parse",
            "qtmux",
            'filesink location="{}"'.format(path.replace("\\", "\\\\").replace('"', '\\"')),
        )
    )


def why_not_in_hardware(size: Tuple[int, int], root: str = "/") -> str:
    """Why frames of this size (width, height) are encoded on the CPU; empty where a Jetson's encoder is tried.

    Args:
        root: where the files that describe the machine are.
    """
    if not read_board(root).l4t:
        return "this is no Jetson"
    if not _has_gstreamer(import_cv2().getBuildInformation()):
        return "this OpenCV is built without GStreamer; JetPack's has it: apt install python3-opencv"
    if size[0] % 2 or size[1] % 2:
        return "its frames have an odd width or height"
    return ""


def open_encoder(path: str, fps: float, size: Tuple[int, int], root: str = "/") -> Encoder:
    """Opens one and says which on a Jetson; the writer may still not be open, where OpenCV has no codec at all.

    Raises:
        UsageError: OpenCV cannot take the name.
    """
    cv2 = import_cv2()
    readable_name(path)
    reason = why_not_in_hardware(size, root)
    if not reason:
        pipeline = hardware_pipeline(path, fps, size)
        writer = cv2.VideoWriter(pipeline, cv2.CAP_GSTREAMER, 0, fps, size)
        if writer.isOpened():
            say("video encoder: " + pipeline)
            return Encoder(writer, True)
        writer.release()
        reason = "GStreamer cannot open: " + pipeline
    if read_board(root).l4t:
        say("the board's video encoder is not used, the CPU encodes: " + reason)
    return Encoder(cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*_CODEC), fps, size), False)


def _has_gstreamer(information: str) -> bool:
    """From OpenCV's description of itself.

    "    GStreamer:                   YES (1.14.5)"; of older ones "    GStreamer:" and "      base:  YES (ver 1.8.3)"
    """
    lines = [line.strip() for line in information.splitlines()]
    for number, line in enumerate(lines):
        if line.startswith("GStreamer:"):
            value = line.split(":", 1)[1].strip()
            after = lines[number + 1] if number + 1 < len(lines) else ""
            return value.startswith("YES") or (not value and after.startswith("base:") and "YES" in after)
    return False
