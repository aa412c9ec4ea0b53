"""A small network with all that decides where INT8 may be: PReLU, depth-wise, grouped, transposed, a sum, a head."""

import numpy as np
from onnx import helper

from tests.doubles.graphs import graph_bytes

SHAPE = (1, 3, 16, 24)
CLASSES = 5
LAYERS = ("first", "depthwise", "second", "grouped", "up")  # that may be in INT8; "grouped up" and "head" may not


def quantisable_arrays(seed=3):
    """Constants by name."""
    rng = np.random.RandomState(seed)

    def normal(*shape):
        return (rng.randn(*shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    return {
        "first w": normal(8, 3, 3, 3) * 2,
        "first b": normal(8, 1)[:, 0],
        "slopes": rng.uniform(-0.5, 0.5, (8, 1, 1)).astype(np.float32),
        "depthwise w": normal(8, 1, 3, 3),
        "second w": normal(8, 8, 1, 1),
        "grouped w": normal(8, 2, 3, 3),
        "grouped up w": normal(8, 2, 2, 2),
        "up w": normal(8, 6, 2, 2),
        "head w": normal(6, CLASSES, 2, 2),
    }


def quantisable_bytes(seed=3, opset=13):
    """The model: image -> features (behind ``up``) -> logits."""
    pads = [1, 1, 1, 1]

    def up(given, weight, output, **more):
        return helper.make_node("ConvTranspose", [given, weight], [output], output, strides=[2, 2], **more)

    nodes = [
        helper.make_node("Conv", ["image", "first w", "first b"], ["first"], "first", pads=pads),
        helper.make_node("PRelu", ["first", "slopes"], ["act"], "act"),
        helper.make_node("Conv", ["act", "depthwise w"], ["depthwise"], "depthwise", pads=pads, group=8),
        helper.make_node("Conv", ["depthwise", "second w"], ["second"], "second"),
        helper.make_node("Add", ["second", "act"], ["sum"], "sum"),
        helper.make_node("Conv", ["sum", "grouped w"], ["grouped"], "grouped", pads=pads, group=4),
        up("grouped", "grouped up w", "grouped up", group=4),
        up("grouped up", "up w", "up"),
        up("up", "head w", "head"),
    ]
    height, width = 8 * SHAPE[2], 8 * SHAPE[3]
    return graph_bytes(
        nodes, {"image": list(SHAPE)}, {"head": [1, CLASSES, height, width]}, quantisable_arrays(seed), opset
    )


def images(count=2, seed=5):
    """Frames as the network takes them."""
    rng = np.random.RandomState(seed)
    return [rng.randn(*SHAPE).astype(np.float32) for _ in range(count)]
