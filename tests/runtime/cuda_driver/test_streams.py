"""Work is done when it is waited for, in the order of streams and events, and is counted; kernels fail as on a GPU."""

import gc

import numpy as np
import pytest

from tests.doubles import cuda_driver
from tests.doubles.cuda_driver.lab import KERNELS, NUMBERS, new_context, nvcc


def test_nothing_is_done_before_it_is_waited_for(bed):
    bed.queue(1)
    assert bed.found.tolist() == [0, 0, 0, 0] and bed.driver.counters.snapshot()["pending"] == 1
    bed.given[:] = 10  # the copy has not begun
    bed.stream.synchronize()
    assert bed.found.tolist() == [11, 11, 11, 11] and bed.driver.counters.snapshot()["pending"] == 0


def test_pageable_memory_is_read_before_an_upload_returns_and_filled_before_a_download_does(bed):
    source, found = NUMBERS.copy(), np.zeros(4, np.float32)
    bed.cuda.memcpy_htod_async(bed.source, source, bed.stream)
    source[:] = 99
    bed.add(0, bed.stream)
    bed.cuda.memcpy_dtoh_async(found, bed.target, bed.stream)
    np.testing.assert_array_equal(found, NUMBERS)


def test_the_default_stream_waits_for_blocking_streams_alone(bed):
    cuda = bed.cuda
    cuda.memcpy_htod(bed.source, NUMBERS)
    free = cuda.Stream(1)  # CU_STREAM_NON_BLOCKING
    found = np.zeros(4, np.float32)
    bed.add(1, free)
    cuda.memcpy_dtoh(found, bed.target)
    assert set(found.view(np.uint8)) == {0xCB}  # nobody has written there
    free.synchronize()
    bed.add(2, bed.stream)
    cuda.memcpy_dtoh(found, bed.target)
    np.testing.assert_array_equal(found, NUMBERS + 2)
    bed.add(5)  # on the default stream, which a blocking one waits for
    cuda.memcpy_dtoh_async(bed.found, bed.target, bed.stream)
    bed.stream.synchronize()
    np.testing.assert_array_equal(bed.found, NUMBERS + 5)


def test_events_order_streams_and_tell_the_time(bed):
    cuda = bed.cuda
    cuda.memcpy_htod(bed.source, NUMBERS)
    start, end, other = cuda.Event(), cuda.Event(), cuda.Stream()
    start.record(bed.stream)
    bed.add(4, bed.stream)
    end.record(bed.stream)
    with pytest.raises(cuda.Error, match="device not ready"):
        end.time_since(start)
    other.wait_for_event(end)
    cuda.memcpy_dtoh_async(bed.found, bed.target, other)
    other.synchronize()
    np.testing.assert_array_equal(bed.found, NUMBERS + 4)
    assert 0 < end.time_since(start) == start.time_till(end) < 10000
    with pytest.raises(cuda.LogicError, match="invalid resource handle"):
        cuda.Event(2).record(bed.stream).synchronize().time_since(start)  # DISABLE_TIMING


def test_polling_arrives(bed):
    bed.queue(1)
    mark = bed.cuda.Event().record(bed.stream)
    questions = 1
    while not mark.query():
        questions += 1
    assert 1 < questions < 10 and bed.stream.is_done() and bed.found.tolist() == [1, 2, 3, 4]


def test_memory_and_streams_are_given_back_after_the_work_on_them(bed):
    bed.queue(1)
    bed.source.free()
    assert bed.found.tolist() == [1, 2, 3, 4]
    bed.source = bed.cuda.mem_alloc(16)
    bed.queue(2)
    bed.stream = None
    bed.cuda.Context.synchronize()
    assert bed.found.tolist() == [2, 3, 4, 5]


def test_what_is_done_is_counted(bed):
    before = bed.driver.counters.snapshot()
    for _ in range(3):
        bed.queue(1)
    assert bed.driver.counters.difference(before) == {"pending": 1}
    bed.stream.synchronize()
    assert bed.driver.counters.difference(before) == {
        "bytes.host_to_device": 48, "copies.host_to_device": 3, "launches.add": 3,
        "bytes.device_to_host": 48, "copies.device_to_host": 3, "synchronizations": 1,
    }  # fmt: skip


def test_a_launch_that_is_refused_spoils_nothing(bed):
    bed.driver.set_faults(fail_launch=("add", 2))
    bed.queue(1)
    with pytest.raises(bed.cuda.LaunchError, match="too many resources requested for launch"):
        bed.add(1, bed.stream)
    bed.add(3, bed.stream)
    bed.cuda.memcpy_dtoh_async(bed.found, bed.target, bed.stream)
    bed.stream.synchronize()
    assert bed.found.tolist() == [3, 4, 5, 6]


def test_a_kernel_that_fails_is_noticed_when_it_is_waited_for_and_ends_its_context(bed):
    cuda = bed.cuda
    bed.driver.set_faults(fail_kernel=("*", 1))
    bed.queue(1)
    for call in (bed.stream.synchronize, cuda.Context.synchronize, lambda: cuda.mem_alloc(4), cuda.Stream):
        with pytest.raises(cuda.LaunchError, match="unspecified launch failure"):
            call()
    assert bed.found.tolist() == [0, 0, 0, 0]
    bed.driver.set_faults()
    with new_context(cuda):
        cuda.mem_alloc(4).free()


@pytest.mark.parametrize(
    "arguments, sizes",
    [(3, {}), (4, {"block": (1025, 1, 1)}), (4, {"grid": (1, 65536)}), (4, {"block": (1, 1, 65)}),
     (4, {"shared": 50000})],
)  # fmt: skip
def test_an_impossible_launch_is_refused(bed, arguments, sizes):
    given = [bed.source, bed.target, np.int32(4), np.float32(1)][:arguments]
    with pytest.raises(bed.cuda.LogicError, match="cuLaunchKernel failed: invalid argument"):
        bed.module.get_function("add")(*given, **dict({"block": (4, 1, 1), "grid": (1, 1)}, **sizes))


def test_a_module_has_its_kernels_and_fails_as_the_test_says(bed, tmp_path):
    cuda = bed.cuda
    cubin = nvcc(tmp_path, KERNELS, "-arch=sm_62")[2]
    with pytest.raises(cuda.LogicError, match="named symbol not found"):
        bed.module.get_function("subtract")
    with pytest.raises(cuda.LogicError, match=r"device kernel image is invalid - $"):
        cuda.module_from_buffer(b"no image" * 20)
    with pytest.raises(cuda.Error, match="no kernel image is available for execution on the device"):
        cuda.module_from_buffer(nvcc(tmp_path, KERNELS, "-arch=sm_72")[2])
    for how, message in (("invalid image", "image is invalid"), ("no binary", "no kernel image")):
        bed.driver.set_faults(bad_module=how)
        with pytest.raises(cuda.Error, match=message):
            cuda.module_from_buffer(cubin)
    bed.driver.set_faults()
    assert cuda.module_from_buffer(cubin).get_function("add")
    gc.collect()


def test_any_call_can_be_made_to_fail(bed):
    bed.driver.set_faults(fail_call=("cuStreamCreate", 2, 999))
    assert bed.cuda.Stream()
    with pytest.raises(bed.cuda.Error, match="cuStreamCreate failed: unknown error"):
        bed.cuda.Stream()


def test_a_machine_without_a_gpu_says_so():
    with cuda_driver.installed(no_gpu=True):
        import pycuda.driver as cuda

        with pytest.raises(cuda.RuntimeError, match="no CUDA-capable device is detected"):
            cuda.init()
