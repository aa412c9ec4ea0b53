"""Files that are either whole or not there: write to a temporary name, then rename."""

import contextlib
import errno
import hashlib
import os
from typing import Iterator

from ccc_jetson.errors import FileProblem


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Gives a temporary path beside ``path``; renames it to ``path`` when the block ends well, deletes it otherwise.

    The temporary name keeps the suffix (some writers choose the format by it) and the folder (so that the rename is
    atomic). A full disk and the like become a FileProblem.
    """
    path = os.path.abspath(path)
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    temporary = os.path.join(folder, ".{}.{}.part{}".format(stem, os.getpid(), suffix))
    with translated_os_errors(path):
        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o666))
    try:
        with translated_os_errors(path):
            yield temporary
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def translated_os_errors(path: str) -> Iterator[None]:
    """Turns an OSError while writing ``path`` into a FileProblem with its cause and cure."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise FileProblem(
                "{}: no space left on the disk; nothing was written".format(path),
                hint="free some space or choose another folder, then run the same command again",
            )
        if error.errno == errno.ENOENT:
            raise FileProblem("{}: its folder does not exist".format(path), hint="mkdir -p " + os.path.dirname(path))
        raise FileProblem("{}: cannot be written: {}".format(path, error.strerror or error))


def read_bytes(path: str) -> bytes:
    """The whole file.

    Raises:
        FileProblem: it is missing, a folder, or not readable.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise FileProblem("{}: cannot be read: {}".format(path, error.strerror))


def read_text(path: str) -> str:
    """The whole file as UTF-8 text; a FileProblem where it is none."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise FileProblem("{}: is not a text file".format(path))


def write_bytes(path: str, data: bytes) -> None:
    """Writes ``data`` to ``path``, whole or not at all."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_text(path: str, text: str) -> None:
    """Writes UTF-8 text to ``path``, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def sha256_of(path: str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; memory stays flat. A FileProblem where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise FileProblem("{}: cannot be read: {}".format(path, error.strerror))
    return digest.hexdigest()
