"""A stand-in for ``pycuda.driver``: one GPU, contexts, memory, streams and events, with pycuda's rules and words.

Its memory is the host's. ``standin_live()`` counts what has not been given back.
"""

import atexit
import ctypes
import os
import sys

import numpy as np
import standin_cuda
from standin_cuda import Error, LaunchError, LogicError, MemoryError, RuntimeError
from standin_faults import compute_capability, fault

from pycuda import VERSION
from pycuda._resources import DeviceAllocation, Event, HostMemory, Stream

__all__ = ["DeviceAllocation", "Error", "Event", "LaunchError", "LogicError", "MemoryError", "RuntimeError", "Stream"]
_STATE = {"initialised": False}


class device_attribute:
    """Numbers of cuda.h."""

    MULTIPROCESSOR_COUNT, INTEGRATED, CAN_MAP_HOST_MEMORY = 16, 18, 19
    COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR = 75, 76


class ctx_flags:
    """Numbers of cuda.h."""

    SCHED_AUTO, SCHED_SPIN, SCHED_YIELD, SCHED_BLOCKING_SYNC, MAP_HOST = 0, 1, 2, 4, 8


class event_flags:
    """Numbers of cuda.h."""

    DEFAULT, BLOCKING_SYNC, DISABLE_TIMING = 0, 1, 2


def init(flags=0):
    """Has to be called first."""
    if fault("no_gpu"):
        raise RuntimeError("cuInit failed: no CUDA-capable device is detected")
    _STATE["initialised"] = True


def get_version():
    """Of CUDA, as pycuda was compiled: (10, 2, 0)."""
    major, minor = fault("cuda").split(".")
    return int(major), int(minor), 0


def get_driver_version():
    """Of CUDA, as the driver supports it: 10020."""
    major, minor, _ = get_version()
    return major * 1000 + minor * 10


def mem_get_info():
    """Bytes of device memory: free, in all."""
    _current("cuMemGetInfo")
    return standin_cuda.free_bytes(), fault("total_mib") * standin_cuda.MIB


class Device:
    """The GPU number ``number``; there is only 0."""

    def __init__(self, number):
        if not _STATE["initialised"]:
            raise LogicError("cuDeviceGet failed: initialization error")
        if number != 0:
            raise LogicError("cuDeviceGet failed: invalid device ordinal")

    @staticmethod
    def count():
        """How many there are."""
        return 1

    def name(self):
        """What CUDA calls it."""
        return fault("device")

    def compute_capability(self):
        """(6, 2) and the like."""
        return compute_capability()

    def total_memory(self):
        """In bytes."""
        return fault("total_mib") * standin_cuda.MIB

    def get_attribute(self, attribute):
        """The value of a ``device_attribute``."""
        major, minor = compute_capability()
        return {
            device_attribute.MULTIPROCESSOR_COUNT: 2,
            device_attribute.INTEGRATED: int(fault("integrated")),
            device_attribute.CAN_MAP_HOST_MEMORY: 1,
            device_attribute.COMPUTE_CAPABILITY_MAJOR: major,
            device_attribute.COMPUTE_CAPABILITY_MINOR: minor,
        }[attribute]

    def make_context(self, flags=0):
        """A new context, current in this thread."""
        context = Context()
        context.push()
        return context

    if VERSION >= (2020, 1):

        def retain_primary_context(self):
            """The context that CUDA's runtime uses; not current until it is pushed."""
            return Context(is_primary=True)


class Context:
    """A CUDA context; it has to be taken off the stack of every thread that pushed it, and detached."""

    def __init__(self, is_primary=False):
        self._context = standin_cuda.retain_primary_context() if is_primary else standin_cuda.Context()
        self._is_attached = True

    def push(self):
        """Makes it this thread's current one."""
        if not self._is_attached:
            raise LogicError("cuCtxPushCurrent failed: invalid device context")
        standin_cuda.stack().append(self._context)

    @staticmethod
    def pop():
        """Makes the one before it this thread's current one."""
        if not standin_cuda.stack():
            raise LogicError("context::pop failed: invalid device context - cannot pop non-current context")
        standin_cuda.stack().pop()

    def detach(self):
        """Destroys it; what was made in it is lost."""
        if not self._is_attached:
            raise LogicError("context::detach failed: invalid device context - cannot detach from invalid context")
        standin_cuda.finish_all()
        self._is_attached = False
        self._context.release()

    @staticmethod
    def synchronize():
        """Waits for all work."""
        _current("cuCtxSynchronize")
        standin_cuda.finish_all()

    @staticmethod
    def get_device():
        """The current context's device."""
        _current("cuCtxGetDevice")
        return Device(0)


