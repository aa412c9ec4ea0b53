"""Cameras at a Jetson's CSI connector, which only NVIDIA's Argus reads: the ways to open one."""

import os
from typing import List

from ccc_jetson.runtime.frames import gstreamer
from ccc_jetson.runtime.frames.attempts import NO_GSTREAMER_FIX, Attempt, Here, gstreamer_attempt
from ccc_jetson.runtime.pixels import BGR, NV12
from ccc_jetson.runtime.source_grammar import CsiCamera

_ARGUS_SOCKET = "/tmp/argus_socket"


def csi_attempts(camera: CsiCamera, machine: Here) -> List[Attempt]:
    """NV12 where the network's backend takes it, which spares the CPU a pass over each frame; then BGR."""
    attempts = []
    for pixel_format in (NV12, BGR) if machine.raw else (BGR,):
        pipeline = gstreamer.csi(camera.sensor, camera.size, camera.fps, camera.flip, pixel_format == NV12)
        name = "GStreamer, Argus, " + pixel_format
        attempts.append(gstreamer_attempt(name, pipeline, pixel_format, machine))
    return attempts


def csi_hint(machine: Here) -> str:
    """What to do where the libraries gave no reason that is known."""
    if not machine.gstreamer:
        return NO_GSTREAMER_FIX
    if not os.path.exists(_ARGUS_SOCKET):
        return (
            "there is no {0}: sudo systemctl restart nvargus-daemon; in a container: docker run -v {0}:{0}; CSI "
            "cameras are read on a Jetson only".format(_ARGUS_SOCKET)
        )
    return "sudo systemctl restart nvargus-daemon, then: gst-launch-1.0 nvarguscamerasrc num-buffers=30 ! fakesink"
