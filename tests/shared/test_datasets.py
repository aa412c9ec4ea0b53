"""Finding frames and their labels, and what the labels mean."""

import json
import os
import shutil

import numpy as np
import pytest

from ccc_jetson.cityscapes import CAMVID_CLASSES, LABELS, TRAIN_LABELS
from ccc_jetson.confusion import IGNORE, NO_CLASS
from ccc_jetson.contract import Class
from ccc_jetson.datasets import CITYSCAPES_FRAMES, cityscapes, paired_folders
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.label_mapping import named_mapping
from tests.doubles.labelled_frames import write_cityscapes, write_image, write_pairs
from tests.doubles.tiny_model import tiny_contract

PIXEL = np.zeros((1, 1), np.uint8)


def void_contract():
    contract = tiny_contract()
    return contract._replace(classes=(*contract.classes, Class("void", (0, 0, 0), 255, 0)))


def named_contract(*names):
    contract = tiny_contract()
    return contract._replace(
        classes=tuple(Class(name, (0, 0, 0), index, -1) for index, name in enumerate(names)), head=None
    )


def mapping_file(folder, **changes):
    record = {"classes": ["road", "car"], "label_to_class": {"7": 0, "26": 1}, "ignore": [0, 255]}
    record.update(changes)
    path = os.path.join(str(folder), "own.json")
    with open(path, "w") as file:
        json.dump({key: value for key, value in record.items() if value is not None}, file)
    return path


# Cityscapes


def test_cityscapes_frames_come_by_city_and_name(tmp_path):
    dataset = cityscapes(write_cityscapes(tmp_path))
    names = ["aachen/aachen_000000_000019", "aachen/aachen_000001_000019"]
    assert [sample.name for sample in dataset.samples] == names + [name.replace("aachen", "bonn") for name in names]
    for sample in dataset.samples:
        assert sample.image.endswith(sample.name + "_leftImg8bit.png")
        assert sample.labels.endswith(sample.name + "_gtFine_labelIds.png")
        assert os.path.exists(sample.image)
        assert os.path.exists(sample.labels)


def test_part_of_a_split_is_said_to_be_one(tmp_path):
    dataset = cityscapes(write_cityscapes(tmp_path))
    assert (dataset.title, dataset.split, dataset.whole) == ("Cityscapes val", "val", False)
    assert dataset.notes == ("4 of the 500 frames of the split are here",)


def test_the_whole_split_is_known_as_such(tmp_path, monkeypatch):
    monkeypatch.setitem(CITYSCAPES_FRAMES, "val", 4)
    dataset = cityscapes(write_cityscapes(tmp_path))
    assert dataset.whole
    assert dataset.notes == ()


def test_cityscapes_frames_without_partner_are_counted_and_named(tmp_path):
    root = write_cityscapes(tmp_path)
    os.unlink(os.path.join(root, "gtFine", "val", "bonn", "bonn_000000_000019_gtFine_labelIds.png"))
    os.unlink(os.path.join(root, "leftImg8bit", "val", "bonn", "bonn_000001_000019_leftImg8bit.png"))
    dataset = cityscapes(root)
    assert [sample.name for sample in dataset.samples] == ["aachen/aachen_00000{}_000019".format(i) for i in (0, 1)]
    assert dataset.notes[0] == "left out, without labels: 1 (bonn/bonn_000000_000019)"
    assert dataset.notes[1] == "left out, without a picture: 1 (bonn/bonn_000001_000019)"


@pytest.mark.parametrize("part", ["leftImg8bit", "gtFine"])
def test_a_missing_part_of_cityscapes_is_named_with_what_is_there(tmp_path, part):
    root = write_cityscapes(tmp_path)
    shutil.rmtree(os.path.join(root, part))
    other = {"leftImg8bit": "gtFine", "gtFine": "leftImg8bit"}[part]
    with pytest.raises(FileProblem, match="expected a folder {}, found {}".format(part, other)) as caught:
        cityscapes(root)
    assert "leftImg8bit/val and gtFine/val" in caught.value.hint


def test_a_missing_split_is_named_with_those_there_are(tmp_path):
    with pytest.raises(FileProblem, match="expected a folder train, found val"):
        cityscapes(write_cityscapes(tmp_path), "train")


