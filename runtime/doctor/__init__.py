"""``ccc-doctor``: what is wrong with this machine, and the line that fixes it.

A table of probes. Each looks at one thing and gives a verdict, its evidence and a fix; whatever might crash (an import
that dies of an illegal instruction, a driver that hangs) is tried in a child process for a limited time. Needs nothing
but Python 3.6: numpy that is missing is a verdict. May import ``runtime.telemetry``, ``engines`` and the shared
modules.
"""
