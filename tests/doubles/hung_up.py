"""A terminal that goes while somebody writes to it, as when an SSH connection breaks."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time


class HungUp:
    """A terminal whose other end can be closed; ``stream`` writes to it as to standard error."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        self.stream = os.fdopen(os.dup(self.slave), "w", 1)

    def hang_up(self):
        """Nobody reads any more; a process whose terminal this is gets SIGHUP, and what is written gives EIO."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def close(self):
        """Frees what is left."""
        self.hang_up()
        os.close(self.slave)
        self.stream.close()

    def start(self, command, **options):
        """A process whose terminal this is."""

        def own_it():
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

        streams = dict({"stdin": self.slave, "stdout": self.slave, "stderr": self.slave}, **options)
        return subprocess.Popen(command, preexec_fn=own_it, **streams)

    def read_until(self, text, seconds=60.0):
        """What is shown, up to ``text`` and a little more."""
        seen, until = "", time.monotonic() + seconds
        while text not in seen:
            ready, _, _ = select.select([self.master], [], [], max(0.0, until - time.monotonic()))
            assert ready, "no {!r} in {!r}".format(text, seen[-300:])
            seen += os.read(self.master, 4096).decode("utf-8", "replace")
        return seen
