"""The shim on which the kernels are tested: it computes as CUDA does, and it notices what a GPU would punish."""

import os
from collections import namedtuple

import numpy as np
import pytest

from tests.doubles import cuda_shim
from tests.doubles.cuda_shim.build import CompileError, build, kernel_names
from tests.doubles.cuda_shim.device import DeviceLost
from tests.doubles.cuda_shim.kernels import Kernels, LaunchError
from tests.runtime.kernels.conftest import emptied

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(cuda_shim.__file__)), "example.cu")
Launch = namedtuple("Launch", "name grid block arguments")


@pytest.fixture
def device(devices):
    yield from emptied(devices(EXAMPLE))


def launch(name, *arguments, **sizes):
    return Launch(name, sizes.get("grid", (1, 1, 1)), sizes.get("block", (64, 1, 1)), arguments)


def test_kernels_that_macros_make_are_listed():
    assert "sum_long" not in kernel_names(EXAMPLE)
    assert kernel_names(EXAMPLE, ["WITH_LONG"])[:3] == ["sum_int", "sum_double", "sum_long"]


def test_a_source_with_a_mistake_is_refused_with_its_line(tmp_path):
    source = tmp_path / "wrong.cu"
    source.write_text('extern "C" __global__ void wrong(int* out) {\n  *out = missing;\n}\n')
    with pytest.raises(CompileError, match=r"wrong\.cu:2:.*missing"):
        build(str(source), str(tmp_path / "wrong.so"))


def test_half_must_be_converted_by_name(tmp_path):
    source = tmp_path / "wrong.cu"
    source.write_text('extern "C" __global__ void wrong(half* a, float* b) {\n  *b = *a;\n}\n')
    with pytest.raises(CompileError, match="half"):
        build(str(source), str(tmp_path / "wrong.so"))


@pytest.mark.parametrize("reversed_threads", [False, True])
def test_shared_memory_barriers_and_shuffles_add_up(device, reversed_threads):
    values = np.arange(5000, dtype=np.float64)
    out = device.allocate(8)
    arguments = (np.uint64(device.upload(values)), np.uint64(out), np.int32(values.size))
    device.launch(launch("sum_double", *arguments, block=(256, 1, 1)), reversed_threads)
    assert device.download(out, (1,), np.float64)[0] == values.sum()


def test_a_kernel_runs_in_this_process_as_well(compiled):
    values, out = np.arange(1000, dtype=np.int32), np.zeros(1, np.int32)
    arguments = (np.uint64(values.ctypes.data), np.uint64(out.ctypes.data), np.int32(values.size))
    Kernels(compiled(EXAMPLE, sanitized=False)).launch(launch("sum_int", *arguments))
    assert out[0] == values.sum()


@pytest.mark.parametrize("width", [32, 8])
@pytest.mark.parametrize("argument", [1, 5, 7])
def test_shuffles_move_values_as_cuda_does(device, width, argument):
    lanes = np.arange(64)
    first, place = lanes // width * width, lanes % width
    sources = [
        first + argument % width,
        np.where(place >= argument, lanes - argument, lanes),
        np.where(place + argument < width, lanes + argument, lanes),
        lanes ^ argument,
    ]
    values = (lanes * 7 + 3).astype(np.int32)
    out = device.allocate(4 * 64 * 4)
    numbers = (np.int32(argument), np.int32(width))
    device.launch(launch("shuffles", np.uint64(device.upload(values)), np.uint64(out), *numbers))
    np.testing.assert_array_equal(device.download(out, (4, 64), np.int32), [values[source] for source in sources])


