"""People on foot and on two wheels: jointed figures on upright cards that face the camera."""

import math
from typing import NamedTuple

import numpy as np

from ccc_jetson.export.scenes.canvas import Canvas
from ccc_jetson.export.scenes.colours import Colour, scaled

PERSON, RIDER, MOTORCYCLE, BICYCLE = 11, 12, 17, 18


class Person(NamedTuple):
    """Somebody walking or standing at (s, t); lengths in metres, speeds in metres per second."""

    s: float
    t: float
    velocity: float  # along the road
    sideways: float  # across it
    height: float
    phase: float  # of the gait, radians
    profile: float  # 0 seen from front or back .. 1 seen from the side; negative walks to the left
    coat: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    dress: str  # "plain", "long coat", "skirt", "vest", "umbrella", "rucksack"


class TwoWheeler(NamedTuple):
    """A bicycle or motorcycle at (s, t), ridden or parked; ``turn`` as ``Person.profile``."""

    s: float
    t: float
    velocity: float
    turn: float
    motor: bool
    paint: Colour
    rider: Person | None


def draw_person(canvas: Canvas, person: Person, time_s: float, label: int = PERSON) -> None:
    """Paint one person; the gait goes with the time."""
    u, v, per_x, per_y = canvas.camera.spot(person.s, person.t)
    z = person.s - canvas.camera.s
    if z < 2.5 or not -2 * per_x < u < canvas.camera.width + 2 * per_x:
        return
    scale = person.height / 1.75
    px, py = per_x * scale, per_y * scale
    speed = math.hypot(person.velocity, person.sideways)
    swing = math.sin(person.phase + 5.2 * time_s * min(speed, 1.6)) * min(speed / 1.2, 1.0)
    if speed < 0.05:
        swing = 0.25 * math.sin(person.phase)
    side = abs(person.profile)
    ahead = -1.0 if person.profile < 0 else 1.0
    light = canvas.light
    shade = light.shade(-0.8, 0.4 * math.copysign(1, light.sun_t), 0.35)
    coat = canvas.colour(person.coat, shade, z)
    trousers = canvas.colour(person.trousers, shade, z)
    skin = canvas.colour(person.skin, shade, z)
    hair = canvas.colour(person.hair, shade, z)
    if py * 1.75 < 9:
        canvas.line((u, v), (u, v - 0.85 * py), 0.3 * px, trousers, label)
        canvas.line((u, v - 0.85 * py), (u, v - 1.6 * py), 0.42 * px, coat, label)
        return

    def at(x: float, y: float) -> tuple[float, float]:
        return u + x * px, v - y * py

    stride = 0.34 * side + 0.07
    width = 0.21 - 0.07 * side  # half width of the shoulders
    leg = 0.17 * min(px, py)
    shoes = canvas.colour((28.0, 28.0, 30.0), shade, z)
    for sign, tone in ((-1, scaled(trousers, 0.75)), (1, trousers)):
        move = sign * swing
        hip = (sign * 0.09 * (1 - side), 0.88)
        foot = (hip[0] * 1.2 + ahead * move * stride, 0.05 + 0.10 * max(0.0, -move) * (0.4 + side))
        knee = (0.5 * (hip[0] + foot[0]) + ahead * 0.06 * side, 0.47 + 0.03 * max(0.0, -move))
        bare = person.dress == "skirt"
        canvas.line(at(*hip), at(*knee), leg, tone, label)
        canvas.line(at(*knee), at(*foot), leg * 0.8, skin if bare else tone, label)
        canvas.line(at(*foot), at(foot[0] + ahead * 0.13 * (0.25 + side), 0.05), leg * 0.7, shoes, label)
    arm = 0.12 * min(px, py)
    for sign, tone in ((-1, scaled(coat, 0.8)), (1, scaled(coat, 0.9))):
        move = -sign * swing
        shoulder = (sign * width * 0.95, 1.40)
        hand = (shoulder[0] * 1.25 + ahead * move * 0.24 * (0.2 + side), 0.82 + 0.05 * abs(move))
        elbow = (0.5 * (shoulder[0] + hand[0]) - ahead * 0.05 * side, 1.1)
        if sign > 0:  # the trunk goes between the arms
            hem = 0.45 if person.dress == "long coat" else 0.6 if person.dress == "skirt" else 0.84
            flare = 1.15 if hem < 0.7 else 0.85
            hips = width * flare + 0.02
            torso = [at(-width, 1.45), at(-0.07, 1.52), at(0.07, 1.52), at(width, 1.45), at(hips, hem), at(-hips, hem)]
            canvas.fill(np.array(torso), coat, label)
            if person.dress == "vest":
                glow = canvas.colour((60.0, 250.0, 215.0), shade, z)
                canvas.fill(np.array([at(-width, 1.4), at(width, 1.4), at(width, 0.95), at(-width, 0.95)]), glow, label)
            elif person.dress == "rucksack":
                x = -ahead * 0.2 * side
                pack = canvas.colour(person.hair[::-1], shade, z)
                canvas.fill(
                    np.array([at(x - 0.14, 1.42), at(x + 0.14, 1.42), at(x + 0.14, 0.98), at(x - 0.14, 0.98)]),
                    pack,
                    label,
                )
        canvas.line(at(*shoulder), at(*elbow), arm, tone, label)
        canvas.line(at(*elbow), at(*hand), arm * 0.85, tone, label)
        canvas.line(at(*hand), at(*hand), arm * 0.9, skin, label)
    canvas.line(at(0, 1.48), at(0, 1.58), 0.11 * px, skin, label)
    canvas.ellipse(at(0.03 * ahead * side, 1.64), 0.095 * px, 0.125 * py, skin, label)
    canvas.ellipse(at(-0.015 * ahead * side, 1.69), 0.1 * px, 0.09 * py, hair, label)
    if person.dress == "umbrella":
        canvas.line(at(0.2, 1.1), at(0.12, 2.1), 0.025 * px, shoes, label)
        dome = [at(0.12 + 0.6 * math.cos(a), 1.85 + 0.32 * math.sin(a)) for a in np.linspace(0, math.pi, 9)]
        canvas.fill(np.array(dome), canvas.colour(person.hair[::-1], shade, z), label)


