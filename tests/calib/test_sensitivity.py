"""Which layers lose most, and how few of them kept in floats hold a bound."""

import numpy as np
import onnx
import pytest

from ccc_jetson.calib.qdq import convolutions
from ccc_jetson.calib.ranges import observe
from ccc_jetson.calib.sensitivity import BLOCKS, TRIES, LayerError, hold, layer_errors
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


class Network:
    """Layers that lose points in INT8, each its own, and what was asked."""

    def __init__(self, points, together=0.0):
        self.layers = [("layer{}".format(index), "fused{}".format(index)) for index in range(len(points))]
        self._points, self._together = points, together
        self.rough, self.asked = [], []

    def _drop(self, kept):
        inside = [points for layer, points in zip(self.layers, self._points) if layer[0] not in kept]
        assert all((layer[0] in kept) == (layer[1] in kept) for layer in self.layers)
        return sum(inside) + self._together * (len(inside) == len(self.layers))

    def roughly(self, kept):
        self.rough.append(tuple(kept))
        return self._drop(kept)

    def drop_with(self, kept):
        self.asked.append((tuple(kept), self._drop(kept)))
        return self._drop(kept)

    def hold(self, bound, errors=None):
        """Their own errors say nothing unless ``errors`` has them."""
        values = [0.0] * len(self.layers) if errors is None else errors
        known = sorted(
            (LayerError(layer[0], error) for layer, error in zip(self.layers, values)), key=lambda e: -e.error
        )
        return hold(self.layers, bound, known, self.roughly, self.drop_with)


def test_the_few_layers_that_lose_most_are_found_wherever_they_stand():
    points = [0.001] * 60
    points[7] = points[31] = points[58] = 5.0
    network = Network(points)
    found = network.hold(1.0)
    assert found.kept == tuple(name for index in (7, 31, 58) for name in network.layers[index])


@pytest.mark.parametrize("count", [1, 2, 3, 20, 33, 54, 227, 500])
@pytest.mark.parametrize("bound", [0.0, 0.5, 3.0])
def test_the_bound_holds_and_measurements_are_few_with_any_number_of_layers(count, bound):
    rng = np.random.RandomState(count)
    network = Network(list(rng.exponential(8.0 / count, count)), together=5.0)
    found = network.hold(bound)
    lost = network._drop(found.kept)
    print(count, bound, len(found.kept), lost, len(network.asked))
    assert lost <= bound
    assert len(network.rough) <= BLOCKS and len(network.asked) <= 5 + 2 * np.log2(count) + 2 + TRIES
    assert not found.kept or (found.kept, lost) in network.asked or len(found.kept) == 2 * count
    nodes = [name for layer in network.layers for name in layer]
    assert [name for name in nodes if name in found.kept] == list(found.kept)


def test_it_keeps_no_more_than_the_worst_block_where_one_layer_is_to_blame():
    points = [0.0] * 227
    points[100] = 10.0
    assert Network(points).hold(0.5).kept == ("layer100", "fused100")


def test_the_blocks_are_neighbours_and_the_one_that_loses_least_is_first():
    network = Network([float(index % 7) for index in range(64)])
    found = network.hold(10.0)
    values = [block.points for block in found.blocks]
    assert values == sorted(values) and len(values) == BLOCKS
    assert sorted(name for block in found.blocks for name in block.nodes) == sorted(
        name for layer in network.layers for name in layer
    )
    assert all(len(block.nodes) == 4 for block in found.blocks)


def test_one_bad_layer_in_every_block_is_found_by_its_own_error():
    points = [0.0 if index % 7 else 10.0 for index in range(224)]
    network = Network(points)
    found = network.hold(0.5, errors=[each + 0.1 * (index % 3) for index, each in enumerate(points)])
    assert found.kept == tuple(name for layer in network.layers[::7] for name in layer)


def test_an_error_that_says_too_much_is_put_right():
    """A layer that is far off, and does no harm, comes back."""
    network = Network([0.0, 0.0, 5.0, 0.0])
    assert network.hold(0.5, errors=[0.9, 0.8, 0.5, 0.1]).kept == network.layers[2]


def test_where_nothing_holds_all_layers_are_kept():
    network = Network([2.0, 2.0, 2.0])
    assert network.hold(1.0).kept == tuple(name for layer in network.layers for name in layer)
