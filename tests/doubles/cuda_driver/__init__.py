"""The real pycuda over a CPU "CUDA driver": everything of the device half runs but TensorRT, without a GPU.

    driver/           libcuda.so.1: contexts, memory, streams, events, kernels, graphs; what it prints and counts
    prepare.py        compiles it, and the real pycuda for this Python
    bridge/           what the stand-in TensorRT (tests/doubles/standin) runs on in place of its own GPU
    nvcc.py, bin/     an nvcc whose cubins the driver loads: tests/doubles/cuda_shim compiles them for this CPU

``installed`` puts pycuda, TensorRT and nvcc into this process for a while, ``environment`` into a child process.
"""

import collections
import contextlib
import ctypes
import gc
import importlib
import os
import sys
from typing import NamedTuple

from tests.doubles import standin
from tests.doubles.cuda_driver.prepare import LIBRARY, prepare_driver, prepare_pycuda
from tests.doubles.fetching import Missing, build_folder, skip_or_fail

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(FOLDER)))
_BRIDGE = os.path.join(FOLDER, "bridge")
_NOT_SUPPORTED, _CAPTURE_UNSUPPORTED = 801, 900
_MODULE_ERRORS = {"invalid image": 200, "no binary": 209}


class Board(NamedTuple):
    """A machine of ``driver/control.cpp``: its GPU as CUDA names it, and the driver that it comes with."""

    name: str
    sm: str
    integrated: bool
    cuda: str


BOARDS = {
    "tx2": Board("NVIDIA Tegra X2", "6.2", True, "10.2"),
    "nano": Board("NVIDIA Tegra X1", "5.3", True, "10.2"),
    "xavier": Board("Xavier", "7.2", True, "10.2"),
    "orin": Board("Orin", "8.7", True, "12.6"),
    "pc": Board("GeForce RTX 2080", "7.5", False, "10.2"),
}

# The driver's; each gives the driver's commands
_FAULTS = {
    "fail_allocation": lambda nth: ["fail allocation {} 2".format(nth)],
    "fail_launch": lambda what: ["kernel {} {} now".format(*what)],
    "fail_kernel": lambda what: ["kernel {} {} late".format(*what)],
    "fail_call": lambda what: ["fail {} {} {}".format(*what)],
    "no_capture": lambda _: ["fail cuStreamBeginCapture_v2 1 {} always".format(_CAPTURE_UNSUPPORTED)],
    "capture_breaks": lambda _: ["capture_breaks"],
    "no_instantiate": lambda _: ["fail cuGraphInstantiate 1 {} always".format(_NOT_SUPPORTED)],
    "bad_module": lambda how: ["fail {} 1 {} always".format(name, _MODULE_ERRORS[how]) for name in _MODULE_CALLS],
}
_MODULE_CALLS = ("cuModuleLoadDataEx", "cuModuleLoadData")
_known = {}


class Prepared(NamedTuple):
    """Folders: ``site`` with pycuda, for PYTHONPATH; ``lib`` with the driver, for LD_LIBRARY_PATH."""

    site: str
    lib: str


class Counters:
    """What the driver that this process has loaded holds and has done, by name.

    live.*              device, pinned, managed (allocations), contexts, streams, events, modules, graphs,
                        graph_executables
    made.*              device, pinned, managed, streams: how many there have been
    bytes.*, copies.*   host_to_device, device_to_host, device_to_device: of the copies that were done
    launches.*          by kernel, in graphs too; graph_launches, host_calls (an engine's runs), memsets
    synchronizations    of streams and events
    pending             1 while there is work that nobody has waited for
    """

    def __init__(self):
        self._library = ctypes.CDLL(LIBRARY)
        self._library.fakecuda_counters.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self._library.fakecuda_counters.restype = ctypes.c_size_t

    def snapshot(self):
        """All of them, by name; 0 for what there has never been."""
        length = self._library.fakecuda_counters(None, 0) + 4096
        text = ctypes.create_string_buffer(length)
        self._library.fakecuda_counters(text, length)
        return _parsed(text.value.decode())

    def difference(self, before):
        """What has changed since a snapshot: by how much, by name."""
        now = self.snapshot()
        return {name: now[name] - before[name] for name in set(now) | set(before) if now[name] != before[name]}


class Driver:
    """The driver that ``installed`` gives: its ``counters``, and its faults."""

    def __init__(self, library, board):
        self._library, self._board = library, board
        self.counters = Counters()

    def set_faults(self, **faults):
        """Other faults from now on; those that are not named end. Names as for ``installed``."""
        ours, theirs = _divided(BOARDS[self._board], faults)
        standin.set_faults(**theirs)
        self.command("sound", *ours)

    def command(self, *lines):
        """Commands of ``driver/control.cpp``."""
        assert self._library.fakecuda_configure("\n".join(lines).encode()), lines


def available():
    """The ``Prepared`` folders; skips the test with the reason where they cannot be made, and fails it in CI."""
    return _once("pycuda", lambda: Prepared(prepare_pycuda(sys.executable, cache_folder()), _driver_folder("10.2")))


