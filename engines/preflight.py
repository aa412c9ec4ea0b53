"""Is there memory and disk for a build? Asked before it, for afterwards there is only the kernel's "Killed"."""

from typing import List, Optional

from ccc_jetson.engines.machine import Memory
from ccc_jetson.errors import BuildError

MIB = 1 << 20

_WORKSPACE_SHARE = 4  # one part in four: libraries, weights and activations need the rest
_LEAST_WORKSPACE_MIB, _MOST_WORKSPACE_MIB, _WORKSPACE_STEP_MIB = 64, 1024, 16
_LEAST_RETRY_MIB = 16  # what trtexec of TensorRT 8.2 gives by default; less would not be worth a build

# cuDNN and cuBLAS take about 400 MB of CPU memory and as much of the GPU's as soon as TensorRT 8 loads them
# (NVIDIA/TensorRT issue 2217): with less than this not even they find room, whatever the kernel swaps out for them
LEAST_MEMORY_MIB = 300
# Those libraries, a workspace of a quarter, and the activations of the layer that is being timed, in and out
LITTLE_MEMORY_MIB = 2048

# TensorRT keeps some weights in a larger form (Winograd turns 3x3 into 4x4, 16/9 of the bytes), and the plan holds its
# kernels' code
_PLAN_PER_ONNX, _PLAN_CODE_MIB = 2, 32

END_DESKTOP = "sudo systemctl isolate multi-user.target"
ADD_SWAP = (
    "sudo fallocate -l 4G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile"
)


def workspace_mib(asked: Optional[int], available_bytes: int) -> int:
    """The memory in MiB that the builder may try tactics in; always to be set, for no default of TensorRT's fits.

    Up to 8.2 the default is 0: slow tactics or none. From 8.4 on it is all of the device's memory, which on a Jetson is
    the system's as well. A quarter of what is available, 64 to 1024 MiB in steps of 16, leaves a TX2 its system and
    gives it what others build with there, 256 MiB to 1 GiB; the best share was not measured on a board yet.

    Args:
        asked: the user's own choice in MiB, taken as it is; None is automatic.
        available_bytes: memory that the GPU may take now.
    """
    if asked is not None:
        return asked
    share = min(available_bytes // _WORKSPACE_SHARE // MIB, _MOST_WORKSPACE_MIB)
    return max(share - share % _WORKSPACE_STEP_MIB, _LEAST_WORKSPACE_MIB)


def smaller_workspace(mib: int) -> Optional[int]:
    """The workspace in MiB to try after one of ``mib`` ran out of memory: half, at least 16; None after that."""
    return max(mib // 2, _LEAST_RETRY_MIB) if mib > _LEAST_RETRY_MIB else None


def preflight(
    memory: Optional[Memory], gpu_free_bytes: Optional[int], disk_free: int, onnx_bytes: int, integrated: bool
) -> List[str]:
    """Sentences on what may go wrong with a build on this machine, each with the command that helps; empty is good.

    Args:
        memory: main memory; None where it is not known, and then it is not judged.
        gpu_free_bytes: what CUDA says is free; None where not known. Of an integrated GPU it counts only where main
            memory is not known: it lacks what the kernel would free on demand (CUDA for Tegra application note).
        disk_free: bytes free where the engine is written.
        onnx_bytes: size of the ONNX file.
        integrated: the GPU has no memory of its own.

    Raises:
        BuildError: a build cannot work: the disk or the memory is too small.
    """
    _check_disk(disk_free, onnx_bytes)
    if not integrated:
        _check_graphics_card(gpu_free_bytes)
    warnings = []
    available = memory.available if memory else gpu_free_bytes
    if integrated and available is not None:
        _check_shared_memory(available)
        if available < LITTLE_MEMORY_MIB * MIB:
            warnings.append(
                "{} MiB of memory are available, for CPU and GPU together: the build may run out of it. If this board "
                "shows a desktop, end it for the time of the build, over ssh: {}".format(available // MIB, END_DESKTOP)
            )
    if memory and memory.available < LITTLE_MEMORY_MIB * MIB and not memory.swap_total:
        warnings.append(
            "{} MiB of memory are available and there is no swap. Swap relieves the CPU's side of the build alone, "
            "what the GPU allocates is never swapped: {}".format(memory.available // MIB, ADD_SWAP)
        )
    return warnings


def _check_disk(free: int, onnx_bytes: int) -> None:
    needed = _PLAN_PER_ONNX * onnx_bytes + _PLAN_CODE_MIB * MIB
    if free < needed:
        raise BuildError(
            "{} MiB are free on the disk where the engine is written; up to {} MiB are needed".format(
                free // MIB, -(-needed // MIB)
            ),
            hint="free some space (sudo apt-get clean is a good start) or write the engine to another disk",
        )


def _check_graphics_card(free: Optional[int]) -> None:
    if free is not None and free < LEAST_MEMORY_MIB * MIB:
        raise BuildError(
            "{} MiB of the GPU's memory are free; a build needs at least {} MiB".format(free // MIB, LEAST_MEMORY_MIB),
            hint="nvidia-smi lists what uses the GPU; end some of it",
        )


def _check_shared_memory(available: int) -> None:
    if available < LEAST_MEMORY_MIB * MIB:
        raise BuildError(
            "{} MiB of memory are available, for CPU and GPU together; a build needs at least {} MiB".format(
                available // MIB, LEAST_MEMORY_MIB
            ),
            hint="end other programs, the desktop first (over ssh): {}".format(END_DESKTOP),
        )
