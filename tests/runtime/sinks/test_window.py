"""The window, without a screen: OpenCV's window functions are stand-ins."""

import time

import numpy as np
import pytest

from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.overlay import Overlay
from ccc_jetson.runtime.sinks import window
from ccc_jetson.runtime.sinks.window import Window, why_no_window
from tests.doubles.stages import segmentation_of
from tests.doubles.tiny_model import tiny_contract


class FakeCv2:
    """OpenCV's window functions: keys come from a list, and the window may have been closed."""

    WINDOW_NORMAL, WND_PROP_VISIBLE = 0, 4

    def __init__(self, keys=(), visible=1.0, gui="GTK+"):
        self.keys, self.visible, self.gui = list(keys), visible, gui
        self.shown, self.open = [], False

    def namedWindow(self, title, flags):
        self.open = True

    def imshow(self, title, picture):
        self.shown.append(picture.copy())

    def waitKey(self, milliseconds):
        return self.keys.pop(0) if self.keys else -1

    def getWindowProperty(self, title, number):
        return self.visible

    def destroyAllWindows(self):
        self.open = False

    def getBuildInformation(self):
        return "General\n  GUI:                           {}\n    v4l: YES\n".format(self.gui)


def shown(monkeypatch, fake):
    quits = []
    monkeypatch.setattr(window, "import_cv2", lambda: fake)
    sink = Window(Overlay(tiny_contract(), 1.0), lambda: quits.append(1))
    image = np.zeros((40, 60, 3), np.uint8)
    for index in range(2):
        sink.write(Frame(index, "a", image, time.monotonic()), segmentation_of(image, 10))
    sink.close()
    return quits


def test_overlays_are_shown_and_the_window_is_closed(monkeypatch):
    fake = FakeCv2(keys=[-1, ord("x")])
    assert shown(monkeypatch, fake) == []
    assert len(fake.shown) == 2 and (fake.shown[0] == (180, 130, 70)).all()
    assert not fake.open


@pytest.mark.parametrize("key", [27, ord("q")])
def test_q_and_escape_end_the_run(monkeypatch, key):
    assert shown(monkeypatch, FakeCv2(keys=[key])) == [1]


def test_closing_the_window_ends_the_run(monkeypatch):
    assert shown(monkeypatch, FakeCv2(visible=0.0)) == [1, 1]


def test_an_opencv_that_cannot_tell_whether_its_window_is_open_goes_on(monkeypatch):
    assert shown(monkeypatch, FakeCv2(visible=-1.0)) == []


def test_without_a_display_there_is_no_window(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert why_no_window() == "there is no display"


@pytest.mark.parametrize("gui, reason", [("NONE", "this OpenCV is built without windows"), ("QT5", ""), ("", "")])
def test_an_opencv_without_windows_is_recognised(monkeypatch, gui, reason):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(window, "import_cv2", lambda: FakeCv2(gui=gui))
    monkeypatch.setattr(window, "_window_opens", lambda: True)
    assert why_no_window() == reason


def test_a_display_that_is_gone_is_noticed_before_it_ends_the_process(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setattr(window, "import_cv2", lambda: FakeCv2(gui="QT5"))
    assert why_no_window() == "the display cannot be reached"


def test_a_display_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(window, "import_cv2", lambda: FakeCv2(gui="QT5"))
    monkeypatch.setattr(window, "_PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(window, "_PATIENCE_S", 0.2)
    assert why_no_window() == "the display cannot be reached"
