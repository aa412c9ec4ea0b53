"""What TensorRT may compute in INT8 from a cache, what fusion makes away with, and the model that has all of it."""

import numpy as np
import onnx
import pytest
from onnx import helper

from ccc_jetson.calib.implicit import Unit, at_worst, helper_nodes, in_floats, units
from ccc_jetson.calib.qdq import convolutions, quantised
from ccc_jetson.ort import cpu_session
from tests.calib.test_qdq import node_named, pairs
from tests.doubles.graphs import graph_bytes
from tests.doubles.quantisable import images

SHAPE = [1, 4, 6, 8]


def chain_bytes(*nodes, output="out"):
    """A graph of 1x1 convolutions ("conv ..."), and of other nodes on tensors of one shape; a mean has one pixel."""
    made = []
    for operator, name, *given in nodes:
        if operator == "Conv":
            given = [*given, "w"]
        if operator == "BatchNormalization":
            given = [*given, "one", "zero", "zero", "one"]
        made.append(helper.make_node(operator, given, [name], name))
    arrays = {
        "w": np.random.RandomState(4).randn(4, 4, 1, 1).astype(np.float32),
        "one": np.ones(4, np.float32),
        "zero": np.zeros(4, np.float32),
        "low": np.float32(0),  # what Clip is given from opset 11 on
        "high": np.float32(6),
        "slopes": np.full((4, 1, 1), 0.2, np.float32),
    }
    used = {name for node in made for name in node.input}
    return graph_bytes(
        made, {"image": SHAPE}, {output: SHAPE}, {name: array for name, array in arrays.items() if name in used}, 13
    )


def units_of(data, end="none"):
    model = onnx.load_model_from_string(data)
    floats = {"image"} | {name for node in model.graph.node for name in node.output}
    return units(model, floats, convolutions(model, None if end == "none" else end), end)


FUSED = [
    # what a convolution takes with it, and the tensors that then never exist
    ([("Conv", "conv", "image"), ("Relu", "out", "conv")], ("conv", "out"), ("conv",)),
    ([("Conv", "conv", "image"), ("Clip", "out", "conv", "low", "high")], ("conv", "out"), ("conv",)),
    ([("Conv", "conv", "image"), ("Add", "out", "conv", "image")], ("conv", "out"), ("conv",)),
    (
        [
            ("Conv", "conv", "image"),
            ("BatchNormalization", "bn", "conv"),
            ("Add", "sum", "image", "bn"),
            ("Relu", "out", "sum"),
        ],
        ("conv", "bn", "sum", "out"),
        ("conv", "bn", "sum"),
    ),
    # and what it does not
    ([("Conv", "conv", "image"), ("PRelu", "out", "conv", "slopes")], ("conv",), ()),
    ([("Conv", "conv", "image"), ("LeakyRelu", "out", "conv")], ("conv",), ()),
    ([("Conv", "conv", "image"), ("Add", "out", "conv", "conv")], ("conv",), ()),
    ([("Conv", "conv", "image"), ("Add", "out", "conv", "slopes")], ("conv",), ()),
    (
        [("Conv", "conv", "image"), ("GlobalAveragePool", "pool", "image"), ("Add", "out", "conv", "pool")],
        ("conv",),
        (),
    ),
    ([("Conv", "conv", "image"), ("Relu", "out", "conv"), ("Relu", "other", "conv")], ("conv",), ()),
    (
        [("Conv", "conv", "image"), ("Relu", "relu", "conv"), ("Add", "out", "relu", "image")],
        ("conv", "relu"),
        ("conv",),
    ),
    ([("Conv", "conv", "image"), ("Relu", "relu", "conv"), ("Relu", "out", "relu")], ("conv", "relu"), ("conv",)),
]


@pytest.mark.parametrize("nodes, names, within", FUSED)
def test_a_convolution_takes_along_what_is_documented_and_nothing_else(nodes, names, within):
    (found,) = [unit for unit in units_of(chain_bytes(*nodes)) if unit.convolution]
    assert (found.nodes, found.within) == (names, within)


def test_an_output_of_the_network_is_not_made_away_with():
    data = chain_bytes(("Conv", "conv", "image"), ("Relu", "out", "conv"), output="conv")
    assert units_of(data)[0] == Unit(("conv",), True, ("conv",))


