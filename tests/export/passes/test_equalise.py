"""Units per channel: what may change, what may not, and that everything fits FP16 in the end."""

import numpy as np
import pytest

from ccc_jetson.export.passes.batchnorm import fold_batchnorm
from ccc_jetson.export.passes.equalise import equalise, scale_input
from ccc_jetson.export.passes.graph import convolution, tensor_named
from ccc_jetson.export.passes.half import LARGEST
from ccc_jetson.export.passes.ranges import channel_ranges
from ccc_jetson.export.passes.scaling import groups, rescale
from ccc_jetson.export.passes.upsampling import bilinear_kernel, interpolation_scale
from tests.doubles.small_nets import Net, largest_difference, pictures, run


def everything(net):
    """A network with every operator that factors pass through."""
    stream = net.prelu(net.norm(net.conv("image", 8)))
    pooled = net.concat(net.pool(stream), net.pool("image"))
    small = net.norm(net.conv(net.prelu(net.norm(pooled)), 8))
    summed = net.prelu(net.norm(net.sum(small, net.block(small, 2))))
    large = net.resize(net.add("Relu", [net.conv(summed, 8)], 8))
    return net.conv(net.sum(net.norm(large), net.norm(net.conv("image", 8))), 6, name="logits")


def weights(model):
    return [value.const_value.numpy() for value in model.graph.initializers.values()]


def test_factors_are_taken_back_by_whoever_reads_a_channel():
    net = Net()
    model = net.model(everything(net))
    fold_batchnorm(model.graph)
    before = run(model, pictures())
    found = groups(model.graph, ["logits"])
    factors = 2.0 ** np.random.default_rng(3).integers(-6, 7, found.number)
    factors[[found.fixed, found.input]] = 1, 8
    rescale(model.graph, found, factors)
    after = run(model, [8 * image for image in pictures()])
    for one, other in zip(before, after, strict=True):  # powers of two leave FP32 results as they are to the bit
        np.testing.assert_array_equal(one[0], other[0])


def test_channels_that_are_joined_summed_or_pooled_share_a_factor():
    net = Net()
    model = net.model(everything(net))
    of = groups(model.graph, ["logits"]).of
    names = {node.op_type: node.outputs[0].name for node in model.graph if node.op_type in ("Concat", "AveragePool")}
    assert set(of["image"]) == set(of[names["Concat"]][8:]) == set(of[names["AveragePool"]])
    assert len(set(of["logits"])) == 1


def test_what_an_unknown_operator_touches_keeps_its_units():
    net = Net()
    bent = net.add("Sigmoid", [net.conv("image", 4)], 4)
    model = net.model(net.conv(bent, 2, name="logits"))
    found = groups(model.graph, ["logits"])
    assert set(found.of[bent]) == {found.fixed}
    assert set(found.of["image"]) == {found.input}


def test_the_input_scale_goes_into_the_first_weights():
    net = Net()
    model = net.model(everything(net))
    fold_batchnorm(model.graph)
    before = run(model, pictures())
    assert scale_input(model.graph, 0.016, "logits") == 64
    after = run(model, [64 * image for image in pictures()])
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_an_input_that_cannot_take_a_factor_keeps_its_scale():
    net = Net()
    model = net.model(net.conv(net.add("Sigmoid", ["image"], 3), 2, name="logits"))
    assert scale_input(model.graph, 0.016, "logits") == 1
    net = Net()
    assert scale_input(net.model(net.conv("image", 2, name="logits")).graph, 1.2, "logits") == 1


def trap(seed):
    """The trap in the paper's CCC2 network: a tiny variance folded into a depth-wise convolution."""
    net = Net(seed)
    start = net.conv("image", 8, bias=True)
    tiny = net.prelu(net.conv(start, 8, (3, 1), 8, bias=True, weight=net.rng.normal(0, 1e-3, (8, 1, 3, 1))), 0.009)
    huge = net.conv(tiny, 8, (1, 3), 8, bias=True, weight=net.rng.normal(0, 2e5, (8, 1, 1, 3)))
    dilated = net.conv(huge, 8, (3, 3), 8, dilations=(2, 2), weight=net.rng.normal(0, 1e-3, (8, 1, 3, 3)))
    return net.model(net.conv(dilated, 6, (1, 1), name="logits"))


