"""Whether this machine can run the files that it was given."""

import os
import subprocess
import sys

import pytest

import ccc_jetson
from ccc_jetson.runtime.doctor.probes import chosen, examine
from ccc_jetson.runtime.doctor.verdicts import BROKEN, NOTE, OK, PROBLEM
from tests.doubles.doctored import PYCUDA, SIGILL, TENSORRT
from tests.runtime.doctor.cases import ORIN, PC, TX2, no

onnx = pytest.importorskip("onnx")

from tests.doubles.manifests import write_tiny_engine  # noqa: E402  (needs onnx)
from tests.doubles.tiny_model import tiny_model_bytes, write_tiny_model  # noqa: E402


def finding_of(machine, folder, path):
    (result,) = examine(machine.place(folder), [str(path)], chosen(["models"]))
    print(result.finding)
    return result.finding


def test_an_engine_of_this_machine_is_well(tmp_path):
    finding = finding_of(TX2, tmp_path, write_tiny_engine(tmp_path / "tiny.engine"))
    assert (finding.verdict, finding.fix) == (OK, "")
    assert "built with TensorRT 8.2.1.8 for NVIDIA Tegra X2" in finding.evidence


@pytest.mark.parametrize(
    "machine, evidence",
    [
        (
            TX2.but(modules={"tensorrt": TENSORRT.format("8.0.1.6")}),
            "built with TensorRT 8.2.1.8, running on TensorRT 8.0.1.6",
        ),
        (ORIN, "built with TensorRT 8.2.1.8 for NVIDIA Tegra X2 (sm_62), running on TensorRT 10.3.0, Orin (sm_87)"),
    ],
)
def test_an_engine_of_another_machine_is_broken_here_and_the_command_builds_it(tmp_path, machine, evidence):
    finding = finding_of(machine, tmp_path, write_tiny_engine(tmp_path / "tiny.engine"))
    assert finding.verdict == BROKEN
    assert evidence in finding.evidence
    assert finding.fix.startswith("ccc-build-engine --fp16 tiny.onnx")


def test_an_engine_of_another_board_of_the_kind_is_noted(tmp_path):
    machine = TX2.but({"proc/device-tree/model": b"quill\0"})
    finding = finding_of(machine, tmp_path, write_tiny_engine(tmp_path / "tiny.engine"))
    assert finding.verdict == NOTE
    assert "timings were chosen on NVIDIA Jetson TX2 Developer Kit, this machine is quill" in finding.evidence


def test_an_engine_on_a_pc_without_tensorrt_is_a_problem(tmp_path):
    finding = finding_of(PC, tmp_path, write_tiny_engine(tmp_path / "tiny.engine"))
    assert finding.verdict == PROBLEM
    assert "there is no TensorRT here" in finding.evidence


def test_an_engine_without_its_manifest_is_a_problem_and_one_that_is_damaged_is_broken(tmp_path):
    path = tmp_path / "tiny.engine"
    write_tiny_engine(path)
    path.write_bytes(path.read_bytes()[:-1])
    damaged = finding_of(TX2, tmp_path, path)
    assert damaged.verdict == BROKEN and "its manifest says" in damaged.evidence
    (tmp_path / "tiny.engine.json").unlink()
    alone = finding_of(TX2, tmp_path, path)
    assert alone.verdict == PROBLEM and "copy {}.json too".format(path) in alone.fix


@pytest.mark.parametrize(
    "machine, whose",
    [
        (TX2, "the TensorRT of this machine"),
        (TX2.but(modules=no("tensorrt")), "the TensorRT of a Jetson TX2"),
        (PC, "the CPU"),
    ],
)
def test_an_onnx_file_is_held_against_the_tensorrt_that_would_build_it(tmp_path, machine, whose):
    finding = finding_of(machine, tmp_path, write_tiny_model(tmp_path / "tiny.onnx"))
    assert finding.verdict == OK
    assert finding.evidence.endswith("tiny.onnx: Tiny, 64x32, which {} takes".format(whose))


def test_an_onnx_file_that_the_parser_refuses_is_broken_with_its_cure(tmp_path):
    model = onnx.load_from_string(tiny_model_bytes())
    model.opset_import[0].version = 15
    onnx.save(model, str(tmp_path / "new.onnx"))
    finding = finding_of(TX2, tmp_path, tmp_path / "new.onnx")
    assert finding.verdict == BROKEN
    assert "opset 15 is above the parser's 13" in finding.evidence
    assert "export again with opset 13" in finding.fix


def test_an_onnx_file_of_another_tool_is_a_problem(tmp_path):
    model = onnx.load_from_string(tiny_model_bytes())
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "other.onnx"))
    finding = finding_of(PC, tmp_path, tmp_path / "other.onnx")
    assert finding.verdict == PROBLEM and finding.fix


def test_other_files_are_named_for_what_they_are(tmp_path):
    missing = finding_of(PC, tmp_path, tmp_path / "nothing.onnx")
    assert missing.verdict == BROKEN and "No such file" in missing.evidence
    (tmp_path / "a.pth").write_bytes(b"\x80\x02}q\x00.")
    assert finding_of(PC, tmp_path, tmp_path / "a.pth").fix == "ccc-export CKPT MODEL.onnx"
    (tmp_path / "a.calib").write_bytes(b"TRT-8201-EntropyCalibration2\n")
    assert "calibration cache" in finding_of(PC, tmp_path, tmp_path / "a.calib").evidence


@pytest.mark.parametrize("broken", [no("numpy"), {"numpy": SIGILL}])
def test_without_numpy_an_onnx_file_is_not_looked_at_and_an_engine_is(tmp_path, broken):
    machine = TX2.but(modules=broken)
    finding = finding_of(machine, tmp_path, write_tiny_model(tmp_path / "tiny.onnx"))
    assert finding.verdict == NOTE and "without numpy" in finding.evidence
    assert finding.fix == "see the probe numpy"
    assert finding_of(machine, tmp_path, write_tiny_engine(tmp_path / "tiny.engine")).verdict == OK


def test_a_numpy_that_kills_its_process_does_not_kill_the_doctor(tmp_path):
    (tmp_path / "numpy.py").write_text(SIGILL)
    model = write_tiny_model(tmp_path / "tiny.onnx")
    source = os.path.dirname(os.path.dirname(os.path.abspath(ccc_jetson.__file__)))
    process = subprocess.Popen(
        [sys.executable, "-m", "ccc_jetson.runtime.doctor.cli", "--only", "numpy", str(model)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(tmp_path), source])),
    )  # fmt: skip
    out = process.communicate()[0].decode()
    print(out)
    assert process.returncode == 3
    assert "SIGILL" in out and "tiny.onnx: cannot be looked at without numpy" in out


def test_of_several_files_each_has_a_line(tmp_path):
    paths = [
        write_tiny_engine(tmp_path / "tiny.engine"),
        write_tiny_model(tmp_path / "tiny.onnx"),
        str(tmp_path / "no"),
    ]
    machine = TX2.but(modules={"pycuda": PYCUDA.format("NVIDIA Tegra X2", (6, 2), 10020)})
    results = examine(machine.place(tmp_path), paths, chosen(["models"]))
    assert [result.finding.verdict for result in results] == [OK, OK, BROKEN]
