"""Compiles CUDA C for real GPUs, without one: NVIDIA's runtime compiler from the package index.

NVRTC 12.6 is the last but a few that knows a TX2's sm_62 (13 dropped it). What it makes is only looked at: a device
compiles the same source with its own nvcc. The packages have NVIDIA's licence: fetched when tests run, never committed.
"""

import ctypes
import glob
import os
import re
import sys
from typing import NamedTuple

from tests.doubles.fetching import becoming, need_x86, unpack_wheel

PACKAGES = ("nvidia-cuda-nvrtc-cu12==12.6.85", "nvidia-cuda-runtime-cu12==12.6.77")  # the compiler, cuda_fp16.h
_FOLDER = "12.6.85"
_ENTRY = re.compile(r"Compiling entry function '(\w+)' for")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


class Refused(Exception):
    """What the compiler said about a source that it refused."""


class Resources(NamedTuple):
    """What one kernel takes: registers a thread; bytes of stack, of registers spilled to memory, of shared memory."""

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int


def prepare(cache):
    """The folder with compiler and headers, fetched unless the cache has it.

    Args:
        cache: a folder that is kept between runs; made if it is not there.

    Raises:
        NoWheels: there is none for this machine.
        Missing: it cannot be fetched.
    """
    need_x86("NVRTC's packages")
    folder = os.path.join(cache, _FOLDER)
    if not os.path.isdir(folder):
        with becoming(folder) as temporary:
            for package in PACKAGES:
                unpack_wheel(sys.executable, package, temporary)
    return folder


class Compiler(object):
    """NVRTC in this process.

    Args:
        folder: of ``prepare``.
    """

    def __init__(self, folder):
        libraries = os.path.join(folder, "nvidia", "cuda_nvrtc", "lib")
        # it loads this one by name, and finds it where it is loaded already
        ctypes.CDLL(glob.glob(os.path.join(libraries, "libnvrtc-builtins.so.*"))[0], mode=ctypes.RTLD_GLOBAL)
        self._nvrtc = ctypes.CDLL(os.path.join(libraries, "libnvrtc.so.12"))
        self._nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
        self._headers = os.path.join(folder, "nvidia", "cuda_runtime", "include")

    def compile(self, source, architecture, defines=()):
        """Compiles as nvcc of CUDA 10.2 would be asked to: {kernel: ``Resources``}.

        Args:
            source: path of a .cu; what it includes lies beside it.
            architecture: such as "sm_62".
            defines: macros, as "NAME" or "NAME=VALUE".

        Raises:
            Refused: with what it said. Warnings count.
        """
        options = ["--gpu-architecture=" + architecture, "--std=c++14", "--ptxas-options=-v", "-lineinfo"]
        options += ["-I" + os.path.dirname(os.path.abspath(source)), "-I" + self._headers]
        options += ["-D" + each for each in defines]
        with open(source, "rb") as file:
            text = file.read()
        program = ctypes.c_void_p()
        name = os.path.basename(source).encode()
        self._checked(self._nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, name, 0, None, None), "")
        try:
            given = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
            code = self._nvrtc.nvrtcCompileProgram(program, len(options), given)
            size = ctypes.c_size_t()
            self._checked(self._nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size)), "")
            log = ctypes.create_string_buffer(size.value)
            self._checked(self._nvrtc.nvrtcGetProgramLog(program, log), "")
            said = log.value.decode(errors="replace")
            self._checked(code, said)
        finally:
            self._nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
        if "warning" in said:
            raise Refused(said)
        return resources(said)

    def _checked(self, code, said):
        if code:
            raise Refused("{}: {}".format(self._nvrtc.nvrtcGetErrorString(code).decode(), said))


def resources(log):
    """{kernel: ``Resources``} from what the assembler says with -v.

    Its lines, of which other functions' are passed over::

        ptxas info    : Compiling entry function 'ccc_narrow_i32' for 'sm_62'
        ptxas info    : Function properties for ccc_narrow_i32
            0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
        ptxas info    : Used 18 registers, 1536 bytes smem, 344 bytes cmem[0]
    """
    found, kernel, stack = {}, None, None
    for line in log.splitlines():
        entry, frame, used = _ENTRY.search(line), _STACK.search(line), _USED.search(line)
        if entry:
            kernel, stack = entry.group(1), None
        elif frame and kernel:
            stack = [int(number) for number in frame.groups()]
        elif used and kernel and stack:
            shared = _SHARED.search(line)
            found[kernel] = Resources(int(used.group(1)), *(stack + [int(shared.group(1)) if shared else 0]))
            kernel = None
    return found
