"""Places for frames on their way through the GPU: a ring of slots that is made once and used again and again.

The thread that captures fills a slot while the GPU computes another one; no CUDA call is needed for that.
"""

import threading
from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ccc_jetson.runtime.cuda_graph import CudaGraph
from ccc_jetson.runtime.gpu import Gpu, InputMemory, OutputMemory
from ccc_jetson.runtime.kernels.launches import Launch
from ccc_jetson.runtime.pixels import row_bytes, shape_of_size

SLOTS = 5  # one is being filled, two wait, two are under way


class FrameKind(NamedTuple):
    """What frames have in common that are computed alike: width and height in pixels, and the pixel format."""

    width: int
    height: int
    pixel_format: str

    @property
    def shape(self) -> Tuple[int, ...]:
        """Of the array."""
        return shape_of_size((self.width, self.height), self.pixel_format)

    @property
    def size(self) -> int:
        """Bytes of a frame."""
        return int(np.prod(self.shape))

    @property
    def pitch(self) -> int:
        """Bytes of a row; rows follow each other without a gap."""
        return row_bytes(self.shape)


class Memory(NamedTuple):
    """The policy (``choices.MEMORY_POLICIES``) of each kind of memory that CPU and GPU exchange (``SHARED_MEMORY``)."""

    input: str
    class_map: str
    picture: str


class Slot:
    """Memory and marks for one frame of any size; every call but ``write`` is the GPU thread's.

    ``graph`` computes frames of ``graph_kind``; ``launches`` are a kind of frames and the kernels for them here.
    """

    def __init__(self, gpu: Gpu, memory: Memory, class_map_size: int) -> None:
        self._gpu, self._memory = gpu, memory
        self._input: Optional[InputMemory] = None
        self._picture: Optional[OutputMemory] = None
        self.graph: Optional[CudaGraph] = None
        self.graph_kind: Optional[FrameKind] = None
        self.launches: Optional[Tuple[FrameKind, Sequence[Launch]]] = None
        self.class_map = gpu.output_memory(memory.class_map, class_map_size)
        try:
            self.started, self.prepared, self.inferred, self.done = (gpu.new_mark() for _ in range(4))
        except BaseException:
            self.close()
            raise

    @property
    def capacity(self) -> int:
        """Bytes of the largest frame that it can take as it is."""
        return 0 if self._input is None else self._input.size

    @property
    def input(self) -> InputMemory:
        """Where the frame lies."""
        assert self._input is not None
        return self._input

    @property
    def picture(self) -> OutputMemory:
        """Where its overlay goes."""
        assert self._picture is not None
        return self._picture

    def make_room(self, input_size: int, picture_size: int) -> None:
        """Replaces memory that is too small; what was captured with its address is gone then."""
        if self.capacity < input_size:
            self._forget_addresses()
            if self._input is not None:
                self._input.close()
            self._input = None
            self._input = self._gpu.input_memory(self._memory.input, input_size)
        if picture_size and (self._picture is None or self._picture.size < picture_size):
            self._forget_addresses()
            if self._picture is not None:
                self._picture.close()
            self._picture = None
            self._picture = self._gpu.output_memory(self._memory.picture, picture_size)

    def write(self, image: np.ndarray) -> None:
        """Copies a frame in; any one thread may, as long as the slot is not under way."""
        np.copyto(self.input.host[: image.size].reshape(image.shape), image)

    def _forget_addresses(self) -> None:
        self.launches = None
        self.drop_graph()

    def drop_graph(self) -> None:
        """Forgets the captured work."""
        graph, self.graph, self.graph_kind = self.graph, None, None
        if graph is not None:
            graph.close()

    def close(self) -> None:
        """Frees everything; may be called twice."""
        self.drop_graph()
        for memory in (self._input, self.class_map, self._picture):
            if memory is not None:
                memory.close()
        self._input = self._picture = None


class SlotRing:
    """Slots, and which of them are free; the capturing thread and the GPU thread take and give."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = tuple(slots)
        self._free = list(slots)
        self._lock = threading.Lock()

    def take(self, size: int = 0) -> Optional[Slot]:
        """A free slot that can take a frame of ``size`` bytes as it is; None where there is none."""
        with self._lock:
            for slot in self._free:
                if slot.capacity >= size:
                    self._free.remove(slot)
                    return slot
            return None

    def give(self, slot: Slot) -> None:
        """Makes a slot free again."""
        with self._lock:
            self._free.append(slot)

    def close(self) -> None:
        """Frees all slots; none can be taken afterwards."""
        with self._lock:
            self._free = []
        for slot in self.slots:
            slot.close()
