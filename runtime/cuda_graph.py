"""CUDA graphs through the driver's own library: pycuda has no interface for them.

A network of some hundred kernels costs a TX2's slow cores 10 to 20 us for each launch; a graph is launched once. The
functions are those of CUDA 10.2 (``cuGraphInstantiate`` with five arguments); from 11.4 on, ``WithFlags`` is used.
"""

import ctypes
from typing import Any, Callable

from ccc_jetson.errors import BackendError

_LIBRARY = "libcuda.so.1"
# What another thread does, a camera's driver say, must not end the capture (CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
_THREAD_LOCAL = 1
_LOG_BYTES = 4096


class CudaGraph:
    """What was queued on a stream while ``queue_work`` ran, ready to be queued again in one call.

    Args:
        stream: the handle of a stream that is not the default one; everything on it has been waited for.
        queue_work: queues the work on that stream, and only queues: waiting or allocating ends the capture.

    Raises:
        BackendError: this driver, or something in the work, cannot be captured. The stream is as before.
        CccError: what ``queue_work`` raises.
    """

    def __init__(self, stream: int, queue_work: Callable[[], None]) -> None:
        self._driver = _library()
        self._graph = ctypes.c_void_p()
        captured = ctypes.c_void_p()
        _checked(self._driver.cuStreamBeginCapture_v2(_handle(stream), _THREAD_LOCAL), "cuStreamBeginCapture")
        try:
            try:
                queue_work()
            finally:  # a stream that stays in capture takes no other work
                code = self._driver.cuStreamEndCapture(_handle(stream), ctypes.byref(captured))
            _checked(code, "cuStreamEndCapture")
            _checked(self._instantiate(captured), "cuGraphInstantiate")
        finally:
            if captured.value:
                self._driver.cuGraphDestroy(captured)

    def _instantiate(self, captured: Any) -> int:
        made = ctypes.byref(self._graph)
        if hasattr(self._driver, "cuGraphInstantiateWithFlags"):
            return int(self._driver.cuGraphInstantiateWithFlags(made, captured, ctypes.c_ulonglong(0)))
        log = ctypes.create_string_buffer(_LOG_BYTES)
        return int(self._driver.cuGraphInstantiate(made, captured, None, log, ctypes.c_size_t(_LOG_BYTES)))

    def launch(self, stream: int) -> None:
        """Queues the work on a stream, with the addresses that it had when it was captured."""
        _checked(self._driver.cuGraphLaunch(self._graph, _handle(stream)), "cuGraphLaunch")

    def close(self) -> None:
        """Frees it, in the context in which it was made; may be called twice."""
        graph, self._graph = self._graph, ctypes.c_void_p()
        if graph.value:
            self._driver.cuGraphExecDestroy(graph)


def _library() -> Any:
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise BackendError("CUDA graphs cannot be used: {}".format(error))


def _handle(stream: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(stream)


def _checked(code: int, call: str) -> None:
    if code:
        raise BackendError("{} failed with CUDA's error {}".format(call, code))
