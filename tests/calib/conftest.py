"""The machine for engine builds, as the tests of engines have it; what works off the device needs Python 3.10."""

import sys

from tests.engines.conftest import board

__all__ = ["board"]

_OFF_THE_DEVICE = (
    "cost",
    "implicit",
    "judged_frames",
    "off_device",
    "off_device_report",
    "qdq",
    "ranges",
    "segments",
    "sensitivity",
)
collect_ignore = ["test_{}.py".format(name) for name in _OFF_THE_DEVICE] if sys.version_info < (3, 10) else []
