"""The small reader against files that ``onnx`` wrote, and against damage."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from ccc_jetson.errors import FileProblem
from ccc_jetson.onnx_file import Node, Tensor, parse_onnx, read_onnx, with_extra_outputs, with_metadata
from tests.doubles.damage import flipped_bytes
from tests.doubles.graphs import graph_bytes
from tests.doubles.tiny_model import tiny_contract, tiny_graph, tiny_model_bytes


def test_golden_bytes_of_the_smallest_model():
    # ModelProto: ir_version 7; graph { node { input x, output y, op_type Relu } input x; output y }; opset 13
    data = bytes.fromhex("08073a180a0c0a017812017922045265" + "6c755a030a01786203" + "0a01794202100d")
    model = parse_onnx(data)
    assert (model.ir_version, model.opset) == (7, 13)
    assert model.nodes == (Node("", "Relu", ("x",), ("y",), {}, ""),)
    assert [tensor.name for tensor in model.inputs + model.outputs] == ["x", "y"]
    assert onnx.ModelProto.FromString(data).graph.node[0].op_type == "Relu"


def test_reads_what_onnx_wrote():
    contract = tiny_contract()
    model = parse_onnx(tiny_graph(contract).SerializeToString())
    assert (model.ir_version, model.opset, model.opsets, model.producer) == (7, 13, {"": 13}, "tests")
    assert model.inputs == (Tensor("image", "float32", (1, 3, 32, 64)),)
    assert model.outputs == (Tensor("class_map", "int32", (1, 32, 64)),)
    assert Tensor("w", "float32", (4, 3, 3, 3)) in model.initializers
    conv, _, head, argmax, cast = model.nodes
    assert conv == Node("conv", "Conv", ("image", "w"), ("conv",), {"pads": (1, 1, 1, 1), "strides": (2, 2)}, "")
    assert head.attributes == {"kernel_shape": (2, 2), "strides": (2, 2)}
    assert argmax.attributes == {"axis": 1, "keepdims": 0}
    assert cast.attributes == {"to": 6}


def test_named_and_unknown_sizes_negative_attributes_and_other_domains():
    node = helper.make_node("Odd", ["x"], ["y"], "n", domain="some.where", axis=-1, ratio=0.5, text="t")
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["batch", 3, None])
    graph = helper.make_graph([node], "g", [image], [helper.make_tensor_value_info("y", TensorProto.INT64, [])])
    opsets = [helper.make_opsetid("ai.onnx", 11), helper.make_opsetid("some.where", 2)]
    model = parse_onnx(helper.make_model(graph, opset_imports=opsets).SerializeToString())
    assert model.inputs == (Tensor("x", "float16", ("batch", 3, "?")),)
    assert model.outputs == (Tensor("y", "int64", ()),)
    assert model.nodes[0].attributes == {"axis": -1, "ratio": 0.5, "text": "t"}
    assert model.nodes[0].domain == "some.where"
    assert model.opsets == {"": 11, "some.where": 2}


def test_attributes_of_every_kind_but_graphs():
    value = numpy_helper.from_array(np.zeros((2, 3), np.float16), "v")
    node = helper.make_node(
        "Odd", ["x"], ["y"], "n", i=-3, f=0.5, s="t", t=value, ints=[1, -2], floats=[0.5, -1.0], strings=["a", "b"]
    )
    (found,) = parse_onnx(graph_bytes([node], {"x": [1]}, {})).nodes
    assert found.attributes == {
        "i": -3, "f": 0.5, "s": "t", "t": Tensor("v", "float16", (2, 3)), "ints": (1, -2), "floats": (0.5, -1.0),
        "strings": ("a", "b"),
    }  # fmt: skip
    assert (found.integer("i", 0), found.integer("f", 7), found.integer("none", 7)) == (-3, 7, 7)
    assert (found.integers("ints"), found.integers("t"), found.integers("none", (1,))) == ((1, -2), (), (1,))
    assert (found.text("s", ""), found.text("i", "default")) == ("t", "default")


def test_text_in_an_attribute_need_not_be_utf8():
    node = helper.make_node("Odd", ["x"], ["y"], "n", s=b"\xff\x00a")
    assert parse_onnx(graph_bytes([node], {"x": [1]}, {})).nodes[0].text("s", "") == "\ufffd\x00a"


def test_stated_inner_shapes_are_read_and_those_without_sizes_are_not():
    stated = [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4]),
        helper.make_tensor_value_info("number", TensorProto.INT64, []),
        helper.make_tensor_value_info("open", TensorProto.FLOAT, None),
    ]
    data = graph_bytes([helper.make_node("Relu", ["x"], ["y"])], {"x": [1]}, {}, value_info=stated)
    assert parse_onnx(data).value_info == (Tensor("y", "float32", ("N", 4)), Tensor("number", "int64", ()))


def test_weights_in_another_file_are_named():
    model = tiny_graph(tiny_contract())
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == "w"]
    external_data_helper.set_external_data(tensor, "weights.bin")
    tensor.ClearField("raw_data")
    found = parse_onnx(model.SerializeToString())
    assert found.external == ("w",)
    assert Tensor("w", "float32", (4, 3, 3, 3)) in found.initializers


def branching(inner, depth=1):
    """Nodes of an If whose branches hold ``inner``, ``depth`` levels deep."""
    for level in range(depth):
        branch = helper.make_graph(list(inner), "branch", [], [])
        inner = [
            helper.make_node("If", ["c"], ["y"], "if{}".format(level), then_branch=branch, else_branch=branch),
        ]
    return inner


def test_nodes_of_branches_and_local_functions_are_named_apart():
    erf = helper.make_node("Erf", ["x"], ["y"], "erf")
    found = parse_onnx(graph_bytes(branching([erf], 2), {"c": (TensorProto.BOOL, [])}, {}))
    assert [node.operator for node in found.nodes] == ["If"]
    assert [node.operator for node in found.inner_nodes] == ["If", "Erf", "Erf", "If", "Erf", "Erf"]

    opset = [helper.make_opsetid("", 13)]
    function = helper.make_function(
        "some.where", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], opset
    )
    call = helper.make_node("Twice", ["x"], ["y"], domain="some.where")
    found = parse_onnx(graph_bytes([call], {"x": [1]}, {}, functions=[function]))
    assert found.functions == (("some.where", "Twice"),)
    assert [node.operator for node in found.inner_nodes] == ["Add"]


def test_graphs_in_graphs_without_end_are_refused():
    nodes = branching([helper.make_node("Erf", ["x"], ["y"])], 1)
    for _ in range(5):  # doubles each time otherwise, so only one branch goes on
        nodes = [helper.make_node("Loop", ["c"], ["y"], body=helper.make_graph(nodes, "g", [], []))]
    assert len(parse_onnx(graph_bytes(nodes, {"c": [1]}, {})).inner_nodes) == 7
    for _ in range(20):
        nodes = [helper.make_node("Loop", ["c"], ["y"], body=helper.make_graph(nodes, "g", [], []))]
    with pytest.raises(FileProblem, match="nested more than 16 deep"):
        parse_onnx(graph_bytes(nodes, {"c": [1]}, {}))


def test_initializers_listed_as_inputs_are_no_inputs():
    model = tiny_graph(tiny_contract())
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3, 3, 3]))
    assert [tensor.name for tensor in parse_onnx(model.SerializeToString()).inputs] == ["image"]


def test_metadata_of_any_length_comes_back_and_onnx_reads_what_was_appended():
    data = with_metadata(tiny_graph(tiny_contract()).SerializeToString(), {"a": "b" * 70000, "ä": "ö"})
    assert parse_onnx(data).metadata == {"a": b"b" * 70000, "ä": "ö".encode("utf-8")}
    properties = {entry.key: entry.value for entry in onnx.load_from_string(data).metadata_props}
    assert properties == {"a": "b" * 70000, "ä": "ö"}


def test_extra_outputs_are_outputs_for_onnx_too():
    data = with_extra_outputs(tiny_graph(tiny_contract()).SerializeToString(), ["logits", "features"])
    assert [tensor.name for tensor in parse_onnx(data).outputs] == ["class_map", "logits", "features"]
    assert [output.name for output in onnx.load_from_string(data).graph.output] == ["class_map", "logits", "features"]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_called_damaged(share):
    data = tiny_model_bytes()
    with pytest.raises(FileProblem, match="damaged"):
        parse_onnx(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff\xe0JFIF",
        b"PK\x03\x04",
        b"hello world",
        b"\x00" * 64,
        b"\x80" * 64,
        b"\x0a\xff\xff\xff\xff\x7f",
    ],
)
def test_other_files_are_called_no_onnx_file(data):
    with pytest.raises(FileProblem, match="not an ONNX file"):
        parse_onnx(data)


def test_flipped_bytes_never_end_in_anything_but_a_file_problem():
    for damaged in flipped_bytes(tiny_model_bytes(golden=0), seed=5):
        try:
            parse_onnx(damaged)
        except FileProblem:
            pass


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(FileProblem, match="No such file"):
        read_onnx(str(tmp_path / "a.onnx"))
    with pytest.raises(FileProblem, match="directory"):
        read_onnx(str(tmp_path))
