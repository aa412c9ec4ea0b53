"""TensorRT's INT8 calibration cache, to the letter.

A text file without a checksum that TensorRT hands to a calibrator and asks for in the next build:

    TRT-8201-EntropyCalibration2
    input: 3c010a14
    onnx::Conv_329: 3c96d93c
    (Unnamed Layer* 22) [Shuffle]_output: 0

The first line names TensorRT's version as a number (8.2.1: 8201, from 10 on 10.3.0: 100300) and the algorithm. Every
other line is a tensor's name, a colon, and the bits of a float32 in hexadecimal, most significant digit first. Names
hold colons themselves, so the last one counts. TensorRT writes the number without leading zeros, which shows in zero
(``0``) and in scales below 2.5e-29. The value is the scale, amax / 127 in float32: INT8 then covers -amax to amax.
(TensorRT 8.2, samples/sampleINT8/README.md and samples/common/sampleEngines.cpp.)

Names are the ONNX file's tensors and, of layers that the parser adds, ``(Unnamed Layer* N) [Type]_output``. N depends
on the parser, so those rows mean nothing to another version.
"""

import os
import re
import struct
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.clean_text import clean, listed
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.files import read_bytes

ENTROPY_2, MIN_MAX = "EntropyCalibration2", "MinMaxCalibration"
ALGORITHMS = (ENTROPY_2, "EntropyCalibration", MIN_MAX)  # as they stand in the header
LEVELS = 127  # of INT8 on either side of zero
_MOST_BYTES = 1 << 24  # 345 tensors take 15 kB
_LONGEST_LINE = 100  # in a message
_HEADER = re.compile(r"TRT-([0-9]{1,9})-(\w+)\Z", re.ASCII)
_VALUE = re.compile(r" ([0-9a-fA-F]{8}|0|[1-9a-fA-F][0-9a-fA-F]{0,6})\Z")  # TensorRT writes no leading zeros
_WHOLE = re.compile(r".* ([0-9a-fA-F]{8}|0)\Z", re.DOTALL)
# 8.2.1, 8.2.1.8, and what dpkg says: 8.5.2-1+cuda11.4
_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})(?:\.([0-9]{1,3})(?:\.[0-9]{1,6})?(?:[-+~][0-9A-Za-z.+~-]*)?)?\Z")
_HELPER = "(Unnamed Layer* "
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_SIGN = 0x80000000
_AGAIN = "copy it again byte by byte, or calibrate again"


class CalibrationCache(NamedTuple):
    """A calibration cache: TensorRT's version number, one of ``ALGORITHMS``, and (tensor, scale) in the file's order.

    Scales are float32 values, finite and not negative.
    """

    version: int
    algorithm: str
    scales: Tuple[Tuple[str, float], ...]

    @property
    def header(self) -> str:
        """The first line."""
        return "TRT-{}-{}".format(self.version, self.algorithm)

    @property
    def ranges(self) -> Tuple[Tuple[str, float], ...]:
        """(tensor, amax): INT8 covers -amax to amax, which is 127 scales in float32."""
        return tuple((name, _amax(scale)) for name, scale in self.scales)

    @property
    def zero_scales(self) -> Tuple[str, ...]:
        """Tensors of which calibration saw nothing but zeros."""
        return tuple(name for name, scale in self.scales if scale == 0)

    @property
    def helper_rows(self) -> Tuple[str, ...]:
        """Tensors of layers that TensorRT's parser added, which another version numbers otherwise."""
        return tuple(name for name, _ in self.scales if name.startswith(_HELPER))

    @property
    def warnings(self) -> List[str]:
        """Sentences on what is allowed but seldom meant."""
        zeros = self.zero_scales
        if not zeros:
            return []
        return [
            "a scale of 0 says that a tensor is always zero; {} of {} tensors have it: {}".format(
                len(zeros), len(self.scales), listed(zeros)
            )
        ]

    def to_bytes(self) -> bytes:
        """The file: the same cache always gives the same bytes, and ``parse_cache`` gives the same cache."""
        rows = ["{}: {}\n".format(name, _digits(scale)) for name, scale in self.scales]
        return (self.header + "\n" + "".join(rows)).encode("utf-8")


def _amax(scale: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(LEVELS) * np.float32(scale))


def _digits(scale: float) -> str:
    (bits,) = struct.unpack("!I", struct.pack("!f", scale))
    return format(bits, "x")


