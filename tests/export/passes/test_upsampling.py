"""1x1 convolutions and interpolation change places."""

import pytest

from ccc_jetson.export.passes.upsampling import convolve_before_upsampling
from tests.doubles.small_nets import Net, largest_difference, pictures, run


def moved(net, output):
    model = net.model(output)
    before = run(model, pictures())
    count = convolve_before_upsampling(model.graph)
    assert [value.name for value in model.graph.outputs] == [output]
    assert largest_difference(before, run(model, pictures())) < 1e-5
    return count, [node.op_type for node in model.graph]


@pytest.mark.parametrize("coordinates", ["align_corners", "half_pixel", "asymmetric"])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_the_convolution_comes_first(mode, coordinates):
    net = Net()
    large = net.resize(net.conv("image", 8), mode=mode, coordinate_transformation_mode=coordinates)
    count, order = moved(net, net.conv(large, 5, (1, 1), bias=True))
    assert (count, order) == (1, ["Conv", "Conv", "Resize"])


def test_sizes_follow_the_channels():
    net = Net()
    large = net.resize(net.conv("image", 8), by_sizes=[1, 8, 40, 50])
    assert moved(net, net.conv(large, 5, (1, 1)))[0] == 1


def test_what_does_not_commute_or_does_not_pay_stays():
    def resized(net, channels=8, **more):
        return net.resize(net.conv("image", channels), **more)

    net = Net()
    assert moved(net, net.conv(resized(net), 5, (3, 3)))[0] == 0  # mixes pixels
    net = Net()
    assert moved(net, net.conv(resized(net, 4), 5, (1, 1)))[0] == 0  # widens
    net = Net()
    assert moved(net, net.conv(resized(net), 8, (1, 1), groups=8))[0] == 0
    net = Net()
    assert moved(net, net.conv(resized(net, mode="cubic"), 5, (1, 1)))[0] == 0
    net = Net()
    assert moved(net, net.conv(resized(net, by_sizes=[1, 8, 8, 12]), 5, (1, 1)))[0] == 0  # makes smaller
    net = Net()
    large = resized(net)
    assert moved(net, net.concat(net.conv(large, 5, (1, 1)), large))[0] == 0  # another reader
    net = Net()
    assert moved(net, net.conv(net.pool("image"), 3, (1, 1)))[0] == 0
