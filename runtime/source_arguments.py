"""Command-line arguments that name a source of frames; shared by ``ccc-run`` and whoever else reads one."""

import argparse
import os
from typing import List, Optional, Tuple

from ccc_jetson.command import number_from, size
from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.source_grammar import (
    LINES,
    PicturePaths,
    Source,
    V4l2Camera,
    VideoPath,
    camera_source,
    csi_source,
    parse_source,
    parse_sources,
    rtsp_source,
)

_RECONNECT_FOR_S = 60.0


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """SOURCE, its shorthands, and what is done when a live one is lost."""
    group = parser.add_argument_group(
        "frames, one source", "SOURCE is one of\n  " + "\n  ".join(LINES) + "\n(docs/sources.md)"
    )
    group.add_argument("source", metavar="SOURCE", nargs="*", help="or one of the following, which are shorthands")
    shorthands = group.add_mutually_exclusive_group()
    shorthands.add_argument("--camera", metavar="/dev/videoN|N", help="a USB camera; Ctrl-C ends the run")
    shorthands.add_argument("--csi", metavar="N", help="a camera at a Jetson's CSI connector")
    shorthands.add_argument("--rtsp", metavar="URL", help="a network camera")
    shorthands.add_argument("--video", metavar="FILE", help="a video file")
    shorthands.add_argument("--images", metavar="PATH", nargs="+", help="picture files, or folders of them")
    group.add_argument(
        "--camera-size", metavar="WxH", type=size, help="to ask a USB camera for, as ?size=WxH; default: 1280x720"
    )
    lost = group.add_mutually_exclusive_group()
    lost.add_argument("--no-reconnect", action="store_true", help="end the run when a live source is lost")
    lost.add_argument(
        "--reconnect-for",
        metavar="SECONDS",
        type=number_from(0.0),
        default=_RECONNECT_FOR_S,
        help="try so long to get a lost live source back; default: %(default)g",
    )


def source_of(arguments: argparse.Namespace, remark: str = "") -> Source:
    """The one source that the arguments name.

    Args:
        remark: said where there is none.

    Raises:
        UsageError: none, several, or one that the grammar does not know.
    """
    found = _named(arguments, remark)
    if arguments.camera_size is None:
        return found
    if not isinstance(found, V4l2Camera):
        raise UsageError(
            "--camera-size is for USB cameras, not for {}".format(found.shown), hint="other sources have ?size=WxH"
        )
    if found.size is not None and found.size != arguments.camera_size:
        raise UsageError(
            "--camera-size {}x{} and size={}x{} contradict each other".format(*arguments.camera_size + found.size),
            hint="leave one of them out",
        )
    return found._replace(size=arguments.camera_size)


def reconnect_for_s(arguments: argparse.Namespace) -> float:
    """Seconds to wait for a lost source; 0 where the run is to end."""
    return 0.0 if arguments.no_reconnect else arguments.reconnect_for


def files_of(source: Source) -> Tuple[List[str], List[str]]:
    """Files that a run reads, and folders of its pictures, which its results must not land in."""
    if isinstance(source, VideoPath):
        return [source.path], []
    if isinstance(source, V4l2Camera):
        return [source.shown], []
    if not isinstance(source, PicturePaths):
        return [], []
    files, folders = [], []
    for path in source.paths:
        if os.path.isdir(path):
            folders.append(path)
        else:
            files.append(path)
            folders.append(os.path.dirname(os.path.abspath(path)))
    return files, folders


def _named(arguments: argparse.Namespace, remark: str) -> Source:
    shorthand = _shorthand(arguments)
    if arguments.source and shorthand is not None:
        raise UsageError(
            "two sources: {} and {}; a run has one".format(parse_sources(arguments.source).shown, shorthand.shown),
            hint="leave one of them out",
        )
    if shorthand is not None:
        return shorthand
    if not arguments.source:
        raise UsageError(
            "nothing to segment: neither a SOURCE nor one of --camera, --csi, --rtsp, --video, --images was given"
            + (remark and "; " + remark),
            hint="ccc-run /dev/video0, or: ccc-run drive.mp4, or: ccc-run frames/; sources are:\n     "
            + "\n     ".join(LINES),
        )
    return parse_sources(arguments.source)


def _shorthand(arguments: argparse.Namespace) -> Optional[Source]:
    if arguments.camera is not None:
        return camera_source(arguments.camera)
    if arguments.csi is not None:
        return csi_source(arguments.csi)
    if arguments.rtsp is not None:
        return rtsp_source(arguments.rtsp)
    if arguments.video is not None:
        return parse_source(arguments.video) if arguments.video.startswith("file://") else VideoPath(arguments.video)
    return None if arguments.images is None else PicturePaths(tuple(arguments.images))
