"""Small networks for the graph passes, built layer by layer with random weights. Needs ``onnx`` and ``onnx_ir``."""

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from ccc_jetson.ort import cpu_session

HEIGHT, WIDTH = 16, 24


class Net:
    """Adds layers to a graph; every method takes tensor names and returns that of its output.

    The network's input is ``image``, (1, 3, 16, 24).
    """

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants, self.channels = [], [], {"image": 3}

    def constant(self, array, dtype=np.float32):
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def add(self, operator, inputs, channels, name=None, **attributes):
        name = name or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        self.channels[name] = channels
        return name

    def conv(self, source, channels, kernel=(3, 3), groups=1, bias=False, pad=True, name=None, weight=None, **more):
        inputs = self.channels[source]
        if weight is None:
            weight = self.rng.normal(
                0, 1 / np.sqrt(inputs / groups * np.prod(kernel)), (channels, inputs // groups, *kernel)
            )
        given = [source, self.constant(weight)] + ([self.constant(self.rng.normal(size=channels))] if bias else [])
        half = [size // 2 * more.get("dilations", (1, 1))[axis] for axis, size in enumerate(kernel)] if pad else [0, 0]
        return self.add("Conv", given, channels, name, kernel_shape=kernel, group=groups, pads=half * 2, **more)

    def deconv(self, source, channels, name=None, bias=True):
        weight = self.rng.normal(0, 0.5, (self.channels[source], channels, 2, 2))
        given = [source, self.constant(weight)] + ([self.constant(self.rng.normal(size=channels))] if bias else [])
        return self.add("ConvTranspose", given, channels, name, kernel_shape=[2, 2], strides=[2, 2])

    def norm(self, source, scale=None, name=None):
        """``scale`` (channels,) is gamma; statistics are random."""
        count, rng = self.channels[source], self.rng
        gamma = rng.normal(1, 0.5, count) if scale is None else scale
        arrays = (gamma, rng.normal(size=count), rng.normal(size=count), rng.uniform(0.1, 2, count))
        given = [source, *(self.constant(array) for array in arrays)]
        return self.add("BatchNormalization", given, count, name, epsilon=1e-3)

    def prelu(self, source, slopes=None):
        count = self.channels[source]
        slopes = self.rng.normal(0, 0.5, count) if slopes is None else np.broadcast_to(slopes, count)
        return self.add("PRelu", [source, self.constant(np.reshape(slopes, (-1, 1, 1)))], count)

    def concat(self, *sources):
        return self.add("Concat", list(sources), sum(self.channels[name] for name in sources), axis=1)

    def sum(self, first, second):
        return self.add("Add", [first, second], self.channels[first])

    def pool(self, source):
        return self.add("AveragePool", [source], self.channels[source], kernel_shape=[2, 2], strides=[2, 2])

    def resize(self, source, by_sizes=None, name=None, **attributes):
        given = (
            [source, "", self.constant([1, 1, 2, 2])]
            if by_sizes is None
            else [source, "", "", self.constant(by_sizes, np.int64)]
        )
        attributes = {"mode": "linear", "coordinate_transformation_mode": "align_corners", **attributes}
        return self.add("Resize", given, self.channels[source], name, **attributes)

    def block(self, source, dilation, kernel=5):
        """A CCC branch: asymmetric pair with normalisations and PReLU, dilated depth-wise, 1x1."""
        count = self.channels[source]
        tall = self.prelu(self.norm(self.conv(source, count, (kernel, 1), count)))
        wide = self.norm(self.conv(tall, count, (1, kernel), count))
        dilated = self.conv(wide, count, (3, 3), count, dilations=(dilation, dilation))
        return self.conv(dilated, count, (1, 1))

    def model(self, output, classes=False, kind=TensorProto.FLOAT):
        """The graph that ends in ``output`` (its ArgMax where ``classes``), as ``ir.Model`` with all shapes."""
        nodes = list(self.nodes)
        if classes:
            nodes.append(helper.make_node("ArgMax", [output], ["indices"], "argmax", axis=1, keepdims=0))
            nodes.append(helper.make_node("Cast", ["indices"], ["class_map"], "cast", to=TensorProto.INT32))
            output, kind = "class_map", TensorProto.INT32
        given = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])
        shape = [None] * (3 if classes else 4)
        given_out = helper.make_tensor_value_info(output, kind, shape)
        graph = helper.make_graph(nodes, "net", [given], [given_out], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
        return ir.from_proto(onnx.shape_inference.infer_shapes(model, strict_mode=True))


def run(model, images, outputs=None):
    """The named outputs (all by default) for each image."""
    session = cpu_session(ir.to_proto(model).SerializeToString(), "the small network")
    return [session.run(outputs, {"image": image}) for image in images]


def pictures(count=3, seed=1):
    """Inputs of magnitude about 1."""
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.5, (1, 3, HEIGHT, WIDTH)).astype(np.float32) for _ in range(count)]


def operators(model):
    """How many nodes there are of each operator."""
    found = {}
    for node in model.graph:
        found[node.op_type] = found.get(node.op_type, 0) + 1
    return found


def largest_difference(first, second):
    """Between two lists of lists of arrays, relative to the largest number in the first."""
    size = max([np.abs(array).max() for one in first for array in one] + [1e-30])
    return max(np.abs(a - b).max() for one, other in zip(first, second) for a, b in zip(one, other)) / size
