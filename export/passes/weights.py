"""Numbers in the weights that no result depends on: denormals."""

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.graph import constant


def without_denormals(array: np.ndarray) -> tuple[np.ndarray, int]:
    """A float32 array with its denormal numbers as zero, and how many they were.

    Looks at the bits: where the processor is told to treat denormals as zero, comparing finds none.
    """
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    denormal = ((bits & 0x7F800000) == 0) & ((bits & 0x007FFFFF) != 0)
    return np.where(denormal, np.uint32(0), bits).view(np.float32), int(denormal.sum())


def flush_denormal_weights(graph: ir.Graph) -> int:
    """Puts zero where a weight is denormal; returns how many there were."""
    flushed = 0
    for value in graph.initializers.values():
        array = constant(value)
        if array is None or array.dtype != np.float32:
            continue
        clean, denormals = without_denormals(array)
        if denormals:
            value.const_value = ir.tensor(clean, name=value.name)
            flushed += denormals
    return flushed
