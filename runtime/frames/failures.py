"""What libraries say when a source cannot be opened, and what that means.

The sentences are those of OpenCV, GStreamer 1.14 and NVIDIA's Argus, as users report them; docs/sources.md has them.
"""

import re
from typing import List, NamedTuple, Optional

from ccc_jetson.clean_text import clean
from ccc_jetson.static_tls import preload

_LINES, _LONGEST = 3, 160
# [ WARN:5@2.437] global ./modules/videoio/src/cap_gstreamer.cpp (2401) handleMessage OpenCV | GStreamer warning: ...
_OPENCV = re.compile(r"\[ *[A-Z]+:[0-9@.]+\] *(?:global *)?(?:\S+ \(\d+\) \w+ )?(?:OpenCV \| GStreamer \w+: )?")
# (python3:6078): GStreamer-CRITICAL **: 09:57:08.729: and a paragraph on what follows from something else
_CRITICAL = re.compile(r"\(\S+:\d+\): \w+-CRITICAL \*\*:.*?(?=^\[|^\(|\Z)", re.MULTILINE | re.DOTALL)
_CONSEQUENCE = "pipeline have not been created"
_TELLING = ("error", "warn", "fail", "cannot", "could not", "unable", "no ", "not ", "busy", "denied", "unauthorized")

_NO_FIT = (
    "the parts of the pipeline do not fit together: a USB camera does not deliver this size, rate and format together, "
    "a network camera has another codec"
)
_NO_FIT_FIX = "see what it has: v4l2-ctl --list-formats-ext, then for example ?size=640x480&fps=30; #codec=h265"


class Cause(NamedTuple):
    """``says`` is in the library's words, lower case; ``means`` and ``fix`` are ours."""

    says: str
    means: str
    fix: str


_TOO_LATE = Cause("static tls", "a library was loaded too late (on aarch64)", "export LD_PRELOAD=LIBRARY")
# The first that fits: later ones are what follows from earlier ones
CAUSES = (
    Cause(
        "failed to create capturesession",
        "the CSI camera is still held, by another program or by one that was killed",
        "end the other program, then: sudo systemctl restart nvargus-daemon",
    ),
    Cause(
        "connecting to nvargus-daemon failed",
        "NVIDIA's camera service cannot be reached",
        "sudo systemctl restart nvargus-daemon (in a container: docker run -v /tmp/argus_socket:/tmp/argus_socket)",
    ),
    Cause(
        "no cameras available",
        "Argus sees no CSI camera: not connected, no driver for this sensor, or a YUV sensor, which it cannot read",
        "check the ribbon cable with the power off; sudo dmesg | grep -i -e imx -e ov5; a YUV sensor is a "
        "/dev/videoN: ccc-run v4l2:///dev/video0?format=any",
    ),
    _TOO_LATE,
    Cause(
        "egl display connection",
        "NVIDIA's libraries found no display; harmless by itself, but over ssh -X it can stop a pipeline",
        "unset DISPLAY",
    ),
    Cause(
        "unauthorized",
        "the camera asks for another user or password",
        "rtsp://USER:PASSWORD@HOST/PATH, with %40 for an @ in the password",
    ),
    Cause(
        "no element",
        "a part of GStreamer is not installed",
        "sudo apt install gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav; NVIDIA's elements "
        "come with JetPack and are mounted into containers by --runtime nvidia",
    ),
    Cause(
        "busy",
        "another program uses the camera",
        "end it; this shows which: fuser -v /dev/video*",
    ),
    Cause(
        "permission denied",
        "no permission to use the camera",
        "sudo usermod -aG video $USER, then log out and in again",
    ),
    Cause(
        "no such file or directory",
        "the device is not there",
        "plug it in and look again: ls /dev/video*",
    ),
    Cause("internal data stream error", _NO_FIT, _NO_FIT_FIX),
    Cause("unable to start pipeline", _NO_FIT, _NO_FIT_FIX),
)  # fmt: skip


def cause_of(words: str) -> Optional[Cause]:
    """The known cause in what libraries said; None where there is none."""
    lower = words.lower()
    found = next((cause for cause in CAUSES if cause.says in lower), None)
    return _TOO_LATE._replace(fix=preload(words)) if found is _TOO_LATE else found


def telling_lines(words: str) -> str:
    """The last few sentences that sound like a reason, on one line; "" where there is none."""
    found: List[str] = []
    for text in _sentences(words):
        if any(word in text.lower() for word in _TELLING) and _CONSEQUENCE not in text:
            text = clean(text)[:_LONGEST]
            if text not in found:
                found.append(text)
    return " / ".join(found[-_LINES:])


def _sentences(words: str) -> List[str]:
    """Lines; OpenCV's without what it writes before each, and with the lines that belong to them."""
    first, *warnings = _OPENCV.split(_CRITICAL.sub("", words))
    sentences = [line.strip() for line in first.splitlines()]
    for warning in warnings:
        # GStreamer's sentences go on behind a line's end: "... module rtspsrc0" and then "reported: Unauthorized"
        sentences.append(" ".join(warning.split()))
    return [sentence for sentence in sentences if sentence]
