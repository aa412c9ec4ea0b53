"""The record of a parser that is fuzzed, and the place where those that read files find them."""

import atexit
import os
import shutil
import tempfile
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

_folder = []  # type: List[str]


class Target(NamedTuple):
    """``seeds`` are made on the first use; ``form`` is how inputs are changed (``mutation.mutated``); ``modules`` are
    those whose lines count, as files below the repository; ``write`` is the parser's inverse where there is one."""

    name: str
    parse: Callable[[bytes], Any]
    seeds: Callable[[], List[bytes]]
    modules: Tuple[str, ...]
    form: str = "bytes"
    write: Optional[Callable[[Any], bytes]] = None


def place(name):
    """A path in a folder of this process, in memory where the system has such a place."""
    if not _folder:
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        _folder.append(tempfile.mkdtemp(prefix="ccc-fuzz.", dir=base))
        atexit.register(shutil.rmtree, _folder[0], True)
    return os.path.join(_folder[0], name)


def written(name, data):
    """The path of a file of that name with these bytes."""
    path = place(name)
    with open(path, "wb") as file:
        file.write(data)
    return path
