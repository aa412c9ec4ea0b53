"""The kernels on the CPU, in processes of their own: watched by sanitizers, or fast.

A test module names the kernels' file that it is about: ``SOURCE = "pre.cu"``. Each file is compiled on its own, which
takes a third of the time that the whole unit takes.
"""

import os
import shutil

import pytest

from ccc_jetson.runtime import kernels
from tests.doubles.cuda_shim import build as building
from tests.doubles.cuda_shim.device import Device

KERNELS_FOLDER = os.path.dirname(os.path.abspath(kernels.__file__))
UNIT = os.path.join(KERNELS_FOLDER, "unit.cu")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """(source, defines, sanitized) -> the path of a library, compiled at its first use."""
    if shutil.which(building.COMPILER.split()[0]) is None:
        if os.environ.get("CI"):
            pytest.fail("no C++ compiler: {}".format(building.COMPILER))
        pytest.skip("no C++ compiler: {}".format(building.COMPILER))
    folder = str(tmp_path_factory.mktemp("kernels"))
    known = {}

    def get(source, defines=(), sanitized=True):
        key = (source, tuple(defines), sanitized)
        if key not in known:
            path = os.path.join(folder, "{}.so".format(len(known)))
            building.build(source, path, defines, building.SANITIZE + ("-O0",) if sanitized else ())
            known[key] = path
        return known[key]

    return get


@pytest.fixture(scope="session")
def devices(compiled):
    """(source, defines, sanitized) -> a ``Device`` with that library; a new one where an error has ended the last."""
    known = {}

    def get(source, defines=(), sanitized=True):
        key = (source, tuple(defines), sanitized)
        if key in known and known[key].lost:
            known.pop(key).close()
        if key not in known:
            known[key] = Device(compiled(source, defines, sanitized), sanitized)
        return known[key]

    yield get
    for device in known.values():
        device.close()


@pytest.fixture
def sanitized(devices, request):
    """The module's kernels under the address and undefined-behaviour sanitizers."""
    yield from emptied(devices(os.path.join(KERNELS_FOLDER, request.module.SOURCE)))


@pytest.fixture
def fast(devices, request):
    """The module's kernels, optimised and unwatched."""
    yield from emptied(devices(os.path.join(KERNELS_FOLDER, request.module.SOURCE), sanitized=False))


def emptied(device):
    """A device that is given back without memory in use."""
    yield device
    if not device.lost:
        device.free()
