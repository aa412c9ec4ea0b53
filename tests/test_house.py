"""The rules of the house: what may import what, what starts without what, and that coverage sees every folder."""

import ast
import json
import os
import subprocess
import sys
import time

import pytest

import ccc_jetson

PACKAGE = os.path.dirname(os.path.abspath(ccc_jetson.__file__))
STAGES = ("calib", "engines", "export", "runtime")
MAY_IMPORT = {"": (), "calib": ("engines",), "engines": (), "export": ("engines",), "runtime": ("engines",)}
# A command puts stages together: checkpoints are read on the workstation only, calibration caches are calib's
ALSO_MAY_IMPORT = {
    ("engines", "inspect_cli.py"): ("calib", "export"),
    ("", "api.py"): STAGES,  # the front door
    ("engines", "build_child.py"): ("calib",),  # the process with TensorRT that a build starts
}
# the rest of calib is the workstation's
CALIB_ON_THE_DEVICE = (
    "__init__.py",
    "cache.py",
    "cache_cli.py",
    "calibrator.py",
    "for_builds.py",
    "images.py",
    "inspect_cache.py",
    "inspect_qdq.py",
)
CALIB_ON_THE_DEVICE += ("provenance.py", "selection.py", "sources.py")
HEAVY = (
    "cv2",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxsim",
    "openvino",
    "pycuda",
    "safetensors",
    "tensorrt",
    "torch",
    "tornado",
)
COMMANDS = {
    "ccc-bench": "ccc_jetson.runtime.bench.cli",
    "ccc-build-engine": "ccc_jetson.engines.build_cli",
    "ccc-calibrate": "ccc_jetson.calib.cli",
    "ccc-doctor": "ccc_jetson.runtime.doctor.cli",
    "ccc-export": "ccc_jetson.export.cli",
    "ccc-inspect": "ccc_jetson.engines.inspect_cli",
    "ccc-report": "ccc_jetson.runtime.reports.cli",
    "ccc-run": "ccc_jetson.runtime.run_cli",
    "ccc-eval": "ccc_jetson.runtime.eval_cli",
}
ON_THE_WORKSTATION = ("ccc-calibrate", "ccc-export")
MOST_LINES = 400
# Modules with more lines, and why they are one subject all the same
LONG_MODULES = {
    "engines/tensorrt_api.py": "the one room for what differs between TensorRT's versions, a method for each wish",
    "runtime/source_grammar.py": "kinds of sources and how each is written: fields, ranges and words change together",
}


def modules():
    """(stage, path) of every module of the package; stage is empty for the shared ones."""
    for folder, _, names in os.walk(PACKAGE, followlinks=True):
        stage = os.path.relpath(folder, PACKAGE).split(os.sep)[0]
        for name in sorted(names):
            if name.endswith(".py"):
                yield ("" if stage == "." else stage), os.path.join(folder, name)


