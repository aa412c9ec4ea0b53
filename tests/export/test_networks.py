"""The networks against the paper's figures and the authors' weights; recognition; counting."""

import pytest
import torch

from ccc_jetson.errors import CheckpointError
from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.complexity import count
from ccc_jetson.export.networks.blocks import CccModule, split_channels
from ccc_jetson.export.networks.c3net import C3Net
from ccc_jetson.export.networks.registry import recognise
from tests.export.conftest import small_state

CCC1, CCC2 = (2, 4, 8, 16), (2, 3, 7, 13)


@pytest.mark.parametrize(("dilations", "parameters", "gflops"), [(CCC1, 198_434, 6.4530), (CCC2, 191_614, 6.2892)])
def test_parameters_and_flops_are_those_of_table_2(dilations, parameters, gflops):
    counted = count(C3Net(20, 2, 8, dilations), (1, 3, 512, 1024))
    assert counted.parameters == parameters
    assert round(counted.flops / 1e9, 4) == gflops


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


def test_a_biased_convolution_counts_its_additions():
    layer = torch.nn.Conv2d(3, 4, 3, padding=1)
    counted = count(layer, (1, 3, 8, 8))
    assert counted.macs == 8 * 8 * 9 * 3 * 4
    assert counted.flops == 2 * counted.macs + 4 * 8 * 8


def test_a_module_evaluates_its_reduction_once():
    module = CccModule(8, 8, CCC2, residual=True)
    calls = []
    module.c1.register_forward_hook(lambda *ignored: calls.append(1))
    module(torch.zeros(1, 8, 32, 32))
    assert calls == [1]


def test_the_first_branch_takes_what_four_do_not_divide():
    assert split_channels(19, 4) == [7, 4, 4, 4]


def test_output_has_the_size_of_the_input():
    assert C3Net(5, 1, 1, CCC2, (8, 16, 32))(torch.zeros(2, 3, 40, 72)).shape == (2, 5, 40, 72)


def test_the_authors_checkpoint_is_recognised_as_ccc2(shared_data):
    found = recognise(load_checkpoint(shared_data("C3Net_setting2.pth")).state, "c3")
    assert found.title == "CCC2"
    assert found.arguments == {"classes": 20, "p": 2, "q": 8, "dilations": CCC2, "channels": (16, 64, 128)}
    assert [(figure.figure, figure.value) for figure in found.published] == [("mIoU %", 61.96), ("FPS", 16.4)]
    assert not found.module.training


@pytest.mark.parametrize(
    "arguments",
    [
        {"classes": 20, "p": 2, "q": 8, "dilations": CCC1, "channels": (16, 64, 128)},
        {"classes": 19, "p": 1, "q": 3, "dilations": (2, 3), "channels": (8, 16, 24)},
        {"classes": 7, "p": 3, "q": 1, "dilations": (5, 2, 2), "channels": (4, 12, 36)},
        {"classes": 12, "p": 2, "q": 2, "dilations": (2, 3, 7, 13, 4), "channels": (16, 40, 80)},
    ],
)
def test_any_depth_width_class_count_and_dilations_are_read_from_the_keys(arguments):
    state = small_state(**arguments)
    found = recognise(state, "a")
    assert found.arguments == arguments
    image = torch.randn(1, 3, 32, 64)
    reference = C3Net(**arguments).eval()
    reference.load_state_dict(state)
    assert torch.equal(found.module(image), reference(image))


def test_absent_batch_counters_do_not_matter():
    state = {key: value for key, value in small_state().items() if not key.endswith("num_batches_tracked")}
    assert recognise(state, "a").title == "C3Net"


def test_an_unknown_network_gets_the_list_the_nearest_match_and_every_difference():
    state = small_state()
    state["encoder.classifier.conv.weight"] = torch.zeros(20, 63, 1, 1)
    state["extra.layer.weight"] = torch.zeros(1)
    del state["br.bias"]
    del state["encoder.level3.1.d2.conv.0.weight"]
    with pytest.raises(CheckpointError) as caught:
        recognise(state, "weights.pth")
    message = str(caught.value)
    assert "weights.pth: no known network" in message
    assert "known: c3net" in message
    assert "nearest: C3Net (classes 20, p 1, q 2, dilations 2 3 4 5, channels 8 16 32); 4 keys differ" in message
    assert "missing: br.bias" in message
    assert "missing: encoder.level3.1.d2.conv: 0.weight" in message
    assert "unexpected: extra: layer.weight" in message
    assert "misshapen: encoder.classifier.conv.weight is 20x63x1x1, expected 20x64x1x1" in message


def test_another_familys_checkpoint_is_no_c3net(shared_data):
    state = load_checkpoint(shared_data("espnet_p_2_q_8.pth")).state
    with pytest.raises(CheckpointError, match="nearest: CCC1"):
        recognise(state, "espnet")


def test_sizes_that_no_network_can_have_are_an_error_too():
    state = small_state()
    state["encoder.level2_0.bn.weight"] = torch.zeros(0)
    with pytest.raises(CheckpointError, match="no known network"):
        recognise(state, "a")
