"""What is made in a context and given back: memory, streams, events."""

import time

import standin_cuda
from standin_cuda import LogicError


class Resource:
    """Something made in a context, given back once, by a call or when nobody holds it."""

    _call = ""

    def __init__(self):
        self._context = standin_cuda.current_context()
        self._is_held = True

    def _give_back(self):
        self._is_held = False
        if not self._context.valid:
            standin_cuda.warn_of_dead_context(self._call)
        self._end()

    def __del__(self):
        if getattr(self, "_is_held", False):
            self._give_back()


class DeviceAllocation(Resource):
    """Device memory; as a number it is its address."""

    _call = "cuMemFree"

    def __init__(self, size):
        Resource.__init__(self)
        self._is_held = False  # until there is memory to give back
        self._allocation = standin_cuda.allocate(size)
        self._is_held = True

    def __int__(self):
        return self._allocation.address

    __index__ = __int__

    def free(self):
        """Gives it back now."""
        if not self._is_held:
            raise LogicError("device_allocation::free failed: invalid resource handle")
        self._give_back()

    def _end(self):
        standin_cuda.release(self._allocation)


class Stream(Resource):
    """A queue of work."""

    _call = "cuStreamDestroy"

    def __init__(self, flags=0):
        Resource.__init__(self)
        self._stream = standin_cuda.Stream(self._context)

    @property
    def handle(self):
        """CUDA's number for it."""
        return self._stream.handle

    def synchronize(self):
        """Waits until its work is done."""
        self._stream.finish()

    def is_done(self):
        """Whether its work is done."""
        return self._stream.is_empty

    def wait_for_event(self, event):
        """What is queued from now on waits for the event."""
        self._stream.add(event.synchronize)

    def _end(self):
        self._stream.end()


class Event(Resource):
    """A mark in a stream, with the time when it is reached."""

    _call = "cuEventDestroy"

    def __init__(self, flags=0):
        Resource.__init__(self)
        self._reached, self._stream = None, None
        standin_cuda.LIVE["events"] += 1

    def record(self, stream=None):
        """Puts the mark behind the work that the stream has now."""
        self._reached, self._stream = None, stream
        if stream is None:
            standin_cuda.finish_all()
            self._reach()
        else:
            stream._stream.add(self._reach)
        return self

    def _reach(self):
        self._reached = time.perf_counter()

    def synchronize(self):
        """Waits until the mark is reached."""
        if self._stream is not None:
            self._stream.synchronize()
        return self

    def query(self):
        """Whether the mark is reached."""
        return self._reached is not None

    def time_since(self, start):
        """Milliseconds from ``start``'s mark to this one; both must have been reached."""
        if self._reached is None or start._reached is None:
            raise LogicError("cuEventElapsedTime failed: device not ready")
        return (self._reached - start._reached) * 1e3

    def time_till(self, end):
        """Milliseconds from this mark to ``end``'s."""
        return end.time_since(self)

    def _end(self):
        standin_cuda.LIVE["events"] -= 1


class HostMemory(Resource):
    """Memory that the GPU can reach, as numpy takes it."""

    _call = "cuMemFreeHost"

    def __init__(self, array):
        Resource.__init__(self)
        self._array = array
        self.__array_interface__ = array.__array_interface__
        standin_cuda.LIVE["pagelocked"] += 1

    def _end(self):
        standin_cuda.LIVE["pagelocked"] -= 1
