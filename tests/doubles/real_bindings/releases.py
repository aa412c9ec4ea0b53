"""Which TensorRT has bindings on the package index, and for which Pythons.

There are none of 8.0 to 8.5, which JetPack brings for Python 3.6 and 3.8.
"""

import sys
from typing import NamedTuple, Tuple


class Release(NamedTuple):
    """A version of the bindings: its distribution, and the first and the last Python that there is a wheel for."""

    version: str
    distribution: str
    first_python: Tuple[int, int]
    last_python: Tuple[int, int]

    @property
    def major(self):
        return int(self.version.split(".")[0])


RELEASES = (
    Release("8.6.1", "tensorrt-bindings", (3, 6), (3, 11)),
    Release("10.3.0", "tensorrt-cu12-bindings", (3, 8), (3, 12)),
    Release("10.16.1.11", "tensorrt-cu12-bindings", (3, 8), (3, 13)),
    Release("11.0.0.114", "tensorrt-cu12-bindings", (3, 8), (3, 13)),
)


def releases_of(python=sys.version_info[:2]):
    """The releases that a Python, (major, minor), can load."""
    return tuple(release for release in RELEASES if release.first_python <= python <= release.last_python)