def test_a_missing_cityscapes_folder_says_why(tmp_path):
    with pytest.raises(FileProblem, match="No such file"):
        cityscapes(str(tmp_path / "nowhere"))
    with pytest.raises(FileProblem, match="found nothing"):
        cityscapes(str(tmp_path))


def test_label_files_of_another_kind_are_named(tmp_path):
    root = write_cityscapes(tmp_path, frames=(("bonn", 3),))
    for index in range(3):
        os.unlink(os.path.join(root, "gtFine/val/bonn/bonn_00000{}_000019_gtFine_labelIds.png".format(index)))
    with pytest.raises(FileProblem, match=r"expected <city>/\*_gtFine_labelIds.png, found bonn.*_gtFine_color.png"):
        cityscapes(root)


def test_parts_of_different_frames_are_refused_with_examples(tmp_path):
    root = write_cityscapes(tmp_path, frames=(("bonn", 1),))
    os.rename(os.path.join(root, "gtFine/val/bonn"), os.path.join(root, "gtFine/val/ulm"))
    with pytest.raises(FileProblem, match=r"no frame has both parts: bonn/bonn_000000_000019 in .*ulm/bonn_000000"):
        cityscapes(root)


def test_the_test_split_is_refused_because_its_labels_are_placeholders(tmp_path):
    with pytest.raises(UsageError, match="placeholders") as caught:
        cityscapes(write_cityscapes(tmp_path, split="test"), "test")
    assert caught.value.hint == "--split val"


# Pairs of folders


def test_pairs_are_found_by_name(tmp_path):
    images, labels = write_pairs(tmp_path)
    dataset = paired_folders(images, labels, "camvid")
    assert [sample.name for sample in dataset.samples] == ["frame00", "frame01", "frame02"]
    assert dataset.title == "images (camvid labels)"
    assert dataset.split == ""


def test_cityscapes_suffixes_do_not_hinder_pairs(tmp_path):
    root = write_cityscapes(tmp_path, frames=(("bonn", 2),))
    folder = os.path.join(root, "gtFine/val/bonn")
    for index in range(2):
        stem = os.path.join(folder, "bonn_00000{}_000019_gtFine_".format(index))
        shutil.copy(stem + "labelIds.png", stem + "labelTrainIds.png")
    for mapping, ending in (("labelids", "_labelIds.png"), ("trainids", "_labelTrainIds.png")):
        dataset = paired_folders(os.path.join(root, "leftImg8bit/val/bonn"), folder, mapping)
        assert [sample.name for sample in dataset.samples] == ["bonn_00000{}_000019".format(i) for i in (0, 1)]
        assert all(sample.labels.endswith(ending) for sample in dataset.samples)


def test_two_label_maps_of_one_frame_are_refused(tmp_path):
    images, labels = write_pairs(tmp_path, count=1)
    for kind in ("labelIds", "labelTrainIds"):
        write_image(os.path.join(labels, "a_gtFine_{}.png".format(kind)), PIXEL)
    with pytest.raises(FileProblem, match="are of the same frame"):
        paired_folders(images, labels, "camvid")


def test_missing_partners_are_listed_and_counted(tmp_path):
    images, labels = write_pairs(tmp_path, count=6)
    for index in range(4):
        os.unlink(os.path.join(labels, "frame{:02d}.png".format(index)))
    write_image(os.path.join(labels, "other.png"), PIXEL)
    with pytest.raises(FileProblem) as caught:
        paired_folders(images, labels, "camvid")
    message = str(caught.value)
    assert "4 without a label map: frame00, frame01, frame02 and 1 more; 1 without a picture: other" in message
    assert "ccc-eval --allow-missing evaluates the 2 pairs there are" in caught.value.hint


def test_missing_partners_may_be_allowed_and_are_noted(tmp_path):
    images, labels = write_pairs(tmp_path, count=2)
    os.unlink(os.path.join(labels, "frame00.png"))
    dataset = paired_folders(images, labels, "camvid", allow_missing=True)
    assert [sample.name for sample in dataset.samples] == ["frame01"]
    assert dataset.notes == ("1 without a label map: frame00",)


