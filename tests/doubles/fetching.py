"""Fetches what test doubles are made from, and keeps what was made of it: packages of the index, compiled libraries.

What is fetched has other people's licences: it is fetched when tests run, never committed.
"""

import atexit
import contextlib
import functools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_DOWNLOAD_SECONDS = 300
_LAST_WORDS = 5  # lines: pip's and a compiler's last one alone tells little


class Missing(Exception):
    """Something that a well-equipped machine has is not there: the package index, a compiler, Python's headers."""


class NoWheels(Exception):
    """There are no packages for this kind of machine, whatever is installed on it."""


def skip_or_fail(reason):
    """Ends the test: what is ``Missing`` fails it in CI and skips it elsewhere, ``NoWheels`` always skips it."""
    import pytest  # programs that are no tests use the doubles, too

    if os.environ.get("CI") and isinstance(reason, Missing):
        pytest.fail("{}; in CI that is a failure".format(reason), pytrace=False)
    pytest.skip(str(reason))


def build_folder(name):
    """A folder that is kept between runs: in the checkout's ``build``, or in the folder that CCC_TEST_BUILD names.

    Where neither can be written to, it is a temporary one that this process removes when it ends.
    """
    folder = os.path.join(os.path.abspath(os.environ.get("CCC_TEST_BUILD") or os.path.join(_ROOT, "build")), name)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return _temporary_folder(name)
    return folder if os.access(folder, os.W_OK) else _temporary_folder(name)


@functools.lru_cache(maxsize=None)
def _temporary_folder(name):
    folder = tempfile.mkdtemp(prefix="ccc-{}-".format(name))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextlib.contextmanager
def becoming(path):
    """A new folder that is renamed to ``path`` when the block ends well: another process may be doing the same."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=".", dir=os.path.dirname(path))
    try:
        yield temporary
        os.chmod(temporary, 0o755)  # a temporary folder is its owner's alone
        try:
            os.rename(temporary, path)
        except OSError:
            if not os.path.isdir(path):  # otherwise the other process was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def run(command, what, seconds):
    """Runs a command: its standard output.

    Args:
        command: a list.
        what: the sentence that a failure begins with, such as "x cannot be fetched".
        seconds: the time that it has.

    Raises:
        Missing: it cannot be started, fails or takes too long; with its last words.
    """
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise Missing("{}: {}: {}".format(what, command[0], error.strerror))
    try:
        out, err = (text.decode(errors="replace").strip() for text in process.communicate(timeout=seconds))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Missing("{}: no answer in {} s".format(what, seconds))
    if process.returncode:
        raise Missing("{}: {}".format(what, "\n".join((err or out).splitlines()[-_LAST_WORDS:]) or "no reason given"))
    return out


def need_x86(what):
    """Raises ``NoWheels`` where this is not the kind of machine that ``what`` (a plural) is fetched for."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NoWheels("{} are fetched for x86_64 Linux, this is {}".format(what, platform.machine()))


def download(python, requirement, folder, sources=False):
    """Fetches one package, without those that it needs: the path of its wheel, or of its archive of sources.

    Args:
        python: the interpreter that it is for; its pip chooses the wheel.
        requirement: a pinned one, "name==version".
        folder: where it is put.
        sources: the archive, not a wheel.

    Raises:
        Missing: it cannot be fetched.
    """
    before = set(os.listdir(folder))
    command = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary=:all:" if sources else "--only-binary=:all:"]
    command += ["--retries", "1", "--timeout", "20", "--dest", folder, requirement]
    what = "{} cannot be fetched".format(requirement)
    try:
        # pip looks into sources; with the interpreter's own setuptools it need not fetch others
        said = run(command + (["--no-build-isolation"] if sources else []), what, _DOWNLOAD_SECONDS)
    except Missing:
        if not sources:
            raise
        said = run(command, what, _DOWNLOAD_SECONDS)
    found = sorted(set(os.listdir(folder)) - before)
    if len(found) != 1:
        raise Missing("{}: pip left {}: {}".format(what, found or "nothing", said))
    return os.path.join(folder, found[0])


def unpack_wheel(python, requirement, folder):
    """Fetches a wheel and unpacks it; arguments and errors as for ``download``."""
    wheel = download(python, requirement, folder)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    os.unlink(wheel)
