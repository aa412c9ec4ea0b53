"""NVIDIA's compiler, which makes a cubin (code for one kind of GPU) of CUDA C: where it is, and how it fails."""

import contextlib
import glob
import os
import re
import signal
import struct
import tempfile
from typing import Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

from ccc_jetson.child import run_child
from ccc_jetson.clean_text import clean
from ccc_jetson.engines.preflight import END_DESKTOP
from ccc_jetson.errors import BackendError, BuildError, CccError, DependencyMissing, FileProblem
from ccc_jetson.files import write_bytes

OPTIONS = ("-std=c++14", "-O3")  # C++14 is the most that nvcc 10.2 takes
PREFIX = "/usr/local"  # where NVIDIA's packages put CUDA, on a board as on a PC
_OUTPUT = "kernels.cubin"
_ANSWER_S = 60.0  # for its version; a board that swaps is slow
_COMPILE_S = 900.0
_TAIL = 12  # lines of what it printed
_ELF_BYTES = 64
_FIRST_COMPATIBLE_MAJOR = 11

# Cuda compilation tools, release 10.2, V10.2.300
_RELEASE = re.compile(r"\brelease ([0-9]{1,2}\.[0-9]{1,2}), V([0-9]{1,2}(?:\.[0-9]{1,4}){1,3})(?![0-9.])")
# nvcc fatal   : Unsupported gpu architecture 'sm_62'
# nvcc fatal   : Value 'sm_87' is not defined for option 'gpu-architecture'
_WRONG_SM = re.compile(r"Unsupported gpu architecture|is not defined for option 'gpu-architecture'")
# nvcc error   : 'cicc' died due to signal 9 (Kill signal)
# gcc: fatal error: Killed signal terminated program cc1plus
_KILLED = re.compile(r"died due to signal 9\b|Killed signal terminated")
# gcc: No such file or directory                        (then: nvcc fatal   : Failed to preprocess host compiler ...)
# sh: 1: gcc: not found
# gcc: error trying to exec 'cc1plus': execvp: No such file or directory
_NO_HOST_COMPILER = re.compile(r"\b(?:gcc|g\+\+|cc1plus)\b.*(?:No such file or directory|not found)")


class Nvcc(NamedTuple):
    """A compiler that works: its file, the CUDA that it belongs to ("10.2"), and its own version ("10.2.300")."""

    path: str
    cuda: str
    version: str


def can_load(running: str, compiled: str) -> bool:
    """Whether the driver of CUDA ``running`` takes a cubin that the nvcc of CUDA ``compiled`` made for its GPU.

    Of an older CUDA it always does. Of a newer one it is to be relied on within a major release alone, from 11 on
    (NVIDIA, CUDA Compatibility: minor version compatibility). What is not known ("") is not held against it.
    """
    if not running or not compiled:
        return True
    here, there = _numbers(running), _numbers(compiled)
    return there <= here or (there[0] == here[0] and here[0] >= _FIRST_COMPATIBLE_MAJOR)


def find_nvcc(cuda: str = "", environ: Mapping[str, str] = os.environ) -> Nvcc:
    """The first nvcc that answers and is not too new: in $CUDA_HOME, on PATH, else where NVIDIA's packages put it.

    On a Jetson PATH lacks it, and sudo drops the PATH that has it.

    Args:
        cuda: the CUDA that is to run what it compiles; "" takes any.
        environ: the process's own environment by default.

    Raises:
        DependencyMissing: there is none; with every one that was passed over, and how to get one.
    """
    passed_over = []
    for path in _candidates(environ):
        found = _asked(path, environ)
        if isinstance(found, Nvcc) and can_load(cuda, found.cuda):
            return found
        if isinstance(found, Nvcc):
            reason = "is of CUDA {}, newer than this machine's {}, which may refuse what it compiles"
            found = reason.format(found.cuda, cuda)
        passed_over.append("\n  {} {}".format(path, found))
    listed = ":" + "".join(passed_over) if passed_over else ": not in $CUDA_HOME, on PATH or in " + PREFIX
    raise DependencyMissing("no nvcc that compiles for this machine" + listed, hint=_how_to_get(cuda))


def compile_cubin(
    nvcc: Nvcc,
    sources: Mapping[str, bytes],
    unit: str,
    sm: str,
    head: Optional[Tuple[int, int]],
    environ: Mapping[str, str] = os.environ,
) -> bytes:
    """The cubin of a translation unit.

    Args:
        nvcc: the compiler.
        sources: files by name, the unit and what it includes.
        unit: the name of the one that is compiled.
        sm: the GPU's compute capability, "6.2".
        head: channels (in, out) of the transposed convolution that is compiled in; None leaves it out.
        environ: nvcc's environment.

    Raises:
        BackendError: this nvcc does not know the GPU.
        BuildError: it failed, was killed, or did not end.
        FileProblem: there is no room for its files.
    """
    command = [nvcc.path, "-cubin", "-arch=sm_" + sm.replace(".", "")] + list(OPTIONS)
    if head is not None:
        command += ["-DCCC_HEAD_CI={}".format(head[0]), "-DCCC_HEAD_CO={}".format(head[1])]
    with _temporary_folder() as folder:
        for name, data in sources.items():
            write_bytes(os.path.join(folder, name), data)
        # its own temporary files, too, are to go when it is killed
        variables = dict(environ, TMPDIR=folder, LC_ALL="C")
        answer = run_child(command + ["-o", _OUTPUT, unit], _COMPILE_S, variables, folder, together=True)
        if answer.refused:
            raise BuildError("{}: cannot be started: {}".format(nvcc.path, answer.refused))
        if answer.code is None:
            raise BuildError(
                "nvcc {} was not done after {:.0f} s, and was ended".format(nvcc.version, _COMPILE_S),
                hint="where memory is short everything takes long: " + END_DESKTOP,
            )
        if answer.code:
            raise _failure(nvcc, sm, answer.code, answer.out, folder)
        cubin = _read(os.path.join(folder, _OUTPUT))
    if not _is_whole_elf(cubin):
        raise BuildError(
            "nvcc {} reported success and wrote no whole cubin ({:,} bytes)".format(nvcc.version, len(cubin)),
            hint="is the disk of {} full? export TMPDIR=FOLDER names another".format(os.path.dirname(folder)),
        )
    return cubin


