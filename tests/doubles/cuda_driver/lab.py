"""Small kernels, graphs, and a bed to try things on: for tests that use the driver as a program does."""

import contextlib
import ctypes
import os
import subprocess
import sys
import threading

import numpy as np

from tests.doubles import cuda_driver

# add: numbers plus a summand; overrun: writes one number too many
KERNELS = """
extern "C" __global__ void add(const float* from, float* to, int count, float summand) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) to[i] = from[i] + summand;
}
extern "C" __global__ void overrun(float* to, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= count) to[i] = 1.0f;
}
"""
THREAD_LOCAL, GLOBAL = 1, 0
NUMBERS = np.arange(4, dtype=np.float32)
_PROGRAM = """
import ctypes, os, resource, sys, threading
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
import numpy as np
import pycuda.driver as cuda
from tests.doubles.cuda_driver import Counters
from tests.doubles.cuda_driver.lab import Graphs, module, new_context
cuda.init()
"""


class Refused(Exception):
    """A graph function's code."""

    def __init__(self, call, code):
        super().__init__("{} gave {}".format(call, code))
        self.code = code


class Graphs:
    """CUDA's graph functions, which pycuda does not have."""

    def __init__(self):
        self.library = ctypes.CDLL("libcuda.so.1")
        self._executables = []

    def begin(self, stream, mode=THREAD_LOCAL):
        """Begins to capture a pycuda stream."""
        self._call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream.handle), mode)

    def end(self, stream):
        """Ends it: the executable graph."""
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamEndCapture", ctypes.c_void_p(stream.handle), ctypes.byref(graph))
        try:
            self._call("cuGraphInstantiate", ctypes.byref(executable), graph, None, None, ctypes.c_size_t(0))
        finally:
            self._call("cuGraphDestroy", graph)
        self._executables.append(executable)
        return executable

    def launch(self, executable, stream):
        """Queues it."""
        self._call("cuGraphLaunch", executable, ctypes.c_void_p(stream.handle))

    def close(self):
        """Destroys what ``end`` gave."""
        while self._executables:
            self._call("cuGraphExecDestroy", self._executables.pop())

    def _call(self, name, *arguments):
        code = getattr(self.library, name)(*arguments)
        if code:
            raise Refused(name, code)


@contextlib.contextmanager
def new_context(cuda):
    """A context that ends with the block."""
    context = cuda.Device(0).make_context()
    try:
        yield context
    finally:
        context.pop()
        context.detach()


def nvcc(folder, source, *options):
    """Runs nvcc as PATH has it on a source text: exit code, what it printed, the cubin's bytes or ``None``."""
    folder = str(folder)
    with open(os.path.join(folder, "unit.cu"), "w") as file:
        file.write(source)
    output = os.path.join(folder, "unit.cubin")
    command = ["nvcc", "-cubin", "-std=c++14", "-O3"] + list(options) + ["-o", output, "unit.cu"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.communicate()[0].decode()
    print(said)
    if process.returncode:
        return process.returncode, said, None
    with open(output, "rb") as file:
        return 0, said, file.read()


def module(cuda, folder):
    """``KERNELS``, compiled for the board and loaded."""
    arch = "-arch=sm_{}{}".format(*cuda.Device(0).compute_capability())
    return cuda.module_from_buffer(nvcc(folder, KERNELS, arch)[2])


def in_child(code, folder, **environment):
    """Runs a program in a process of its own: its code, standard output, standard error.

    ``cuda`` is pycuda's driver, initialised; ``sys.argv[1]`` is the folder.
    """
    variables = cuda_driver.environment(**environment)
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM + code, str(folder)], env=variables, cwd=cuda_driver.ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    print(out.decode() + err.decode())
    return process.returncode, out.decode(), err.decode()


def live(driver):
    """What a ``Driver`` holds, without zeros."""
    return {name: count for name, count in driver.counters.snapshot().items() if name.startswith("live.") and count}


def in_thread(work):
    """Runs it in a thread of its own: the exception that it raised, or its result."""
    found = []

    def run():
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it hangs"
    return found[0]


class Bed:
    """A context with kernels, a stream, and memory for four numbers on the device and in page-locked memory."""

    def __init__(self, cuda, driver, context, folder):
        self.cuda, self.driver, self._context = cuda, driver, context
        self.module = module(cuda, folder)
        self.stream = cuda.Stream()
        self.given, self.found = (cuda.pagelocked_empty(4, np.float32) for _ in range(2))
        self.source, self.target = cuda.mem_alloc(16), cuda.mem_alloc(16)
        self.given[:], self.found[:] = NUMBERS, 0

    def add(self, summand, stream=None):
        """Queues source + summand -> target."""
        kernel = self.module.get_function("add")
        kernel(self.source, self.target, np.int32(4), np.float32(summand), block=(32, 1, 1), grid=(1, 1), stream=stream)

    def queue(self, summand):
        """Queues upload, kernel and download on the stream."""
        self.cuda.memcpy_htod_async(self.source, self.given, self.stream)
        self.add(summand, self.stream)
        self.cuda.memcpy_dtoh_async(self.found, self.target, self.stream)

    def within_context(self, work):
        """Does it with the context current in this thread, too."""
        self._context.push()
        try:
            return work()
        finally:
            self._context.pop()

    def close(self):
        """Leaves all of it to pycuda."""
        self.module = self.stream = self.given = self.found = self.source = self.target = None
