"""Cars, vans, trucks and buses: boxes with a profile, turned and placed on the road."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ccc_jetson.export.scenes.camera import Points
from ccc_jetson.export.scenes.canvas import Canvas
from ccc_jetson.export.scenes.colours import Colour, colour_of, mixed, scaled

CAR, TRUCK, BUS = 13, 14, 15

# (name, length, width, roof height, belt height, greenhouse from front to back at the belt and at the roof)
_BODIES = {
    "hatchback": (4.0, 1.75, 1.48, 0.92, (0.30, 1.00), (0.50, 0.92)),
    "saloon": (4.6, 1.80, 1.44, 0.90, (0.29, 0.84), (0.45, 0.70)),
    "estate": (4.7, 1.82, 1.50, 0.92, (0.28, 1.00), (0.45, 0.95)),
    "suv": (4.6, 1.90, 1.72, 1.05, (0.27, 1.00), (0.42, 0.95)),
    "van": (5.2, 1.98, 2.05, 1.20, (0.12, 1.00), (0.28, 0.99)),
}
CAR_BODIES = tuple(_BODIES)
_TYRE = (26.0, 25.0, 24.0)


class Vehicle(NamedTuple):
    """A vehicle at (s, t), heading in radians from the road's direction towards the right."""

    s: float
    t: float
    heading: float
    velocity: float  # metres per second along the road
    body: str  # a name of CAR_BODIES, "truck" or "bus"
    paint: Colour
    second: Colour  # glass of a car, load area of a truck, stripe of a bus
    lights: bool

    @property
    def size(self) -> tuple[float, float, float]:
        """Length, width and height in metres."""
        if self.body == "bus":
            return 11.5, 2.5, 3.1
        if self.body == "truck":
            return 7.5, 2.4, 3.3
        return _BODIES[self.body][:3]

    def footprint(self, margin: float = 0.0) -> np.ndarray:
        """The corners (4, 2) of the place it stands on."""
        length, width, _ = self.size
        a, b = length / 2 + margin, width / 2 + margin
        return _place(self, [(a, -b, 0), (a, b, 0), (-a, b, 0), (-a, -b, 0)])[:, :2]


def _place(vehicle: Vehicle, local: Points) -> np.ndarray:
    """Local points (forward, right, up) -> street points (s, t, y), both (N, 3)."""
    local = np.asarray(local, dtype=np.float64)
    c, s = math.cos(vehicle.heading), math.sin(vehicle.heading)
    placed = np.empty_like(local)
    placed[:, 0] = vehicle.s + local[:, 0] * c - local[:, 1] * s
    placed[:, 1] = vehicle.t + local[:, 0] * s + local[:, 1] * c
    placed[:, 2] = local[:, 2]
    return placed


# Faces of a hexahedron whose corners are the lower four (front left, front right, back right, back left) and
# then the upper four; every face is wound so that seen from outside it runs anticlockwise on the picture.
_FACES = {
    "front": (1, 0, 4, 5),
    "back": (3, 2, 6, 7),
    "left": (0, 3, 7, 4),
    "right": (2, 1, 5, 6),
    "top": (7, 6, 5, 4),
}
_NORMALS = {"front": (1, 0, 0), "back": (-1, 0, 0), "left": (0, -1, 0), "right": (0, 1, 0), "top": (0, 0, 1)}


def _hexahedron(
    low: tuple[float, float, float], high: tuple[float, float, float], y0: float, y1: float
) -> list[tuple[float, float, float]]:
    """Corners of a box between two rectangles (back, front, half width): (8, 3) local points."""
    (a0, a1, b), (c0, c1, d) = low, high
    return [
        (a1, -b, y0),
        (a1, b, y0),
        (a0, b, y0),
        (a0, -b, y0),
        (c1, -d, y1),
        (c1, d, y1),
        (c0, d, y1),
        (c0, -d, y1),
    ]


_FACE_NAMES = tuple(_FACES)
_FACE_CORNERS = np.array(list(_FACES.values()))


