"""CUDA through pycuda, as far as building and judging an engine needs it: one context, memory, one stream.

``runtime.gpu`` builds on it what live use needs beyond that.

Whoever makes a ``Cuda`` uses and closes it in the same thread: a CUDA context belongs to the thread it is current in.
"""

import contextlib
from typing import Any, Dict, Iterator, NamedTuple

import numpy as np

from ccc_jetson.engines.preflight import END_DESKTOP
from ccc_jetson.engines.tensorrt_log import NO_GPU
from ccc_jetson.errors import BackendError, DependencyMissing
from ccc_jetson.static_tls import preload


class DeviceFacts(NamedTuple):
    """A GPU: ``name`` and ``sm`` ("6.2") as CUDA says them; ``integrated`` shares its memory with the CPU; ``cuda`` is
    the newest version that the driver runs ("10.2"); memory in bytes."""

    name: str
    sm: str
    integrated: bool
    cuda: str
    free_bytes: int
    total_bytes: int


def cannot_import(package: str, error: ImportError, hint: str) -> DependencyMissing:
    """What to raise where a package is missing (``hint`` says how to get it), or NVIDIA's libraries below it are."""
    if ".so" in str(error):  # a container without the NVIDIA runtime has empty files in their place
        hint = preload(str(error)) or (
            "in a container: docker run --runtime nvidia; else the driver's libraries are missing or damaged"
        )
    return DependencyMissing("{} cannot be imported: {}".format(package, error), hint=hint)


def import_pycuda() -> Any:
    """``pycuda.driver``.

    Raises:
        DependencyMissing: with how to get it.
    """
    try:
        import pycuda.driver
    except ImportError as error:
        raise cannot_import(
            "pycuda",
            error,
            "on a Jetson: export PATH=/usr/local/cuda/bin:$PATH; pip3 install pycuda==2022.1 (with a pip "
            "that is not JetPack 4's own: --no-build-isolation; compiling takes some minutes); "
            "on a PC: pip install pycuda",
        )
    return pycuda.driver


class GpuName(NamedTuple):
    """A GPU as it can be known without a context: CUDA's name and compute capability, and the driver's version."""

    name: str
    sm: str
    cuda: str


def first_gpu() -> GpuName:
    """The GPU that ``Cuda`` will use.

    Raises:
        DependencyMissing, BackendError: as ``Cuda``.
    """
    driver = import_pycuda()
    try:
        driver.init()
        return _gpu(driver, driver.Device(0))
    except driver.Error as error:
        raise _no_gpu(error)


def _gpu(driver: Any, device: Any) -> GpuName:
    version = driver.get_driver_version()  # 10020
    return GpuName(
        device.name(),
        "{}.{}".format(*device.compute_capability()),
        "{}.{}".format(version // 1000, version % 1000 // 10),
    )


def _no_gpu(error: Exception) -> BackendError:
    return BackendError("CUDA finds no GPU that it can use: {}".format(error), hint=NO_GPU)


class Cuda:
    """A context on the first GPU, current in this thread until ``close``.

    Raises:
        DependencyMissing: no pycuda.
        BackendError: no GPU that CUDA can use.
    """

    def __init__(self) -> None:
        self._driver = import_pycuda()
        try:
            self._driver.init()
            device = self._driver.Device(0)
            # TensorRT's own CUDA calls use the primary context; pycuda knows it since 2021.1
            if hasattr(device, "retain_primary_context"):
                self._context = device.retain_primary_context()
                self._context.push()
            else:
                self._context = device.make_context()
        except self._driver.Error as error:
            raise _no_gpu(error)
        self._device = device
        self._closed = False
        try:
            with self.translated("no stream"):
                self._stream = self._driver.Stream()
        except BackendError:
            self.close()
            raise

    def facts(self) -> DeviceFacts:
        """What the GPU is, and how much memory is free now."""
        with self.translated("the GPU's memory cannot be asked for"):
            free, total = self._driver.mem_get_info()
        gpu = _gpu(self._driver, self._device)
        return DeviceFacts(
            name=gpu.name,
            sm=gpu.sm,
            integrated=bool(self.attribute("INTEGRATED")),
            cuda=gpu.cuda,
            free_bytes=int(free),
            total_bytes=int(total),
        )

    @property
    def driver(self) -> Any:
        """``pycuda.driver``, for what is made in this context."""
        return self._driver

    def attribute(self, name: str) -> int:
        """A device attribute by pycuda's name for it; 0 where this pycuda does not know it."""
        number = getattr(self._driver.device_attribute, name, None)
        return 0 if number is None else int(self._device.get_attribute(number))

    @property
    def queue(self) -> Any:
        """The stream, as pycuda has it."""
        return self._stream

    @property
    def stream(self) -> int:
        """The handle of the stream."""
        return int(self._stream.handle)

    def allocate(self, size: int) -> Any:
        """Device memory of ``size`` bytes; its ``int`` is the address, ``free`` gives it back.

        Raises:
            BackendError: there is not so much left, or a kernel has failed before.
        """
        with self.translated("the GPU gives no memory"):
            try:
                return self._driver.mem_alloc(max(int(size), 1))
            except self._driver.MemoryError:
                raise BackendError(
                    "the GPU has no {:,} bytes of memory left".format(size),
                    hint="close other programs and the desktop ({})".format(END_DESKTOP),
                )

    def upload(self, memory: Any, array: np.ndarray) -> None:
        """Copies a C-ordered array to the device."""
        with self.translated("an array could not be copied to the GPU"):
            self._driver.memcpy_htod(memory, array)

    def download(self, array: np.ndarray, memory: Any) -> None:
        """Fills an array from the device."""
        with self.translated("an array could not be copied from the GPU"):
            self._driver.memcpy_dtoh(array, memory)

    def synchronize(self) -> None:
        """Waits until everything on the stream has been done."""
        with self.translated("the GPU did not finish its work"):
            self._stream.synchronize()

    @contextlib.contextmanager
    def translated(self, what: str) -> Iterator[None]:
        """CUDA's errors as ours; a kernel that failed is often noticed by a later call."""
        try:
            yield
        except self._driver.Error as error:
            hint = "restart the command; if it happens again, sudo dmesg says what the driver saw"
            if "timed out" in str(error) or "timeout" in str(error):
                hint = "the GPU's watchdog ends kernels while a desktop uses it: " + END_DESKTOP
            raise BackendError("{}: {}".format(what, error), hint=hint)

    def close(self) -> None:
        """Gives the context back; may be called twice. Free memory before."""
        if not self._closed:
            self._closed = True
            self._stream = None
            self._context.pop()
            self._context.detach()

    def __enter__(self) -> "Cuda":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Buffers:
    """Device memory by name, given back together."""

    def __init__(self, cuda: Cuda, sizes: Dict[str, int]) -> None:
        self._cuda = cuda
        self._memory: Dict[str, Any] = {}
        try:
            for name, size in sizes.items():
                self._memory[name] = cuda.allocate(size)
        except BaseException:
            self.close()
            raise

    @property
    def addresses(self) -> Dict[str, int]:
        """Where each lies on the device."""
        return {name: int(memory) for name, memory in self._memory.items()}

    def __getitem__(self, name: str) -> Any:
        return self._memory[name]

    def close(self) -> None:
        """May be called twice."""
        for memory in self._memory.values():
            memory.free()
        self._memory = {}
