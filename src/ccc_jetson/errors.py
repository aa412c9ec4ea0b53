"""The one exception root: every problem a user can act on, with what to do about it."""

from ccc_jetson.clean_text import printable


class CccError(Exception):
    """A problem the user can act on: what is wrong, and what to do about it.

    A ``?`` stands for every character that steers a terminal: names of files, and what stands in them, are anyone's.

    Args:
        message: what was found and what was expected, in one or more lines.
        hint: what to do, best as the command to type; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super(CccError, self).__init__(_printable_lines(message))
        self.hint = _printable_lines(hint)


def _printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.replace("\t", " ").split("\n")))


class UsageError(CccError):
    """An argument that cannot be: wrong combination, wrong format, out of range."""

    exit_code = 2


class FileProblem(CccError):
    """A file that is missing, unreadable, damaged or of another kind than expected."""


class ContractError(CccError):
    """A contract that is missing, damaged, or written by a newer version."""


class CheckpointError(CccError):
    """A checkpoint that cannot be loaded, holds code, or is no known network."""


class VerificationError(CccError):
    """The written file does not compute what it should."""


class SourceError(CccError):
    """A camera, video or image folder that cannot be read."""


class SinkError(CccError):
    """A video, picture folder or report that cannot be written."""


class BackendError(CccError):
    """A model that this machine cannot run."""


class BuildError(CccError):
    """An engine that cannot be built here."""


class EngineMismatch(CccError):
    """An engine that was built for another TensorRT or another GPU than this machine has."""


class DependencyMissing(CccError):
    """A package that this command needs and this Python does not have."""
