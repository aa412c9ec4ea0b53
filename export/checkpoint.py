"""Loading trained weights without executing anything that stands in the file.

PyTorch's restricted unpickler (``weights_only=True``) rebuilds tensors and containers; beyond that only the names in
``HARMLESS`` are admitted, and nothing is built of them. Everything else is refused by name.
"""

import io
import os
import pickle
import pickletools
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import IO, NamedTuple

import torch
from torch import Tensor

from ccc_jetson.clean_text import clean, listed
from ccc_jetson.errors import CheckpointError, FileProblem
from ccc_jetson.file_kinds import SIGNATURES
from ccc_jetson.files import check_ordinary, sha256_of

_DEEPEST = 4  # wrappers in wrappers
# Weights take so many times the file's bytes at most, or so many bytes; PyTorch compresses nothing
_MOST_UNPACKED, _LEAST_UNPACKED = 32, 1 << 20
_SHOWN = 20  # names in a message
# A damaged archive makes ``zipfile`` raise any of these
_ZIP_ERRORS = (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError, zlib.error)
_NUMBERS = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bfloat16", "float16", "float32",
    "float64",
)  # fmt: skip
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
PREFIXES = ("module.", "_orig_mod.")  # DataParallel, torch.compile


class _Inert:
    """Stands for a harmless class while unpickling: takes whatever the file gives it and does nothing.

    The real ones would not do: numpy's own constructors, called with arguments of the file's choice, can be made to
    read memory that is none of theirs.
    """

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


# Plain data that training scripts store beside the weights. numpy's names differ between 1.x and 2.x.
HARMLESS = (
    "argparse.Namespace",
    "pathlib.PosixPath",
    "pathlib._local.PosixPath",
    "numpy.dtype",
    "numpy.ndarray",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
)


class Checkpoint(NamedTuple):
    """Weights as plain tensors on the CPU, by their names without wrappers' prefixes."""

    path: str
    sha256: str
    state: dict[str, Tensor]


def load_checkpoint(path: str) -> Checkpoint:
    """Loads ``.pth``/``.pt`` of old and new PyTorch formats, or ``.safetensors``.

    Raises:
        FileProblem: the file is missing or unreadable.
        CheckpointError: it is damaged, something else, wants to run code, or holds no state dict.
    """
    check_ordinary(path)
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise FileProblem(f"{path}: cannot be read: {error.strerror}") from None
    if path.endswith(".safetensors") or start[8:9] == b"{":  # an 8-byte length, then JSON
        return Checkpoint(path, sha256_of(path), _plain_state(path, _load_safetensors(path)))
    _refuse_other_formats(path, start)
    return Checkpoint(path, sha256_of(path), _plain_state(path, _load_pickle(path, start.startswith(b"PK\x03\x04"))))


def _refuse_other_formats(path: str, start: bytes) -> None:
    try:
        entries = None
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
    except _ZIP_ERRORS as error:
        raise _damaged(path, error) from None
    if entries is not None:
        if any(entry.filename.endswith("/constants.pkl") for entry in entries):
            raise CheckpointError(
                f"{path}: is a TorchScript archive, which is a program", hint="save model.state_dict() instead"
            )
        _check_unpacked(path, sum(entry.file_size for entry in entries), "copy or download it again")
    if not start:
        raise CheckpointError(f"{path}: is empty", hint="copy or download it again")
    for signature, what in SIGNATURES:
        if start.startswith(signature):
            raise CheckpointError(f"{path}: is no PyTorch checkpoint but {what}")


def _check_unpacked(path: str, unpacked: int, hint: str) -> None:
    """Refuses what would fill the memory: compressed nothings, and views that repeat a number without end."""
    size = os.path.getsize(path)
    if unpacked > max(_MOST_UNPACKED * size, _LEAST_UNPACKED):
        raise CheckpointError(f"{path}: has {size:,} bytes and claims {unpacked:,} of weights", hint=hint)


def _load_safetensors(path: str) -> Mapping:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device="cpu")
    except SafetensorError as error:
        raise CheckpointError(f"{path}: damaged safetensors file: {error}", hint="copy or download it again") from None
    except (AttributeError, KeyError, TypeError) as error:  # a type of numbers that this PyTorch does not have
        raise CheckpointError(f"{path}: holds what this PyTorch cannot read: {error}") from None


class _Bounded(io.BufferedReader):
    """A file that is asked for no more than it has left: Python takes the memory for a text before it reads it, and in
    the old format, where pickles follow each other, a text's length is whatever the file says."""

    def __init__(self, path: str) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.path.getsize(path)

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size if size is None or size < 0 else min(size, max(0, self._size - self.tell())))


