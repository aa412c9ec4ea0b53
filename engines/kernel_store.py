"""The runtime's CUDA kernels, compiled: beside the engine, in the user's cache folder, or made now by nvcc.

They are delivered as source and compiled once on a machine that has nvcc, when the engine is built, so that a container
that only runs the engine needs none. The sources are data here: the folder ``runtime/kernels`` beside this package.
"""

import hashlib
import os
import time
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ccc_jetson import __version__
from ccc_jetson.contract import TRANSPOSED_CONV, Head
from ccc_jetson.engines.cache_folder import cache_folder, keep
from ccc_jetson.engines.kernels_file import SUFFIX, CompiledKernels, kernels_path, read_kernels
from ccc_jetson.engines.machine import sm_text
from ccc_jetson.engines.nvcc import OPTIONS, can_load, compile_cubin, find_nvcc
from ccc_jetson.errors import FileProblem
from ccc_jetson.files import read_bytes, write_bytes
from ccc_jetson.progress import say as say_on_stderr

SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "runtime", "kernels")
UNIT = "unit.cu"  # includes the others
_SUFFIXES = (".cu", ".cuh")


class Sources(NamedTuple):
    """CUDA C: files by name, and the SHA-256 of their names and bytes and of the compiler's options."""

    files: Dict[str, bytes]
    sha256: str


class Wanted(NamedTuple):
    """What kernels have to be for an engine: of these sources, for this GPU, CUDA and head; "" is not compared."""

    sources_sha256: str
    sm: str
    cuda: str
    head: Optional[Tuple[int, int]]


class Kernels(NamedTuple):
    """Kernels for this engine and GPU; ``origin`` is the file that they were in, or who compiled them."""

    compiled: CompiledKernels
    origin: str

    @property
    def cubin(self) -> bytes:
        """What the driver loads."""
        return self.compiled.cubin


def read_sources(folder: str = "") -> Sources:
    """The kernels' sources in ``folder``; "" is this version's own.

    Raises:
        FileProblem: they are not there.
    """
    folder = folder or SOURCES
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(_SUFFIXES))
    except OSError:
        names = []
    if UNIT not in names:
        raise FileProblem(
            "{}: the runtime's kernels are not there, so ccc-jetson is not installed completely".format(folder),
            hint="install it again: pip3 install --force-reinstall --no-deps the wheel",
        )
    files = {name: read_bytes(os.path.join(folder, name)) for name in names}
    digest = hashlib.sha256("\0".join(OPTIONS).encode("ascii"))
    for name in names:
        digest.update("\0{}\0{}\0".format(name, len(files[name])).encode("utf-8") + files[name])
    return Sources(files, digest.hexdigest())


def channels_of(head: Optional[Head]) -> Optional[Tuple[int, int]]:
    """Channels (in, out) that the head's kernels are compiled for; None for a head that has none of its own."""
    if head is None or head.kind != TRANSPOSED_CONV:
        return None
    return head.channels_in, head.channels_out


def misfit(found: CompiledKernels, wanted: Wanted) -> str:
    """Why compiled kernels are not those that are wanted; "" where they are. A head that is not needed is harmless."""
    reasons = []
    if wanted.sources_sha256 and found.sources_sha256 != wanted.sources_sha256:
        reasons.append("compiled from other sources than this version's (by {})".format(found.tool))
    if wanted.sm and found.sm != wanted.sm:
        reasons.append("for {}, not {}".format(sm_text(found.sm), sm_text(wanted.sm)))
    if not can_load(wanted.cuda, found.cuda):
        reasons.append("compiled with CUDA {}, newer than this machine's {}".format(found.cuda, wanted.cuda))
    if wanted.head is not None and found.head != wanted.head:
        reasons.append("with {}, not {}".format(head_text(found.head), head_text(wanted.head)))
    return ", ".join(reasons)


def head_text(head: Optional[Tuple[int, int]]) -> str:
    """``the head of 20 -> 20 channels``."""
    return "no head of its own" if head is None else "the head of {} -> {} channels".format(*head)


