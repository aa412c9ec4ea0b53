"""``board-report.sh``'s Python on a made-up board; what the machine is comes by variables.

BOARD_ROOT is the root of its files, BOARD_EUID who runs it, BOARD_HOST its name, BOARD_STEPS a script that stands for
the interpreter of every step (by default ``on_a_board.py``, which runs the real thing).
"""

import os
import socket
import sys

from ccc_jetson.runtime.board_report.cli import main

FOLDER = os.path.dirname(os.path.abspath(__file__))
ON_A_BOARD = os.path.join(FOLDER, "on_a_board.py")


def run(argv):
    root = os.environ["BOARD_ROOT"]
    os.geteuid = lambda: int(os.environ.get("BOARD_EUID", "0"))
    socket.gethostname = lambda: os.environ["BOARD_HOST"]
    steps = os.environ.get("BOARD_STEPS", ON_A_BOARD)
    return main(argv, root, (sys.executable, steps, root))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
