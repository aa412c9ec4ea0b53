"""Classes cut off the last layer."""

import numpy as np
import pytest

from ccc_jetson.export.passes.classes import cut_classes
from tests.doubles.small_nets import Net, pictures, run


@pytest.mark.parametrize("last", ["conv", "deconv"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("ends_in_classes", [True, False])
def test_the_classes_that_stay_keep_their_logits(last, bias, ends_in_classes):
    net = Net()
    getattr(net, last)("image", 6, name="logits", bias=bias)
    model, whole = net.model("logits", ends_in_classes), net.model("logits")
    before = [result[0] for result in run(whole, pictures())]
    assert cut_classes(model.graph, "logits", [0, 1, 3, 5])
    for given, result in zip(before, run(model, pictures()), strict=True):
        kept = given[:, [0, 1, 3, 5]]
        expected = kept.argmax(axis=1) if ends_in_classes else kept
        np.testing.assert_allclose(result[0], expected, rtol=1e-6)


def test_logits_that_are_read_otherwise_or_made_otherwise_are_left_alone():
    net = Net()
    net.conv("image", 6, name="logits")
    assert not cut_classes(net.model(net.add("Softmax", ["logits"], 6, axis=1)).graph, "logits", [0])
    net = Net()
    net.conv("image", 6, name="logits")
    lines = net.add("ArgMax", ["logits"], 6, axis=2)
    assert not cut_classes(net.model(lines, kind=7).graph, "logits", [0])
    net = Net()
    net.norm(net.conv("image", 6), name="logits")
    assert not cut_classes(net.model("logits").graph, "logits", [0])
    net = Net()
    net.conv(net.conv("image", 6), 6, groups=2, name="logits")
    assert not cut_classes(net.model("logits").graph, "logits", [0])
