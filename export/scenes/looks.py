"""The looks of single things, by chance: colours, cars, people, trees, posts.

Every function takes the generator that its choices come from; places are in street coordinates.
"""

import math

import numpy as np

from ccc_jetson.export.scenes.colours import Colour, colour_of
from ccc_jetson.export.scenes.furniture import Post, Tree
from ccc_jetson.export.scenes.people import Person
from ccc_jetson.export.scenes.vehicles import CAR_BODIES, Vehicle


def some_grey(rng: np.random.Generator, low: float, high: float, tint: float) -> Colour:
    base = rng.uniform(low, high)
    return colour_of(min(max(base + v, 5.0), 250.0) for v in rng.uniform(-tint, tint, 3).tolist())


def some_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 62))


def some_wall_colour(rng: np.random.Generator) -> Colour:
    kind = rng.random()
    if kind < 0.3:
        return some_grey(rng, 80, 215, 12)
    if kind < 0.55:  # sand, ochre, cream
        base = rng.uniform(110, 225)
        return (base * rng.uniform(0.6, 0.85), base * rng.uniform(0.82, 0.97), base)
    if kind < 0.75:  # brick
        base = rng.uniform(80, 165)
        return (base * rng.uniform(0.4, 0.65), base * rng.uniform(0.5, 0.72), base)
    if kind < 0.87:  # the colour of the sky
        return (rng.uniform(180, 235), rng.uniform(165, 215), rng.uniform(130, 205))
    if kind < 0.94:  # green as the trees
        base = rng.uniform(70, 150)
        return (base * 0.7, base, base * 0.75)
    return colour_of(rng.uniform(60, 220, 3))


def some_leaf_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    kind = rng.random()
    if kind < 0.75:
        base = np.array([rng.uniform(0.25, 0.6), 1.0, rng.uniform(0.55, 1.0)])
    elif kind < 0.92:  # autumn
        base = np.array([rng.uniform(0.15, 0.35), rng.uniform(0.55, 0.9), 1.0])
    else:
        base = np.array([rng.uniform(0.5, 0.9), 0.85, rng.uniform(0.8, 1.0)])
    dark, bright = rng.uniform(22, 48), rng.uniform(95, 190)
    return colour_of(base * dark), colour_of(base * bright)


def some_paint(rng: np.random.Generator) -> Colour:
    kind = rng.random()
    if kind < 0.62:  # white, silver, grey, black
        return some_grey(rng, 18, 238, 7)
    if kind < 0.92:
        return colour_of(rng.uniform(15, 190, 3))
    return colour_of(((30, 30, 190), (170, 60, 20), (40, 190, 230), (60, 110, 30))[rng.integers(4)])


def some_vehicle(
    rng: np.random.Generator, s: float, t: float, heading: float, velocity: float, lights: bool
) -> Vehicle:
    kind = rng.random()
    body = str(rng.choice(CAR_BODIES)) if kind < 0.84 else "truck" if kind < 0.93 else "bus"
    paint = some_paint(rng)
    second = (40.0, 36.0, 32.0)
    if body == "truck":
        second = some_grey(rng, 60, 240, 25) if rng.random() < 0.6 else colour_of(rng.uniform(20, 220, 3))
    elif body == "bus":
        second = colour_of(rng.uniform(20, 230, 3))
        if rng.random() < 0.6:
            fleets = ((40, 40, 185), (50, 190, 225), (200, 200, 205), (150, 90, 30), (70, 120, 40))
            paint = colour_of(fleets[rng.integers(5)])
    return Vehicle(s, t, heading, velocity, body, paint, second, lights)


