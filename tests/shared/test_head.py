"""The head's reference against the operators it stands for."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from ccc_jetson.carried import contract_of, embed, read_contract
from ccc_jetson.contract import Head
from ccc_jetson.errors import ContractError
from ccc_jetson.head import METADATA_KEY, HeadWeights, bilinear_taps, head_class_map, head_logits, read_head
from ccc_jetson.onnx_file import parse_onnx, read_onnx, with_extra_outputs
from tests.doubles.tiny_model import tiny_contract, tiny_graph, tiny_model_bytes, tiny_weights, write_tiny_model


def bilinear(channels, scale, align_corners=False):
    return Head("bilinear", "features", channels, channels, scale, align_corners)


def run_node(features, operator, inputs, arrays, **attributes):
    """What ONNX Runtime's operator makes of (C, h, w) features."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1,) + features.shape)
    weights = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    node = helper.make_node(operator, inputs, ["y"], **attributes)
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    model = helper.make_model(
        helper.make_graph([node], "one", [value], [out], weights), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 7
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": features[None]})[0][0]


@pytest.mark.parametrize("kind", ["transposed_conv_2x2", "bilinear"])
def test_head_gives_what_the_whole_graph_gives(tmp_path, kind):
    path = write_tiny_model(tmp_path / "a.onnx", head=kind)
    data = with_extra_outputs(tiny_model_bytes(head=kind), ["features", "logits"])
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    image = np.random.RandomState(0).randn(1, 3, 32, 64).astype(np.float32)
    class_map, features, logits = session.run(["class_map", "features", "logits"], {"image": image})
    contract = read_contract(path)
    weights = read_head(contract, read_onnx(path), path)
    assert (weights is None) == (kind == "bilinear")
    found = head_logits(features[0], contract.head, weights)
    np.testing.assert_allclose(found, logits[0], rtol=1e-5, atol=1e-5)
    first, second = np.sort(logits[0], axis=0)[[-1, -2]]
    clear = first - second > 1e-4  # what lies closer may be decided by rounding
    assert clear.mean() > 0.98
    assert (head_class_map(features[0], contract.head, weights) == class_map[0])[clear].all()


def test_weights_come_back_bit_for_bit(tmp_path):
    path = write_tiny_model(tmp_path / "a.onnx")
    head = read_head(read_contract(path), read_onnx(path), path)
    _, expected = tiny_weights()
    assert (head.weight == expected.weight).all()
    assert (head.bias == expected.bias).all()


def test_a_contract_without_head_and_weights_of_another_size_are_named():
    contract = tiny_contract()
    model = parse_onnx(embed(tiny_graph(contract).SerializeToString(), contract, {METADATA_KEY: b"\0" * 8}))
    with pytest.raises(ContractError, match="the head's weights are 2 numbers, 323 were expected"):
        read_head(contract_of(model, "m"), model, "m")
    with pytest.raises(ContractError, match="describes no head"):
        read_head(contract._replace(head=None), model, "m")


# bilinear interpolation


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("scale", [2, 3, 8, 32])
def test_interpolation_is_onnxs(scale, align_corners):
    rng = np.random.RandomState(scale)
    for shape in ((1, 1, 1), (3, 1, 5), (2, 4, 1), (19, 5, 7)):
        features = rng.randn(*shape).astype(np.float32)
        expected = run_node(
            features,
            "Resize",
            ["x", "", "scales"],
            {"scales": np.array([1, 1, scale, scale], np.float32)},
            mode="linear",
            coordinate_transformation_mode="align_corners" if align_corners else "half_pixel",
        )
        found = head_logits(features, bilinear(shape[0], scale, align_corners), None)
        assert found.dtype == np.float32 and found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("scale", [2, 3, 8, 32])
def test_interpolation_is_pytorchs(scale, align_corners):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (the device half does without)")
    rng = np.random.RandomState(100 + scale)
    for shape in ((1, 1, 1), (3, 1, 5), (2, 4, 1), (19, 5, 7)):
        features = rng.randn(*shape).astype(np.float32)
        expected = torch.nn.functional.interpolate(
            torch.from_numpy(features)[None], scale_factor=scale, mode="bilinear", align_corners=align_corners
        )[0].numpy()
        found = head_logits(features, bilinear(shape[0], scale, align_corners), None)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_taps_are_where_arithmetic_by_hand_has_them():
    first, second, weight = bilinear_taps(3, 2, False)  # 0.25 to the left of the first, 0.25, 0.75, ...
    assert first.tolist() == [0, 0, 0, 1, 1, 2]
    assert second.tolist() == [0, 1, 1, 2, 2, 2]
    assert weight.tolist() == [0.75, 0.25, 0.75, 0.25, 0.75, 0.25]
    first, second, weight = bilinear_taps(3, 2, True)  # from 0 to 2 in five steps
    assert first.tolist() == [0, 0, 0, 1, 1, 2]
    assert second.tolist() == [1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(weight, [0, 0.4, 0.8, 0.2, 0.6, 0], atol=1e-7)


def fixed_deconvolution(features):
    """How DRN ends: a transposed convolution by 8, a group per channel, with a bilinear kernel of 16x16."""
    ramp = 1 - np.abs(np.arange(16) / 8 - 15 / 16)  # the kernel along one axis, as torchvision and DRN fill it
    kernel = np.broadcast_to(np.outer(ramp, ramp), (features.shape[0], 1, 16, 16)).astype(np.float32)
    return run_node(
        features,
        "ConvTranspose",
        ["x", "w"],
        {"w": kernel},
        kernel_shape=[16, 16],
        strides=[8, 8],
        pads=[4, 4, 4, 4],
        group=features.shape[0],
    )


def test_a_fixed_bilinear_deconvolution_has_the_classes_of_interpolation():
    features = np.random.RandomState(5).randn(19, 9, 11).astype(np.float32)
    theirs, ours = fixed_deconvolution(features), head_logits(features, bilinear(19, 8), None)
    assert theirs.shape == ours.shape
    np.testing.assert_allclose(theirs[:, 4:-4, 4:-4], ours[:, 4:-4, 4:-4], rtol=0, atol=1e-5)
    # at the border every class is scaled by what the convolution's kernel has inside the picture there
    share = fixed_deconvolution(np.ones_like(features[:1]))[0]
    assert share.min() > 0.3 and share[0].max() < 1 and share[:, -1].max() < 1
    np.testing.assert_allclose(theirs, ours * share, rtol=0, atol=1e-5)
    first, second = np.sort(ours, axis=0)[[-1, -2]]
    clear = (first - second) * share > 1e-4
    print("{} of {} pixels are too close to compare".format((~clear).sum(), clear.size))
    assert clear.mean() > 0.99
    assert (theirs.argmax(axis=0) == head_class_map(features, bilinear(19, 8), None))[clear].all()


# classes


@pytest.mark.parametrize("kind", ["transposed_conv_2x2", "bilinear"])
def test_the_first_of_equal_classes_wins_and_nan_never(kind):
    if kind == "bilinear":
        head, weights = bilinear(4, 2), None
    else:  # a class per channel, the same at all positions
        head = Head(kind, "features", 4, 4, 2, False)
        weights = HeadWeights(
            np.repeat(np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1), 4).reshape(4, 4, 2, 2), np.zeros(4, np.float32)
        )
    features = np.zeros((4, 1, 1), np.float32)
    assert (head_class_map(features, head, weights) == 0).all()
    features[2] = features[3] = 5
    found = head_class_map(features, head, weights)
    assert found.dtype == np.uint8 and found.tolist() == [[2, 2], [2, 2]]
    features[:] = np.nan
    assert (head_class_map(features, head, weights) == 0).all()
    if kind == "bilinear":
        features[3] = -1
        assert (head_class_map(features, head, weights) == 3).all()
    else:  # in a sum NaN takes all classes with it, so only one that is NaN by itself can lose
        features[:], weights.bias[0] = 1, np.nan
        assert (head_class_map(features, head, weights) == 1).all()
