"""The kernels' benchmark, over the CPU "CUDA driver": it finds every kernel right, and says so where one is not."""

import json
import subprocess
import sys

import pytest

from tests.doubles import cuda_driver
from tests.doubles.cuda_driver import ROOT

SCRIPT = "import sys; sys.path.insert(0, 'benchmarks'); import kernels\n"
RUN = "sys.exit(kernels.run_command(kernels.build_parser(), kernels.bench))"


def run(tmp_path, code, *arguments):
    variables = cuda_driver.environment()
    variables["CCC_JETSON_CACHE"] = str(tmp_path / "cache")
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT + code, *arguments], cwd=ROOT, env=variables, capture_output=True, text=True
    )
    print(process.stdout + process.stderr)
    return process.returncode, process.stdout


def test_every_kernel_is_right_and_has_a_rate(tmp_path):
    code, out = run(tmp_path, RUN, "--size", "64x32", "--frame", "96x80", "--runs", "1", "--json")
    record = json.loads(out)
    assert code == 0
    assert record["gpu"] == "NVIDIA Tegra X2 (sm_62)" and record["copy_gigabytes_per_second"] > 0
    assert len(record["kernels"]) == 2 * 4 + 2 * 3 + 1 + 4
    for each in record["kernels"]:
        assert each["is_right"], each
        assert each["share"] == pytest.approx(
            each["gigabytes_per_second"] / record["copy_gigabytes_per_second"], rel=1e-6
        )


def test_a_kernel_that_computes_something_else_fails_the_benchmark(tmp_path):
    spoil = (
        "from ccc_jetson.runtime.kernels import reference\n"
        "overlay = reference.overlay\n"
        "reference.overlay = lambda *given: overlay(*given) ^ 1\n"
    )
    code, out = run(tmp_path, spoil + RUN, "--size", "64x32", "--runs", "1")
    assert code == 1
    wrong = [line.split()[:2] for line in out.splitlines() if " NO " in line]
    assert wrong == [["overlay", each] for each in ("BGR", "RGB", "NV12", "YUYV")]
