"""CUDA as live use needs it: a stream to compute on and one to copy on, kernels, events, memory that both sides use.

Everything here belongs to the thread that made it. Ends in the order that CUDA wants: what runs on the GPU first, then
memory, streams, and the context last.
"""

from typing import Any, Dict, List

import numpy as np

from ccc_jetson.choices import COPY, MANAGED, MAPPED
from ccc_jetson.engines.cuda import Cuda
from ccc_jetson.engines.preflight import END_DESKTOP
from ccc_jetson.errors import BackendError
from ccc_jetson.runtime.kernels.launches import Launch


class Mark:
    """A place in the stream, with the time at which it is reached."""

    def __init__(self, event: Any) -> None:
        self.event = event


class Gpu:
    """The first GPU with a context that is current in this thread until ``close``.

    Raises:
        DependencyMissing: no pycuda.
        BackendError: no GPU that CUDA can use.
    """

    def __init__(self) -> None:
        self.cuda = Cuda()
        self._memory: List[Any] = []
        self._marks: List[Mark] = []
        self._functions: Dict[str, Any] = {}
        self._module: Any = None
        try:
            with self.cuda.translated("no second stream"):
                self._copies = self.cuda.driver.Stream()
            facts = self.cuda.facts()
            self.name, self.sm, self.cuda_version = facts.name, facts.sm, facts.cuda
            # 0 on every Tegra up to SM 7.2: the CPU may not touch managed memory while any kernel runs
            self.has_concurrent_managed_access = bool(self.cuda.attribute("CONCURRENT_MANAGED_ACCESS"))
        except BaseException:
            self.close()
            raise

    @property
    def stream(self) -> int:
        """The handle of the stream that computes."""
        return self.cuda.stream

    def load_kernels(self, cubin: bytes) -> None:
        """Loads what nvcc compiled.

        Raises:
            BackendError: it is for another GPU or a newer driver.
        """
        with self.cuda.translated("the compiled kernels cannot be loaded"):
            self._module = self.cuda.driver.module_from_buffer(cubin)

    def launch(self, launch: Launch) -> None:
        """Queues a kernel."""
        with self.cuda.translated("the kernel {} could not be started".format(launch.name)):
            function = self._functions.get(launch.name)
            if function is None:
                function = self._functions[launch.name] = self._module.get_function(launch.name)
            function(*launch.arguments, block=launch.block, grid=launch.grid, stream=self.cuda.queue)

    def new_mark(self) -> Mark:
        """A mark that is nowhere yet; ends with this object, whoever still holds it."""
        with self.cuda.translated("there is no event left"):
            # a thread that waits for it sleeps: the A57 cores have other work
            made = Mark(self.cuda.driver.Event(self.cuda.driver.event_flags.BLOCKING_SYNC))
        self._marks.append(made)
        return made

    def mark(self, mark: Mark) -> None:
        """Puts a mark behind what is queued."""
        with self.cuda.translated("a mark could not be put into the stream"):
            mark.event.record(self.cuda.queue)

    def wait(self, mark: Mark) -> None:
        """Sleeps until a mark is reached; tells of kernels that failed."""
        with self.cuda.translated("the GPU did not finish its work"):
            mark.event.synchronize()

    def seconds(self, first: Mark, last: Mark) -> float:
        """Between two marks that have been reached."""
        with self.cuda.translated("the time between two marks is not known"):
            return float(first.event.time_till(last.event)) / 1e3

    def constant(self, array: np.ndarray) -> Any:
        """Device memory that holds a C-ordered array; its ``int`` is the address. Ends with this object."""
        memory = self.cuda.allocate(array.nbytes)
        self._memory.append(memory)
        self.cuda.upload(memory, array)
        return memory

    def input_memory(self, policy: str, size: int) -> "InputMemory":
        """Memory that the CPU fills and the GPU reads; ``close`` it before this object."""
        return InputMemory(self, policy, size)

    def output_memory(self, policy: str, size: int) -> "OutputMemory":
        """Memory that the GPU fills and the CPU reads; ``close`` it before this object."""
        return OutputMemory(self, policy, size)

    def _shared(self, policy: str, size: int) -> Any:
        """(size,) uint8 that the CPU sees: page-locked (mapped as well), or managed."""
        driver = self.cuda.driver
        try:
            if policy == MANAGED:
                return driver.managed_empty((size,), np.uint8, mem_flags=driver.mem_attach_flags.GLOBAL)
            flags = driver.host_alloc_flags.DEVICEMAP if policy == MAPPED else 0
            return driver.pagelocked_empty((size,), np.uint8, mem_flags=flags)
        except driver.MemoryError:
            raise BackendError(
                "there are no {:,} bytes of memory left that CPU and GPU can share".format(size),
                hint="close other programs and the desktop ({})".format(END_DESKTOP),
            )
        except driver.Error as error:
            raise BackendError("{} memory cannot be had here: {}".format(policy, error))

    def close(self) -> None:
        """Frees memory, then events, kernels, streams and the context; may be called twice."""
        try:
            for memory in self._memory:
                memory.free()
            for mark in self._marks:
                mark.event = None
            self._memory, self._marks = [], []
            self._functions = {}
            self._module = self._copies = None
        finally:
            self.cuda.close()


