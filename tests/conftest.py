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