@contextlib.contextmanager
def installed(tensorrt=standin.DEFAULT_VERSION, device="tx2", nvcc="10.2", **faults):
    """The real pycuda, the stand-in TensorRT on it, and nvcc in this process, as long as the block lasts.

    The driver's counters begin anew. Give back what you made before the block ends: pycuda's objects outlive it badly.

    Args:
        tensorrt: its version.
        device: one of ``BOARDS`` with CUDA 10.2; this process can have only one driver.
        nvcc: its version, one of ``nvcc.RELEASES``; ``None`` leaves PATH as it is.
        faults: those of the stand-in (the package ``tensorrt`` describes them; free_mib, total_mib and no_gpu are the
            driver's, too), and

            fail_allocation   n: the n-th allocation from now fails for want of memory
            fail_launch       (kernel, n): the n-th launch of a kernel ("*": any) is refused
            fail_kernel       (kernel, n): the n-th run of a kernel fails, which is noticed when it is waited for;
                              nothing works in its context from then on
            fail_call         (function, n, code): the n-th call of a function of the driver's gives that CUresult
            no_capture        cuStreamBeginCapture fails
            capture_breaks    what is queued in a capture ends it
            no_instantiate    cuGraphInstantiate fails
            bad_module        "invalid image" or "no binary": a module cannot be loaded

    Yields:
        The ``Driver``.
    """
    board, prepared = BOARDS[device], available()
    assert board.cuda == "10.2", "{} has another driver than this process: use environment()".format(device)
    assert not _known.get("installed"), "it is installed"
    ours, theirs = _divided(board, faults)
    library = _loaded(prepared.lib)
    library.fakecuda_forget()
    driver = Driver(library, device)
    driver.command("sound", "board " + device, *ours)
    with standin.installed(tensorrt, gpu=(_BRIDGE, prepared.site), **theirs), _variables(_nvcc_variables(nvcc)):
        sys.modules.update(_known.get("modules", {}))
        importlib.import_module("standin_cuda")
        _known["installed"] = True
        try:
            yield driver
        finally:
            _known["installed"] = False
            _leave_contexts()
            gc.collect()
            library.fakecuda_forget()
            # pycuda's extension cannot be loaded twice, and the driver may still hold the bridge's functions
            names = [name for name in sys.modules if name.split(".")[0] in ("pycuda", "standin_cuda")]
            _known["modules"] = {name: sys.modules[name] for name in names}


def environment(tensorrt=standin.DEFAULT_VERSION, device="tx2", nvcc="10.2", reports=None, members=None, **faults):
    """The variables for a child process over the driver; arguments as for ``installed``, and

    Args:
        device: any of ``BOARDS``.
        reports: a folder where every process leaves its counters when it ends, for ``read_reports``.
        members: a file that gets the members of TensorRT that the child asks for.
    """
    board, prepared = BOARDS[device], available()
    ours, theirs = _divided(board, faults)
    variables = standin.environment(tensorrt, members, gpu=(_BRIDGE, prepared.site), **theirs)
    variables.update(_nvcc_variables(nvcc, variables))
    variables["FAKECUDA"] = "\n".join(["board " + device] + ours)
    lib = prepared.lib if board.cuda == "10.2" else _driver_folder(board.cuda)
    variables["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [lib, variables.get("LD_LIBRARY_PATH")]))
    if reports is not None:
        variables["FAKECUDA_REPORTS"] = str(reports)
    return variables


def read_reports(folder):
    """The counters that the processes of an ``environment`` left: one snapshot each."""
    found = []
    for name in sorted(os.listdir(str(folder))):
        with open(os.path.join(str(folder), name)) as file:
            found.append(_parsed(file.read()))
    return found


def cache_folder():
    """Where compiled things are kept."""
    return build_folder("pycuda")


def _driver_folder(cuda):
    return _once("driver " + cuda, lambda: prepare_driver(cache_folder(), cuda))


def _once(name, make):
    """What ``make`` gives; where something is ``Missing`` for it, every test that asks ends with that reason."""
    if name not in _known:
        try:
            _known[name] = make()
        except Missing as error:
            _known[name] = error
    if isinstance(_known[name], Missing):
        skip_or_fail(_known[name])
    return _known[name]


def _loaded(folder):
    """The driver, loaded before pycuda asks for it by its name."""
    library = _once("library", lambda: ctypes.CDLL(os.path.join(folder, LIBRARY), ctypes.RTLD_GLOBAL))
    library.fakecuda_configure.argtypes = [ctypes.c_char_p]
    return library


def _divided(board, faults):
    """The driver's commands, and the stand-in's faults."""
    ours = [line for name, value in sorted(faults.items()) if name in _FAULTS for line in _FAULTS[name](value)]
    theirs = {"device": board.name, "sm": board.sm, "integrated": board.integrated, "cuda": board.cuda}
    theirs.update((name, value) for name, value in faults.items() if name not in _FAULTS)
    ours.append("memory {} {}".format(theirs.get("total_mib", 7800), theirs.get("free_mib", 4000)))
    if theirs.get("no_gpu"):
        ours.append("fail cuInit 1 100 always")
    return ours, theirs


def _nvcc_variables(version, variables=os.environ):
    if version is None:
        return {}
    return {
        "CUDA_HOME": FOLDER,
        "PATH": os.pathsep.join([os.path.join(FOLDER, "bin"), variables.get("PATH", "")]),
        "NVCC_DOUBLE_PYTHON": sys.executable,
        "NVCC_DOUBLE_VERSION": version,
        "NVCC_DOUBLE_CACHE": os.path.join(cache_folder(), "cubins"),
    }


@contextlib.contextmanager
def _variables(given):
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _leave_contexts():
    """Takes what is left off this thread's stack, or pycuda would end this process when it ends."""
    driver = sys.modules.get("pycuda.driver")
    with contextlib.suppress(Exception if driver is None else driver.LogicError):
        while driver is not None:
            driver.Context.pop()


def _parsed(text):
    return collections.Counter({name: int(number) for name, number in map(str.split, text.splitlines())})
