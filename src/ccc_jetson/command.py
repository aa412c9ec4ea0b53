"""What every command line shares: one place where errors become a message and an exit code."""

import argparse
import errno
import math
import os
import signal
import sys
import threading
import time
from typing import Any, Callable, List, NoReturn, Optional, Sequence, Tuple, TypeVar

from ccc_jetson import __version__
from ccc_jetson.clean_text import clean_lines, message_without_secrets
from ccc_jetson.completion import SHELLS, PrintCompletion
from ccc_jetson.errors import CccError, UsageError
from ccc_jetson.opencv import limit_pictures
from ccc_jetson.signals import ENDING_SIGNALS
from ccc_jetson.terminal import has_gone, silence, write_now

INTERRUPTED = 130  # as a shell reports a process that SIGINT ended
ONE_WISH_S = 1.0  # Ctrl-C pressed twice, or sent to the process and to its group, asks once

_Taken = TypeVar("_Taken")


class Parser(argparse.ArgumentParser):
    """An argument parser whose help keeps the example's line breaks; knows ``--version`` and ``--print-completion``.

    Options are written in full: what reports leave out of a command is known by an option's name.
    """

    def __init__(self, prog: str, description: str, example: str) -> None:
        super(Parser, self).__init__(
            prog=prog,
            description=description,
            epilog="example:\n  " + example.replace("\n", "\n  "),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument("--version", action=_Version, nargs=0, help="print versions of all that is used, and end")
        self.add_argument(
            "--print-completion", action=PrintCompletion, choices=SHELLS, help="print a script for the shell, and exit"
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's. Up to Python 3.7 that one refuses ``-oFILE`` in one word where no abbreviations are allowed
        (bpo-26967), so it gets two."""
        words = list(sys.argv[1:] if args is None else args)
        if sys.version_info < (3, 8):
            words = _apart(words, [name for action in self._actions for name in action.option_strings
                                   if len(name) == 2 and action.nargs is None])  # fmt: skip
        return super(Parser, self).parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """As argparse's, without the secrets of what it repeats, and fit for a terminal."""
        super(Parser, self).error(clean_lines(message_without_secrets(message)))


def _apart(words: Sequence[str], letters: Sequence[str]) -> List[str]:
    """``-oFILE`` -> ``-o FILE`` for each of ``letters``, options of one letter with a value; not behind ``--``."""
    end = words.index("--") if "--" in words else len(words)
    found: List[str] = []
    for word in words[:end]:
        found += [word[:2], word[2:]] if word[:2] in letters and word[2:3] not in ("", "=") else [word]
    return found + list(words[end:])


class _Version(argparse.Action):
    """Prints the command's version, then what it runs on: one fact a line."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        from ccc_jetson.environment import environment  # on use, so that --help starts at once
        from ccc_jetson.tables import aligned_facts

        print("{} {}\n{}".format(parser.prog, __version__, aligned_facts(environment())))
        parser.exit()


def run_command(
    parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], int], argv: Optional[Sequence[str]] = None
) -> int:
    """Parses, works, and returns the exit code; no user's mistake ends in a traceback.

    SIGTERM and SIGHUP are treated as Ctrl-C, so that temporary files are removed there too; what follows either within
    a second does not disturb that. A signal that the caller of this program switched off stays off. A command that
    fails once the terminal of its results has gone was interrupted.
    """
    _open_what_is_closed()
    limit_pictures()
    code, on_terminal = 1, sys.stdout.isatty()
    try:
        arguments = parser.parse_args(argv)
        if threading.current_thread() is threading.main_thread():
            interrupt = Interrupt()
            for number in ENDING_SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, interrupt)
        code = work(arguments)
        sys.stdout.flush()
        return code
    except CccError as error:
        print_error(parser.prog, error)
        code = error.exit_code
    except KeyboardInterrupt:
        write_now(sys.stderr, "\n{}: interrupted\n".format(parser.prog))
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (``| head``); Python would complain once more when it flushes at exit.
        silence(sys.stdout)
    except MemoryError:
        print_error(parser.prog, CccError("out of memory", hint="close other programs, or use smaller frames"))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            print_error(parser.prog, CccError("no space left on the disk", hint="free some space and run it again"))
        elif error.filename is not None:
            print_error(parser.prog, CccError("{}: {}".format(error.filename, error.strerror)))
        elif not (has_gone(error) and on_terminal):
            raise
    if on_terminal and not sys.stdout.isatty():
        silence(sys.stdout)
        return INTERRUPTED
    return code


def _open_what_is_closed() -> None:
    """With ``>&-`` Python has no standard output at all: what is printed then goes nowhere, as to /dev/null."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (stays open to the end)


def runs_here(prog: str, needs: Tuple[int, int], instead: str) -> bool:
    """Whether this Python can run a command of the workstation; where not, a line says where it runs.

    Args:
        needs: the oldest Python that can.
        instead: what to do on the board.
    """
    if sys.version_info >= needs:
        return True
    text = "{}: error: runs on the workstation, with Python {}.{} or newer; this is Python {}.{} ({})"
    write_now(sys.stderr, text.format(prog, *(needs + sys.version_info[:2] + (instead,))) + "\n")
    return False


def print_error(prog: str, error: CccError) -> None:
    """The message and the hint, on standard error, without the secrets of addresses, and fit for a terminal."""
    write_now(sys.stderr, "{}: error: {}\n".format(prog, clean_lines(message_without_secrets(str(error)))))
    if error.hint:
        write_now(sys.stderr, "  -> {}\n".format(clean_lines(message_without_secrets(error.hint))))


def size(text: str) -> Tuple[int, int]:
    """Argument type: ``1024x512`` -> (1024, 512)."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError("{!r} is no size; expected WIDTHxHEIGHT, as in 1024x512".format(text))
    return int(parts[0]), int(parts[1])


def count_from(least: int) -> Callable[[str], int]:
    """Argument type: a whole number that is ``least`` or more."""

    def count(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError("{!r} is not a whole number from {}".format(text, least))
        return int(text)

    return count


def number_from(least: float, most: float = math.inf) -> Callable[[str], float]:
    """Argument type: a finite number that is ``least`` or more, and ``most`` at most."""
    wanted = "{:g}".format(least) if most == math.inf else "{:g} to {:g}".format(least, most)

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least <= value <= most and value < math.inf):
            raise argparse.ArgumentTypeError("{!r} is not a number from {}".format(text, wanted))
        return value

    return number


def as_option(name: str, value: Any, of: Callable[[str], _Taken]) -> Optional[_Taken]:
    """An argument of a call, as the option of that name takes it; ``None`` is one that was not given.

    Raises:
        UsageError: the option would refuse it, in the same words.
    """
    if value is None:
        return None
    try:
        return of(str(value))
    except argparse.ArgumentTypeError as error:
        raise UsageError("{}: {}".format(name, error))


def pairs_of(name: str, pairs: Any, of: Callable[[str], Tuple[str, str]]) -> Tuple[Tuple[str, str], ...]:
    """Pairs of words, each as the option of that name takes it in one, as ``input=mapped``.

    Raises:
        UsageError: these are no pairs, or the option would refuse one, in the same words.
    """
    found: List[Tuple[str, str]] = []
    for pair in pairs if isinstance(pairs, (list, tuple)) else [pairs]:
        if not isinstance(pair, (list, tuple)) or [type(word) for word in pair] != [str, str]:
            raise UsageError("{}: {!r} is no pair of words in a list of such".format(name, pair))
        taken = as_option(name, "=".join(pair), of)
        if taken != tuple(pair):
            raise UsageError("{}: {!r} is no such pair".format(name, pair))
        found.append(taken)
    return tuple(found)


class Interrupt:
    """A signal handler that raises ``KeyboardInterrupt``, but not again while the first is being cleaned up after."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_until_s = -math.inf

    def heard(self) -> None:
        """Somebody else has taken the first signal: those of the next second are the same wish."""
        self._quiet_until_s = self._clock() + ONE_WISH_S

    def __call__(self, number: int, frame: Any) -> None:
        now_s = self._clock()
        if now_s >= self._quiet_until_s:  # a clean-up that hangs can still be ended
            self._quiet_until_s = now_s + ONE_WISH_S
            raise KeyboardInterrupt
