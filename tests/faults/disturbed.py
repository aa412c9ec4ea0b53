"""Commands that are disturbed: what faulty.cpp does to them, and what became of them."""

import contextlib
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from tests.doubles import cuda_driver
from tests.doubles.fetching import becoming, build_folder, run
from tests.faults.commands import environ_of

FOLDER = os.path.dirname(os.path.abspath(__file__))
COMPILER = os.environ.get("CXX", "g++")
LIMIT_S = 300
_LIBRARY = "libfaulty.so"
_ENDING_S = 15.0  # for what a command has started, to notice that it is gone


class Ended(NamedTuple):
    """How a command ended: its exit code (negative: the signal; None: it hung), what it printed, the events it made,
    and the processes that it left."""

    code: object
    out: str
    err: str
    events: int
    left: tuple = ()


def compiled_library():
    """The path of faulty.cpp as a library; a ``fetching.Missing`` where there is no compiler."""
    source = os.path.join(FOLDER, "faulty.cpp")
    with open(source, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:12]
    folder = os.path.join(build_folder("faulty"), digest)
    if not os.path.isdir(folder):
        with becoming(folder) as new:
            target = os.path.join(new, _LIBRARY)
            run(
                [COMPILER, "-O1", "-shared", "-fPIC", "-o", target, source, "-ldl"],
                "faulty.cpp cannot be compiled",
                120,
            )
    return os.path.join(folder, _LIBRARY)


class Disturber:
    """Runs commands, each in a folder of its own, under faulty.cpp; they are forks of one process that is kept warm.

    Args:
        off_device: there will be commands of the workstation, which need torch.
    """

    def __init__(self, off_device=False):
        self._off_device = off_device
        self._library = compiled_library()
        self._own = tempfile.mkdtemp(prefix="ccc-faults.")
        self._process = None

    def __enter__(self):
        measured = ("COVERAGE_PROCESS", "COV_CORE")  # what is killed at any write has no use for it
        variables = {name: each for name, each in cuda_driver.environment().items() if not name.startswith(measured)}
        variables["LD_PRELOAD"] = self._library
        variables["OMP_NUM_THREADS"] = "1"  # networks this small lose much to waiting where the cores are busy
        path = [os.path.dirname(os.path.dirname(FOLDER)), variables["PYTHONPATH"]]
        variables["PYTHONPATH"] = os.pathsep.join(path)
        self._process = subprocess.Popen(
            [sys.executable, os.path.join(FOLDER, "forker.py")] + ["off-device"] * self._off_device,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=variables,
            universal_newlines=True,
        )
        return self

    def __exit__(self, *exc_info):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        shutil.rmtree(self._own, ignore_errors=True)

    def run(self, command, folder, arguments=None, out=None, what="", at=0, events="changes", clock=""):
        """Runs a command in ``folder``.

        Args:
            arguments: instead of its own.
            out: where its standard output goes: "" to a reader that has gone, a path, None to what is returned.
            what, at, events, clock: as faulty.cpp describes them.
        """
        state, printed, said = (os.path.join(self._own, name) for name in ("state", "out", "err"))
        for path in (printed, said):
            open(path, "wb").close()
        with open(state, "wb") as file:
            file.write(bytes(16))
        cache, temporary = os.path.join(folder, "cache"), os.path.join(folder, "tmp")
        for each in (cache, temporary):
            os.makedirs(each, exist_ok=True)
        environ = {
            "FAULTY_FOLDER": os.path.realpath(folder),
            "FAULTY_STATE": state,
            "FAULTY_EVENTS": events,
            "FAULTY_AT": str(at),
            "FAULTY_WHAT": str(what),
            "FAULTY_CLOCK": clock,
            "CCC_JETSON_CACHE": cache,
            "TMPDIR": temporary,
        }
        environ.update(environ_of(command))
        request = {
            "module": command.module,
            "program": command.name.split()[0],
            "arguments": list(command.arguments if arguments is None else arguments),
            "folder": folder,
            "environ": environ,
            "out": printed if out is None else out,
            "err": said,
            "limit_s": LIMIT_S,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = json.loads(self._process.stdout.readline())["code"]
        with open(state, "rb") as file:
            count, _ = struct.unpack("<qq", file.read(16))
        left = _survivors(folder)
        with open(printed, errors="replace") as file, open(said, errors="replace") as words:
            return Ended(code, file.read(), words.read(), count, left)


def _survivors(folder):
    """The processes of a command that are still there after a while; they are ended."""
    mark = "FAULTY_FOLDER={}\0".format(os.path.realpath(folder)).encode()
    until_s = time.monotonic() + _ENDING_S
    while True:
        found = [pid for pid in _processes() if _has(pid, mark)]
        if not found or time.monotonic() > until_s:
            break
        time.sleep(0.02)
    for pid in found:
        with contextlib.suppress(OSError):
            os.kill(pid, 9)
    return tuple(found)


def _processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _has(pid, mark):
    try:
        with open("/proc/{}/environ".format(pid), "rb") as file:
            return mark in file.read()
    except OSError:
        return False
