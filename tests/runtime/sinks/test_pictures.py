"""PNG files, one a frame."""

import os
import time

import numpy as np
import pytest

from ccc_jetson import files
from ccc_jetson.errors import FileProblem, SinkError, UsageError
from ccc_jetson.images import read_frame, read_labels
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.overlay import Overlay
from ccc_jetson.runtime.sinks.pictures import ClassMaps, OverlayPictures, class_numbers
from tests.doubles.stages import segmentation_of
from tests.doubles.tiny_model import tiny_contract


def frame_of(width=100, height=60, name="a"):
    return Frame(0, name, np.full((height, width, 3), 100, np.uint8), time.monotonic())


def test_overlays_are_written_at_the_frames_size(tmp_path):
    sink = OverlayPictures(str(tmp_path / "out"), Overlay(tiny_contract(), 1.0))
    sink.write(frame_of(name="street_1"), segmentation_of(frame_of().image, 10))
    sink.close()
    picture = read_frame(str(tmp_path / "out" / "street_1.png"))
    assert picture.shape == (60, 100, 3)
    assert (picture == (180, 130, 70)).all()
    assert sink.description == "overlays in {}/".format(tmp_path / "out")


def test_class_maps_hold_the_networks_numbers_and_255_where_it_saw_nothing(tmp_path):
    sink = ClassMaps(str(tmp_path))
    frame = frame_of(100, 100)
    sink.write(frame, segmentation_of(frame.image, 7, "crop"))
    labels = read_labels(str(tmp_path / "a.png"))
    assert labels.shape == (100, 100)
    assert (labels[25:75] == 7).all()
    assert (labels[:25] == 255).all() and (labels[75:] == 255).all()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    with pytest.raises(SinkError, match="cannot be made") as caught:
        ClassMaps(str(tmp_path / "a" / "b"))
    assert caught.value.hint.startswith("mkdir -p ")


def test_a_full_disk_leaves_no_half_picture(tmp_path, monkeypatch):
    sink = ClassMaps(str(tmp_path))
    frame = frame_of()
    sink.write(frame, segmentation_of(frame.image, 7))

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(FileProblem, match="no space left"):
        sink.write(frame._replace(name="b"), segmentation_of(frame.image, 7))
    assert os.listdir(str(tmp_path)) == ["a.png"]


@pytest.mark.parametrize(("ids", "sky", "outside"), [("network", 10, 255), ("trainids", 10, 255), ("labelids", 23, 0)])
def test_class_maps_can_hold_cityscapes_numbers(tmp_path, ids, sky, outside):
    sink = ClassMaps(str(tmp_path), class_numbers(tiny_contract(), ids))
    frame = frame_of(100, 100, "ulm_000000_000019_leftImg8bit")
    sink.write(frame, segmentation_of(frame.image, 10, "crop"))
    labels = read_labels(str(tmp_path / "ulm_000000_000019_leftImg8bit.png"))
    assert set(labels[:25].ravel()) == {outside} and set(labels[25:75].ravel()) == {sky}


def test_classes_of_another_data_set_have_no_label_ids():
    contract = tiny_contract()
    foreign = contract._replace(classes=tuple(each._replace(label_id=-1, train_id=255) for each in contract.classes))
    for ids in ("labelids", "trainids"):
        with pytest.raises(UsageError, match="--class-ids {}: the network's classes .road, ".format(ids)):
            class_numbers(foreign, ids)


def test_a_class_without_a_label_becomes_unlabeled():
    contract = tiny_contract()
    classes = (contract.classes[0]._replace(label_id=-1),) + contract.classes[1:]
    table = class_numbers(contract._replace(classes=classes), "labelids")
    assert (table[0], table[1], table[255]) == (0, 8, 0)
