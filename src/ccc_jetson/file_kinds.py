"""What a file is, told from its first bytes; its name counts only where the bytes say nothing."""

import os
import struct
import zipfile
from typing import Tuple

from ccc_jetson.errors import FileProblem
from ccc_jetson.files import check_ordinary

CHECKPOINT, ONNX, ENGINE, CALIBRATION = "checkpoint", "ONNX file", "TensorRT engine", "calibration cache"

# What people hand over by mistake
SIGNATURES = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself (git lfs pull fetches it)"),
    (b"<", "a web page or XML (when downloading from GitHub, take the raw file)"),
    (b"\x1f\x8b", "a gzip archive (unpack it first)"),
    (b"\x89HDF", "an HDF5 file"),
)
_ENGINE_STARTS = (b"ftrt", b"ptrt")
_CALIBRATION_START = b"TRT-"  # TRT-8201-EntropyCalibration2
_ONNX_START = 0x08  # the key of ir_version, which every writer puts first
_CHECKPOINT_NAMES = (".pth", ".pt", ".ckpt", ".safetensors")
_ENGINE_NAMES = (".engine", ".plan", ".trt")
_COPY_AGAIN = "copy or download it again and compare its size with the original's"


def kind_of(path: str) -> str:
    """``CHECKPOINT``, ``ONNX``, ``ENGINE`` or ``CALIBRATION``; ONNX where nothing speaks against it.

    Raises:
        FileProblem: the file is missing, empty, or something else that is known.
    """
    start, size = _start(path)
    if not start:
        raise FileProblem("{}: is empty".format(path), hint=_COPY_AGAIN)
    suffix = os.path.splitext(path)[1].lower()
    if start.startswith(_ENGINE_STARTS) or suffix in _ENGINE_NAMES:
        return ENGINE
    if start.startswith(_CALIBRATION_START):
        return CALIBRATION
    if start.startswith(b"PK\x03\x04"):
        return _kind_of_archive(path, suffix)
    if start[0] == _ONNX_START:
        return ONNX
    is_pickle = start[0] == 0x80 and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    if is_pickle or _is_safetensors(start, size) or suffix in _CHECKPOINT_NAMES:
        return CHECKPOINT
    for signature, what in SIGNATURES:
        if start.lstrip().startswith(signature):
            raise FileProblem("{}: is neither a checkpoint nor an ONNX file but {}".format(path, what))
    return ONNX


def _start(path: str) -> Tuple[bytes, int]:
    check_ordinary(path)
    try:
        with open(path, "rb") as file:
            return file.read(64), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise FileProblem("{}: cannot be read: {}".format(path, error.strerror))


def _is_safetensors(start: bytes, size: int) -> bool:
    """The length of a JSON header in eight bytes, then the header."""
    return start[8:9] == b"{" and struct.unpack("<Q", start[:8])[0] < size


def _kind_of_archive(path: str, suffix: str) -> str:
    """A checkpoint of today's PyTorch is a zip archive with a pickle in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise FileProblem("{}: is a damaged or truncated zip archive ({})".format(path, error), hint=_COPY_AGAIN)
    if suffix in _CHECKPOINT_NAMES or any(name.endswith((".pkl", "/data.pkl")) for name in names):
        return CHECKPOINT
    raise FileProblem(
        "{}: is a zip archive, but no PyTorch checkpoint: it holds {}{}".format(
            path,
            repr(names[0]) if names else "nothing",
            " and {} more".format(len(names) - 1) if len(names) > 1 else "",
        ),
        hint="unpack it, and inspect what is in it",
    )
