"""Runs checks over a release's bindings in a process of its own."""

import json
import os
import signal
import subprocess
import sys

from tests.doubles.real_bindings import child

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
_SECONDS = 120


class Report:
    """What the process said, and how it ended.

    Attributes:
        version: of the bindings.
        members: public names of the module (under "") and of each of its classes.
        integers: the numbers behind the members of each enumeration.
        public, called: functions of our modules on TensorRT, and those that were called.
        returncode: 0, or that of the crash.
        errors: standard error.
    """

    def __init__(self, lines, returncode, errors):
        self.returncode, self.errors = returncode, errors
        merged = {}
        for line in lines:
            merged.update(line)
        self.version, self.members, self.integers = (merged.get(name) for name in ("version", "members", "integers"))
        self.public, self.called = set(merged.get("public", ())), set(merged.get("called", ()))
        self._ended = {line["ends"]: line["error"] for line in lines if "ends" in line}
        self._begun = [line["begins"] for line in lines if "begins" in line]

    def problem_of(self, check):
        """What went wrong in a check, a crash of the process included; ``None`` where nothing did."""
        if check in self._ended:
            return self._ended[check]
        crashed = check == self._begun[-1] if self._begun else False
        return "{}; {}\n{}".format("the process died in it" if crashed else "not run", self.end(), self.errors)

    def end(self):
        """How the process ended, in words."""
        if self.returncode >= 0:
            return "it ended with code {}".format(self.returncode)
        return "it died of {}".format(signal.Signals(-self.returncode).name)


def run_checks(prepared, modules, report):
    """Runs the checks of modules, in order.

    Args:
        prepared: the ``Prepared`` folders of a release.
        modules: names of modules with ``CHECKS``.
        report: the path of a file that is written.

    Returns:
        A ``Report``.
    """
    path = [prepared.site, ROOT] + [entry for entry in sys.path if entry]
    libraries = [prepared.lib, os.environ.get("LD_LIBRARY_PATH", "")]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path))
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(entry for entry in libraries if entry)
    command = [sys.executable, "-m", child.__name__, report] + list(modules)
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        said = process.communicate(timeout=_SECONDS)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        said = process.communicate()[0] + "\nkilled after {} s".format(_SECONDS).encode()
    lines = []
    if os.path.exists(report):
        with open(report) as file:
            lines = [json.loads(line) for line in file if line.endswith("\n")]
    return Report(lines, process.returncode, said.decode(errors="replace"))
