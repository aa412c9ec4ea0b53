"""FP16 simulated: what is rounded, what overflows, and what a judge makes of it."""

import numpy as np
import onnx_ir as ir
import pytest

from ccc_jetson.errors import UsageError, VerificationError
from ccc_jetson.export.half_report import HalfJudge, Labels, largest_weight, layer_ranges
from ccc_jetson.export.passes.half import half_precision, half_runner, rounded
from ccc_jetson.export.passes.strongly_typed import as_fp16
from ccc_jetson.golden import decided
from tests.doubles.small_nets import Net, operators, pictures, run


def test_numbers_are_rounded_as_fp16_rounds_and_overflow_to_infinity():
    given = np.array([1 + 2**-12, 1e-8, 65519, 65521, -1e6], np.float32)
    assert rounded(given).tolist() == [1.0, 0.0, 65504.0, np.inf, -np.inf]


def test_weights_input_and_every_activation_are_rounded():
    net = Net()
    weight = net.rng.normal(size=(4, 3, 1, 1))
    output = net.add("Relu", [net.conv("image", 4, (1, 1), weight=weight)], 4, "logits")
    model = net.model(output)
    (image,) = pictures(1)
    product = np.einsum("oi,nihw->nohw", rounded(weight[:, :, 0, 0].astype(np.float32)), rounded(image))
    expected = np.maximum(rounded(product), 0)
    found = half_runner(model, ["logits"])(image)[0]
    assert (found == rounded(found)).all()
    assert (found == expected).mean() > 0.99  # sums differ in their order
    assert (run(model, [image])[0][0] != found).any()
    assert operators(model) == {"Conv": 1, "Relu": 1}


def test_a_normalisation_is_rounded_as_scale_and_shift():
    net = Net()
    half = half_precision(net.model(net.norm("image")))
    (node,) = (node for node in half.graph if node.op_type == "BatchNormalization")
    scale, shift, mean, variance = (value.const_value.numpy() for value in node.inputs[1:])
    assert (rounded(scale) == scale).all() and (rounded(shift) == shift).all()
    assert not mean.any() and (variance == 1).all()


def test_an_inner_tensor_can_be_asked_for_and_is_the_rounded_one():
    net = Net()
    inner = net.conv("image", 4)
    model = net.model(net.conv(inner, 2, name="logits"), classes=True)
    (image,) = pictures(1)
    first, classes = half_runner(model, [inner, "class_map"])(image)
    assert (first == rounded(first)).all()
    assert classes.dtype == np.int32


def classifier(weight=1.0, seed=0):
    net = Net(seed)
    hidden = net.prelu(net.conv("image", 8, weight=weight * net.rng.normal(size=(8, 3, 3, 3))))
    return net.model(net.conv(hidden, 5, name="logits", weight=net.rng.normal(size=(5, 8, 3, 3)) / weight))


def judged(model, frames=3, labels=None, classes=0):
    judge = HalfJudge(model, "logits", classes)
    for image in pictures(frames):
        judge.add(image, run(model, [image])[0][0], labels)
    return judge.verdict(1.0)


def test_a_network_of_ordinary_numbers_is_safe():
    verdict = judged(classifier())
    assert verdict.frames == 3
    assert verdict.safe and verdict.decided_worst == 1
    assert 0.98 < verdict.agreement_worst <= verdict.agreement <= 1
    assert verdict.largest_weight == pytest.approx(largest_weight(classifier()))


def test_a_network_that_overflows_is_not_safe():
    verdict = judged(classifier(1e6))
    assert not verdict.safe
    assert verdict.decided_worst < 0.9


def test_labels_give_miou_and_a_loss_of_it_is_not_safe():
    model = classifier()
    table = np.full(256, 255, np.uint8)
    table[:5] = range(5)
    truth = run(model, pictures(1))[0][0][0].argmax(axis=0).astype(np.uint8)
    verdict = judged(model, 1, Labels(truth, table), 5)
    assert verdict.miou_fp32 == 1 and verdict.miou_fp16 > 0.98
    assert verdict.safe == (verdict.miou_fp16 >= 0.997)


