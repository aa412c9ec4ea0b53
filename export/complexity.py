"""Parameters and FLOPs as the paper counts them (Table 5), and multiply-adds as most others do.

Counted by hooks on the real modules while a tensor without data passes through, so nothing is computed.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Complexity(NamedTuple):
    """``parameters`` trainable ones; ``flops`` by Table 5; ``macs`` multiply-adds of convolutions alone."""

    parameters: int
    flops: int
    macs: int


def count(module: nn.Module, input_shape: tuple[int, ...]) -> Complexity:
    """Counts one forward pass of ``module`` for an input of ``input_shape`` (N, C, H, W)."""
    shadow = copy.deepcopy(module).to("meta").eval()
    flops = macs = 0

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal flops, macs
        layer_macs = layer_multiply_adds(layer, inputs[0], output)
        macs += layer_macs
        flops += layer_flops(layer, inputs[0], output, layer_macs)

    for layer in shadow.modules():
        if not list(layer.children()):
            layer.register_forward_hook(hook)
    with torch.no_grad():
        shadow(torch.empty(input_shape, device="meta"))
    parameters = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    return Complexity(parameters, flops, macs)


def layer_multiply_adds(layer: nn.Module, given: Tensor, result: Tensor) -> int:
    """Multiply-adds of a convolution or transposed convolution, 0 for anything else."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        taps = layer.kernel_size[0] * layer.kernel_size[1]
        # a transposed convolution multiplies each INPUT pixel with each tap (Table 5)
        pixels = _pixels(given if isinstance(layer, nn.ConvTranspose2d) else result)
        return pixels * taps * layer.in_channels * layer.out_channels // layer.groups
    return 0


def layer_flops(layer: nn.Module, given: Tensor, result: Tensor, macs: int) -> int:
    """FLOPs of one layer by Table 5.

    Convolutions 2 per multiply-add plus the bias, BatchNorm 2 per value, activations 1 per value, average pooling 1 per
    value that goes in; additions and concatenations count nothing.
    """
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        return 2 * macs + (result.numel() if layer.bias is not None else 0)
    if isinstance(layer, nn.BatchNorm2d):
        return 2 * result.numel()
    if isinstance(layer, nn.PReLU | nn.ReLU):
        return result.numel()
    if isinstance(layer, nn.AvgPool2d):
        return given.numel()
    return 0


def _pixels(tensor: Tensor) -> int:
    return tensor.shape[0] * tensor.shape[2] * tensor.shape[3]
