"""Which layers lose most, and how few of them kept in floats hold a bound."""

import numpy as np
import onnx
import pytest

from ccc_jetson.calib.qdq import convolutions
from ccc_jetson.calib.ranges import observe
from ccc_jetson.calib.sensitivity import Gain, LayerError, fewest_kept, gains, layer_errors
from tests.doubles.quantisable import LAYERS, images, quantisable_bytes


@pytest.fixture(scope="module")
def errors():
    model = onnx.load_model_from_string(quantisable_bytes())
    ranges = observe(quantisable_bytes(), lambda: images(2), False, 1).ranges("minmax")
    ranges["depthwise"] *= 50  # a range that far too wide leaves "second" two levels or three
    told = []
    found = layer_errors(model, ranges, convolutions(model, "up"), images(2), 1, lambda: told.append(1))
    assert len(told) == 2
    return found


def test_every_layer_has_its_own_error_and_the_worst_is_first(errors):
    assert sorted(each.node for each in errors) == sorted(LAYERS)
    assert errors[0].node == "second" and errors[0].error > 0.3
    values = [each.error for each in errors]
    assert values == sorted(values, reverse=True)


def test_the_error_of_one_layer_is_not_in_those_behind_it(errors):
    others = {each.node: each.error for each in errors[1:]}
    print(others)
    assert all(0.001 < error < 0.05 for error in others.values())


@pytest.mark.parametrize("error, decibels", [(1.0, 0.0), (0.1, 20.0), (0.0, 180.0)])
def test_the_ratio_of_signal_to_noise_is_in_decibels(error, decibels):
    assert LayerError("n", error).sqnr_db == pytest.approx(decibels)


def test_gains_are_what_a_layer_alone_gives_back_the_largest_first():
    loss = {(): 5.0, ("a",): 4.5, ("b",): 2.0, ("c",): 5.5}
    asked = []

    def drop_with(nodes):
        asked.append(tuple(nodes))
        return loss[tuple(nodes)]

    assert gains("abc", drop_with) == [Gain("b", 3.0), Gain("a", 0.5), Gain("c", -0.5)]
    assert len(asked) == 4


@pytest.mark.parametrize("needed", [0, 1, 2, 3, 5, 8, 29, 30])
def test_as_few_layers_as_hold_the_bound_are_kept(needed):
    order = ["layer{}".format(index) for index in range(30)]
    asked = []

    def drop_with(nodes):
        assert list(nodes) == order[: len(nodes)]
        asked.append(len(nodes))
        return 1.0 if len(nodes) >= needed else 1.5

    assert fewest_kept(order, 1.0, drop_with) == tuple(order[:needed])
    assert len(asked) <= 2 * np.log2(30) + 2


def test_where_nothing_helps_all_layers_are_kept():
    assert fewest_kept(["a", "b", "c"], 0.0, lambda nodes: 1.0) == ("a", "b", "c")
    assert fewest_kept([], 0.0, lambda nodes: 1.0) == ()
