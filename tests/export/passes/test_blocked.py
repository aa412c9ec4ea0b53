"""What ONNX Runtime gets instead of PReLU, of normalised sums and of odd concatenations."""

import numpy as np
import onnx_ir as ir
import pytest

from ccc_jetson.export.passes.batchnorm import fold_batchnorm
from ccc_jetson.export.passes.blocked import normalise_before_sum, prelu_as_convolutions, split_concats
from tests.doubles.small_nets import Net, largest_difference, operators, pictures, run


def rewritten(rewrite, net, output):
    """(what the pass returned, operators after it); the network must compute the same."""
    model = net.model(output)
    fold_batchnorm(model.graph)
    before = run(model, pictures())
    count = rewrite(model.graph)
    assert [value.name for value in model.graph.outputs] == [output]
    assert largest_difference(before, run(model, pictures())) < 2e-6
    return count, operators(model)


@pytest.mark.parametrize("slopes", [0.25, -3.0, 1.0, 0.0, 4.7, np.linspace(-3, 0.9, 16), np.linspace(-3, 4, 16)])
def test_prelu_on_whole_blocks_is_two_convolutions(slopes):
    net = Net()
    count, found = rewritten(prelu_as_convolutions, net, net.prelu(net.conv("image", 16, bias=True), slopes))
    assert (count, found) == (1, {"Conv": 3, "Relu": 1, "Add": 1})


def test_prelu_on_other_channels_is_a_maximum_where_that_is_the_same():
    net = Net()
    assert rewritten(prelu_as_convolutions, net, net.prelu(net.conv("image", 20), 0.5))[1] == {
        "Conv": 1, "Mul": 1, "Max": 1,
    }  # fmt: skip
    net = Net()
    assert rewritten(prelu_as_convolutions, net, net.prelu(net.conv("image", 20), 1.5))[0] == 0
    net = Net()
    assert rewritten(prelu_as_convolutions, net, net.prelu(net.conv("image", 3), 0.5))[0] == 0


def test_the_input_of_a_prelu_may_have_other_readers():
    net = Net()
    source = net.conv("image", 16)
    assert rewritten(prelu_as_convolutions, net, net.sum(net.prelu(source), source))[0] == 1


@pytest.mark.parametrize("first", [True, False])
def test_a_normalised_residual_sum_is_normalised_before(first):
    net = Net()
    source = net.prelu(net.conv("image", 16))
    joined = net.concat(net.conv(source, 4), net.conv(source, 12, (1, 1)))
    output = net.norm(net.sum(*((source, joined) if first else (joined, source))))
    count, found = rewritten(normalise_before_sum, net, output)
    assert count == 1
    assert "BatchNormalization" not in found and found["Conv"] == 4 and found["Add"] == 1


def test_sums_of_other_things_or_with_other_readers_keep_their_normalisation():
    net = Net()
    one, other = net.prelu(net.conv("image", 16)), net.prelu(net.conv("image", 16))
    assert rewritten(normalise_before_sum, net, net.norm(net.sum(one, other)))[0] == 0
    net = Net()
    total = net.sum(net.prelu(net.conv("image", 16)), net.conv("image", 16))
    assert rewritten(normalise_before_sum, net, net.sum(net.norm(total), total))[0] == 0
    net = Net()
    total = net.sum(net.prelu(net.conv("image", 20)), net.conv("image", 20))
    assert rewritten(normalise_before_sum, net, net.norm(total))[0] == 0  # no whole blocks


def test_a_concatenation_with_pictures_is_read_in_parts():
    net = Net()
    joined = net.prelu(net.norm(net.concat(net.prelu(net.conv("image", 16)), "image")))
    output = net.concat(net.conv(joined, 8, bias=True), net.conv(joined, 5, (1, 1)))
    count, found = rewritten(split_concats, net, output)
    assert count == 2
    assert found["Concat"] == 1 and found["Conv"] == 5 and found["Add"] == 2


def test_a_concatenation_in_a_concatenation_becomes_flat():
    net = Net()
    joined = net.concat(net.conv("image", 16), "image")
    count, found = rewritten(split_concats, net, net.conv(net.concat(net.conv("image", 20), joined), 4))
    assert count == 1
    assert found["Concat"] == 1


def test_a_concatenation_that_became_flat_is_split_in_turn():
    net = Net()
    inner = net.concat(net.conv("image", 16), "image")
    count, found = rewritten(split_concats, net, net.conv(net.concat(net.conv("image", 16), inner), 4))
    assert count == 2
    assert "Concat" not in found and found["Conv"] == 5


def test_the_same_graph_comes_out_every_time():
    def built():
        net = Net()
        joined = net.concat(net.conv("image", 16), "image")
        model = net.model(net.concat(*(net.conv(joined, 4) for _ in range(4))))
        split_concats(model.graph)
        return ir.to_proto(model).SerializeToString()

    assert len({built() for _ in range(5)}) == 1


def test_concatenations_of_whole_blocks_or_with_other_readers_stay():
    net = Net()
    whole = net.concat(net.conv("image", 16), net.conv("image", 32))
    assert rewritten(split_concats, net, net.conv(whole, 4))[0] == 0
    net = Net()
    odd = net.concat(net.conv("image", 16), "image")
    assert rewritten(split_concats, net, net.add("Sigmoid", [odd], 19))[0] == 0
    net = Net()
    wide = net.concat(net.conv("image", 16), net.conv("image", 20))
    assert rewritten(split_concats, net, net.conv(wide, 4))[0] == 0
