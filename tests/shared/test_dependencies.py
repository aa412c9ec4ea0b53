"""Packages that may be absent or broken, and the sentence that says what to do."""

import builtins
import sys

import pytest

from ccc_jetson.errors import BackendError, DependencyMissing
from ccc_jetson.opencv import import_cv2
from ccc_jetson.ort import cpu_session, import_onnxruntime


@pytest.fixture
def broken(monkeypatch):
    """Makes the import of a module fail with a message."""
    real = builtins.__import__

    def breaks(module, message):
        def failing(name, *rest, **more):
            if name == module:
                raise ImportError(message)
            return real(name, *rest, **more)

        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setattr(builtins, "__import__", failing)

    return breaks


@pytest.mark.parametrize(
    ("message", "cure"),
    [
        ("No module named 'cv2'", "pip install opencv-python"),
        ("libGL.so.1: cannot open shared object file", "opencv-python-headless"),
        ("libgomp.so.1: cannot allocate memory in static TLS block", "LD_PRELOAD="),
        ("/lib/libGLdispatch.so.0: cannot allocate memory in static TLS block", "LD_PRELOAD=/lib/libGLdispatch.so.0"),
    ],
)
def test_opencv_that_cannot_be_imported_comes_with_its_cure(broken, message, cure):
    broken("cv2", message)
    with pytest.raises(DependencyMissing) as caught:
        import_cv2()
    assert message in str(caught.value)
    assert cure in caught.value.hint


def test_an_absent_onnxruntime_comes_with_its_cure(broken):
    broken("onnxruntime", "No module named 'onnxruntime'")
    with pytest.raises(DependencyMissing) as caught:
        import_onnxruntime()
    assert "onnxruntime==1.10.0" in caught.value.hint


def test_a_model_that_onnxruntime_cannot_run_is_named_with_its_reason():
    with pytest.raises(BackendError, match=r"some\.onnx: ONNX Runtime .* cannot run it") as caught:
        cpu_session(b"no model", "some.onnx")
    assert "ccc-export" in caught.value.hint
