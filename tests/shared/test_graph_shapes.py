"""Inferred shapes against those of ``onnx``; what is unknown stays unknown."""

import random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ccc_jetson.files import read_bytes
from ccc_jetson.graph_shapes import infer_shapes
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import Tensor, parse_onnx
from ccc_jetson.shape_terms import elements
from tests.doubles.graphs import graph_bytes
from tests.doubles.tiny_model import tiny_model_bytes

IMAGE = [2, 8, 16, 24]
W3 = np.zeros((6, 8, 3, 3), np.float32)


def ints(*values):
    return np.array(values, np.int64)


def floats(*values):
    return np.array(values, np.float32)


# operator, attributes, constant inputs behind the image, opset
CALLS = [
    ("Conv", {}, [W3], 13),
    ("Conv", {"pads": [1, 0, 2, 1], "strides": [2, 3]}, [W3, np.zeros(6, np.float32)], 13),
    ("Conv", {"dilations": [2, 4], "pads": [2, 4, 2, 4]}, [W3], 13),
    ("Conv", {"group": 8}, [np.zeros((8, 1, 5, 1), np.float32)], 13),
    ("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, [W3], 13),
    ("Conv", {"auto_pad": "VALID"}, [W3], 13),
    ("ConvTranspose", {"strides": [2, 2], "kernel_shape": [2, 2]}, [np.zeros((8, 5, 2, 2), np.float32)], 13),
    (
        "ConvTranspose",
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
        [np.zeros((8, 5, 3, 3), np.float32)],
        13,
    ),
    ("ConvTranspose", {"group": 2, "dilations": [2, 2]}, [np.zeros((8, 3, 3, 3), np.float32)], 13),
    ("ConvTranspose", {"output_shape": [33, 49], "strides": [2, 2]}, [np.zeros((8, 5, 3, 3), np.float32)], 13),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, [], 13),
    ("MaxPool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}, [], 13),
    ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}, [], 13),
    ("AveragePool", {"kernel_shape": [3, 2], "auto_pad": "SAME_LOWER", "strides": [3, 2]}, [], 13),
    ("GlobalAveragePool", {}, [], 13),
    ("BatchNormalization", {}, [np.ones(8, np.float32)] * 4, 13),
    ("PRelu", {}, [np.ones((8, 1, 1), np.float32)], 13),
    ("Add", {}, [np.ones((8, 1, 1), np.float32)], 13),
    ("Mul", {}, [np.ones((3, 1, 8, 1, 24), np.float32)[:1]], 13),
    ("Greater", {}, [np.ones((1,), np.float32)], 13),
    ("Clip", {}, [np.array(0, np.float32), np.array(6, np.float32)], 13),
    ("Softmax", {"axis": 1}, [], 13),
    ("ArgMax", {"axis": 1, "keepdims": 0}, [], 13),
    ("ArgMax", {"axis": -3}, [], 13),
    ("Cast", {"to": TensorProto.FLOAT16}, [], 13),
    ("Identity", {}, [], 13),
    ("Flatten", {"axis": 2}, [], 13),
    ("Transpose", {"perm": [0, 2, 3, 1]}, [], 13),
    ("Transpose", {}, [], 13),
    ("Reshape", {}, [ints(0, -1, 24)], 13),
    ("Reshape", {}, [ints(2, 8, 4, 4, 24)], 13),
    ("Squeeze", {}, [ints(0)], 13),
    ("Unsqueeze", {}, [ints(0, -1)], 13),
    ("Unsqueeze", {"axes": [1]}, [], 11),
    ("Pad", {}, [ints(0, 0, 1, 2, 0, 0, 3, 4)], 13),
    ("ReduceMean", {"axes": [2, 3], "keepdims": 1}, [], 13),
    ("ReduceMean", {"axes": [-1], "keepdims": 0}, [], 13),
    ("ReduceMax", {"keepdims": 0}, [], 13),
    ("ReduceSum", {"keepdims": 0}, [ints(1)], 13),
    ("Resize", {"mode": "linear"}, [floats(), floats(1, 1, 2, 2.5)], 13),
    ("Resize", {"mode": "nearest"}, [floats(), floats(), ints(2, 8, 5, 7)], 13),
    ("Resize", {"mode": "nearest"}, [floats(1, 1, 2, 2)], 10),
    ("Upsample", {"mode": "nearest"}, [floats(1, 1, 3, 2)], 9),
    ("Slice", {}, [ints(1, 2), ints(4, 9), ints(1, 3)], 13),
    ("DepthToSpace", {"blocksize": 2}, [], 13),
    ("SpaceToDepth", {"blocksize": 4}, [], 13),
    ("Gather", {"axis": 1}, [ints(0, 3)], 13),
    ("Expand", {}, [ints(3, 1, 8, 1, 1)[1:]], 13),
    ("Tile", {}, [ints(1, 2, 1, 3)], 13),
    ("TopK", {"axis": 1}, [ints(3)], 13),
    ("MatMul", {}, [np.zeros((24, 7), np.float32)], 13),
    ("QuantizeLinear", {}, [np.array(1, np.float32), np.array(0, np.int8)], 13),
    ("Shape", {}, [], 13),
    ("InstanceNormalization", {}, [np.ones(8, np.float32)] * 2, 13),
]


