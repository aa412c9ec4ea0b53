"""Device, page-locked and managed memory: what is where, what is refused, what kills."""

import signal

import numpy as np
import pytest

from tests.doubles.cuda_driver.lab import in_child

UNWRITTEN = np.full(4, 0xCBCBCBCB, np.uint32).view(np.float32)


def test_new_memory_holds_a_pattern_and_copies_stay_within_it(bed):
    cuda = bed.cuda
    found = np.zeros(4, np.float32)
    cuda.memcpy_dtoh(found, bed.source)
    np.testing.assert_array_equal(found, UNWRITTEN)
    for wrong in (lambda: cuda.memcpy_htod(bed.source, np.zeros(5, np.float32)),
                  lambda: cuda.memcpy_dtoh(found, int(bed.source) + 4),
                  lambda: cuda.memcpy_dtoh(found, found.ctypes.data)):  # fmt: skip
        with pytest.raises(cuda.LogicError, match=r"cuMemcpy\w+ failed: invalid argument"):
            wrong()


def test_page_locked_memory_is_the_gpus_only_where_it_was_asked_for(bed):
    cuda = bed.cuda
    with pytest.raises(cuda.LogicError, match="cuMemHostGetDevicePointer failed: invalid argument"):
        bed.given.base.get_device_pointer()
    mapped = cuda.pagelocked_empty(4, np.float32, mem_flags=cuda.host_alloc_flags.DEVICEMAP)
    mapped[:] = 5
    before = bed.driver.counters.snapshot()
    add = bed.module.get_function("add")
    add(np.uint64(mapped.base.get_device_pointer()), bed.target, np.int32(4), np.float32(1), block=(4, 1, 1))
    bed.cuda.Context.synchronize()
    assert bed.driver.counters.difference(before) == {"launches.add": 1}, "nothing is copied"
    found = np.zeros(4, np.float32)
    cuda.memcpy_dtoh(found, bed.target)
    assert found.tolist() == [6, 6, 6, 6]


def test_a_kernel_that_writes_too_far_is_an_illegal_access(bed, capfd):
    bed.module.get_function("overrun")(bed.target, np.int32(4), block=(32, 1, 1), grid=(1, 1))
    with pytest.raises(bed.cuda.LogicError, match="an illegal memory access was encountered"):
        bed.cuda.Context.synchronize()
    assert "overrun wrote behind 16 bytes of device memory" in capfd.readouterr().err


MANAGED = """
with new_context(cuda):
    stream, kernels = cuda.Stream(), module(cuda, sys.argv[1])
    numbers = cuda.managed_zeros(4, np.float32, mem_flags=cuda.mem_attach_flags.GLOBAL)
    {}
    add = kernels.get_function("add")
    add(numbers, numbers, np.int32(4), np.float32(3), block=(4, 1, 1), grid=(1, 1), stream=stream)
    {}
    print(numbers.tolist())
    numbers.base.free()
    del add, stream, kernels, numbers
"""


@pytest.mark.parametrize(
    "device, before, after, ends, says",
    [
        ("tx2", "", "stream.synchronize()", 0, "[3.0, 3.0, 3.0, 3.0]"),
        ("tx2", "", "", -signal.SIGSEGV, ""),
        ("tx2", "", "cuda.Context.synchronize(); cuda.Event().record(stream)", -signal.SIGSEGV, ""),
        ("pc", "", "", 0, "[0.0, 0.0, 0.0, 0.0]"),
        ("tx2", "numbers.base.attach(cuda.mem_attach_flags.HOST, stream); stream.synchronize()", "", 0, "[0.0, 0.0,"),
        ("tx2", "other = cuda.Stream(); numbers.base.attach(cuda.mem_attach_flags.SINGLE, other); other.synchronize()",
         "del other", 0, "[0.0, 0.0,"),
    ],
)  # fmt: skip
def test_a_cpu_that_touches_managed_memory_while_work_waits_dies_on_a_tx2(tmp_path, device, before, after, ends, says):
    code, out, _ = in_child(MANAGED.format(before, after), tmp_path, device=device)
    assert code == ends and out.split("\n")[-2:][0].startswith(says)


def test_memory_runs_out_when_there_is_none_or_when_the_test_says_so(bed):
    cuda = bed.cuda
    free = cuda.mem_get_info()[0]
    with pytest.raises(cuda.MemoryError, match="cuMemAlloc failed: out of memory"):
        cuda.mem_alloc(free + 1)
    bed.driver.set_faults(fail_allocation=3)
    kept = [cuda.mem_alloc(4), cuda.pagelocked_empty(1, np.float32)]
    with pytest.raises(cuda.MemoryError, match="cuMemAllocManaged failed: out of memory"):
        cuda.managed_empty(1, np.float32, mem_flags=cuda.mem_attach_flags.GLOBAL)
    kept.append(cuda.mem_alloc(4))
    assert len(kept) == 3