def _candidates(environ: Mapping[str, str]) -> List[str]:
    folders = [os.path.join(environ["CUDA_HOME"], "bin")] if environ.get("CUDA_HOME") else []
    folders += environ.get("PATH", "").split(os.pathsep)
    folders.append(os.path.join(PREFIX, "cuda", "bin"))
    numbered = glob.glob(os.path.join(glob.escape(PREFIX), "cuda-[0-9]*", "bin"))
    folders += sorted(numbered, key=lambda path: _numbers(path.rsplit("cuda-", 1)[1]), reverse=True)
    found: List[str] = []
    for folder in folders:
        path = os.path.join(folder, "nvcc")
        # a relative folder is somebody's working directory, which may hold anything
        if os.path.isabs(path) and os.path.isfile(path) and os.access(path, os.X_OK):
            found += [path] * (not any(os.path.samefile(path, other) for other in found))
    return found


def _asked(path: str, environ: Mapping[str, str]) -> Union[Nvcc, str]:
    """What ``nvcc --version`` says, or why that is no answer."""
    answer = run_child([path, "--version"], _ANSWER_S, dict(environ, LC_ALL="C"), together=True)
    if answer.refused:  # in a container without the NVIDIA runtime it may be an empty file
        return "cannot be started: {}".format(answer.refused)
    if answer.code is None:
        return "did not answer within {:.0f} s".format(_ANSWER_S)
    release = _RELEASE.search(answer.out)
    if answer.code or release is None:
        return "is no nvcc: --version ends with code {}{}".format(answer.code, _quoted(answer.out, 1))
    return Nvcc(path, release.group(1), release.group(2))


@contextlib.contextmanager
def _temporary_folder() -> Iterator[str]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="ccc-kernels.")
    except OSError as error:
        raise FileProblem(
            "no folder for nvcc's temporary files: {}".format(error.strerror or error),
            hint="free some space, or export TMPDIR=FOLDER",
        )
    with folder:
        yield folder.name


def _failure(nvcc: Nvcc, sm: str, code: int, printed: str, folder: str) -> CccError:
    said = _quoted(printed.replace(folder + os.sep, ""), _TAIL)
    if _WRONG_SM.search(printed):
        return BackendError(
            "{}: nvcc {} does not compile for sm_{}{}".format(nvcc.path, nvcc.version, sm.replace(".", ""), said),
            hint="sm_53 and sm_62 need a CUDA up to 12, sm_87 one from 11.4 on; CUDA_HOME=FOLDER chooses the nvcc",
        )
    if code == -signal.SIGKILL or _KILLED.search(printed):
        return BuildError(
            "nvcc was killed: on a board that is the kernel's way to say that memory has run out",
            hint="close other programs and the desktop ({})".format(END_DESKTOP),
        )
    if "No space left on device" in printed:
        return FileProblem(
            "{}: no space left on the disk for nvcc's temporary files".format(os.path.dirname(folder)),
            hint="free some space there, or export TMPDIR=FOLDER on another disk",
        )
    hint = "report it with this text"
    if _NO_HOST_COMPILER.search(printed):
        hint = "nvcc needs the system's compiler: sudo apt install build-essential"
    return BuildError("nvcc {} ended with code {}; it printed last:{}".format(nvcc.version, code, said), hint=hint)


def _how_to_get(cuda: str) -> str:
    return (
        "JetPack: sudo apt install cuda-nvcc-{}; export PATH={}/cuda/bin:$PATH. In a container of JetPack 4: docker "
        "run --runtime nvidia -e NVIDIA_REQUIRE_JETPACK=csv-mounts=all. Or run ccc-build-engine where nvcc is, and "
        "copy MODEL.engine.kernels beside the engine"
    ).format((cuda or "10.2").replace(".", "-"), PREFIX)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # it was not written at all
        return b""


def _is_whole_elf(data: bytes) -> bool:
    """Whether an ELF file of 64 bits reaches to the end of its tables; a disk that is full cuts them off (ELF-64)."""
    if len(data) < _ELF_BYTES or not data.startswith(b"\x7fELF\x02\x01"):
        return False
    tables = struct.unpack_from("<QQ", data, 32)  # program headers, section headers
    sizes = struct.unpack_from("<HHHH", data, 54)  # bytes of an entry and their number, of the one, then of the other
    return all(start + sizes[2 * i] * sizes[2 * i + 1] <= len(data) for i, start in enumerate(tables))


def _quoted(printed: str, lines: int) -> str:
    """The last lines of what a program printed, each on a line of its own."""
    found = [clean(line) for line in printed.splitlines() if line.strip()]
    return "".join("\n  " + line for line in found[-lines:])


def _numbers(version: str) -> Tuple[int, ...]:
    """``10.2`` -> (10, 2)."""
    return tuple(int(part) for part in re.findall("[0-9]+", version))
