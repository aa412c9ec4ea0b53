"""OpenCV, imported where a picture is first touched, and a sentence where it cannot be."""

import os
from types import ModuleType

from ccc_jetson.errors import DependencyMissing


def import_cv2() -> ModuleType:
    """The ``cv2`` module.

    Its own remarks on standard error are switched off unless these variables are set: our messages say what they mean.

    Raises:
        DependencyMissing: it is not installed, or a library that it needs is not; with the cure.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "FATAL")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    try:
        import cv2
    except ImportError as error:
        if "libGL" in str(error) or "libgthread" in str(error):
            hint = (
                "pip uninstall opencv-python && pip install opencv-python-headless (no window then), or install libgl1"
            )
        elif "static TLS" in str(error):
            hint = "export LD_PRELOAD=/usr/lib/aarch64-linux-gnu/libgomp.so.1"
        else:
            hint = (
                "on a PC: pip install opencv-python; on a Jetson OpenCV comes with JetPack: apt install python3-opencv"
            )
        raise DependencyMissing("OpenCV (cv2) cannot be imported: {}".format(error), hint=hint)
    return cv2
