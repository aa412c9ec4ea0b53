"""A plan made ready to run on numpy arrays: for judging an engine, and for measuring it.

Live use copies less and overlaps more; here every run is complete when it returns.
"""

import sys
import time
import traceback
from typing import Any, Dict, Optional, Tuple

import numpy as np

from ccc_jetson.engines.cuda import Buffers, Cuda
from ccc_jetson.engines.manifest import Binding
from ccc_jetson.engines.tensorrt_api import TensorRT
from ccc_jetson.errors import BackendError


class LoadedEngine:
    """An engine with memory for its inputs and outputs.

    Args:
        api: the installed TensorRT.
        cuda: the context to run in; stays the caller's.
        plan: the plan's bytes.
        origin: names the plan in messages.
        dla_core: the one to run on, for an engine that was built for a DLA.

    Raises:
        BuildError: TensorRT cannot load the plan.
        BackendError: it has open sizes, or memory runs out.
    """

    def __init__(self, api: TensorRT, cuda: Cuda, plan: bytes, origin: str, dla_core: Optional[int] = None) -> None:
        self._api, self._cuda = api, cuda
        self._engine: Any = None
        self._context: Any = None
        self._bound: Any = None
        self._buffers = Buffers(cuda, {})
        try:
            self._engine = api.deserialize(plan, origin, dla_core)
            self.bindings = api.bindings(self._engine)
            for binding in self.bindings:
                if min(binding.shape, default=1) < 1:
                    raise BackendError(
                        "{}: {!r} has open sizes {}; engines of fixed size are run".format(
                            origin, binding.name, "x".join(map(str, binding.shape))
                        ),
                        hint="ccc-build-engine builds from an ONNX file of fixed size",
                    )
            self._context = api.context(self._engine)
            self._buffers = Buffers(cuda, {each.name: _empty(each).nbytes for each in self.bindings})
            self._bound = api.bind(self._context, self.bindings, self._buffers.addresses)
        except BaseException:
            self.close()
            raise

    @property
    def inputs(self) -> Tuple[Binding, ...]:
        return tuple(each for each in self.bindings if each.is_input)

    @property
    def outputs(self) -> Tuple[Binding, ...]:
        return tuple(each for each in self.bindings if not each.is_input)

    def run(self, arrays: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Runs once: inputs by name, of the binding's shape, converted to its type -> outputs by name."""
        for binding in self.inputs:
            array = np.ascontiguousarray(arrays[binding.name].astype(binding.dtype, copy=False))
            if array.shape != binding.shape:
                raise BackendError(
                    "input {!r} has shape {}, {} was given".format(binding.name, binding.shape, array.shape)
                )
            self._cuda.upload(self._buffers[binding.name], array)
        self._complete_run()
        return {binding.name: self.fetch(binding.name) for binding in self.outputs}

    def fetch(self, name: str) -> np.ndarray:
        """What lies in an input or output, which must have been waited for."""
        array = _empty(next(each for each in self.bindings if each.name == name))
        self._cuda.download(array, self._buffers[name])
        return array

    @property
    def addresses(self) -> Dict[str, int]:
        """Where inputs and outputs lie on the device, by name."""
        return self._buffers.addresses

    def enqueue(self, stream: int) -> None:
        """Starts a run on a CUDA stream (its handle) on what lies in the inputs; returns before it has ended."""
        self._api.enqueue(self._bound, stream)

    def _complete_run(self) -> None:
        self.enqueue(self._cuda.stream)
        self._cuda.synchronize()

    def milliseconds(self, runs: int) -> float:
        """The median time of a run of the engine alone, inputs and outputs where they are."""
        times = []
        for _ in range(runs):
            started = time.perf_counter()
            self._complete_run()
            times.append(time.perf_counter() - started)
        return float(np.median(times)) * 1e3

    def profile(self, runs: int, listen: Any) -> None:
        """Runs ``runs`` times while ``listen`` is told every layer's name and milliseconds."""
        self._api.profile(self._context, listen)
        for _ in range(runs):
            self._complete_run()

    def layer_information(self) -> str:
        """The inspector's JSON; empty before TensorRT 8.2."""
        return self._api.layer_information(self._engine)

    def close(self) -> None:
        """Ends TensorRT's objects, then frees memory; may be called twice."""
        _forget_locals(sys.exc_info()[1])
        self._bound = self._context = None
        self._engine = None
        self._buffers.close()

    def __enter__(self) -> "LoadedEngine":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _forget_locals(error: Optional[BaseException]) -> None:
    """Empties the frames that an exception under way has left: their variables would keep TensorRT's objects alive
    until it is dropped, when their CUDA context is gone."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _empty(binding: Binding) -> np.ndarray:
    try:
        return np.empty(binding.shape, binding.dtype)
    except TypeError:
        raise BackendError(
            "{!r} is of type {}, which numpy does not have".format(binding.name, binding.dtype),
            hint="build the engine from a file of ccc-export",
        )
