"""Which formats a report has; its file's suffix decides. Imports nothing heavy: commands ask before they start."""

import os
from typing import Iterable, List, Sequence

from ccc_jetson.errors import UsageError
from ccc_jetson.files import check_output

JSON, HTML, MARKDOWN = "json", "html", "markdown"
_FORMATS = {".json": JSON, ".html": HTML, ".htm": HTML, ".md": MARKDOWN}
METAVAR = "FILE.json|html|md"
HELP = "everything that was measured; the suffix decides; may be given several times"


def format_of(path: str, option: str = "--report") -> str:
    """The format of the report at ``path``.

    Raises:
        UsageError: the suffix is none of those that there are.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _FORMATS:
        raise UsageError(
            "{}: no report has the suffix {!r}".format((option + " " + path).strip(), suffix),
            hint=".json for machines and ccc-bench compare, .html to look at, .md to paste into an issue",
        )
    return _FORMATS[suffix]


def check_reports(paths: Sequence[str], inputs: Iterable[str], option: str = "--report") -> None:
    """Refuses reports that could not be written at the end, or would overwrite something.

    Raises:
        UsageError: as ``format_of`` and ``files.check_output``; also where two have one place.
    """
    taken: List[str] = list(inputs)
    for path in paths:
        check_output(path, taken, option)
        format_of(path, option)
        taken.append(path)