def test_every_half_becomes_the_float_that_numpy_has(device):
    halves = np.arange(1 << 16).astype(np.uint16)
    out = device.allocate(4 * halves.size)
    count = halves.size // 2
    arguments = (np.uint64(device.upload(halves)), np.uint64(out), np.int32(count))
    device.launch(launch("to_float", *arguments, grid=(count // 256, 1, 1), block=(256, 1, 1)))
    np.testing.assert_array_equal(device.download(out, halves.shape, np.float32), halves.view(np.float16))


def test_floats_are_rounded_to_half_as_numpy_does(device):
    seed = np.random.randint(1 << 30)
    print("seed", seed)
    exact = np.arange(1 << 16).astype(np.uint16).view(np.float16)
    exact = exact[np.isfinite(exact)].astype(np.float32)
    between = ((exact[1:].astype(np.float64) + exact[:-1]) / 2).astype(np.float32)  # ties
    words = np.random.RandomState(seed).randint(0, 1 << 32, 100000, dtype=np.uint64).astype(np.uint32)
    near = [np.nextafter(between, np.float32(side)) for side in (-np.inf, np.inf)]
    numbers = np.concatenate([exact, between] + near + [words.view(np.float32)])
    with np.errstate(over="ignore", invalid="ignore"):
        expected = numbers.astype(np.float16)
    out = device.allocate(2 * numbers.size)
    arguments = (np.uint64(device.upload(numbers)), np.uint64(out), np.int32(numbers.size))
    device.launch(launch("to_half", *arguments, grid=(-(-numbers.size // 256), 1, 1), block=(256, 1, 1)))
    np.testing.assert_array_equal(device.download(out, numbers.shape, np.float16), expected)


def test_three_dimensions_of_grid_and_block_are_counted(device):
    grid, block = (3, 2, 2), (4, 3, 2)
    out = device.allocate(4 * 12 * 24)
    device.launch(launch("grid_places", np.uint64(out), grid=grid, block=block))
    expected = 1000 * np.arange(12)[:, np.newaxis] + np.arange(24)
    np.testing.assert_array_equal(device.download(out, (12, 24), np.int32), expected)


def test_the_reversed_order_shows_a_missing_barrier(device):
    out = device.allocate(4 * 64)
    device.launch(launch("without_barrier", np.uint64(out)))
    np.testing.assert_array_equal(device.download(out, (64,), np.int32), np.arange(64) // 2)
    device.launch(launch("without_barrier", np.uint64(out)), reversed_threads=True)
    wrong = device.download(out, (64,), np.int32) != np.arange(64) // 2
    assert wrong[1:].all(), "{} of 64 are wrong".format(wrong.sum())


def test_shared_memory_holds_rubbish_at_the_start_of_every_block(device):
    out = device.allocate(4 * 2)
    device.launch(launch("without_start", np.uint64(out), grid=(2, 1, 1)))
    np.testing.assert_array_equal(device.download(out, (2,), np.uint32), [0xA5A5A5A6] * 2)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("half_a_barrier", "__syncthreads after some threads have returned"),
        ("two_barriers", "threads wait at different lines"),
        ("half_a_warp", "mask names other lanes than came"),
    ],
)
def test_a_barrier_that_not_all_reach_ends_the_run(device, name, complaint):
    with pytest.raises(DeviceLost, match=complaint):
        device.launch(launch(name, np.uint64(device.allocate(4 * 64))))


def test_an_access_behind_the_end_is_found_at_its_line(device):
    out = device.allocate(4 * 63)
    device.launch(launch("filled", np.uint64(out), np.int32(63)))
    with pytest.raises(DeviceLost, match=r"heap-buffer-overflow(?s:.)*example\.cu"):
        device.launch(launch("filled", np.uint64(out), np.int32(64)))


def test_a_misaligned_vector_is_found(device):
    values, out = device.upload(np.arange(8, dtype=np.float32)), device.allocate(4)
    device.launch(launch("four_floats", np.uint64(values), np.uint64(out), block=(1, 1, 1)))
    assert device.download(out, (1,), np.float32)[0] == 3
    with pytest.raises(DeviceLost, match=r"misaligned address(?s:.)*float4"):
        device.launch(launch("four_floats", np.uint64(values + 4), np.uint64(out), block=(1, 1, 1)))


def test_an_access_behind_shared_memory_is_found(device):
    out = device.allocate(4)
    device.launch(launch("beyond_shared", np.uint64(out), np.int32(3), block=(1, 1, 1)))
    assert device.download(out, (1,), np.int32)[0] == 5
    with pytest.raises(DeviceLost, match=r"insufficient space|global-buffer-overflow"):
        device.launch(launch("beyond_shared", np.uint64(out), np.int32(4), block=(1, 1, 1)))


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (launch("no_such", np.uint64(0)), "no kernel no_such"),
        (launch("filled", np.uint64(0)), "takes Pi, was given Q"),
        (launch("filled", np.uint64(0), np.int64(3)), "takes Pi, was given Qq"),
        (launch("filled", np.uint64(0), np.float32(3)), "takes Pi, was given Qf"),
        (launch("filled", 0, np.int32(3)), "no numpy scalar"),
        (launch("filled", np.uint64(0), np.int32(3), block=(1025, 1, 1)), "refused"),
        (launch("filled", np.uint64(0), np.int32(3), block=(64, 32, 1)), "refused"),
        (launch("filled", np.uint64(0), np.int32(3), grid=(1, 1 << 16, 1)), "refused"),
        (launch("filled", np.uint64(0), np.int32(3), grid=(0, 1, 1)), "refused"),
    ],
)
def test_a_launch_that_cuda_would_refuse_or_misread_is_refused(device, request_, complaint):
    with pytest.raises(LaunchError, match=complaint):
        device.launch(request_)
    assert not device.lost
