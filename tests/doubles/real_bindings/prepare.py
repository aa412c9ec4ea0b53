"""Fetches NVIDIA's bindings and compiles the library that they load."""

import hashlib
import os
import re
import shlex
import subprocess
from typing import NamedTuple

from tests.doubles.fetching import becoming, need_x86, run, unpack_wheel

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake.cpp")
LIBRARY = "libfaketrt.so"
COMPILER = os.environ.get("CXX", "g++")
_OPTIONS = ["-std=c++14", "-O1", "-fPIC", "-shared"]
_SECONDS = 120


class Prepared(NamedTuple):
    """Folders: ``site`` for PYTHONPATH, where ``import tensorrt`` finds the bindings; ``lib`` for LD_LIBRARY_PATH."""

    site: str
    lib: str


def prepare(python, release, cache):
    """Makes the folders, or finds them in the cache.

    Args:
        python: the interpreter that is to load the bindings; its pip chooses the wheel.
        release: the ``Release``.
        cache: a folder that is kept between runs; made if it is not there.

    Raises:
        NoWheels: there are none for this machine.
        Missing: a wheel cannot be fetched, or there is no compiler.
    """
    need_x86("NVIDIA's bindings")
    tag = subprocess.check_output([python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"]).decode().strip()
    site = os.path.join(cache, "{}-{}".format(release.version, tag))
    if not os.path.isdir(site):
        with becoming(site) as folder:
            unpack_wheel(python, "{}=={}".format(release.distribution, release.version), folder)
            _write_modules(folder)
    with open(SOURCE, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:12]
    lib = os.path.join(cache, "lib{}-{}".format(release.major, digest))
    if not os.path.isdir(lib):
        with becoming(lib) as folder:
            _compile(os.path.join(folder, LIBRARY))
            # The loader knows a file by its inode, so all these names are one library with one state
            for name in _needed(os.path.join(site, "tensorrt_bindings", "tensorrt.so")):
                os.symlink(LIBRARY, os.path.join(folder, name))
    return Prepared(site, lib)


def _write_modules(folder):
    # JetPack's package has the plain name
    with open(os.path.join(folder, "tensorrt.py"), "w") as file:
        file.write("import sys\n\nimport tensorrt_bindings\n\nsys.modules[__name__] = tensorrt_bindings\n")
    # The bindings look for the wheel with NVIDIA's libraries first, which may be installed and must not be found
    with open(os.path.join(folder, "tensorrt_libs.py"), "w") as file:
        file.write("raise ImportError('these bindings run over a fake')\n")


def _needed(extension):
    """NVIDIA's libraries that the extension names in its string table: ``libnvinfer.so.8``."""
    with open(extension, "rb") as file:
        return sorted({name.decode() for name in re.findall(rb"\0(libnv\w+\.so\.\d+)(?=\0)", file.read())})


def _compile(library):
    command = shlex.split(COMPILER) + _OPTIONS + [SOURCE, "-o", library]
    run(command, "{} cannot compile {}".format(COMPILER, os.path.basename(SOURCE)), _SECONDS)
