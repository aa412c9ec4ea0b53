"""The user's folder for what was once timed or compiled and need not be again; it is never needed, only useful."""

import os
from typing import Mapping

from ccc_jetson.errors import FileProblem
from ccc_jetson.files import write_bytes

FOLDER_VARIABLE = "CCC_JETSON_CACHE"


def cache_folder(environ: Mapping[str, str] = os.environ) -> str:
    """``$CCC_JETSON_CACHE``, else ``ccc-jetson`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``; it need not be there."""
    given = environ.get(FOLDER_VARIABLE)
    if given:
        return os.path.abspath(given)
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # the XDG specification: a relative path is to be ignored
        home = environ.get("HOME") or os.path.expanduser("~")
        # a container's user may have no home at all; a folder called "~" is never meant
        base = os.path.join(home if os.path.isabs(home) else os.sep, ".cache")
    return os.path.join(base, "ccc-jetson")


def keep(path: str, data: bytes) -> str:
    """Makes the file's folder and writes it, whole or not at all; returns what kept it from that, "" for nothing."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        write_bytes(path, data)
    except FileProblem as problem:
        return str(problem)
    except OSError as error:
        return "{}: cannot be made: {}".format(folder, error.strerror or error)
    return ""
