"""What became of processes that a test has started."""

import time

_PATIENCE_S = 10.0  # to die of a signal


def is_running(pid):
    """Whether a process still runs; one that is dead and not reaped does not."""
    until_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until_s:
        try:
            with open("/proc/{}/stat".format(pid)) as file:
                state = file.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            return False
        if state in "ZX":
            return False
        time.sleep(0.01)
    return True
