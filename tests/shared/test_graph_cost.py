"""Costs of graphs by hand; what is unknown is said to be unknown."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from ccc_jetson.files import read_bytes
from ccc_jetson.graph_cost import graph_cost
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import parse_onnx
from tests.doubles.graphs import graph_bytes, quantized_bytes
from tests.doubles.tiny_model import tiny_contract, tiny_graph


def cost_of(data):
    return graph_cost(parse_onnx(data), constant_arrays(data))


def cost_of_node(operator, inputs, constants=None, opset=13, **attributes):
    """The row of one node; inputs are shapes."""
    names = ["x{}".format(index) for index in range(len(inputs))] + list(constants or {})
    data = graph_bytes(
        [helper.make_node(operator, names, ["y"], **attributes)],
        {"x{}".format(index): shape for index, shape in enumerate(inputs)},
        {},
        constants,
        opset,
    )
    (row,) = cost_of(data).by_operator
    assert row.nodes == 1
    return row


def weights(*shape):
    return np.full(shape, 0.5, np.float32)


def test_a_convolution_counts_its_outputs_and_its_bias():
    row = cost_of_node("Conv", [[2, 6, 8, 10]], {"w": weights(4, 3, 3, 5), "b": weights(4)}, group=2, strides=[2, 2])
    macs = 2 * 4 * (3 * 3) * (3 * 3 * 5)  # outputs (2, 4, 3, 3), taps 3 * 3 * 5
    assert (row.macs, row.flops) == (macs, 2 * macs + 2 * 4 * 3 * 3)
    assert row.bytes_moved == 4 * (2 * 6 * 8 * 10 + 4 * 3 * 3 * 5 + 4 + 2 * 4 * 3 * 3)
    without = cost_of_node("Conv", [[2, 6, 8, 10]], {"w": weights(4, 3, 3, 5)}, group=2, strides=[2, 2])
    assert without.flops == 2 * macs


def test_a_transposed_convolution_counts_its_inputs():
    row = cost_of_node("ConvTranspose", [[1, 6, 8, 10]], {"w": weights(6, 2, 2, 2)}, strides=[2, 2], group=2)
    assert row.macs == 8 * 10 * (2 * 2) * 6 * 4 // 2
    assert row.flops == 2 * row.macs


@pytest.mark.parametrize(
    ("operator", "inputs", "constants", "attributes", "flops"),
    [
        ("BatchNormalization", [[1, 4, 3, 5]], {name: weights(4) for name in "sbmv"}, {}, 2 * 60),
        ("PRelu", [[1, 4, 3, 5]], {"slope": weights(4, 1, 1)}, {}, 60),
        ("Relu", [[1, 4, 3, 5]], {}, {}, 60),
        ("AveragePool", [[1, 4, 6, 8]], {}, {"kernel_shape": [2, 2], "strides": [2, 2]}, 4 * 6 * 8),
        ("GlobalAveragePool", [[1, 4, 6, 8]], {}, {}, 4 * 6 * 8),
        ("Gemm", [[3, 7]], {"w": weights(5, 7)}, {"transB": 1}, 2 * 3 * 7 * 5),
        ("MatMul", [[2, 3, 7]], {"w": weights(7, 5)}, {}, 2 * 2 * 3 * 7 * 5),
        ("Resize", [[1, 4, 6, 8]], {"r": weights(0), "s": weights(4) * 2 * [1, 1, 2, 2]}, {"mode": "linear"}, 13 * 192),
        ("Resize", [[1, 4, 6, 8]], {"r": weights(0), "s": weights(4) * 2 * [1, 1, 2, 2]}, {"mode": "nearest"}, 0),
        ("Upsample", [[1, 4, 6, 8]], {"s": weights(4) * 2}, {"mode": "linear"}, 13 * 192),
        ("MaxPool", [[1, 4, 6, 8]], {}, {"kernel_shape": [2, 2]}, 0),
        ("Add", [[1, 4], [1, 4]], {}, {}, 0),
        ("Concat", [[1, 4], [1, 4]], {}, {"axis": 1}, 0),
        ("Softmax", [[1, 4]], {}, {}, 0),
        ("ArgMax", [[1, 4]], {}, {"axis": 1}, 0),
        ("Cast", [[1, 4]], {}, {"to": 6}, 0),
    ],
)
def test_operators_by_the_papers_table_5(operator, inputs, constants, attributes, flops):
    constants = {name: array.astype(np.float32) for name, array in constants.items()}
    opset = 9 if operator == "Upsample" else 13
    assert cost_of_node(operator, inputs, constants, opset, **attributes).flops == flops


def test_bytes_follow_the_types_and_views_move_nothing():
    assert cost_of_node("Cast", [[1, 4]], to=TensorProto.FLOAT16).bytes_moved == 4 * 4 + 4 * 2
    assert cost_of_node("ArgMax", [[1, 4, 2]], axis=1).bytes_moved == 8 * 4 + 2 * 8
    for operator, constants in (
        ("Identity", {}),
        ("Reshape", {"s": np.array([4, 1], np.int64)}),
        ("Squeeze", {}),
        ("Flatten", {}),
    ):
        assert cost_of_node(operator, [[1, 4]], constants).bytes_moved == 0, operator


def test_the_tiny_model_by_hand():
    data = tiny_graph(tiny_contract()).SerializeToString()
    cost = cost_of(data)
    conv, head = 16 * 32 * 4 * 27, 16 * 32 * 4 * 19 * 4
    assert (cost.nodes, cost.parameters) == (5, 4 * 27 + 4 * 19 * 4 + 19)
    assert (cost.macs, cost.flops) == (conv + head, 2 * conv + 16 * 32 * 4 + 2 * head + 19 * 32 * 64)
    assert [row.operator for row in cost.by_operator][:3] == ["ConvTranspose", "Conv", "Relu"]
    assert cost.largest_weight == max(float(np.abs(array).max()) for array in constant_arrays(data).values())


def test_running_statistics_and_settings_are_no_parameters_and_shared_weights_count_once():
    nodes = [
        helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["n"]),
        helper.make_node("Clip", ["n", "low", "high"], ["c"]),
        helper.make_node("PRelu", ["c", "s"], ["p"]),
        helper.make_node("Reshape", ["p", "sizes"], ["y"]),
    ]
    constants = {name: weights(4) for name in "sbm"}
    constants.update(v=weights(4) * 1e6, low=weights(), high=weights() * 1e6, sizes=np.array([4, -1], np.int64))
    cost = cost_of(graph_bytes(nodes, {"x": [1, 2, 3, 4]}, {}, constants))
    assert (cost.parameters, cost.largest_weight) == (8, 0.5)


def test_quantised_weights_are_parameters_and_one_byte_each():
    cost = cost_of(quantized_bytes())
    assert cost.parameters == 4 * 27
    rows = {row.operator: row for row in cost.by_operator}
    assert rows["QuantizeLinear"].bytes_moved == 192 * 4 + 4 + 1 + 192
    assert cost.macs == 4 * 64 * 27


def test_behind_an_unknown_operator_figures_are_unknown_and_not_zero():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Odd", ["a"], ["b"], domain="some.where"),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Add", ["b", "b"], ["d"]),
    ]
    cost = cost_of(graph_bytes(nodes, {"x": [1, 3, 8, 8]}, {}, {"w": weights(2, 3, 3, 3)}))
    assert (cost.flops, cost.macs, cost.bytes_moved) == (None, None, None)
    rows = {row.operator: row for row in cost.by_operator}
    assert rows["Conv"].flops == 2 * 36 * 54
    assert (rows["some.where.Odd"].flops, rows["some.where.Odd"].bytes_moved) == (None, None)
    assert (rows["Relu"].flops, rows["Add"].flops, rows["Add"].bytes_moved) == (None, 0, None)


def test_open_sizes_make_figures_unknown():
    cost = cost_of(graph_bytes([helper.make_node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, {}))
    assert (cost.flops, cost.macs, cost.bytes_moved) == (None, 0, None)


@pytest.mark.parametrize("operator", ["LSTM", "Einsum", "Loop", "If"])
def test_operators_without_a_rule_are_not_free(operator):
    assert cost_of_node(operator, [[1, 4]]).flops is None


def test_a_graph_without_nodes_costs_nothing():
    cost = cost_of(graph_bytes([], {}, {}))
    assert (cost.nodes, cost.parameters, cost.flops, cost.bytes_moved, cost.largest_weight) == (0, 0, 0, 0, None)


def test_the_official_network_is_counted_as_a_whole(official_onnx):
    cost = cost_of(read_bytes(official_onnx))
    assert cost.flops is not None and 5.5e9 < cost.flops < 6.2892e9  # export's passes take something away
    assert cost.bytes_moved is not None and 1e9 < cost.bytes_moved < 2.2e9
    assert sum(row.nodes for row in cost.by_operator) == cost.nodes


def test_nodes_that_no_output_needs_cost_nothing():
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Relu", ["y"], ["spare"])]
    both = graph_bytes(nodes, {"x": [1, 4, 6, 8]}, {"y": [1, 4, 6, 8], "spare": [1, 4, 6, 8]})
    one = graph_bytes(nodes, {"x": [1, 4, 6, 8]}, {"y": [1, 4, 6, 8]})
    assert (cost_of(both).nodes, cost_of(both).flops) == (2, 2 * 192)
    assert (cost_of(one).nodes, cost_of(one).flops) == (1, 192)


def test_sizes_that_no_machine_has_are_unknown_not_large():
    """Each Tile makes the size 2**62 times as large; a product of them all has no end."""
    nodes = [helper.make_node("Tile", ["x0", "repeats"], ["x1"])]
    nodes += [helper.make_node("Tile", ["x{}".format(i), "repeats"], ["x{}".format(i + 1)]) for i in range(1, 300)]
    nodes.append(helper.make_node("Relu", ["x300"], ["y"]))
    found = cost_of(graph_bytes(nodes, {"x0": [4, 4]}, {"y": ["?"]}, {"repeats": np.array([1 << 62, 1 << 62])}))
    assert found.bytes_moved is None
    huge = cost_of_node("Relu", [[1 << 62] * 60])
    assert (huge.flops, huge.bytes_moved) == (None, None)
    assert cost_of_node("Relu", [[1 << 30, 1 << 30]]).flops == 1 << 60
