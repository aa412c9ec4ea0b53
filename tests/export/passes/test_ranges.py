"""Ranges measured inside the graph."""

import numpy as np

from ccc_jetson.export.passes.ranges import channel_ranges
from tests.doubles.small_nets import Net, pictures, run


def test_every_channel_of_every_tensor_is_measured_over_all_frames():
    net = Net()
    first = net.conv("image", 4, bias=True)
    second = net.prelu(first)
    model = net.model(second)
    found = channel_ranges(model, pictures(3))
    assert set(found) == {"image", first, second}
    largest = np.max([np.abs(result[0]).max(axis=(0, 2, 3)) for result in run(model, pictures(3))], axis=0)
    np.testing.assert_allclose(found[second], largest, rtol=1e-6)
    np.testing.assert_allclose(
        found["image"], np.max([np.abs(image).max(axis=(0, 2, 3)) for image in pictures(3)], axis=0)
    )


def test_the_model_is_not_changed():
    net = Net()
    model = net.model(net.conv("image", 4))
    channel_ranges(model, pictures(1))
    assert len(model.graph) == 1 and len(model.graph.outputs) == 1