@pytest.mark.parametrize("seed", range(3))
def test_weights_beyond_fp16_come_into_its_range_and_the_results_stay(seed):
    model = trap(seed)
    before = run(model, pictures())
    assert max(np.abs(array).max() for array in weights(model)) > LARGEST
    assert equalise(model.graph, channel_ranges(model, pictures()), "logits") > 8
    assert largest_difference(before, run(model, pictures())) < 1e-6
    parts = [part for part in map(convolution, model.graph) if part is not None]
    assert max(np.abs(array).max() for part in parts for array in (part.weight, part.bias)) < 100
    ranges = channel_ranges(model, pictures())
    assert max(values.max() for name, values in ranges.items() if name != "logits") < 100  # those keep their units


def test_biases_become_numbers_that_fp16_holds():
    model = trap(0)
    equalise(model.graph, channel_ranges(model, pictures()), "logits")
    for node in model.graph:
        if node.outputs[0].name != "logits" and len(node.inputs) > 2:
            bias = node.inputs[2].const_value.numpy()
            bias = bias[np.abs(bias) > 1e-4]  # smaller ones have fewer bits, and matter to nobody
            np.testing.assert_allclose(bias.astype(np.float16).astype(np.float32), bias, rtol=1e-6)


def test_channels_that_are_always_zero_keep_finite_factors():
    net = Net()
    dead = net.conv("image", 4, weight=np.zeros((4, 3, 3, 3)))
    model = net.model(net.conv(dead, 2, name="logits", bias=True))
    before = run(model, pictures())
    equalise(model.graph, channel_ranges(model, pictures()), "logits")
    assert largest_difference(before, run(model, pictures())) == 0


def test_layers_on_something_else_than_pictures_keep_their_units():
    net = Net()
    flat = net.add("Flatten", [net.add("GlobalAveragePool", [net.conv("image", 4)], 4)], 4)
    shaped = net.add("Reshape", [net.norm(flat), net.constant([1, 4, 1, 1], np.int64)], 4)
    model = net.model(net.conv(shaped, 2, (1, 1), name="logits"))
    before = run(model, pictures())
    equalise(model.graph, channel_ranges(model, pictures()), "logits")
    assert largest_difference(before, run(model, pictures())) < 1e-6


def test_a_graph_without_weights_is_left_alone():
    net = Net()
    model = net.model(net.add("Relu", ["image"], 3, "logits"))
    assert equalise(model.graph, channel_ranges(model, pictures()), "logits") == 0


def test_pixels_from_outside_the_picture_keep_the_units():
    net = Net()
    source = net.conv("image", 4)
    given = [source, net.constant([0, 0, -0.5, -0.5, 1, 1, 1.5, 1.5]), "", net.constant([1, 4, 16, 24], np.int64)]
    cropped = net.add(
        "Resize", given, 4, mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=3.0
    )
    model = net.model(net.conv(cropped, 2, name="logits"))
    before = run(model, pictures())
    equalise(model.graph, channel_ranges(model, pictures()), "logits")
    assert largest_difference(before, run(model, pictures())) < 1e-6


def test_transposed_convolutions_of_groups_take_factors():
    net = Net()
    source = net.conv("image", 8)
    weight = net.constant(net.rng.normal(0, 300, (8, 2, 2, 2)))
    large = net.add("ConvTranspose", [source, weight], 4, kernel_shape=[2, 2], strides=[2, 2], group=2)
    model = net.model(net.conv(net.norm(large), 3, name="logits"))
    before = run(model, pictures())
    assert fold_batchnorm(model.graph) == (1, 0)
    equalise(model.graph, channel_ranges(model, pictures()), "logits")
    assert largest_difference(before, run(model, pictures())) < 2e-6


def test_a_kernel_that_interpolates_stays_as_it_is():
    net = Net()
    features = net.conv(net.prelu(net.norm(net.conv("image", 8))), 5)
    kernel = np.tile(bilinear_kernel(8), (5, 1, 1, 1))  # (5, 1, 16, 16)
    shape = {"kernel_shape": [16, 16], "strides": [8, 8], "pads": [4] * 4, "group": 5}
    model = net.model(net.add("ConvTranspose", [features, net.constant(kernel)], 5, "logits", **shape))
    assert equalise(model.graph, channel_ranges(model, pictures()), "logits") > 0
    part = convolution(tensor_named(model.graph, "logits").producer())
    assert interpolation_scale(part) == 8
    np.testing.assert_array_equal(part.stored(), kernel)
