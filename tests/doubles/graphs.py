"""Small ONNX graphs, built node by node. Needs ``onnx``; of any opset and with any mistake, so nothing is checked."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def graph_bytes(nodes, inputs, outputs, constants=None, opset=13, ir_version=7, value_info=(), functions=()):
    """The bytes of a model.

    Args:
        nodes: ``helper.make_node(...)`` each.
        inputs, outputs: shapes by name, or (TensorProto type, shape).
        constants: arrays by name.
    """
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [_typed(name, what) for name, what in inputs.items()],
        [_typed(name, what) for name, what in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
        value_info=list(value_info),
    )
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(domain, 1) for domain in ("some.where",)]
    model = helper.make_model(graph, producer_name="tests", opset_imports=opsets[: 1 + bool(functions)])
    model.ir_version = ir_version
    if functions:
        model.functions.extend(functions)
    return model.SerializeToString()


def unpooling_bytes():
    """An encoder and decoder as SegNet's: max-pooling with indices, and MaxUnpool."""
    nodes = [
        helper.make_node("MaxPool", ["x"], ["pooled", "indices"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("MaxUnpool", ["pooled", "indices"], ["y"], "unpool", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    return graph_bytes(nodes, {"x": [1, 4, 8, 8]}, {"y": [1, 4, 8, 8]})


def quantized_bytes(zero_point=0):
    """A convolution in the Q/DQ format."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"], "dequantize"),
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["dw"], "weights"),
        helper.make_node("Conv", ["dq", "dw"], ["y"], "conv", pads=[1, 1, 1, 1]),
    ]
    constants = {
        "scale": np.array(0.1, np.float32),
        "zero": np.array(zero_point, np.int8),
        "w": np.ones((4, 3, 3, 3), np.int8),
    }
    return graph_bytes(nodes, {"x": [1, 3, 8, 8]}, {"y": [1, 4, 8, 8]}, constants)


def _typed(name, what):
    kind, shape = what if isinstance(what, tuple) else (TensorProto.FLOAT, what)
    return helper.make_tensor_value_info(name, kind, shape)
