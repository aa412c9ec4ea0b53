"""Is there memory and disk for a build, and how much of it may the builder have."""

import pytest

from ccc_jetson.engines.machine import Memory
from ccc_jetson.engines.preflight import MIB, preflight, smaller_workspace, workspace_mib
from ccc_jetson.errors import BuildError

GIB = 1024 * MIB
PLENTY = 16 * GIB


def memory_of(available_mib, swap_mib=0, total_mib=7853):
    return Memory(total_mib * MIB, available_mib * MIB, swap_mib * MIB, swap_mib * MIB)


@pytest.mark.parametrize(
    "available_mib, expected",
    [(5480, 1024), (16000, 1024), (4096, 1024), (4095, 1008), (3000, 736), (1000, 240), (256, 64), (255, 64), (0, 64)],
)
def test_the_workspace_is_a_quarter_of_what_is_available_within_bounds(available_mib, expected):
    assert workspace_mib(None, available_mib * MIB) == expected


def test_the_automatic_workspace_is_never_all_there_is_nor_none():
    for available in range(0, 12 * GIB, 37 * MIB + 12345):
        found = workspace_mib(None, available)
        assert 64 <= found <= 1024 and found % 16 == 0
        assert found * MIB <= max(available // 4, 64 * MIB)


@pytest.mark.parametrize("asked", [1, 17, 64, 100000])
def test_the_users_own_workspace_is_taken_as_it_is(asked):
    assert workspace_mib(asked, 500 * MIB) == asked


def test_the_workspace_is_halved_down_to_16_mib_and_then_there_is_no_next():
    tried = [1024]
    while smaller_workspace(tried[-1]) is not None:
        tried.append(smaller_workspace(tried[-1]))
    assert tried == [1024, 512, 256, 128, 64, 32, 16]
    assert [smaller_workspace(mib) for mib in (100, 20, 17, 16, 15, 1)] == [50, 16, 16, None, None, None]


@pytest.mark.parametrize("integrated", [True, False])
def test_a_machine_with_room_has_nothing_to_say(integrated):
    assert preflight(memory_of(5480, 3926), 4 * GIB, PLENTY, 4 * MIB, integrated) == []


def test_enough_memory_needs_no_swap():
    assert preflight(memory_of(5480), None, PLENTY, 4 * MIB, True) == []


def test_a_disk_that_is_too_small_says_how_much_is_needed():
    for onnx_mib, needed in ((0, 32), (4, 40), (100, 232)):
        assert preflight(None, None, needed * MIB, onnx_mib * MIB, True) == []
        with pytest.raises(BuildError) as caught:
            preflight(None, None, needed * MIB - 1, onnx_mib * MIB, True)
        assert "{} MiB are free on the disk".format(needed - 1) in str(caught.value)
        assert "up to {} MiB are needed".format(needed) in str(caught.value)
        assert "sudo apt-get clean" in caught.value.hint


def test_a_board_without_memory_is_refused_with_the_command_that_frees_some():
    assert preflight(memory_of(300, 4096), None, PLENTY, 0, True)
    with pytest.raises(BuildError) as caught:
        preflight(memory_of(299, 4096), None, PLENTY, 0, True)
    assert "299 MiB of memory are available, for CPU and GPU together; a build needs at least 300 MiB" in str(
        caught.value
    )
    assert "sudo systemctl isolate multi-user.target" in caught.value.hint


def test_of_an_integrated_gpu_main_memory_is_what_counts():
    assert preflight(memory_of(5480, 3926), 50 * MIB, PLENTY, 0, True) == []


def test_where_main_memory_is_not_known_the_gpus_counts():
    assert preflight(None, 4 * GIB, PLENTY, 0, True) == []
    assert len(preflight(None, GIB, PLENTY, 0, True)) == 1
    with pytest.raises(BuildError, match="50 MiB of memory are available"):
        preflight(None, 50 * MIB, PLENTY, 0, True)


def test_a_graphics_card_that_is_full_is_refused():
    assert preflight(memory_of(8000), 300 * MIB, PLENTY, 0, False) == []
    with pytest.raises(BuildError, match="299 MiB of the GPU's memory are free; a build needs at least 300") as caught:
        preflight(memory_of(8000), 299 * MIB, PLENTY, 0, False)
    assert "nvidia-smi" in caught.value.hint


def test_little_memory_on_a_board_advises_to_end_the_desktop():
    assert preflight(memory_of(2048, 4096), None, PLENTY, 0, True) == []
    (warning,) = preflight(memory_of(2047, 4096), None, PLENTY, 0, True)
    assert warning.startswith("2047 MiB of memory are available, for CPU and GPU together")
    assert warning.endswith("over ssh: sudo systemctl isolate multi-user.target")


def test_little_memory_without_swap_advises_to_add_some_and_says_what_it_is_good_for():
    desktop, swap = preflight(memory_of(1200), None, PLENTY, 0, True)
    assert "sudo systemctl isolate multi-user.target" in desktop
    assert "there is no swap" in swap
    assert "what the GPU allocates is never swapped" in swap
    assert swap.endswith(
        ": sudo fallocate -l 4G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile"
    )


def test_a_pc_with_little_memory_is_told_of_swap_alone():
    (warning,) = preflight(memory_of(100), 8 * GIB, PLENTY, 0, False)
    assert "there is no swap" in warning and "systemctl" not in warning


def test_what_is_not_known_is_not_judged():
    assert preflight(None, None, PLENTY, 4 * MIB, True) == []
    assert preflight(None, None, PLENTY, 4 * MIB, False) == []
