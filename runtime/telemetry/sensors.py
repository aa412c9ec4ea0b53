"""Every sensor that this machine has, behind one call: ``tegrastats`` where there is one, and sysfs."""

from typing import Optional, Set

from ccc_jetson.runtime.telemetry.sample import Sample, merged
from ccc_jetson.runtime.telemetry.sysfs import Sysfs
from ccc_jetson.runtime.telemetry.tegrastats import Tegrastats, start_tegrastats


class Sensors:
    """All of them; ``close`` ends the child process.

    Args:
        interval_s: between two lines of tegrastats.
        root: of the files. Below another root than the machine's own there is no tegrastats.
    """

    def __init__(self, interval_s: float, root: str = "/") -> None:
        self._sysfs = Sysfs(root)
        self._tegrastats: Optional[Tegrastats] = start_tegrastats(interval_s) if root == "/" else None
        self._trouble: Set[str] = set()

    def read(self) -> Sample:
        """This moment. What tegrastats says comes first; its last line may be ``interval_s`` old."""
        sample = self._sysfs.read()
        if self._tegrastats is None:
            return sample
        line = self._tegrastats.latest()
        if self._tegrastats.exit_code is not None:  # its last line is of a moment before
            self._trouble.add("tegrastats, which ended with code {}".format(self._tegrastats.exit_code))
            return sample
        if self._tegrastats.is_late:
            self._trouble.add("tegrastats, which runs and says nothing that can be read")
        return sample if line is None else merged(line, sample)

    @property
    def trouble(self) -> Set[str]:
        """The sensors that stopped working."""
        return self._sysfs.trouble | self._trouble

    def close(self) -> None:
        if self._tegrastats is not None:
            self._tegrastats.close()
            self._tegrastats = None