def kernels_for(
    engine_path: str,
    sm: str,
    cuda: str,
    head: Optional[Head],
    folder: str = "",
    say: Callable[[str], None] = say_on_stderr,
    sources: str = "",
    environ: Mapping[str, str] = os.environ,
) -> Kernels:
    """The kernels of an engine: the file beside it, else one in the cache folder, else compiled now and kept there.

    Args:
        engine_path: the engine.
        sm: the GPU's compute capability, "6.2".
        cuda: the CUDA that will run them, "10.2".
        head: the contract's.
        folder: the cache folder, which need not be there, nor be writable; "" is the user's own.
        say: told in sentences what was passed over and why, and what takes time.
        sources: the folder of the sources; "" is this version's own.
        environ: where nvcc is looked for.

    Raises:
        DependencyMissing: there are none, and no nvcc.
        BackendError: nvcc does not know this GPU.
        BuildError: nvcc failed.
        FileProblem: the sources are missing, or there is no room to compile them.
    """
    given = read_sources(sources)
    wanted = Wanted(given.sha256, sm, cuda, channels_of(head))
    folder = os.path.join(folder or cache_folder(environ), "kernels")
    found = _ready(engine_path, folder, wanted, say)
    if found is not None:
        return found
    nvcc = find_nvcc(cuda, environ)
    say("compiling the runtime's kernels for {} with nvcc {}".format(sm_text(sm), nvcc.version))
    started = time.monotonic()
    cubin = compile_cubin(nvcc, given.files, UNIT, sm, wanted.head, environ)
    seconds = time.monotonic() - started
    say("compiled in {:.1f} s, {:.1f} kB".format(seconds, len(cubin) / 1e3))
    made = CompiledKernels("ccc-jetson " + __version__, given.sha256, sm, nvcc.cuda, wanted.head, cubin)
    problem = keep(os.path.join(folder, _file_name(wanted, nvcc.cuda)), made.to_bytes())
    if problem:
        say("the compiled kernels are not kept in the cache: " + problem)
    return Kernels(made, "compiled by nvcc {} in {:.1f} s".format(nvcc.version, seconds))


def check_kernels(engine_path: str, sm: str, cuda: str, head: Optional[Head]) -> None:
    """Looks whether ``kernels_for`` would find kernels, or a compiler, without compiling any.

    Raises:
        DependencyMissing: there are none, and no nvcc.
    """
    wanted = Wanted(read_sources().sha256, sm, cuda, channels_of(head))
    if _ready(engine_path, os.path.join(cache_folder(), "kernels"), wanted, lambda sentence: None) is None:
        find_nvcc(cuda)


def carry_kernels(
    engine_path: str,
    sm: str,
    cuda: str,
    head: Optional[Head],
    folder: str = "",
    say: Callable[[str], None] = say_on_stderr,
    sources: str = "",
    environ: Mapping[str, str] = os.environ,
) -> Kernels:
    """Sees to it that an engine's kernels lie beside it, whole; arguments and errors as of ``kernels_for``.

    Raises:
        FileProblem: also where they cannot be written there.
    """
    found = kernels_for(engine_path, sm, cuda, head, folder, say, sources, environ)
    path = kernels_path(engine_path)
    if found.origin != path:
        write_bytes(path, found.compiled.to_bytes())
    return found


def _ready(engine_path: str, folder: str, wanted: Wanted, say: Callable[[str], None]) -> Optional[Kernels]:
    """Kernels that need not be compiled: beside the engine, else in the folder."""
    for path in [kernels_path(engine_path)] + _cached(folder, wanted):
        found = _fitting(path, wanted, say)
        if found is not None:
            return Kernels(found, path)
    return None


def _fitting(path: str, wanted: Wanted, say: Callable[[str], None]) -> Optional[CompiledKernels]:
    """The kernels in a file if they are what is wanted; else it is said why they are not."""
    if not os.path.lexists(path):
        return None
    try:
        found = read_kernels(path)
    except FileProblem as problem:
        say("{}; passed over".format(problem))
        return None
    reason = misfit(found, wanted)
    if reason:
        say("{}: {}; passed over".format(path, reason))
        return None
    return found


def _cached(folder: str, wanted: Wanted) -> List[str]:
    """Files of the cache that fit but for their CUDA, perhaps; the newest first, for there may be no nvcc to ask."""
    start = _file_name(wanted, "")
    try:
        names = [name for name in os.listdir(folder) if name.startswith(start) and name.endswith(SUFFIX)]
    except OSError:
        return []
    return [os.path.join(folder, name) for name in sorted(names, key=lambda name: (len(name), name), reverse=True)]


def _file_name(wanted: Wanted, cuda: str) -> str:
    """``5e0c9a1b2d3f4a5b-sm62-head20x20-cuda10.2.kernels``; its start where no CUDA is given."""
    head = "nohead" if wanted.head is None else "head{}x{}".format(*wanted.head)
    start = "{}-sm{}-{}-cuda".format(wanted.sources_sha256[:16], wanted.sm.replace(".", ""), head)
    return start + cuda + SUFFIX if cuda else start
