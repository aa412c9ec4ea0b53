"""C3Net against the authors' weights, and how it is recognised; ``test_every_network.py`` is about all networks."""

import pytest
import torch

from ccc_jetson.errors import CheckpointError
from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.networks.blocks import split_channels
from ccc_jetson.export.networks.c3net import C3Net
from ccc_jetson.export.networks.registry import recognise
from tests.export.conftest import small_state

CCC1, CCC2 = (2, 4, 8, 16), (2, 3, 7, 13)


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


def test_sizes_that_no_network_can_have_are_an_error_too():
    state = small_state()
    state["encoder.level2_0.bn.weight"] = torch.zeros(0)
    with pytest.raises(CheckpointError, match="no known network"):
        recognise(state, "a")
