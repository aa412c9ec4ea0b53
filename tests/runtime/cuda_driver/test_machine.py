"""The machine that the driver plays, and the contexts that its threads have; seen through the real pycuda."""

import signal
import sys
import warnings

import numpy as np
import pytest

from tests.doubles import cuda_driver, standin
from tests.doubles.cuda_driver.lab import Graphs, in_child, in_thread, live, new_context


@pytest.mark.parametrize("key", ["tx2", "nano", "xavier", "pc"])
def test_the_driver_is_the_board_that_the_test_names(key):
    board = cuda_driver.BOARDS[key]
    with cuda_driver.installed(device=key, free_mib=100, total_mib=200):
        import pycuda.driver as cuda
        from standin_faults import fault

        cuda.init()
        device, attribute = cuda.Device(0), cuda.device_attribute
        assert (device.name(), "{}.{}".format(*device.compute_capability())) == (board.name, board.sm)
        assert (fault("device"), fault("sm")) == (board.name, board.sm)
        assert bool(device.get_attribute(attribute.INTEGRATED)) == board.integrated == fault("integrated")
        assert bool(device.get_attribute(attribute.CONCURRENT_MANAGED_ACCESS)) == (key == "pc")
        assert cuda.get_driver_version() == 10020 and cuda.get_version() == (10, 2, 0)
        with pytest.raises(cuda.LogicError, match="invalid device ordinal"):
            cuda.Device(1)
        with new_context(cuda):
            assert cuda.mem_get_info() == (100 << 20, 200 << 20)


def test_a_tx2_has_one_copy_engine_and_registers_no_memory(bed):
    assert bed.cuda.Device(0).get_attribute(bed.cuda.device_attribute.ASYNC_ENGINE_COUNT) == 1
    with pytest.raises(bed.cuda.LogicError, match="cuMemHostRegister failed: operation not supported"):
        bed.cuda.register_host_memory(bed.cuda.aligned_zeros((4096,), np.uint8))


def test_a_newer_driver_has_the_newer_way_to_instantiate_graphs(bed, tmp_path):
    name = "cuGraphInstantiateWithFlags"
    assert not hasattr(Graphs().library, name)
    with pytest.raises(AssertionError, match="use environment"), cuda_driver.installed(device="orin"):
        pass
    code = "print(cuda.Device(0).name(), cuda.get_driver_version(), hasattr(Graphs().library, {!r}))".format(name)
    assert in_child(code, tmp_path, device="orin")[1].split() == ["Orin", "12060", "True"]


def test_what_is_not_implemented_says_its_name(bed, capfd):
    with pytest.raises(bed.cuda.LogicError, match="operation not supported"):
        bed.cuda.mem_alloc_pitch(64, 4, 4)
    assert "cuMemAllocPitch_v2 is not implemented" in capfd.readouterr().err


def test_what_a_test_leaves_is_gone_for_the_next_one(capfd):
    for _ in range(2):
        with cuda_driver.installed(device="xavier", fail_allocation=2) as driver:
            import pycuda.driver as cuda

            assert live(driver) == {}
            cuda.init()
            context = cuda.Device(0).make_context()
            left = [cuda.mem_alloc(4), cuda.Stream(), cuda.Event()]
            cuda.memcpy_htod_async(left[0], np.zeros(1, np.float32), left[1])
            with pytest.raises(AssertionError, match="it is installed"), cuda_driver.installed():
                pass
        assert context.handle and len(left) == 3
    with cuda_driver.installed() as driver:
        import pycuda.driver as cuda

        cuda.init()
        with new_context(cuda):
            kept = [cuda.mem_alloc(4) for _ in range(3)]
            assert (cuda.Device(0).name(), live(driver)["live.device"]) == ("NVIDIA Tegra X2", len(kept))
    del left, context
    assert "context is destroyed" in capfd.readouterr().err, "pycuda says what was left"


def test_modules_are_as_before_when_the_block_ends():
    names = ("pycuda", "pycuda.driver", "tensorrt", "standin_cuda")
    before = [sys.modules.get(name) for name in names]
    for _ in range(2):
        with cuda_driver.installed("8.0.1.6"):
            import pycuda.driver as cuda
            import tensorrt

            assert (cuda.Device.__module__, tensorrt.__version__) == ("pycuda._driver", "8.0.1.6")
        with standin.installed():
            import pycuda.driver as cuda

            assert cuda.Device.__module__ == "pycuda.driver"
        assert [sys.modules.get(name) for name in names] == before


def test_without_a_context_nothing_can_be_made(bed):
    cuda = bed.cuda
    for make in (lambda: cuda.mem_alloc(4), cuda.Stream, lambda: cuda.pagelocked_empty(3, np.float32)):
        error = in_thread(make)
        assert isinstance(error, cuda.LogicError) and "invalid device context" in str(error), error


def test_a_thread_that_pushes_a_context_works_in_it():
    with cuda_driver.installed() as driver:
        import pycuda.driver as cuda

        cuda.init()
        context = cuda.Device(0).retain_primary_context()

        def work():
            context.push()
            try:
                cuda.mem_alloc(4).free()
                return live(driver)
            finally:
                context.pop()

        assert in_thread(work) == {"live.contexts": 1}
        context.detach()
        assert live(driver) == {}


def test_memory_that_a_thread_without_the_context_drops_stays_until_the_context_ends():
    with cuda_driver.installed() as driver:
        import pycuda.driver as cuda

        cuda.init()
        with new_context(cuda), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer releases of pycuda warn
            box = [cuda.mem_alloc(4)]
            in_thread(box.clear)
            assert live(driver) == {"live.contexts": 1, "live.device": 1}
        assert live(driver) == {}


def test_the_primary_context_lives_as_long_as_somebody_holds_it():
    with cuda_driver.installed() as driver:
        import pycuda.driver as cuda

        cuda.init()
        first, second = (cuda.Device(0).retain_primary_context() for _ in range(2))
        first.push()
        memory = cuda.mem_alloc(4)
        first.pop()
        first.detach()
        assert live(driver) == {"live.contexts": 1, "live.device": 1}
        second.push()
        memory.free()
        second.pop()
        second.detach()
        assert live(driver) == {}


def test_a_program_that_ends_with_a_context_pushed_is_aborted(tmp_path):
    code, _, err = in_child("context = cuda.Device(0).make_context()\n", tmp_path)
    assert code == -signal.SIGABRT and "The context stack was not empty upon module cleanup" in err
    code, _, err = in_child("with new_context(cuda):\n    cuda.mem_alloc(4).free()\n", tmp_path)
    assert (code, err) == (0, "")
