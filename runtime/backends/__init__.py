"""What runs a network. Every backend takes frames and gives class maps, or a picture's scores, so that live use,
evaluation and benchmarks measure the same thing.

A backend belongs to the thread that opened it: open, infer and close it there (CUDA contexts and floating-point modes
are per thread). Only ``stage`` and ``discard`` may be called from another one.

May import ``engines``, the shared modules and what of ``runtime`` moves a frame through a GPU; no sources, sinks or
commands.
"""

import os
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from ccc_jetson.carried import read_contract
from ccc_jetson.contract import Contract
from ccc_jetson.errors import BackendError, CccError, FileProblem, UsageError
from ccc_jetson.file_kinds import ENGINE, kind_of
from ccc_jetson.preprocess import Fitting
from ccc_jetson.progress import say
from ccc_jetson.runtime.pixels import BGR, black

COMPUTE_STAGES = ("preprocess", "infer", "postprocess")
DEFAULT_MODELS = ("model.engine", "model.onnx")


class Segmentation(NamedTuple):
    """What a backend makes of a frame.

    ``class_map`` (H, W) uint8 at the network's size, in ordinary memory of its own; ``geometry`` maps it back to the
    frame; ``seconds`` of those of ``COMPUTE_STAGES`` that the backend can tell apart; ``picture`` is the frame with its
    classes' colours, (h, w, 3) uint8 BGR in ordinary memory of its own, from a backend that was asked to draw it.
    """

    class_map: np.ndarray
    geometry: Fitting
    seconds: Dict[str, float]
    picture: Optional[np.ndarray] = None

    def with_staging(self, seconds: float) -> "Segmentation":
        """The same with the time for bringing the frame to where the backend wants it, as a part of preprocessing."""
        return self._replace(seconds=dict(self.seconds, preprocess=self.seconds.get("preprocess", 0.0) + seconds))


class Classification(NamedTuple):
    """What a classifier makes of a frame: ``scores`` (classes,) float32, before any softmax, in memory of their own;
    ``geometry`` and ``seconds`` as of a ``Segmentation``."""

    scores: np.ndarray
    geometry: Fitting
    seconds: Dict[str, float]

    def with_staging(self, seconds: float) -> "Classification":
        """As ``Segmentation.with_staging``."""
        return self._replace(seconds=dict(self.seconds, preprocess=self.seconds.get("preprocess", 0.0) + seconds))


Inference = Union[Segmentation, Classification]


class GpuOptions(NamedTuple):
    """What only a backend on a GPU does.

    ``opacity`` of the classes' colours, 0 to 1, makes it draw ``Segmentation.picture``; ``cuda_graph`` lets it use one
    where that is faster; ``memory`` forces the policy ("copy", "mapped" or "managed") of "input", "class_map" or
    "picture"; ``serial`` promises that frames are computed one after the other, which allows more policies.
    """

    opacity: Optional[float] = None
    cuda_graph: bool = True
    memory: Tuple[Tuple[str, str], ...] = ()
    serial: bool = False