def test_folders_with_nothing_in_common_are_refused_even_then(tmp_path):
    images, _ = write_pairs(tmp_path, count=1)
    write_image(tmp_path / "other" / "x.png", PIXEL)
    with pytest.raises(FileProblem, match="do not belong together") as caught:
        paired_folders(images, str(tmp_path / "other"), "camvid", allow_missing=True)
    assert "--allow-missing" not in caught.value.hint


def test_a_folder_that_is_not_there_is_named(tmp_path):
    images, _ = write_pairs(tmp_path, count=1)
    with pytest.raises(FileProblem, match="nowhere: no such folder"):
        paired_folders(images, str(tmp_path / "nowhere"), "camvid")


def test_a_choice_of_frames_is_spread_and_said_to_be_one(tmp_path):
    dataset = paired_folders(*write_pairs(tmp_path, count=7), mapping="camvid")
    chosen = dataset.spread(3)
    assert [sample.name for sample in chosen.samples] == ["frame00", "frame02", "frame04"]
    assert not chosen.whole
    assert chosen.notes == ("3 of 7 frames, evenly spread",)
    assert dataset.spread(7) is dataset
    assert dataset.spread(8) is dataset
    with pytest.raises(UsageError, match="expected 1 or more"):
        dataset.spread(0)


# Meaning of labels


def test_label_ids_become_train_ids():
    mapping = named_mapping("labelids")
    labels = np.array([[label.label_id for label in LABELS]], np.uint8)
    expected = [[label.train_id if label.train_id != 255 else IGNORE for label in LABELS]]
    assert mapping.decode(labels, "x.png").tolist() == expected
    assert mapping.classes == tuple(label.name for label in TRAIN_LABELS)


def test_train_ids_stay_and_255_is_ignored():
    labels = np.array([list(range(19)) + [255]], np.uint8)
    assert named_mapping("trainids").decode(labels, "x.png").tolist() == labels.tolist()


def test_camvid_labels_stay_and_11_is_ignored():
    labels = np.arange(12, dtype=np.uint8)[None]
    assert named_mapping("camvid").decode(labels, "x.png").tolist() == [list(range(11)) + [IGNORE]]


@pytest.mark.parametrize(
    "mapping,value,known", [("labelids", 34, "0-33"), ("trainids", 19, "0-18, 255"), ("camvid", 12, "0-11")]
)
def test_an_unknown_label_is_refused_with_file_and_value(mapping, value, known):
    labels = np.array([[0, value, value, 99]], np.uint8)
    with pytest.raises(FileProblem) as caught:
        named_mapping(mapping).decode(labels, "seven.png")
    assert str(caught.value) == (
        "seven.png: holds the label {} (2 pixels) and 1 more unknown ones; the mapping {!r} knows {}".format(
            value, mapping, known
        )
    )


def test_an_unknown_mapping_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match=r"'kitti'; expected camvid, trainids, labelids or a .json file"):
        named_mapping("kitti")


# Meaning of predictions


def test_predictions_are_mapped_by_train_id_and_void_is_no_class():
    table = named_mapping("labelids").prediction_table(void_contract())
    assert table[:19].tolist() == list(range(19))
    assert set(table[19:].tolist()) == {NO_CLASS}


def test_outputs_in_another_order_are_mapped_by_their_train_ids():
    contract = tiny_contract()
    contract = contract._replace(classes=contract.classes[::-1])
    assert named_mapping("trainids").prediction_table(contract)[:19].tolist() == list(range(19))[::-1]


def test_cityscapes_outputs_are_merged_into_camvids_classes():
    mapping = named_mapping("camvid")
    table = mapping.prediction_table(void_contract())
    assert table[:20].tolist() == [3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10, NO_CLASS]
    assert mapping.remarks(void_contract()) == []


def test_a_network_with_camvids_own_classes_is_read_by_name():
    contract = named_contract("Void", *CAMVID_CLASSES[::-1])
    table = named_mapping("camvid").prediction_table(contract)
    assert table[:12].tolist() == [NO_CLASS] + list(range(11))[::-1]
    assert named_mapping("camvid").remarks(contract) == []


def test_an_evaluated_class_has_the_colour_of_the_first_output_that_stands_for_it():
    colors = named_mapping("camvid").colors(void_contract())
    assert colors[3] == (128, 64, 128) and colors[1] == (70, 70, 70)  # road; building, not wall
    assert named_mapping("trainids").colors(named_contract("class 0", "class 1"))[2] == (128, 128, 128)  # no output


