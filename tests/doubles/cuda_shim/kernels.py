"""Launches a compiled kernel on host addresses, from numpy scalars as pycuda takes them."""

import ctypes
import struct

import numpy as np

MAX_THREADS = 1024
MAX_BLOCK = (1024, 1024, 64)
MAX_GRID = (2**31 - 1, 65535, 65535)
# numpy's letters of the types that CUDA's parameters have
_LETTERS = {"l": "q", "L": "Q"}


class LaunchError(Exception):
    """A launch that CUDA would refuse, or whose arguments are not the kernel's parameters."""


class Kernels:
    """The kernels in a library that ``build.build`` made.

    Args:
        path: of the library; without sanitizers, which want a process of their own (``device.Device``).
    """

    def __init__(self, path):
        self._library = ctypes.CDLL(path)

    def launch(self, launch):
        """Runs a kernel to its end.

        Args:
            launch: has ``name``, ``grid`` and ``block`` of three, and ``arguments``: numpy scalars in the kernel's
                order, addresses as np.uint64.

        Raises:
            LaunchError: there is no such kernel, or it takes something else.
        """
        try:
            run = getattr(self._library, "shimx_" + launch.name)
            parameters = getattr(self._library, "shim_parameters_" + launch.name)
        except AttributeError:
            raise LaunchError("there is no kernel {}".format(launch.name))
        parameters.restype = ctypes.c_char_p
        packed = pack(launch, parameters().decode())
        run.restype = None
        sizes = [(ctypes.c_uint * 3)(*size) for size in (launch.grid, launch.block)]
        run(sizes[0], sizes[1], ctypes.c_size_t(0), ctypes.create_string_buffer(packed, max(1, len(packed))))


def pack(launch, parameters):
    """The arguments as the bytes of a kernel's parameter block.

    Args:
        launch: as in ``Kernels.launch``.
        parameters: one letter each, as ``shim_parameters_NAME`` gives them.
    """
    threads = int(np.prod(launch.block))
    in_range = all(1 <= size <= most for size, most in zip(launch.grid + launch.block, MAX_GRID + MAX_BLOCK))
    if len(launch.grid) != 3 or len(launch.block) != 3 or not in_range or threads > MAX_THREADS:
        raise LaunchError("{}: grid {} of blocks {} is refused".format(launch.name, launch.grid, launch.block))
    given = ""
    for value in launch.arguments:
        if not isinstance(value, np.generic):
            raise LaunchError("{}: {!r} is no numpy scalar".format(launch.name, value))
        given += _LETTERS.get(value.dtype.char, value.dtype.char)
    if given != parameters.replace("P", "Q"):
        raise LaunchError("{}: takes {}, was given {}".format(launch.name, parameters, given))
    return struct.pack(given, *[value.item() for value in launch.arguments])
