"""Kernels in a process of their own, as on a GPU: own memory, and an error ends it without ending the tests."""

import os
import pickle
import subprocess
import sys
import tempfile
import threading

import numpy as np

from tests.doubles.cuda_shim.build import sanitizer_libraries
from tests.doubles.cuda_shim.kernels import LaunchError, pack

ALIGNMENT = 256  # cuMemAlloc's
_CHILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "child.py")
_SECONDS = 120


class DeviceLost(Exception):
    """The process has ended: what it wrote, such as a sanitizer's report."""


class Device(object):
    """Memory and kernels of one library, until ``close``.

    Args:
        path: the library that ``build.build`` made.
        sanitized: it was built with ``build.SANITIZE``.
    """

    def __init__(self, path, sanitized=False):
        environment = dict(os.environ, CUDA_SHIM_STRICT="1")
        if sanitized:
            environment["LD_PRELOAD"] = ":".join(sanitizer_libraries())
            # the interpreter itself leaks, and a kernel's error is better seen as an exit code than as a core file
            environment["ASAN_OPTIONS"] = "detect_leaks=0:abort_on_error=0:allocator_may_return_null=1"
            environment["UBSAN_OPTIONS"] = "print_stacktrace=1"
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, _CHILD, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    @property
    def lost(self):
        """Whether an error has ended it."""
        return self._process.poll() is not None

    def upload(self, array, offset=0):
        """Address of a copy of the array, ``offset`` bytes behind one aligned as CUDA's allocations are.

        Nothing beyond its last byte belongs to it, and a sanitized device notices.
        """
        data = np.ascontiguousarray(array).tobytes()
        address = self.allocate(len(data), offset)
        self._ask("write", address, data)
        return address

    def allocate(self, size, offset=0):
        """Address of ``size`` bytes of rubbish."""
        return self._ask("allocate", size, offset, ALIGNMENT)

    def download(self, address, shape, dtype):
        """An array from an address."""
        dtype = np.dtype(dtype)
        data = self._ask("read", address, int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(shape)

    def launch(self, launch, reversed_threads=False):
        """Runs a kernel to its end; in blocks from the last thread to the first where asked to.

        Raises:
            LaunchError: CUDA would refuse it, or its arguments are not the kernel's.
            DeviceLost: the kernel, or a sanitizer that watches it, ended the process.
        """
        parameters = self._ask("parameters", launch.name)
        if parameters is None:
            raise LaunchError("there is no kernel {}".format(launch.name))
        order = "reversed" if reversed_threads else "forward"
        self._ask("launch", launch.name, launch.grid, launch.block, pack(launch, parameters), order)

    def free(self):
        """Frees all memory; how many allocations there were."""
        return self._ask("free")

    def close(self):
        """Ends the process."""
        for stream in (self._process.stdin, self._process.stdout):
            stream.close()
        self._process.wait()
        self._said.close()

    def _ask(self, *request):
        watchdog = threading.Timer(_SECONDS, self._process.kill)
        watchdog.start()
        try:
            pickle.dump(request, self._process.stdin, protocol=4)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError):
            code = self._process.wait()
            self._said.seek(0)
            said = self._said.read().decode(errors="replace").strip()
            raise DeviceLost("{}: ended with code {}: {}".format(request[0], code, said))
        finally:
            watchdog.cancel()
