"""What a browser gets of a frame."""

import time

import numpy as np
import pytest

from ccc_jetson.opencv import import_cv2
from ccc_jetson.preprocess import fitting
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.pixels import NV12
from ccc_jetson.runtime.serve.picture import PictureEncoder, palette_png, unpack
from tests.doubles.tiny_model import tiny_contract


def decoded(data):
    return import_cv2().imdecode(np.frombuffer(data, np.uint8), 1)


def segmentation(frame_size, fit="stretch", network=(64, 32)):
    class_map = np.random.RandomState(3).randint(0, 19, (network[1], network[0])).astype(np.uint8)
    return Segmentation(class_map, fitting(frame_size, network, fit), {})


def test_the_frame_and_its_classes_come_back_as_they_were():
    image = np.full((64, 96, 3), (200, 60, 20), np.uint8)
    given = segmentation((96, 64))
    packed = PictureEncoder(tiny_contract())(Frame(7, "drive_7", image, time.monotonic()), given, 0.0414)
    head, jpeg, png = unpack(packed)
    assert head == {
        "number": 7, "name": "drive_7", "width": 96, "height": 64, "seen": [0, 0, 1, 1], "latency_ms": 41.4,
        "jpeg": len(jpeg),
    }  # fmt: skip
    assert np.abs(decoded(jpeg).astype(int) - image).max() < 6
    colors = np.array([each.color for each in tiny_contract().classes], np.uint8)
    assert (decoded(png)[..., ::-1] == colors[given.class_map]).all()


def test_what_the_network_saw_is_told_as_shares_of_the_frame():
    image = np.zeros((100, 100, 3), np.uint8)
    head, _, png = unpack(
        PictureEncoder(tiny_contract())(Frame(0, "a", image, 0.0), segmentation((100, 100), "crop"), 0)
    )
    assert head["seen"] == [0.0, 0.25, 1.0, 0.5]
    assert decoded(png).shape == (32, 64, 3)
    _, _, png = unpack(
        PictureEncoder(tiny_contract())(Frame(0, "a", image, 0.0), segmentation((100, 100), "letterbox"), 0)
    )
    assert decoded(png).shape == (32, 32, 3)  # without the bars


def test_large_frames_become_smaller_for_the_way():
    image = np.zeros((1080, 1920, 3), np.uint8)
    head, jpeg, png = unpack(
        PictureEncoder(tiny_contract())(Frame(0, "a", image, 0.0), segmentation((1920, 1080), network=(2048, 1024)), 0)
    )
    assert (head["width"], head["height"]) == (1920, 1080)
    assert decoded(jpeg).shape == (540, 960, 3)
    assert decoded(png).shape == (512, 1024, 3)


def test_frames_as_a_camera_gives_them_are_converted():
    image = np.full((96, 96), 128, np.uint8)
    image[:64] = 200  # grey, in NV12
    given = segmentation((96, 64))
    _, jpeg, _ = unpack(PictureEncoder(tiny_contract())(Frame(0, "a", image, 0.0, NV12), given, 0))
    assert decoded(jpeg).shape == (64, 96, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (33, 17)])
def test_palette_pictures_are_what_opencv_reads(shape):
    indices = np.random.RandomState(5).randint(0, 256, shape).astype(np.uint8)
    palette = np.random.RandomState(6).randint(0, 256, (256, 3)).astype(np.uint8)
    assert (decoded(palette_png(indices, palette.tobytes()))[..., ::-1] == palette[indices]).all()
