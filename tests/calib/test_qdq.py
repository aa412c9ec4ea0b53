"""Where pairs stand in the Q/DQ model, and that it computes what INT8 computes, against numpy."""

import numpy as np
import onnx
import pytest

from ccc_jetson.calib.qdq import activation_scale, convolutions, quantised, quantised_beside, weight_scales
from ccc_jetson.engines.compatibility import problems
from ccc_jetson.errors import UsageError
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import parse_onnx
from ccc_jetson.ort import cpu_session
from tests.doubles.quantisable import LAYERS, images, quantisable_arrays, quantisable_bytes


def pairs(model):
    """Tensor -> the one behind its pair."""
    stored = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    return {stored[n.input[0]]: n.output[0] for n in model.graph.node if n.op_type == "DequantizeLinear"}


def node_named(model, name):
    return next(node for node in model.graph.node if node.name == name)


def test_all_convolutions_may_be_in_int8_but_grouped_transposed_ones_and_the_head(layers):
    assert tuple(each.node for each in layers) == LAYERS
    assert [each.axis for each in layers] == [0, 0, 0, 0, 1]
    assert [each.node for each in layers if each.depthwise] == ["depthwise"]


def test_without_a_head_nothing_is_behind_it(model):
    assert [each.node for each in convolutions(model, None)] == [*LAYERS, "head"]


def test_weights_that_are_computed_are_left_alone(model):
    computed = onnx.ModelProto()
    computed.CopyFrom(model)
    node_named(computed, "first").input[1] = "elsewhere"
    assert "first" not in [each.node for each in convolutions(computed, "up")]


def test_pairs_stand_at_inputs_and_weights_and_never_before_a_prelu(model, ranges, layers):
    found = quantised(model, ranges, layers)
    onnx.checker.check_model(found, full_check=True)
    weights = {name + " w" for name in LAYERS}
    assert set(pairs(found)) == weights | {"image", "act", "depthwise", "sum", "grouped up"}
    assert list(node_named(found, "act").input) == ["first", "slopes"]
    assert list(node_named(found, "head").input) == ["up", "head w"]
    assert list(node_named(found, "grouped up").input) == ["grouped", "grouped up w"]
    assert node_named(found, "first").input[2] == "first b"


def test_the_other_summand_of_a_convolution_shares_the_pair_that_is_there(model, ranges, layers):
    found = quantised(model, ranges, layers)
    assert list(node_named(found, "sum").input) == ["second", pairs(found)["act"]]
    without = quantised(model, ranges, layers, keep=["second"])
    assert list(node_named(without, "sum").input) == ["second", "act"]


def test_every_pair_has_a_zero_point_of_zero_in_int8(model, ranges, layers):
    data = quantised(model, ranges, layers).SerializeToString()
    arrays = constant_arrays(data)
    written = [
        node for node in parse_onnx(data).nodes if node.operator.endswith("quantizeLinear") or "Quant" in node.operator
    ]
    assert len(written) == 2 * 10
    for node in written:
        zero, scale = arrays[node.inputs[2]], arrays[node.inputs[1]]
        assert zero.dtype == np.int8 and not zero.any() and zero.shape == scale.shape
        assert scale.dtype == np.float32 and (scale > 0).all()


def test_scales_are_127ths_one_for_a_tensor_and_one_for_an_output_channel(model, ranges, layers):
    arrays = constant_arrays(quantised(model, ranges, layers).SerializeToString())
    weights = quantisable_arrays()
    assert arrays["act scale"] == np.float32(ranges["act"] / 127)
    assert arrays["first w scale"] == pytest.approx(np.abs(weights["first w"]).max(axis=(1, 2, 3)) / 127)
    assert arrays["up w scale"] == pytest.approx(np.abs(weights["up w"]).max(axis=(0, 2, 3)) / 127)


def test_what_is_always_zero_gets_a_step_that_divides():
    assert activation_scale(0) == 1
    assert weight_scales(np.zeros((2, 3), np.float32), 0).tolist() == [1, 1]


def rounded(array, scale):
    return np.clip(np.rint(array / scale), -128, 127) * scale


