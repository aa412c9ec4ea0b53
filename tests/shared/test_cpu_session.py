"""Which runtime a file gets on a CPU, and what it is told where that is absent."""

import os
import subprocess
import sys
import types

import numpy as np
import pytest

from ccc_jetson.cpu_session import open_cpu_session
from ccc_jetson.errors import BackendError
from ccc_jetson.onnx_file import with_extra_outputs
from ccc_jetson.targets import ONNX_RUNTIME, OPENVINO, TENSORRT
from tests.doubles.tiny_model import HEIGHT, WIDTH, tiny_model_bytes

CURE = "pip install" if sys.version_info >= (3, 10) else "--target cpu-onnxruntime"


@pytest.mark.parametrize("members", [{}, {"__version__": "2022.1.0"}, {"__version__": "2024.6.0-1", "Core": object}])
def test_an_openvino_that_is_too_old_is_passed_over(monkeypatch, members):
    module = types.ModuleType("openvino")
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, "openvino", module)
    opened = open_cpu_session(tiny_model_bytes(), "tiny.onnx", OPENVINO, 1)
    assert opened.runtime == "ONNX Runtime"
    assert "too old" in opened.missing and CURE in opened.missing


def image(seed=0):
    return np.random.RandomState(seed).normal(size=(1, 3, HEIGHT, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("runtime", [TENSORRT, ONNX_RUNTIME])
def test_what_is_for_other_runtimes_runs_on_onnx_runtime(runtime):
    opened = open_cpu_session(tiny_model_bytes(), "tiny.onnx", runtime)
    assert (opened.runtime, opened.missing) == ("ONNX Runtime", "")
    assert opened.version[0].isdigit()


def test_without_openvino_its_files_run_on_onnx_runtime_and_say_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    opened = open_cpu_session(tiny_model_bytes(), "tiny.onnx", OPENVINO, 1)
    assert opened.runtime == "ONNX Runtime"
    assert opened.missing.startswith("openvino is not installed")
    assert CURE in opened.missing
    assert opened.session.run(["class_map"], {"image": image()})[0].shape == (1, HEIGHT, WIDTH)


def test_openvino_computes_what_onnx_runtime_does():
    pytest.importorskip("openvino")
    model = with_extra_outputs(tiny_model_bytes(), ["logits"])
    fast, reference = (open_cpu_session(model, "tiny.onnx", runtime, 1) for runtime in (OPENVINO, ONNX_RUNTIME))
    assert (fast.runtime, fast.missing) == ("OpenVINO", "")
    outputs = ["logits", "class_map"]
    results = [session.run(outputs, {"image": image()}) for session in (fast.session, reference.session)]
    (logits, classes), (expected, expected_classes) = results
    assert np.abs(logits - expected).max() < 1e-5 * np.abs(expected).max()
    assert classes.dtype == np.int32 and (classes == expected_classes).mean() > 0.999


def test_openvino_computes_in_fp32_whatever_the_processor_offers():
    openvino = pytest.importorskip("openvino")
    session = open_cpu_session(tiny_model_bytes(), "tiny.onnx", OPENVINO).session
    compiled = session.request.get_compiled_model()
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert compiled.get_property("CPU_DENORMALS_OPTIMIZATION")


def test_a_model_that_openvino_cannot_run_is_named_with_the_target_that_can():
    pytest.importorskip("openvino")
    with pytest.raises(BackendError, match=r"some\.onnx: OpenVINO \d.* cannot run it: \S") as caught:
        open_cpu_session(b"no model", "some.onnx", OPENVINO)
    assert "--target cpu-onnxruntime" in caught.value.hint


def test_nobody_is_told_that_openvino_is_used(tmp_path):
    """In a process of its own, whose home folder would hold what OpenVINO's telemetry keeps."""
    pytest.importorskip("openvino")
    code = (
        "import sys\n"
        "from ccc_jetson.cpu_session import open_cpu_session\n"
        "from tests.doubles.tiny_model import tiny_model_bytes\n"
        "assert open_cpu_session(tiny_model_bytes(), 'tiny', 'openvino').runtime == 'OpenVINO'\n"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry.')]\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home)}
    environment.pop("CI", None)  # it is silent there
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert not os.path.exists(str(home / "intel"))
