"""What both backends of TensorRT begin with: an engine opened on the GPU, and the kernels around it."""

from typing import Callable, Dict, List, Optional, Tuple

from ccc_jetson.contract import Contract
from ccc_jetson.engines.kernel_store import kernels_for
from ccc_jetson.engines.manifest_checks import rebuild_command
from ccc_jetson.engines.opening import OpenedEngine, open_engine
from ccc_jetson.engines.tensorrt_api import TensorRT, import_tensorrt
from ccc_jetson.engines.tensorrt_callbacks import Guard
from ccc_jetson.engines.tensorrt_log import TensorRTLog
from ccc_jetson.files import sha256_of
from ccc_jetson.runtime.backends import refuse_batches
from ccc_jetson.runtime.gpu import Gpu, Mark


class EngineOnGpu:
    """An engine of ``ccc-build-engine``, or a plan whose contract is given, and its kernels; ends before the GPU does.

    ``description`` says what runs where, ``facts`` what a report should know of it beside that.

    Raises:
        DependencyMissing: no TensorRT, or no nvcc where the kernels have to be compiled.
        FileProblem, ContractError, EngineMismatch, BuildError: as ``engines.opening.open_engine``.
        BackendError: no memory, or an engine for batches.
    """

    def __init__(self, gpu: Gpu, path: str, contract: Optional[Contract], tell: Callable[[str], None]) -> None:
        self._gpu = gpu
        self._marks: List[Tuple[Mark, Mark]] = []
        api = TensorRT(import_tensorrt(), TensorRTLog(), Guard())
        self.opened: OpenedEngine = open_engine(api, gpu.cuda, path, contract)
        self.contract, manifest = self.opened.contract, self.opened.manifest
        try:
            refuse_batches(self.contract, path, rebuild_command(manifest) if manifest else "")
            for note in self.opened.notes:
                tell("note: " + note)
            gpu.load_kernels(kernels_for(path, gpu.sm, gpu.cuda_version, self.contract.head, say=tell).cubin)
            self.sha256 = manifest.plan_sha256 if manifest else sha256_of(path)
        except BaseException:
            self.close()
            raise
        self.description = "TensorRT {} on {}".format(api.version, gpu.name)
        self.facts: Dict[str, str] = {
            "tensorrt": api.version,
            "cuda": gpu.cuda_version,
            "gpu": gpu.name,
            "engine_sha256": self.sha256,
        }

    def network_seconds(self, runs: int) -> List[float]:
        """How long each of so many runs of the engine alone takes on the GPU."""
        gpu = self._gpu
        if not self._marks:
            self._marks = [(gpu.new_mark(), gpu.new_mark()) for _ in range(2)]
        seconds = []
        for number in range(runs + 1):  # a run is queued before the last one is waited for, as trtexec does it
            if number < runs:
                began, ended = self._marks[number % 2]
                gpu.mark(began)
                self.opened.engine.enqueue(gpu.stream)
                gpu.mark(ended)
            if number > 0:
                began, ended = self._marks[(number - 1) % 2]
                gpu.wait(ended)
                seconds.append(gpu.seconds(began, ended))
        return seconds

    def close(self) -> None:
        """Ends TensorRT's objects; may be called twice."""
        self.opened.engine.close()
