"""Batch normalisation folded into the convolutions in front of it.

Folding backwards, into the convolution that feeds a normalisation, is exact whatever the padding; folding forwards,
into a padded one behind it, is not, and is not done. Behind a concatenation the normalisation is cut into slices, one
for each convolution that fills one. What is left in C3Net is 13 of 125: those after a residual sum, and those that a
PReLU's output reaches. They are written as scale and shift, which is what every runtime computes anyway.
"""

import onnx_ir as ir

from ccc_jetson.export.passes.graph import (
    Affine,
    Convolution,
    affine,
    convolution,
    is_channel_concat,
    only_reader,
    remove,
    set_affine,
)


def fold_batchnorm(graph: ir.Graph) -> tuple[int, int]:
    """Folds what can be folded; returns how many normalisations vanished and how many stay."""
    folded = stay = 0
    for node in [node for node in graph if node.op_type == "BatchNormalization"]:
        transform = affine(node)
        if transform is None:
            stay += 1
            continue
        source = node.inputs[0]
        assert source is not None
        parts = writers(source.producer()) if only_reader(source) is node else None
        if parts is not None and fold_into(parts, transform):
            remove(node)
            folded += 1
        else:
            set_affine(node, transform)
            stay += 1
    return folded, stay


def fold_into(parts: list[Convolution], transform: Affine) -> bool:
    """Lets the convolutions that write a tensor apply ``transform`` to it: all of them, or none and it says no."""
    if sum(part.outputs for part in parts) != len(transform.scale):
        return False
    at = 0
    for part in parts:
        here = slice(at, at + part.outputs)
        part.scale_outputs(transform.scale[here])
        part.bias = part.bias + transform.shift[here]
        at += part.outputs
    if not all(part.fits() for part in parts):
        return False
    for part in parts:
        part.write()
    return True


def writers(node: ir.Node | None) -> list[Convolution] | None:
    """The convolutions that write a tensor, in the order of its channels; None where anything else does."""
    found = convolution(node)
    if found is not None:
        return [found]
    if node is None or not is_channel_concat(node):
        return None
    parts: list[Convolution] = []
    for value in node.inputs:
        found_there = writers(value.producer()) if value is not None and only_reader(value) is node else None
        if found_there is None:
            return None
        parts.extend(found_there)
    return parts
