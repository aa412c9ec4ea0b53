"""A machine for the scripts in docker/: files below another root, and commands that say how they were called."""

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Machine:
    """Files below ``root``, commands in ``bin``. A socket's path has 108 bytes at most, so both are short."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.work = folder / "work"
        for path in (self.root / "dev", self.root / "tmp", self.root / "etc", self.bin, self.work):
            path.mkdir(parents=True)
        self.environment = {"CCC_ROOT": str(self.root), "HOME": str(folder / "home")}
        self._sockets: list[socket.socket] = []

    def file(self, path: str, text: str = "x") -> Path:
        """A file below the root, by its absolute name."""
        there = self.root / path.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text)
        return there

    def socket(self, path: str) -> None:
        there = self.root / path.lstrip("/")
        self._sockets.append(socket.socket(socket.AF_UNIX))
        here = os.getcwd()
        os.chdir(there.parent)  # the name alone is short enough
        try:
            self._sockets[-1].bind(there.name)
        finally:
            os.chdir(here)

    def release(self, l4t: str) -> None:
        self.file("/etc/nv_tegra_release", line_of(l4t))

    def command(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    def echo(self, name: str, code: int = 0) -> None:
        """A command that prints its name and its arguments, one a line, and ends with ``code``."""
        self.command(name, 'printf "%s\\n" {} "$@"; exit {}'.format(name, code))

    def uname(self, kernel: str, architecture: str = "aarch64") -> None:
        self.command("uname", "case $1 in -r) echo {};; -m) echo {};; esac".format(kernel, architecture))

    def run(self, *words: str, **environment: str) -> Done:
        """Runs a script with our commands first on PATH."""
        path = "{}:/usr/local/bin:/usr/bin:/bin".format(self.bin)
        done = subprocess.run(
            list(words),
            env={"PATH": path, **self.environment, **environment},
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def close(self) -> None:
        for each in self._sockets:
            each.close()


def line_of(l4t: str) -> str:
    """The line of /etc/nv_tegra_release: L4T 32.7.4 is R32, REVISION 7.4."""
    major, _, minor = l4t.partition(".")
    return (
        f"# R{major} (release), REVISION: {minor}, GCID: 33514132, BOARD: t186ref, EABI: aarch64, "
        "DATE: Fri Jun  9 04:25:08 UTC 2023"
    )


def shells() -> list[str]:
    """The shells here that may run a script of /bin/sh: dash is Ubuntu's."""
    return [name for name in ("dash", "bash", "busybox") if shutil.which(name)] or [sys.exit("there is no shell")]
