"""What a video device can deliver, asked by ioctl: its name, its formats with their sizes and rates.

Also a program of its own, which needs nothing but the standard library: ``python v4l2.py /dev/video0`` prints JSON.
Structures and numbers: linux/videodev2.h.
"""

import errno
import fcntl
import json
import os
import struct
import sys
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

_QUERYCAP, _ENUM_FMT, _ENUM_FRAMESIZES, _ENUM_FRAMEINTERVALS = 0x80685600, 0xC0405602, 0xC02C564A, 0xC034564B
# v4l2_capability {driver[16], card[32], bus_info[32], version, capabilities, device_caps, reserved[3]}
_CAPABILITY = struct.Struct("16s32s32s3I12x")
# v4l2_fmtdesc {index, type, flags, description[32], pixelformat, mbus_code, reserved[3]}
_FORMAT = struct.Struct("3I32sI16x")
# v4l2_frmsizeenum {index, pixel_format, type, union of 24 bytes, reserved[2]}
_SIZE = struct.Struct("3I6I8x")
# v4l2_frmivalenum {index, pixel_format, width, height, type, union of 24 bytes, reserved[2]}
_INTERVAL = struct.Struct("5I6I8x")
_CAPTURE, _CAN_CAPTURE, _HAS_DEVICE_CAPS = 1, 0x00000001, 0x80000000
_DISCRETE = 1
_MOST = 64  # of anything that is enumerated
# Opens a device and asks it: (request, buffer) -> None, or OSError
Ask = Callable[[int, bytearray], None]


def describe(path: str, opened: Optional[Ask] = None) -> Dict[str, Any]:
    """{"card", "driver", "bus", "captures", "formats": [{"fourcc", "sizes": [[width, height, best FPS or None]]}]}.

    {"error", "errno"} where it cannot be asked.

    Args:
        opened: asks in the place of the device at ``path``.
    """
    descriptor = -1
    try:
        ask = opened
        if ask is None:
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

            def ask(request: int, buffer: bytearray) -> None:
                fcntl.ioctl(descriptor, request, buffer, True)

        return _described(ask)
    except OSError as error:
        return {"error": error.strerror or str(error), "errno": error.errno}
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _described(ask: Ask) -> Dict[str, Any]:
    buffer = bytearray(_CAPABILITY.size)
    ask(_QUERYCAP, buffer)
    driver, card, bus, _, capabilities, of_device = _CAPABILITY.unpack(bytes(buffer))
    captures = bool((of_device if capabilities & _HAS_DEVICE_CAPS else capabilities) & _CAN_CAPTURE)
    return {
        "card": _text(card),
        "driver": _text(driver),
        "bus": _text(bus),
        "captures": captures,
        "formats": list(_formats(ask)) if captures else [],
    }


def _formats(ask: Ask) -> Iterator[Dict[str, Any]]:
    for index in range(_MOST):
        found = _enumerated(ask, _ENUM_FMT, _FORMAT, (index, _CAPTURE, 0, b"", 0))
        if found is None:
            return
        code = found[4]
        letters = struct.pack("<I", code & 0x7FFFFFFF).decode("latin-1")
        yield {"fourcc": letters if letters.isprintable() else hex(code), "sizes": list(_sizes(ask, code))}


def _sizes(ask: Ask, code: int) -> Iterator[List[Any]]:
    for index in range(_MOST):
        found = _enumerated(ask, _ENUM_FRAMESIZES, _SIZE, (index, code, 0) + (0,) * 6)
        if found is None:
            return
        if found[2] == _DISCRETE:
            width, height = found[3:5]
        else:  # a range: least and greatest width and its step, then the heights; the greatest counts
            width, height = found[4], found[7]
        yield [width, height, _best_fps(ask, code, width, height)]
        if found[2] != _DISCRETE:
            return


def _best_fps(ask: Ask, code: int, width: int, height: int) -> Optional[float]:
    best = None
    for index in range(_MOST):
        found = _enumerated(ask, _ENUM_FRAMEINTERVALS, _INTERVAL, (index, code, width, height, 0) + (0,) * 6)
        if found is None:
            break
        numerator, denominator = found[5:7]  # seconds per frame; of a range the shortest comes first
        if numerator and denominator:
            best = max(best or 0.0, round(denominator / numerator, 2))
        if found[4] != _DISCRETE:
            break
    return best


def _enumerated(ask: Ask, request: int, layout: struct.Struct, values: Tuple[Any, ...]) -> Optional[Tuple[Any, ...]]:
    """The next entry of a list; None after the last."""
    buffer = bytearray(layout.pack(*values))
    try:
        ask(request, buffer)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return None
        raise
    return layout.unpack(bytes(buffer))


def _text(data: bytes) -> str:
    text = data.split(b"\0")[0].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


if __name__ == "__main__":
    print(json.dumps(describe(sys.argv[1])))