def cache_of_ranges(version: int, algorithm: str, ranges: Iterable[Tuple[str, float]]) -> CalibrationCache:
    """A cache from each tensor's largest magnitude, divided by 127 in float32 as TensorRT does.

    Args:
        version: TensorRT's number, from ``tensorrt_version_number``.
        algorithm: one of ``ALGORITHMS``; a build takes the cache with the calibrator of that name only.
        ranges: (ONNX tensor, amax), in the order that the file shall have.

    Raises:
        UsageError: a cache cannot hold one of these.
    """
    check_version_number(version)
    _check_algorithm(algorithm)
    scales: List[Tuple[str, float]] = []
    seen = set()
    for name, amax in ranges:
        with np.errstate(over="ignore"):
            scale = float(np.float32(amax) / np.float32(LEVELS))
        problem = ""
        if not 0 <= _amax(scale) < np.inf:  # NaN, too
            problem = "{!r} is no range: finite and not negative in float32".format(amax)
        elif not name or "\n" in name or "\r" in name or "\0" in name:
            problem = "a name with line breaks, or none, cannot be a row's"
        elif name in seen:
            problem = "it comes twice"
        if problem:
            raise UsageError("the range of tensor {!r}: {}".format(name, problem))
        seen.add(name)
        scales.append((name, scale + 0.0))  # no negative zero
    return CalibrationCache(version, algorithm, tuple(scales))


def read_cache(path: str) -> CalibrationCache:
    """The cache in a file; raises as ``read_cache_bytes`` and ``parse_cache``."""
    return parse_cache(read_cache_bytes(path), path)


def read_cache_bytes(path: str) -> bytes:
    """What a file holds, if it can be a cache by its size.

    Raises:
        FileProblem: it is missing, unreadable, or larger than any cache.
    """
    try:
        size = os.path.getsize(path)
    except OSError as error:
        raise FileProblem("{}: cannot be read: {}".format(path, error.strerror))
    if not os.path.isfile(path):
        raise FileProblem("{}: is no ordinary file".format(path))
    if size > _MOST_BYTES:
        raise _too_large(path, size)
    return read_bytes(path)


def parse_cache(data: bytes, origin: str) -> CalibrationCache:
    """Reads a calibration cache.

    Args:
        data: the file.
        origin: names the file in messages.

    Raises:
        FileProblem: it is none, or damaged; with the line. A file that is cut off between two lines cannot be told
            from a whole one: its provenance's SHA-256 tells.
    """
    lines = _lines(data, origin)
    if not data.endswith(b"\n") and len(lines) > 1 and not _WHOLE.match(lines[-1]):
        raise _damaged(origin, len(lines), lines[-1], "expected 8 hexadecimal digits (or 0); the file is cut short")
    version, algorithm = _parse_header(lines[0], origin)
    scales: List[Tuple[str, float]] = []
    line_of: Dict[str, int] = {}
    for number, line in enumerate(lines[1:], 2):
        name, scale = _parse_row(line, number, origin)
        if name in line_of:
            raise _damaged(origin, number, line, "the same tensor stands in line {}".format(line_of[name]))
        line_of[name] = number
        scales.append((name, scale))
    if not scales:
        raise FileProblem("{}: ends after its first line {!r}".format(origin, lines[0]), hint=_AGAIN)
    return CalibrationCache(version, algorithm, tuple(scales))


