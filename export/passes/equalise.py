"""Factors per channel that bring every weight, bias and activation into FP16's range, with room.

Folding a normalisation with a tiny variance gives weights of 124,384 in the paper's own CCC2 network (FP16 ends at
65,504), and its inputs of 0.016 lie near FP16's smallest numbers. Both are a matter of units: a positive factor on a
channel, taken back where the channel is read, changes nothing else (Nagel et al., Data-Free Quantization Through
Weight Equalization and Bias Correction, 2019, for INT8). Here a factor balances the largest number that makes a channel
(weights, and the measured activation) against the largest weight that reads it. It is a power of two, which leaves
FP32 results as they are to the bit, times a correction below 1/2,048 that makes the channel's bias a number that FP16
holds: a bias of 62,618 would otherwise be off by up to 16.
"""

import numpy as np
import onnx_ir as ir

from ccc_jetson.export.passes.graph import Affine, Convolution, affine, convolution, tensor_named
from ccc_jetson.export.passes.scaling import Groups, groups, rescale, takes_factors
from ccc_jetson.export.passes.upsampling import interpolation_scale

_ROUNDS = 60
_STEP = 0.7  # of the way to balance in each round: neighbours move at the same time
_MOST = 40  # powers of two


def scale_input(graph: ir.Graph, largest: float, logits: str) -> float:
    """Makes the graph take inputs larger by the returned power of two, so that the ``largest`` comes close to 1."""
    found = groups(graph, [logits])
    factor = float(2.0 ** -round(np.log2(largest)))
    if found.input == found.fixed or factor == 1:
        return 1.0
    factors = np.ones(found.number)
    factors[found.input] = factor
    rescale(graph, found, factors)
    return factor


def equalise(graph: ir.Graph, ranges: dict[str, np.ndarray], logits: str) -> int:
    """Chooses and applies the factors; the input's stays. Returns how many groups of channels changed units.

    Args:
        ranges: largest magnitude of each tensor's channels, measured on this graph.
    """
    found = groups(graph, [logits, *_before_interpolation(graph, logits)])
    exponents = np.round(_balanced(graph, found, ranges))
    factors = 2.0 ** np.clip(exponents, -_MOST, _MOST)
    factors *= _bias_corrections(graph, found, factors)
    factors[[found.fixed, found.input]] = 1
    rescale(graph, found, factors)
    return int((factors != 1).sum())


def _before_interpolation(graph: ir.Graph, logits: str) -> list[str]:
    """The tensor that a fixed transposed convolution makes the logits of: other units would change its kernel."""
    node = tensor_named(graph, logits).producer()
    part = convolution(node)
    if part is None or interpolation_scale(part) is None:
        return []
    return [value.name or "" for value in part.node.inputs[:1] if value is not None]


def _balanced(graph: ir.Graph, found: Groups, ranges: dict[str, np.ndarray]) -> np.ndarray:
    """(number,) logarithms to base 2 of the factors at which no group's neighbours could be brought closer to 1."""
    outputs, inputs, weights = _edges(graph, found)
    magnitude = np.full(found.number, -np.inf)
    for name, values in ranges.items():
        np.maximum.at(magnitude, found.of[name], np.log2(np.maximum(values, 2.0**-126)))
    magnitude[magnitude <= -126] = -np.inf
    factors = np.zeros(found.number)
    for _ in range(_ROUNDS):
        now = weights + factors[outputs] - factors[inputs]
        makes, reads = (np.full(found.number, -np.inf) for _ in range(2))
        np.maximum.at(makes, outputs, now)
        np.maximum.at(reads, inputs, now)
        makes = np.maximum(makes, magnitude + factors)
        both = np.isfinite(makes) & np.isfinite(reads)
        step = np.zeros(found.number)
        step[both] = (reads[both] - makes[both]) / 2
        step[[found.fixed, found.input]] = 0
        factors += _STEP * step
    return factors


def _edges(graph: ir.Graph, found: Groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every pair of channels that a layer connects: output's group, input's group, log2 of the largest weight."""
    outputs, inputs, weights = [], [], []
    for node in graph:
        layer = (convolution(node) or affine(node)) if takes_factors(node, found.of) else None
        if layer is None:
            continue
        written, read = (found.of[value.name or ""] for value in (node.outputs[0], node.inputs[0]) if value is not None)
        if isinstance(layer, Convolution):
            magnitude = np.abs(layer.weight).max(axis=tuple(range(3, layer.weight.ndim)))
            written = np.broadcast_to(written.reshape(layer.groups, -1, 1), magnitude.shape)
            read = np.broadcast_to(read.reshape(layer.groups, 1, -1), magnitude.shape)
        else:
            magnitude = np.abs(layer.scale)
        counts = magnitude > 0
        outputs.append(written[counts])
        inputs.append(read[counts])
        weights.append(np.log2(magnitude[counts]))
    if not weights:
        return np.empty(0, int), np.empty(0, int), np.empty(0)
    return np.concatenate(outputs), np.concatenate(inputs), np.concatenate(weights)


def _bias_corrections(graph: ir.Graph, found: Groups, factors: np.ndarray) -> np.ndarray:
    """(number,) factors close to 1 after which each group's largest bias is a number that FP16 holds."""
    largest = np.zeros(found.number)
    for node in graph:
        layer = (convolution(node) or affine(node)) if takes_factors(node, found.of) else None
        if layer is None:
            continue
        bias = np.abs(layer.shift if isinstance(layer, Affine) else layer.bias)
        np.maximum.at(largest, found.of[node.outputs[0].name or ""], bias)
    scaled = largest * factors
    with np.errstate(over="ignore"):
        held = scaled.astype(np.float16).astype(np.float64)
    usable = (held > np.finfo(np.float16).tiny) & np.isfinite(held)
    corrections = np.ones(found.number)
    corrections[usable] = held[usable] / scaled[usable]
    return corrections
