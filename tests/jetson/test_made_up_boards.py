"""The tests for boards, tested: they pass over the doubles, fail on a broken board, and are skipped without one."""

import os
import re
import subprocess
import sys

import pytest

from tests.doubles import cuda_driver, machines

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OLD = sys.version_info < (3, 10)  # there the healthy board must do
OUTCOMES = ("passed", "failed", "skipped", "error")


def suite(tmp_path, tree, *words, has_model=True, **driver):
    """``pytest -m jetson`` on a made-up board: its exit code, how many tests had which outcome, and what it printed."""
    if has_model:
        pytest.importorskip("onnx")
        from tests.doubles.tiny_model import write_tiny_model

        write_tiny_model(tmp_path / "model.onnx")
    environment = cuda_driver.environment(**driver)
    environment.update(
        CCC_TEST_BOARD=tree, CCC_TEST_MODEL=str(tmp_path / "model.onnx"), BOARD_SECONDS="0.2",
        CCC_JETSON_CACHE=str(tmp_path / "cache"),
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "-m", "jetson", HERE, *words],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
    )  # fmt: skip
    print(done.stdout)
    last = done.stdout.splitlines()[-1]
    counted = {name: sum(map(int, re.findall(r"(\d+) {}".format(name), last))) for name in OUTCOMES}
    return done.returncode, counted, done.stdout


def tree(tmp_path, kind):
    made = {"tx2": machines.tx2, "orin": machines.orin_nano}[kind]
    return made(str(tmp_path / "root"))


@pytest.mark.skipif((3, 7) <= sys.version_info < (3, 10), reason="run on the oldest Python and on the newest")
def test_all_of_them_pass_on_a_healthy_tx2(tmp_path):
    code, counted, out = suite(tmp_path, tree(tmp_path, "tx2"))
    assert code == 0
    assert counted["skipped"] == 1 and "no camera: there is no /dev/video*" in out
    assert counted["passed"] >= 15 and counted["failed"] == counted["error"] == 0


@pytest.mark.skipif(OLD, reason="run on the newest Python")
def test_on_an_orin_int8_is_built(tmp_path):
    board = {"tensorrt": "10.3.0", "device": "orin", "nvcc": "12.6"}
    code, counted, _ = suite(tmp_path, tree(tmp_path, "orin"), "-k", "int8 or fp16", **board)
    assert code == 0 and counted["passed"] == 2


@pytest.mark.skipif(OLD, reason="run on the newest Python")
@pytest.mark.parametrize(
    "fault, chosen",
    [
        ({"tensorrt_missing": True}, "fp16 or doctor"),
        ({"no_gpu": True}, "fp16 or doctor"),
        ({"deserialize_none": True}, "pictures"),
        ({"nan_unless_fp32": ["nothing"]}, "fp16"),
        ({"wrong": True}, "fp16 or int8 or golden"),
        ({"fail_kernel": ["*", 3]}, "golden"),
    ],
)
def test_on_a_broken_board_they_fail_and_none_is_skipped(tmp_path, fault, chosen):
    code, counted, _ = suite(tmp_path, tree(tmp_path, "tx2"), "-k", chosen, **fault)
    assert code == 1 and counted["failed"] + counted["error"] >= 1
    assert counted["skipped"] == 0


@pytest.mark.skipif(OLD, reason="run on the newest Python")
def test_sensors_that_are_gone_fail(tmp_path):
    root = machines.tx2(str(tmp_path / "root"), changes={machines.THERMAL: None, machines.IIO: None})
    code, counted, _ = suite(tmp_path, root, "-k", "heat")
    assert code == 1 and counted["failed"] == 1


def test_a_board_without_a_model_fails_and_says_how_to_name_one(tmp_path):
    code, counted, out = suite(tmp_path, tree(tmp_path, "tx2"), "-k", "fp16", has_model=False)
    assert code == 1 and counted["error"] == 1 and "CCC_TEST_MODEL=model.onnx names one" in out


def test_without_a_board_each_is_skipped_and_says_why(tmp_path):
    code, counted, out = suite(tmp_path, str(tmp_path / "nothing"))
    assert code == 0 and counted["passed"] == counted["failed"] == counted["error"] == 0
    assert counted["skipped"] >= 15 and "no Jetson: neither a device tree" in out
