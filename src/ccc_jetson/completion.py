"""Completion scripts for shells, made by shtab from a command's own parser; so they cannot be out of date."""

import argparse
import re
from typing import Any, Optional, Sequence, Union

from ccc_jetson.errors import DependencyMissing

SHELLS = ("bash", "zsh")
# Metavars that name something on the disk; shtab knows the shells' functions for it by these two names
_FILE = re.compile(r"CACHE|CHECKPOINT|FILE|IMAGES|MODEL|PATH|SOURCE|\.json|\.onnx|/dev/")
_FOLDER = re.compile(r"DIR|FOLDER")


class PrintCompletion(argparse.Action):
    """``--print-completion bash``: prints the script and ends the program, as ``--help`` does.

    Raises:
        DependencyMissing: shtab is not installed.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Union[str, Sequence[Any], None],
        option_string: Optional[str] = None,
    ) -> None:
        try:
            import shtab
        except ImportError:
            raise DependencyMissing("shtab is not installed; it writes the script", hint="pip3 install --user shtab")
        for action in parser._actions:
            kind = _completed_by(action)
            if kind:
                action.complete = getattr(shtab, kind)  # type: ignore[attr-defined]
        print(shtab.complete(parser, shell=str(values)))
        parser.exit()


def _completed_by(action: argparse.Action) -> str:
    """``FILE`` or ``DIRECTORY`` of shtab, or "" where an argument names neither."""
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if action.choices:
        return ""
    if _FILE.search(metavar):
        return "FILE"
    return "DIRECTORY" if _FOLDER.search(metavar) else ""
