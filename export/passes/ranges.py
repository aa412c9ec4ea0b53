"""The magnitudes that every channel of every activation reaches on real frames, measured inside the graph.

Each tensor is reduced to two numbers a channel where it is computed, so memory does not grow with the number of
tensors; a frame takes about three times as long as a plain run.
"""

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.graph import activations, channels
from ccc_jetson.ort import cpu_session

_REDUCTIONS = ("ReduceMax", "ReduceMin")


def channel_ranges(model: ir.Model, inputs: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Largest magnitude of each channel, by tensor name: (channels,) float64; the graph's input is among them.

    Args:
        model: is not changed.
        inputs: as the graph takes them, (N, 3, H, W) float32.
    """
    probe = model.clone()
    graph = probe.graph
    names, wanted = [], []
    measured = [*(value for value in graph.inputs if channels(value) is not None), *activations(graph)]
    for value in reversed(measured):  # ONNX Runtime plans from the last output on: the first layers are freed first
        names.append(value.name or "")
        for operator in _REDUCTIONS:
            node = ir.node(operator, [value], {"axes": [2, 3], "keepdims": 0})
            result = node.outputs[0]
            result.name, result.dtype = f"{operator} of {value.name}", ir.DataType.FLOAT
            graph.append(node)
            graph.outputs.append(result)
            wanted.append(result.name)
    session = cpu_session(ir.to_proto(probe).SerializeToString(), "the graph with its ranges measured")
    (given,) = (value.name for value in graph.inputs)
    found: dict[str, np.ndarray] = {}
    for image in inputs:
        results = [np.abs(result).max(axis=0) for result in session.run(wanted, {given: image})]
        for name, most, least in zip(names, results[::2], results[1::2], strict=True):
            found[name] = np.maximum(found.get(name, 0.0), np.maximum(most, least).astype(np.float64))
    return found
