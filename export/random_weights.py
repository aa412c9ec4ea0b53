"""A network without its training: speed and memory do not depend on what the weights are.

Plain random weights would let activations vanish or grow from layer to layer, and nothing that is verified or simulated
in FP16 would mean anything; so the normalisations are set by a drawn street scene, as training would set them.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ccc_jetson.contract import Preprocessing, Source
from ccc_jetson.errors import UsageError
from ccc_jetson.export.networks.entry import CLASSIFICATION, Network
from ccc_jetson.export.networks.registry import Recognised, Wanted, describe, published_for, reason_of, title_of
from ccc_jetson.export.scenes import street_scene
from ccc_jetson.published import FPS

SEED = 1
# Of what a residual branch adds: with 1 rounding grows from block to block of ERFnet until it decides classes
_BRANCH_GAIN = 0.2
_LAST_OF_BRANCH = (".bn2", ".bn3")
_SCENE = (256, 128)  # for segmentation: enough pixels at 1/8 for statistics


def random_network(wanted: Wanted) -> tuple[Recognised, Source]:
    """The network with random weights, always the same ones; its title says what it is.

    Of what was published for the network it keeps the speed, which no weight changes.
    """
    network = wanted.network
    arguments = network.complete(wanted.arguments)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module = _built(network, arguments)
        for name, layer in module.named_modules():
            if isinstance(layer, nn.BatchNorm2d | nn.PReLU):  # equal weights would be one tensor in a graph
                _scatter(layer)
            if isinstance(layer, nn.BatchNorm2d) and name.endswith(_LAST_OF_BRANCH):
                layer.weight.data.mul_(_BRANCH_GAIN)
    try:
        defaults = network.defaults(arguments)
        size = (defaults.width, defaults.height) if network.task == CLASSIFICATION else _SCENE
        _normalise(module, defaults.preprocessing, size)
    except RuntimeError as error:
        raise _impossible(network, arguments, error) from None
    digest = hashlib.sha256()
    for tensor in module.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    title = f"{title_of(network, arguments)} with RANDOM weights"
    source = Source(f"random weights, seed {SEED}", digest.hexdigest())
    speed = tuple(each for each in published_for(network, arguments) if each.figure == FPS)
    return Recognised(network, title, arguments, module.eval(), speed), source


def _built(network: Network, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        return network.build(**arguments)
    except (ValueError, RuntimeError, ZeroDivisionError, TypeError) as error:  # PyTorch's, of sizes that cannot be
        raise _impossible(network, arguments, error) from None


def _impossible(network: Network, arguments: Mapping[str, Any], error: Exception) -> UsageError:
    return UsageError(
        f"{network.name} cannot be built with {describe(arguments)}: {reason_of(error)}",
        hint="other --arch-args; ccc-export --list shows those of the paper's networks",
    )


def _scatter(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.data.add_(torch.rand_like(parameter) * 0.2 - 0.1)


def _normalise(module: nn.Module, preprocessing: Preprocessing, size: tuple[int, int]) -> None:
    """Sets the statistics of each normalisation to those of what reaches it from a scene."""

    def set_statistics(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None
        mean, variance = inputs[0].mean(dim=(0, 2, 3)), inputs[0].var(dim=(0, 2, 3))
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)

    frame = street_scene(SEED, *size).frame.astype(np.float32)  # (H, W, 3)
    image = (frame - np.array(preprocessing.mean)) / np.array(preprocessing.std) * preprocessing.scale
    hooks = [
        layer.register_forward_pre_hook(set_statistics)
        for layer in module.modules()
        if isinstance(layer, nn.BatchNorm2d)
    ]
    with torch.no_grad():
        module.eval()(torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32)))
    for hook in hooks:
        hook.remove()
