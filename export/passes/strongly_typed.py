"""The same graph in FP16: weights and activations cast, input and output as they were.

From TensorRT 11 on (and with strong typing from 10.12) a builder computes in the types that the graph states; FP16 is
no flag any more. Where it still is one, an FP32 file leaves the choice to the builder.
"""

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

from ccc_jetson.errors import VerificationError
from ccc_jetson.export.passes.graph import affine, attribute, constant, operator, set_affine
from ccc_jetson.export.passes.half import LARGEST, float32_operands

_TYPED_OUTPUTS = ("ArgMax", "Cast", "Shape", "Size")  # the type of their output does not follow the input's


def as_fp16(model: ir.Model) -> ir.Model:
    """A copy of an FP32 graph whose layers compute in FP16; its inputs and outputs keep their types.

    Raises:
        VerificationError: FP16 cannot hold a weight.
    """
    half = model.clone()
    graph = half.graph
    for node in list(graph):
        transform = affine(node)
        if transform is not None:  # gamma, mean and variance may lie outside of FP16 although scale and shift do not
            set_affine(node, transform)
    common.RemoveUnusedNodesPass()(half)
    outputs = [value for value in graph.outputs if value.dtype == ir.DataType.FLOAT]
    kept = float32_operands(graph)
    for value in graph.initializers.values():
        array = constant(value)
        if array is not None and array.dtype == np.float32 and value not in kept:
            largest = float(np.abs(array).max(initial=0.0))
            if not largest < LARGEST:
                raise VerificationError(
                    f"FP16 ends at 65,504, and {value.name!r} holds {largest:.6g}",
                    hint="let the passes run: fold-batchnorm makes such weights, equalise brings them into range",
                )
            value.const_value = ir.tensor(array.astype(np.float16), name=value.name)
            _become_half(value)
    nodes = list(graph)
    for node in nodes:
        if operator(node) == "Cast" and attribute(node, "to", 0) == ir.DataType.FLOAT.value:
            node.attributes["to"] = ir.AttrInt64("to", ir.DataType.FLOAT16.value)
            _become_half(node.outputs[0])
        for value in node.outputs:
            if node.op_type not in _TYPED_OUTPUTS and value.dtype == ir.DataType.FLOAT:
                _become_half(value)
    for given in graph.inputs:
        if given.dtype == ir.DataType.FLOAT:
            cast = ir.node("Cast", [given], {"to": ir.DataType.FLOAT16.value})
            cast.outputs[0].dtype, cast.outputs[0].shape = ir.DataType.FLOAT16, given.shape
            graph.insert_before(nodes[0], [cast])
            for use in list(given.uses()):
                if use.node is not cast:
                    use.node.replace_input_with(use.idx, cast.outputs[0])
    for value in outputs:
        cast = ir.node("Cast", [value], {"to": ir.DataType.FLOAT.value})
        cast.outputs[0].dtype, cast.outputs[0].shape = ir.DataType.FLOAT, value.shape
        graph.append(cast)
        cast.outputs[0].name, value.name = value.name, f"{value.name} in FP16"
        graph.outputs[graph.outputs.index(value)] = cast.outputs[0]
    return half


def _become_half(value: ir.Value) -> None:
    value.type = ir.TensorType(ir.DataType.FLOAT16)  # a new one: setting dtype would change the original graph's too
