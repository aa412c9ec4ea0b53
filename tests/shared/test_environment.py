"""What --version tells of the machine: versions found by their files, nothing heavy imported."""

import os
import subprocess
import sys
import time

import pytest

import ccc_jetson
from ccc_jetson.environment import environment, library_version
from tests.doubles.machines import pc, tx2


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder on sys.path; a call puts files into it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(files):
        for path, text in files.items():
            place = tmp_path / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    return put


@pytest.mark.parametrize(
    "record",
    [
        "spamlib-1.19.4.dist-info",
        "spamlib-1.19.4.egg-info",
        "spamlib-1.19.4-py3.6.egg-info",
        "SpamLib-1.19.4.dist-info",
    ],
)
def test_a_version_is_that_of_the_package_beside_the_module(packages, record):
    packages({"spamlib/__init__.py": "raise SystemExit('imported')", record + "/METADATA": ""})
    assert library_version("spamlib", ("spamlib",)) == "1.19.4"


@pytest.mark.parametrize("name", ["version.py", "__init__.py"])
def test_without_a_package_the_modules_own_file_tells(packages, name):
    packages({"spamlib/__init__.py": "", "other-2.0.dist-info/METADATA": ""})
    packages({"spamlib/" + name: "import os\n__version__ = '8.2.1.8'\n"})
    assert library_version("spamlib", ("spamlib",)) == "8.2.1.8"


def test_a_module_of_one_file_is_found_too_and_one_that_tells_nothing_is_there(packages):
    packages({"spamone.py": '__version__ = "3.0"\n', "spamtwo.py": "x = 1\n", "spamlib/__init__.py": "x = 1"})
    assert library_version("spamone", ()) == "3.0"
    for name in ("spamtwo", "spamlib"):
        assert library_version(name, ()) == "there, of a version that its files do not tell"
    assert library_version("spamthree", ()) == "not found"


def test_a_module_that_is_loaded_without_a_trace_of_its_file_is_not_found(monkeypatch):
    import types

    monkeypatch.setitem(sys.modules, "spamghost", types.ModuleType("spamghost"))
    assert library_version("spamghost", ()) == "not found"


def test_numpy_of_this_python_has_the_version_that_it_says():
    import numpy

    assert dict(environment())["numpy"] == numpy.__version__


def test_a_jetson_is_named_with_its_l4t_and_a_pc_by_its_system_alone(tmp_path):
    facts = dict(environment(tx2(tmp_path / "tx2")))
    assert facts["board"] == "NVIDIA Jetson TX2 Developer Kit, L4T 32.7.4, JetPack 4.6.4"
    assert "board" not in dict(environment(pc(tmp_path / "pc")))
    hidden = tx2(tmp_path / "box", changes={"proc/device-tree/": None})
    assert dict(environment(hidden))["board"].startswith("a Jetson, L4T 32.7.4")


def test_every_command_prints_it_and_imports_nothing_heavy(tmp_path):
    for name in ("numpy", "cv2", "tensorrt", "torch", "onnxruntime"):
        (tmp_path / (name + ".py")).write_text("raise ImportError('heavy')")
    source = os.path.dirname(os.path.dirname(os.path.abspath(ccc_jetson.__file__)))
    call = "from ccc_jetson.runtime.run_cli import main; main(['--version'])"
    path = os.pathsep.join([str(tmp_path), source])
    began_s = time.monotonic()
    out = subprocess.check_output([sys.executable, "-c", call], env=dict(os.environ, PYTHONPATH=path)).decode()
    print("took {:.2f} s".format(time.monotonic() - began_s))
    lines = out.splitlines()
    assert lines[0] == "ccc-run " + ccc_jetson.__version__
    assert [line.split("  ")[0] for line in lines[1:9]] == [
        "Python", "numpy", "OpenCV", "TensorRT", "pycuda", "ONNX Runtime", "OpenVINO", "PyTorch"
    ]  # fmt: skip
    assert lines[-1].startswith("system")
