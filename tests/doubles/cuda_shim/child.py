"""The process behind ``device.Device``: holds the memory, runs the kernels. Started with the library's path.

Speaks pickled tuples on standard input and output: a request is a method's name and its arguments.
"""

import ctypes
import os
import pickle
import sys

RUBBISH = 0xCD  # what new memory holds


class Memory(object):
    """Memory from the C library, so that the address sanitizer guards its ends, and the kernels of one library."""

    def __init__(self, path):
        self._c = ctypes.CDLL(None)
        self._library = ctypes.CDLL(path)
        self._allocations = []

    def allocate(self, size, offset, alignment):
        """Address of ``size`` bytes that end where the allocation ends, ``offset`` behind an aligned address."""
        address = ctypes.c_void_p()
        total = ctypes.c_size_t(size + offset)
        if self._c.posix_memalign(ctypes.byref(address), ctypes.c_size_t(alignment), total):
            raise MemoryError("{} bytes".format(size))
        self._allocations.append(address)
        ctypes.memset(address, RUBBISH, size + offset)
        return address.value + offset

    def write(self, address, data):
        """Copies bytes to an address."""
        ctypes.memmove(address, data, len(data))

    def read(self, address, size):
        """The bytes at an address."""
        return ctypes.string_at(address, size)

    def free(self):
        """Gives back everything; how many allocations there were."""
        for address in self._allocations:
            self._c.free(address)
        count = len(self._allocations)
        del self._allocations[:]
        return count

    def parameters(self, name):
        """The kernel's parameters as letters; None where there is no such kernel."""
        try:
            function = getattr(self._library, "shim_parameters_" + name)
        except AttributeError:
            return None
        function.restype = ctypes.c_char_p
        return function().decode()

    def launch(self, name, grid, block, packed, order):
        """Runs a kernel with the threads of each block in this order."""
        os.environ["CUDA_SHIM_ORDER"] = order
        function = getattr(self._library, "shimx_" + name)
        function.restype = None
        sizes = [(ctypes.c_uint * 3)(*size) for size in (grid, block)]
        function(sizes[0], sizes[1], ctypes.c_size_t(0), ctypes.create_string_buffer(packed, max(1, len(packed))))


def main():
    """Answers until standard input ends."""
    memory = Memory(sys.argv[1])
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        pickle.dump(getattr(memory, request[0])(*request[1:]), answers)
        answers.flush()


if __name__ == "__main__":
    main()
