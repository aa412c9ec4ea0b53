"""One context, memory that is given back, and sentences where there is no GPU."""

import subprocess
import sys

import numpy as np
import pytest

from ccc_jetson.engines.cuda import Buffers, Cuda
from ccc_jetson.errors import BackendError, DependencyMissing
from tests.doubles import standin


@pytest.fixture(params=["2019.1", "2022.1"])
def driver(request):
    """pycuda before and after it knew the primary context."""
    with standin.installed(pycuda=request.param):
        import pycuda.driver

        yield pycuda.driver


def test_the_facts_are_cudas_own(driver):
    with Cuda() as cuda:
        facts = cuda.facts()
    assert facts[:4] == ("NVIDIA Tegra X2", "6.2", True, "10.2")
    assert 0 < facts.free_bytes <= facts.total_bytes


def test_arrays_go_there_and_back(driver):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    with Cuda() as cuda:
        buffers = Buffers(cuda, {"image": array.nbytes})
        assert buffers.addresses["image"] > 0
        cuda.upload(buffers["image"], array)
        found = np.empty_like(array)
        cuda.download(found, buffers["image"])
        cuda.synchronize()
        buffers.close()
        buffers.close()
        assert isinstance(cuda.stream, int)
    assert (found == array).all()


def test_nothing_is_left_after_closing(driver):
    with Cuda() as cuda:
        Buffers(cuda, {"a": 16, "b": 0}).close()
    cuda.close()
    assert set(driver.standin_live().values()) == {0}


def test_what_was_allocated_is_given_back_when_memory_runs_out():
    with standin.installed(free_mib=2):
        import pycuda.driver

        with Cuda() as cuda:
            with pytest.raises(BackendError, match="the GPU has no 4,000,000 bytes of memory left") as caught:
                Buffers(cuda, {"small": 1000, "large": 4000000})
            assert "desktop" in caught.value.hint
        assert set(pycuda.driver.standin_live().values()) == {0}


@pytest.mark.parametrize(
    "call, message, cure",
    [
        ("memcpy_htod", "launch timed out and was terminated", "multi-user.target"),
        ("memcpy_dtoh", "an illegal memory access", "dmesg"),
        ("mem_get_info", "unknown error", "dmesg"),
    ],
)
def test_an_error_of_cudas_is_a_sentence(driver, monkeypatch, call, message, cure):
    def fail(*arguments):
        raise driver.LogicError("{} failed: {}".format(call, message))

    with Cuda() as cuda:
        buffers = Buffers(cuda, {"a": 16})
        monkeypatch.setattr(driver, call, fail)
        array = np.zeros(4, np.float32)
        work = {
            "memcpy_htod": lambda: cuda.upload(buffers["a"], array),
            "memcpy_dtoh": lambda: cuda.download(array, buffers["a"]),
            "mem_get_info": cuda.facts,
        }
        with pytest.raises(BackendError, match=message) as caught:
            work[call]()
        buffers.close()
    assert cure in caught.value.hint


def test_no_gpu_is_a_sentence():
    with standin.installed(no_gpu=True), pytest.raises(BackendError, match="CUDA finds no GPU") as caught:
        Cuda()
    assert "--runtime nvidia" in caught.value.hint


def test_no_pycuda_is_a_sentence():
    with standin.installed(pycuda_missing=True), pytest.raises(DependencyMissing, match="pycuda cannot be imported"):
        Cuda()


def test_a_process_that_closes_its_context_ends_quietly():
    code = "from ccc_jetson.engines.cuda import Cuda; Cuda().close()"
    process = subprocess.Popen([sys.executable, "-c", code], env=standin.environment(), stderr=subprocess.PIPE)
    err = process.communicate()[1].decode()
    assert (process.returncode, err) == (0, "")