def test_of_two_convolutions_that_give_a_sum_the_first_takes_it():
    data = chain_bytes(
        ("Conv", "one conv", "image"), ("Conv", "two conv", "image"), ("Add", "out", "two conv", "one conv")
    )
    assert [unit.nodes for unit in units_of(data)] == [("one conv", "out"), ("two conv",)]


def test_nothing_behind_the_end_is_in_int8():
    data = chain_bytes(("Conv", "conv", "image"), ("Relu", "out", "conv"), ("Conv", "head", "out"))
    assert [unit.nodes for unit in units_of(data, "out")] == [("conv", "out")]
    assert [unit.nodes for unit in units_of(data, "conv")] == [("conv",)]


@pytest.fixture(scope="module")
def possible(model, ranges, layers):
    return units(model, ranges, layers, "up")


def test_a_prelu_has_constants_without_a_range_and_so_is_none(model, possible):
    assert helper_nodes(model) == ("act",)
    names = [unit.nodes for unit in possible]
    assert names == [("first",), ("depthwise",), ("second", "sum"), ("grouped",), ("grouped up",), ("up",)]
    assert [unit.nodes[0] for unit in possible if not unit.convolution] == ["grouped up"]


def test_all_but_convolutions_are_kept_in_floats_or_what_cannot_be_in_int8_alone(model, ranges, possible):
    assert in_floats(model, ranges, possible, False) == ("act", "grouped up", "head")
    assert in_floats(model, ranges, possible, True) == ("act", "head")


def rounded(model):
    """(node, position) of every input that is read behind a pair, weights left out."""
    behind = {made for tensor, made in pairs(model).items() if not tensor.endswith(" w")}
    return {(node.name, index) for node in model.graph.node for index, name in enumerate(node.input) if name in behind}


def test_whatever_reads_a_tensor_that_may_be_in_int8_reads_it_rounded(model, ranges, possible, layers):
    found = at_worst(model, ranges, possible, layers, in_floats(model, ranges, possible, True))
    onnx.checker.check_model(found, full_check=True)
    convolution = {("first", 0), ("depthwise", 0), ("second", 0), ("grouped", 0), ("grouped up", 0), ("up", 0)}
    # the PReLU and the head are in floats and read what convolutions wrote; the sum is within a convolution
    assert rounded(found) == convolution | {("act", 0), ("sum", 1), ("head", 0)}
    assert {name for name in pairs(found) if name.endswith(" w")} == {each.weight for each in layers}


def test_a_node_in_floats_writes_floats_for_those_in_floats(model, ranges, possible, layers):
    found = at_worst(model, ranges, possible, layers, ["act", "head", "grouped up", "first", "second"])
    # act is read rounded by depthwise alone: sum is kept with its convolution
    assert rounded(found) == {
        ("depthwise", 0),
        ("grouped", 0),
        ("up", 0),
        ("second", 0),
        ("grouped up", 0),
        ("head", 0),
    }
    assert {name for name in pairs(found) if name.endswith(" w")} == {"depthwise w", "grouped w", "up w"}


def test_with_all_in_floats_it_is_the_float_network(model, ranges, possible, layers):
    assert at_worst(model, ranges, possible, layers, [name for unit in possible for name in unit.nodes]) == model


def test_it_loses_more_than_convolutions_in_int8_alone(model, ranges, possible, layers):
    (image,) = images(1, seed=8)

    def run(built):
        return cpu_session(built.SerializeToString(), "Q/DQ", 1, as_written=True).run(None, {"image": image})[0]

    exact = run(model)
    few, most = (
        float(np.abs(run(built) - exact).mean())
        for built in (quantised(model, ranges, layers), at_worst(model, ranges, possible, layers))
    )
    print(few, most)
    assert 0 < few < most < np.abs(exact).mean()


def test_a_tensor_within_a_convolution_is_not_rounded(model, ranges, possible, layers):
    found = at_worst(model, ranges, possible, layers)
    assert node_named(found, "sum").input[0] == "second"
    assert node_named(found, "grouped").input[0] == pairs(found)["sum"]
