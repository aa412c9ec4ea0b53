"""From a source's name to its frames."""

import threading
from typing import Callable, Optional

from ccc_jetson.progress import say
from ccc_jetson.runtime.frames import FrameSource
from ccc_jetson.runtime.frames.attempts import Here, here
from ccc_jetson.runtime.frames.details import Stream
from ccc_jetson.runtime.frames.live import DEFAULT_PATIENCE, Feed, LiveSource, Patience
from ccc_jetson.runtime.source_grammar import (
    DEFAULT_SIZE,
    MJPG,
    CsiCamera,
    PicturePaths,
    RtspStream,
    Source,
    SyntheticScene,
    V4l2Camera,
    VideoPath,
    kind_of,
)

_FORMAT_NAMES = {MJPG: "MJPG", "yuyv": "YUYV"}


def open_source(
    source: Source,
    raw: bool = False,
    stop: Optional[threading.Event] = None,
    patience: Patience = DEFAULT_PATIENCE,
    tell: Callable[[str], None] = say,
) -> FrameSource:
    """Opens what the grammar names.

    Args:
        source: as ``grammar.parse_source`` gives it.
        raw: the frames' reader takes NV12 and YUYV as they are.
        stop: once it is set, a live source's ``read`` returns None.
        patience: of live sources.
        tell: called with lines for people.

    Raises:
        SourceError, FileProblem, UsageError: it cannot be opened; with the cause and what to do.
    """
    if isinstance(source, PicturePaths):
        from ccc_jetson.runtime.frames.pictures import Pictures

        return Pictures(source.paths)
    if isinstance(source, SyntheticScene):
        from ccc_jetson.runtime.frames.synthetic import SyntheticRoad

        return SyntheticRoad(source, stop)
    machine = here(raw)
    if isinstance(source, VideoPath):
        from ccc_jetson.runtime.frames.video import VideoFile

        return VideoFile(source.path, machine, tell)
    if isinstance(source, V4l2Camera):
        from ccc_jetson.runtime.frames.devices import BUSY, find_device
        from ccc_jetson.runtime.frames.usb import usb_attempts

        camera = source._replace(size=source.size or DEFAULT_SIZE)
        device = find_device(camera.device)
        feed = Feed(
            kind=kind_of(camera),
            source=source.shown,
            title=str(device),
            asked=Stream(camera.size, camera.fps, _FORMAT_NAMES.get(camera.format, "")),
            attempts=usb_attempts(camera, device, machine),
            hint=BUSY.format(device.path),
            lost_hint="check the cable and the power, then look at: dmesg | tail",
        )
    elif isinstance(source, CsiCamera):
        from ccc_jetson.runtime.frames.csi import csi_attempts, csi_hint

        feed = Feed(
            kind=kind_of(source),
            source=source.shown,
            title=source.shown,
            asked=Stream(source.size, source.fps),
            attempts=csi_attempts(source, machine),
            hint=csi_hint(machine),
            lost_hint="sudo systemctl restart nvargus-daemon, then look at: dmesg | tail",
        )
    else:
        feed = _rtsp_feed(source, machine)
    return LiveSource(feed, stop, patience, tell)


def _rtsp_feed(source: RtspStream, machine: Here) -> Feed:
    from ccc_jetson.runtime.frames.rtsp import ask, rtsp_attempts

    answer = ask(source)
    return Feed(
        kind=kind_of(source),
        source=source.shown,
        title=source.shown,
        asked=Stream(),
        attempts=rtsp_attempts(source, machine, answer),
        hint="is the user, the password or the path wrong? try another viewer, or #transport=udp",
        lost_hint="is the camera on, and in this network? then look at its own list of viewers",
    )