def _lines(data: bytes, origin: str) -> List[str]:
    """The text's lines; what no text of TensorRT's is, is called by its name."""
    if not data:
        raise FileProblem("{}: is empty".format(origin), hint=_AGAIN)
    if len(data) > _MOST_BYTES:
        raise _too_large(origin, len(data))
    if data.startswith(_BYTE_ORDER_MARKS):
        raise FileProblem(
            "{}: begins with a byte order mark, which no cache of TensorRT's does".format(origin),
            hint="save it as UTF-8 without BOM, or copy it again",
        )
    if b"\0" in data:
        raise FileProblem("{}: is a binary file, a calibration cache is text".format(origin))
    if b"\r" in data:
        raise FileProblem(
            "{}: has Windows line ends (CRLF), which are not TensorRT's".format(origin),
            hint="tr -d '\\r' < {0} > {0}.unix".format(origin),
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileProblem(
            "{}: is no text in UTF-8: byte {} is 0x{:02x}".format(origin, error.start, data[error.start]), hint=_AGAIN
        )
    return (text[:-1] if text.endswith("\n") else text).split("\n")


def _parse_header(line: str, origin: str) -> Tuple[int, str]:
    """``TRT-8201-EntropyCalibration2`` -> (8201, "EntropyCalibration2")."""
    found = _HEADER.match(line)
    if found is None:
        raise FileProblem(
            "{}: is no calibration cache: its first line is {}".format(origin, _shown(line)),
            hint="a cache begins with a line like TRT-8201-EntropyCalibration2",
        )
    version, algorithm = int(found.group(1)), found.group(2)
    try:
        check_version_number(version)
        _check_algorithm(algorithm)
    except UsageError as error:
        raise _damaged(origin, 1, line, str(error))
    return version, algorithm


def _parse_row(line: str, number: int, origin: str) -> Tuple[str, float]:
    """``onnx::Conv_329: 3c96d93c`` -> ("onnx::Conv_329", 0.0184...)."""
    name, colon, rest = line.rpartition(":")
    found = _VALUE.match(rest)
    if not colon or not name:
        raise _damaged(origin, number, line, "expected a tensor's name, a colon and a number")
    if found is None:
        expected = "expected a space and 8 hexadecimal digits, or fewer without a leading zero, behind the last colon; "
        expected += "the file may be cut short"
        raise _damaged(origin, number, line, expected)
    bits = int(found.group(1), 16)
    (scale,) = struct.unpack("!f", struct.pack("!I", bits))
    if bits & _SIGN:
        raise _damaged(origin, number, line, "the scale is negative")
    if not np.isfinite(scale):
        raise _damaged(origin, number, line, "the scale is {}".format("NaN" if np.isnan(scale) else "infinite"))
    if not np.isfinite(_amax(scale)):
        raise _damaged(origin, number, line, "the scale is so large that its range is infinite")
    return name, scale


def _damaged(origin: str, number: int, line: str, reason: str) -> FileProblem:
    return FileProblem("{}: line {}, {}: {}".format(origin, number, _shown(line), reason), hint=_AGAIN)


def _shown(line: str) -> str:
    cut = line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "..."
    return "'{}'".format(clean(cut))


def _too_large(origin: str, size: int) -> FileProblem:
    return FileProblem("{}: has {:,} bytes, which no calibration cache has".format(origin, size))


def tensorrt_version_number(version: str) -> int:
    """TensorRT's version as its own headers compute it: "8.2.1.8" -> 8201, "10.3.0" -> 100300.

    Raises:
        UsageError: the text is no version.
    """
    found = _VERSION.match(version)
    if found is None:
        raise UsageError("{!r} is no version of TensorRT".format(version), hint="expected one like 8.2.1 or 10.3.0")
    major, minor, patch = int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)
    # NvInferRuntimeCommon.h of 8.2.1: major * 1000 + minor * 100 + patch; NvInferRuntimeBase.h of 10.0: major * 10000
    number = major * (10000 if major >= 10 else 1000) + minor * 100 + patch
    if minor > (99 if major >= 10 else 9) or patch > 99:
        raise UsageError("{!r} is no version of TensorRT".format(version), hint="expected one like 8.2.1 or 10.3.0")
    check_version_number(number)
    return number


def tensorrt_version_text(number: int) -> str:
    """The other way: 8201 -> "8.2.1", 100300 -> "10.3.0"."""
    unit = 10000 if number >= 100000 else 1000
    return "{}.{}.{}".format(number // unit, number % unit // 100, number % 100)


def check_version_number(number: int) -> None:
    """Refuses what is no version of TensorRT since 5, the first whose cache looks so.

    Raises:
        UsageError: with what was found.
    """
    if not 5000 <= number < 10000 and not 100000 <= number < 1000000:
        raise UsageError("{} is no version of TensorRT (8.2.1 is 8201, 10.3.0 is 100300)".format(number))


def _check_algorithm(algorithm: str) -> None:
    if algorithm not in ALGORITHMS:
        raise UsageError("{!r} is no algorithm of TensorRT's: {}".format(algorithm, ", ".join(ALGORITHMS)))


def rewritten(cache: CalibrationCache, version: int, algorithm: Optional[str] = None) -> CalibrationCache:
    """The same rows under another first line, so that another TensorRT or calibrator takes them.

    For explicit commands only: TensorRT refuses a foreign first line for a reason. Scales of ONNX tensors mean the same
    everywhere; ``helper_rows`` may name other tensors there, which the caller should say.

    Raises:
        UsageError: no such version or algorithm.
    """
    check_version_number(version)
    if algorithm is not None:
        _check_algorithm(algorithm)
    return cache._replace(version=version, algorithm=algorithm or cache.algorithm)


class Change(NamedTuple):
    """A tensor with another range; ``ratio`` is the second amax by the first, infinite where that is zero."""

    name: str
    amax: float
    other_amax: float
    ratio: float


class Differences(NamedTuple):
    """How two caches differ: tensors of one alone, and changed ranges, largest change first."""

    only_here: Tuple[str, ...]
    only_there: Tuple[str, ...]
    changed: Tuple[Change, ...]


def differences(here: CalibrationCache, there: CalibrationCache) -> Differences:
    """Compares scales by name, to the bit; the order of rows and the first lines do not count."""
    ours, theirs, other_ranges = dict(here.scales), dict(there.scales), dict(there.ranges)
    changed = [
        Change(name, amax, other_ranges[name], theirs[name] / ours[name] if amax else np.inf)
        for name, amax in here.ranges
        if name in theirs and theirs[name] != ours[name]
    ]
    changed.sort(key=lambda change: -max(change.ratio, 1 / change.ratio if change.ratio else np.inf))
    return Differences(
        tuple(name for name in ours if name not in theirs),
        tuple(name for name in theirs if name not in ours),
        tuple(changed),
    )
