"""Counting: the paper's tables, the authors' own logs, and what each rule means."""

import pytest
import torch
from torch import nn

from ccc_jetson.export.complexity import AUTHORS_LOG, AUTHORS_LOG_V2, TABLE_1, TABLE_4, count, total
from ccc_jetson.export.networks.blocks import CccBlock
from ccc_jetson.export.networks.c3net import C3Net, C3NetV2, ccc_pyramid
from ccc_jetson.export.networks.erfnet import ERFnet
from ccc_jetson.export.networks.espnet import ESPnet, esp_pyramid
from ccc_jetson.export.networks.families import NETWORKS
from ccc_jetson.export.networks.paper import NAMED
from ccc_jetson.export.networks.pyramid import PyramidModule

FULL = (1, 3, 512, 1024)
CCC1, CCC2 = (2, 4, 8, 16), (2, 3, 7, 13)
ROWS = [(named, row) for named in NAMED for row in named.rows]

# Everything the paper's tables print of these networks, as (table, title): parameters in millions, GFLOPs
PRINTED = {
    ("Table 2", "CCC1"): (0.198, 6.45),
    ("Table 2", "CCC2"): (0.192, 6.29),
    ("Table 2", "CCC-ESPnet"): (0.21, 6.75),
    ("Table 2", "ESPnet"): (0.364, 9.67),
    ("Table 2", "ESPnet-tiny"): (0.202, 6.48),
    ("Table 2", "ERFnet"): (2.1, 53.48),
    ("Table 2", "CCC-ERFnet"): (1.45, 43.34),
    ("Table 2", "DRN-A50"): (23.55, 400.15),
    ("Table 2", "DRN-C26"): (20.62, 355.18),
    ("Table 2", "CCC-DRN-A50"): (16.79, 289.28),
    ("Table 2", "CCC-DRN-C26"): (7.34, 137.44),
    ("Table 3 (1)", "ESPnet"): (0.364, 9.07),
    ("Table 3 (2)", "ds-ESPnet"): (0.128, 4.93),
    ("Table 3 (3)", "CCC1, structure A"): (0.152, 5.44),
    ("Table 3 (4)", "CCC1, structure A, deeper"): (0.187, 6.26),
    ("Table 3 (5)", "CCC1, structure B"): (0.58, 15.68),
    ("Table 3 (6)", "CCC1, structure C"): (0.194, 6.40),
    ("Table 3 (7)", "CCC1"): (0.198, 6.45),
    ("Table 4", "DRN-A34"): (21.8, 17.33),
    ("Table 4", "DRN-A50"): (25.6, 19.15),
    ("Table 4", "DRN-C26"): (21.1, 17.0),
    ("Table 4", "DRN-C42"): (31.2, 25.1),
    ("Table 4", "CCC-DRN-A50"): (18.8, 13.85),
    ("Table 4", "CCC-DRN-C26"): (7.85, 6.59),
    ("Table 4", "CCC-DRN-C28*"): (13.11, 10.72),
    ("Table 4", "CCC-DRN-C42"): (9.63, 8.17),
    ("Table 4", "CCC-DRN-C44*"): (14.9, 12.3),
}
# By name and table: what differs by more than half a percent, in percent of parameters and FLOPs
EXPLAINED = {
    ("ccc-espnet", "Table 2"): (2.52, 0.36),
    ("espnet", "Table 2"): (0.16, -1.50),
    ("espnet-training", "Table 3 (1)"): (0.30, 6.57),
    ("espnet-tiny", "Table 2"): (0.32, 6.29),
    ("espnet-tiny-training", "Table 2"): (0.59, -0.02),
    ("erfnet", "Table 2"): (-1.58, 0.00),
}


def on_meta(family, arguments):
    network = next(each for each in NETWORKS if each.name == family)
    with torch.device("meta"):
        return network.build(**arguments)


@pytest.mark.parametrize(("named", "row"), ROWS, ids=[f"{named.name}-{row.table}" for named, row in ROWS])
def test_every_row_of_the_papers_tables_is_counted(named, row):
    counted = count(on_meta(named.family, named.arguments), (1, 3, named.height, named.width), row.rules)
    deviations = (
        100 * (counted.parameters / 1e6 / row.parameters_millions - 1),
        100 * (counted.flops / 1e9 / row.gflops - 1),
    )
    expected = EXPLAINED.get((named.name, row.table))
    if expected is None:
        assert max(map(abs, deviations)) <= 0.5, deviations
        assert not row.reason
    else:
        assert deviations == pytest.approx(expected, abs=0.006)
        assert row.reason