def convolved(image, weight, bias=None, pad=1, groups=1):
    """A convolution of stride 1 in float64, from its definition."""
    image = np.pad(image.astype(np.float64), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    outputs, inputs, size, _ = weight.shape
    height, width = image.shape[2] - size + 1, image.shape[3] - size + 1
    found = np.zeros((1, outputs, height, width))
    for output in range(outputs):
        group = output // (outputs // groups)
        for channel in range(inputs):
            for y in range(size):
                for x in range(size):
                    seen = image[:, group * inputs + channel, y : y + height, x : x + width]
                    found[:, output] += weight[output, channel, y, x] * seen
    return found if bias is None else found + bias[:, None, None]


def test_it_computes_what_int8_computes_in_numpy(model, ranges, layers):
    kept = [each for each in layers if each.node in ("first", "depthwise", "second")]
    found = quantised(model, ranges, kept)
    del found.graph.output[:]
    found.graph.output.append(onnx.helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, None))
    (image,) = images(1, seed=8)
    (result,) = cpu_session(found.SerializeToString(), "Q/DQ", 1, as_written=True).run(None, {"image": image})

    def step(name):
        return np.float32(ranges[name] / 127)

    def weight(name):
        array = quantisable_arrays()[name]
        return rounded(array, weight_scales(array, 0).reshape(-1, 1, 1, 1))

    arrays = quantisable_arrays()
    first = convolved(rounded(image, step("image")), weight("first w"), arrays["first b"])
    act = rounded(np.where(first > 0, first, arrays["slopes"] * first).astype(np.float32), step("act"))
    depthwise = convolved(act, weight("depthwise w"), groups=8)
    second = convolved(rounded(depthwise.astype(np.float32), step("depthwise")), weight("second w"), pad=0)
    # a value on the edge between two steps may round to either; nothing else may differ
    differ = np.abs(result - (second + act)) > 1e-4
    print("{} of {} values differ".format(differ.sum(), differ.size))
    assert differ.mean() < 0.005
    plain = cpu_session(model.SerializeToString(), "float", 1)
    assert np.isfinite(plain.run(None, {"image": image})[0]).all()


def test_nothing_in_it_is_refused_by_the_parsers_of_tensorrt_8_and_10(model, ranges, layers):
    data = quantised(model, ranges, layers).SerializeToString()
    for version in ((8, 2), (8, 5), (8, 6), (10, 3)):
        assert problems(parse_onnx(data), version, constant_arrays(data)) == []


def test_layers_that_are_kept_stay_as_they_are(model, ranges, layers):
    found = quantised(model, ranges, layers, keep=["second", "up"])
    assert node_named(found, "second") == node_named(model, "second")
    assert node_named(found, "up") == node_named(model, "up")
    everything = quantised(model, ranges, layers, keep=LAYERS)
    assert everything == model


def test_a_name_that_is_taken_is_not_given_twice(model, ranges, layers):
    taken = onnx.ModelProto()
    taken.CopyFrom(model)
    node_named(taken, "act").name = "act int8"
    found = quantised(taken, ranges, layers)
    names = [node.name for node in found.graph.node]
    assert len(set(names)) == len(names)
    assert "act int8~" in [name for node in found.graph.node for name in node.output]


def test_metadata_and_so_the_contract_stay(model, ranges, layers):
    named = onnx.ModelProto()
    named.CopyFrom(model)
    named.metadata_props.add(key="ccc_jetson.contract", value="{}")
    assert quantised(named, ranges, layers).metadata_props == named.metadata_props
    assert quantised(named, ranges, layers).ir_version == named.ir_version


def test_an_old_opset_and_an_unknown_layer_are_refused(model, ranges, layers):
    old = onnx.load_model_from_string(quantisable_bytes(opset=11))
    with pytest.raises(UsageError, match="opset 11; scales per channel take opset 13"):
        quantised(old, ranges, layers)
    with pytest.raises(UsageError, match="'head' is no layer that would be in INT8"):
        quantised(model, ranges, layers, keep=["head"])


def test_beside_the_float_layers_stand_their_int8_selves_on_float_inputs(model, ranges, layers):
    both, outputs = quantised_beside(model, ranges, layers)
    onnx.checker.check_model(both, full_check=True)
    assert [exact for exact, _ in outputs] == list(LAYERS)
    assert node_named(both, "second").input[0] == "depthwise"
    assert node_named(both, "second int8").input[0] == pairs(both)["depthwise"]
