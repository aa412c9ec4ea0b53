"""TensorRT on the GPU: frames go in as the camera gave them, class maps come out, and nothing between is numpy's.

    slot (written by the capturing thread) -> pre kernel -> engine -> head kernel [-> overlay kernel] -> ordinary memory

All of a frame's work is queued on one stream; the next frame is queued before this one's class map is copied out, so
that the GPU does not wait for the CPU. Everything CUDA belongs to the thread that opened the backend.
"""

import contextlib
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson import __version__
from ccc_jetson.board import read_board
from ccc_jetson.choices import COPY, MANAGED, MAPPED
from ccc_jetson.contract import Contract
from ccc_jetson.engines.machine import gpu_text
from ccc_jetson.engines.manifest import FEATURES, LOGITS
from ccc_jetson.errors import BackendError, CccError
from ccc_jetson.head import head_logits
from ccc_jetson.preprocess import Fitting
from ccc_jetson.runtime.backends import Backend, GpuOptions, Segmentation
from ccc_jetson.runtime.backends.engine import EngineOnGpu
from ccc_jetson.runtime.cuda_graph import CudaGraph
from ccc_jetson.runtime.frame_program import FrameProgram
from ccc_jetson.runtime.gpu import Gpu
from ccc_jetson.runtime.pixels import BGR, frame_size
from ccc_jetson.runtime.slots import SLOTS, FrameKind, Memory, Slot, SlotRing
from ccc_jetson.runtime.trials import MemoryTrials, median_ms, noise
from ccc_jetson.runtime.tuning import Tuning, read_tuning, write_tuning


class _Staged(NamedTuple):
    """A frame, and the slot that it was copied to; without a slot it is still to be copied."""

    image: np.ndarray
    kind: FrameKind
    slot: Optional[Slot]


class _Running(NamedTuple):
    """A frame under way; its stages have times of their own unless they are one graph.

    ``copied_s`` is what it took to copy the frame into its slot, where that had not been done before.
    """

    slot: Slot
    kind: FrameKind
    geometry: Fitting
    is_graph: bool
    copied_s: float


