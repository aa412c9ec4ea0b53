"""How much of the picture each class takes."""

import time

import numpy as np

from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.sinks.shares import ClassShares
from tests.doubles.stages import segmentation_of
from tests.doubles.tiny_model import tiny_contract


def test_shares_are_over_all_frames_and_only_over_what_the_network_saw():
    sink = ClassShares(tiny_contract())
    image = np.zeros((100, 100, 3), np.uint8)
    frame = Frame(0, "a", image, time.monotonic())
    for index in (10, 0, 0, 0):
        found = segmentation_of(image, 13, "letterbox")
        found.geometry.target.of(found.class_map)[...] = index  # 13 is in the bars only
        sink.write(frame, found)
    assert sink.shares == (("road", 0.75), ("sky", 0.25))


def test_no_frames_have_no_shares():
    assert ClassShares(tiny_contract()).shares == ()
