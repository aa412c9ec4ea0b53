"""OpenCV, imported where a picture is first touched, and a sentence where it cannot be."""

import os
import sys
from types import ModuleType

from ccc_jetson.clean_text import clean
from ccc_jetson.errors import DependencyMissing, UsageError
from ccc_jetson.static_tls import preload

MOST_PIXELS = "OPENCV_IO_MAX_IMAGE_PIXELS"  # that a picture may have; OpenCV reads it when it is loaded
_OURS = 1 << 27  # 400 MB
_OPENCVS = 1 << 30  # 3 GB, which a file of 1 MB can ask for


def limit_pictures() -> None:
    """Lets OpenCV decode no picture of more than 134 million pixels, unless ``MOST_PIXELS`` is set.

    For our commands, before they load it: a program that uses this package decides for itself what it decodes.
    """
    os.environ.setdefault(MOST_PIXELS, str(_OURS))


def most_pixels() -> str:
    """That a picture may have, as it was set, else OpenCV's own limit."""
    return os.environ.get(MOST_PIXELS) or str(_OPENCVS)


def import_cv2() -> ModuleType:
    """The ``cv2`` module.

    Its own remarks on standard error are switched off, unless these variables are set: our messages say what is meant.

    Raises:
        DependencyMissing: it is not installed, or a library that it needs is not; with the cure.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "FATAL")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    try:
        import cv2
    except ImportError as error:
        hint = preload(str(error))
        if not hint and ("libGL" in str(error) or "libgthread" in str(error)):
            hint = (
                "pip uninstall opencv-python && pip install opencv-python-headless (no window then), or install libgl1"
            )
        elif not hint:
            hint = (
                "on a PC: pip install opencv-python; on a Jetson OpenCV comes with JetPack: apt install python3-opencv"
            )
        raise DependencyMissing("OpenCV (cv2) cannot be imported: {}".format(error), hint=hint)
    return cv2


def readable_name(path: str) -> str:
    """``path``, where ``cv2`` can take it as a file's name.

    OpenCV 4's bindings do not look whether a name could be encoded, and end the process where it could not: Python
    keeps bytes that it cannot read as lone surrogates, of every name beyond ASCII with Python 3.6 and ``LC_ALL=C``.

    Raises:
        UsageError: the name is not UTF-8, or this process does not read it so.
    """
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        if sys.getfilesystemencoding().lower() in ("utf-8", "utf8"):
            raise UsageError("{}: the name is not UTF-8, as OpenCV needs it".format(clean(path)), hint="rename it")
        raise UsageError(
            "{}: this process reads names as ASCII, and OpenCV needs UTF-8".format(clean(path)),
            hint="export LC_ALL=C.UTF-8",
        )
    return path
