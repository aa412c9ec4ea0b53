"""Parameters and FLOPs as the paper counts them (Table 5), multiply-adds as most others do, and bytes moved.

Counted by hooks on the real modules while a tensor without data passes through, so nothing is computed. A layer that is
called several times counts each time.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

FLOAT_BYTES = 4
CONVOLUTIONS = ("conv", "1x1 conv", "depth-wise conv", "transposed conv")


class Rules(NamedTuple):
    """What counts as a FLOP. In all of them BatchNorm counts 2 per value, an activation 1, average pooling 1 per value
    that goes in, a bias 1 per value; concatenations, max-pooling and functional ReLUs count nothing.

    ``multiply_add`` is what a multiplication with its addition counts; interpolation counts per value that goes in and
    per value that comes out; ``transposed`` says whether transposed convolutions count; an addition of activations
    counts ``add_per_pixel`` for each pixel, whatever the channels; a layer whose name matches the pattern ``twice``
    counts twice.
    """

    multiply_add: int = 2
    bilinear_per_input: int = 13
    bilinear_per_output: int = 0
    transposed: bool = True
    add_per_pixel: int = 0
    twice: str = ""


TABLE_5 = Rules()
TABLE_1 = Rules(add_per_pixel=1)  # of single modules; it alone lists additions
TABLE_4 = Rules(multiply_add=1)  # the classification networks' convention
WITHOUT_TRANSPOSED = Rules(transposed=False)  # the only one that gives Table 2's figure of ESPnet-tiny

# The C3Net authors' training log counts what their code does, and that evaluates c1 twice in every module of stride 1
_REDUCTIONS = r"(encoder\.level[23]\.\d+|combine_l2_l3\.1)\.c1\.conv"
AUTHORS_LOG = Rules(multiply_add=1, twice=_REDUCTIONS)
AUTHORS_LOG_V2 = Rules(bilinear_per_input=0, bilinear_per_output=1, twice=_REDUCTIONS)


class Layer(NamedTuple):
    """One call of a layer: ``macs`` multiply-adds, ``bytes_moved`` of input, weights and output in FP32."""

    name: str
    kind: str
    parameters: int
    flops: int
    macs: int
    bytes_moved: int


class Total(NamedTuple):
    """Sums over layers."""

    calls: int
    flops: int
    macs: int
    bytes_moved: int


class Complexity(NamedTuple):
    """``parameters`` trainable ones; ``macs`` multiply-adds of convolutions and matrices.

    ``layers`` are in the order of their calls; concatenations, additions and functional ReLUs are among them, without
    a name, for their bytes.
    """

    parameters: int
    flops: int
    macs: int
    layers: tuple[Layer, ...]

    @property
    def bytes_moved(self) -> int:
        """Bytes of one pass in FP32 if every layer read its input from memory and wrote its output there."""
        return sum(layer.bytes_moved for layer in self.layers)

    def by_kind(self) -> dict[str, Total]:
        """Sums per kind of layer, the kinds in the order of their first call."""
        kinds = dict.fromkeys(layer.kind for layer in self.layers)
        return {kind: total([layer for layer in self.layers if layer.kind == kind]) for kind in kinds}


def total(layers: Sequence[Layer]) -> Total:
    """Sums over ``layers``."""
    return Total(
        len(layers),
        sum(layer.flops for layer in layers),
        sum(layer.macs for layer in layers),
        sum(layer.bytes_moved for layer in layers),
    )


def count(module: nn.Module, input_shape: tuple[int, ...], rules: Rules = TABLE_5) -> Complexity:
    """Counts one forward pass of ``module`` for an input of ``input_shape`` (N, C, H, W)."""
    shadow = copy.deepcopy(module).to("meta").eval()
    between = _BetweenLayers(rules)
    for name, layer in shadow.named_modules():
        if not list(layer.children()):
            between.watch(name, layer)
    with torch.no_grad(), between:
        shadow(torch.empty(input_shape, device="meta"))
    parameters = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    flops, macs = (sum(getattr(layer, what) for layer in between.layers) for what in ("flops", "macs"))
    return Complexity(parameters, flops, macs, tuple(between.layers))


class _BetweenLayers(TorchFunctionMode):
    """Collects the calls of watched layers, and of functions between them that move memory."""

    functions: Mapping[Any, str] = {
        torch.cat: "concat",
        torch.add: "add",
        Tensor.add: "add",
        Tensor.__add__: "add",
        functional.relu: "activation",
    }

    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self.rules = rules
        self.layers: list[Layer] = []
        self.inside = False

    def watch(self, name: str, layer: nn.Module) -> None:
        def enter(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self.inside = True

        def leave(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self.inside = False
            if not isinstance(layer, nn.Identity):
                self.layers.append(_observed(name, layer, inputs[0], output, self.rules))

        layer.register_forward_pre_hook(enter)
        layer.register_forward_hook(leave)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if not self.inside and function in self.functions:
            given = args[0] if function is torch.cat else [each for each in args if isinstance(each, Tensor)]
            moved = FLOAT_BYTES * (sum(each.numel() for each in given) + result.numel())
            kind = self.functions[function]
            flops = self.rules.add_per_pixel * result[:, :1].numel() if kind == "add" else 0
            self.layers.append(Layer("", kind, 0, flops, 0, moved))
        return result


def _observed(name: str, layer: nn.Module, given: Tensor, result: Tensor, rules: Rules) -> Layer:
    macs = layer_multiply_adds(layer, given, result)
    flops = layer_flops(layer, given, result, rules)
    if rules.twice and re.fullmatch(rules.twice, name):
        flops *= 2
    own = list(layer.parameters(recurse=False))
    stored = sum(each.numel() for each in (*own, *layer.buffers(recurse=False)) if each.is_floating_point())
    return Layer(
        name,
        layer_kind(layer),
        sum(each.numel() for each in own if each.requires_grad),
        flops,
        macs,
        FLOAT_BYTES * (given.numel() + result.numel() + stored),
    )


def layer_kind(layer: nn.Module) -> str:
    """What a layer is, in the words of the tables."""
    if isinstance(layer, nn.ConvTranspose2d):
        return "transposed conv"
    if isinstance(layer, nn.Conv2d):
        if layer.groups > 1:
            return "depth-wise conv"
        return "1x1 conv" if layer.kernel_size == (1, 1) else "conv"
    for types, kind in _KINDS:
        if isinstance(layer, types):
            return kind
    return type(layer).__name__


_KINDS: tuple[tuple[Any, str], ...] = (
    (nn.BatchNorm2d, "batchnorm"),
    ((nn.PReLU, nn.ReLU), "activation"),
    (nn.AvgPool2d, "average pool"),
    (nn.MaxPool2d, "max pool"),
    (nn.Upsample, "bilinear"),
    (nn.Linear, "linear"),
)


def layer_multiply_adds(layer: nn.Module, given: Tensor, result: Tensor) -> int:
    """Multiply-adds of a convolution, transposed convolution or matrix, 0 for anything else."""
    if isinstance(layer, nn.Linear):
        return result.numel() * layer.in_features
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        taps = layer.kernel_size[0] * layer.kernel_size[1]
        # a transposed convolution multiplies each INPUT pixel with each tap (Table 5)
        pixels = _pixels(given if isinstance(layer, nn.ConvTranspose2d) else result)
        return pixels * taps * layer.in_channels * layer.out_channels // layer.groups
    return 0


def layer_flops(layer: nn.Module, given: Tensor, result: Tensor, rules: Rules = TABLE_5) -> int:
    """FLOPs of one layer by ``rules``."""
    if isinstance(layer, nn.ConvTranspose2d) and not rules.transposed:
        return 0
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        bias = result.numel() if layer.bias is not None else 0
        return rules.multiply_add * layer_multiply_adds(layer, given, result) + bias
    if isinstance(layer, nn.Linear):  # its bias counts nothing (Table 5: 2 Ci Co)
        return rules.multiply_add * layer_multiply_adds(layer, given, result)
    if isinstance(layer, nn.BatchNorm2d):
        return 2 * result.numel()
    if isinstance(layer, nn.PReLU | nn.ReLU):
        return result.numel()
    if isinstance(layer, nn.AvgPool2d):
        return given.numel()
    if isinstance(layer, nn.Upsample) and "linear" in str(layer.mode):
        return rules.bilinear_per_input * given.numel() + rules.bilinear_per_output * result.numel()
    return 0


def _pixels(tensor: Tensor) -> int:
    return tensor.shape[0] * tensor.shape[2] * tensor.shape[3]
