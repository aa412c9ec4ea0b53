"""What C libraries write to the terminal: their only way to say why a source cannot be opened, and a nuisance after."""

import contextlib
import os
import sys
import tempfile
from typing import Any, Iterator, List, Optional

from ccc_jetson.opencv import import_cv2

_MOST_BYTES = 64 << 10
_WARNING = 3  # cv::utils::logging::LOG_LEVEL_WARNING


class NativeWords:
    """Within the block, what is written to file descriptors 1 and 2 is kept, and OpenCV says what it warns of.

    For one thread at a time, while nobody else prints. Where the descriptors cannot be replaced (closed ones), or there
    is no place for a temporary file, nothing is kept.
    """

    def __init__(self) -> None:
        self.text = ""
        self._file: Optional[Any] = None
        self._saved: List[int] = []
        self._level: Optional[int] = None

    def __enter__(self) -> "NativeWords":
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            self._file = tempfile.TemporaryFile()
            self._saved = [os.dup(1), os.dup(2)]
        except OSError:
            self._file = None
            return self
        for number in (1, 2):
            os.dup2(self._file.fileno(), number)
        logging = _logging()
        if logging is not None:
            self._level = logging.getLogLevel()
            logging.setLogLevel(_WARNING)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._file is None:
            return
        logging = _logging()
        if logging is not None and self._level is not None:
            logging.setLogLevel(self._level)
        for number, saved in zip((1, 2), self._saved):
            os.dup2(saved, number)
            os.close(saved)
        self._file.seek(0)
        self.text = self._file.read(_MOST_BYTES).decode("utf-8", "replace")
        self._file.close()
        self._file = None


@contextlib.contextmanager
def own_standard_output() -> Iterator[None]:
    """Within the block, standard output is Python's alone; what C libraries write to it goes to standard error.

    NVIDIA's Argus tells there what it does until its camera is released, in the midst of a report for machines. Nothing
    changes where Python's standard output is no file descriptor 1.
    """
    ours = sys.stdout
    try:
        if ours.fileno() != 1:
            raise OSError("something else is standard output")
        ours.flush()
        saved = os.dup(1)
        os.dup2(2, 1)
    except (AttributeError, OSError, ValueError):
        yield
        return
    try:
        with os.fdopen(saved, "w", encoding=ours.encoding, errors=ours.errors, closefd=False) as stream:
            sys.stdout = stream
            yield
    finally:
        sys.stdout = ours
        os.dup2(saved, 1)
        os.close(saved)


def _logging() -> Any:
    """What sets OpenCV's log level: ``cv2`` itself up to 4.x, a module of it in 5; None in 4.1, which has neither."""
    cv2 = import_cv2()
    for place in (cv2, getattr(getattr(cv2, "utils", None), "logging", None)):
        if hasattr(place, "setLogLevel"):
            return place
    return None
