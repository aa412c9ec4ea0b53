"""nvpmodel's modes in a board's report: which are measured, and the way back to the one that was found.

The mode outlives this process and a reboot, so whoever sets it must set it back, whatever happens in between: the
number that was found is saved before the first switch, and ``restore`` works while signals are ignored.
"""

import os
import re
import shutil
import signal
import subprocess
import threading
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson.board import read_power_modes
from ccc_jetson.clean_text import clean
from ccc_jetson.runtime.telemetry.power_mode import fastest_mode, read_power_mode
from ccc_jetson.signals import ENDING_SIGNALS

_PATIENCE_S = 60.0
_REFRESH_S = 60.0  # sudo forgets after 15 minutes, and the mode is to be set back after longer than that
_PLACES = "/usr/sbin:/sbin"  # of nvpmodel, where a user's PATH may not look
_WATTS = re.compile(r"(?:\A|_)([0-9]{1,3})W(?:_|\Z)")


class Mode(NamedTuple):
    """A power mode by nvpmodel's number and name; ``why`` it is measured."""

    number: int
    name: str
    why: str


def modes_to_measure(root: str = "/") -> Tuple[Optional[int], Tuple[Mode, ...]]:
    """The mode that is set, None where it is not known, and those to measure in.

    They are the fastest, and the one that the board boots with when it is new; where that is the same one, that of the
    fewest watts.
    """
    known, now = read_power_modes(root), read_power_mode(root)
    fastest = fastest_mode(list(known.names.items()))
    found: List[Mode] = []
    if fastest is not None:
        found.append(Mode(fastest[0], fastest[1], "the fastest"))
    other = known.default
    if fastest is not None and other in (None, fastest[0]):
        other = _most_frugal({number: name for number, name in known.names.items() if number != fastest[0]})
    if other is not None and other in known.names:
        found.append(Mode(other, known.names[other], "the boot's" if other == known.default else "the most frugal"))
    if not found and now.number is not None:
        found.append(Mode(now.number, now.name, "the one that is set"))
    return now.number, tuple(found)


def _most_frugal(names: Dict[int, str]) -> Optional[int]:
    """Of the modes that say their watts, the one of the fewest; of several the last, which has the fewest cores."""
    rated = [(int(found.group(1)), -number) for number, found in _rated(names)]
    return -min(rated)[1] if rated else None


def _rated(names: Dict[int, str]) -> List[Tuple[int, Any]]:
    searched = [(number, _WATTS.search(name)) for number, name in names.items()]
    return [(number, found) for number, found in searched if found]


class PowerSwitch:
    """Sets power modes, as root or through ``sudo -n``, and sets back the one that was found.

    Args:
        found: the number to go back to; None where it is not known, and then nothing is switched.
        root: of the files by which a switch is checked.
        allowed: False leaves every mode alone.
    """

    def __init__(self, found: Optional[int], root: str = "/", allowed: bool = True) -> None:
        self.found = found
        self._root = root
        self._nvpmodel = shutil.which("nvpmodel", path=os.environ.get("PATH", "") + os.pathsep + _PLACES)
        self._sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        self._switched = False
        self._stop = threading.Event()
        self.why_not = self._why_not(allowed)
        if self._sudo and not self.why_not:
            threading.Thread(target=self._stay_allowed, name="sudo", daemon=True).start()

    @property
    def command_back(self) -> str:
        """What a person types to set back the mode that was found."""
        return "sudo nvpmodel -m {}".format(self.found)

    def set(self, number: int) -> str:
        """Sets a mode; "" where that is the mode now, else what went wrong."""
        if self._is_set(number):
            return ""
        assert self._nvpmodel is not None and not self.why_not, "nothing may be switched"
        self._switched = True
        problem = self._call([self._nvpmodel, "-m", str(number)])
        if problem or not self._is_set(number):
            return "nvpmodel -m {} did not set the mode: {}".format(number, problem or "the board is in the old one")
        return ""

    def restore(self) -> str:
        """Sets back what was found, in spite of Ctrl-C; "" where that went well or nothing was switched."""
        try:
            if not self._switched or self.found is None:
                return ""
            with _Undisturbed():
                return self.set(self.found)
        finally:
            self._stop.set()

    def expect_another(self) -> None:
        """The mode may be another one than was found: a run before this one had no time to set it back."""
        self._switched = True

    def _why_not(self, allowed: bool) -> str:
        """Why no mode can be set; "" where nothing speaks against it."""
        if not allowed:
            return "--no-sudo: the power mode is left alone"
        if self._nvpmodel is None:
            return "there is no nvpmodel here (in a container: run this on the board itself)"
        if self.found is None:
            return "the mode that is set cannot be read, so it could not be set back"
        if not self._sudo:
            return ""
        if shutil.which("sudo") is None:
            return "power modes need root, and there is no sudo"
        problem = self._call(["true"])
        return "power modes need root, and sudo refuses: {}".format(problem) if problem else ""

    def _is_set(self, number: int) -> bool:
        return read_power_mode(self._root).number == number

    def _call(self, words: Sequence[str]) -> str:
        """Runs a command as root: "" or its last complaint. It keeps this terminal, by which sudo knows its user."""
        try:
            done = subprocess.run(
                self._sudo + list(words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_PATIENCE_S,
            )
        except subprocess.TimeoutExpired:
            return "no answer in {:g} s".format(_PATIENCE_S)
        except OSError as error:
            return str(error.strerror or error)
        lines = done.stdout.decode("utf-8", "replace").split("\n")
        said = [clean(line.strip()) for line in lines if line.strip()]
        return "" if done.returncode == 0 else (said[-1] if said else "exit code {}".format(done.returncode))[:200]

    def _stay_allowed(self) -> None:
        while not self._stop.wait(_REFRESH_S):
            self._call(["-v"])


class _Undisturbed:
    """Signals are ignored within the block, in children as well."""

    def __enter__(self) -> None:
        self._before: Dict[int, Callable[..., Any]] = {}
        if threading.current_thread() is threading.main_thread():
            for number in ENDING_SIGNALS:
                self._before[number] = signal.signal(number, signal.SIG_IGN)  # type: ignore[assignment]

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
