"""Compiles a CUDA source for the CPU, and lists its kernels."""

import os
import re
import shlex
import subprocess
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
COMPILER = os.environ.get("CXX", "g++")
# contraction off: the CPU rounds where the source says so, whatever the optimisation
_OPTIONS = ["-std=c++14", "-x", "c++", "-pthread", "-ffp-contract=off", "-Wall", "-Werror", "-Wno-unknown-pragmas"]
_OPTIONS += ["-I", os.path.join(FOLDER, "include"), "-include", os.path.join(FOLDER, "cuda_shim.h")]
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fsanitize-sections=cuda_shared")
_KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(\w+)\s*\(')
_SECONDS = 300


class CompilerMissing(Exception):
    """There is no C++ compiler on this machine."""


class CompileError(Exception):
    """What the compiler said about a source that it refused."""


def kernel_names(source, defines=()):
    """The kernels that a source defines after its macros, in their order."""
    command = ["-E", "-P", "-DCUDA_SHIM_NAMES"] + ["-D" + each for each in defines] + [source]
    return _KERNEL.findall(_compiler(command))


def build(source, output, defines=(), options=()):
    """Compiles ``source`` (a .cu) into the shared library ``output``; the names of its kernels.

    For each kernel the library exports ``shim_launch_NAME(grid, block, shared, argument addresses)``,
    ``shimx_NAME(grid, block, shared, packed arguments)`` and ``shim_parameters_NAME()``: one letter a parameter.

    Args:
        source, output: paths.
        defines: macros, as "NAME" or "NAME=VALUE".
        options: more of the compiler's, such as ``SANITIZE``.

    Raises:
        CompilerMissing: there is none.
        CompileError: with what it said.
    """
    source = os.path.abspath(source)
    names = kernel_names(source, defines)
    with tempfile.NamedTemporaryFile("w", suffix=".cpp") as file:
        file.write('#include "{}"\n'.format(source))
        file.writelines("CUDA_SHIM_KERNEL({})\n".format(name) for name in names)
        file.flush()
        command = ["-O2", "-g", "-fPIC", "-shared", "-fvisibility=hidden"] + ["-D" + each for each in defines]
        _compiler(command + list(options) + [file.name, "-o", output])
    return names


def sanitizer_libraries():
    """Paths of the sanitizers' libraries, which a process that loads a sanitized library must have loaded first."""
    names = ("libasan.so", "libubsan.so")
    paths = [_run(shlex.split(COMPILER) + ["-print-file-name=" + name]).strip() for name in names]
    if not all(os.path.isabs(path) for path in paths):  # it only repeats the name of what it does not have
        raise CompilerMissing("{} has no address and undefined-behaviour sanitizers".format(COMPILER))
    return [os.path.realpath(path) for path in paths]


def _compiler(arguments):
    return _run(shlex.split(COMPILER) + _OPTIONS + arguments)


def _run(command):
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
        )
    except OSError as error:
        raise CompilerMissing("{}: {}".format(command[0], error.strerror))
    try:
        out, err = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise CompileError("{}: not ready after {} s".format(command[0], _SECONDS))
    if process.returncode:
        raise CompileError(err)
    return out
