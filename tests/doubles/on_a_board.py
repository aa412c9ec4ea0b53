"""Starts code or a script as a step of a board's report does, on a machine whose files lie below another root.

    on_a_board.py ROOT -c CODE ARGUMENTS      on_a_board.py ROOT SCRIPT ARGUMENTS

Every function of the package that reads the machine's own files takes them from there, as it would on that board.
BOARD_SECONDS, where it is set, is the length of a benchmark and of its warm-up.
"""

import importlib
import os
import runpy
import sys

# what has the machine's root as the default of an argument
_READERS = (
    ("ccc_jetson.board", "read_board"),
    ("ccc_jetson.board", "read_power_modes"),
    ("ccc_jetson.environment", "environment"),
    ("ccc_jetson.engines.machine", "read_memory"),
    ("ccc_jetson.runtime.telemetry.clocks", "read_clocks"),
    ("ccc_jetson.runtime.telemetry.power_mode", "power_warnings"),
    ("ccc_jetson.runtime.telemetry.power_mode", "read_power_mode"),
    ("ccc_jetson.runtime.telemetry.monitor", "Monitor.__init__"),
    ("ccc_jetson.runtime.doctor.place", "Place.__init__"),
    ("ccc_jetson.runtime.metrics", "machine"),
)


def move_to(root):
    """Makes ``root`` the root of everything that is read of the machine in this process."""
    for module, path in _READERS:
        function = importlib.import_module(module)
        for name in path.split("."):
            function = getattr(function, name)
        assert "/" in function.__defaults__, path
        function.__defaults__ = tuple(root if value == "/" else value for value in function.__defaults__)


def shorten(seconds):
    """Benchmarks and their warm-up last so long."""
    plan = importlib.import_module("ccc_jetson.runtime.bench.plan")
    plan.FLOOR_S = plan.NETWORK_S = plan.NETWORK_WARM_UP_S = seconds
    plan.FLOOR_FRAMES = 1
    if "--duration" in sys.argv:
        sys.argv[sys.argv.index("--duration") + 1] = str(seconds)


def main():
    root, sys.argv = sys.argv[1], sys.argv[2:]
    if os.environ.get("BOARD_SECONDS"):
        shorten(float(os.environ["BOARD_SECONDS"]))
    move_to(root)
    if sys.argv[0] == "-c":
        code = sys.argv.pop(1)
        exec(compile(code, "<step>", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
