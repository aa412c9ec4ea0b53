"""The machines that a network can be exported, built and run for.

Sources: NVIDIA's JetPack release notes and module data sheets; a peak is computed from cores x clock where NVIDIA gives
none. TensorRT's opset ceiling is onnx-tensorrt's ``docs/operators.md`` of the branch that the JetPack ships.
"""

from typing import NamedTuple, Tuple

from ccc_jetson.errors import UsageError

TENSORRT, OPENVINO, ONNX_RUNTIME = "tensorrt", "openvino", "onnxruntime"


class Target(NamedTuple):
    """A machine: what its software accepts and what its hardware has. Peaks in TFLOP/s, bandwidth in GB/s.

    ``runtime`` is what runs the network there; it decides which graph passes help.
    """

    name: str
    title: str
    compute_capability: Tuple[int, int]
    jetpack: str
    python: Tuple[int, int]
    tensorrt: Tuple[int, int]
    opset: int
    ir_version: int
    fp16: bool
    int8: bool
    dla_cores: int
    fp32_tflops: float
    fp16_tflops: float
    bandwidth_gbps: float
    runtime: str = TENSORRT


# OpenVINO is the faster one on a PC; where it cannot be installed (Python 3.6), ONNX Runtime has a target of its own.
# ONNX Runtime 1.10, the last for Python 3.6, reads IR versions up to 8; opset 13 was released with IR 7
TARGETS = (
    Target("tx2", "Jetson TX2", (6, 2), "4.6.x", (3, 6), (8, 2), 13, 7, True, False, 0, 0.666, 1.33, 59.7),
    Target("tx2-nx", "Jetson TX2 NX", (6, 2), "4.6.x", (3, 6), (8, 2), 13, 7, True, False, 0, 0.666, 1.33, 51.2),
    Target("nano", "Jetson Nano", (5, 3), "4.6.x", (3, 6), (8, 2), 13, 7, True, False, 0, 0.236, 0.472, 25.6),
    Target("xavier", "Jetson AGX Xavier", (7, 2), "5.1.x", (3, 8), (8, 5), 13, 7, True, True, 2, 1.41, 2.82, 136.5),
    Target("xavier-nx", "Jetson Xavier NX", (7, 2), "5.1.x", (3, 8), (8, 5), 13, 7, True, True, 2, 0.84, 1.69, 59.7),
    Target("orin", "Jetson AGX Orin", (8, 7), "6.x", (3, 10), (10, 3), 13, 7, True, True, 2, 5.3, 10.6, 204.8),
    Target("x86", "PC with an NVIDIA GPU", (0, 0), "", (3, 10), (10, 3), 13, 7, True, True, 0, 0.0, 0.0, 0.0),
    Target("cpu", "a CPU", (0, 0), "", (3, 10), (0, 0), 13, 7, False, False, 0, 0.0, 0.0, 0.0, OPENVINO),
    Target(
        "cpu-onnxruntime",
        "a CPU without OpenVINO",
        (0, 0),
        "",
        (3, 6),
        (0, 0),
        13,
        7,
        False,
        False,
        0,
        0.0,
        0.0,
        0.0,
        ONNX_RUNTIME,
    ),
)
DEFAULT_TARGET, CPU_TARGET = "tx2", "cpu"


def runtime_for(target: str) -> str:
    """What runs a network that was exported for the machine called ``target``; TensorRT for one that is not known."""
    return next((each.runtime for each in TARGETS if each.name == target), TENSORRT)


def target_named(name: str) -> Target:
    """The machine called ``name``."""
    for target in TARGETS:
        if target.name == name:
            return target
    raise UsageError(
        "unknown target {!r}; expected one of {}".format(name, ", ".join(target.name for target in TARGETS))
    )