def _load_pickle(path: str, is_archive: bool) -> object:
    try:
        with torch.serialization.safe_globals([(_Inert, name) for name in HARMLESS]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols: what cannot be read is refused below
            if is_archive:
                return torch.load(path, map_location="cpu", weights_only=True)
            with _Bounded(path) as file:
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        names = _refused_names(path, str(error))
        if names:
            raise CheckpointError(
                f"{path}: refused, because loading it would run code from the file: it asks for {_shown(names)}",
                hint="where it was trained: torch.save(model.state_dict(), 'weights.pth'), or save as .safetensors",
            ) from None
        raise _damaged(path, error) from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can make the unpickler raise almost anything
        raise _damaged(path, error) from None


def _damaged(path: str, error: Exception) -> CheckpointError:
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return CheckpointError(
        f"{path}: is no PyTorch checkpoint, or a truncated or damaged one ({clean(reason[0].split('. ')[0])[:200]})",
        hint="copy or download it again and compare its size with the original's",
    )


def _refused_names(path: str, message: str) -> list[str]:
    """What a refused file asks for: the name in PyTorch's message, and all others in its pickles that are not data.

    A name counts only if it stands there in full: a truncated file ends in the middle of one.
    """
    blamed = re.findall(r"GLOBAL ([\w.]+)", message) + re.findall(r"(?:class|type|module) (\w+(?:\.\w+)+)", message)
    names = dict.fromkeys(_names_in_pickles(path))
    return [
        name
        for name in names
        if name in blamed or not (name in HARMLESS or name.startswith(("torch.", "collections.")))
    ]


def _names_in_pickles(path: str) -> list[str]:
    """``module.name`` of every global in a checkpoint's pickles, read from the opcodes; nothing is executed."""
    names: list[str] = []
    for stream in _pickle_streams(path):
        strings: list[str] = []
        memo: list[str] = []
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name in ("GLOBAL", "INST"):
                    names.append(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":  # module and name were pushed before it, or fetched from the memo
                    names.append(".".join(strings[-2:]))
                elif opcode.name == "MEMOIZE":
                    memo.append(strings[-1] if strings else "")
                elif opcode.name in ("BINGET", "LONG_BINGET") and isinstance(argument, int) and argument < len(memo):
                    strings.append(memo[argument])
                elif isinstance(argument, str):
                    strings.append(argument)
        except ValueError:  # the end of the pickles, or damage behind what was already found
            continue
    return names


def _pickle_streams(path: str) -> list[IO[bytes]]:
    """The pickles of a checkpoint: ``data.pkl`` of the zip format, or those at the start of the old one."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return [io.BytesIO(archive.read(name)) for name in archive.namelist() if name.endswith("/data.pkl")]
    except _ZIP_ERRORS:
        return []
    with open(path, "rb") as file:
        stream = io.BytesIO(file.read())
    return [stream] * 5  # magic number, protocol, system, object, storage keys: one after the other in one stream


def _plain_state(path: str, content: object) -> dict[str, Tensor]:
    """The state dict inside the usual wrappers, with the usual prefixes taken off."""
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        content = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: holds a {type(content).__name__}, expected a state dict",
            hint="torch.save(model.state_dict(), 'weights.pth')",
        )
    state = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not state or len(state) < len(content):
        others = sorted(str(key) for key in content if key not in state)
        raise CheckpointError(
            f"{path}: holds no plain state dict; these entries are no tensors: {_shown(others) or '(it is empty)'}",
            hint=f"the weights are looked for in the file itself and under the keys {', '.join(WRAPPERS)}",
        )
    unfit = [key for key, tensor in state.items() if not _is_plain(tensor)]
    if unfit:
        raise CheckpointError(f"{path}: these weights are no dense, real numbers in memory: {_shown(unfit)}")
    # What several names share is counted and looked at once, however many they are
    views = {_view(tensor): tensor.detach() for tensor in state.values()}
    unpacked = sum(tensor.numel() * tensor.element_size() for tensor in views.values())
    _check_unpacked(path, unpacked, "an expanded tensor takes its full size here: save its clone(), not the view")
    finite = {view: bool(torch.isfinite(tensor).all()) for view, tensor in views.items()}
    endless = [key for key, tensor in state.items() if not finite[_view(tensor)]]
    state = {key: views[_view(tensor)] for key, tensor in state.items()}
    if endless:
        raise CheckpointError(
            f"{path}: these weights hold NaN or infinity: {_shown(endless)}",
            hint="the training went wrong; export an earlier checkpoint",
        )
    for prefix in PREFIXES * 2:  # either may stand outside the other
        if all(key.startswith(prefix) for key in state):
            state = {key[len(prefix) :]: value for key, value in state.items()}
    return state


def _view(tensor: Tensor) -> tuple[int, torch.dtype, torch.Size, tuple[int, ...]]:
    """The same for all names of one view of a storage."""
    return tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()


def _is_plain(tensor: Tensor) -> bool:
    dense = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_nested
    return dense and str(tensor.dtype).removeprefix("torch.") in _NUMBERS  # not quantised, complex, or of 8 bits


def _shown(names: Iterable[str]) -> str:
    return listed(list(names), _SHOWN)