class TensorRTBackend(Backend):
    """Runs an engine of ``ccc-build-engine``, or a plan whose contract is given; arguments as for ``open_backend``.

    Raises:
        DependencyMissing: no TensorRT, no pycuda, or no nvcc where the kernels have to be compiled.
        FileProblem, ContractError, EngineMismatch, BuildError: as ``engines.opening.open_engine``.
        BackendError: no GPU, no memory, or an engine for batches.
    """

    def __init__(
        self, path: str, fit: str, contract: Optional[Contract], options: GpuOptions, tell: Callable[[str], None]
    ) -> None:
        self._path, self._fit, self._options, self._tell = path, fit, options, tell
        self._ring: Optional[SlotRing] = None
        self._engine: Optional[EngineOnGpu] = None
        self._policies = Memory(COPY, COPY, COPY)
        self._ready_for: Optional[FrameKind] = None
        self._is_exclusive = False  # whether there is managed memory that the CPU may not touch while a kernel runs
        self._gpu = Gpu()
        try:
            self._engine = engine = EngineOnGpu(self._gpu, path, contract, tell)
            self.contract, self.description, self.facts = engine.contract, engine.description, engine.facts
            self._engine_sha256 = engine.sha256
            self._program = FrameProgram(self._gpu, engine.opened, fit, options.opacity)
        except BaseException:
            self.close()
            raise

    copies_frames = True

    @property
    def depth(self) -> int:  # type: ignore[override]
        return 1 if self.serial else 2

    @property
    def serial(self) -> bool:  # type: ignore[override]
        return self._options.serial or self._is_exclusive

    def stage(self, image: np.ndarray, pixel_format: str = BGR) -> _Staged:
        """Copies the frame into a free slot that is large enough; no CUDA call is made."""
        kind = FrameKind(*frame_size(image, pixel_format), pixel_format)
        slot = None if self._ring is None else self._ring.take(kind.size)
        if slot is not None:
            slot.write(image)
        return _Staged(image, kind, slot)

    def start(self, staged: _Staged) -> _Running:
        kind = staged.kind
        if self._ring is None:
            self.warm_up((kind.width, kind.height), kind.pixel_format)
        began_s = time.perf_counter()
        slot = self._filled_slot(staged)
        copied_s = 0.0 if staged.slot is not None else time.perf_counter() - began_s
        geometry = self._program.fit_to(kind)
        graph = slot.graph if slot.graph_kind == kind else None
        self._gpu.mark(slot.started)
        slot.input.upload(kind.size)
        if graph is not None:
            graph.launch(self._gpu.stream)
        else:
            self._program.queue(slot, kind)
        self._gpu.mark(slot.done)
        return _Running(slot, kind, geometry, graph is not None, copied_s)

    def _filled_slot(self, staged: _Staged) -> Slot:
        """The slot that holds a frame, with room for all that comes of it."""
        assert self._ring is not None
        image, kind, slot = staged
        if slot is None:
            slot = self._ring.take()
            assert slot is not None, "two frames are under way and two wait, so one slot of {} is free".format(SLOTS)
        try:
            # A staged frame stays where it is: its input is large enough, only a picture's size is not its frame's
            slot.make_room(kind.size, self._program.picture_size(kind))
            if staged.slot is None:
                slot.write(image)
        except BaseException:
            self._ring.give(slot)
            raise
        return slot

    def wait(self, running: _Running) -> None:
        self._gpu.wait(running.slot.done)

    def finish(self, running: _Running) -> Segmentation:
        assert self._ring is not None
        slot, gpu = running.slot, self._gpu
        gpu.wait(slot.done)
        began = time.perf_counter()
        class_map = np.empty((self._program.size[1], self._program.size[0]), np.uint8)
        slot.class_map.download(class_map)
        picture = None
        if self._program.draws:
            picture = np.empty((running.kind.height, running.kind.width, 3), np.uint8)
            slot.picture.download(picture)
        copied = time.perf_counter() - began
        if running.is_graph:
            seconds = {"infer": gpu.seconds(slot.started, slot.done), "postprocess": copied}
        else:
            seconds = {
                "preprocess": gpu.seconds(slot.started, slot.prepared),
                "infer": gpu.seconds(slot.prepared, slot.inferred),
                "postprocess": gpu.seconds(slot.inferred, slot.done) + copied,
            }
        self._ring.give(slot)
        segmentation = Segmentation(class_map, running.geometry, seconds, picture)
        return segmentation.with_staging(running.copied_s) if running.copied_s else segmentation

    def discard(self, staged: _Staged) -> None:
        if staged.slot is not None and self._ring is not None:
            self._ring.give(staged.slot)

    def warm_up(self, size: Optional[Tuple[int, int]] = None, pixel_format: str = BGR) -> None:
        """Makes slots for frames of a size, and finds what is fastest for them, or remembers it.

        Raises:
            BackendError: something cannot be had or run on this GPU.
        """
        kind = FrameKind(*(size or self._program.size), pixel_format)
        if kind == self._ready_for:
            return
        self._ready_for = None
        self._program.fit_to(kind)
        key = self._tuning_key(kind)
        known = read_tuning(self._path, self._engine_sha256, key)
        is_first = self._ring is None  # of later kinds no memory is tried, so there is nothing to remember for them
        memory, tried = self._memory(kind, known)
        if self._ring is None:
            self._ring = self._new_ring(memory)
        frame = noise(kind)
        for slot in self._ring.slots:
            slot.drop_graph()  # it may be another kind's
            slot.make_room(kind.size, self._program.picture_size(kind))
            slot.write(frame)
        self._computed(self._ring.slots[0], kind)  # TensorRT puts some of its preparations off to the first run
        uses_graph = self._use_graphs(kind, known, tried)
        if known is None and is_first and self._options.cuda_graph and not self._options.memory:
            problem = write_tuning(self._path, self._engine_sha256, key, Tuning(memory, uses_graph, tried))
            if problem:
                self._tell("note: what was found fastest is not remembered: " + problem)
        self._ready_for = kind

    def _tuning_key(self, kind: FrameKind) -> str:
        """All that the choice may depend on."""
        facts = self.facts
        words = [gpu_text(self._gpu.name, self._gpu.sm), read_board().power_mode or "power mode unknown"]
        words += ["CUDA " + facts["cuda"], "TensorRT " + facts["tensorrt"], "ccc-jetson " + __version__]
        words += ["{}x{} {} {}".format(kind.width, kind.height, kind.pixel_format, self._fit)]
        words += ["overlay"] * self._program.draws + ["serial"] * self._options.serial
        return ", ".join(words)

    def _memory(self, kind: FrameKind, known: Optional[Tuning]) -> Tuple[Memory, Dict[str, float]]:
        """The policies to use, and the times of those that were tried for that."""
        if self._ring is not None:
            return self._policies, {}
        forced, allowed = dict(self._options.memory), [COPY, MAPPED]
        if self._options.serial or self._gpu.has_concurrent_managed_access:
            allowed.append(MANAGED)
        if known is not None and not forced:
            return known.memory, {}
        return MemoryTrials(self._gpu, self._program, kind).choose(allowed, forced)

    def _new_ring(self, memory: Memory) -> SlotRing:
        used = [memory.input, memory.class_map] + [memory.picture] * self._program.draws
        self._policies = memory
        self._is_exclusive = MANAGED in used and not self._gpu.has_concurrent_managed_access
        self.facts["memory"] = "input {}, class map {}".format(*memory)
        if self._program.draws:
            self.facts["memory"] += ", overlay " + memory.picture
        slots: List[Slot] = []
        try:
            for _ in range(SLOTS):
                slots.append(Slot(self._gpu, memory, self._program.size[0] * self._program.size[1]))
        except BaseException:
            SlotRing(slots).close()
            raise
        return SlotRing(slots)

    def _use_graphs(self, kind: FrameKind, known: Optional[Tuning], tried: Dict[str, float]) -> bool:
        """Gives every slot its graph where that is faster and computes the same; adds the times to ``tried``."""
        assert self._ring is not None
        if not self._options.cuda_graph:
            self.facts["cuda_graph"] = "switched off"
            return False
        if known is not None and not known.cuda_graph:
            self.facts["cuda_graph"] = "not used: it was no faster, or failed, when it was tried"
            return False
        slot, frame = self._ring.slots[0], noise(kind)
        expected = self._computed(slot, kind)
        slot.write(255 - frame)  # another class map lies there when the graph runs, or one that does nothing would do
        self._computed(slot, kind)
        slot.write(frame)
        try:
            self._capture(slot, kind)
            found = self._computed(slot, kind)
        except CccError as error:
            self._drop_graphs(error)
            return False
        if not np.array_equal(expected, found):
            slot.drop_graph()
            self.facts["cuda_graph"] = "not used: its class map is another one"
            return False
        if known is None:
            tried["with a CUDA graph"] = median_ms(lambda: self._computed(slot, kind))
            graph, slot.graph = slot.graph, None
            tried["without"] = median_ms(lambda: self._computed(slot, kind))
            slot.graph = graph
            if tried["with a CUDA graph"] >= tried["without"]:
                slot.drop_graph()
                self.facts["cuda_graph"] = "not used: {with a CUDA graph:.2f} ms a frame, {without:.2f} without".format(
                    **tried
                )
                return False
        try:
            for other in self._ring.slots[1:]:
                self._capture(other, kind)
        except CccError as error:
            self._drop_graphs(error)
            return False
        self.facts["cuda_graph"] = "used"
        if known is None:
            self.facts["cuda_graph"] += ": {with a CUDA graph:.2f} ms a frame, {without:.2f} without".format(**tried)
        return True

    def _drop_graphs(self, error: CccError) -> None:
        """Goes on without graphs, if it is they alone that fail."""
        assert self._ring is not None
        for slot in self._ring.slots:
            slot.drop_graph()
        self._gpu.cuda.synchronize()  # raises where it is more than the graph
        self.facts["cuda_graph"] = "not used: {}".format(error)

    def _capture(self, slot: Slot, kind: FrameKind) -> None:
        slot.drop_graph()
        slot.graph = CudaGraph(self._gpu.stream, lambda: self._program.queue(slot, kind, marks=False))
        slot.graph_kind = kind

    def _computed(self, slot: Slot, kind: FrameKind) -> np.ndarray:
        """The class map of what lies in a slot; nothing else is under way."""
        slot.input.upload(kind.size)
        if slot.graph is not None:
            slot.graph.launch(self._gpu.stream)
        else:
            self._program.queue(slot, kind, marks=False)
        self._gpu.mark(slot.done)
        self._gpu.wait(slot.done)
        class_map = np.empty((self._program.size[1], self._program.size[0]), np.uint8)
        slot.class_map.download(class_map)
        return class_map

    def network_seconds(self, runs: int) -> List[float]:
        assert self._engine is not None
        return self._engine.network_seconds(runs)

    def logits(self, image: np.ndarray, pixel_format: str = BGR) -> np.ndarray:
        assert self._engine is not None
        opened, output = self._engine.opened, self._engine.opened.output
        if output not in (FEATURES, LOGITS):
            raise BackendError("{}: gives class maps, no logits".format(self._path))
        self.infer(image, pixel_format)
        values = opened.engine.fetch(self._program.output.name)[0].astype(np.float32)
        if output == LOGITS:
            return values
        assert self.contract.head is not None
        return head_logits(values, self.contract.head, opened.head)

    def close(self) -> None:
        """Ends graphs, execution context, engine, buffers, stream and context, in this order."""
        ring, self._ring = self._ring, None
        engine, self._engine = self._engine, None
        try:
            if engine is not None:
                with contextlib.suppress(CccError):  # what failed has been said
                    self._gpu.cuda.synchronize()
            if ring is not None:
                for slot in ring.slots:
                    slot.drop_graph()
            if engine is not None:
                engine.close()
            if ring is not None:
                ring.close()
        finally:  # after Ctrl-C, too: with a context that is not popped the process would end in an abort
            self._gpu.close()
