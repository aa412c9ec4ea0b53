"""The camera and the road under it: where a point of the street lands in the picture.

Street coordinates are ``s`` metres along the road, ``t`` metres to the right of its middle and ``y`` metres
above it. The road bends and rolls by two sine waves. The camera looks along the road's tangent, so only the
departure from that tangent shows; yaw and pitch are small and enter as shifts of the principal point, which
makes the depth of a ground pixel a function of its row alone.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, overload

import numpy as np

NEAR_M = 1.5  # nothing is projected from closer than this
FAR_M = 150.0  # objects further away than this are left to the skyline
_FEW = 6

Points = Sequence[tuple[float, float, float]] | np.ndarray  # N points of three coordinates


class Wave(NamedTuple):
    """A sine wave along the road: a bend seen from above or a hill seen from the side (all in metres)."""

    amplitude: float
    length: float
    phase: float

    @overload
    def departure(self, s: float, z: float) -> float: ...
    @overload
    def departure(self, s: float, z: np.ndarray) -> np.ndarray: ...
    def departure(self, s: float, z: float | np.ndarray) -> float | np.ndarray:
        """Departure at ``s + z`` from the tangent at ``s``, in metres (``z`` a number or an array)."""
        here = s / self.length + self.phase
        there = z / self.length + here
        sine = math.sin(there) if isinstance(there, float) else np.sin(there)
        return self.amplitude * (sine - math.sin(here) - math.cos(here) / self.length * z)


class Camera(NamedTuple):
    """A pinhole camera on the road: focal lengths and principal point in pixels, position in metres."""

    width: int
    height: int
    fx: float
    fy: float
    u0: float
    v0: float
    s: float
    t: float
    eye: float
    bend: Wave
    hill: Wave

    def project(self, points: Points) -> np.ndarray:
        """Pixels (N, 2) of points (N, 3) given as (s, t, y); depth is held at ``NEAR_M`` or more."""
        if len(points) <= _FEW:  # plain arithmetic beats NumPy's calls, and most polygons have four corners
            return np.array([self.spot(*point)[:2] for point in points])
        points = np.asarray(points, dtype=np.float64)
        z = np.maximum(points[:, 0] - self.s, NEAR_M)
        pixels = np.empty((len(points), 2))
        pixels[:, 0] = self.u0 + self.fx * (points[:, 1] - self.t + self.bend.departure(self.s, z)) / z
        pixels[:, 1] = self.v0 + self.fy * (self.eye - points[:, 2] - self.hill.departure(self.s, z)) / z
        return pixels

    def spot(self, s: float, t: float, y: float = 0.0) -> tuple[float, float, float, float]:
        """A point's pixel (u, v) and the pixels per metre there, across and up."""
        z = max(float(s) - self.s, NEAR_M)
        u = self.u0 + self.fx * (float(t) - self.t + self.bend.departure(self.s, z)) / z
        v = self.v0 + self.fy * (self.eye - float(y) - self.hill.departure(self.s, z)) / z
        return u, v, self.fx / z, self.fy / z

    def ground_rows(self) -> tuple[int, np.ndarray]:
        """The first row that shows ground, and the depth in metres of it and of every row below."""
        z = np.geomspace(0.6, 400.0, 256)
        v = self.v0 + self.fy * (self.eye - self.hill.departure(self.s, z)) / z
        v = np.minimum.accumulate(v)  # behind a crest nothing is seen
        first = int(min(max(math.ceil(v[-1]), 1), self.height - 1))
        rows = np.arange(first, self.height) + 0.5
        return first, np.interp(rows, v[::-1], z[::-1])

    def ground_t(self, depth: np.ndarray) -> np.ndarray:
        """``t`` of every ground pixel: depths (R,) -> (R, width) float32."""
        across = (np.arange(self.width, dtype=np.float32) + np.float32(0.5 - self.u0)) / np.float32(self.fx)
        shift = self.t - self.bend.departure(self.s, depth)
        return depth.astype(np.float32)[:, None] * across[None] + shift.astype(np.float32)[:, None]
