"""A terminal in which the documents' commands are typed: a checkout with sample files, on a TX2 that is not there.

    client.py      every command of ours on PATH; hands what it was given to the server
    server.py      has imported what is slow to import, and forks a process for each command
    programs.py    our commands and Python, for real, over the TensorRT, CUDA driver and cameras of these doubles
    outside.py     what only a board, root, docker or a network can do: checks what it is given, refuses the rest
    containers.py  docker, as outside.py
    shortened.py   how long, how many and how large: what is less than the documents say
    samples.py     the files that the documents name: ckpt.pth, model.engine, drive.mp4, frames/ ...
    checkout.py    the folder that one types in, and what may be installed from it

Nothing else is on PATH but the tools in ``TOOLS``: a command that nobody plays is not found, whatever this machine has.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from typing import NamedTuple

from tests.doubles import cuda_driver, machines
from tests.doubles.doctored import healthy_tx2
from tests.doubles.terminal import checkout, programs
from tests.doubles.terminal.samples import Samples

FOLDER = os.path.dirname(os.path.abspath(__file__))
BOARDS = {"tx2": "8.2.1.8", "nano": "8.2.1.8", "xavier": "8.5.2.2", "orin": "10.3.0"}  # with their TensorRT
PATIENCE_S = 600  # for a block; a machine may be slow
TOOLS = (
    "as", "awk", "basename", "bash", "cat", "chmod", "cmp", "cp", "cut", "date", "df", "diff", "dirname", "du", "echo",
    "env", "expr", "g++", "ld", "false", "find", "free", "grep", "groups", "gunzip", "gzip", "head", "hostname", "id",
    "install", "ln", "ls", "md5sum", "mkdir", "mktemp", "mv", "nproc", "printf", "pwd", "readlink", "realpath",
    "rm", "rmdir", "sed", "seq", "sh", "sha256sum", "sleep", "sort", "stat", "tail", "tar", "tee", "test",
    "timeout", "touch", "tr", "true", "uniq", "unzip", "wc", "which", "xargs", "zip",
)  # fmt: skip
_UNAME = "#!/bin/sh\ncase ${1:-} in -m) echo aarch64 ;; -r) echo 4.9.253-tegra ;; *) echo Linux ;; esac\n"
_PROLOGUE = """set -eE
trap 'code=$?; echo "$LINENO $code" >"$CCC_TERMINAL_FOLDER/failed"' ERR
command_not_found_handle() { echo "$1: nobody plays this command: tests/doubles/terminal" >&2; return 127; }
. "$1"
set +e
trap - ERR
pwd >"$2/cwd"
env -0 >"$2/exported"
"""


class Failed(Exception):
    """A block did not do what it says; the message names the page, the line, and what was printed."""


class Done(NamedTuple):
    """A command that ended."""

    words: list
    code: int


class Machine:
    """The server, and the folder of commands that are on PATH: one for many terminals."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="ccc")  # a socket's name is short
        self.bin = os.path.join(self.folder, "bin")
        self.socket = os.path.join(self.folder, "s")
        self._lay_out_bin()
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
        variables.update(OMP_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1")
        variables["PYTHONPATH"] = os.pathsep.join([checkout.ROOT] + [path for path in sys.path if path])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.doubles.terminal.server", self.socket],
            cwd=checkout.ROOT,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            universal_newlines=True,
            bufsize=1,
        )
        assert json.loads(self._process.stdout.readline()) == {"ready": True}
        self.samples = Samples(os.path.join(self.folder, "samples"), self._make_sample)

    def _lay_out_bin(self):
        os.mkdir(self.bin)
        with open(os.path.join(FOLDER, "client.py")) as file:
            text = "#!{} -IS\n{}".format(sys.executable, file.read())
        for name in programs.names():
            self._write(name, text)
        self._write("uname", _UNAME)
        for name in TOOLS:
            found = shutil.which(name)
            if found and not os.path.exists(os.path.join(self.bin, name)):
                os.symlink(found, os.path.join(self.bin, name))

    def _write(self, name, text):
        path = os.path.join(self.bin, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def _make_sample(self, folder, line):
        """Runs a line for ``Samples`` in its folder."""
        home = os.path.join(self.folder, "making")
        os.makedirs(home, exist_ok=True)
        done = subprocess.run(
            ["bash", "-ec", line],
            cwd=folder,
            env=self.variables("tx2", home, folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
        )
        if done.returncode:
            raise Failed("a sample cannot be made: {}\n{}".format(line, done.stdout))

    def variables(self, board, folder, samples):
        """The variables for what is typed on a board."""
        variables = cuda_driver.environment(BOARDS[board], device=board)
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "VIRTUAL_ENV", "CI"):
            variables.pop(name, None)
        variables.update(
            PATH=self.bin,
            HOME=os.path.join(folder, "home"),
            USER="me",
            LANG="C.UTF-8",
            CCC_TERMINAL=self.socket,
            CCC_TERMINAL_FOLDER=folder,
            CCC_TERMINAL_SAMPLES=samples,
            CCC_ROOT=os.path.join(folder, "root"),
            CCC_JETSON_CACHE=os.path.join(folder, "home", ".cache", "ccc-jetson"),
        )
        return variables

    def ended(self):
        """The commands that have ended since the last time."""
        found = []
        os.set_blocking(self._process.stdout.fileno(), False)
        with contextlib.suppress(TypeError):  # how a text file says that there is nothing yet
            for line in self._process.stdout:
                said = json.loads(line)
                found.append(Done(said["words"], said["code"]))
        os.set_blocking(self._process.stdout.fileno(), True)
        return found

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Terminal:
    """One page's: folder and exported variables stay from block to block, and Python's names as well."""

    def __init__(self, machine, folder, words):
        self._machine, self._folder = machine, str(folder)
        self._samples = os.path.join(self._folder, "samples")
        machine.samples.put(words, self._samples)
        root = os.path.join(self._folder, "root")
        machines.build(root, healthy_tx2().files)
        _socket(os.path.join(root, "tmp", "argus_socket"))
        start = os.path.join(self._folder, "home", "ccc-jetson")
        checkout.lay_out(start, self._samples)
        self._cwd, self._exported, self._python = start, "", None

    def type(self, place, text, board):
        """Types a block of sh; raises ``Failed``. Returns what it printed."""
        script, state = os.path.join(self._folder, "block.sh"), os.path.join(self._folder, "state")
        os.makedirs(state, exist_ok=True)
        page, _, first = place.rpartition(":")
        with open(script, "w") as file:
            file.write("\n" * (int(first) - 1) + text)
        prologue = os.path.join(self._folder, "prologue.sh")
        with open(prologue, "w") as file:
            file.write(self._exported + _PROLOGUE)
        failed = os.path.join(self._folder, "failed")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(failed)
        variables = self._machine.variables(board, self._folder, self._samples)
        words = ["bash", "--noprofile", "--norc", prologue, script, state]
        code, said = _finished(words, self._cwd, variables)
        if code:
            line = first
            if os.path.exists(failed):
                with open(failed) as file:
                    line, code = file.read().split()
            lines = text.splitlines()
            typed = lines[min(max(int(line) - int(first), 0), len(lines) - 1)]
            raise Failed("{}:{}: exit code {}\n    $ {}\n{}".format(page, line, code, typed, _indented(said)))
        with open(os.path.join(state, "cwd")) as file:
            self._cwd = file.read().rstrip("\n")
        self._exported = self._changed(os.path.join(state, "exported"), variables)
        return said

    def _changed(self, path, variables):
        """What was exported in the block, as lines for the next one."""
        lines = []
        with open(path) as file:
            for each in file.read().split("\0"):
                name, equals, value = each.partition("=")
                if equals and name not in ("SHLVL", "OLDPWD", "PWD", "_") and variables.get(name) != value:
                    lines.append("export {}={}\n".format(name, shlex.quote(value)))
        return "".join(lines)

    def interpret(self, place, text):
        """A block of Python; raises ``Failed``."""
        if self._python is None:
            self._python = _Interpreter(self._machine, self._folder, self._samples)
        page, _, line = place.rpartition(":")
        self._python.run(page, int(line), text, self._cwd)

    def close(self):
        if self._python is not None:
            self._python.close()


class _Interpreter:
    """Python that runs a page's blocks."""

    def __init__(self, machine, folder, samples):
        ours, theirs = socket.socketpair()
        self._said = open(os.path.join(folder, "python.txt"), "w+", errors="replace")  # noqa: SIM115  (closed below)
        self._process = subprocess.Popen(
            [os.path.join(machine.bin, programs.INTERPRETER)],
            env=machine.variables("tx2", folder, samples),
            stdin=theirs,
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )
        theirs.close()
        self._connection = ours
        self._connection.settimeout(PATIENCE_S)
        self._lines = ours.makefile("r")

    def run(self, page, line, text, cwd):
        block = {"page": page, "line": line, "text": text, "cwd": cwd}
        self._connection.sendall((json.dumps(block) + "\n").encode())
        try:
            answer = json.loads(self._lines.readline() or '{"failure": "it ended"}')
        except socket.timeout:
            answer = {"failure": "not at its end after {} s".format(PATIENCE_S)}
        if answer["failure"]:
            self._said.seek(0)
            raise Failed("{}:{}: {}\n{}".format(page, line, answer["failure"], _indented(self._said.read())))

    def close(self):
        self._lines.close()
        self._connection.close()
        try:
            self._process.wait(timeout=30)
        finally:
            self._process.kill()
            self._said.close()


def _finished(words, cwd, variables):
    """Runs a process with all that it starts; (exit code, what it printed). What takes too long is ended."""
    process = subprocess.Popen(
        words,
        cwd=cwd,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, said.decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        return 124, "{}\nnot at its end after {} s".format(said.decode(errors="replace"), PATIENCE_S)


def _indented(text):
    """The last lines of what was printed."""
    return "".join("    {}\n".format(line) for line in text.replace("\r", "\n").splitlines()[-30:])


def _socket(path):
    """A socket's file: its name may be longer than a socket's may be, seen from its folder it is short."""
    here = os.getcwd()
    if os.path.lexists(path):
        os.unlink(path)
    os.chdir(os.path.dirname(path))
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as each:
            each.bind(os.path.basename(path))
    finally:
        os.chdir(here)
