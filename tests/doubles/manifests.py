"""The manifest of an engine as a TX2 would have built it from the tiny model."""

import hashlib

from ccc_jetson.carried import attachment, contract_of
from ccc_jetson.engines.machine import Machine
from ccc_jetson.engines.manifest import Binding, Gate, GateFrame, Manifest, Settings, write_manifest
from ccc_jetson.head import METADATA_KEY as HEAD_KEY
from ccc_jetson.onnx_file import parse_onnx
from tests.doubles.tiny_model import FEATURES, HEIGHT, WIDTH, tiny_model_bytes

PLAN = b"ftrt" + bytes(20) + bytes([8, 2, 1, 8]) + b"no layers, but a header" * 40
TX2 = Machine(
    tensorrt="8.2.1.8",
    cuda="10.2",
    device="NVIDIA Tegra X2",
    sm="6.2",
    board="NVIDIA Jetson TX2 Developer Kit",
    l4t="32.7.1",
    jetpack="4.6.1",
    power_mode="MAXN",
)
SETTINGS = Settings(
    precisions=("fp16",),
    output="features",
    layer_precisions=(),
    workspace=None,
    dla_core=None,
    gate=True,
    calibration_cache="",
    min_agreement=None,
    forced=False,
)


def tiny_manifest(plan=PLAN, **changes):
    """The manifest of ``plan``; keyword arguments replace fields."""
    model = tiny_model_bytes()
    onnx_file = parse_onnx(model)
    contract = contract_of(onnx_file, "tiny.onnx")
    return Manifest(
        tool="ccc-jetson 0.1.0",
        machine=TX2,
        settings=SETTINGS,
        bindings=(
            Binding("image", True, "float16", (1, 3, HEIGHT, WIDTH)),
            Binding("features", False, "float16", (1, FEATURES, HEIGHT // 2, WIDTH // 2)),
        ),
        pinned=("conv",),
        gate=Gate(
            True, (GateFrame("frame0", 0.994, 1.0, True, 0.995), GateFrame("frame1", 0.9925, 0.9995, True, 0.995))
        ),
        workspace_mib=1024,
        build_seconds=312.5,
        timing_cache="new",
        attempts=2,
        onnx_file="tiny.onnx",
        onnx_sha256=hashlib.sha256(model).hexdigest(),
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        plan_bytes=len(plan),
        contract=contract,
        head=attachment(contract, onnx_file, HEAD_KEY, "tiny.onnx"),
    )._replace(**changes)


def write_tiny_engine(path, plan=PLAN, manifest=None):
    """Writes a plan and its manifest; returns the path as text."""
    with open(str(path), "wb") as file:
        file.write(plan)
    write_manifest(str(path), tiny_manifest(plan) if manifest is None else manifest)
    return str(path)
