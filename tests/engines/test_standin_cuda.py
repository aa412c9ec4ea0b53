"""The stand-in pycuda has the real one's rules: contexts belong to threads, streams work when they are waited for."""

import signal
import threading

import numpy as np
import pytest

from tests.doubles import standin
from tests.doubles.standin.lab import Bench, in_child
from tests.doubles.tiny_model import tiny_model_bytes

NOTHING = {"allocations": 0, "contexts": 0, "streams": 0, "events": 0, "pagelocked": 0}


@pytest.fixture()
def cuda():
    """The driver, with a context that is taken away again; nothing may be left."""
    with standin.installed():
        import pycuda.driver as driver

        driver.init()
        context = driver.Device(0).make_context()
        yield driver
        context.pop()
        context.detach()
        assert driver.standin_live() == NOTHING


def test_the_machine_is_a_tx2_unless_the_test_says_otherwise():
    with standin.installed():
        import pycuda.driver as driver

        with pytest.raises(driver.LogicError, match="initialization error"):
            driver.Device(0)
        driver.init()
        device = driver.Device(0)
        assert (device.name(), device.compute_capability()) == ("NVIDIA Tegra X2", (6, 2))
        assert device.get_attribute(driver.device_attribute.INTEGRATED) == 1
        assert (driver.get_version(), driver.get_driver_version()) == ((10, 2, 0), 10020)
        standin.set_faults(device="Orin", sm="8.7", integrated=False, cuda="12.6", total_mib=10)
        assert (device.name(), device.compute_capability(), device.total_memory()) == ("Orin", (8, 7), 10 << 20)
        assert device.get_attribute(driver.device_attribute.INTEGRATED) == 0
        assert (driver.get_version(), driver.get_driver_version()) == ((12, 6, 0), 12060)
        with pytest.raises(driver.LogicError, match="invalid device ordinal"):
            driver.Device(1)
        standin.set_faults(no_gpu=True)
        with pytest.raises(driver.RuntimeError, match="no CUDA-capable device is detected"):
            driver.init()


def test_an_old_pycuda_does_not_know_the_primary_context():
    for version, knows in (("2019.1.2", False), ("2020.1", True), ("2022.1", True)):
        with standin.installed(pycuda=version):
            import pycuda.driver as driver

            assert hasattr(driver.Device, "retain_primary_context") == knows


def test_the_primary_context_is_one_and_has_to_be_pushed():
    with standin.installed():
        import pycuda.driver as driver

        driver.init()
        first, second = (driver.Device(0).retain_primary_context() for _ in range(2))
        with pytest.raises(driver.LogicError, match="no currently active context"):
            driver.Stream()
        first.push()
        stream = driver.Stream()
        first.pop()
        second.push()
        driver.memcpy_htod_async(driver.mem_alloc(4), np.zeros(1, np.float32), stream)  # the stream is its own, too
        del stream
        second.pop()
        first.detach()
        second.detach()
        assert driver.standin_live() == NOTHING


def test_without_a_current_context_nothing_works():
    with standin.installed():
        import pycuda.driver as driver

        driver.init()
        for call in (
            lambda: driver.mem_alloc(4),
            driver.Stream,
            driver.Event,
            lambda: driver.pagelocked_empty(3, "f4"),
        ):
            with pytest.raises(driver.LogicError, match=r"invalid device context - no currently active context\?"):
                call()
        with pytest.raises(driver.LogicError, match="invalid device context"):
            driver.mem_get_info()
        with pytest.raises(driver.LogicError, match="cannot pop non-current context"):
            driver.Context.pop()
        assert driver.standin_live() == NOTHING


def test_a_context_is_current_in_the_threads_that_pushed_it_alone(cuda):
    found = []

    def elsewhere():
        try:
            cuda.mem_alloc(4)
        except cuda.LogicError as error:
            found.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(found) == 1 and "no currently active context?" in found[0]


def test_memory_is_counted_and_can_run_out(cuda):
    free, total = cuda.mem_get_info()
    assert (free, total) == (4000 << 20, 7800 << 20)
    memory = cuda.mem_alloc(1 << 20)
    assert cuda.mem_get_info()[0] == free - (1 << 20)
    assert cuda.standin_live()["allocations"] == 1
    with pytest.raises(cuda.MemoryError, match="cuMemAlloc failed: out of memory") as caught:
        cuda.mem_alloc(free)
    assert isinstance(caught.value, cuda.Error) and not isinstance(caught.value, MemoryError)
    memory.free()
    with pytest.raises(cuda.LogicError, match="invalid resource handle"):
        memory.free()
    memory = cuda.mem_alloc(8)
    del memory  # given back with its last holder
    assert cuda.mem_get_info()[0] == free


