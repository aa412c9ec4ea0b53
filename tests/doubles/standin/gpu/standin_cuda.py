"""The stand-in's GPU: its memory is the host's, its streams are queues, its contexts belong to threads.

Work on a stream is done when somebody waits for it, not before: a result that is read too early is not there, as on a
real one. New memory holds a pattern, not zeros.
"""

import collections
import ctypes
import itertools
import sys
import threading

from standin_faults import fault

MIB = 1 << 20
_PATTERN = 0xCB  # as float32 -26711958, as float16 -15.6: a result that nobody wrote is noticed
_HANDLES = itertools.count(0x55500000, 0x40)
_LOCK = threading.RLock()


class Error(Exception):
    """The root of what pycuda raises."""


class LogicError(Error):
    """A call that was wrong."""


class MemoryError(Error):
    """No device memory left; not a child of Python's own MemoryError, as in pycuda."""


class LaunchError(Error):
    """A kernel that failed."""


class RuntimeError(Error):
    """No device, and the like."""


class Context:
    """A CUDA context; ``valid`` until everybody who holds it has released it."""

    def __init__(self):
        self._holders = 0
        self.hold()

    def hold(self):
        """One more release is needed."""
        self._holders += 1
        LIVE["contexts"] += 1

    def release(self):
        """Destroys it with the last one."""
        self._holders -= 1
        LIVE["contexts"] -= 1

    @property
    def valid(self):
        """Whether it is still there."""
        return self._holders > 0


class Allocation:
    """Device memory of ``size`` bytes at ``address``."""

    def __init__(self, size):
        self.size = size
        self._bytes = (ctypes.c_ubyte * size)()
        self.address = ctypes.addressof(self._bytes)
        ctypes.memset(self.address, _PATTERN, size)


class Stream:
    """A queue of work; ``handle`` is its number."""

    def __init__(self, context):
        self.context, self.handle, self._work = context, next(_HANDLES), collections.deque()
        STREAMS[self.handle] = self
        LIVE["streams"] += 1

    def add(self, work):
        """Queues a function without arguments."""
        self._work.append(work)

    @property
    def is_empty(self):
        """Whether all its work has been done."""
        return not self._work

    def finish(self):
        """Does the work that waits."""
        with _LOCK:
            while self._work:
                self._work.popleft()()

    def end(self):
        """Destroys it; work that waits is still done."""
        self.finish()
        del STREAMS[self.handle]
        LIVE["streams"] -= 1


LIVE = {"allocations": 0, "contexts": 0, "streams": 0, "events": 0, "pagelocked": 0}
STREAMS = {}  # by handle
_ALLOCATIONS = {}  # by address
_PRIMARY = []
_STACKS = collections.defaultdict(list)  # of contexts, by thread


def stack():
    """The calling thread's contexts, the current one last; detached ones do not count."""
    contexts = _STACKS[threading.get_ident()]
    while contexts and not contexts[-1].valid:
        contexts.pop()
    return contexts


def current_context():
    """The calling thread's context.

    Raises:
        LogicError: it has none.
    """
    contexts = stack()
    if not contexts:
        raise LogicError("explicit_context_dependent failed: invalid device context - no currently active context?")
    return contexts[-1]


def retain_primary_context():
    """The one context that CUDA's runtime shares with everybody who asks for it."""
    if _PRIMARY and _PRIMARY[0].valid:
        _PRIMARY[0].hold()
    else:
        _PRIMARY[:] = [Context()]
    return _PRIMARY[0]


def threads_with_contexts():
    """How many threads have contexts left on their stacks."""
    return sum(any(context.valid for context in contexts) for contexts in _STACKS.values())


def allocate(size):
    """Device memory.

    Raises:
        MemoryError: more than is free.
    """
    if size < 1:
        raise LogicError("cuMemAlloc failed: invalid argument")
    if size > free_bytes():
        raise MemoryError("cuMemAlloc failed: out of memory")
    made = Allocation(size)
    _ALLOCATIONS[made.address] = made
    LIVE["allocations"] += 1
    return made


def release(allocation):
    """Gives device memory back; CUDA waits for the device first."""
    finish_all()
    del _ALLOCATIONS[allocation.address]
    LIVE["allocations"] -= 1


def free_bytes():
    """What can still be allocated."""
    return fault("free_mib") * MIB - sum(each.size for each in _ALLOCATIONS.values())


def room_at(address):
    """Bytes from ``address`` to the end of the device memory it lies in; ``None`` where it is no device memory."""
    for each in list(_ALLOCATIONS.values()):
        if each.address <= address < each.address + each.size:
            return each.address + each.size - address
    return None


def finish_all():
    """Does the work of all streams, as everything on the default stream waits for."""
    for stream in list(STREAMS.values()):
        stream.finish()


def enqueue(handle, work):
    """Does ``work`` when the stream is waited for; at once on the default stream, whose handle is 0.

    Raises:
        LogicError: no such stream in the calling thread's context.
    """
    if not handle:
        finish_all()
        work()
        return
    stream = STREAMS.get(handle)
    if stream is None or not stack() or stack()[-1] is not stream.context:
        raise LogicError("invalid resource handle")
    stream.add(work)


def warn_of_dead_context(call):
    """What pycuda prints when something is cleaned up whose context is gone."""
    sys.stderr.write(
        "PyCUDA WARNING: a clean-up operation failed (dead context maybe?)\n{} failed: context is destroyed\n".format(
            call
        )
    )


def read(address, size):
    """Bytes at an address; host memory will do, too, as tests give it.

    Raises:
        LaunchError: it is device memory, and shorter.
    """
    _check_room(address, size)
    return ctypes.string_at(address, size)


def write(address, data):
    """As ``read``, the other way."""
    _check_room(address, len(data))
    ctypes.memmove(address, data, len(data))


def _check_room(address, size):
    room = room_at(address)
    if room is not None and room < size:
        raise LaunchError("an illegal memory access was encountered")
