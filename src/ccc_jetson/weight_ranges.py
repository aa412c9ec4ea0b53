"""How large and how small weights are, and what half precision makes of them.

Everything is asked of the bits: where the processor treats denormals as zero, comparing floats finds none.
"""

import math
import struct
from typing import Any, Dict, Iterable, NamedTuple, Optional

import numpy as np

HALF_LARGEST = 65504.0

# Magnitudes as the bits of a float32 without its sign, which grow as the numbers do
_SIGN_OFF = np.uint32(0x7FFFFFFF)
_SMALLEST_NORMAL = 0x00800000  # 2^-126
_INFINITY = 0x7F800000
_HALF_LARGEST_BITS = 0x477FE000
_HALF_TO_ZERO = 0x33000000  # 2^-25: half of half's smallest number; rounds to zero
_HALF_NORMAL = 0x387FE000  # 2^-14 - 2^-25: from here on it rounds to half's smallest normal number


class WeightRanges(NamedTuple):
    """Of all values together; counts of numbers. ``largest`` and ``smallest`` are magnitudes of finite numbers.

    ``denormals`` in float32, ``above_half`` beyond 65504, ``zero_in_half`` not zero but rounded to it,
    ``subnormal_in_half`` kept with fewer bits.
    """

    tensors: int
    values: int
    zeros: int
    largest: Optional[float]
    smallest: Optional[float]  # that is not zero
    denormals: int
    above_half: int
    zero_in_half: int
    subnormal_in_half: int
    not_finite: int

    def to_json(self) -> Dict[str, Any]:
        """The fields by their names."""
        return dict(self._asdict())


def weight_ranges(arrays: Iterable[np.ndarray]) -> WeightRanges:
    """Looks at arrays of floating-point numbers; float16 is widened, float64 narrowed to float32."""
    tensors = values = zeros = denormals = above = to_zero = subnormal = not_finite = 0
    largest, smallest = 0, _INFINITY
    for array in arrays:
        bits = _magnitude_bits(array)
        tensors += 1
        values += bits.size
        zeros += int((bits == 0).sum())
        denormals += int(((bits > 0) & (bits < _SMALLEST_NORMAL)).sum())
        above += int(((bits > _HALF_LARGEST_BITS) & (bits < _INFINITY)).sum())
        to_zero += int(((bits > 0) & (bits <= _HALF_TO_ZERO)).sum())
        subnormal += int(((bits > _HALF_TO_ZERO) & (bits < _HALF_NORMAL)).sum())
        not_finite += int((bits >= _INFINITY).sum())
        finite = bits[(bits > 0) & (bits < _INFINITY)]
        if finite.size:
            largest, smallest = max(largest, int(finite.max())), min(smallest, int(finite.min()))
    return WeightRanges(
        tensors=tensors,
        values=values,
        zeros=zeros,
        largest=_number(largest) if largest else (0.0 if values > not_finite else None),
        smallest=_number(smallest) if largest else None,
        denormals=denormals,
        above_half=above,
        zero_in_half=to_zero,
        subnormal_in_half=subnormal,
        not_finite=not_finite,
    )


def largest_magnitude(array: np.ndarray) -> float:
    """The largest finite magnitude; 0 where there is none."""
    if array.dtype.kind != "f":
        return float(max(abs(int(array.max())), abs(int(array.min())))) if array.size else 0.0
    bits = _magnitude_bits(array)
    finite = bits[bits < _INFINITY]
    return _number(int(finite.max())) if finite.size else 0.0


def _magnitude_bits(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32).reshape(-1).view(np.uint32) & _SIGN_OFF


def _number(bits: int) -> float:
    """The float32 with these bits; a denormal is put together here, because the processor may read it as zero."""
    if bits < _SMALLEST_NORMAL:
        return math.ldexp(float(bits), -149)
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])
