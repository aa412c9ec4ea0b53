"""What each TensorRT takes: the facts one by one, and that nothing is held against what ccc-export writes."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ccc_jetson.engines.compatibility import hardware_problems, problems, remarks
from ccc_jetson.engines.parser_facts import NEVER, SINCE, VERSIONS, parser_of
from ccc_jetson.errors import UsageError
from ccc_jetson.files import read_bytes
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import parse_onnx
from ccc_jetson.targets import TARGETS, target_named
from tests.doubles.graphs import graph_bytes, quantized_bytes, unpooling_bytes
from tests.doubles.tiny_model import tiny_model_bytes

IMAGE = [1, 4, 8, 8]


def problems_of(data, tensorrt=(8, 2)):
    return problems(parse_onnx(data), tensorrt, constant_arrays(data))


def node_bytes(operator, inputs=("x",), outputs=("y",), constants=None, opset=13, given=IMAGE, domain="", **attributes):
    """A model of one node called ``it``."""
    node = helper.make_node(operator, list(inputs), list(outputs), "it", domain=domain, **attributes)
    return graph_bytes([node], {"x": given}, {}, constants, opset)


def versions_with_problems(data):
    return [version for version in VERSIONS if problems_of(data, version)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["class_map", "logits"])
def test_nothing_is_known_against_what_the_exporter_writes(version, kind):
    assert problems_of(tiny_model_bytes(kind), version) == []


def test_nothing_is_known_against_the_official_network(official_onnx):
    data = read_bytes(official_onnx)
    for version in VERSIONS:
        assert problems_of(data, version) == []


def test_maxunpool_is_refused_everywhere_with_its_nodes_and_a_cure():
    for version in VERSIONS:
        found = {problem.operator: problem for problem in problems_of(unpooling_bytes(), version)}
        assert sorted(found) == ["MaxPool", "MaxUnpool"]
        assert found["MaxUnpool"].nodes == ("unpool",)
        assert found["MaxUnpool"].sentence == "is imported by no version of TensorRT"
        assert "ConvTranspose in its place" in found["MaxUnpool"].cure
        assert found["MaxPool"].nodes == ("pool",) and "indices" in found["MaxPool"].sentence


@pytest.mark.parametrize(
    ("opset", "refusing"),
    [
        (6, list(VERSIONS)),
        (7, [(10, 3), (11, 0)]),
        (9, []),
        (13, []),
        (14, [(8, 0), (8, 2)]),
        (17, [(8, 0), (8, 2)]),
        (18, [(8, 0), (8, 2), (8, 5), (8, 6)]),
        (21, [(8, 0), (8, 2), (8, 5), (8, 6), (10, 3)]),
        (25, list(VERSIONS)),
    ],
)
def test_operator_sets_beyond_what_is_documented(opset, refusing):
    data = node_bytes("Relu", opset=opset)
    assert versions_with_problems(data) == refusing
    for version in refusing:
        (problem,) = problems_of(data, version)
        assert problem.operator == "opset" and problem.cure.startswith("export again with opset ")


def test_the_ceiling_rises_with_the_versions_and_fits_the_boards():
    ceilings = [parser_of(version).opsets[1] for version in VERSIONS]
    assert ceilings == sorted(ceilings) == [13, 13, 17, 17, 20, 24]
    for target in TARGETS:
        if target.tensorrt != (0, 0):
            assert target.opset <= parser_of(target.tensorrt).opsets[1]
    assert parser_of((11, 5)).opsets[1] == 25
    assert problems_of(unpooling_bytes(), (0, 0)) == []  # a machine without TensorRT
    with pytest.raises(UsageError, match=r"TensorRT 7\.1 is older"):
        problems_of(tiny_model_bytes(), (7, 1))


@pytest.mark.parametrize(
    ("operator", "refusing", "cure"),
    [
        ("Einsum", [(8, 0)], "MatMul"),
        ("HardSwish", [(8, 0), (8, 2)], "opset 13"),
        ("GridSample", [(8, 0), (8, 2)], "TensorRT 8.5 or newer"),
        ("LayerNormalization", [(8, 0), (8, 2), (8, 5)], "opset 16"),
        ("Gelu", [(8, 0), (8, 2), (8, 5), (8, 6)], "Erf"),
        ("DeformConv", [(8, 0), (8, 2), (8, 5), (8, 6)], "TensorRT 10.1 or newer"),
        ("Swish", [(8, 0), (8, 2), (8, 5), (8, 6), (10, 3)], "TensorRT 11.0 or newer"),
        ("Reciprocal", [], ""),
        ("QLinearConv", list(VERSIONS), "Q/DQ format"),
        ("Compress", list(VERSIONS), "without it"),
    ],
)
def test_operators_by_version(operator, refusing, cure):
    data = node_bytes(operator)
    assert versions_with_problems(data) == refusing
    for version in refusing:
        (problem,) = problems_of(data, version)
        assert (problem.operator, problem.nodes) == (operator, ("it",))
        assert cure in problem.cure


def test_the_table_holds_every_operator_once():
    assert not set(SINCE) & NEVER
    assert len(SINCE) > 150 and min(SINCE.values()) == (8, 0)
    for operator in ("Conv", "ConvTranspose", "PRelu", "BatchNormalization", "AveragePool", "Concat", "ArgMax", "Cast"):
        assert SINCE[operator] == (8, 0)


def test_other_domains_and_unknown_names_would_need_a_plugin():
    for data, title in (
        (node_bytes("Conv", domain="com.microsoft"), "com.microsoft.Conv"),
        (node_bytes("EfficientNMS_TRT"), "EfficientNMS_TRT"),
    ):
        (problem,) = problems_of(data)
        assert problem.operator == title
        assert "plugin of that name" in problem.sentence


def test_a_node_without_a_name_is_called_by_what_it_writes():
    data = graph_bytes([helper.make_node("Compress", ["x"], ["y"])], {"x": IMAGE}, {})
    assert problems_of(data)[0].nodes == ("the one that writes y",)


def test_nodes_in_branches_are_asked_too():
    branch = helper.make_graph([helper.make_node("Compress", ["x"], ["y"], "inner")], "branch", [], [])
    data = node_bytes("If", then_branch=branch, else_branch=branch)
    assert [problem.operator for problem in problems_of(data, (8, 0))] == ["If", "Compress"]
    (problem,) = problems_of(data, (8, 2))
    assert problem.nodes == ("inner", "inner")


def test_local_functions_are_imported_from_tensorrt_9_on_and_their_nodes_count():
    body = [helper.make_node("Compress", ["a"], ["b"], "within")]
    function = helper.make_function("some.where", "Mine", ["a"], ["b"], body, [helper.make_opsetid("", 13)])
    call = helper.make_node("Mine", ["x"], ["y"], "call", domain="some.where")
    data = graph_bytes([call], {"x": IMAGE}, {}, functions=[function])
    assert [problem.operator for problem in problems_of(data, (8, 6))] == ["some.where.Mine", "Compress"]
    assert [problem.operator for problem in problems_of(data, (10, 3))] == ["Compress"]


# Types


def typed(kind):
    node = helper.make_node("Identity", ["x"], ["y"], "it")
    return graph_bytes([node], {"x": (kind, [1])}, {"y": (kind, [1])})


@pytest.mark.parametrize(
    ("kind", "refusing"),
    [
        (TensorProto.FLOAT, []),
        (TensorProto.FLOAT16, []),
        (TensorProto.DOUBLE, []),
        (TensorProto.INT64, []),
        (TensorProto.BOOL, []),
        (TensorProto.UINT8, [(8, 0), (8, 2)]),
        (TensorProto.BFLOAT16, [(8, 0), (8, 2), (8, 5), (8, 6)]),
        (TensorProto.INT16, list(VERSIONS)),
        (TensorProto.UINT16, list(VERSIONS)),
        (TensorProto.STRING, list(VERSIONS)),
    ],
)
def test_types_at_the_networks_ends(kind, refusing):
    assert versions_with_problems(typed(kind)) == refusing
    for version in refusing:
        (problem,) = problems_of(typed(kind), version)
        assert problem.operator == TensorProto.DataType.Name(kind)
        assert problem.nodes == ("x", "y")


def test_uint8_between_nodes_is_refused_by_every_version():
    nodes = [
        helper.make_node("Cast", ["x"], ["narrow"], "narrowing", to=TensorProto.UINT8),
        helper.make_node("Cast", ["narrow"], ["y"], "widening", to=TensorProto.FLOAT),
    ]
    data = graph_bytes(nodes, {"x": IMAGE}, {"y": IMAGE})
    (problem,) = problems_of(data, (8, 2))
    assert (problem.operator, problem.nodes, problem.sentence) == (
        "UINT8",
        ("narrowing",),
        "is a type it does not know",
    )
    (problem,) = problems_of(data, (10, 3))
    assert "inputs and outputs of the network only" in problem.sentence
    at_the_end = graph_bytes(nodes[:1], {"x": IMAGE}, {"narrow": (TensorProto.UINT8, IMAGE)})
    assert versions_with_problems(at_the_end) == [(8, 0), (8, 2)]


def test_types_of_weights_and_constants_count():
    value = numpy_helper.from_array(np.zeros(2, np.uint16), "v")
    data = graph_bytes(
        [helper.make_node("Constant", [], ["c"], "constant", value=value)],
        {},
        {},
        {"w": np.zeros(2, np.uint32)},
    )
    assert [(problem.operator, problem.nodes) for problem in problems_of(data)] == [
        ("UINT16", ("constant",)), ("UINT32", ("w",)),
    ]  # fmt: skip


# Limits on nodes


def pads(*values):
    return {"pads": np.array(values, np.int64)}


W = {"w": np.ones((4, 4, 3, 3), np.float32)}
LIMITS = [
    (node_bytes("BatchNormalization", ["x", "x"], training_mode=1), list(VERSIONS), "training mode"),
    (node_bytes("BatchNormalization", ["x"], ["y", "mean", "var"]), list(VERSIONS), "training mode"),
    (node_bytes("BatchNormalization", ["x"], ["y", ""]), [], ""),
    (node_bytes("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2]), list(VERSIONS), "indices"),
    (node_bytes("MaxPool", kernel_shape=[2, 2], dilations=[1, 2]), list(VERSIONS), "dilations"),
    (node_bytes("AveragePool", kernel_shape=[2, 2], dilations=[1, 1]), [], ""),
    (node_bytes("Resize", mode="cubic"), [(8, 0), (8, 2)], "cubic"),
    (node_bytes("Resize", mode="linear"), [], ""),
    (
        node_bytes("Resize", coordinate_transformation_mode="tf_crop_and_resize"),
        list(VERSIONS),
        "tf_crop_and_resize",
    ),
    (node_bytes("Resize", antialias=1), list(VERSIONS), "antialiasing"),
    (node_bytes("Resize", given=(TensorProto.INT32, IMAGE)), list(VERSIONS), "integers"),
    (node_bytes("Resize", ["x", "", "x"]), [(8, 0), (8, 2)], "scales that are computed"),
    (node_bytes("Upsample", opset=9, mode="cubic"), list(VERSIONS), "cubic"),
    (node_bytes("ArgMax", given=(TensorProto.INT32, IMAGE)), [(8, 0), (8, 2), (8, 5)], "integers"),
    (node_bytes("Pad", ["x", "pads"], constants=pads(0, 0, 1, 1, 0, 0, 1, 1)), [], ""),
    (node_bytes("Pad", ["x", "pads"], constants=pads(0, 1, 0, 0, 0, 0, 0, 0)), [(8, 0)], "last two"),
    (node_bytes("Pad", ["x", "pads"], constants=pads(*[0] * 8), mode="reflect"), [(8, 0)], "reflection"),
    (node_bytes("Pad", mode="wrap"), [(8, 0), (8, 2), (8, 5), (8, 6)], "wrapping"),
    (node_bytes("Conv", ["x", "x"]), [(8, 0), (8, 2)], "weights that are computed"),
    (node_bytes("Conv", ["x", "w", "x"], constants=W), [(8, 0), (8, 2)], "bias that is computed"),
    (node_bytes("Conv", ["x", "w"], constants=W), [], ""),
    (node_bytes("Conv", ["x", "w", "x"], constants=W, domain="other"), list(VERSIONS), "plugin"),
    (node_bytes("Clip", ["x", "", "x"]), [(8, 0)], "limits that are computed"),
    (node_bytes("Squeeze", ["x", "x"]), [(8, 0), (8, 2), (8, 5), (8, 6), (10, 3)], "axes that are computed"),
    (node_bytes("TopK", ["x", "x"]), [(8, 0), (8, 2), (8, 5)], "K that is computed"),
    (node_bytes("Einsum", equation="...ij->...ji"), [(8, 0), (8, 2), (8, 5), (8, 6), (10, 3)], ""),
    (node_bytes("GridSample", given=[1, 2, 3, 4, 5]), list(VERSIONS), ""),
    (node_bytes("LayerNormalization", ["x"], ["y", "mean"]), list(VERSIONS), ""),
]


@pytest.mark.parametrize(
    ("data", "refusing", "says"),
    LIMITS,
    ids=["{}-{}".format(index, parse_onnx(data).nodes[0].operator) for index, (data, _, _) in enumerate(LIMITS)],
)
def test_limits_on_nodes(data, refusing, says):
    assert versions_with_problems(data) == refusing
    for version in refusing:
        found = problems_of(data, version)
        assert any(says in problem.sentence and problem.nodes == ("it",) and problem.cure for problem in found), found


def test_without_the_constants_at_hand_what_depends_on_them_is_not_held_against_the_file():
    data = node_bytes("Pad", ["x", "pads"], constants=pads(0, 1, 0, 0, 0, 0, 0, 0))
    assert problems(parse_onnx(data), (8, 0)) == []


# Quantisation


def test_a_quantised_network_is_parsed_but_boards_without_int8_refuse_it():
    onnx_file = parse_onnx(quantized_bytes())
    for version in VERSIONS:
        assert problems_of(quantized_bytes(), version) == []
    refusing = [target.name for target in TARGETS if hardware_problems(onnx_file, target)]
    assert refusing == ["tx2", "tx2-nx", "nano"]
    (problem,) = hardware_problems(onnx_file, target_named("tx2"))
    assert problem.operator == "Q/DQ" and problem.nodes == ("quantize", "dequantize", "weights")
    assert "sm_62" in problem.sentence and "--fp16" in problem.cure
    assert "sm_53" in hardware_problems(onnx_file, target_named("nano"))[0].sentence
    assert hardware_problems(parse_onnx(tiny_model_bytes()), target_named("tx2")) == []


def test_zero_points_must_be_there_and_zero():
    for version in VERSIONS:
        found = problems_of(quantized_bytes(zero_point=3), version)
        assert [problem.operator for problem in found] == ["QuantizeLinear", "DequantizeLinear"]
        assert all("symmetrically" in problem.sentence for problem in found)
    data = node_bytes("QuantizeLinear", ["x", "scale"], constants={"scale": np.array(1, np.float32)})
    assert versions_with_problems(data) == [(8, 0), (8, 2), (8, 5), (8, 6)]


# Remarks


def test_dynamic_shapes_wide_types_and_other_files_are_remarks():
    nodes = [helper.make_node("Resize", ["x", "s"], ["y"])]
    data = graph_bytes(
        nodes,
        {"x": ["N", 3, -1, 8]},
        {},
        {"s": np.ones(4, np.float64), "i": np.ones(1, np.int64)},
        opset=10,
    )
    onnx_file = parse_onnx(data)._replace(external=("a", "b"))
    found = "\n".join(remarks(onnx_file, (8, 2)))
    assert "input 'x' has open sizes (Nx3x-1x8)" in found
    for part in (
        "FLOAT64 is narrowed",
        "INT64 is narrowed",
        "data of 2 weights lie in another file",
        "asymmetric only",
    ):
        assert part in found
    assert "INT64" not in "\n".join(remarks(onnx_file, (10, 3)))
    assert remarks(parse_onnx(tiny_model_bytes()), (8, 2)) == []
