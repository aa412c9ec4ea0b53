"""How a frame becomes an engine's input: one kernel resizes, converts, normalises, and writes NCHW in its type."""

from typing import Any, Optional, Tuple

import numpy as np

from ccc_jetson.engines.manifest import Binding
from ccc_jetson.engines.opening import OpenedEngine
from ccc_jetson.errors import BackendError
from ccc_jetson.preprocess import Fitting, bars_bgr, fitting, normalisation_table
from ccc_jetson.runtime.gpu import Gpu
from ccc_jetson.runtime.kernels import launches
from ccc_jetson.runtime.kernels.launches import Launch
from ccc_jetson.runtime.pixels import chroma_offset
from ccc_jetson.runtime.slots import FrameKind


class InputProgram:
    """The pre kernel for one engine; keeps its tables on the GPU.

    ``size`` is the input's width and height.

    Args:
        gpu: with the kernels loaded.
        opened: the engine; its input says in which type the kernel writes.
        fit: how frames of other proportions meet the input.

    Raises:
        BackendError: there is no kernel for this input, or no memory is left.
    """

    def __init__(self, gpu: Gpu, opened: OpenedEngine, fit: str) -> None:
        self._gpu, self._fit = gpu, fit
        contract = opened.contract
        self.size = (contract.input.width, contract.input.height)
        (self._input,) = opened.engine.inputs
        self._address = opened.engine.addresses[self._input.name]
        table = normalisation_table(contract.preprocessing).astype(_numpy_type(self._input, ("float32", "float16")))
        self._table = int(gpu.constant(np.ascontiguousarray(table)))
        self._bars = bars_bgr(contract.preprocessing)
        self._reversed = contract.preprocessing.color_order == "RGB"
        self._columns = gpu.constant(np.zeros((self.size[0], 2), np.int32))
        self._rows = gpu.constant(np.zeros((self.size[1], 2), np.int32))
        self._fitted: Optional[Tuple[FrameKind, Fitting]] = None

    def fit_to(self, kind: FrameKind) -> Fitting:
        """Makes the tables those of a kind of frames; what is under way with others is waited for."""
        if self._fitted is None or self._fitted[0] != kind:
            geometry = fitting((kind.width, kind.height), self.size, self._fit)
            source, target = geometry.source, geometry.target
            self._gpu.cuda.synchronize()
            for memory, table in (
                (self._columns, launches.resize_table(source.x, source.width, target.width)),
                (self._rows, launches.resize_table(source.y, source.height, target.height)),
            ):
                self._gpu.cuda.upload(memory, table)
            self._fitted = (kind, geometry)
        return self._fitted[1]

    def fitted(self, kind: FrameKind) -> Fitting:
        """The geometry of the kind that the tables are for, which must be this one."""
        assert self._fitted is not None and self._fitted[0] == kind, "the tables are another kind's"
        return self._fitted[1]

    def pre(self, frame: int, kind: FrameKind) -> Launch:
        """From the frame at an address to the engine's input."""
        return launches.pre(
            kind.pixel_format,
            self._input.dtype,
            frame,
            kind.pitch,
            chroma_offset(kind.shape, kind.pixel_format),
            int(self._columns),
            int(self._rows),
            self.fitted(kind).target,
            self.size,
            self._table,
            self._bars,
            self._reversed,
            self._address,
        )


def _numpy_type(binding: Binding, known: Tuple[str, ...]) -> Any:
    """The type of an input or output, if there are kernels for it."""
    if binding.dtype not in known:
        raise BackendError(
            "the engine's {!r} is {}; kernels are there for {}".format(
                binding.name, binding.dtype, " and ".join(known)
            ),
            hint="build it again with ccc-build-engine, from a file of ccc-export",
        )
    return np.dtype(binding.dtype)
