"""The export's tests run where it does: Python 3.10 or newer with torch."""

import sys

import pytest

collect_ignore_glob = ["test_*", "*/test_*"] if sys.version_info < (3, 10) else []


def small_state(seed=0, **arguments):
    """State dict of a narrow C3Net with weights that differ from layer to layer."""
    import torch

    from ccc_jetson.export.networks.c3net import C3Net

    torch.manual_seed(seed)
    module = C3Net(**{"p": 1, "q": 2, "channels": (8, 16, 32), "dilations": (2, 3, 4, 5), **arguments})
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(torch.rand_like(tensor) * 0.1)
    return module.state_dict()


@pytest.fixture(autouse=True)
def one_torch_thread():
    """Networks this small gain nothing from threads, and lose much to waiting where the cores are busy."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def checkpoint(tmp_path):
    """Path of a small C3Net's checkpoint."""
    import torch

    path = tmp_path / "weights.pth"
    torch.save(small_state(), str(path))
    return str(path)
