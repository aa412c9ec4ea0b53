"""A board's report with the real commands, over the CPU that plays a board's GPU: what the steps leave can be read."""

import json
import os
import shutil
import sys

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.doubles.jetsons import SCRIPT, SECRETS, Jetson  # noqa: E402  (needs onnx)
from tests.doubles.tiny_model import write_tiny_model  # noqa: E402  (needs onnx)

if (3, 7) <= sys.version_info < (3, 10):
    pytest.skip("run on the oldest Python and on the newest", allow_module_level=True)
if not os.path.exists(SCRIPT) or shutil.which("bash") is None:
    pytest.skip("the script is part of the repository", allow_module_level=True)


def reported(tmp_path, kind, *words, **faults):
    board = Jetson(tmp_path, kind, **faults)
    write_tiny_model(tmp_path / "model.onnx")
    code, said = board.run("--quick", "--checkout", "/nowhere", *words)
    assert "Traceback" not in said
    return board, code, board.archive()


def test_a_tx2_over_the_doubles(tmp_path):
    board, code, archive = reported(tmp_path, "tx2")
    record = json.loads(archive["report.json"])
    assert code == 0 and board.mode_now == 3
    statuses = {step["name"]: step["status"] for step in record["steps"]}
    assert [name for name, status in statuses.items() if status != "done"] == [
        "build-int8", "kernels", "soak", "camera", "suite"
    ]  # fmt: skip
    assert record["board"] == "NVIDIA Jetson TX2 Developer Kit"
    comment = archive["comment.md"]
    for words in (
        "| FP16 | MAXN |", "| FP16 | MAXP\\_CORE\\_ARM |", "7.36 W", "42.5 C",
        "passed: 100.000% of the decided pixels in the worst of 2 frames", "| FP16 | 1.0000 | 1.0000 | 2 |",
        "| problem | power-mode | MAXP\\_CORE\\_ARM, and MAXN is the fastest", "TensorRT 8.2.1.8 for Python",
    ):  # fmt: skip
        assert words in comment, words
    assert json.loads(archive["bench-fp16-maxn.json"])["environment"]["power_mode"] == "MAXN"
    assert json.loads(archive["bench-fp16-maxp_core_arm.json"])["environment"]["power_mode"] == "MAXP_CORE_ARM"
    assert archive["bench-fp16-maxn.html"].startswith("<!DOCTYPE html>")
    for name, text in archive.items():
        assert not [secret for secret in SECRETS if secret.lower() in text.lower()], name


@pytest.mark.skipif(sys.version_info < (3, 10), reason="run on the newest Python")
def test_a_tx2_without_tensorrt_is_reported_with_what_cures_it(tmp_path):
    board, code, archive = reported(tmp_path, "tx2", tensorrt_missing=True)
    steps = {step["name"]: step for step in json.loads(archive["report.json"])["steps"]}
    assert code == 1 and board.mode_now == 3
    assert steps["build-fp16"]["status"] == steps["doctor"]["status"] == "failed"
    assert "TensorRT" in steps["build-fp16"]["why"]
    assert "| broken | tensorrt |" in archive["comment.md"]
    assert "no engine in FP16 was measured" in archive["comment.md"] or "--quick measures" in archive["comment.md"]
