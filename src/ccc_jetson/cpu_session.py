"""The CPU runtimes behind one call: ONNX Runtime, and OpenVINO for what was exported for it.

Both take the bytes of an ONNX file. Which of them a file is for is its contract's ``target``
(``targets.runtime_for``); ONNX Runtime runs every file, and is the reference.
"""

import io
import re
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.errors import BackendError
from ccc_jetson.ort import cpu_session, import_onnxruntime
from ccc_jetson.targets import OPENVINO

_TELEMETRY = "openvino_telemetry"
_OLDEST, _OLDEST_PYTHON = (2025, 2), (3, 10)  # of OpenVINO, and what that needs


class CpuSession(NamedTuple):
    """A network ready to run on this machine's CPU.

    ``session`` has ``run(outputs, {input name: array})``; its results may be overwritten by the next run. ``missing``
    says which faster runtime could not be had, "" where none.
    """

    session: Any
    runtime: str  # as a person writes it
    version: str
    missing: str

    @property
    def package(self) -> str:
        """The runtime as Python packages it."""
        return self.runtime.replace(" ", "").lower()


def open_cpu_session(model: bytes, origin: str, runtime: str, threads: int = 0) -> CpuSession:
    """Opens ``model`` with the runtime it is for, where that is installed; else with ONNX Runtime.

    Args:
        model: an ONNX file.
        origin: names it in messages.
        runtime: of ``targets``; for ``TENSORRT``, too, ONNX Runtime is what runs it on a CPU.
        threads: 0 takes all cores.

    Raises:
        BackendError: the runtime cannot run it.
        DependencyMissing: there is no runtime at all.
    """
    missing = ""
    if runtime == OPENVINO:
        openvino, missing = _import_openvino()
        if openvino is not None:
            session = OpenVinoSession(openvino, model, origin, threads)
            return CpuSession(session, "OpenVINO", openvino.__version__.split("-")[0], missing)
    session = cpu_session(model, origin, threads)
    return CpuSession(session, "ONNX Runtime", import_onnxruntime().__version__, missing)


def missing_runtime(runtime: str) -> str:
    """Why what was exported for ``runtime`` would run on ONNX Runtime here, with what to do about it; "" elsewhere."""
    return _import_openvino()[1] if runtime == OPENVINO else ""


class OpenVinoSession:
    """A network compiled by OpenVINO's CPU plugin, in FP32 whatever the processor offers (2025.2 and newer).

    ``request`` is its one inference request.
    """

    def __init__(self, openvino: Any, model: bytes, origin: str, threads: int = 0) -> None:
        settings: Dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            # the plugin's own choice is bfloat16 or FP16 where the processor has it: other classes on 11 % of the
            # pixels (measured)
            "INFERENCE_PRECISION_HINT": "f32",
            "CPU_DENORMALS_OPTIMIZATION": "YES",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            core = openvino.Core()
            self.request = core.compile_model(
                core.read_model(io.BytesIO(model)), "CPU", settings
            ).create_infer_request()
        except RuntimeError as error:
            raise BackendError(
                "{}: OpenVINO {} cannot run it: {}".format(origin, openvino.__version__, _last_line(error)),
                hint="ccc-export --target cpu-onnxruntime writes a file for ONNX Runtime",
            )

    def run(self, outputs: List[str], given: Dict[str, np.ndarray]) -> List[np.ndarray]:
        """The named outputs for the named inputs; the next run overwrites them."""
        results = self.request.infer(given, share_inputs=True, share_outputs=True)
        return [results[name] for name in outputs]


def _import_openvino() -> Tuple[Optional[Any], str]:
    """The ``openvino`` module; None where it is absent or too old, with what to do about it.

    Its package comes with another that reports its use to Intel (seen with 2026.4: importing OpenVINO is enough).
    Nobody who segments a street asked for that, so this process is without it; OpenVINO has a stand-in for that case.
    """
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type]  # the documented way to make an import fail
    try:
        import openvino
    except ImportError:
        problem = "openvino is not installed"
    else:
        version = str(getattr(openvino, "__version__", "unknown"))  # packages for Python 3.6 have none
        found = re.match(r"(\d+)\.(\d+)", version)
        if hasattr(openvino, "Core") and found and (int(found.group(1)), int(found.group(2))) >= _OLDEST:
            return openvino, ""
        problem = "openvino {} is too old".format(version)
    if sys.version_info < _OLDEST_PYTHON:
        return None, problem + "; ccc-export --target cpu-onnxruntime writes a file that is faster here"
    return None, problem + ', with which this file is faster: pip install "openvino>={}.{}"'.format(*_OLDEST)


def _last_line(error: Exception) -> str:
    """OpenVINO's messages begin with places in its sources."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
