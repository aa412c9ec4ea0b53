"""What can be said of a checkpoint without exporting it: the work behind ``ccc-inspect CKPT``."""

import os
from typing import Any, NamedTuple

import torch
from torch import nn

from ccc_jetson.contract import Published
from ccc_jetson.engines.inspect_text import Row, page, table, weight_rows
from ccc_jetson.errors import CheckpointError
from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.complexity import Complexity, count
from ccc_jetson.export.networks.registry import Recognised, describe, recognise
from ccc_jetson.weight_ranges import WeightRanges, weight_ranges

_LARGEST_SHOWN = 5
_DIFFERENCES = ("missing:", "unexpected:", "misshapen:")  # hundreds of lines where another network is meant


class Network(NamedTuple):
    """What a recognised checkpoint is, counted at its usual input size. ``batch_norms`` counts its BatchNorms."""

    family: str
    title: str
    arguments: dict[str, Any]
    width: int
    height: int
    complexity: Complexity
    batch_norms: int
    published: tuple[Published, ...]


class StoredTensor(NamedTuple):
    """A tensor of the state dict and the largest magnitude in it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    largest: float


class CheckpointReport(NamedTuple):
    """Everything that is known of a checkpoint; ``unknown`` says why it is no known network where it is none."""

    path: str
    size_bytes: int
    sha256: str
    network: Network | None
    unknown: str
    tensors: tuple[StoredTensor, ...]
    weights: WeightRanges

    def to_json(self) -> dict[str, Any]:
        """The report for machines."""
        network = self.network
        return {
            "kind": "checkpoint",
            "path": self.path,
            "bytes": self.size_bytes,
            "sha256": self.sha256,
            "network": None
            if network is None
            else {
                "name": network.family,
                "title": network.title,
                "arguments": network.arguments,
                "parameters": network.complexity.parameters,
                "flops": network.complexity.flops,
                "macs": network.complexity.macs,
                "counted_at": {"width": network.width, "height": network.height},
                "batch_norms": network.batch_norms,
                "published": [figure._asdict() for figure in network.published],
            },
            "unknown": self.unknown or None,
            "weights": self.weights.to_json(),
            "tensors": [tensor._asdict() for tensor in self.tensors],
        }


def inspect_checkpoint(path: str) -> CheckpointReport:
    """Loads the checkpoint without executing anything in it, and says what it is.

    Raises:
        FileProblem: it is missing or unreadable.
        CheckpointError: it is damaged or wants to run code. One of an unknown network is no error here.
    """
    loaded = load_checkpoint(path)
    arrays = {
        name: tensor.to(torch.float32).numpy()
        for name, tensor in loaded.state.items()
        if tensor.is_floating_point()  # the others count batches
    }
    network, unknown = None, ""
    try:
        network = _network(recognise(loaded.state, path))
    except CheckpointError as error:
        unknown = str(error).removeprefix(f"{path}: ")
    tensors = [
        StoredTensor(
            name,
            str(tensor.dtype).removeprefix("torch."),
            tuple(tensor.shape),
            weight_ranges([arrays[name]]).largest or 0.0 if name in arrays else 0.0,
        )
        for name, tensor in loaded.state.items()
    ]
    return CheckpointReport(
        path=path,
        size_bytes=os.path.getsize(path),
        sha256=loaded.sha256,
        network=network,
        unknown=unknown,
        tensors=tuple(tensors),
        weights=weight_ranges(arrays.values()),
    )


def checkpoint_page(report: CheckpointReport) -> str:
    """The page for people."""
    rows: list[Row] = [
        ("file", f"{report.path}: PyTorch checkpoint, {report.size_bytes / 1e6:.2f} MB"),
        ("sha256", report.sha256),
        *_network_rows(report),
        ("tensors", f"{len(report.tensors):,}, with BatchNorm's running statistics"),
        *weight_rows(report.weights),
    ]
    largest = sorted(report.tensors, key=lambda tensor: -tensor.largest)[:_LARGEST_SHOWN]
    shown = [
        [tensor.name, tensor.dtype, "x".join(map(str, tensor.shape)) or "a number", f"{tensor.largest:.6g}"]
        for tensor in largest
    ]
    return page(rows) + "\n\n" + table(["largest in", "type", "shape", "magnitude"], shown, 3)


def _network_rows(report: CheckpointReport) -> list[Row]:
    network = report.network
    if network is None:
        lines = [line for line in report.unknown.splitlines() if not line.lstrip().startswith(_DIFFERENCES)]
        return [("network", line.strip()) for line in lines] + [("network", "ccc-export lists every difference")]
    counted = network.complexity
    return [
        ("network", f"{network.title} ({network.family}): {describe(network.arguments)}"),
        ("parameters", f"{counted.parameters:,}, {network.batch_norms} BatchNorms"),
        (
            "FLOPs",
            f"{counted.flops / 1e9:.4f} G at {network.width}x{network.height} by the paper's Table 5; "
            f"{counted.macs / 1e9:.4f} G multiply-adds in convolutions",
        ),
        *(("published", f"{figure.figure} {figure.value:g} ({figure.where})") for figure in network.published),
    ]


def _network(recognised: Recognised) -> Network:
    batch_norms = sum(isinstance(module, nn.BatchNorm2d) for module in recognised.module.modules())
    width, height = recognised.defaults.width, recognised.defaults.height
    complexity = count(recognised.module, (1, 3, height, width))
    arguments = {key: list(value) if isinstance(value, tuple) else value for key, value in recognised.arguments.items()}
    return Network(
        recognised.network.name,
        recognised.title,
        arguments,
        width,
        height,
        complexity,
        batch_norms,
        recognised.published,
    )