def mem_alloc(size):
    """Device memory of ``size`` bytes."""
    return DeviceAllocation(size)


def pagelocked_empty(shape, dtype, order="C", mem_flags=0):
    """An array in memory that the GPU can reach; it is given back with the array."""
    return np.asarray(HostMemory(np.empty(shape, dtype, order)))


def memcpy_htod(dest, src):
    """Copies to the device: all bytes of ``src``."""
    _current("cuMemcpyHtoD")
    standin_cuda.finish_all()
    _to_device("cuMemcpyHtoD", dest, src)()


def memcpy_dtoh(dest, src):
    """Copies from the device: as many bytes as ``dest`` has."""
    _current("cuMemcpyDtoH")
    standin_cuda.finish_all()
    _from_device("cuMemcpyDtoH", dest, src)()


def memcpy_htod_async(dest, src, stream=None):
    """As ``memcpy_htod``, when the stream comes to it; ``src`` has to stay as it is until then."""
    _current("cuMemcpyHtoDAsync")
    standin_cuda.enqueue(_handle(stream), _to_device("cuMemcpyHtoDAsync", dest, src))


def memcpy_dtoh_async(dest, src, stream=None):
    """As ``memcpy_dtoh``, when the stream comes to it."""
    _current("cuMemcpyDtoHAsync")
    standin_cuda.enqueue(_handle(stream), _from_device("cuMemcpyDtoHAsync", dest, src))


def _to_device(call, dest, src):
    array = _contiguous(src)
    address = _address(call, dest, array.nbytes)
    return lambda: ctypes.memmove(address, array.ctypes.data, array.nbytes)


def _from_device(call, dest, src):
    array = _contiguous(dest)
    if not array.flags.writeable:
        raise BufferError("Object is not writable.")
    address = _address(call, src, array.nbytes)
    return lambda: ctypes.memmove(array.ctypes.data, address, array.nbytes)


def _address(call, memory, size):
    """Of device memory with at least ``size`` bytes from there on."""
    address = int(memory)
    room = standin_cuda.room_at(address)
    if room is None or size > room:
        raise LogicError("{} failed: invalid argument".format(call))
    return address


def _contiguous(thing):
    """An array on the bytes of something with a buffer."""
    array = thing if isinstance(thing, np.ndarray) else np.frombuffer(thing, np.uint8)
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        raise ValueError("ndarray is not contiguous")
    return array


def _handle(stream):
    return 0 if stream is None else stream.handle


def _current(call):
    if not standin_cuda.stack():
        raise LogicError("{} failed: invalid device context - no currently active context?".format(call))


def standin_live():
    """How many allocations, contexts, streams, events and page-locked arrays have not been given back."""
    return dict(standin_cuda.LIVE)


def standin_forget():
    """Lets this process end whatever is left: for tests that run the stand-in in their own."""
    atexit.unregister(_clean_up)


def _clean_up():
    """Ends the process as pycuda does when a context is left on a stack."""
    if standin_cuda.threads_with_contexts():
        line = "-" * 67
        sys.stderr.write(
            "\n".join(
                (
                    line,
                    "PyCUDA ERROR: The context stack was not empty upon module cleanup.",
                    line,
                    "A context was still active when the context stack was being",
                    "cleaned up. At this point in our execution, CUDA may already",
                    "have been deinitialized, so there is no way we can finish",
                    "cleanly. The program will be aborted now.",
                    "Use Context.pop() to avoid this problem.",
                    line,
                    "",
                )
            )
        )
        sys.stderr.flush()
        os.abort()


atexit.register(_clean_up)
