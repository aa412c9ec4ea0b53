"""The board: the one that this runs on, or the made-up one whose root CCC_TEST_BOARD names."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from ccc_jetson.board import read_board
from ccc_jetson.engines.machine import target_of
from tests.doubles.on_a_board import __file__ as ON_A_BOARD

_PATIENCE_S = 3 * 3600.0
_MODULES = {
    "ccc-build-engine": "ccc_jetson.engines.build_cli",
    "ccc-doctor": "ccc_jetson.runtime.doctor.cli",
    "ccc-run": "ccc_jetson.runtime.run_cli",
    "ccc-bench": "ccc_jetson.runtime.bench.cli",
    "golden-frames": "ccc_jetson.runtime.board_report.golden_frames",
}


class RealBoard:
    """A Jetson, and our commands on it, each in a process of its own: what crashes there is a failure here.

    ``target`` is the known board that it is, None for one of no name that we know.
    """

    def __init__(self, root, found):
        self.root, self.name = root, found.board
        self.target = target_of("", found.board)

    def python(self, code, *words, **settings):
        """Runs Python in ``folder``: exit code, standard output, standard error."""
        command = [sys.executable] + ([ON_A_BOARD, self.root] if self.root != "/" else [])
        done = subprocess.run(
            [*command, "-c", code, *map(str, words)], cwd=str(settings["folder"]), timeout=_PATIENCE_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
        )  # fmt: skip
        print(done.stdout[-4000:] + done.stderr[-4000:])
        return done.returncode, done.stdout, done.stderr

    def command(self, folder, name, *words):
        """Runs one of our commands."""
        code = "import sys; from {} import main; sys.exit(main(sys.argv[1:]))".format(_MODULES[name])
        return self.python(code, *words, folder=folder)

    def answer(self, folder, code, *words):
        """What a program prints as JSON in its last line; a program that fails is a failure."""
        ended, out, err = self.python(code, *words, folder=folder)
        assert ended == 0, err
        return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="session")
def board():
    root = os.environ.get("CCC_TEST_BOARD", "/")
    found = read_board(root)
    if not found.board and not found.l4t:
        pytest.skip("no Jetson: neither a device tree nor /etc/nv_tegra_release says that this is one")
    return RealBoard(root, found)


@pytest.fixture(scope="session")
def folder(board, tmp_path_factory):
    """A folder with model.onnx, and its golden frames in golden/images and golden/labels."""
    model = os.environ.get("CCC_TEST_MODEL", "model.onnx")
    if not os.path.exists(model):
        pytest.fail("{}: there is no such model; CCC_TEST_MODEL=model.onnx names one of ccc-export".format(model))
    folder = tmp_path_factory.mktemp("jetson")
    shutil.copy(model, str(folder / "model.onnx"))
    code, _, err = board.command(folder, "golden-frames", "model.onnx", "golden")
    assert code == 0, err
    return folder


@pytest.fixture(scope="session")
def engine(board, folder):
    """The folder's engine in FP16, by its name; built once."""
    code, _, err = board.command(folder, "ccc-build-engine", "model.onnx", "-o", "fp16.engine", "--fp16")
    assert code == 0, err
    return "fp16.engine"
