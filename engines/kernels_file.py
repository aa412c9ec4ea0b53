"""The file of compiled CUDA kernels, ``model.engine.kernels``: a line that names the format, a line of JSON that says
what was compiled for which GPU, then the cubin as nvcc wrote it."""

import hashlib
import json
import os
import re
from typing import Any, Dict, NamedTuple, Optional, Tuple

from ccc_jetson.errors import FileProblem
from ccc_jetson.files import beside
from ccc_jetson.json_records import JsonReader

FORMAT = 1
SUFFIX = ".kernels"
MAGIC = b"CCC-JETSON KERNELS\n"
BUILD_AGAIN = "delete it, and run ccc-build-engine again where nvcc is"
_MOST_HEADER_BYTES = 4096
_MOST_BYTES = 1 << 26  # ours take some hundred kB
_MOST_CHANNELS = 4096
_LONGEST_TOOL = 100
_SM = re.compile(r"[1-9][0-9]?\.[0-9]\Z")
_CUDA = re.compile(r"[1-9][0-9]?\.[0-9]{1,2}\Z")
_FIELDS = ("format", "tool", "sources_sha256", "sm", "cuda", "head", "cubin_bytes", "cubin_sha256")


class CompiledKernels(NamedTuple):
    """Kernels that are ready for a GPU.

    Attributes:
        tool: who compiled them: "ccc-jetson 0.1.0".
        sources_sha256: of the sources and the compiler's options.
        sm: the compute capability that they run on: "6.2".
        cuda: nvcc's CUDA: "10.2".
        head: channels (in, out) of the transposed convolution among them, None without one.
        cubin: what the driver loads.
    """

    tool: str
    sources_sha256: str
    sm: str
    cuda: str
    head: Optional[Tuple[int, int]]
    cubin: bytes

    def to_bytes(self) -> bytes:
        """The file; the same kernels always give the same bytes."""
        header = json.dumps(self.to_record(), sort_keys=True, separators=(",", ":"))
        return MAGIC + header.encode("ascii") + b"\n" + self.cubin

    def to_record(self) -> Dict[str, Any]:
        """The header: everything but the cubin's own bytes."""
        return {
            "format": FORMAT,
            "tool": self.tool,
            "sources_sha256": self.sources_sha256,
            "sm": self.sm,
            "cuda": self.cuda,
            "head": None if self.head is None else list(self.head),
            "cubin_bytes": len(self.cubin),
            "cubin_sha256": hashlib.sha256(self.cubin).hexdigest(),
        }


def kernels_path(engine_path: str) -> str:
    """``model.engine`` -> ``model.engine.kernels``; beside the engine itself where the path is a link."""
    return beside(engine_path, SUFFIX)


def read_kernels(path: str) -> CompiledKernels:
    """Reads and validates; no more is read than kernels can have.

    Raises:
        FileProblem: it is missing, no such file, damaged, or of another format.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for without end
            raise FileProblem("{}: is no ordinary file".format(path))
        with open(path, "rb") as file:
            # as many as there are: Python asks for memory before it reads
            data = file.read(min(os.fstat(file.fileno()).st_size, _MOST_BYTES) + 1)
    except OSError as error:
        raise FileProblem("{}: cannot be read: {}".format(path, error.strerror or error))
    if len(data) > _MOST_BYTES:
        raise FileProblem("{}: has more than {:,} bytes, which no kernels have".format(path, _MOST_BYTES))
    return parse_kernels(data, path)


def parse_kernels(data: bytes, origin: str) -> CompiledKernels:
    """As ``read_kernels``, of bytes; ``origin`` names the file in messages."""
    if not data.startswith(MAGIC):
        raise FileProblem("{}: is no file of compiled kernels".format(origin), hint=BUILD_AGAIN)
    read = JsonReader(origin, "the kernels' header", BUILD_AGAIN, FileProblem)
    end = data.find(b"\n", len(MAGIC), len(MAGIC) + _MOST_HEADER_BYTES)
    if end < 0:
        read.damaged("it has no end within {} bytes".format(_MOST_HEADER_BYTES))
    record = read.parse(data[len(MAGIC) : end])
    read.version(record, "format", FORMAT)
    record = read.object(record, "", _FIELDS)
    cubin = data[end + 1 :]
    found = CompiledKernels(
        tool=_matching(read, record, "tool", re.compile(r"[ -~]{{1,{}}}\Z".format(_LONGEST_TOOL)), "a short text"),
        sources_sha256=read.sha256(record["sources_sha256"], "sources_sha256"),
        sm=_matching(read, record, "sm", _SM, "a compute capability, as 6.2"),
        cuda=_matching(read, record, "cuda", _CUDA, "a version of CUDA, as 10.2"),
        head=_head(read, record["head"]),
        cubin=cubin,
    )
    size = read.integer(record["cubin_bytes"], "cubin_bytes", 1, _MOST_BYTES)
    sha256 = read.sha256(record["cubin_sha256"], "cubin_sha256")
    if size != len(cubin) or sha256 != hashlib.sha256(cubin).hexdigest():
        raise FileProblem(
            "{}: the kernels are damaged: their header says {:,} bytes with SHA-256 {}, {:,} others are there".format(
                origin, size, sha256, len(cubin)
            ),
            hint=BUILD_AGAIN,
        )
    return found


def _matching(read: JsonReader, record: Dict[str, Any], field: str, pattern: Any, expected: str) -> str:
    text = read.text(record[field], field)
    if not pattern.match(text):
        read.fail(field, expected, text)
    return text


def _head(read: JsonReader, value: Any) -> Optional[Tuple[int, int]]:
    if value is None:
        return None
    channels = read.each(value, "head", lambda item, field: read.integer(item, field, 1, _MOST_CHANNELS))
    if len(channels) != 2:
        read.fail("head", "null, or channels in and out", value)
    return channels[0], channels[1]
