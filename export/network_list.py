"""Every network by name: what is counted, beside what the paper prints. The work behind ``ccc-export --list``."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from ccc_jetson.export.complexity import Complexity, count
from ccc_jetson.export.networks.entry import NamedNetwork, Network, PaperRow
from ccc_jetson.export.networks.families import NETWORKS
from ccc_jetson.export.networks.paper import NAMED
from ccc_jetson.export.networks.registry import describe, json_arguments
from ccc_jetson.tables import aligned_table

ALLOWED_PERCENT = 0.5  # deviation of a row that needs no reason
_HEADINGS = ("name", "network", "parameters", "paper", "dev %", "GFLOP", "paper", "dev %", "MMAC", "MB", "row")


class Compared(NamedTuple):
    """A row of the paper's tables beside our count by that table's rules; deviations in percent of the paper's."""

    row: PaperRow
    parameters: int
    flops: int

    @property
    def deviations(self) -> tuple[float, float]:
        """Of parameters and FLOPs."""
        return (
            100 * (self.parameters / 1e6 / self.row.parameters_millions - 1),
            100 * (self.flops / 1e9 / self.row.gflops - 1),
        )

    @property
    def deviates(self) -> bool:
        """Whether the row needs a reason."""
        return max(map(abs, self.deviations)) > ALLOWED_PERCENT


class Listed(NamedTuple):
    """A network, counted by Table 5, and its rows in the paper."""

    named: NamedNetwork
    network: Network
    complexity: Complexity
    rows: tuple[Compared, ...]


def listed() -> tuple[Listed, ...]:
    """All networks, in the order of the paper's tables. Takes some seconds."""
    return tuple(_counted(named) for named in NAMED)


def _counted(named: NamedNetwork) -> Listed:
    network = next(each for each in NETWORKS if each.name == named.family)
    shape = (1, 3, named.height, named.width)
    with torch.device("meta"):
        module = network.build(**named.arguments)
    rows = []
    for row in named.rows:
        counted = count(module, shape, row.rules)
        rows.append(Compared(row, counted.parameters, counted.flops))
    return Listed(named, network, count(module, shape), tuple(rows))


def text_table(networks: Sequence[Listed]) -> list[str]:
    """The table for people, and below it why rows deviate and what others measured."""
    rows = [_HEADINGS, *(cells for each in networks for cells in _cells(each))]
    why = [f"{name}, {reason}" for name, reason in reasons(networks)]
    others = [f"{name}: {figure}" for name, figure in published(networks)]
    return [aligned_table(rows, left=(0, 1, 10)), "", *_NOTES, "", *why, "", *others]


_NOTES = (
    "paper: as printed there; dev: our count's deviation from it. GFLOP by the rules of the row's table (Table 5; in",
    "Table 4 a multiply-add counts 1). MMAC: million multiply-adds. MB: moved in FP32 if every layer reads and writes",
    "memory. Counted at 1024x512, networks for classification at 224x224.",
)


def published(networks: Sequence[Listed]) -> list[tuple[str, str]]:
    """Name and what others measured with that network, as they published it."""
    return [
        (each.named.name, f"published {figure.figure} {figure.value:g} ({figure.where})")
        for each in networks
        for figure in each.named.published
    ]


def reasons(networks: Sequence[Listed]) -> list[tuple[str, str]]:
    """Name and "table: reason" of every row that deviates."""
    return [
        (each.named.name, f"{compared.row.table}: {compared.row.reason}")
        for each in networks
        for compared in each.rows
        if compared.deviates
    ]


def to_json(networks: Sequence[Listed]) -> list[dict[str, Any]]:
    """The list for machines."""
    return [
        {
            "name": each.named.name,
            "title": each.named.title,
            "family": each.network.name,
            "task": each.network.task,
            "arguments": json_arguments(each.network.complete(each.named.arguments)),
            "counted_at": {"width": each.named.width, "height": each.named.height},
            "parameters": each.complexity.parameters,
            "flops": each.complexity.flops,
            "macs": each.complexity.macs,
            "bytes_moved": each.complexity.bytes_moved,
            "kinds": {kind: total._asdict() for kind, total in each.complexity.by_kind().items()},
            "paper": [
                {
                    "table": compared.row.table,
                    "parameters_millions": compared.row.parameters_millions,
                    "gflops": compared.row.gflops,
                    "counted_flops": compared.flops,
                    "deviation_percent": dict(zip(("parameters", "flops"), compared.deviations, strict=True)),
                    "reason": compared.row.reason or None,
                }
                for compared in each.rows
            ],
            "published": [figure._asdict() for figure in each.named.published],
        }
        for each in networks
    ]


def markdown(networks: Sequence[Listed]) -> str:
    """The list as the generated part of ``docs/networks.md``."""
    lines = [_markdown_row(_HEADINGS), _markdown_row(["---", "---", *["---:"] * 8, "---"])]
    lines += [_markdown_row([f"`{cells[0]}`", *cells[1:]]) for each in networks for cells in _cells(each)]
    lines += ["", *(f"- `{name}`, {why}." for name, why in reasons(networks))]
    lines += [f"- `{name}`: {figure}." for name, figure in published(networks)]
    lines += [""]
    lines += [_markdown_row(["family", "arguments, with their defaults", "multiple of", "no state dict tells"])]
    lines += [_markdown_row(["---"] * 4)]
    for network in NETWORKS:
        cells = [f"`{network.name}`", describe(network.complete({})), str(network.multiple), network.untold or "-"]
        lines.append(_markdown_row(cells))
    return "\n".join(lines)


def _cells(each: Listed) -> list[tuple[str, ...]]:
    """A line for each row of the paper; one where there is none."""
    name, title, complexity = each.named.name, each.named.title, each.complexity
    more = (f"{complexity.macs / 1e6:,.0f}", f"{complexity.bytes_moved / 1e6:,.0f}")
    parameters = f"{complexity.parameters:,}"
    if not each.rows:
        return [(name, title, parameters, "-", "-", f"{complexity.flops / 1e9:.4f}", "-", "-", *more, "-")]
    return [
        (
            name,
            title,
            parameters,
            f"{compared.row.parameters_millions:g} M",
            f"{compared.deviations[0]:+.2f}",
            f"{compared.flops / 1e9:.4f}",
            f"{compared.row.gflops:.2f}",
            f"{compared.deviations[1]:+.2f}",
            *more,
            compared.row.table,
        )
        for compared in each.rows
    ]


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("*", r"\*") for cell in cells) + " |"
