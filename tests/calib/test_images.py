"""Calibration frames become inputs as live frames do."""

import os

import numpy as np
import pytest

from ccc_jetson.calib.images import CalibrationImages, choose_images
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.images import read_frame
from ccc_jetson.preprocess import Preprocessor
from tests.doubles.pictures import write_pictures
from tests.doubles.stages import write_video
from tests.doubles.tiny_model import tiny_contract


@pytest.fixture()
def frames(tmp_path):
    return choose_images([write_pictures(tmp_path / "frames", 5, size=(96, 70))]).frames


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_frames_are_preprocessed_as_live(frames, fit):
    contract = tiny_contract(color_order="RGB")
    preprocess = Preprocessor(contract, fit)
    found = list(CalibrationImages(contract, frames, fit))
    assert len(found) == 5
    for frame, image in zip(frames, found):
        assert image.dtype == np.float32 and image.shape == (1, 3, 32, 64)
        assert (image == preprocess(read_frame(frame.path))).all()


@pytest.mark.parametrize("size, counts", [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_batches_have_the_size_asked_for_but_the_last(frames, size, counts):
    images = CalibrationImages(tiny_contract(), frames)
    batches = list(images.batches(size))
    assert [len(batch) for batch in batches] == counts and len(images) == 5
    assert (np.concatenate(batches) == np.concatenate(list(images))).all()


def test_every_frame_is_reported(frames):
    told = []
    for _ in CalibrationImages(tiny_contract(), frames).batches(2, lambda: told.append(1)):
        pass
    assert len(told) == 5


def test_only_the_batch_in_hand_has_been_read(frames):
    told = []
    batches = CalibrationImages(tiny_contract(), frames).batches(2, lambda: told.append(1))
    next(batches)
    assert len(told) == 2


def test_a_batch_of_nothing_is_refused(frames):
    with pytest.raises(UsageError, match="a batch has 1 or more frames"):
        next(CalibrationImages(tiny_contract(), frames).batches(0))


def test_a_file_that_vanished_after_it_was_chosen_is_an_error(frames):
    os.unlink(frames[3].path)
    images = iter(CalibrationImages(tiny_contract(), frames))
    for _ in range(3):
        next(images)
    with pytest.raises(FileProblem, match=r"picture003\.png: cannot be read"):
        next(images)


def test_a_video_can_be_gone_through_twice(tmp_path):
    selection = choose_images([write_video(tmp_path / "drive.mp4", frames=20)], samples=5)
    images = CalibrationImages(tiny_contract(), selection.frames)
    first, second = np.concatenate(list(images)), np.concatenate(list(images))
    assert first.shape == (5, 3, 32, 64) and (first == second).all()


def test_evaluation_frames_are_refused_there_too(tmp_path):
    folder = write_pictures(tmp_path / "frames", 2)
    with pytest.raises(UsageError, match="evaluation frames"):
        choose_images([folder], not_in=[folder])
