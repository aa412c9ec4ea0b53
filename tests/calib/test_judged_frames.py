"""Frames to judge INT8 on: those that can be read, and a video that is closed in the end."""

import os

import numpy as np
import pytest

from ccc_jetson.calib import off_device
from ccc_jetson.calib.judged_frames import JudgedFrames
from ccc_jetson.datasets import paired_folders
from ccc_jetson.errors import FileProblem
from ccc_jetson.images import read_frame
from ccc_jetson.opencv import import_cv2
from tests.doubles.labelled_frames import write_image, write_pairs
from tests.doubles.pictures import write_pictures
from tests.doubles.stages import write_boasting_video, write_video
from tests.doubles.tiny_model import tiny_contract, write_tiny_model


def test_frames_of_a_video_are_read_again_each_time(tmp_path):
    path = write_video(tmp_path / "drive.avi", 3, codec="MJPG")
    with JudgedFrames() as judged:
        frames = judged.unlabelled([path])
        first = [frame.read().copy() for frame in frames]
        assert len(first) == 3
        assert all((frame.read() == picture).all() for frame, picture in zip(frames, first, strict=True))
    assert judged.notes == ()


def test_pictures_without_labels_have_no_truth(tmp_path):
    folder = write_pictures(tmp_path, 1)
    with JudgedFrames() as judged:
        (frame,) = judged.unlabelled([folder])
        assert frame.truth is None
        assert (frame.read() == read_frame(os.path.join(folder, "picture000.png"))).all()


def test_a_video_counts_as_far_as_it_goes_whatever_its_header_says(tmp_path):
    path = write_boasting_video(tmp_path / "drive.avi", claims=10**9, frames=5)
    with JudgedFrames() as judged:
        assert len(judged.unlabelled([path, write_pictures(tmp_path / "more", 1)])) == 6
    assert judged.notes == ("{}: ends after 5 frames, its header says 1,000,000,000".format(path),)


def test_a_label_map_that_cannot_be_meant_takes_its_frame_with_it(tmp_path):
    images, labels = write_pairs(tmp_path, 3)
    write_image(os.path.join(labels, "frame02.png"), np.full((32, 64), 99, np.uint8))
    with JudgedFrames() as judged:
        frames = judged.labelled(paired_folders(images, labels, "camvid"), tiny_contract())
    assert [frame.name for frame in frames] == ["frame00", "frame01"]
    (note,) = judged.notes
    assert "passed over: frame02; the first: " in note


def test_where_none_is_left_that_is_an_error_with_the_reasons(tmp_path):
    (tmp_path / "list.txt").write_text("gone.png\n")
    with JudgedFrames() as judged, pytest.raises(FileProblem, match=r"none of the frames.*gone\.png") as caught:
        judged.unlabelled([str(tmp_path / "list.txt")])
    assert "--verify-images" in caught.value.hint


def test_every_video_is_closed_when_the_calibration_is_done(tmp_path, monkeypatch):
    cv2 = import_cv2()
    opened, released = [], []

    class Capture:
        def __init__(self, path):
            opened.append(path)
            self._capture = original(path)

        def __getattr__(self, name):
            return getattr(self._capture, name)

        def release(self):
            released.append(1)
            self._capture.release()

    original = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    model = write_tiny_model(tmp_path / "model.onnx", target="xavier")
    frames = write_pictures(tmp_path / "frames", 20)
    options = off_device.Options(threads=1, verify_images=(write_video(tmp_path / "judged.mp4", 3),))
    off_device.calibrate(model, [frames], options)
    assert len(opened) > 2 and len(released) == len(opened)
