"""Weights read without ``onnx``: every encoding as ``onnx`` reads it, damage refused, nothing copied."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ccc_jetson.errors import FileProblem
from ccc_jetson.onnx_arrays import constant_arrays
from tests.doubles.damage import flipped_bytes
from tests.doubles.graphs import graph_bytes
from tests.doubles.tiny_model import tiny_contract, tiny_graph, tiny_model_bytes, tiny_weights


def bytes_with(tensor):
    """A model with one initializer, given as a TensorProto."""
    model = tiny_graph(tiny_contract())
    model.graph.initializer.append(tensor)
    return model.SerializeToString()


def test_weights_are_views_into_the_file_and_equal_what_was_written():
    conv, head = tiny_weights()
    arrays = constant_arrays(tiny_model_bytes())
    assert sorted(arrays) == ["hb", "hw", "w"]
    assert np.array_equal(arrays["w"], conv) and np.array_equal(arrays["hw"], head.weight)
    assert not arrays["w"].flags.owndata and not arrays["w"].flags.writeable


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    "dtype",
    ["float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "int64", "uint32", "uint64", "bool"],
)
def test_every_type_in_both_encodings_as_onnx_reads_it(dtype, raw):
    array = np.array([[0, 1, 2], [3, 100, 1]]).astype(dtype)
    if array.dtype.kind in "if":
        array[0, 0] = -5
    tensor = numpy_helper.from_array(array, "t")
    if not raw:
        values = array.view(np.uint16) if dtype == "float16" else array
        values = values.reshape(-1).tolist()
        tensor.ClearField("raw_data")
        field = {"float32": "float_data", "float64": "double_data", "int64": "int64_data"}.get(dtype, "int32_data")
        field = "uint64_data" if dtype in ("uint32", "uint64") else field
        getattr(tensor, field).extend(int(value) if "int" in field else value for value in values)
    found = constant_arrays(bytes_with(tensor))["t"]
    assert found.dtype == array.dtype
    assert np.array_equal(found, array) and np.array_equal(numpy_helper.to_array(tensor), array)


@pytest.mark.parametrize("raw", [True, False])
def test_bfloat16_is_widened(raw):
    tensor = TensorProto(name="t", data_type=TensorProto.BFLOAT16, dims=[3])
    bits = np.array([0x3F80, 0xC000, 0x3E80], np.uint16)
    if raw:
        tensor.raw_data = bits.tobytes()
    else:
        tensor.int32_data.extend(bits.tolist())
    found = constant_arrays(bytes_with(tensor))["t"]
    assert found.dtype == np.float32 and found.tolist() == [1.0, -2.0, 0.25]


def test_values_of_constant_nodes_stand_under_their_outputs():
    nodes = [
        helper.make_node("Constant", [], ["tensor"], value=numpy_helper.from_array(np.ones((2, 2), np.float32), "v")),
        helper.make_node("Constant", [], ["float"], value_float=0.5),
        helper.make_node("Constant", [], ["floats"], value_floats=[0.5, 1.5]),
        helper.make_node("Constant", [], ["int"], value_int=-3),
        helper.make_node("Constant", [], ["ints"], value_ints=[1, -2]),
        helper.make_node("Constant", [], ["text"], value_string="a"),
    ]
    found = constant_arrays(graph_bytes(nodes, {}, {}))
    assert {name: array.tolist() for name, array in found.items()} == {
        "tensor": [[1, 1], [1, 1]], "float": 0.5, "floats": [0.5, 1.5], "int": -3, "ints": [1, -2],
    }  # fmt: skip


def test_empty_tensors_and_single_numbers():
    arrays = {"empty": np.zeros((0, 3), np.float32), "number": np.array(7, np.int64)}
    found = constant_arrays(graph_bytes([], {}, {}, arrays))
    assert (found["empty"].shape, found["number"].shape) == ((0, 3), ())


def test_what_lies_in_another_file_or_is_no_number_is_left_out():
    model = tiny_graph(tiny_contract())
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "w")
    onnx.external_data_helper.set_external_data(tensor, "../../etc/passwd")
    tensor.ClearField("raw_data")
    model.graph.initializer.append(helper.make_tensor("words", TensorProto.STRING, [1], [b"a"]))
    model.graph.initializer.append(TensorProto(name="new", data_type=99, dims=[1], raw_data=b"0"))
    assert sorted(constant_arrays(model.SerializeToString())) == ["hb", "hw"]


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (TensorProto(name="t", data_type=1, dims=[10**12], raw_data=b"\0" * 8), "2 values, its shape asks for"),
        (TensorProto(name="t", data_type=1, dims=[2], raw_data=b"\0" * 7), "7 bytes are no list"),
        (TensorProto(name="t", data_type=1, dims=[2]), "0 values, its shape asks for 2"),
        (TensorProto(name="t", data_type=1, dims=[-1], raw_data=b"\0" * 4), "has the shape"),
        (TensorProto(name="t", data_type=1, dims=[1] * 40, raw_data=b"\0" * 4), "has the shape"),
        (TensorProto(name="t", data_type=7, dims=[2], int64_data=[1]), "1 values, its shape asks for 2"),
        (TensorProto(name="t", data_type=1, dims=[0, 2**40, 2**40], raw_data=b""), "tensor 't'"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_before_anything_is_allocated(tensor, says):
    with pytest.raises(FileProblem, match=says):
        constant_arrays(bytes_with(tensor), "model.onnx")


def test_flipped_bytes_never_end_in_anything_but_a_file_problem():
    for damaged in flipped_bytes(tiny_model_bytes(golden=0), seed=6):
        try:
            constant_arrays(damaged)
        except FileProblem:
            pass


def test_all_weights_of_the_official_network_as_onnx_reads_them(official_onnx):
    with open(official_onnx, "rb") as file:
        data = file.read()
    found = constant_arrays(data)
    tensors = onnx.load_from_string(data).graph.initializer
    assert set(found) == {tensor.name for tensor in tensors}
    for tensor in tensors:
        assert np.array_equal(found[tensor.name], numpy_helper.to_array(tensor)), tensor.name


def test_a_shape_without_end_is_not_repeated():
    with pytest.raises(FileProblem, match="has the shape") as caught:
        constant_arrays(bytes_with(TensorProto(name="t" * 5000, data_type=1, dims=[7] * 5000)))
    assert len(str(caught.value)) < 500
