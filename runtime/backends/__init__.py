"""What runs a network. Every backend takes frames and gives class maps, so that live use, evaluation and benchmarks
measure the same thing.

A backend belongs to the thread that opened it: open, infer and close it there (CUDA contexts and floating-point modes
are per thread).
"""

import os
from typing import Dict, List, NamedTuple, Optional

import numpy as np

from ccc_jetson.carried import read_contract
from ccc_jetson.contract import Contract
from ccc_jetson.errors import BackendError, FileProblem
from ccc_jetson.preprocess import Fitting

COMPUTE_STAGES = ("preprocess", "infer", "postprocess")
DEFAULT_MODELS = ("model.engine", "model.onnx")


class Segmentation(NamedTuple):
    """What a backend makes of a frame.

    ``class_map`` (H, W) uint8 at the network's size, in ordinary memory of its own; ``geometry`` maps it back to the
    frame; ``seconds`` of each of ``COMPUTE_STAGES``.
    """

    class_map: np.ndarray
    geometry: Fitting
    seconds: Dict[str, float]


class Backend:
    """Interface of all backends. ``description`` says what runs where, for reports."""

    contract: Contract
    description: str

    def infer(self, frame: np.ndarray) -> Segmentation:
        """(h, w, 3) uint8 BGR of any size -> class map. Returns when the result is there."""
        raise NotImplementedError

    def logits(self, frame: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 BGR -> (classes, H, W) float32 at the network's size.

        Raises:
            BackendError: this backend never has full-resolution logits.
        """
        raise BackendError("{} gives class maps, no logits".format(self.description))

    def close(self) -> None:
        """Frees everything, in the thread that opened it; may be called twice."""

    def __enter__(self) -> "Backend":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class ModelChoice(NamedTuple):
    """Which model file is run, and why that one."""

    path: str
    reason: str


def choose_model(path: Optional[str], folder: str = ".") -> ModelChoice:
    """The model to run: the one asked for, else ``model.engine`` where this machine can run it, else ``model.onnx``."""
    if path is not None:
        return ModelChoice(path, "as asked")
    engine, onnx = (os.path.join(folder, name) for name in DEFAULT_MODELS)
    skipped: List[str] = []
    if os.path.exists(engine):
        skipped.append("{} is there, but this version runs ONNX files only".format(engine))
    if os.path.exists(onnx):
        return ModelChoice(onnx, "; ".join(skipped) or "{} is not there".format(engine))
    raise FileProblem(
        "no model: " + "; ".join(skipped + ["{} is not there".format(onnx)]),
        hint="ccc-export CHECKPOINT model.onnx, or name the file of a model",
    )


def contract_of_model(path: str) -> Contract:
    """The contract of the model at ``path``, without opening a backend; raises as ``open_backend`` does."""
    _refuse_engines(path)
    return read_contract(path)


def open_backend(
    path: str,
    fit: str = "stretch",
    contract: Optional[Contract] = None,
    threads: int = 0,
    want_logits: bool = False,
) -> Backend:
    """Opens the backend that runs the model at ``path``, in this thread.

    Args:
        path: the model file.
        fit: how frames of other proportions meet the input (``choices.FITS``).
        contract: instead of the file's own (``--contract``), for models that something else exported.
        threads: of the CPU backend; 0 takes all cores.
        want_logits: prepares for ``logits``; costs memory for them.

    Raises:
        FileProblem, ContractError: the file is missing, damaged, or says nothing of itself.
        BackendError: this machine cannot run it.
    """
    _refuse_engines(path)
    from ccc_jetson.runtime.backends.onnxruntime import OnnxRuntimeBackend

    return OnnxRuntimeBackend(path, fit, contract, threads, want_logits)


def _refuse_engines(path: str) -> None:
    if path.endswith((".engine", ".plan", ".trt")):
        raise BackendError(
            "{}: TensorRT engines cannot be run by this version".format(path),
            hint="run the ONNX file it was built from",
        )
