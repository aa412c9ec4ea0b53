"""The CPU: OpenVINO for files exported for it, else ONNX Runtime, the reference for every other backend.

Works with ONNX Runtime 1.10 (the last for Python 3.6) and newer.
"""

import time
from typing import List, Optional, Tuple

import numpy as np

from ccc_jetson.carried import check_against, check_whole, contract_of
from ccc_jetson.contract import CLASS_MAP, LOGITS, SCORES, Contract
from ccc_jetson.cpu_session import open_cpu_session
from ccc_jetson.errors import BackendError
from ccc_jetson.files import read_bytes
from ccc_jetson.onnx_file import parse_onnx, with_extra_outputs
from ccc_jetson.preprocess import Preprocessor
from ccc_jetson.runtime.backends import Backend, Classification, Inference, Segmentation, refuse_batches
from ccc_jetson.runtime.denormals import flush_denormals
from ccc_jetson.runtime.pixels import BGR, to_bgr
from ccc_jetson.targets import runtime_for


class CpuBackend(Backend):
    """Runs an exported ONNX file; arguments as for ``open_backend``."""

    def __init__(
        self,
        path: str,
        fit: str = "stretch",
        contract: Optional[Contract] = None,
        threads: int = 0,
        want_logits: bool = False,
    ) -> None:
        data = read_bytes(path)
        onnx_file = parse_onnx(data, path)
        check_whole(onnx_file, path)
        if contract is None:
            contract = contract_of(onnx_file, path)
        else:
            check_against(contract, onnx_file, path)
        refuse_batches(contract, path, "ccc-export CHECKPOINT {} --batch 1".format(path))
        self.contract = contract
        self._preprocess = Preprocessor(contract, fit)
        self._input = np.zeros((1, 3, contract.input.height, contract.input.width), np.float32)
        self._has_logits = want_logits or contract.output.kind == LOGITS
        if want_logits and contract.output.kind == CLASS_MAP:
            data = with_extra_outputs(data, [contract.output.logits])
        # The networks' activations and the authors' weights hold denormals, which cost a CPU tens of times more than
        # zeros; ONNX Runtime sets its mode on the calling thread for a process's first session only.
        flush_denormals()
        opened = open_cpu_session(data, path, runtime_for(contract.target), threads)
        self._session = opened.session
        self.description = "{} {} on the CPU, {}".format(
            opened.runtime, opened.version, "{} threads".format(threads) if threads else "all cores"
        )
        self.facts = {opened.package: opened.version}
        if opened.missing:
            self.facts["note"] = opened.missing

    def start(self, staged: Tuple[np.ndarray, str]) -> Inference:
        started = time.perf_counter()
        frame = to_bgr(*staged)
        self._preprocess(frame, self._input)
        prepared = time.perf_counter()
        (output,) = self.run([self.contract.output.name], self._input)
        inferred = time.perf_counter()
        kind = self.contract.output.kind
        if kind == SCORES:
            found = output[0].copy()  # the next run may overwrite it
        else:
            found = (output[0] if kind == CLASS_MAP else output[0].argmax(axis=0)).astype(np.uint8)
        seconds = {
            "preprocess": prepared - started,
            "infer": inferred - prepared,
            "postprocess": time.perf_counter() - inferred,
        }
        geometry = self._preprocess.fitting(frame)
        return Classification(found, geometry, seconds) if kind == SCORES else Segmentation(found, geometry, seconds)

    def finish(self, running: Inference) -> Inference:
        return running

    def network_seconds(self, runs: int) -> List[float]:
        seconds = []
        for _ in range(runs):
            started = time.perf_counter()
            self.run([self.contract.output.name], self._input)
            seconds.append(time.perf_counter() - started)
        return seconds

    def logits(self, image: np.ndarray, pixel_format: str = BGR) -> np.ndarray:
        if not self._has_logits:
            raise BackendError("this backend was opened without logits")
        self._preprocess(to_bgr(image, pixel_format), self._input)
        return self.run([self.contract.output.logits], self._input)[0][0].copy()

    def run(self, outputs: list, image: np.ndarray) -> list:
        """The bare session: named outputs for a (1, 3, H, W) float32 input; the next run may overwrite them."""
        return self._session.run(outputs, {self.contract.input.name: image})

    def close(self) -> None:
        self._session = None
