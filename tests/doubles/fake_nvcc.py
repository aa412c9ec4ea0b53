"""An nvcc that compiles nothing: it answers as told, notes how it was called, and writes a file that looks whole."""

import json
import os
import sys

_USUAL = {
    "prints": "",
    "code": 0,
    "writes": None,
    "killed": False,
    "child_sleeps": 0,
    "version_sleep": 0,
    "version_code": 0,
}
_PROGRAM = """
import hashlib, json, os, signal, sys, time
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "nvcc.json")) as file:
    told = json.load(file)
arguments = sys.argv[1:]
if arguments == ["--version"]:
    time.sleep(told["version_sleep"])
    print("nvcc: NVIDIA (R) Cuda compiler driver")
    print("Cuda compilation tools, release {}, V{}".format(told["version"].rsplit(".", 1)[0], told["version"]))
    sys.exit(told["version_code"])
call = {"arguments": arguments, "folder": os.getcwd(), "files": sorted(os.listdir(".")), "tmp": os.environ["TMPDIR"]}
with open(os.path.join(here, "calls"), "a") as file:
    file.write(json.dumps(call) + "\\n")
sys.stdout.write(told["prints"])
sys.stdout.flush()
if told["child_sleeps"]:  # as cicc does, below nvcc
    child = os.fork()
    if child == 0:
        time.sleep(told["child_sleeps"])
        os._exit(0)
    with open(os.path.join(here, "child"), "w") as file:
        file.write(str(child))
    os.waitpid(child, 0)
if told["killed"]:
    os.kill(os.getpid(), signal.SIGKILL)
digest = hashlib.sha256(repr(arguments).encode())
for name in call["files"]:
    with open(name, "rb") as file:
        digest.update(file.read())
elf = b"\\x7fELF\\x02\\x01" + bytes(58) + digest.digest()
if told["writes"] is None:
    told["writes"] = len(elf)
if told["writes"]:
    with open(arguments[arguments.index("-o") + 1], "wb") as file:
        file.write(elf[: told["writes"]])
sys.exit(told["code"])
"""


class FakeNvcc:
    """The program ``folder/bin/nvcc``.

    Args:
        folder: made here; what $CUDA_HOME may name.
        version: what it says that it is.
        told: ``prints`` text and ends with ``code``; ``writes`` that many bytes (None: all); ``killed`` by SIGKILL;
            ``child_sleeps`` seconds in a process of its own; ``version_sleep`` seconds, ``version_code``.
    """

    def __init__(self, folder, version="10.2.300", **told):
        self.home = str(folder)
        self._bin = os.path.join(self.home, "bin")
        os.makedirs(self._bin)
        self.path = os.path.join(self._bin, "nvcc")
        self.version = version
        with open(os.path.join(self._bin, "program.py"), "w") as file:
            file.write(_PROGRAM)
        with open(self.path, "w") as file:
            file.write('#!/bin/sh\nexec "{}" -SE "{}/program.py" "$@"\n'.format(sys.executable, self._bin))
        os.chmod(self.path, 0o755)
        self.be(**told)

    def be(self, **told):
        """Changes what it does; what is not given is as usual."""
        record = dict(_USUAL, version=self.version, **told)
        with open(os.path.join(self._bin, "nvcc.json"), "w") as file:
            json.dump(record, file)

    @property
    def calls(self):
        """How it was called to compile: ``arguments``, the current ``folder``, the ``files`` in it, and TMPDIR."""
        try:
            with open(os.path.join(self._bin, "calls")) as file:
                return [json.loads(line) for line in file]
        except IOError:
            return []

    @property
    def child(self):
        """The number of the process below it; None as long as there is none."""
        try:
            with open(os.path.join(self._bin, "child")) as file:
                return int(file.read() or 0) or None
        except IOError:
            return None
