"""What a plan's first bytes say of it, without TensorRT.

Source: ``printPlanVersion`` in NVIDIA/TensorRT's ``samples/common/sampleEngines.cpp`` (10.3 to 11.1), behind
``trtexec --getPlanVersionOnly``. The layout of plans older than 8.6 is documented nowhere, so nothing is refused for
what stands here: the manifest decides, and TensorRT itself.
"""

from typing import Optional

HEADER_BYTES = 28
_STARTS = (b"ftrt", b"ptrt")  # the second is told of plans before 8.6, by others
_LAYOUT = slice(4, 8)
_VERSION = slice(24, 28)
_MAJOR_VERSIONS = range(8, 32)  # anything else there is no version


def looks_like_plan(data: bytes) -> bool:
    """Whether the first bytes are those of a plan."""
    return data.startswith(_STARTS)


def plan_version(data: bytes) -> Optional[str]:
    """The version of TensorRT that a plan of these first bytes says it is from, ``8.6.1.6``; None where it does not.

    Bytes 0 to 3 are ``ftrt``, 4 to 7 the layout's number, 0; 24 to 27 then are the version's four parts::

        66 74 72 74  00 00 00 00  ...  08 06 01 06
    """
    version = data[_VERSION]
    known = data.startswith(b"ftrt") and data[_LAYOUT] == b"\0\0\0\0" and len(version) == 4
    return ".".join(str(part) for part in version) if known and version[0] in _MAJOR_VERSIONS else None