def test_the_rows_are_all_those_of_the_tables():
    assert {(row.table, named.title): (row.parameters_millions, row.gflops) for named, row in ROWS} == PRINTED


@pytest.mark.parametrize(
    ("family", "arguments", "parameters"),
    [
        ("c3netv2", {}, 187_378),
        ("espnet", {}, 364_569),
        ("espnet", {"q": 5}, 267_417),
        ("espnet", {"q": 3}, 202_649),
        ("espnet", {"classes": 12, "decoder": "training"}, 354_517),
        ("espnet-c", {}, 349_449),
        ("espnet-c", {"q": 5}, 252_297),
        ("espnet-c", {"q": 3}, 187_529),
    ],
)
def test_released_checkpoints_have_as_many_parameters(family, arguments, parameters):
    assert count(on_meta(family, arguments), (1, 3, 64, 64)).parameters == parameters


@pytest.mark.parametrize(("dilations", "parameters", "gflops"), [(CCC1, 198_434, 6.4530), (CCC2, 191_614, 6.2892)])
def test_the_papers_two_networks_to_the_unit(dilations, parameters, gflops):
    counted = count(C3Net(20, 2, 8, dilations), FULL)
    assert counted.parameters == parameters
    assert round(counted.flops / 1e9, 4) == gflops


def test_the_authors_training_logs_are_met_to_the_unit():
    assert count(C3Net(dilations=CCC2), FULL, AUTHORS_LOG).flops == 3_580_461_056
    assert count(C3NetV2(dilations=CCC1), FULL, AUTHORS_LOG_V2).flops == 5_444_567_040


TABLE_1_ROWS = [  # module, part, parameters, MFLOP as printed
    ("ESP", "reduction", 3200, 104.9),
    ("ESP", "branches", 28_800, 943.7),
    ("ESP", "residual", 0, 0.016),
    ("CCC", "reduction", 4096, 134.2),
    ("CCC", "branches", 9472, 299.9),
    ("CCC", "residual", 0, 0.016),
    ("CCC", "total", 13_568, 434.13),
]


def table_1_parts(pyramid):
    """Parameters and FLOPs of each part of a module with 128 channels at 128x128; without what ends it."""
    counted = count(PyramidModule(128, 128, pyramid, residual=True), (1, 128, 128, 128), TABLE_1)
    parts = {
        "reduction": [layer for layer in counted.layers if layer.name.startswith("c1")],
        "branches": [layer for layer in counted.layers if layer.name.startswith("d")],
        "additions": [layer for layer in counted.layers if layer.kind == "add"],
    }
    parts["residual"] = parts["additions"][-1:]
    parts["total"] = [*parts["reduction"], *parts["branches"], *parts["additions"]]
    return {name: (sum(each.parameters for each in layers), total(layers).flops) for name, layers in parts.items()}


@pytest.mark.parametrize(("module", "part", "parameters", "mflop"), TABLE_1_ROWS)
def test_every_row_of_table_1_is_counted(module, part, parameters, mflop):
    counted = table_1_parts(esp_pyramid("dense") if module == "ESP" else ccc_pyramid(CCC1, "CNL"))[part]
    assert counted[0] == parameters
    assert counted[1] / 1e6 == pytest.approx(mflop, rel=0.025 if part == "residual" else 0.0005)


def test_table_1_s_totals_of_the_esp_module_are_explained():
    """The printed 31,325 parameters are A + 5 * 25 * 25 * 9: the table's own B has 28 outputs in its first branch.

    Its C counts four additions where the fusion has three: 0.016 of 1,048.66 MFLOP (1,048.8 printed).
    """
    parts = table_1_parts(esp_pyramid("dense"))
    assert parts["total"][0] == 32_000
    assert parts["reduction"][0] + 5 * 25 * 25 * 9 == 31_325
    assert parts["additions"][1] == 4 * 128 * 128
    assert parts["total"][1] + 128 * 128 == 1_048_657_920
    assert parts["total"][1] / 1e6 == pytest.approx(1048.8, rel=0.0005)


