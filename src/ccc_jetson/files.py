"""Files that are either whole or not there: write to a temporary name, then rename."""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from typing import Any, Iterable, Iterator

from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.signals import uninterrupted

_OURS = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # nothing that somebody else has put there


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Gives a temporary path beside ``path``; renames it to ``path`` when the block ends well, deletes it otherwise.

    The temporary name keeps the suffix (some writers choose the format by it) and the folder (so that the rename is
    atomic): ``.model.part.onnx``. What a process that was killed has left there is taken over by the next one, which
    knows by a lock that nobody writes it. A full disk and the like become a FileProblem.
    """
    path = os.path.realpath(path)  # the target of a link is what is meant, and the link stays
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileProblem("{}: is no ordinary file, so it is not replaced".format(path), hint="choose another name")
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    temporary, claim = os.path.join(folder, ".{}.part{}".format(stem, suffix)), -1
    try:
        with translated_os_errors(path):
            with uninterrupted():
                claim = _claim(temporary)
                if claim < 0:  # somebody writes the same file, or there are no locks here
                    temporary = os.path.join(folder, ".{}.{}.part{}".format(stem, os.getpid(), suffix))
                    claim = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            yield temporary
            os.replace(temporary, path)
    except BaseException:
        if claim >= 0:
            with contextlib.suppress(OSError):  # the first problem is the one to tell
                os.unlink(temporary)
        raise
    finally:
        if claim >= 0:
            os.close(claim)


def _claim(temporary: str) -> int:
    """The new, open, locked file of that name; -1 where it is another's."""
    try:
        try:
            file = os.open(temporary, _OURS | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            _remove_what_was_left(temporary)
            file = os.open(temporary, _OURS | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError:  # it is somebody's, or a link or a pipe; on a full disk the other name fails, too
        return -1
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # whoever took it for left behind
        os.close(file)
        return -1
    except OSError:  # there are no locks here
        return file
    if not _is_named(file, temporary):
        os.close(file)
        return -1
    return file


def _remove_what_was_left(temporary: str) -> None:
    """Removes the file of a process of this user's that was killed; one of another user's may be a trap.

    It is not written into: its mode, too, need not be what a new file gets.
    """
    file = os.open(temporary, _OURS)
    try:
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == os.geteuid():
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_named(file, temporary):  # whoever wrote it may have renamed it since it was opened
                os.unlink(temporary)
    finally:
        os.close(file)


def _is_named(file: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def beside(path: str, suffix: str) -> str:
    """``model.engine`` -> ``model.engine.json``; beside the file itself where the path is a link."""
    return (os.path.realpath(path) if os.path.islink(path) else path) + suffix


def check_output(path: str, inputs: Iterable[str], option: str = "") -> None:
    """Refuses an output before the work begins: no such folder, not writable, a folder, or one of the inputs.

    Raises:
        UsageError: with what is wrong and what to do.
    """
    name, real = (option + " " + path).strip(), os.path.realpath(path)
    folder = os.path.dirname(real)
    if os.path.isdir(real):
        raise UsageError("{}: is a folder, a file is needed".format(name))
    if os.path.exists(real) and not os.path.isfile(real):
        raise UsageError("{}: is no ordinary file".format(name), hint="choose another name")
    if not os.path.isdir(folder):
        raise UsageError("{}: its folder does not exist".format(name), hint="mkdir -p " + folder)
    if not os.access(folder, os.W_OK):
        raise UsageError("{}: no permission to write there".format(name), hint="choose another folder")
    if any(os.path.realpath(given) == real for given in inputs):
        raise UsageError(
            "{}: is another file of this command, which it would overwrite".format(name), hint="choose another name"
        )


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


def path_of(name: str, value: Any) -> str:
    """The path that a caller has given for ``name``.

    Raises:
        UsageError: it is neither text nor a ``pathlib.Path``, or no file can be called so.
    """
    try:
        path = os.fspath(value)
    except TypeError:
        path = None
    if not isinstance(path, str):
        raise UsageError("{}: {!r} is neither text nor a path".format(name, value))
    if "\0" in path:
        raise UsageError("{}: {}: no file has such a name".format(name, path))
    return path


def check_ordinary(path: str) -> None:
    """Refuses what is not to be opened for reading: a pipe, which would be waited for without end, a device, which may
    have no end, and a name that no file can have; a FileProblem. What is missing is told by whoever opens it."""
    try:
        mode = os.stat(path).st_mode
    except ValueError:  # a zero byte, or half a surrogate pair
        raise FileProblem("{}: no file has such a name".format(path))
    except OSError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise FileProblem("{}: is no ordinary file".format(path), hint="give the file itself, not a pipe or a device")


def read_bytes(path: str) -> bytes:
    """The whole file.

    Raises:
        FileProblem: it is missing, a folder, a pipe, or not readable.
    """
    check_ordinary(path)
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
    check_ordinary(path)
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise FileProblem("{}: cannot be read: {}".format(path, error.strerror))
    return digest.hexdigest()
