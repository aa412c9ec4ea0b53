"""Counting pixels and reducing them to accuracy."""

import json
import math

import numpy as np
import pytest

from ccc_jetson.confusion import IGNORE, NO_CLASS, ConfusionMatrix
from ccc_jetson.errors import FileProblem


def counted(labels, predictions, classes=3):
    matrix = ConfusionMatrix(classes)
    matrix.add(np.array(labels, np.uint8), np.array(predictions, np.uint8))
    return matrix


def test_pixels_are_counted_by_true_and_predicted_class():
    matrix = counted([[0, 0, 1], [1, 2, 2]], [[0, 1, 1], [1, 0, 2]])
    assert matrix.counts.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 1, 0]]
    assert matrix.counts.dtype == np.int64


def test_ignored_pixels_are_neither_hits_nor_misses_nor_false_alarms():
    assert counted([IGNORE, IGNORE, 0], [0, 1, 0]).counts.tolist() == [[1, 0, 0, 0], [0] * 4, [0] * 4]


def test_a_prediction_without_class_is_a_miss_and_nobodys_false_alarm():
    scores = counted([0, 0, 1, 1], [0, NO_CLASS, 1, 1]).scores()
    assert scores.iou[:2] == (0.5, 1.0)
    assert scores.pixel_accuracy == 0.75
    assert scores.pixels_without_class == 1


def test_numbers_beyond_the_classes_mean_ignored_and_no_class():
    assert counted([0, 3, 200], [77, 0, 0]).counts.tolist() == [[0, 0, 0, 1], [0] * 4, [0] * 4]


def test_iou_is_hits_over_union():
    scores = counted([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 2]).scores()
    assert scores.iou == (2 / 4, 1 / 3, 1.0)
    assert scores.miou == (2 / 4 + 1 / 3 + 1.0) / 3
    assert scores.pixel_accuracy == 4 / 6
    assert (scores.pixels, scores.pixels_of_class) == (6, (3, 2, 1))


def test_a_class_that_never_occurs_is_left_out_of_the_mean():
    scores = counted([0, 1], [0, 0]).scores()
    assert scores.iou[:2] == (0.5, 0.0)
    assert math.isnan(scores.iou[2])
    assert scores.miou == 0.25


def test_a_class_that_is_only_predicted_counts_as_zero():
    scores = counted([0, 0], [0, 2]).scores()
    assert math.isnan(scores.iou[1])
    assert scores.iou[2] == 0.0
    assert scores.miou == 0.25


def test_without_pixels_there_is_no_figure():
    scores = ConfusionMatrix(2).scores()
    assert math.isnan(scores.miou)
    assert math.isnan(scores.pixel_accuracy)


@pytest.mark.parametrize("classes", [1, 19, 254])
def test_large_maps_are_counted_as_one_by_one(classes):
    seed = 11
    rng = np.random.RandomState(seed)
    labels, predictions = rng.randint(0, 256, (2, 301, 307)).astype(np.uint8)  # more than a block, and no multiple
    expected = np.zeros((classes, classes + 1), np.int64)
    for label, prediction in zip(labels.ravel().tolist(), predictions.ravel().tolist()):
        if label < classes:
            expected[label, min(prediction, classes)] += 1
    assert np.array_equal(counted(labels, predictions, classes).counts, expected), "seed {}".format(seed)


def test_views_are_counted_like_copies():
    labels = np.arange(48, dtype=np.uint8).reshape(6, 8) % 3
    assert np.array_equal(
        counted(labels[::2, 1:], labels[1::2, 1:]).counts,
        counted(labels[::2, 1:].copy(), labels[1::2, 1:].copy()).counts,
    )


def test_matrices_of_two_parts_add_up_to_that_of_the_whole():
    first, second = counted([0, 1, 2], [0, 2, 2]), counted([0, 0], [1, 0])
    assert np.array_equal(first.plus(second).counts, counted([0, 1, 2, 0, 0], [0, 2, 2, 1, 0]).counts)
    assert first.counts.sum() == 3


def test_what_cannot_be_counted_together_is_refused():
    with pytest.raises(ValueError, match="2 and 3 classes"):
        ConfusionMatrix(2).plus(ConfusionMatrix(3))
    with pytest.raises(ValueError, match="one shape"):
        counted([0, 1], [0])
    with pytest.raises(ValueError, match="int64"):
        ConfusionMatrix(2).add(np.zeros(2, np.int64), np.zeros(2, np.uint8))
    for classes in (0, 255):
        with pytest.raises(ValueError, match="254"):
            ConfusionMatrix(classes)


def test_json_gives_the_same_counts_back():
    matrix = counted([0, 1, 2], [0, 2, NO_CLASS])
    matrix.counts[0, 0] = 1 << 61
    again = ConfusionMatrix.from_json(json.loads(json.dumps(matrix.to_json())), "state")
    assert np.array_equal(again.counts, matrix.counts)


@pytest.mark.parametrize(
    "rows", [None, {}, [], [[1]], [[1, 2, 3]], [[0, 0, 0], [0, 0]], [[0, "1"]], [[0, -1]], [[True, 0]], [[1 << 62, 0]]]
)
def test_damaged_json_is_refused_with_the_files_name(rows):
    with pytest.raises(FileProblem, match=r"eval.state: the confusion matrix"):
        ConfusionMatrix.from_json(rows, "eval.state")
