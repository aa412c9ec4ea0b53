"""Compiles the driver, and the real pycuda for one Python: no GPU and no CUDA toolkit is needed.

pycuda's source and ``cuda.h`` come from the package index when tests run, under their own licences; neither is ever
committed. Everything is kept in a folder between runs.
"""

import concurrent.futures
import contextlib
import fcntl
import glob
import hashlib
import os
import shlex
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from typing import NamedTuple

from tests.doubles.fetching import Missing, becoming, download, run

COMPILER = os.environ.get("CXX", "g++")
HEADERS = "nvidia-cuda-runtime-cu11==11.8.89"  # the last but a few that declares what CUDA 10.2 has, too
# JetPack's, then the newest: (from this Python on, pycuda)
RELEASES = (((3, 10), "2026.1"), ((3, 6), "2022.1"))
DRIVERS = {"10.2": 10020, "12.6": 12060}
LIBRARY = "libcuda.so.1"
_SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "driver")
_SECONDS = 600
# As setup.py of pycuda defines them. PRETEND: the members and the version of a pycuda that was built on a TX2.
_DEFINES = {
    "PYGPU_PACKAGE": "pycuda", "PYGPU_PYCUDA": "1", "CUDAPP_PRETEND_CUDA_VERSION": "10020",
    "boost": "pycudaboost", "BOOST_ALL_NO_LIB": "1", "BOOST_THREAD_BUILD_DLL": "1",
    "BOOST_MULTI_INDEX_DISABLE_SERIALIZATION": "1", "BOOST_PYTHON_SOURCE": "1", "BOOST_THREAD_DONT_USE_CHRONO": "1",
}  # fmt: skip
# Not in NVIDIA's package, and included by pycuda
_PROFILER_HEADER = """#pragma once
#include <cuda.h>
typedef enum CUoutput_mode_enum { CU_OUT_KEY_VALUE_PAIR = 0, CU_OUT_CSV = 1 } CUoutput_mode;
extern "C" {
CUresult cuProfilerInitialize(const char*, const char*, CUoutput_mode);
CUresult cuProfilerStart(void);
CUresult cuProfilerStop(void);
}
"""
_ASK_PYTHON = """
import sys, sysconfig, numpy
print("{}.{}".format(*sys.version_info[:2]), numpy.__version__, sep="\\n")
print(sysconfig.get_paths()["include"], numpy.get_include(), sep="\\n")
"""


class _Python(NamedTuple):
    path: str
    version: str
    numpy: str
    includes: list