def draw_two_wheeler(canvas: Canvas, machine: TwoWheeler, time_s: float) -> None:
    """Paint a bicycle or motorcycle, with its rider if it has one."""
    u, v, per_x, per_y = canvas.camera.spot(machine.s, machine.t)
    z = machine.s - canvas.camera.s
    if z < 2.5 or not -2 * per_x < u < canvas.camera.width + 2 * per_x:
        return
    label = MOTORCYCLE if machine.motor else BICYCLE
    turn = machine.turn if abs(machine.turn) > 0.12 else 0.12
    shade = canvas.light.shade(-0.8, 0.3, 0.4)
    paint = canvas.colour(machine.paint, shade, z)
    tyre = canvas.colour((30.0, 30.0, 30.0), shade, z)

    def at(x: float, y: float) -> tuple[float, float]:
        return u + x * turn * per_x, v - y * per_y

    radius = 0.31 if machine.motor else 0.34
    base = 0.62 if machine.motor else 0.52
    stroke = (0.12 if machine.motor else 0.055) * min(per_x, per_y)
    angle = np.linspace(0, 2 * math.pi, 13)
    wide = max(abs(turn), 0.18)
    for centre in (-base, base):
        rim = [at(centre + radius * math.cos(a) * wide / turn, radius + radius * math.sin(a)) for a in angle]
        canvas.lines(np.array([rim]), stroke, tyre, label)
    if machine.motor:
        body = [
            at(-0.75, 0.75),
            at(-0.1, 0.8),
            at(0.2, 0.95),
            at(0.45, 0.9),
            at(0.5, 0.5),
            at(0.1, 0.25),
            at(-0.4, 0.3),
        ]
        canvas.fill(np.array(body), paint, label)
    frame = [((-base, radius), (-0.2, 0.85)), ((-0.2, 0.85), (0.05, 0.3)), ((0.05, 0.3), (0.4, 0.8))]
    frame += [((0.4, 0.8), (base, radius)), ((-0.2, 0.82), (0.38, 0.78)), ((-base, radius), (0.05, 0.3))]
    frame += [((0.4, 0.8), (0.34, 1.02)), ((0.26, 1.04), (0.46, 1.02))]
    canvas.lines(np.array([(at(*begin), at(*end)) for begin, end in frame]), stroke * 1.1, paint, label)
    bar, height = 0.27 * per_x * (1 - abs(turn)), v - 1.03 * per_y
    canvas.line((u - bar, height), (u + bar, height), stroke, tyre, label)
    canvas.line(at(-0.32, 0.93), at(-0.1, 0.93), stroke * 1.6, tyre, label)
    if machine.rider is not None:
        pedals = machine.rider.phase + (0.0 if machine.motor else 4.0 * time_s)
        _draw_rider(canvas, machine.rider, pedals, u, v, per_x, per_y, turn, shade, z)


def _draw_rider(
    canvas: Canvas,
    rider: Person,
    angle: float,
    u: float,
    v: float,
    per_x: float,
    per_y: float,
    turn: float,
    shade: Colour,
    z: float,
) -> None:
    """The rider on the saddle: leaning trunk, legs on the pedals at this angle (radians), arms to the bar."""
    coat = canvas.colour(rider.coat, shade, z)
    trousers = canvas.colour(rider.trousers, shade, z)
    skin = canvas.colour(rider.skin, shade, z)
    helmet = canvas.colour(rider.hair, shade, z)
    open_side = 1 - abs(turn)

    def at(x: float, y: float, side: float = 0.0) -> tuple[float, float]:
        return u + (x * turn + side * (0.25 + 0.75 * open_side)) * per_x, v - y * per_y

    size = min(per_x, per_y)
    for sign in (-1, 1):
        pedal = at(0.05 + 0.16 * math.cos(angle) * sign, 0.34 + 0.15 * math.sin(angle) * sign, 0.1 * sign)
        knee = at(0.22, 0.72 + 0.12 * math.sin(angle) * sign, 0.13 * sign)
        tone = scaled(trousers, 0.9 + 0.1 * sign)
        canvas.line(at(-0.18, 0.95, 0.07 * sign), knee, 0.17 * size, tone, RIDER)
        canvas.line(knee, pedal, 0.13 * size, tone, RIDER)
    width = 0.13 + 0.09 * open_side
    trunk = [at(-0.22, 0.9, -width * 0.8), at(0.1, 1.48, -width), at(0.1, 1.48, width), at(-0.22, 0.9, width * 0.8)]
    if abs(turn) > 0.5:
        trunk = [at(-0.34, 0.92), at(-0.08, 1.45), at(0.14, 1.5), at(-0.02, 0.92)]
    canvas.fill(np.array(trunk), coat, RIDER)
    for sign in (-1, 1):
        canvas.line(at(0.08, 1.4, width * 0.9 * sign), at(0.34, 1.05, 0.22 * sign), 0.11 * size, coat, RIDER)
    canvas.ellipse(at(0.16, 1.63), 0.1 * per_x, 0.13 * per_y, skin, RIDER)
    canvas.ellipse(at(0.14, 1.69), 0.12 * per_x, 0.09 * per_y, helmet, RIDER)
