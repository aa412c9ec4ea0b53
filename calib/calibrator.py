"""Calibration on the device: TensorRT runs the network in FP32 on frames and measures the range of every tensor.

The calibrator itself, an object of TensorRT's classes, is ``engines``' (``tensorrt_callbacks.make_calibrator``, the one
for caches as well); this module gives it frames in device memory.
"""

from typing import Any, Callable, Iterator, List, Optional

import numpy as np

from ccc_jetson.calib.images import CalibrationImages
from ccc_jetson.contract import Contract
from ccc_jetson.engines.cuda import Buffers, Cuda
from ccc_jetson.engines.tensorrt_callbacks import ALGORITHMS, Calibration
from ccc_jetson.errors import BuildError, UsageError

_INPUT = "input"


class DeviceBatches:
    """Batches of calibration frames in one buffer on the GPU, given back by ``close``.

    A batch has as many frames as the network takes at a time, because TensorRT reads all of it whatever the last one
    lacks: where the frames do not fill it, its own frames are repeated from its first one on. So no frame is left out,
    and some of the last batch count twice.

    Args:
        cuda: the context that TensorRT builds in.
        contract: of the network.
        images: frames as its input.
        on_frame: called after every frame, for progress.

    Raises:
        BackendError: there is no memory for a batch.
    """

    def __init__(
        self, cuda: Cuda, contract: Contract, images: CalibrationImages, on_frame: Callable[[], None] = lambda: None
    ) -> None:
        given = contract.input
        self.batch_size = given.batch
        self._cuda, self._images, self._on_frame, self._name = cuda, images, on_frame, given.name
        size = given.batch * int(np.prod(images.shape)) * np.dtype(np.float32).itemsize
        self._buffers = Buffers(cuda, {_INPUT: size})
        self._running: Optional[Any] = None

    def calibration(self, algorithm: str) -> Calibration:
        """What ``build_plan`` takes: these batches, for a calibrator of ``engines``' ``ALGORITHMS``.

        Raises:
            UsageError: no such algorithm.
        """
        if algorithm not in ALGORITHMS:
            raise UsageError(
                "{!r} is no way to calibrate on the device; expected {}".format(
                    algorithm, " or ".join(sorted(ALGORITHMS))
                )
            )
        return Calibration(algorithm, b"", self.batch_size, self._batches)

    def _batches(self, names: List[str]) -> Iterator[List[int]]:
        """The buffer's address, with the next batch in it, for each batch.

        Raises:
            BuildError: the network's input is not the contract's.
        """
        if names != [self._name]:
            raise BuildError(
                "TensorRT asks for calibration data of {}, the contract has one input {!r}".format(names, self._name),
                hint="export the model again: ccc-export CHECKPOINT MODEL.onnx",
            )
        if self._running is not None:  # TensorRT may begin anew
            self._running.close()
        self._running = self._addresses()
        return self._running

    def _addresses(self) -> Iterator[List[int]]:
        for batch in self._images.batches(self.batch_size, self._on_frame):
            if len(batch) < self.batch_size:
                batch = batch[np.arange(self.batch_size) % len(batch)]
            self._cuda.upload(self._buffers[_INPUT], batch)
            yield [self._buffers.addresses[_INPUT]]

    def close(self) -> None:
        """Gives the memory back, and closes the file that is being read; may be called twice. After the build."""
        if self._running is not None:
            self._running.close()
            self._running = None
        self._buffers.close()

    def __enter__(self) -> "DeviceBatches":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
