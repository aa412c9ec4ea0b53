"""The most probable classes of a picture."""

import json
import math

import numpy as np
import pytest

from ccc_jetson.preprocess import fitting
from ccc_jetson.runtime.backends import Classification
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.sinks.top_classes import TOP, TopClasses, top_classes

pytest.importorskip("onnx")

from tests.doubles.tiny_model import tiny_contract  # noqa: E402  (needs onnx)

NAMES = tuple("abcdefgh")


def names_of(top):
    return "".join(each.name for each in top)


def test_the_best_come_first_and_the_first_of_equal_ones():
    top = top_classes(np.array([1, 5, 5, -3, 2, 0, 9, 4], np.float32), NAMES)
    assert names_of(top) == "gbche"
    assert [each.score for each in top] == [9, 5, 5, 4, 2]


def test_probabilities_are_softmax_over_all_classes():
    scores = np.array([1, 2, 3, 4, 5, 6, 7, 800], np.float32)  # exp of it overflows
    assert top_classes(scores, NAMES)[0].probability == 1.0
    scores[7] = 8
    expected = math.exp(8) / sum(math.exp(value) for value in range(1, 9))
    assert top_classes(scores, NAMES)[0].probability == pytest.approx(expected)


def test_of_few_classes_all_are_given():
    assert names_of(top_classes(np.array([1, 2], np.float32), NAMES[:2])) == "ba"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_can_be_reported(value):
    scores = np.zeros(8, np.float32)
    scores[3] = value
    top = top_classes(scores, NAMES)
    assert (top[0].name == "d") == (value == np.inf)
    assert all(0 <= each.probability <= 1 for each in top)
    assert top_classes(np.full(8, np.nan, np.float32), NAMES)[0].probability == 0


def test_every_picture_is_kept_in_order_and_goes_into_json():
    sink = TopClasses(tiny_contract("scores", classes=8))
    for index in range(3):
        scores = np.roll(np.array([9, 1, 0, 0, 0, 0, 0, np.nan], np.float32), index)
        frame = Frame(index, "p{}".format(index), np.zeros((2, 2, 3), np.uint8), 0.0)
        sink.write(frame, Classification(scores, fitting((2, 2), (2, 2), "stretch"), {}))
    assert [each.picture for each in sink.classified] == ["p0", "p1", "p2"]
    record = json.loads(json.dumps([each.to_json() for each in sink.classified], allow_nan=False))
    assert [len(each["top"]) for each in record] == [TOP] * 3
    assert record[0]["top"][0]["class"] == "road"
    assert record[0]["top"][0]["score"] == 9
