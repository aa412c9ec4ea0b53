"""Half precision, simulated on a CPU: weights and every activation rounded to FP16, sums in FP32.

What exceeds FP16's 65,504 becomes infinity, as it does where a tensor is stored. A device may do better, where a kernel
fuses several layers and rounds less often, or worse, where it also sums in FP16; nothing was measured on one yet.
"""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.graph import Affine, affine, constant, expose, operator, set_affine
from ccc_jetson.ort import cpu_session

LARGEST = float(np.finfo(np.float16).max)


def rounded(array: np.ndarray) -> np.ndarray:
    """Values as FP16 holds them, as float32 again; too large ones become infinite."""
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float32)


def half_precision(model: ir.Model) -> ir.Model:
    """A copy of the FP32 graph that rounds as FP16 does; ``model`` is not changed."""
    half = model.clone()
    graph = half.graph
    for node in list(graph):
        transform = affine(node)
        if transform is not None:  # a runtime stores scale and shift, not the four arrays
            set_affine(node, Affine(*(rounded(array.astype(np.float32)) for array in transform)))
    exempt = float32_operands(graph)
    for value in graph.initializers.values():
        array = constant(value)
        if array is not None and array.dtype == np.float32 and value not in exempt:
            value.const_value = ir.tensor(rounded(array), name=value.name)
    for value in [*graph.inputs, *(value for node in list(graph) for value in node.outputs)]:
        if value.dtype == ir.DataType.FLOAT:
            _round(graph, value)
    return half


def float32_operands(graph: ir.Graph) -> set[ir.Value]:
    """Constants that stay FP32 in an FP16 graph: the region of interest and the scales of a Resize."""
    resizes = [node for node in graph if operator(node) == "Resize"]
    return {value for node in resizes for value in node.inputs[1:3] if value is not None}


def _round(graph: ir.Graph, value: ir.Value) -> None:
    """Lets every reader of ``value`` read it rounded; the rounded tensor takes its name."""
    down = ir.node("Cast", [value], {"to": ir.DataType.FLOAT16.value})
    up = ir.node("Cast", [down.outputs[0]], {"to": ir.DataType.FLOAT.value})
    exact, stored = value, up.outputs[0]
    down.outputs[0].dtype, stored.dtype, stored.shape = ir.DataType.FLOAT16, ir.DataType.FLOAT, value.shape
    readers = [(use.node, use.idx) for use in value.uses() if use.node is not down]
    producer = value.producer()
    if producer is None:
        graph.insert_before(next(iter(graph)), [down, up])
    else:
        graph.insert_after(producer, [down, up])
        stored.name, exact.name = exact.name, f"{exact.name} before rounding"
        for index, output in enumerate(graph.outputs):
            if output is exact:
                graph.outputs[index] = stored
    for node, index in readers:
        node.replace_input_with(index, stored)


def half_runner(model: ir.Model, outputs: list[str]) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The simulated graph on ONNX Runtime: input -> the named outputs. Slower than the graph itself by about three."""
    half = half_precision(model)
    expose(half.graph, outputs)
    session = cpu_session(ir.to_proto(half).SerializeToString(), "the graph in simulated FP16", as_written=True)
    (given,) = (value.name for value in half.graph.inputs)
    return lambda image: session.run(outputs, {given: image})