def test_missing_outputs_and_nameless_classes_are_remarked():
    remarks = named_mapping("trainids").remarks(named_contract("class 0", "class 1"))
    assert remarks == [
        "the network has no output for 17 classes: building, wall, fence and 14 more",
        "by train id 2 classes taken: class 0 for road, class 1 for sidewalk",
    ]


def test_a_network_without_any_of_the_classes_is_refused():
    contract = tiny_contract()
    contract = contract._replace(classes=(Class("cat", (0, 0, 0), 255, -1), Class("dog", (0, 0, 0), 255, -1)))
    with pytest.raises(UsageError, match=r"cat, dog.*nothing in common with the mapping 'labelids'"):
        named_mapping("labelids").prediction_table(contract)


# Mapping files


def test_a_mapping_file_describes_labels_and_predictions(tmp_path):
    mapping = named_mapping(mapping_file(tmp_path, train_id_to_class={"0": 0, "1": 0, "13": 1}))
    assert mapping.name == "own.json"
    assert mapping.decode(np.array([[7, 26, 0, 255]], np.uint8), "x.png").tolist() == [[0, 1, IGNORE, IGNORE]]
    table = mapping.prediction_table(tiny_contract())
    assert [table[0], table[1], table[13]] == [0, 0, 1]
    assert (table[[2, 12, 14, 18]] == NO_CLASS).all()


def test_without_train_ids_a_mapping_file_goes_by_name(tmp_path):
    table = named_mapping(mapping_file(tmp_path)).prediction_table(tiny_contract())
    assert [table[0], table[13]] == [0, 1]
    assert (table == NO_CLASS).sum() == 254


def test_without_names_in_common_train_ids_are_the_classes(tmp_path):
    mapping = named_mapping(mapping_file(tmp_path, classes=["a", "b"]))
    assert mapping.prediction_table(tiny_contract())[:3].tolist() == [0, 1, NO_CLASS]


@pytest.mark.parametrize(
    "changes,problem",
    [
        ({"classes": None}, "lacks classes"),
        ({"colours": []}, "has unknown colours"),
        ({"classes": []}, "expected 1 to 254 names"),
        ({"classes": ["a", 2]}, "expected 1 to 254 names"),
        ({"classes": ["a", "a"]}, "names one class twice"),
        ({"ignore": [256]}, "ignore is"),
        ({"ignore": 255}, "ignore is"),
        ({"label_to_class": []}, "label_to_class is"),
        ({"label_to_class": {"7": 2}}, "label_to_class says '7': 2, expected .* class from 0 to 1"),
        ({"label_to_class": {"7": True}}, "label_to_class says '7': True"),
        ({"label_to_class": {"256": 0}}, "label_to_class says '256'"),
        ({"label_to_class": {"07": 0}}, "label_to_class says '07'"),
        ({"label_to_class": {"x": 0}}, "label_to_class says 'x'"),
        ({"train_id_to_class": {"-1": 0}}, "train_id_to_class says '-1'"),
        ({"ignore": [7]}, "the label 7 stands in label_to_class and in ignore"),
    ],
)
def test_a_wrong_mapping_file_is_refused_with_the_field(tmp_path, changes, problem):
    with pytest.raises(FileProblem, match="own.json: is no mapping file: .*" + problem) as caught:
        named_mapping(mapping_file(tmp_path, **changes))
    assert "label_to_class" in caught.value.hint


@pytest.mark.parametrize("text", ["{", "[]", '"camvid"'])
def test_something_else_than_an_object_is_no_mapping_file(tmp_path, text):
    path = tmp_path / "own.json"
    path.write_text(text)
    with pytest.raises(FileProblem, match="is no mapping file: it is no JSON"):
        named_mapping(str(path))


def test_a_mapping_file_is_not_repeated_to_the_terminal(tmp_path):
    path = mapping_file(tmp_path, **{"\x1b[2J": 1})
    with pytest.raises(FileProblem, match=r"has unknown \?\[2J"):
        named_mapping(path)
    with pytest.raises(FileProblem, match="classes is") as caught:
        named_mapping(mapping_file(tmp_path, classes=[[0] * 100000]))
    assert len(str(caught.value)) < 1000