class InputMemory:
    """Bytes for the GPU: ``host`` (size,) uint8 is where the CPU writes them, ``address`` where kernels read them.

    ``copy`` copies from page-locked to device memory; ``mapped`` lets kernels read page-locked memory itself (read
    once and in order, that is a TX2's fastest way in); ``managed`` leaves it to the driver.
    """

    def __init__(self, gpu: Gpu, policy: str, size: int) -> None:
        self._gpu, self.size = gpu, size
        self._device: Any = None
        self._arrived: Any = None
        self.host: Any = gpu._shared(policy, size)
        try:
            if policy == COPY:
                self._device = gpu.cuda.allocate(size)
                self._arrived = gpu.new_mark()
            with gpu.cuda.translated("{} memory cannot be had here".format(policy)):
                self.address = int(self._device if policy == COPY else self.host.base.get_device_pointer())
        except BaseException:
            self.close()
            raise

    def upload(self, size: int) -> None:
        """Queues what is needed for kernels that are launched from now on to see the first ``size`` bytes.

        A copy has its own stream, so that it goes on while the frame before is computed.
        """
        if self._device is not None:
            with self._gpu.cuda.translated("a frame could not be copied to the GPU"):
                self._gpu.cuda.driver.memcpy_htod_async(self._device, self.host[:size], self._gpu._copies)
                self._arrived.event.record(self._gpu._copies)
                self._gpu.cuda.queue.wait_for_event(self._arrived.event)

    def close(self) -> None:
        """Frees it; may be called twice."""
        host, self.host = self.host, None
        device, self._device = self._device, None
        if device is not None:
            device.free()
        if host is not None:
            host.base.free()


class OutputMemory:
    """Bytes from the GPU: kernels write them at ``address``.

    They always end in ordinary memory: page-locked memory is not cached for the CPU below SM 7.2, so that numpy on it
    is 7 to 12 times slower (CUDA for Tegra, application note). ``copy`` copies there from device memory, ``mapped``
    from page-locked memory that the kernel wrote itself, ``managed`` from managed memory.
    """

    def __init__(self, gpu: Gpu, policy: str, size: int) -> None:
        self._gpu, self.size = gpu, size
        self._device: Any = None
        self._host: Any = None
        if policy == COPY:
            self._device = gpu.cuda.allocate(size)
            self.address = int(self._device)
            return
        self._host = gpu._shared(policy, size)
        try:
            with gpu.cuda.translated("{} memory cannot be had here".format(policy)):
                self.address = int(self._host.base.get_device_pointer())
        except BaseException:
            self.close()
            raise

    def download(self, array: np.ndarray) -> None:
        """Fills a C-ordered uint8 array in ordinary memory; what writes these bytes must have been waited for.

        Work of later frames on the computing stream goes on meanwhile.
        """
        if self._device is None:
            np.copyto(array, self._host[: array.size].reshape(array.shape))
            return
        with self._gpu.cuda.translated("a result could not be copied from the GPU"):
            self._gpu.cuda.driver.memcpy_dtoh_async(array, self._device, self._gpu._copies)
            self._gpu._copies.synchronize()

    def close(self) -> None:
        """Frees it; may be called twice."""
        host, self._host = self._host, None
        device, self._device = self._device, None
        if device is not None:
            device.free()
        if host is not None:
            host.base.free()