def test_decided_pixels_are_those_with_the_largest_margin():
    logits = np.zeros((3, 10, 10))
    logits[1] = np.arange(100).reshape(10, 10)
    assert decided(logits).sum() == 90
    assert not decided(logits)[0].any()
    assert decided(logits[:1]).all()


def test_layers_are_measured_in_both_precisions():
    model = classifier()
    layers = layer_ranges(model, pictures(2))
    assert [each.tensor for each in layers] == [node.outputs[0].name for node in model.graph]
    largest = max(np.abs(result[0]).max() for result in run(model, pictures(2)))
    assert layers[-1].largest == pytest.approx(largest, rel=1e-6)
    assert all(1e-5 < each.half_error < 1e-2 for each in layers)


def test_a_layer_that_overflows_has_an_infinite_error():
    layers = layer_ranges(classifier(1e6), pictures(1))
    assert layers[0].half_error == np.inf and layers[0].largest > 65504


def test_a_strongly_typed_copy_leaves_the_original_alone():
    net = Net()
    model = net.model(net.resize(net.prelu(net.conv("image", 4)), name="logits"))
    half = as_fp16(model)
    assert {value.dtype for node in model.graph for value in node.outputs} == {ir.DataType.FLOAT}
    (resize,) = (node for node in half.graph if node.op_type == "Resize")
    assert (
        resize.inputs[2].dtype in (None, ir.DataType.FLOAT) and resize.inputs[2].const_value.dtype == ir.DataType.FLOAT
    )
    exact, cast = run(model, pictures(1))[0][0], run(half, pictures(1))[0][0]
    assert cast.dtype == np.float32 and half.graph.outputs[0].name == "logits"
    np.testing.assert_allclose(cast, exact, atol=0.02)
    assert (cast != exact).any()


def test_scales_of_an_upsampling_stay_as_they_are():
    net = Net()
    source = net.conv("image", 4)
    large = net.add(
        "Resize", [source, "", net.constant([1, 1, 4 / 3, 4 / 3])], 4, "logits", mode="linear",
    )  # fmt: skip
    model = net.model(large)
    exact = run(model, pictures(1))[0][0]
    assert half_runner(model, ["logits"])(pictures(1)[0])[0].shape == exact.shape == (1, 4, 21, 32)
    assert run(as_fp16(model), pictures(1))[0][0].shape == exact.shape


def test_a_weight_that_fp16_cannot_hold_is_refused_in_a_strongly_typed_graph():
    net = Net()
    model = net.model(net.conv("image", 4, weight=np.full((4, 3, 3, 3), 1e5)))
    with pytest.raises(VerificationError, match="holds 100000") as caught:
        as_fp16(model)
    assert "equalise" in caught.value.hint


def test_statistics_that_fp16_cannot_hold_become_scale_and_shift():
    net = Net()
    source = net.conv("image", 4)
    arrays = (np.full(4, 1e-4), np.zeros(4), np.zeros(4), np.full(4, 1e-8))
    model = net.model(net.add("BatchNormalization", [source, *map(net.constant, arrays)], 4, "logits", epsilon=1e-12))
    exact, cast = run(model, pictures(1))[0][0], run(as_fp16(model), pictures(1))[0][0]
    np.testing.assert_allclose(cast, exact, atol=0.01)


def test_a_cast_in_the_graph_follows_the_types():
    net = Net()
    model = net.model(net.add("Cast", [net.conv("image", 4)], 4, "logits", to=1))
    assert run(as_fp16(model), pictures(1))[0][0].dtype == np.float32


def test_labels_without_an_evaluated_pixel_are_refused():
    labels = Labels(np.full((16, 24), 255, np.uint8), np.zeros(256, np.uint8))
    with pytest.raises(UsageError, match="no evaluated pixel"):
        judged(classifier(), 1, labels, 5)
