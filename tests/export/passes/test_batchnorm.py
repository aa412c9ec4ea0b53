"""Normalisations that vanish into convolutions, and those that must stay."""

import numpy as np
import pytest

from ccc_jetson.export.passes.batchnorm import fold_batchnorm
from ccc_jetson.export.passes.graph import affine
from tests.doubles.small_nets import Net, largest_difference, operators, pictures, run


def folded(net, output):
    """What folding did to the network, which must compute the same after it."""
    model = net.model(output)
    before = run(model, pictures())
    found = fold_batchnorm(model.graph)
    assert largest_difference(before, run(model, pictures())) < 1e-5
    return found, operators(model)


@pytest.mark.parametrize(("groups", "bias"), [(1, False), (1, True), (2, True), (8, False)])
def test_behind_a_convolution_it_vanishes(groups, bias):
    net = Net()
    source = net.conv("image", 8)
    found, left = folded(net, net.norm(net.conv(source, 8, groups=groups, bias=bias)))
    assert found == (1, 0)
    assert "BatchNormalization" not in left


def test_behind_a_transposed_convolution_it_vanishes():
    net = Net()
    assert folded(net, net.norm(net.deconv("image", 5, bias=False)))[0] == (1, 0)


def test_behind_a_concatenation_it_is_cut_into_slices():
    net = Net()
    source = net.conv("image", 6)
    inner = net.concat(net.conv(source, 3), net.conv(source, 2, (1, 1)))
    joined = net.concat(net.conv(source, 6, groups=6), inner)
    assert folded(net, net.norm(joined))[0] == (1, 0)


def test_behind_a_residual_sum_it_stays_as_scale_and_shift():
    net = Net()
    source = net.conv("image", 4)
    output = net.norm(net.sum(source, net.conv(source, 4)))
    model = net.model(output)
    before = run(model, pictures())
    assert fold_batchnorm(model.graph) == (0, 1)
    assert largest_difference(before, run(model, pictures())) < 1e-5
    (node,) = (node for node in model.graph if node.op_type == "BatchNormalization")
    gamma, beta, mean, variance = (value.const_value.numpy() for value in node.inputs[1:])
    assert not mean.any() and (variance == 1).all() and node.attributes["epsilon"].as_float() == 0
    np.testing.assert_allclose(affine(node).scale, gamma)
    np.testing.assert_allclose(affine(node).shift, beta)


def test_a_tensor_that_others_read_is_not_changed():
    net = Net()
    shared = net.conv("image", 4)
    assert folded(net, net.sum(net.norm(shared), shared))[0] == (0, 1)


def test_a_part_of_a_concatenation_that_others_read_keeps_the_normalisation():
    net = Net()
    shared, other = net.conv("image", 4), net.conv("image", 4)
    normed = net.norm(net.concat(shared, other))
    assert folded(net, net.concat(normed, shared))[0] == (0, 1)


def test_the_graphs_output_keeps_its_name():
    net = Net()
    model = net.model(net.norm(net.conv("image", 4), name="logits"))
    fold_batchnorm(model.graph)
    assert [value.name for value in model.graph.outputs] == ["logits"]
    assert operators(model) == {"Conv": 1}


def test_weights_that_float32_cannot_hold_are_not_folded():
    net = Net()
    convolved = net.conv("image", 4, weight=np.full((4, 3, 3, 3), 1e30))
    output = net.norm(convolved, scale=np.full(4, 1e12))
    assert fold_batchnorm(net.model(output).graph) == (0, 1)
