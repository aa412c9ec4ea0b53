"""Whether a Jetson runs as fast as it can: nvpmodel's mode, and ``jetson_clocks``; and the commands that see to it.

Modes are looked up by name: number 0 is the fastest on a TX2 and not on an Orin Nano.
"""

import re
from typing import List, NamedTuple, Optional, Tuple

from ccc_jetson.board import read_board, read_power_modes
from ccc_jetson.child import run_child
from ccc_jetson.clean_text import clean
from ccc_jetson.engines.machine import target_of
from ccc_jetson.runtime.telemetry.clocks import Clocks, read_clocks

_PATIENCE_S = 5.0
# "NV Power Mode: MAXP_CORE_ARM", and the number in the next line; remarks such as "NVPM WARN: fan mode is not set!" or
# "NVPM VERB: Config file: /etc/nvpmodel.conf" may come before
_QUERY = re.compile(r"^NV Power Mode: *([A-Za-z0-9_.+-]{1,60})[ \t]*$\n(?:^NVPM .*$\n)*^ *([0-9]{1,4})[ \t]*$", re.M)
# "15W", "MODE_20W_6CORE", "30W_ALL"
_WATTS = re.compile(r"(?:\A|_)([0-9]{1,3})W(?:_(?:([0-9]{1,2})CORE|(ALL)))?\Z")
_FASTEST = ("MAXN_SUPER", "MAXN")
_ALL_CORES = 100
# A TX2's USB camera with 848x480 at 30 FPS, two streams, in mode 3 and in MAXN with jetson_clocks; a user's log
CONSEQUENCE = "others measured 18.5 FPS of a TX2's USB camera in MAXP_CORE_ARM, 29.8 in MAXN with jetson_clocks"


class PowerMode(NamedTuple):
    """The mode that is set, the fastest one, and whether clocks are fixed.

    ``number`` and ``fastest_number`` are None, ``name`` and ``fastest`` "", where they are not known; ``is_fixed`` is
    None where no clock can be read.
    """

    name: str
    number: Optional[int]
    fastest: str
    fastest_number: Optional[int]
    online: str
    is_fixed: Optional[bool]

    @property
    def is_fastest(self) -> Optional[bool]:
        """None where it is not known."""
        return self.name == self.fastest if self.name and self.fastest else None


def read_power_mode(root: str = "/", query: Optional[str] = None) -> PowerMode:
    """What is set, by the files of nvpmodel; where they do not tell, by ``nvpmodel -q``.

    Args:
        root: of the files.
        query: the command that is asked; "" asks none. By default it is nvpmodel for this machine's own files, and
            none for those below another root.
    """
    modes = read_power_modes(root)
    name, number = modes.name, modes.number if modes.name else None
    if query is None:
        query = "nvpmodel" if root == "/" else ""
    if not name and query:
        name, number = ask_nvpmodel(query)
    fastest = fastest_mode(list(modes.names.items()))
    clocks = read_clocks(root)
    return PowerMode(
        name=name,
        number=number,
        fastest=fastest[1] if fastest else "",
        fastest_number=fastest[0] if fastest else None,
        online=clocks.online,
        is_fixed=clocks_are_fixed(clocks),
    )


def ask_nvpmodel(command: str = "nvpmodel") -> Tuple[str, Optional[int]]:
    """Name and number by ``nvpmodel -q``; ("", None) where there is no such command, or it does not tell."""
    answer = run_child([command, "-q"], _PATIENCE_S)
    return parse_query(answer.out + "\n" + answer.err) if answer.code is not None else ("", None)


def parse_query(text: str) -> Tuple[str, Optional[int]]:
    """Name and number of the mode in the output of ``nvpmodel -q``.

    NVPM WARN: fan mode is not set!
    NV Power Mode: MAXP_CORE_ARM
    3
    """
    found = _QUERY.search(text.replace("\r", ""))
    return (found.group(1), int(found.group(2))) if found else ("", None)


def fastest_mode(modes: List[Tuple[int, str]]) -> Optional[Tuple[int, str]]:
    """The fastest by name: MAXN, else that of most watts, and of those of most cores; None for other names."""
    for wanted in _FASTEST:
        for number, name in modes:
            if name == wanted:
                return number, name
    rated = []
    for number, name in modes:
        found = _WATTS.search(name)
        if found:
            cores = _ALL_CORES if found.group(3) or not found.group(2) else int(found.group(2))
            rated.append((int(found.group(1)), cores, -number, name))
    if not rated:
        return None
    _, _, number, name = max(rated)
    return -number, name


def clocks_are_fixed(clocks: Clocks) -> Optional[bool]:
    """Whether ``jetson_clocks`` is in effect: GPU and cores cannot move; None where no limits can be read."""
    limited = [clock for clock in clocks.cores + (clocks.gpu,) if clock is not None and clock.low_mhz is not None]
    return all(clock.is_fixed for clock in limited) if limited else None


def power_warnings(root: str = "/") -> List[str]:
    """What makes a Jetson slower than it is, with the commands that cure it; nothing off a Jetson."""
    if not read_board(root).board:
        return []
    mode = read_power_mode(root)
    found = []
    if mode.is_fastest is False:
        found.append(
            "the power mode is {}, not {}: sudo nvpmodel -m {}".format(
                clean(mode.name), clean(mode.fastest), mode.fastest_number
            )
        )
    if mode.is_fixed is False:
        found.append("the clocks are free to move: sudo jetson_clocks fixes them until the next boot")
    return found


def consequence(root: str = "/") -> str:
    """What others lost by it on a board of this kind; "" where that is not known."""
    target = target_of("", read_board(root).board)
    return CONSEQUENCE if target is not None and target.name == "tx2" else ""