def test_kinds_and_bytes_of_the_papers_network():
    counted = count(C3Net(dilations=CCC2), FULL)
    kinds = counted.by_kind()
    assert {kind: (each.calls, round(each.bytes_moved / 1e6, 1)) for kind, each in kinds.items()} == {
        "average pool": (3, 17.7),
        "conv": (4, 76.1),
        "batchnorm": (125, 534.8),
        "activation": (72, 402.4),
        "concat": (18, 253.5),
        "depth-wise conv": (156, 393.4),
        "1x1 conv": (65, 229.1),
        "add": (10, 151.0),
        "transposed conv": (3, 68.8),
    }
    assert round(counted.bytes_moved / 1e6) == 2127
    assert sum(each.flops for each in kinds.values()) == counted.flops
    assert sum(layer.parameters for layer in counted.layers) == counted.parameters
    assert counted.macs == sum(each.macs for each in kinds.values())


def test_a_functional_relu_moves_memory_and_counts_no_flops():
    counted = count(ERFnet(classes=5), (1, 3, 64, 64))
    activations = counted.by_kind()["activation"]
    assert (activations.calls, activations.flops) == (73, 0)
    assert activations.bytes_moved > 0


def test_a_shared_module_counts_each_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            return self.relu(self.relu(x) + x)

    counted = count(Twice(), (1, 2, 4, 4))
    assert counted.flops == 2 * 32
    assert [layer.kind for layer in counted.layers] == ["activation", "add", "activation"]


@pytest.mark.parametrize(
    ("layer", "shape", "flops", "table_4"),
    [
        (nn.Conv2d(4, 6, 3, padding=1, bias=False), (1, 4, 8, 8), 2 * 64 * 9 * 24, 64 * 9 * 24),
        (nn.Conv2d(4, 6, 3, padding=1), (1, 4, 8, 8), 2 * 64 * 9 * 24 + 6 * 64, 64 * 9 * 24 + 6 * 64),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), (1, 4, 8, 8), 2 * 64 * 9 * 4, 64 * 9 * 4),
        (nn.ConvTranspose2d(4, 6, 2, 2, bias=False), (1, 4, 8, 8), 2 * 64 * 4 * 24, 64 * 4 * 24),
        (nn.BatchNorm2d(4), (1, 4, 8, 8), 2 * 256, 2 * 256),
        (nn.PReLU(4), (1, 4, 8, 8), 256, 256),
        (nn.ReLU(), (1, 4, 8, 8), 256, 256),
        (nn.AvgPool2d(2), (1, 4, 8, 8), 256, 256),
        (nn.MaxPool2d(2), (1, 4, 8, 8), 0, 0),
        (nn.UpsamplingBilinear2d(scale_factor=2), (1, 4, 8, 8), 13 * 256, 13 * 256),
        (nn.Upsample(scale_factor=2, mode="nearest"), (1, 4, 8, 8), 0, 0),
        (nn.Linear(4, 6), (1, 4), 2 * 24, 24),
        (nn.Dropout(), (1, 4, 8, 8), 0, 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_each_rule_of_table_5(layer, shape, flops, table_4):
    assert count(layer, shape).flops == flops
    assert count(layer, shape, TABLE_4).flops == table_4


def test_flops_grow_with_batch_and_pixels():
    network = C3Net(20, 1, 1, CCC2)
    one = count(network, (1, 3, 64, 128))
    assert count(network, (2, 3, 64, 128)).flops == 2 * one.flops
    assert count(network, (1, 3, 128, 256)).macs == 4 * one.macs


def test_counting_leaves_the_network_as_it_was():
    network = C3Net(20, 1, 1, CCC2)
    count(network, (1, 3, 64, 128))
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"cpu"}
    assert not any(layer._forward_hooks for layer in network.modules())


def test_a_module_evaluates_its_reduction_once():
    module = PyramidModule(8, 8, ccc_pyramid(CCC2, "CNL"), residual=True)
    calls = []
    module.c1.register_forward_hook(lambda *ignored: calls.append(1))
    module(torch.zeros(1, 8, 32, 32))
    assert calls == [1]


@pytest.mark.parametrize("structure", ["A", "B", "C", "CNL"])
@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_a_block_of_any_structure_keeps_the_size(structure, dilation):
    block = CccBlock(4, 6, dilation, structure)
    assert block(torch.zeros(1, 4, 20, 24)).shape == (1, 6, 20, 24)


@pytest.mark.parametrize(
    "build", [lambda: CccBlock(4, 4, 2, "D"), lambda: ESPnet(block="x"), lambda: ESPnet(decoder="x")]
)
def test_a_builder_refuses_words_it_does_not_know(build):
    with pytest.raises(ValueError, match="there are"):
        build()
