"""A report that was saved as JSON, before anyone looks into it."""

import os

from ccc_jetson.errors import FileProblem
from ccc_jetson.files import read_text

_MOST_BYTES = 64 << 20  # a hundred models with all their samples have less


def read_saved(path: str) -> str:
    """The text of the report at ``path``.

    Raises:
        FileProblem: it cannot be read, is no text, or is too large for a report.
    """
    if os.path.isfile(path) and os.path.getsize(path) > _MOST_BYTES:
        raise FileProblem("{}: has more than {} MB, as no report does".format(path, _MOST_BYTES >> 20))
    return read_text(path)