def imported(path):
    """Every module that a file imports, wherever in it."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "{}: relative import".format(path)
            yield node.module


def device_half(stage, path):
    return stage != "export" and (stage != "calib" or os.path.basename(path) in CALIB_ON_THE_DEVICE)


def test_stages_import_only_what_the_design_allows():
    for stage, path in modules():
        if sys.version_info < (3, 10) and not device_half(stage, path):
            continue
        allowed = MAY_IMPORT[stage] + ALSO_MAY_IMPORT.get((stage, os.path.basename(path)), ())
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "ccc_jetson" and len(parts) > 1 and parts[1] in STAGES:
                assert parts[1] == stage or parts[1] in allowed, "{} imports {}".format(path, name)


def test_nothing_but_the_commands_goes_in_by_the_front_door():
    for stage, path in modules():
        if sys.version_info < (3, 10) and not device_half(stage, path):
            continue
        name = os.path.basename(path)
        if "ccc_jetson.api" in imported(path):
            assert (stage, name) == ("", "__init__.py") or name.endswith("cli.py"), path


def test_the_device_half_imports_neither_torch_nor_onnx():
    for stage, path in modules():
        if device_half(stage, path):
            names = {name.split(".")[0] for name in imported(path)}
            assert not names & {"torch", "onnx", "onnxsim", "dataclasses", "typing_extensions"}, path


def run_without(modules_folder, code):
    """Runs Python with every heavy module replaced by one that cannot be imported."""
    for name in HEAVY:
        (modules_folder / (name + ".py")).write_text("raise ImportError('{} is heavy')".format(name))
    path = [str(modules_folder)] + [entry for entry in sys.path if entry]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path))
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = process.communicate()
    return process.returncode, out.decode(), err.decode(), time.perf_counter() - started


def test_the_package_imports_without_any_heavy_module(tmp_path):
    code, out, err, _ = run_without(tmp_path, "import ccc_jetson; print(ccc_jetson.__version__)")
    assert (code, err) == (0, "")
    assert out.strip() == ccc_jetson.__version__


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_needs_no_heavy_module_and_shows_an_example(tmp_path, command):
    if command in ON_THE_WORKSTATION and sys.version_info < (3, 10):
        pytest.skip("on this Python it says where it runs, which the next test asks for")
    call = "import sys; from {} import main; sys.exit(main(['--help']))".format(COMMANDS[command])
    code, out, err, seconds = run_without(tmp_path, call)
    print("{} --help took {:.2f} s".format(command, seconds))
    assert (code, err) == (0, "")
    assert "example:\n  " + command in out


@pytest.mark.parametrize("command", ON_THE_WORKSTATION)
def test_on_an_old_python_a_command_of_the_workstation_says_in_one_line_where_it_runs(command):
    if sys.version_info >= (3, 10):
        pytest.skip("this Python runs it")
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from {} import main; sys.exit(main(['a', 'b']))".format(COMMANDS[command])],
        stderr=subprocess.PIPE,
    )
    err = process.communicate()[1].decode()
    assert process.returncode == 2
    assert err.count("\n") == 1 and "runs on the workstation" in err


def test_coverage_of_the_package_sees_all_four_folders(tmp_path):
    if sys.version_info < (3, 10):
        pytest.skip("coverage is measured on the workstation's Python")
    report = tmp_path / "coverage.json"
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-cov-on-fail", "--cov=ccc_jetson"]
    command += ["--cov=" + stage for stage in STAGES]
    command += ["--cov-report=json:" + str(report), "--cov-fail-under=0", "tests/shared/test_progress.py"]
    environment = dict(os.environ, COVERAGE_FILE=str(tmp_path / "data"))
    process = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out = process.communicate()[0].decode()
    assert process.returncode == 0, out
    files = json.loads(report.read_text())["files"]
    for stage in STAGES:
        assert any("/{}/".format(stage) in "/" + path for path in files), "{} is not counted".format(stage)


def packages():
    """(name, docstring) of every folder with modules: "runtime/serve"."""
    folders = {os.path.dirname(path) for _, path in modules()}
    for folder in sorted(folders):
        with open(os.path.join(folder, "__init__.py"), encoding="utf-8") as file:
            yield os.path.relpath(folder, PACKAGE), ast.get_docstring(ast.parse(file.read())) or ""


def test_every_folder_says_what_it_is_for_and_what_it_may_import():
    for name, docstring in packages():
        assert len(docstring.split()) >= 20, "{}: its __init__ says too little of what it is for".format(name)
        assert name == "." or "import" in docstring, "{}: its __init__ does not say what it may import".format(name)


def test_every_module_says_what_it_is_for():
    for stage, path in modules():
        if sys.version_info < (3, 10) and not device_half(stage, path):
            continue
        with open(path, encoding="utf-8") as file:
            assert ast.get_docstring(ast.parse(file.read())), path


def test_a_module_of_many_lines_has_a_reason():
    long = {}
    for _, path in modules():
        with open(path, encoding="utf-8") as file:
            lines = sum(1 for _ in file)
        if lines > MOST_LINES:
            long[os.path.relpath(path, PACKAGE).replace(os.sep, "/")] = lines
    print(long)
    assert set(long) == set(LONG_MODULES), "two subjects in one module, or a reason that is not needed any more"
    assert all(lines <= 1.1 * MOST_LINES for lines in long.values())
    assert all(len(reason.split()) >= 8 for reason in LONG_MODULES.values())
