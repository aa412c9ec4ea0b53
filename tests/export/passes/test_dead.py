"""Channels that nothing depends on."""

import numpy as np
from onnx import helper

from ccc_jetson.export.passes.batchnorm import fold_batchnorm
from ccc_jetson.export.passes.dead import prune_dead_channels
from tests.doubles.small_nets import Net, largest_difference, operators, pictures, run


def pruned(net, output, fold=True):
    """(channels removed, model); the network must compute the same after it."""
    model = net.model(output)
    before = run(model, pictures())
    if fold:
        fold_batchnorm(model.graph)
    gone = prune_dead_channels(model.graph, output)
    assert largest_difference(before, run(model, pictures())) < 1e-5
    return gone, model


def gammas(*dead, count=8):
    return np.where(np.isin(np.arange(count), dead), 0.0, 1.5)


def weights(model):
    return sum(value.const_value.size for value in model.graph.initializers.values())


def test_a_constant_channel_moves_into_the_bias_of_a_1x1_convolution():
    net = Net()
    bent = net.prelu(net.norm(net.conv("image", 8), gammas(2, 5)))
    gone, model = pruned(net, net.conv(bent, 4, (1, 1)))
    assert gone == 2 * 2  # of the convolution's output and of the PReLU's
    assert [node.outputs[0].shape[1] for node in model.graph] == [6, 6, 4]


def test_a_constant_channel_that_a_padded_convolution_reads_stays_unless_it_is_zero():
    net = Net()
    bent = net.prelu(net.norm(net.conv("image", 8), gammas(2)))
    assert pruned(net, net.conv(bent, 4))[0] == 0
    net = Net()
    weight = net.rng.normal(size=(8, 3, 3, 3))
    weight[3] = 0
    assert pruned(net, net.conv(net.conv("image", 8, weight=weight), 4))[0] == 1


def test_a_channel_that_nobody_reads_goes():
    net = Net()
    weight = net.rng.normal(size=(4, 8, 1, 1))
    weight[:, 6] = 0
    gone, _ = pruned(net, net.conv(net.prelu(net.conv("image", 8)), 4, (1, 1), weight=weight))
    assert gone == 2


def test_a_dead_channel_goes_through_a_concatenation_pooling_and_depth_wise_convolutions():
    net = Net()
    dead = net.rng.normal(size=(8, 3, 3, 3))
    dead[1] = 0
    joined = net.concat(net.pool(net.conv("image", 8, weight=dead)), net.pool("image"))
    output = net.conv(net.prelu(net.norm(net.conv(joined, 11, groups=11))), 5, (1, 1))
    gone, model = pruned(net, output)
    assert gone == 5
    (depthwise,) = (node for node in model.graph if node.op_type == "Conv" and node.attributes["group"].as_int() > 1)
    assert depthwise.attributes["group"].as_int() == 10


def test_a_dead_channel_of_a_residual_stream_stays_while_a_module_lives_on_it():
    net = Net()
    stream = net.norm(net.conv("image", 8), gammas(3))
    output = net.conv(net.sum(stream, net.conv(stream, 8)), 4, (1, 1))
    assert pruned(net, output)[0] == 0


def test_a_dead_channel_of_all_modules_goes():
    net = Net()
    stream = net.norm(net.conv("image", 8), gammas(3))
    branch = net.norm(net.conv(stream, 8, (1, 1)), gammas(3))
    output = net.conv(net.prelu(net.sum(stream, branch)), 4, (1, 1))
    assert pruned(net, output)[0] == 4


def test_upsampling_by_sizes_learns_the_new_count():
    net = Net()
    weight = net.rng.normal(size=(8, 3, 3, 3))
    weight[0] = 0
    large = net.resize(net.conv("image", 8, weight=weight), by_sizes=[1, 8, 32, 48])
    assert pruned(net, net.conv(large, 4))[0] == 2


def test_a_tensor_keeps_at_least_one_channel():
    net = Net()
    output = net.conv(net.conv("image", 8, weight=np.zeros((8, 3, 3, 3))), 4, (1, 1))
    gone, model = pruned(net, output)
    assert gone == 7
    assert operators(model) == {"Conv": 2}


def test_the_output_and_unknown_operators_keep_their_channels():
    net = Net()
    net_output = net.conv("image", 8, weight=np.zeros((8, 3, 3, 3)))
    assert pruned(net, net_output)[0] == 0
    net = Net()
    bent = net.add("Sigmoid", [net.conv("image", 8, weight=np.zeros((8, 3, 3, 3)))], 8)
    assert pruned(net, net.conv(bent, 4, (1, 1)))[0] == 0


def test_a_network_without_dead_channels_is_left_alone():
    net = Net()
    output = net.conv(net.block(net.conv("image", 8), 2), 4)
    model = net.model(output)
    before = weights(model)
    assert prune_dead_channels(model.graph, output) == 0
    assert weights(model) == before


def test_slopes_for_every_pixel_and_indices_of_a_pooling_keep_their_channels():
    dead = np.ones((8, 3, 3, 3))
    dead[2] = 0
    net = Net()
    slopes = net.constant(net.rng.normal(size=(8, 16, 24)))
    bent = net.add("PRelu", [net.conv("image", 8, weight=dead), slopes], 8)
    assert pruned(net, net.conv(bent, 4, (1, 1)))[0] == 0
    net = Net()
    net.nodes.append(
        helper.make_node(
            "MaxPool", [net.conv("image", 8, weight=dead)], ["small", "at"], kernel_shape=[2, 2], strides=[2, 2]
        )
    )
    net.channels["small"] = 8
    large = net.add("MaxUnpool", ["small", "at"], 8, kernel_shape=[2, 2], strides=[2, 2])
    assert prune_dead_channels(net.model(net.conv(large, 4, (1, 1))).graph, "conv3") == 0


def test_padding_by_name_is_padding():
    net = Net()
    bent = net.prelu(net.norm(net.conv("image", 8), gammas(2)))
    weight = net.constant(net.rng.normal(size=(4, 8, 3, 3)))
    output = net.add("Conv", [bent, weight], 4, kernel_shape=[3, 3], auto_pad="SAME_UPPER")
    assert pruned(net, output)[0] == 0
