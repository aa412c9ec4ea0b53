"""The networks that export knows: how to build them, and how to recognise them in a state dict.

A rule reads the arguments from keys and shapes; strict loading into the network built from them is the proof.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ccc_jetson.contract import Preprocessing, Published
from ccc_jetson.errors import CheckpointError
from ccc_jetson.export.networks.c3net import DOWNSCALE, C3Net
from ccc_jetson.targets import PAPER_TARGETS

# Of the authors' training code, in B, G, R; the division by 255 comes after the one by std (verified on real frames)
CITYSCAPES_BGR = Preprocessing(
    "BGR", (72.3923111, 82.9089355, 73.1584015), (45.3192215, 46.1528931, 44.9148331), 1 / 255
)


class Network(NamedTuple):
    """An entry of the registry.

    ``arguments`` reads the builder's arguments from a state dict, with the paper's where a key is missing, so that a
    nearest match can always be named. ``multiple`` is what width and height of the input must be multiples of.
    """

    name: str
    build: Callable[..., nn.Module]
    arguments: Callable[[Mapping[str, Tensor]], dict[str, Any]]
    title: Callable[[Mapping[str, Any]], str]
    preprocessing: Preprocessing
    multiple: int


class Recognised(NamedTuple):
    """A network with its weights loaded, in evaluation mode."""

    network: Network
    title: str
    arguments: dict[str, Any]
    module: nn.Module
    published: tuple[Published, ...]


class Difference(NamedTuple):
    """How a state dict differs from a network's."""

    missing: list[str]
    unexpected: list[str]
    misshapen: list[str]

    @property
    def keys(self) -> int:
        """How many keys differ."""
        return len(self.missing) + len(self.unexpected) + len(self.misshapen)

    def __str__(self) -> str:
        """Every key, those of one layer stack on one line."""
        lines = [f"  missing: {line}" for line in _by_stack(self.missing)]
        lines += [f"  unexpected: {line}" for line in _by_stack(self.unexpected)]
        return "\n".join(lines + [f"  misshapen: {line}" for line in self.misshapen])


def _c3net_arguments(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """p and q by counting, class count and widths from shapes, dilations from the asymmetric kernels (2d - 1)."""
    kernels = {}
    for key, tensor in state.items():
        branch = re.fullmatch(r"encoder\.level2_0\.d(\d+)\.conv\.0\.weight", key)
        if branch and tensor.ndim == 4 and tensor.shape[3] == 1 and tensor.shape[2] % 2 == 1 and tensor.shape[2] >= 3:
            kernels[int(branch[1])] = tensor.shape[2]
    dilations = tuple((kernels[branch] + 1) // 2 for branch in sorted(kernels))
    widths = ("encoder.level1.conv.weight", "encoder.level2_0.bn.weight", "encoder.level3_0.bn.weight")
    return {
        "classes": _first_size(state, "encoder.classifier.conv.weight", 20),
        "p": _modules(state, "encoder.level2"),
        "q": _modules(state, "encoder.level3"),
        "dilations": dilations or (2, 4, 8, 16),
        "channels": tuple(_first_size(state, key, usual) for key, usual in zip(widths, (16, 64, 128), strict=True)),
    }


def _c3net_title(arguments: Mapping[str, Any]) -> str:
    names = {(2, 4, 8, 16): "CCC1", (2, 3, 7, 13): "CCC2"}
    is_papers = (arguments["p"], arguments["q"], arguments["channels"]) == (2, 8, (16, 64, 128))
    return names.get(arguments["dilations"], "C3Net") if is_papers else "C3Net"


NETWORKS = (Network("c3net", C3Net, _c3net_arguments, _c3net_title, CITYSCAPES_BGR, DOWNSCALE),)


def recognise(state: Mapping[str, Tensor], origin: str) -> Recognised:
    """The network that a state dict belongs to, with the weights loaded strictly.

    ``num_batches_tracked`` may be absent, as in checkpoints of old PyTorch versions. ``origin`` names the file.

    Raises:
        CheckpointError: no network fits; the message lists what is known, the nearest match and every difference.
    """
    candidates = []
    for network in NETWORKS:
        arguments = network.arguments(state)
        try:
            with torch.device("meta"):
                expected = network.build(**arguments).state_dict()
        except (ValueError, RuntimeError, ZeroDivisionError):  # sizes that no network can be built with
            continue
        candidates.append((compare(state, expected), network, arguments))
    if not candidates:
        raise CheckpointError(f"{origin}: no known network can have these sizes\n  {_known()}")
    difference, network, arguments = min(candidates, key=lambda candidate: candidate[0].keys)
    title = network.title(arguments)
    if difference.keys:
        raise CheckpointError(
            f"{origin}: no known network\n  {_known()}\n"
            f"  nearest: {title} ({describe(arguments)}); {difference.keys} keys differ\n{difference}",
            hint="train or convert it with the names and shapes above; ccc-export knows the paper's C3Net so far",
        )
    module = network.build(**arguments)
    module.load_state_dict({**_counters(module), **state}, strict=True)
    published = tuple(
        figure
        for paper in PAPER_TARGETS
        if paper.network == title
        for figure in (
            Published("mIoU %", paper.miou_percent, "Cityscapes, paper"),
            Published("FPS", paper.fps_tx2, "Jetson TX2, 1024x512, paper"),
        )
    )
    return Recognised(network, title, arguments, module.eval(), published)


def compare(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Difference:
    """Every difference at once; counters of batches may be missing."""
    return Difference(
        missing=[key for key in expected if key not in found and not _is_counter(key)],
        unexpected=[key for key in found if key not in expected],
        misshapen=[
            f"{key} is {_shape(found[key])}, expected {_shape(tensor)}"
            for key, tensor in expected.items()
            if key in found and found[key].shape != tensor.shape
        ],
    )


def describe(arguments: Mapping[str, Any]) -> str:
    """Arguments for people: ``p 2, q 8, dilations 2 3 7 13, ...``."""
    return ", ".join(
        f"{key} {' '.join(map(str, value)) if isinstance(value, tuple | list) else value}"
        for key, value in arguments.items()
    )


def _is_counter(key: str) -> bool:
    return key.endswith(".num_batches_tracked")


def _counters(module: nn.Module) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in module.state_dict().items() if _is_counter(key)}


def _first_size(state: Mapping[str, Tensor], key: str, usual: int) -> int:
    return state[key].shape[0] if key in state and state[key].ndim else usual


def _modules(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({match[1] for key in state if (match := re.match(re.escape(prefix) + r"\.(\d+)\.", key))})


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _known() -> str:
    return "known: " + ", ".join(network.name for network in NETWORKS)


def _by_stack(keys: list[str]) -> list[str]:
    """``encoder.level2.0.d1.conv: 0.weight 1.weight ...`` for each stack of layers."""
    stacks: dict[str, list[str]] = {}
    for key in keys:
        parts = key.rsplit(".", 2)
        stacks.setdefault(".".join(parts[:-2]), []).append(".".join(parts[-2:]))
    return [f"{stack}: {' '.join(names)}" if stack else " ".join(names) for stack, names in stacks.items()]
