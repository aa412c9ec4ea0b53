"""What a street is like all along: its cross section, taste and weather, a pure function of the seed."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ccc_jetson.export.scenes.camera import Wave
from ccc_jetson.export.scenes.colours import Colour, colour_of
from ccc_jetson.export.scenes.light import Light, draw_light
from ccc_jetson.export.scenes.looks import (
    some_grey,
    some_leaf_colours,
    some_paint,
    some_vehicle,
    some_wall_colour,
)
from ccc_jetson.export.scenes.vehicles import Vehicle


class Town(NamedTuple):
    """What is the same all along a street; lengths in metres, colours B, G, R."""

    seed: int
    light: Light
    bend: Wave
    hill: Wave
    speed: float
    eye: float
    focal: float  # in units of half the picture's width
    stretch: float  # how much taller than wide a pixel's view is
    shift_u: float
    shift_v: float
    lane: float
    lanes: int  # on each side
    parking: tuple[bool, bool]
    half_road: float
    pavement: tuple[float, float]
    own_t: float
    asphalt: Colour
    paving: Colour
    kerb: Colour
    grass: Colour
    marking: Colour
    centre_line: str
    crossing_every: int
    green: float
    houses: bool
    walls: tuple[Colour, ...]
    leaves: tuple[tuple[Colour, Colour], ...]
    tree_kinds: tuple[str, ...]
    tree_step: float
    lamp_step: float
    crowd: float
    parked: float
    traffic: tuple[Vehicle, ...]
    bonnet: Colour | None


def _traffic(
    rng: np.random.Generator, lane: float, lanes: int, own_t: float, speed: float, lights: bool
) -> tuple[Vehicle, ...]:
    """Cars on the move: one ahead, some further on, and those that come towards us."""
    cars = []
    side = math.copysign(1.0, own_t)
    dense = rng.uniform(14, 90)
    for index in range(lanes):
        s = rng.uniform(19, 60)
        while s < 150:
            heading = rng.normal(0, 0.02)
            cars.append(
                some_vehicle(
                    rng,
                    s,
                    side * (index + 0.5) * lane + rng.normal(0, 0.15),
                    heading,
                    speed * rng.uniform(0.95, 1.1),
                    lights,
                )
            )
            s += rng.uniform(9, 12) + rng.exponential(dense)
    pace = 0.0 if rng.random() < 0.2 else rng.uniform(5, 12)
    for index in range(lanes):
        s = rng.uniform(4, 40)
        while s < 260:
            cars.append(
                some_vehicle(
                    rng,
                    s,
                    -side * (index + 0.5) * lane + rng.normal(0, 0.15),
                    math.pi + rng.normal(0, 0.02),
                    -pace,
                    lights,
                )
            )
            s += rng.uniform(9, 13) + rng.exponential(dense)
    return tuple(cars)


@lru_cache(maxsize=16)
def build_town(seed: int) -> Town:
    """Draw what is the same all along the street of this seed."""
    rng = np.random.default_rng([2604, seed])
    light = draw_light(rng)
    lane = float(rng.uniform(2.8, 3.6))
    lanes = 2 if rng.random() < 0.25 else 1
    parking = (bool(rng.random() < 0.45), bool(rng.random() < 0.45))
    half_road = lanes * lane + (2.1 if any(parking) else rng.uniform(0.2, 0.8))
    drives_right = rng.random() < 0.8
    own_lane = int(rng.integers(lanes))
    own_t = (own_lane + 0.5) * lane * (1.0 if drives_right else -1.0)
    speed = 0.0 if rng.random() < 0.08 else float(rng.uniform(4, 11))
    bend_length = float(rng.uniform(40, 130))
    hill_length = float(rng.uniform(45, 120))
    houses = bool(rng.random() < 0.25)
    lights = light.lamps > 0.3 or bool(rng.random() < 0.2)
    season = rng.random()
    kinds = ("broad", "broad", "broad", "column", "conifer") if season < 0.8 else ("bare", "bare", "conifer", "broad")
    return Town(
        seed=seed,
        light=light,
        bend=Wave(float(rng.uniform(-1, 1) * bend_length**2 / 90), bend_length, float(rng.uniform(0, 6.28))),
        hill=Wave(float(rng.uniform(-1, 1) * hill_length**2 / 1800), hill_length, float(rng.uniform(0, 6.28))),
        speed=speed,
        eye=float(rng.uniform(1.1, 2.3)),
        focal=float(rng.uniform(1.15, 2.2)),
        stretch=float(rng.uniform(0.9, 1.15)),
        shift_u=float(rng.normal(0, 0.06)),
        shift_v=float(rng.normal(-0.03, 0.045)),
        lane=lane,
        lanes=lanes,
        parking=parking,
        half_road=float(half_road),
        pavement=(float(rng.uniform(1.8, 6.5)), float(rng.uniform(1.8, 6.5))),
        own_t=float(own_t + rng.normal(0, 0.25)),
        asphalt=some_grey(rng, 62, 150, 9),
        paving=some_grey(rng, 95, 190, 22)
        if rng.random() < 0.8
        else (rng.uniform(70, 110), rng.uniform(90, 125), rng.uniform(130, 175)),
        kerb=some_grey(rng, 120, 205, 8),
        grass=colour_of(np.array([rng.uniform(0.3, 0.6), 1.0, rng.uniform(0.6, 1.05)]) * rng.uniform(70, 140)),
        marking=some_grey(rng, 185, 245, 6) if rng.random() < 0.85 else (40.0, 180.0, 225.0),
        centre_line=str(rng.choice(("dashed", "solid", "double", "none"), p=(0.55, 0.2, 0.15, 0.1))),
        crossing_every=int(rng.integers(3, 7)),
        green=float(rng.uniform(0.05, 0.75)),
        houses=houses,
        walls=tuple(some_wall_colour(rng) for _ in range(int(rng.integers(3, 8)))),
        leaves=tuple(some_leaf_colours(rng) for _ in range(3)),
        tree_kinds=kinds,
        tree_step=float(rng.choice((7.0, 11.0, 16.0, 60.0))),
        lamp_step=float(rng.uniform(18, 38)),
        crowd=float(rng.choice((0.8, 2.0, 4.0, 7.0), p=(0.25, 0.35, 0.28, 0.12))),
        parked=float(rng.uniform(0.35, 0.95)),
        traffic=_traffic(rng, lane, lanes, own_t, speed, lights),
        bonnet=some_paint(rng) if rng.random() < 0.15 else None,
    )
