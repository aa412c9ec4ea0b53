"""A TensorRT and a pycuda for tests: how to put them before the real ones, for a child process or for this one.

The package ``tensorrt`` in ``packages/`` says what they do and which faults they know. ``gpu/`` holds pycuda and what
both of them run on; ``tests.doubles.cuda_driver`` puts the real pycuda in its place.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import sys

DEFAULT_VERSION = "8.2.1.8"
MEMBERS_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "members.txt")
_PACKAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "packages")
GPU = (os.path.join(os.path.dirname(os.path.abspath(__file__)), "gpu"),)
_NAMES = ("tensorrt", "pycuda", "standin_cuda", "standin_faults")


def environment(version=DEFAULT_VERSION, members=None, pycuda="2022.1", gpu=GPU, **faults):
    """The variables for a child process whose ``import tensorrt`` and ``import pycuda.driver`` find the stand-ins.

    Args:
        version: TensorRT's.
        members: a file that gets the members that the child asks for.
        pycuda: its version.
        gpu: the folders with pycuda and ``standin_cuda``.
        faults: as the package ``tensorrt`` describes them.
    """
    variables = dict(os.environ, **_variables(version, members, pycuda, faults))
    first = [_PACKAGES] + list(gpu)
    paths = [path or os.getcwd() for path in sys.path if path not in first]
    variables["PYTHONPATH"] = os.pathsep.join(first + paths)
    if members is None:
        variables.pop("STANDIN_MEMBERS", None)
    return variables


@contextlib.contextmanager
def installed(version=DEFAULT_VERSION, members=None, pycuda="2022.1", gpu=GPU, **faults):
    """The stand-ins in this process, as long as the block lasts; arguments as for ``environment``."""
    path, modules = list(sys.path), _take_modules()
    names = ("STANDIN_TENSORRT", "STANDIN_PYCUDA", "STANDIN_MEMBERS", "STANDIN_FAULTS")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ.update(_variables(version, members, pycuda, faults))
    sys.path[:0] = [_PACKAGES] + list(gpu)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        driver = sys.modules.get("pycuda.driver")
        if hasattr(driver, "standin_forget"):
            driver.standin_forget()  # or it would end this process if a context were left
        _take_modules()
        sys.modules.update(modules)
        sys.path[:] = path
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def set_faults(**faults):
    """Other faults from now on, inside ``installed``; those that are not named end."""
    os.environ["STANDIN_FAULTS"] = _as_text(faults)


def _as_text(faults):
    """As JSON; a fault that nobody knows is refused here, not by the program under test."""
    text = json.dumps(faults)
    path = os.path.join(_PACKAGES, "standin_faults.py")
    spec = importlib.util.spec_from_file_location("standin_faults", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.given(text)
    return text


def _variables(version, members, pycuda, faults):
    variables = {"STANDIN_TENSORRT": version, "STANDIN_PYCUDA": pycuda, "STANDIN_FAULTS": _as_text(faults)}
    if members is not None:
        variables["STANDIN_MEMBERS"] = str(members)
    return variables


def _take_modules():
    """The modules of these names, which nobody finds from now on."""
    names = [name for name in sys.modules if name.split(".")[0] in _NAMES]
    return {name: sys.modules.pop(name) for name in names}
