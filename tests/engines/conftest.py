"""A machine for engine builds: a stand-in TensorRT and pycuda in the child process, and a folder with a model."""

import os

import pytest

from ccc_jetson.engines.build_cli import main
from tests.doubles import standin
from tests.doubles.fake_nvcc import FakeNvcc
from tests.doubles.tiny_model import write_tiny_model

WRITTEN = ["model.engine", "model.engine.json", "model.onnx"]
VERSIONS = ("8.0.1.6", "8.2.1.8", "8.5.3.1", "8.6.1", "10.3.0", "11.0.0.114")


def hide_nvcc(monkeypatch, folder):
    """As on a machine without CUDA's compiler, whatever the one has that runs the tests."""
    monkeypatch.delenv("CUDA_HOME", raising=False)
    folders = os.environ.get("PATH", "").split(os.pathsep)
    without = [each for each in folders if not os.path.exists(os.path.join(each, "nvcc"))]
    monkeypatch.setenv("PATH", os.pathsep.join(without))
    monkeypatch.setattr("ccc_jetson.engines.nvcc.PREFIX", str(folder / "usr" / "local"))


class Board:
    """A machine with TensorRT, and without nvcc; ``be`` changes what it is and what goes wrong there."""

    def __init__(self, monkeypatch, folder, capsys):
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.folder = folder
        self.model = write_tiny_model(folder / "model.onnx")
        self.engine = str(folder / "model.engine")
        self.members = str(folder.parent / "members.txt")
        self.cache = folder.parent / "cache"
        monkeypatch.setenv("CCC_JETSON_CACHE", str(self.cache))
        hide_nvcc(monkeypatch, folder.parent)
        self.be()

    def install_nvcc(self, version="10.2.300", **told):
        """Gives the machine a compiler that compiles nothing."""
        nvcc = FakeNvcc(self.folder.parent / "cuda-fake", version, **told)
        self._monkeypatch.setenv("CUDA_HOME", nvcc.home)
        return nvcc

    def be(self, version="8.2.1.8", **faults):
        """TensorRT's version, and the stand-in's faults."""
        for name, value in standin.environment(version, self.members, **faults).items():
            if os.environ.get(name) != value:
                self._monkeypatch.setenv(name, value)

    def patch(self, name, value):
        """Replaces something of the supervisor's until the test ends."""
        self._monkeypatch.setattr(name, value)

    def build(self, *arguments):
        """Runs ccc-build-engine on the model: exit code, standard output, standard error."""
        self._capsys.readouterr()
        code = main([self.model] + [str(each) for each in arguments])
        out, err = self._capsys.readouterr()
        print(out + err)
        return code, out, err

    def bytes(self, name):
        """What a file in the folder holds."""
        with open(str(self.folder / name), "rb") as file:
            return file.read()

    def files(self):
        """Names in the folder, hidden ones too."""
        return sorted(os.listdir(str(self.folder)))


@pytest.fixture()
def board(monkeypatch, tmp_path, capsys):
    folder = tmp_path / "models"
    folder.mkdir()
    return Board(monkeypatch, folder, capsys)