def prepare_driver(cache, cuda="10.2"):
    """The folder for LD_LIBRARY_PATH with the driver of a CUDA version; compiled unless the cache has it.

    Args:
        cache: a folder that is kept between runs; made if it is not there.
        cuda: one of ``DRIVERS``.

    Raises:
        Missing: it cannot be made here.
    """
    sources = sorted(glob.glob(os.path.join(_SOURCES, "*")))
    digest = hashlib.sha256(repr([_read(path) for path in sources]).encode()).hexdigest()[:12]
    folder = os.path.join(cache, "driver-{}-{}".format(cuda, digest))
    with _only_one(cache):
        if not os.path.isdir(folder):
            with becoming(folder) as temporary:
                options = ["-O1", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"]
                options += ["-DDRIVER_VERSION={}".format(DRIVERS[cuda]), "-I", _headers(sys.executable, cache)]
                compiled = [path for path in sources if path.endswith(".cpp")]
                link = ["-Wl,-soname," + LIBRARY, "-ldl"]
                _compile(compiled, options, link, os.path.join(temporary, LIBRARY))
    return folder


def prepare_pycuda(python, cache):
    """The folder for PYTHONPATH with pycuda; compiled unless the cache has it.

    What needs pytools is not there: ``pycuda.autoinit``, ``compiler``, ``gpuarray``.

    Args:
        python: the interpreter that is to import it; its numpy's headers are used.
        cache: a folder that is kept between runs; made if it is not there.

    Raises:
        Missing: it cannot be made here.
    """
    asked = _Python(python, *_ask(python))
    release, driver = release_for(asked.version), prepare_driver(cache)
    folder = os.path.join(cache, "pycuda-{}-python{}-numpy{}".format(release, asked.version, asked.numpy))
    with _only_one(cache):
        if not os.path.isdir(folder):
            with becoming(folder) as temporary:
                started = time.time()
                _build_pycuda(asked, release, driver, cache, temporary)
                with open(os.path.join(temporary, "seconds"), "w") as file:
                    file.write("{:.1f}\n".format(time.time() - started))
    return folder


def release_for(version):
    """The pycuda for a Python: "2022.1" for "3.6"."""
    numbers = tuple(int(part) for part in version.split("."))
    return next(release for first, release in RELEASES if numbers >= first)


def _ask(python):
    what = "{} has no numpy to build pycuda with".format(python)
    lines = run([python, "-c", _ASK_PYTHON], what, _SECONDS).splitlines()
    version, numpy, includes = lines[0], lines[1], lines[2:]
    if not os.path.exists(os.path.join(includes[0], "Python.h")):
        raise Missing("Python {} has no headers: no Python.h in {}".format(version, includes[0]))
    return version, numpy, includes


def _build_pycuda(python, release, driver, cache, site):
    headers = _headers(python.path, cache)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        root = _unpacked(download(python.path, "pycuda==" + release, folder, sources=True), folder)
        boost = os.path.join(root, "bpl-subset", "bpl_subset")
        os.symlink("boost", os.path.join(boost, "pycudaboost"))
        options = ["-O0", "-g0", "-w"] + ["-D{}={}".format(*each) for each in sorted(_DEFINES.items())]
        for include in [os.path.join(root, "src", "cpp"), boost, headers] + python.includes:
            options += ["-I", include]
        package = os.path.join(site, "pycuda")
        shutil.copytree(os.path.join(root, "pycuda"), package)
        # by its name, so that any driver will do
        link = ["-Wl,--no-as-needed", os.path.join(driver, LIBRARY)]
        _compile(_driver_sources(root, boost), options, link, os.path.join(package, "_driver.so"))
        structures = os.path.join(root, "src", "wrapper", "_pvt_struct_v3.cpp")
        _compile([structures], options, [], os.path.join(package, "_pvt_struct.so"))


def _driver_sources(root, boost):
    """Of pycuda's extension, the largest first, so that the last to be compiled is a small one."""
    names = ("src/wrapper/wrap_cudadrv.cpp", "src/wrapper/mempool.cpp", "src/cpp/cuda.cpp", "src/cpp/bitlog.cpp")
    found = [path for depth in ("*/*/*/*", "*/*/*") for path in glob.glob(os.path.join(boost, "libs", depth + ".cpp"))]
    threads = os.path.join(boost, "libs", "thread", "src")
    kept = [path for path in found if not path.startswith(threads)]
    kept += [path for path in glob.glob(os.path.join(threads, "pthread", "*.cpp")) if "once_atomic" not in path]
    return [os.path.join(root, name) for name in names] + sorted(kept, key=os.path.getsize, reverse=True)


def _headers(python, cache):
    """The folder with cuda.h."""
    folder = os.path.join(cache, HEADERS.replace("==", "-"))
    if not os.path.isdir(folder):
        with becoming(folder) as temporary:
            wheel = download(python, HEADERS, temporary)
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.infolist():
                    if "/include/" in member.filename and member.filename.endswith((".h", ".hpp")):
                        member.filename = member.filename.split("/include/", 1)[1]
                        archive.extract(member, temporary)
            os.unlink(wheel)
            with open(os.path.join(temporary, "cudaProfiler.h"), "w") as file:
                file.write(_PROFILER_HEADER)
    return folder


def _unpacked(archive, folder):
    with tarfile.open(archive) as file:
        file.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return os.path.join(folder, os.path.basename(archive)[: -len(".tar.gz")])


def _compile(sources, options, link, library):
    """Sources into a shared library, as many at a time as there are processors."""
    compiler = shlex.split(COMPILER) + ["-std=c++14", "-fPIC", "-pthread"]
    with tempfile.TemporaryDirectory() as folder, _pool() as pool:
        objects = [os.path.join(folder, "{}.o".format(number)) for number in range(len(sources))]
        commands = [compiler + options + ["-c", source, "-o", made] for source, made in zip(sources, objects)]
        for _ in pool.map(lambda command: run(command, "{} cannot compile".format(COMPILER), _SECONDS), commands):
            pass
        run(compiler + ["-shared"] + objects + link + ["-o", library], "{} cannot link".format(COMPILER), _SECONDS)


def _pool():
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1)


def _read(path):
    with open(path, "rb") as file:
        return file.read()


@contextlib.contextmanager
def _only_one(cache):
    """Lets other processes wait that would compile the same."""
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, ".lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
