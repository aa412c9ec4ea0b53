"""Fixtures that every test folder shares. Runs on Python 3.6, so no torch here."""

import os
import signal
import sys

import pytest

# A job in a shell's background ignores Ctrl-C, and so would every process that a test starts and interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)

# OpenVINO reports its use to Intel where this package can be imported; see cpu_session.py
sys.modules.setdefault("openvino_telemetry", None)

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# By these a process that a test starts measures its lines too, which takes longer than most of them run. The build of
# an engine has lines that nothing else reaches.
_COVERAGE_OF_CHILDREN = ("COVERAGE_PROCESS_CONFIG", "COV_CORE_SOURCE", "COV_CORE_CONFIG", "COV_CORE_DATAFILE")
_children_measured = {}
_documents = []


def pytest_runtest_setup(item):
    for name in _COVERAGE_OF_CHILDREN:
        if name in os.environ:
            _children_measured[name] = os.environ[name]
        if "/tests/engines/" in str(item.fspath):
            os.environ.update({name: _children_measured[name]} if name in _children_measured else {})
        else:
            os.environ.pop(name, None)


def pytest_unconfigure():
    os.environ.update(_children_measured)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """What a worker of pytest-xdist has to say of the documents (tests/documents/conftest.py)."""
    _documents.extend(getattr(node, "workeroutput", {}).get("documents", []))


def pytest_terminal_summary(terminalreporter):
    tell_documents(terminalreporter, _documents)


def tell_documents(terminalreporter, lines):
    """What of the documents was typed, and what was not and why."""
    if lines:
        terminalreporter.section("documents")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def shared_data():
    """Path of a file or folder of the real test data, or a skip that says why.

    The data lies beside the checkout (``../shared``) or where CCC_TEST_DATA points; it is never part of the repository.
    """
    roots = [os.environ.get("CCC_TEST_DATA", ""), os.path.join(os.path.dirname(ROOT), "shared")]

    def find(relative):
        for root in roots:
            for folder in ("", "data", "checkpoints"):
                path = os.path.join(root, folder, relative)
                if root and os.path.exists(path):
                    return path
        return pytest.skip("{} is neither beside the checkout nor below CCC_TEST_DATA".format(relative))

    return find


@pytest.fixture(scope="session")
def official_onnx(shared_data, tmp_path_factory):
    """The authors' CCC2 checkpoint, exported: by ccc-export here, or the file that CCC_TEST_ONNX names (Python 3.6)."""
    given = os.environ.get("CCC_TEST_ONNX")
    if given:
        return given
    if sys.version_info < (3, 10):
        return pytest.skip("export needs Python 3.10; set CCC_TEST_ONNX to an exported file")
    checkpoint = shared_data("C3Net_setting2.pth")
    pytest.importorskip("torch")
    from ccc_jetson.export.cli import main

    path = str(tmp_path_factory.mktemp("official") / "c3.onnx")
    assert main([checkpoint, path]) == 0
    return path