class Backend:
    """Interface of all backends.

    ``description`` says what runs where, ``facts`` what a report should know of it beside that.

    A frame goes through ``stage``, ``start`` and ``finish``; ``depth`` frames may be started before the first of them
    is finished. ``copies_frames`` says whether ``stage`` does; ``serial`` backends want that in their own thread, after
    the frame before has been finished.
    """

    contract: Contract
    description: str
    facts: Dict[str, str]
    depth = 1
    copies_frames = False
    serial = False

    def infer(self, image: np.ndarray, pixel_format: str = BGR) -> Inference:
        """A frame of any size -> class map, or a classifier's scores. Returns when the result is there."""
        began_s = time.perf_counter()
        staged = self.stage(image, pixel_format)
        staged_s = time.perf_counter() - began_s
        result = self.finish(self.start(staged))
        return result.with_staging(staged_s) if self.copies_frames else result

    def stage(self, image: np.ndarray, pixel_format: str = BGR) -> Any:
        """Brings a frame where ``start`` wants it; ``image`` must not change until it is finished or discarded."""
        return image, pixel_format

    def start(self, staged: Any) -> Any:
        """Begins to compute what ``stage`` gave; each is started, or discarded, once."""
        raise NotImplementedError

    def wait(self, running: Any) -> None:
        """Returns when what ``start`` gave is computed; ``finish`` will not wait then."""

    def finish(self, running: Any) -> Inference:
        """The result of what ``start`` gave; in the order in which frames were started."""
        raise NotImplementedError

    def discard(self, staged: Any) -> None:
        """Forgets a staged frame that will not be started."""

    def warm_up(self, size: Optional[Tuple[int, int]] = None, pixel_format: str = BGR) -> None:
        """Prepares for frames of a size (width, height), the network's by default, so that the first is no slower.

        Raises:
            CccError: the network cannot be run.
        """
        self.infer(black(size or (self.contract.input.width, self.contract.input.height), pixel_format), pixel_format)

    def network_seconds(self, runs: int) -> List[float]:
        """How long each of so many runs of the bare network takes, on what lies in its input, nothing copied."""
        raise NotImplementedError

    def logits(self, image: np.ndarray, pixel_format: str = BGR) -> np.ndarray:
        """A frame -> (classes, H, W) float32 at the network's size.

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


def choose_model(path: Optional[str], folder: str = ".", contract: Optional[Contract] = None) -> ModelChoice:
    """The model to run: the one asked for, else ``model.engine`` where this machine can run it, else ``model.onnx``.

    Args:
        contract: the one given by hand, if any.
    """
    if path is not None:
        return ModelChoice(path, "as asked")
    engine, onnx = (os.path.join(folder, name) for name in DEFAULT_MODELS)
    why_not = "{} is not there".format(engine)
    hint = "ccc-export CHECKPOINT model.onnx, or name the file of a model"
    if os.path.exists(engine):
        problem = _engine_problem(engine, contract)
        if problem is None:
            return ModelChoice(engine, "this machine can run it")
        why_not, hint = str(problem), problem.hint or hint
    if os.path.exists(onnx):
        return ModelChoice(onnx, why_not)
    raise FileProblem("no model: {}; {} is not there".format(why_not, onnx), hint=hint)


def _engine_problem(path: str, contract: Optional[Contract]) -> Optional[CccError]:
    """Why this machine cannot run the engine at ``path``; None where nothing speaks against it."""
    from ccc_jetson.engines.opening import check_runnable

    try:
        check_runnable(path, contract)
    except CccError as problem:
        return problem
    return None


def contract_of_model(path: str, given: Optional[Contract] = None) -> Contract:
    """The contract that a backend for the model at ``path`` will have, without opening one.

    Args:
        given: as for ``open_backend``.

    Raises:
        FileProblem, ContractError: as ``open_backend``.
    """
    if kind_of(path) != ENGINE:
        return read_contract(path) if given is None else given
    from ccc_jetson.engines.manifest import read_manifest
    from ccc_jetson.engines.opening import no_manifest

    manifest = read_manifest(path)
    if manifest is not None:
        return manifest.contract
    if given is None:
        raise no_manifest(path)
    return given


def open_backend(
    path: str,
    fit: str = "stretch",
    contract: Optional[Contract] = None,
    threads: int = 0,
    want_logits: bool = False,
    gpu: GpuOptions = GpuOptions(),  # noqa: B008, it is immutable
    tell: Callable[[str], None] = say,
) -> Backend:
    """Opens the backend that runs the model at ``path``, in this thread: TensorRT for engines, else a CPU's.

    Args:
        path: the model file.
        fit: how frames of other proportions meet the input (``choices.FITS``).
        contract: instead of the file's own (``--contract``), for models that something else exported; an engine with
            a manifest has its own.
        threads: of the CPU backend; 0 takes all cores.
        want_logits: prepares for ``logits``; costs memory for them.
        gpu: what a backend on a GPU does beside that.
        tell: called with lines for people.

    Raises:
        FileProblem, ContractError: the file is missing, damaged, or says nothing of itself.
        EngineMismatch, BackendError, DependencyMissing: this machine cannot run it.
    """
    if kind_of(path) == ENGINE:
        if contract_of_model(path, contract).is_classifier:
            if gpu.memory:
                raise UsageError(
                    "--memory: {} classifies whole pictures, whose memory is always copied".format(path),
                    hint="leave it out",
                )
            from ccc_jetson.runtime.backends.tensorrt_scores import TensorRTClassifier

            return TensorRTClassifier(path, fit, contract, tell)
        from ccc_jetson.runtime.backends.tensorrt import TensorRTBackend

        return TensorRTBackend(path, fit, contract, gpu, tell)
    from ccc_jetson.runtime.backends.cpu import CpuBackend

    return CpuBackend(path, fit, contract, threads, want_logits)


def refuse_batches(contract: Contract, path: str, cure: str) -> None:
    """Refuses a model for several frames at a time: live use and evaluation take one.

    Raises:
        BackendError: ``cure`` is the command that makes another.
    """
    if contract.input.batch != 1:
        raise BackendError(
            "{}: is made for batches of {}, live use and evaluation take one frame at a time".format(
                path, contract.input.batch
            ),
            hint=cure,
        )
