"""Denormal numbers as zero, for the calling thread.

Arithmetic on denormals takes a CPU tens of times longer. The C library's floating-point environment is per thread and
holds the mode: bits 6 and 15 (denormals-are-zero, flush-to-zero) of MXCSR on x86-64, bit 24 (FZ) of FPCR on aarch64.
"""

import ctypes
import platform
import struct

import numpy as np

_X86_MXCSR_OFFSET, _X86_FLUSH = 28, 1 << 6 | 1 << 15  # fenv_t of glibc: 28 bytes of x87 state, then MXCSR
_ARM_FPCR_OFFSET, _ARM_FLUSH = 0, 1 << 24  # fenv_t of glibc: FPCR, FPSR


def flush_denormals() -> bool:
    """Makes this thread treat denormals as zero; says whether it does now. Costs nothing to call again."""
    if platform.machine() == "x86_64":
        offset, bits = _X86_MXCSR_OFFSET, _X86_FLUSH
    elif platform.machine() == "aarch64":
        offset, bits = _ARM_FPCR_OFFSET, _ARM_FLUSH
    else:
        return denormals_are_flushed()
    try:
        libm = ctypes.CDLL("libm.so.6")
    except OSError:  # another C library than glibc
        return denormals_are_flushed()
    environment = ctypes.create_string_buffer(64)
    libm.fegetenv(environment)
    (mode,) = struct.unpack_from("<I", environment, offset)
    struct.pack_into("<I", environment, offset, mode | bits)
    libm.fesetenv(environment)
    return denormals_are_flushed()


def denormals_are_flushed() -> bool:
    """Whether this thread computes with zero where a denormal stands."""
    denormal = np.array([1e-40], np.float32)
    return bool((denormal * np.float32(1.0))[0] == 0.0)
