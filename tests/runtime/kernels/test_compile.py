"""The kernels compile for every board, spill no register, and ask for nothing that CUDA 10.2 does not have."""

import os
import re

import pytest

from ccc_jetson.preprocess import Region
from ccc_jetson.runtime.kernels import head_launches, launches
from ccc_jetson.runtime.pixels import PIXEL_FORMATS
from tests.doubles import nvrtc
from tests.doubles.cuda_shim.build import kernel_names
from tests.doubles.fetching import Missing, NoWheels, build_folder, skip_or_fail
from tests.runtime.kernels.conftest import KERNELS_FOLDER, UNIT

# Nano and TX1, TX2, Xavier, Orin, and how many registers a block may have there (deviceQuery's "Total number of
# registers available per block"): the small boards have half of the others', and a launch that needs more fails
REGISTERS_PER_BLOCK = {"sm_53": 32768, "sm_62": 32768, "sm_72": 65536, "sm_87": 65536}
HEAD = ("CCC_HEAD_CI=20", "CCC_HEAD_CO=20")
WIDEST_HELD = ("CCC_HEAD_CI=96", "CCC_HEAD_CO=20")
HEADERS = {"cuda_fp16.h"}
# Words with two underscores that CUDA 10.2 has (its programming guide and cuda_fp16.hpp); newer ones cannot be told
# apart by a newer compiler
KNOWN_TO_CUDA_10 = {
    "__global__", "__device__", "__shared__", "__forceinline__", "__restrict__", "__launch_bounds__", "__syncthreads",
    "__ldg", "__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync", "__half", "__half2",
    "__half2float", "__float2half_rn", "__half22float2", "__floats2half2_rn", "__int_as_float",
}  # fmt: skip


@pytest.fixture(scope="session")
def compiler():
    """NVRTC."""
    try:
        return nvrtc.Compiler(nvrtc.prepare(build_folder("nvrtc")))
    except (Missing, NoWheels) as error:
        return skip_or_fail(error)


def threads_per_block():
    """{kernel: threads} of every kernel that the launches know."""
    whole, types = Region(0, 0, 1024, 512), ("float16", "float32")
    known = [
        launches.pre(name, dtype, 0, 3072, 0, 0, 0, whole, (1024, 512), 0, (0, 0, 0), False, 0)
        for name in PIXEL_FORMATS
        for dtype in types
    ]
    known += [
        launches.overlay(name, 0, 3072, 0, (1024, 512), 0, 1024, whole, whole, 0, 128, 0, 3072)
        for name in PIXEL_FORMATS
    ]
    for dtype in types:
        known.append(head_launches.head_deconv(dtype, 0, 0, 20, 20, 256, 512, 0))
        known.append(head_launches.head_bilinear(dtype, 0, 20, 256, 512, 512, 1024, False, 0))
        known.append(head_launches.argmax(dtype, 0, 20, 512 * 1024, 0))
    known += [head_launches.narrow(dtype, 0, 512 * 1024, 0) for dtype in ("int32", "int64")]
    return {launch.name: launch.block[0] * launch.block[1] * launch.block[2] for launch in known}


# other heads only for the board that all this is for: none, as the other kernels are the same, and the widest one whose
# features a thread holds in registers
@pytest.mark.parametrize(
    ("architecture", "defines"),
    [(each, HEAD) for each in sorted(REGISTERS_PER_BLOCK)] + [("sm_62", ()), ("sm_62", WIDEST_HELD)],
)
def test_every_kernel_compiles_spills_nothing_and_can_be_launched(compiler, architecture, defines):
    kernels, threads = compiler.compile(UNIT, architecture, defines), threads_per_block()
    for name, needs in sorted(kernels.items()):
        print("{} {:26} {:3} registers, {:5} bytes shared".format(architecture, name, needs.registers, needs.shared))
        assert (needs.stack, needs.spill_stores, needs.spill_loads) == (0, 0, 0), (name, needs)
        of_block = -(-needs.registers // 8) * 8 * threads[name]
        assert of_block <= REGISTERS_PER_BLOCK[architecture], "{}: {} registers a block".format(name, of_block)
    assert set(kernels) == set(kernel_names(UNIT, defines))
    heads = {name for name in threads if name.startswith("ccc_head_deconv")}
    assert set(kernels) == (set(threads) if defines else set(threads) - heads)


def test_a_mistake_is_refused_with_its_line(compiler, tmp_path):
    source = tmp_path / "wrong.cu"
    source.write_text('extern "C" __global__ void wrong(int* out) {\n  *out = missing;\n}\n')
    with pytest.raises(nvrtc.Refused, match=r"wrong\.cu\(2\).*missing"):
        compiler.compile(str(source), "sm_62")


def test_spilled_registers_are_seen(compiler, tmp_path):
    source = tmp_path / "greedy.cu"
    source.write_text(
        'extern "C" __global__ void __launch_bounds__(1024, 2) greedy(const float* in, float* out) {\n'
        "  float many[64];\n"
        "#pragma unroll\n"
        "  for (int i = 0; i < 64; ++i) many[i] = in[i * 1024 + threadIdx.x];\n"
        "  __syncthreads();\n"
        "#pragma unroll\n"
        "  for (int i = 0; i < 64; ++i) out[i * 1024 + threadIdx.x] = many[63 - i];\n"
        "}\n"
    )
    needs = compiler.compile(str(source), "sm_62")["greedy"]
    assert needs.spill_stores > 0 and needs.spill_loads > 0, needs


def test_only_what_cuda_10_knows_is_used():
    for name in sorted(os.listdir(KERNELS_FOLDER)):
        if name.endswith((".cu", ".cuh")):
            with open(os.path.join(KERNELS_FOLDER, name)) as file:
                text = re.sub(r"//[^\n]*|/\*.*?\*/", "", file.read(), flags=re.DOTALL)
            unknown = set(re.findall(r"\b__\w+", text)) - KNOWN_TO_CUDA_10
            assert not unknown, "{}: {}".format(name, sorted(unknown))
            headers = set(re.findall(r"#include\s*<([^>]+)>", text)) - HEADERS
            assert not headers, "{}: {}".format(name, sorted(headers))
            for word in ("std::", "cuda::", "cooperative_groups", "if constexpr", "__half_raw"):
                assert word not in text, "{}: {}".format(name, word)
