"""Ways to open a live source, tried in a stated order; the reason why each failed is kept."""

import re
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

from ccc_jetson.board import read_board
from ccc_jetson.errors import SourceError
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.frames.devices import fourcc_text
from ccc_jetson.runtime.frames.elements import missing_elements
from ccc_jetson.runtime.pixels import BGR

_HIGHEST_FPS = 1000.0  # more is a broken header
GSTREAMER = "GStreamer"
NO_GSTREAMER = "this OpenCV was built without GStreamer"
NO_GSTREAMER_FIX = (
    "JetPack's OpenCV has it, pip's opencv-python has not and hides JetPack's: pip3 uninstall opencv-python "
    "opencv-python-headless; python3 -c 'import cv2; print(cv2.__file__)' shows which one is used"
)


class Here(NamedTuple):
    """The machine: whether it is a Jetson, whether OpenCV has GStreamer, and whether the network's backend takes NV12
    and YUYV frames as they are (``raw``)."""

    jetson: bool
    gstreamer: bool
    raw: bool = False


class Opened(NamedTuple):
    """A capture that works: the ``cv2.VideoCapture``, what its frames are, and what it says of its stream."""

    capture: Any
    pixel_format: str = BGR
    format: str = ""
    fps: Optional[float] = None
    backend: str = ""


class Attempt(NamedTuple):
    """A way to open a source. ``open`` raises a SourceError; ``pipeline`` is GStreamer's, for people.

    ``missing`` says why it need not be tried; ``hide`` takes passwords out of what libraries say.
    """

    name: str
    open: Callable[[], Opened]
    pipeline: str = ""
    missing: str = ""
    hide: Callable[[str], str] = str


def here(raw: bool, root: str = "/") -> Here:
    """This machine."""
    board = read_board(root)
    return Here(bool(board.board or board.l4t), has_gstreamer(), raw)


def has_gstreamer() -> bool:
    """Whether OpenCV says so.

    GStreamer:                   YES (1.14.5)
    """
    return re.search(r"^\s*GStreamer:\s+YES", import_cv2().getBuildInformation(), re.MULTILINE) is not None


def gstreamer_attempt(
    name: str,
    shown: str,
    pixel_format: str,
    machine: Here,
    make: Optional[Callable[[], str]] = None,
    hide: Callable[[str], str] = str,
) -> Attempt:
    """A pipeline, which is always passed as one: OpenCV would look for a file of that name otherwise.

    Args:
        name: of the way, for people.
        shown: the pipeline for people.
        pixel_format: of the frames that it gives.
        machine: this one.
        make: gives the pipeline where it is not the one that is shown, or may change.
        hide: takes passwords out of what libraries say.
    """

    def open_pipeline() -> Opened:
        cv2 = import_cv2()
        pipeline = shown if make is None else make()
        missing = missing_elements(pipeline)
        if missing:
            raise SourceError("GStreamer has no element {}".format(", ".join(missing)))
        capture = opened_capture(
            lambda: cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER), "GStreamer cannot start it", hide
        )
        return Opened(capture, pixel_format, pixel_format, stated_fps(capture), GSTREAMER)

    return Attempt(name, open_pipeline, shown, "" if machine.gstreamer else NO_GSTREAMER, hide)


def opened_capture(make: Callable[[], Any], otherwise: str, hide: Callable[[str], str] = str) -> Any:
    """An open ``cv2.VideoCapture``.

    Raises:
        SourceError: it cannot be opened; ``otherwise``, and what an exception of OpenCV says, through ``hide``.
    """
    cv2 = import_cv2()
    try:
        capture = make()
        if capture.isOpened():
            return capture
    except cv2.error as error:
        raise SourceError("{}: {}".format(otherwise, hide(" ".join(str(error).split()))))
    capture.release()
    raise SourceError(otherwise)


def stated_fps(capture: Any) -> Optional[float]:
    """Frames per second by the capture's own word; None where it is no rate."""
    fps = float(capture.get(import_cv2().CAP_PROP_FPS))
    return fps if 0 < fps < _HIGHEST_FPS else None


def stated_format(capture: Any) -> str:
    """The four letters of the capture's format."""
    return fourcc_text(int(capture.get(import_cv2().CAP_PROP_FOURCC)))


def all_failed(source: str, reasons: List[Tuple[str, str]], hint: str) -> SourceError:
    """The error when nothing worked; ``reasons`` are of (name, reason), in the order of trying."""
    if len(reasons) == 1:
        return SourceError("{}: {} ({})".format(source, reasons[0][1], reasons[0][0]), hint=hint)
    lines = ["  {}. {}: {}".format(number, name, reason) for number, (name, reason) in enumerate(reasons, 1)]
    return SourceError("{}: cannot be opened; tried in this order:\n{}".format(source, "\n".join(lines)), hint=hint)
