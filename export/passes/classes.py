"""An output class that never wins, cut off the last layer: less to compute, to store and to compare."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.graph import add_constant, attribute, convolution, operator, tensor_named


def cut_classes(graph: ir.Graph, logits: str, keep: Sequence[int]) -> bool:
    """Leaves the classes ``keep`` in the tensor ``logits``; says no, changing nothing, where no convolution makes it.

    The tensor may be the graph's output, and nobody may read it but ArgMax over the classes.
    """
    output = tensor_named(graph, logits)
    part = convolution(output.producer())
    readers = [use.node for use in output.uses()]
    if any(operator(reader) != "ArgMax" or attribute(reader, "axis", 0) not in (1, -3) for reader in readers):
        return False
    if part is None or part.groups != 1 or not (readers or output.is_graph_output()):
        return False
    node = part.node
    kept = np.asarray(keep)
    axis = 1 if part.transposed else 0
    node.replace_input_with(1, add_constant(graph, "weight", part.stored().take(kept, axis).astype(np.float32)))
    if len(node.inputs) > 2:
        node.replace_input_with(2, add_constant(graph, "bias", part.bias[kept].astype(np.float32)))
    assert output.shape is not None
    output.shape = ir.Shape([output.shape[0], len(kept), *list(output.shape)[2:]])
    return True
