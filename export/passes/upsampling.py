"""A 1x1 convolution moved in front of the upsampling it reads: the same result from a fraction of the work.

Interpolation mixes pixels of one channel, with weights that add up to one; a 1x1 convolution mixes channels of one
pixel. Both are linear, so they commute, bias included; before an upsampling by 2 there are four times fewer pixels.
"""

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.graph import (
    Convolution,
    add_constant,
    channels,
    constant,
    convolution,
    insert,
    integers,
    is_interpolation,
    only_reader,
    operator,
    replace,
)

_MODES = ("linear", "nearest")
_DEFAULTS = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "output_padding": (0, 0)}


def convolve_before_upsampling(graph: ir.Graph) -> int:
    """Swaps every such pair in which the convolution does not widen; returns how many."""
    moved = 0
    for node in [node for node in graph if node.op_type == "Conv"]:
        part = convolution(node)
        source = node.inputs[0]
        assert source is not None
        resize = source.producer()
        if part is None or not part.pointwise or part.groups != 1 or part.outputs > part.inputs:
            continue
        if resize is None or only_reader(source) is not node or not _enlarges(resize):
            continue
        small, output = resize.inputs[0], node.outputs[0]
        assert small is not None and small.shape is not None and output.shape is not None
        weights = [value for value in node.inputs[1:] if value is not None]
        narrow = [small.shape[0], part.outputs, *list(small.shape)[2:]]
        mixed = insert(resize, "Conv", [small, *weights], {"kernel_shape": [1, 1]}, narrow)
        inputs = [mixed, *resize.inputs[1:]]
        if len(inputs) > 3 and inputs[3] is not None:  # the sizes name the channels too
            sizes = np.array(constant(inputs[3]), np.int64)
            sizes[1] = part.outputs
            inputs[3] = add_constant(graph, "sizes", sizes)
        attributes = {name: attribute.value for name, attribute in resize.attributes.items()}
        large = insert(resize, "Resize", inputs, attributes, output)  # type: ignore[arg-type]
        replace(node, large)
        graph.remove(resize, safe=True)
        moved += 1
    return moved


def interpolation_scale(part: Convolution) -> int | None:
    """By what a transposed convolution enlarges, if it is a fixed one that interpolates bilinearly (DRN); else None.

    It is depth-wise, its stride is even and half its kernel, and the kernel a tent, the same for all channels.
    """
    scale = integers(part.node, "strides", (1, 1))[0]
    plain = {
        "strides": (scale, scale),
        "pads": (scale // 2,) * 4,
        "dilations": (1, 1),
        "output_padding": (0, 0),
    }
    if not part.transposed or scale % 2 or "auto_pad" in part.node.attributes or part.bias.any():
        return None
    if not part.groups == part.inputs == part.outputs or part.weight.shape[3:] != (2 * scale, 2 * scale):
        return None
    if any(integers(part.node, name, default) != plain[name] for name, default in _DEFAULTS.items()):
        return None
    return scale if (part.weight.astype(np.float32) == bilinear_kernel(scale)).all() else None


def bilinear_kernel(scale: int) -> np.ndarray:
    """(2 scale, 2 scale) float32: a transposed convolution of stride ``scale`` with it interpolates bilinearly."""
    line = 1 - np.abs(np.arange(2 * scale) - (scale - 0.5)) / scale
    return np.outer(line, line).astype(np.float32)


def _enlarges(node: ir.Node) -> bool:
    """Whether a node enlarges pictures by interpolating, with sizes or scales that are known."""
    if operator(node) != "Resize" or channels(node.inputs[0]) is None:  # type: ignore[arg-type]
        return False
    mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "nearest"
    known = all(value is None or not value.name or constant(value) is not None for value in node.inputs[1:])
    source, output = node.inputs[0], node.outputs[0]
    assert source is not None
    if source.shape is None or output.shape is None:
        return False
    enlarges = all(
        isinstance(before, int) and isinstance(after, int) and after >= before
        for before, after in zip(list(source.shape)[2:], list(output.shape)[2:], strict=True)
    )
    return known and enlarges and mode in _MODES and is_interpolation(node)