def some_person(rng: np.random.Generator, s: float, t: float, wet: float, walk: str) -> Person:
    """Somebody who goes "along" the street, "across" it, or is "standing"."""
    velocity = sideways = 0.0
    profile = rng.uniform(-1, 1)
    if walk == "along":
        velocity, profile = rng.uniform(0.8, 1.6) * rng.choice((-1.0, 1.0)), rng.uniform(-0.45, 0.45)
    elif walk == "across":
        sideways = rng.uniform(0.9, 1.5) * rng.choice((-1.0, 1.0))
        profile = math.copysign(rng.uniform(0.8, 1.0), sideways)
    tone = rng.uniform(0.35, 1.0)
    colourful = rng.random() < 0.45
    coat = colour_of(rng.uniform(15, 225, 3)) if colourful else some_grey(rng, 15, 200, 12)
    trousers = (
        some_grey(rng, 15, 110, 10)
        if rng.random() < 0.6
        else (rng.uniform(60, 130), rng.uniform(40, 80), rng.uniform(25, 60))
    )
    dress = str(rng.choice(("plain", "long coat", "skirt", "vest", "rucksack"), p=(0.5, 0.18, 0.12, 0.04, 0.16)))
    if wet > 0 and rng.random() < 0.5:
        dress = "umbrella"
    return Person(
        s=s,
        t=t,
        velocity=float(velocity),
        sideways=float(sideways),
        height=float(rng.uniform(1.0, 1.4) if rng.random() < 0.1 else rng.normal(1.72, 0.09)),
        phase=float(rng.uniform(0, 6.28)),
        profile=float(profile),
        coat=coat,
        trousers=trousers,
        skin=(150 * tone, 180 * tone, 225 * tone),
        hair=some_grey(rng, 15, 150, 25),
        dress=dress,
    )


def some_post(rng: np.random.Generator, s: float, t: float, kind: str) -> Post:
    paint = some_grey(rng, 45, 165, 10)
    inward = -math.copysign(1.0, t)
    black, white = (28.0, 28.0, 28.0), (232.0, 234.0, 232.0)
    if kind == "lamp":
        arm = inward * rng.uniform(0.5, 2.2)
        return Post(s, t, kind, rng.uniform(5.5, 9.5), 0.14, arm, "", 1.0, (black, white), paint)
    if kind == "light":
        arm = inward * rng.uniform(2.5, 4.5) if rng.random() < 0.45 else 0.0
        case = black if rng.random() < 0.8 else (40.0, 180.0, 215.0)
        face = str(rng.choice(("red", "green", "amber"), p=(0.45, 0.45, 0.1)))
        return Post(s, t, kind, 5.4 if arm else 3.2, 0.15, arm, face, rng.uniform(0.95, 1.25), (case, white), paint)
    if kind == "sign":
        red, blue, green, yellow = (45.0, 40.0, 190.0), (165.0, 85.0, 25.0), (85.0, 120.0, 25.0), (30.0, 190.0, 235.0)
        grey = some_grey(rng, 110, 170, 6)
        looks = (
            ("disc", red, white),
            ("disc", red, red),
            ("disc", blue, blue),
            ("disc", grey, grey),
            ("triangle", red, white),
            ("triangle", red, yellow),
            ("square", blue, blue),
            ("square", white, blue),
            ("diamond", white, yellow),
            ("octagon", red, red),
            ("octagon", grey, grey),
            ("board", blue, blue),
            ("board", green, green),
            ("board", white, white),
            ("board", yellow, yellow),
        )
        face, rim, field = looks[rng.integers(len(looks))]
        size = rng.uniform(0.55, 0.9) if face != "board" else rng.uniform(0.6, 1.3)
        return Post(s, t, kind, rng.uniform(2.4, 3.4), 0.08, 0.0, face, size, (rim, field), paint)
    height = rng.uniform(0.8, 1.1) if kind == "bollard" else rng.uniform(3, 8)
    return Post(s, t, kind, height, 0.11, 0.0, "", 1.0, (black, white), paint)


def some_tree(
    rng: np.random.Generator,
    kinds: tuple[str, ...],
    leaves: tuple[tuple[Colour, Colour], ...],
    s: float,
    t: float,
    large: float = 1.0,
) -> Tree:
    kind = str(rng.choice(kinds))
    height = rng.uniform(4.5, 11) * large
    ratio = {"broad": 0.8, "bare": 0.6, "column": 0.4, "conifer": 0.5}[kind]
    clear = {"broad": 0.25, "bare": 0.3, "column": 0.15, "conifer": 0.08}[kind] * height
    dark, bright = leaves[rng.integers(len(leaves))]
    return Tree(
        s,
        t,
        height,
        height * ratio * rng.uniform(0.8, 1.2),
        max(clear, 1.0),
        kind,
        int(rng.integers(1 << 20)),
        dark,
        bright,
    )
