"""ONNX Runtime on the CPU, with the settings that every stage shares. 1.10 (the last for Python 3.6) and newer."""

from types import ModuleType
from typing import Any

from ccc_jetson.errors import BackendError, DependencyMissing


def import_onnxruntime() -> ModuleType:
    """The ``onnxruntime`` module, or a DependencyMissing that says how to get it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise DependencyMissing(
            "onnxruntime cannot be imported: {}".format(error),
            hint="pip install onnxruntime (on Python 3.6: pip install onnxruntime==1.10.0)",
        )
    return onnxruntime


def cpu_session(model: bytes, origin: str, threads: int = 0, as_written: bool = False, lean: bool = False) -> Any:
    """An ``onnxruntime.InferenceSession``; ``threads`` 0 takes all cores, ``origin`` names the model in messages.

    ``as_written`` runs every node as it stands: the runtime may otherwise drop a Cast to a narrower type and back.
    ``lean`` gives memory back after every run, which costs a little time: for many sessions side by side.

    ONNX Runtime treats denormals as zero in its own threads and, for a process's first session only, in the calling
    one: see ``runtime/denormals.py`` for the others.

    Raises:
        BackendError: ONNX Runtime cannot run the model.
    """
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it maps all memory a second time in the second run, and gains no time
    options.enable_cpu_mem_arena = not lean
    options.log_severity_level = 3
    if as_written:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    try:
        return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no public common class; all mean that the model cannot be run
        raise BackendError(
            "{}: ONNX Runtime {} cannot run it: {}".format(origin, runtime.__version__, str(error).strip()),
            hint="export it again with ccc-export; opset 13 and IR 7 run everywhere",
        )