def _visible(corners: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The faces that look at the camera, by their sense of rotation on the picture: (name, quad (4, 2))."""
    quads = corners[_FACE_CORNERS]
    p, q = quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]
    seen = p[:, 0] * q[:, 1] < q[:, 0] * p[:, 1]
    return [(name, quad) for name, quad, face in zip(_FACE_NAMES, quads, seen.tolist(), strict=True) if face]


def _patch(quad: np.ndarray, u0: float, u1: float, v0: float, v1: float) -> np.ndarray:
    """A rectangle on a face: u runs along its lower edge, v from the lower to the upper edge, both 0..1."""
    share = np.array(
        [
            ((1 - u0) * (1 - v0), u0 * (1 - v0), u0 * v0, (1 - u0) * v0),
            ((1 - u1) * (1 - v0), u1 * (1 - v0), u1 * v0, (1 - u1) * v0),
            ((1 - u1) * (1 - v1), u1 * (1 - v1), u1 * v1, (1 - u1) * v1),
            ((1 - u0) * (1 - v1), u0 * (1 - v1), u0 * v1, (1 - u0) * v1),
        ]
    )
    return share @ quad


def draw_vehicle(canvas: Canvas, vehicle: Vehicle) -> None:
    """Paint one vehicle."""
    z = vehicle.s - canvas.camera.s
    if z + vehicle.size[0] / 2 < 2.0:
        return
    shades = {}
    c, s = math.cos(vehicle.heading), math.sin(vehicle.heading)
    for name, (forward, right, up) in _NORMALS.items():
        shades[name] = canvas.light.shade(forward * c - right * s, forward * s + right * c, up)
    if vehicle.body in _BODIES:
        _draw_car(canvas, vehicle, z, shades)
    else:
        _draw_tall(canvas, vehicle, z, shades)


def _wheels(
    canvas: Canvas, vehicle: Vehicle, z: float, side: str, radius: float, places: Sequence[float], label: int
) -> None:
    """Wheels of the visible side, as projected rings."""
    half = vehicle.size[1] / 2 * (1.0 if side == "right" else -1.0) * 1.005
    angle = np.arange(10) * (2 * math.pi / 10)
    tyre = canvas.colour(_TYRE, canvas.light.ambient, z)
    rim = canvas.colour((120.0, 120.0, 120.0), canvas.light.ambient, z)
    for place in places:
        for size, colour in ((radius, tyre), (radius * 0.6, rim)):
            ring = np.stack([place + size * np.cos(angle), np.full(10, half), radius + size * np.sin(angle)], axis=1)
            canvas.fill(canvas.camera.project(_place(vehicle, ring)), colour, label)
            if canvas.camera.fy / max(z, 1) < 18:
                break


def _lamps(canvas: Canvas, vehicle: Vehicle, name: str, quad: np.ndarray, z: float, label: int) -> None:
    """Head or tail lights on a front or back face."""
    glow = 1.0 if vehicle.lights else 0.45
    albedo = (235.0, 245.0, 250.0) if name == "front" else (40.0, 30.0, 215.0)
    haze = canvas.light.haze(z)
    base = max(glow, min(sum(canvas.light.ambient) / 3, 1.0) * 0.9)
    colour = mixed(scaled(albedo, base, most=255.0), canvas.light.fog, haze)
    for u in (0.03, 0.8):
        lamp = _patch(quad, u, u + 0.17, 0.5, 0.85)
        canvas.fill(lamp, colour, label)
        if vehicle.lights:
            centre = lamp.mean(axis=0)
            radius = 0.4 * float(lamp[1, 0] - lamp[0, 0])
            canvas.glows.append((centre[0], centre[1], abs(radius) * (1.6 if name == "front" else 1.0), albedo))


def _draw_car(canvas: Canvas, vehicle: Vehicle, z: float, shades: dict[str, Colour]) -> None:
    length, width, roof, belt, at_belt, at_roof = _BODIES[vehicle.body]
    front, half = length / 2, width / 2
    lower = _hexahedron((-front, front, half * 0.97), (-front + 0.06, front - 0.12, half), 0.26, belt)
    glass = _hexahedron(
        (front - at_belt[1] * length + 0.02, front - at_belt[0] * length, half * 0.96),
        (front - at_roof[1] * length, front - at_roof[0] * length, half * 0.78),
        belt,
        roof,
    )
    skirt = _hexahedron((-front + 0.1, front - 0.1, half * 0.92), (-front, front, half * 0.94), 0.12, 0.3)
    corners = canvas.camera.project(_place(vehicle, skirt + lower + glass))
    detail = roof * canvas.camera.fy / max(z, 2.0)
    paint = {name: canvas.colour(vehicle.paint, shade, z) for name, shade in shades.items()}
    dark = canvas.colour((30.0, 30.0, 30.0), canvas.light.ambient, z)
    for name, quad in _visible(corners[:8]):
        if name != "top":
            canvas.fill(quad, dark, CAR)
    for name, quad in _visible(corners[8:16]):
        canvas.fill(quad, paint[name], CAR)
        if detail < 9:
            continue
        if name in ("left", "right"):
            if detail > 26:
                line = scaled(paint[name], 0.6)
                for u in (0.34, 0.58, 0.8):
                    canvas.fill(_patch(quad, u, u + 0.006, 0.1, 1), line, CAR)
                canvas.fill(_patch(quad, 0.0, 1.0, 0.0, 0.12), scaled(paint[name], 0.7), CAR)
            _wheels(canvas, vehicle, z, name, 0.32, (-0.30 * length, 0.31 * length), CAR)
        elif name in ("front", "back"):
            canvas.fill(_patch(quad, 0.0, 1.0, 0.0, 0.26), scaled(paint[name], 0.55), CAR)
            _lamps(canvas, vehicle, name, quad, z, CAR)
            if detail > 16:
                plate = canvas.colour((215.0, 220.0, 215.0), shades[name], z)
                canvas.fill(_patch(quad, 0.37, 0.63, 0.2, 0.38), plate, CAR)
                if name == "front":
                    canvas.fill(_patch(quad, 0.25, 0.75, 0.5, 0.75), dark, CAR)
    sky = canvas.light.sky_low
    for name, quad in _visible(corners[16:]):
        canvas.fill(quad, paint[name], CAR)
        if name == "top" or detail < 7:
            continue
        mirror = 0.10 if name in ("left", "right") else 0.22
        tint = canvas.colour(vehicle.second, canvas.light.ambient, z)
        colour = mixed(tint, sky, mirror)
        if name in ("left", "right"):
            if vehicle.body == "van":
                ahead = name == "right"
                canvas.fill(_patch(quad, 0.68 if ahead else 0.06, 0.94 if ahead else 0.32, 0.1, 0.85), colour, CAR)
                continue
            canvas.fill(_patch(quad, 0.05, 0.48, 0.08, 0.9), colour, CAR)
            canvas.fill(_patch(quad, 0.52, 0.95, 0.08, 0.9), colour, CAR)
        else:
            canvas.fill(_patch(quad, 0.05, 0.95, 0.08, 0.92), colour, CAR)
            if detail > 40:
                bright = colour_of(min(255.0, v + 22) for v in colour)
                canvas.fill(_patch(quad, 0.55, 0.75, 0.08, 0.92), bright, CAR)


def _draw_tall(canvas: Canvas, vehicle: Vehicle, z: float, shades: dict[str, Colour]) -> None:
    """A bus, or a truck with its cab before the load."""
    length, width, height = vehicle.size
    front, half = length / 2, width / 2
    label = BUS if vehicle.body == "bus" else TRUCK
    if vehicle.body == "bus":
        parts = [(-front, front, 0.35, height, vehicle.paint, True)]
    else:
        cab = (front - 2.0, front, 0.5, 2.6, vehicle.paint, True)
        load = (-front, front - 2.1, 0.7, height, vehicle.second, False)
        parts = [cab, load] if math.cos(vehicle.heading) > 0 else [load, cab]
        chassis = (-front + 0.2, front - 0.2, 0.35, 0.8, (35.0, 35.0, 35.0), False)
        parts.insert(0, chassis)
    glass = canvas.colour((45.0, 40.0, 35.0), canvas.light.ambient, z)
    glass = mixed(glass, canvas.light.sky_low, 0.2)
    inside = (150.0, 215.0, 235.0)
    lamps = 0.6 * canvas.light.lamps
    glass = mixed(glass, inside, lamps)
    for a0, a1, y0, y1, albedo, windows in parts:
        box = _hexahedron((a0, a1, half), (a0 + 0.04, a1 - 0.08, half * 0.98), y0, y1)
        for name, quad in _visible(canvas.camera.project(_place(vehicle, box))):
            colour = canvas.colour(albedo, shades[name], z)
            canvas.fill(quad, colour, label)
            if name == "top":
                continue
            if name in ("front", "back"):
                if windows:
                    canvas.fill(_patch(quad, 0.06, 0.94, 0.42, 0.86), glass, label)
                    _lamps(canvas, vehicle, name, _patch(quad, 0, 1, 0, 0.3), z, label)
                elif a0 == -front and name == "back":
                    seam = scaled(colour, 0.7)
                    canvas.fill(_patch(quad, 0.495, 0.51, 0.02, 0.98), seam, label)
                    _lamps(canvas, vehicle, name, _patch(quad, 0, 1, 0, 0.12), z, label)
                continue
            if vehicle.body == "bus":
                canvas.fill(_patch(quad, 0, 1, 0.2, 0.34), canvas.colour(vehicle.second, shades[name], z), label)
                for index in range(7):
                    u = 0.03 + index * 0.138
                    canvas.fill(_patch(quad, u, u + 0.12, 0.45, 0.86), glass, label)
            elif windows:
                canvas.fill(_patch(quad, 0.2, 0.8, 0.5, 0.88), glass, label)
            elif y1 == height:
                stripe = scaled(colour, 0.75)
                canvas.fill(_patch(quad, 0, 1, 0.0, 0.06), stripe, label)
                canvas.fill(_patch(quad, 0.15, 0.7, 0.4, 0.65), colour_of(255 - 0.6 * v for v in colour), label)
    sides = [
        name
        for name, _ in _visible(
            canvas.camera.project(_place(vehicle, _hexahedron((-front, front, half), (-front, front, half), 0.3, 1.0)))
        )
    ]
    for name in ("left", "right"):
        if name in sides:
            _wheels(canvas, vehicle, z, name, 0.48, (-0.28 * length, 0.33 * length), label)