def test_copies_go_there_and_back_and_stay_within_the_memory(cuda):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    memory = cuda.mem_alloc(array.nbytes)
    fresh = np.zeros_like(array)
    cuda.memcpy_dtoh(fresh, memory)
    assert set(fresh.view(np.uint8).reshape(-1)) == {0xCB}  # nobody has written there
    cuda.memcpy_htod(memory, array)
    cuda.memcpy_dtoh(fresh, memory)
    np.testing.assert_array_equal(fresh, array)
    cuda.memcpy_dtoh(fresh[:1], int(memory) + 12)
    np.testing.assert_array_equal(fresh, array[[1, 1]])
    cuda.memcpy_htod(memory, b"abcd")
    for wrong in (np.zeros(7, np.float32), np.zeros(24 + 1, np.uint8)):
        with pytest.raises(cuda.LogicError, match="cuMemcpyHtoD failed: invalid argument"):
            cuda.memcpy_htod(memory, wrong)
    with pytest.raises(ValueError, match="not contiguous"):
        cuda.memcpy_htod(memory, array[:, ::2])
    with pytest.raises(BufferError):
        cuda.memcpy_dtoh(b"abcd", memory)
    with pytest.raises(cuda.LogicError, match="cuMemcpyDtoH failed: invalid argument"):
        cuda.memcpy_dtoh(fresh, array.ctypes.data)  # the host's
    memory.free()
    with pytest.raises(cuda.LogicError, match="invalid argument"):
        cuda.memcpy_htod(memory, array)


def test_a_stream_works_when_it_is_waited_for(cuda):
    stream, memory = cuda.Stream(), cuda.mem_alloc(16)
    source, found = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    cuda.memcpy_htod_async(memory, source, stream)
    cuda.memcpy_dtoh_async(found, memory, stream)
    assert not stream.is_done() and not found.any()
    stream.synchronize()
    assert stream.is_done() and found.tolist() == [0, 1, 2, 3]
    cuda.memcpy_htod_async(memory, source * 2, stream)
    cuda.memcpy_dtoh(found, memory)  # waits for all streams
    assert found.tolist() == [0, 2, 4, 6]


def test_events_mark_a_place_in_a_stream(cuda):
    stream, start, end = cuda.Stream(), cuda.Event(), cuda.Event()
    memory = cuda.mem_alloc(4)
    start.record(stream)
    cuda.memcpy_htod_async(memory, b"abcd", stream)
    end.record(stream)
    assert not end.query()
    with pytest.raises(cuda.LogicError, match="not ready"):
        end.time_since(start)
    assert end.synchronize() is end and end.query()
    assert end.time_since(start) >= 0 and end.time_since(start) == start.time_till(end)


def test_page_locked_memory_lives_as_long_as_its_array(cuda):
    array = cuda.pagelocked_empty((2, 3), np.float16)
    assert (array.shape, array.dtype) == ((2, 3), np.float16)
    view = array[1]
    del array
    assert cuda.standin_live()["pagelocked"] == 1
    del view
    assert cuda.standin_live()["pagelocked"] == 0


def test_an_engine_runs_on_device_memory_in_the_order_of_its_stream(cuda):
    import tensorrt as trt

    image = np.random.RandomState(3).rand(1, 3, 32, 64).astype(np.float32)
    bench = Bench(trt, tiny_model_bytes())
    context = bench.engine().create_execution_context()
    expected, found = np.empty((1, 32, 64), np.int32), np.zeros((1, 32, 64), np.int32)
    assert context.execute_v2([image.ctypes.data, expected.ctypes.data])
    stream = cuda.Stream()
    given, wanted = cuda.mem_alloc(image.nbytes), cuda.mem_alloc(found.nbytes)
    cuda.memcpy_htod_async(given, image, stream)
    assert context.execute_async_v2([int(given), int(wanted)], stream.handle)
    cuda.memcpy_dtoh_async(found, wanted, stream)
    assert not found.any()
    stream.synchronize()
    np.testing.assert_array_equal(found, expected)
    assert context.execute_async_v2([int(given), int(wanted)], 12345) is False
    assert "Error Code 1: Cuda Runtime (invalid resource handle)" in bench.logger.texts("ERROR")[-1]
    small = cuda.mem_alloc(16)
    assert context.execute_v2([int(given), int(small)]) is False
    assert "an illegal memory access was encountered" in bench.logger.texts("ERROR")[-1]


def test_a_context_left_on_the_stack_ends_the_process_as_pycuda_does():
    code, _, err = in_child("cuda.init()\ncontext = cuda.Device(0).make_context()\n")
    assert code == -signal.SIGABRT
    assert "PyCUDA ERROR: The context stack was not empty upon module cleanup." in err
    code, _, err = in_child("cuda.init()\ncontext = cuda.Device(0).make_context()\ncontext.pop()\ncontext.detach()\n")
    assert (code, err) == (0, "")


def test_what_outlives_its_context_is_complained_of():
    code, _, err = in_child(
        "cuda.init()\ncontext = cuda.Device(0).make_context()\nmemory, stream = cuda.mem_alloc(4), cuda.Stream()\n"
        "context.pop()\ncontext.detach()\nmemory.free()\ndel stream\nprint(cuda.standin_live())\n"
    )
    assert code == 0
    assert err.count("PyCUDA WARNING: a clean-up operation failed (dead context maybe?)") == 2
    assert "cuMemFree failed: context is destroyed" in err and "cuStreamDestroy failed" in err
