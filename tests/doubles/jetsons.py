"""Boards to report: their files, nvpmodel, sudo, an interpreter for ``board-report.sh``, and who their user is."""

import os
import stat
import subprocess
import sys
import tarfile

from tests.doubles import cuda_driver, machines
from tests.doubles.manifests import tiny_manifest
from tests.doubles.reporting import ON_A_BOARD
from tests.doubles.told_steps import MANIFEST

TOLD_STEPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "told_steps.py")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "scripts", "board-report.sh")
HERE = os.path.dirname(os.path.abspath(__file__))
# tree, device of the driver, TensorRT, CUDA, the mode that is found
KINDS = {
    "tx2": (machines.tx2, "tx2", "8.2.1.8", "10.2", 3),
    "nano": (machines.nano, "nano", "8.2.1.8", "10.2", 0),
    "orin": (machines.orin_nano, "orin", "10.3.0", "12.6", 1),
}
SERIAL, HOST, USER, PASSWORD = "0324817022553", "greta-on-the-roof", "gretathunder", "swordfish9"
MAC, ADDRESS, IPV6 = "00:04:4b:a5:12:9f", "10.20.30.41", "fe80::204:4bff:fea5:129f"
FIB = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- {}\n        /32 host LOCAL\n".format(ADDRESS)
INET6 = "fe8000000000000002044bfffea5129f 02 40 20 80     eth0\n"
SECRETS = (SERIAL, HOST, USER, PASSWORD, MAC, ADDRESS, IPV6)
# nvpmodel keeps the mode where the real one does, and notes every call
NVPMODEL = """#!/bin/sh
echo "$*" >> "$BOARD_ROOT/calls.txt"
[ "$1" = -m ] || exit 1
if [ -e "$BOARD_ROOT/stuck" ]; then echo "NVPM ERROR: failed to set power mode" >&2; exit 1; fi
printf 'pmode:%04d' "$2" > "$BOARD_ROOT/var/lib/nvpmodel/status"
"""
SUDO = """#!/bin/sh
[ "$1" = -n ] && shift
if [ -e "$BOARD_ROOT/no-sudo" ]; then echo "sudo: a password is required" >&2; exit 1; fi
[ "$1" = -v ] && exit 0
exec "$@"
"""
# What PYTHON names: the real interpreter, except that the report's own command is given the made-up machine
PYTHON = """#!/bin/sh
if [ "$1" = -m ] && [ "$2" = ccc_jetson.runtime.board_report.cli ]; then
  shift 2
  exec "$REAL_PYTHON" "{}/reporting.py" "$@"
fi
exec "$REAL_PYTHON" "$@"
"""


class Jetson:
    """A board in ``folder``; ``run`` reports it.

    Args:
        kind: one of ``KINDS``.
        steps: the script that stands for every step's interpreter; by default the real commands run, over the CPU
            "CUDA driver".
        seconds: of a benchmark.
        faults: as for ``cuda_driver.environment``.
    """

    def __init__(self, folder, kind="tx2", steps=None, seconds=0.05, **faults):
        tree, device, tensorrt, cuda, self.mode = KINDS[kind]
        self.folder, self.root = str(folder), os.path.join(str(folder), "root")
        names = {"proc/device-tree/serial-number": SERIAL + "\0", "proc/net/fib_trie": FIB, "proc/net/if_inet6": INET6}
        names["sys/class/net/eth0/address"] = MAC + "\n"
        tree(os.path.join(str(folder), "root"), self.mode, changes=names)
        if steps is not None:
            with open(os.path.join(self.root, MANIFEST), "w") as file:
                file.write(tiny_manifest().to_json())
        self.bin = os.path.join(self.folder, "bin")
        os.makedirs(self.bin)
        for name, text in (("nvpmodel", NVPMODEL), ("sudo", SUDO), ("python", PYTHON.format(HERE))):
            path = os.path.join(self.bin, name)
            with open(path, "w") as file:
                file.write(text)
            os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        if steps is None:
            self.environment = cuda_driver.environment(tensorrt, device, cuda, **faults)
        else:
            self.environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path or os.getcwd() for path in sys.path))
        self.environment.update(
            PATH=self.bin + os.pathsep + self.environment["PATH"],
            PYTHON=os.path.join(self.bin, "python"),
            REAL_PYTHON=sys.executable,
            BOARD_ROOT=self.root,
            BOARD_EUID="1000",
            BOARD_HOST=HOST,
            BOARD_STEPS=ON_A_BOARD if steps is None else str(steps),
            BOARD_SECONDS=str(seconds),
            CCC_JETSON_CACHE=os.path.join(self.folder, "cache"),
            USER=USER,
            LOGNAME=USER,
            HOME="/home/" + USER,
        )

    def start(self, *arguments, **settings):
        """The script in a process of its own, in the board's folder; keywords as for ``Popen``."""
        return subprocess.Popen(
            ["bash", SCRIPT, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            **settings,
        )

    def run(self, *arguments):
        """Exit code, and all that it said."""
        return self.end(self.start(*arguments))

    def end(self, process, patience_s=300):
        try:
            out, err = process.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        print(out + err)
        return process.returncode, out + err

    @property
    def mode_now(self):
        with open(os.path.join(self.root, "var/lib/nvpmodel/status")) as file:
            return int(file.read().split(":")[1])

    @property
    def calls(self):
        """What nvpmodel was asked, in order."""
        path = os.path.join(self.root, "calls.txt")
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return file.read().splitlines()

    def mark(self, name):
        """An empty file in the root, by which the commands know what is to go wrong."""
        with open(os.path.join(self.root, name), "w"):
            pass

    def archive(self):
        """The files of the one archive in the folder, by name without the first folder."""
        (path,) = [name for name in os.listdir(self.folder) if name.endswith(".tar.gz")]
        with tarfile.open(os.path.join(self.folder, path)) as archive:
            owners = {(each.uid, each.gid, each.uname, each.gname) for each in archive.getmembers()}
            assert owners == {(0, 0, "", "")}
            return {
                each.name.split("/", 1)[1]: archive.extractfile(each).read().decode() for each in archive.getmembers()
            }
