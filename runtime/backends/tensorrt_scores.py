"""TensorRT on the GPU for networks that classify whole pictures: a frame goes in, its scores come out.

One frame after the other, in one place: a few kilobytes of scores are all that has to come back, and what is classified
are pictures from a disk.
"""

import contextlib
import time
from typing import Callable, List, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.choices import COPY
from ccc_jetson.contract import Contract
from ccc_jetson.engines.manifest import Binding
from ccc_jetson.errors import BackendError, CccError
from ccc_jetson.preprocess import Fitting
from ccc_jetson.runtime.backends import Backend, Classification
from ccc_jetson.runtime.backends.engine import EngineOnGpu
from ccc_jetson.runtime.gpu import Gpu, InputMemory
from ccc_jetson.runtime.input_program import InputProgram
from ccc_jetson.runtime.pixels import frame_size
from ccc_jetson.runtime.slots import FrameKind


class _Running(NamedTuple):
    geometry: Fitting
    copied_s: float


class TensorRTClassifier(Backend):
    """Runs an engine that gives scores; arguments as for ``open_backend``.

    Raises:
        DependencyMissing: no pycuda, or as ``EngineOnGpu``.
        FileProblem, ContractError, EngineMismatch, BuildError: as ``EngineOnGpu``.
        BackendError: no GPU, no memory, or an engine for batches, or one with another output than its contract says.
    """

    serial = True

    def __init__(self, path: str, fit: str, contract: Optional[Contract], tell: Callable[[str], None]) -> None:
        self._engine: Optional[EngineOnGpu] = None
        self._memory: Optional[InputMemory] = None
        self._gpu = Gpu()
        try:
            self._engine = engine = EngineOnGpu(self._gpu, path, contract, tell)
            self.contract, self.description, self.facts = engine.contract, engine.description, engine.facts
            self._program = InputProgram(self._gpu, engine.opened, fit)
            self._output = _output_of(engine)
            self._marks = [self._gpu.new_mark() for _ in range(3)]
        except BaseException:
            self.close()
            raise

    def start(self, staged: Tuple[np.ndarray, str]) -> _Running:
        assert self._engine is not None
        began_s = time.perf_counter()
        image, pixel_format = staged
        kind = FrameKind(*frame_size(image, pixel_format), pixel_format)
        memory = self._room_for(kind)
        np.copyto(memory.host[: kind.size].reshape(kind.shape), image)
        copied_s = time.perf_counter() - began_s
        geometry = self._program.fit_to(kind)
        gpu, (began, prepared, done) = self._gpu, self._marks
        gpu.mark(began)
        memory.upload(kind.size)
        gpu.launch(self._program.pre(memory.address, kind))
        gpu.mark(prepared)
        self._engine.opened.engine.enqueue(gpu.stream)
        gpu.mark(done)
        return _Running(geometry, copied_s)

    def _room_for(self, kind: FrameKind) -> InputMemory:
        if self._memory is None or self._memory.size < kind.size:
            if self._memory is not None:
                self._memory.close()
                self._memory = None
            self._memory = self._gpu.input_memory(COPY, kind.size)
        return self._memory

    def wait(self, running: _Running) -> None:
        self._gpu.wait(self._marks[-1])

    def finish(self, running: _Running) -> Classification:
        assert self._engine is not None
        gpu, (began, prepared, done) = self._gpu, self._marks
        gpu.wait(done)
        fetching_s = time.perf_counter()
        scores = self._engine.opened.engine.fetch(self._output.name)[0].astype(np.float32)
        seconds = {
            "preprocess": gpu.seconds(began, prepared) + running.copied_s,
            "infer": gpu.seconds(prepared, done),
            "postprocess": time.perf_counter() - fetching_s,
        }
        return Classification(scores, running.geometry, seconds)

    def network_seconds(self, runs: int) -> List[float]:
        assert self._engine is not None
        return self._engine.network_seconds(runs)

    def close(self) -> None:
        """Ends the engine, then memory, stream and context."""
        memory, self._memory = self._memory, None
        engine, self._engine = self._engine, None
        try:
            if engine is not None:
                with contextlib.suppress(CccError):  # what failed has been said
                    self._gpu.cuda.synchronize()
                engine.close()
            if memory is not None:
                memory.close()
        finally:  # after Ctrl-C, too: with a context that is not popped the process would end in an abort
            self._gpu.close()


def _output_of(engine: EngineOnGpu) -> Binding:
    """The scores, if they are as many as the contract has classes."""
    name, count = engine.contract.output.name, len(engine.contract.classes)
    for binding in engine.opened.engine.outputs:
        if binding.name == name and binding.shape == (1, count):
            return binding
    raise BackendError(
        "the engine gives {}, its contract names {!r} of 1x{}".format(
            ", ".join(
                "{!r} of {}".format(each.name, "x".join(map(str, each.shape))) for each in engine.opened.engine.outputs
            ),
            name,
            count,
        ),
        hint="is it the right contract? ccc-build-engine writes engines that bring their own",
    )
