"""Overlays in a window."""

import os
import sys
from typing import Callable

from ccc_jetson.child import run_child
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.overlay import Overlay
from ccc_jetson.runtime.sinks import Sink

_TITLE = "ccc-run"
_QUIT_KEYS = (27, ord("q"))
_PROBE = "import cv2; cv2.namedWindow('ccc-run'); cv2.waitKey(1); cv2.destroyAllWindows()"
_PATIENCE_S = 15.0


class Window(Sink):
    """Shows overlays; ``q``, Escape or closing the window ends the run. Must be written to from the main thread.

    Args:
        overlay: draws the frames.
        on_quit: called when the user has seen enough.
    """

    description = "window (q quits)"

    def __init__(self, overlay: Overlay, on_quit: Callable[[], None]) -> None:
        self._overlay = overlay
        self._on_quit = on_quit
        self._cv2 = import_cv2()
        self._cv2.namedWindow(_TITLE, self._cv2.WINDOW_NORMAL)

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        self._cv2.imshow(_TITLE, self._overlay(frame, segmentation))
        key = self._cv2.waitKey(1) & 0xFF
        # -1 where this OpenCV cannot tell, as JetPack 4's
        closed = self._cv2.getWindowProperty(_TITLE, self._cv2.WND_PROP_VISIBLE) == 0
        if closed or key in _QUIT_KEYS:
            self._on_quit()

    def close(self) -> None:
        self._cv2.destroyAllWindows()

    abort = close


def why_no_window() -> str:
    """Why nothing can be shown here; empty where a window is possible."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display"
    information = import_cv2().getBuildInformation()
    # "  GUI:                           NONE" of opencv-python-headless; "GTK+" or "QT" lines otherwise
    for line in information.splitlines():
        if line.strip().startswith("GUI:") and line.split(":", 1)[1].strip() == "NONE":
            return "this OpenCV is built without windows"
    return "" if _window_opens() else "the display cannot be reached"


def _window_opens() -> bool:
    """Tries in a process of its own: with a display that is gone, Qt ends the process that asks."""
    return run_child([sys.executable, "-c", _PROBE], _PATIENCE_S).code == 0