def by_onnx(data):
    """Every tensor's type and shape as ``onnx`` infers them."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(data))
    found = parse_onnx(model.SerializeToString())
    return {tensor.name: tensor for tensor in found.value_info + found.outputs}


def ours(data):
    return infer_shapes(parse_onnx(data), constant_arrays(data))


@pytest.mark.parametrize(
    ("operator", "attributes", "constants", "opset"),
    CALLS,
    ids=["{}-{}".format(index, call[0]) for index, call in enumerate(CALLS)],
)
def test_one_operator_as_onnx_infers_it(operator, attributes, constants, opset):
    outputs = ["y", "second"] if operator in ("MaxPool", "TopK") else ["y"]
    names = ["c{}".format(index) if array.size else "" for index, array in enumerate(constants)]
    node = helper.make_node(operator, ["x"] + names, outputs, "n", **attributes)
    shape = [1, *IMAGE[1:]] if operator == "Squeeze" else IMAGE
    arrays = {name: array for name, array in zip(names, constants) if name}
    # an identity behind it, so that nothing is stated of its outputs
    data = graph_bytes([node, helper.make_node("Identity", ["y"], ["out"], "i")], {"x": shape}, {}, arrays, opset)
    expected = by_onnx(with_output(data))
    found = ours(data)
    for name in outputs:
        assert found[name] == expected[name]


def with_output(data):
    """``onnx`` infers for all tensors; a model without an output is refused by old versions."""
    model = onnx.load_from_string(data)
    model.graph.output.append(helper.make_empty_tensor_value_info("out"))
    return model.SerializeToString()


def test_several_inputs_and_outputs():
    nodes = [
        helper.make_node("Split", ["x"], ["a", "b"], "split", axis=1),
        helper.make_node("Concat", ["a", "x", "b"], ["c"], "concat", axis=1),
        helper.make_node("Where", ["mask", "a", "b"], ["w"], "where"),
        helper.make_node("Gemm", ["m", "n"], ["g"], "gemm", transA=1, transB=1),
        helper.make_node("Constant", [], ["k"], "constant", value_ints=[4, 2]),
        helper.make_node("ConstantOfShape", ["k"], ["f"], "fill"),
        helper.make_node("GridSample", ["x", "grid"], ["s"], "sample"),
    ]
    inputs = {"x": IMAGE, "m": [3, 4], "n": [5, 3], "mask": (TensorProto.BOOL, [24]), "grid": [2, 5, 6, 2]}
    found = ours(graph_bytes(nodes, inputs, {"c": None}, opset=16))
    shapes = {name: found[name].shape for name in "abcwgfs"}
    assert shapes == {
        "a": (2, 4, 16, 24), "b": (2, 4, 16, 24), "c": (2, 16, 16, 24), "w": (2, 4, 16, 24), "g": (4, 5),
        "f": (4, 2), "s": (2, 8, 5, 6),
    }  # fmt: skip


def test_a_slice_of_old_operator_sets():
    node = helper.make_node("Slice", ["x"], ["y"], axes=[2], starts=[3], ends=[-2])
    assert ours(graph_bytes([node], {"x": IMAGE}, {}, opset=9))["y"].shape == (2, 8, 11, 24)


@pytest.mark.parametrize("steps", [(1, 1), (3, 2), (-1, -4)])
@pytest.mark.parametrize(("starts", "ends"), [((1, -5), (100, -1)), ((-1, 20), (-100, 3)), ((5, 5), (5, 2))])
def test_slices_as_numpy_makes_them(starts, ends, steps):
    data = graph_bytes(
        [helper.make_node("Slice", ["x", "starts", "ends", "axes", "steps"], ["y"])],
        {"x": IMAGE},
        {},
        {"starts": ints(*starts), "ends": ints(*ends), "axes": ints(2, -1), "steps": ints(*steps)},
    )
    window = [slice(start, end, step) for start, end, step in zip(starts, ends, steps)]
    assert ours(data)["y"].shape == np.zeros(IMAGE)[:, :, window[0], window[1]].shape


def test_an_open_batch_goes_through_and_open_pixels_become_unknown_sizes():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["relu"], "relu"),
        helper.make_node("Add", ["relu", "conv"], ["sum"], "add"),
        helper.make_node("Flatten", ["sum"], ["flat"], "flatten"),
    ]
    found = ours(graph_bytes(nodes, {"x": ["N", 8, "H", 24]}, {}, {"w": W3}))
    assert found["sum"] == Tensor("sum", "float32", ("N", 6, "?", 24))
    assert found["flat"].shape == ("?", "?")


def test_sizes_of_minus_one_are_open():
    data = graph_bytes([helper.make_node("Relu", ["x"], ["y"])], {"x": [-1, 3, 8, 8]}, {})
    assert ours(data)["y"].shape == ("?", 3, 8, 8)


def test_what_is_stated_counts():
    stated = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 3])
    nodes = [helper.make_node("Odd", ["x"], ["y"], domain="some.where"), helper.make_node("Relu", ["y"], ["z"])]
    found = ours(graph_bytes(nodes, {"x": [1]}, {}, value_info=[stated]))
    assert found["z"].shape == (1, 2, 3)


@pytest.mark.parametrize("operator", ["Odd", "If", "NonZero", "LSTM"])
def test_behind_an_operator_without_rule_nothing_is_known(operator):
    nodes = [
        helper.make_node(operator, ["x"], ["y"]),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("Relu", ["x"], ["side"]),
    ]
    found = ours(graph_bytes(nodes, {"x": [1, 2]}, {}))
    assert sorted(found) == ["side", "x"]


def test_a_shape_that_is_computed_is_unknown():
    nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Reshape", ["x", "s"], ["y"])]
    assert "y" not in ours(graph_bytes(nodes, {"x": [1, 2]}, {}))


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"),
    [
        ("Conv", ["x"], {}),
        ("Conv", ["x", "x"], {"kernel_shape": [99, 99]}),
        ("Conv", ["x", "w"], {"strides": [0, 0]}),
        ("Conv", ["x", "w"], {"pads": [1]}),
        ("Concat", ["x", "w"], {"axis": 9}),
        ("Transpose", ["x"], {"perm": [7]}),
        ("Unsqueeze", ["x", "zeros"], {}),
        ("Resize", ["x", "", "endless"], {}),
        ("Reshape", ["x", "zeros"], {"allowzero": 1}),
        ("Add", ["x", "w"], {}),
        ("MatMul", ["x", "zeros"], {}),
        ("Split", ["x"], {"axis": 4}),
        ("DepthToSpace", ["zeros"], {"blocksize": 0}),
        ("Slice", ["x", "zeros", "zeros", "zeros", "zeros"], {}),
        ("Relu", [], {}),
    ],
)
def test_graphs_that_contradict_themselves_have_no_shapes(operator, inputs, attributes):
    constants = {"w": W3, "zeros": ints(0, 0), "endless": floats(1, 1, np.inf, np.nan)}
    data = graph_bytes([helper.make_node(operator, inputs, ["y"], **attributes)], {"x": IMAGE}, {}, constants)
    found = ours(data)
    assert "y" not in found or found["y"].shape == (0, 0)


def test_flipped_bytes_raise_nothing():
    seed = 3
    print("seed", seed)
    rng = random.Random(seed)
    data = tiny_model_bytes(golden=0)
    parsed, arrays = parse_onnx(data), constant_arrays(data)
    for _ in range(300):
        nodes = [
            node._replace(
                operator=rng.choice([node.operator] + [call[0] for call in CALLS]),
                inputs=tuple(rng.sample(["image", "conv", "features", "w", "hw", "hb", ""], rng.randrange(4))),
                attributes={"axis": rng.randrange(-9, 9), "perm": (rng.randrange(9),), "kernel_shape": (1, 9)},
            )
            for node in parsed.nodes
        ]
        infer_shapes(parsed._replace(nodes=tuple(nodes)), arrays)


def test_a_tensor_that_no_machine_could_hold_is_not_counted():
    assert elements((2, 3, 4)) == 24 and elements(()) == 1 and elements((0, 7)) == 0
    assert elements((2, "N")) is None and elements((2, -1)) is None
    assert elements((1 << 62, 1)) == 1 << 62
    assert elements((1 << 40, 1 << 40)) is None and elements((1 << 63,)) is None


def test_an_endless_rank_is_no_shape():
    data = graph_bytes([helper.make_node("Relu", ["x"], ["y"])], {"x": [1] * 100}, {})
    assert ours(data) == {}


def test_every_tensor_of_the_official_network_as_onnx_infers_it(official_onnx):
    data = read_bytes(official_onnx)
    expected, found = by_onnx(data), ours(data)
    assert len(expected) > 100
    assert {name: found.get(name) for name in expected} == expected
