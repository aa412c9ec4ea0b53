"""Choosing a model and opening what runs it."""

import ctypes
import platform
import sys
import threading

import numpy as np
import pytest

from ccc_jetson.errors import BackendError, ContractError, FileProblem
from ccc_jetson.runtime.backends import Backend, choose_model, open_backend
from ccc_jetson.runtime.denormals import denormals_are_flushed
from tests.doubles.tiny_model import HEIGHT, WIDTH, tiny_contract, tiny_graph, write_tiny_model

FRAME = np.random.RandomState(0).randint(0, 256, (90, 120, 3)).astype(np.uint8)


def test_the_model_asked_for_is_taken():
    assert choose_model("some.onnx") == ("some.onnx", "as asked")


def test_the_default_is_the_onnx_file_and_the_reason_is_said(tmp_path):
    write_tiny_model(tmp_path / "model.onnx")
    choice = choose_model(None, str(tmp_path))
    assert choice.path == str(tmp_path / "model.onnx")
    assert "model.engine is not there" in choice.reason
    (tmp_path / "model.engine").write_bytes(b"plan")
    choice = choose_model(None, str(tmp_path))
    assert choice.path == str(tmp_path / "model.onnx")
    assert "model.engine: has no manifest" in choice.reason


def test_no_model_says_how_to_get_one(tmp_path):
    with pytest.raises(FileProblem, match=r"model\.onnx is not there") as caught:
        choose_model(None, str(tmp_path))
    assert "ccc-export" in caught.value.hint


@pytest.mark.parametrize("kind", ["class_map", "logits"])
def test_class_map_is_the_largest_logit_of_either_kind_of_model(tmp_path, kind):
    path = write_tiny_model(tmp_path / "a.onnx", kind=kind)
    with open_backend(path, want_logits=True) as backend:
        segmentation = backend.infer(FRAME)
        logits = backend.logits(FRAME)
    assert segmentation.class_map.dtype == np.uint8
    assert segmentation.class_map.shape == (HEIGHT, WIDTH)
    assert logits.shape == (19, HEIGHT, WIDTH)
    assert (segmentation.class_map == logits.argmax(axis=0)).all()
    assert set(segmentation.seconds) == {"preprocess", "infer", "postprocess"}


def test_logits_must_be_asked_for_when_opening(tmp_path):
    with open_backend(write_tiny_model(tmp_path / "a.onnx")) as backend:
        with pytest.raises(BackendError, match="without logits"):
            backend.logits(FRAME)


def test_a_backend_without_logits_says_so():
    backend = Backend()
    backend.description = "a kernel"
    with pytest.raises(BackendError, match="a kernel gives class maps"):
        backend.logits(FRAME)


def test_batches_are_refused_with_the_export_that_fits(tmp_path):
    with pytest.raises(BackendError, match="batches of 2") as caught:
        open_backend(write_tiny_model(tmp_path / "a.onnx", batch=2))
    assert "--batch 1" in caught.value.hint


def test_weights_in_another_file_are_not_fetched_from_there(tmp_path, monkeypatch):
    """ONNX Runtime would read what the model names, below the folder that the command was started in."""
    onnx = pytest.importorskip("onnx")
    path = write_tiny_model(str(tmp_path / "model.onnx"))
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="secret.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileProblem, match="weights lie in another file") as caught:
        open_backend(path)
    assert "onnx.save(onnx.load(NAME), NAME)" in caught.value.hint


def test_a_foreign_model_runs_with_a_contract_that_fits_it(tmp_path):
    path = tmp_path / "foreign.onnx"
    path.write_bytes(tiny_graph(tiny_contract()).SerializeToString())
    with pytest.raises(ContractError, match="holds no contract"):
        open_backend(str(path))
    with open_backend(str(path), contract=tiny_contract()) as backend:
        assert backend.infer(FRAME).class_map.shape == (HEIGHT, WIDTH)
    with pytest.raises(ContractError, match="shape 1x3x16x32"):
        open_backend(str(path), contract=tiny_contract(width=32, height=16))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="only these processors are known")
def test_the_thread_that_runs_the_session_computes_with_flushed_denormals(tmp_path):
    """Also where another session of the process was first, which is all that ONNX Runtime's own option covers."""
    path = write_tiny_model(tmp_path / "a.onnx")
    open_backend(path).close()
    flushed = []

    def work():
        default_mode = ctypes.c_void_p(-1)  # glibc's FE_DFL_ENV; a thread starts with the mode of its parent
        ctypes.CDLL("libm.so.6").fesetenv(default_mode)
        flushed.append(denormals_are_flushed())
        with open_backend(path) as backend:
            backend.infer(FRAME)
            flushed.append(denormals_are_flushed())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert flushed == [False, True]


def test_a_file_exported_for_a_pc_runs_on_openvino(tmp_path):
    pytest.importorskip("openvino")
    for_pc, for_board = (write_tiny_model(tmp_path / name, target=name) for name in ("cpu", "tx2"))
    with open_backend(for_pc, want_logits=True) as backend, open_backend(for_board, want_logits=True) as reference:
        assert backend.description.startswith("OpenVINO 2")
        assert reference.description.startswith("ONNX Runtime")
        assert list(backend.facts) == ["openvino"]
        assert (backend.infer(FRAME).class_map == reference.infer(FRAME).class_map).mean() > 0.999
        np.testing.assert_allclose(backend.logits(FRAME), reference.logits(FRAME), rtol=1e-4, atol=1e-4)
        assert len(backend.network_seconds(3)) == 3


def test_what_openvino_gave_is_not_overwritten_by_the_next_frame(tmp_path):
    pytest.importorskip("openvino")
    with open_backend(write_tiny_model(tmp_path / "a.onnx", target="cpu"), want_logits=True) as backend:
        first = backend.infer(FRAME).class_map, backend.logits(FRAME)
        kept = [array.copy() for array in first]
        backend.infer(255 - FRAME)
        assert (backend.logits(255 - FRAME) != kept[1]).any()
        assert all((one == other).all() for one, other in zip(first, kept))


def test_without_openvino_it_runs_all_the_same_and_says_what_would_be_faster(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with open_backend(write_tiny_model(tmp_path / "a.onnx", target="cpu")) as backend:
        assert backend.description.startswith("ONNX Runtime")
        assert "openvino is not installed" in backend.facts["note"]
        assert backend.infer(FRAME).class_map.shape == (HEIGHT, WIDTH)


def test_a_classifier_gives_scores_in_memory_of_their_own(tmp_path):
    with open_backend(write_tiny_model(tmp_path / "a.onnx", kind="scores", classes=300)) as backend:
        first = backend.infer(FRAME)
        kept = first.scores.copy()
        other = backend.infer(255 - FRAME)
        assert (first.scores.shape, first.scores.dtype) == ((300,), np.float32)
        assert np.array_equal(first.scores, kept) and not np.array_equal(other.scores, kept)
        assert first.seconds["infer"] > 0
        with pytest.raises(BackendError, match="without logits"):
            backend.logits(FRAME)
