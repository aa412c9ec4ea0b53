"""Trials on first use: which memory policy brings frames in and results out soonest, and whether a CUDA graph helps.

A policy is timed with the kernel that uses it, from the CPU's first byte to the GPU's last or the other way round; the
network is not run for that. What is compared differs by factors, so medians of a few runs will do.
"""

import contextlib
import time
from typing import Any, Callable, Dict, Sequence, Tuple

import numpy as np

from ccc_jetson.errors import BackendError
from ccc_jetson.runtime.frame_program import FrameProgram
from ccc_jetson.runtime.gpu import Gpu
from ccc_jetson.runtime.slots import FrameKind, Memory

RUNS = 7
_SEED = 20180


def noise(kind: FrameKind) -> np.ndarray:
    """A frame of which no two places are alike, so that a result in the wrong place is noticed."""
    return np.random.RandomState(_SEED).randint(0, 256, kind.shape, dtype=np.uint8)


def median_ms(run: Callable[[], Any], runs: int = RUNS) -> float:
    """Milliseconds that ``run`` takes, after one run that does not count."""
    run()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e3


class MemoryTrials:
    """Times policies for one kind of frames, to which the program's tables have been fitted."""

    def __init__(self, gpu: Gpu, program: FrameProgram, kind: FrameKind) -> None:
        self._gpu, self._program, self._kind = gpu, program, kind
        self._frame = noise(kind)
        self._class_map_shape = (program.size[1], program.size[0])
        self._done = gpu.new_mark()

    def choose(self, allowed: Sequence[str], forced: Dict[str, str]) -> Tuple[Memory, Dict[str, float]]:
        """The fastest of the allowed policies for each kind of memory, and the milliseconds of all that were tried.

        Args:
            forced: policies by the names of ``Memory``'s fields, which are not tried.

        Raises:
            BackendError: no policy is possible here.
        """
        chosen, tried = {}, {}  # type: Dict[str, str], Dict[str, float]
        for field in Memory._fields:
            if field in forced or (field == "picture" and not self._program.draws):
                chosen[field] = forced.get(field, allowed[0])
                continue
            times: Dict[str, float] = {}
            problem = BackendError("there is no memory that CPU and GPU can share")
            # Once there and back: clocks rise while this goes on, which favours what comes last
            for policy in list(allowed) + list(allowed)[::-1]:
                try:
                    milliseconds = self._milliseconds(field, policy)
                except BackendError as error:  # this device has no such memory
                    problem = error
                else:
                    times[policy] = min(milliseconds, times.get(policy, milliseconds))
            if not times:
                raise problem
            chosen[field] = min(times, key=lambda policy: times[policy])
            tried.update({"{} {}".format(field, policy): ms for policy, ms in times.items()})
        return Memory(**chosen), tried

    def _milliseconds(self, field: str, policy: str) -> float:
        gpu, program, kind = self._gpu, self._program, self._kind
        with contextlib.ExitStack() as memories:
            if field == "input":
                given = gpu.input_memory(policy, kind.size)
                memories.callback(given.close)

                def bring_in() -> None:
                    np.copyto(given.host.reshape(kind.shape), self._frame)
                    given.upload(kind.size)
                    self._complete(program.pre(given.address, kind))

                return median_ms(bring_in)
            shape = self._class_map_shape
            if field == "picture":
                frame = gpu.cuda.allocate(kind.size)
                memories.callback(frame.free)
                gpu.cuda.upload(frame, self._frame)
                class_map = gpu.cuda.allocate(shape[0] * shape[1])
                memories.callback(class_map.free)
                self._complete(program.head(int(class_map)))
                size = program.picture_size(kind)
                found = gpu.output_memory(policy, size)
                launch = program.overlay(int(frame), int(class_map), found.address, kind)
                array = np.empty(size, np.uint8)
            else:
                found = gpu.output_memory(policy, shape[0] * shape[1])
                launch = program.head(found.address)
                array = np.empty(shape, np.uint8)
            memories.callback(found.close)

            def bring_out() -> None:
                self._complete(launch)
                found.download(array)

            return median_ms(bring_out)

    def _complete(self, launch: Any) -> None:
        self._gpu.launch(launch)
        self._gpu.mark(self._done)
        self._gpu.wait(self._done)
