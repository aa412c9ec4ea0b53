"""What stands along the street, block by block, as long as anyone drives on.

Every ``BLOCK_M`` metres come from a generator of their own, so that a block looks the same whenever the camera
comes near it, and only those in view are ever drawn.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ccc_jetson.export.scenes.colours import Colour
from ccc_jetson.export.scenes.facades import Surface
from ccc_jetson.export.scenes.furniture import Post, Tree
from ccc_jetson.export.scenes.looks import (
    some_grey,
    some_paint,
    some_person,
    some_post,
    some_seed,
    some_tree,
    some_vehicle,
    some_wall_colour,
)
from ccc_jetson.export.scenes.people import Person, TwoWheeler
from ccc_jetson.export.scenes.town import Town, build_town
from ccc_jetson.export.scenes.vehicles import CAR_BODIES, Vehicle

BLOCK_M = 24.0
CROSSING_M = 11.0  # width of a street that crosses, at the start of its block


class Panel(NamedTuple):
    """An upright textured wall from (s0, t0) to (s1, t1), metres, with the direction it faces."""

    s0: float
    t0: float
    s1: float
    t1: float
    low: float
    high: float
    normal: tuple[float, float]
    surface: Surface
    label: int
    roof: Colour | None  # a pitched roof on top of a long side, or the gable on top of a short side
    order: float  # painted as if at this s


class Block(NamedTuple):
    """What stands on one stretch of the street. ``ground`` names what lies beyond the left and right pavement."""

    crossing: bool
    ground: tuple[str, str]
    panels: list[Panel]
    trees: list[Tree]
    posts: list[Post]
    vehicles: list[Vehicle]
    people: list[Person]
    machines: list[TwoWheeler]
    patches: list[np.ndarray]  # repairs of the road: polygons (N, 2) of (s, t)
    shadows: list[tuple[np.ndarray, float]]  # footprints (N, 2) and heights of buildings


@lru_cache(maxsize=128)
def build_block(seed: int, index: int) -> Block:
    """Draw what stands between ``index * BLOCK_M`` and the next block."""
    town = build_town(seed)
    rng = np.random.default_rng([6151, seed, index + 4096])
    begin = index * BLOCK_M
    crossing = (index + seed) % town.crossing_every == 0
    block = Block(crossing, ("", ""), [], [], [], [], [], [], [], [])
    ground = []
    first = begin + (CROSSING_M if crossing else 0.0)
    for sign in (-1.0, 1.0):
        ground.append(_roadside(rng, town, block, first, begin + BLOCK_M, sign))
        _pavement(rng, town, block, first, begin, sign)
    _road(rng, town, block, begin)
    if crossing:
        _crossing(rng, town, block, begin)
    return block._replace(ground=(ground[0], ground[1]))


def _roadside(rng: np.random.Generator, town: Town, block: Block, s0: float, s1: float, sign: float) -> str:
    """Build up one side beyond the pavement; returns the ground there: "paved" or "grass"."""
    edge = town.half_road + town.pavement[int(sign > 0)]
    if rng.random() < town.green:
        return _garden(rng, town, block, s0, s1, sign, edge)
    inward = (0.0, -sign)
    s, beside = s0, 0.0  # ``beside``: how high the house goes that this one leans on
    while s < s1 - 3:
        width = min(rng.uniform(7, 20), s1 - s)
        if s1 - s - width < 4:
            width = s1 - s
        gap = rng.uniform(1.5, 4) if town.houses else 0.0
        depth = rng.uniform(9, 14)
        t = sign * (edge + (rng.uniform(2, 6) if town.houses else 0.0))
        storeys = rng.integers(1, 4) if town.houses else rng.integers(2, 8)
        height = float(storeys * 3.2 + rng.uniform(0.3, 1.5))
        colour = town.walls[rng.integers(len(town.walls))]
        shop = not town.houses and rng.random() < 0.5
        front = Surface("facade", some_seed(rng), colour, width - gap, height, town.light.lamps, shop)
        roof = None
        if town.houses or rng.random() < 0.35:
            roof = (
                some_grey(rng, 40, 110, 10)
                if rng.random() < 0.5
                else (rng.uniform(40, 70), rng.uniform(55, 90), rng.uniform(110, 165))
            )
        end = s + width - gap
        side = Surface("gable", some_seed(rng), colour)
        peak = colour if roof is not None else None
        if height > beside or peak:
            low = min(beside, height - 0.1)
            block.panels.append(Panel(s, t, s, t + sign * depth, low, height, (-1.0, 0.0), side, 2, peak, end))
        block.panels.append(Panel(s, t, end, t, 0, height, inward, front, 2, roof, end))
        beside = 0.0 if town.houses else height
        block.shadows.append((np.array([(s, t), (end, t), (end, t + sign * depth), (s, t + sign * depth)]), height))
        s += width
    if town.houses and rng.random() < 0.7:
        _edge(rng, town, block, s0, s1, sign, edge)
    return "grass" if town.houses else "paved"


def _edge(rng: np.random.Generator, town: Town, block: Block, s0: float, s1: float, sign: float, edge: float) -> None:
    """A fence, a wall or a hedge along the pavement."""
    t = sign * (edge + 0.15)
    kind = rng.random()
    high = float(rng.uniform(0.9, 2.2))
    inward = (0.0, -sign)
    step = 6.0
    pieces = np.arange(s0, s1 - 0.1, step)
    if kind < 0.4:
        surface = Surface("fence", some_seed(rng), some_grey(rng, 25, 200, 20))
        label = 4
    elif kind < 0.72:
        surface = Surface("wall", some_seed(rng), some_wall_colour(rng))
        label = 3
    else:
        dark, bright = town.leaves[0]
        for s in np.arange(s0, s1, 0.9):
            block.trees.append(
                Tree(float(s), t, high * rng.uniform(0.95, 1.1), 1.9, 0.0, "bush", int(rng.integers(99)), dark, bright)
            )
        return
    for s in pieces:
        end = min(s + step, s1)
        block.panels.append(Panel(float(s), t, float(end), t, 0, high, inward, surface, label, None, float(end)))


def _garden(rng: np.random.Generator, town: Town, block: Block, s0: float, s1: float, sign: float, edge: float) -> str:
    """A park, a verge with trees, or an open lot."""
    if rng.random() < 0.6:
        _edge(rng, town, block, s0, s1, sign, edge)
    count = int(rng.integers(1, 9))
    for _ in range(count):
        t = sign * (edge + rng.uniform(1.5, 16))
        block.trees.append(
            some_tree(rng, town.tree_kinds, town.leaves, float(rng.uniform(s0, s1)), t, rng.uniform(0.7, 1.3))
        )
    for _ in range(int(rng.integers(0, 6))):
        dark, bright = town.leaves[rng.integers(len(town.leaves))]
        size = rng.uniform(0.6, 1.9)
        t = sign * (edge + rng.uniform(0.8, 12))
        block.trees.append(
            Tree(float(rng.uniform(s0, s1)), t, size, size * 1.6, 0.0, "bush", int(rng.integers(99)), dark, bright)
        )
    if rng.random() < 0.3:
        t = sign * (edge + rng.uniform(2, 8))
        block.people.append(some_person(rng, float(rng.uniform(s0, s1)), t, town.light.wet, "standing"))
    return "grass" if rng.random() < 0.85 else "paved"


def _pavement(rng: np.random.Generator, town: Town, block: Block, first: float, begin: float, sign: float) -> None:
    """Trees, lamps, signs, people and bicycles on the pavement, and the cars parked along it."""
    wide = town.pavement[int(sign > 0)]
    kerb = town.half_road
    end = begin + BLOCK_M
    if wide > 2.2:
        for s in np.arange(first + 2.5, end, town.tree_step):
            if rng.random() < 0.75:
                place = float(s + rng.normal(0, 0.4))
                block.trees.append(some_tree(rng, town.tree_kinds, town.leaves, place, sign * (kerb + 0.8), 0.75))
    for s in np.arange(math.ceil(begin / town.lamp_step) * town.lamp_step, end, town.lamp_step):
        block.posts.append(some_post(rng, float(s) + (0.0 if sign > 0 else 5.0), sign * (kerb + 0.45), "lamp"))
    for kind, odds in (("sign", 0.75), ("sign", 0.35), ("pole", 0.35)):
        if rng.random() < odds:
            block.posts.append(
                some_post(rng, float(rng.uniform(first, end)), sign * (kerb + rng.uniform(0.3, 0.9)), kind)
            )
    if rng.random() < 0.15:
        for s in np.arange(first, end, 2.0):
            post = some_post(rng, float(s), sign * (kerb + 0.35), "bollard")
            block.posts.append(post._replace(height=0.95, paint=(60.0, 60.0, 60.0)))
    for _ in range(rng.poisson(0.5 * town.crowd)):
        s, t = rng.uniform(first, end), sign * (kerb + rng.uniform(0.5, max(wide - 0.3, 0.6)))
        walk = "along" if rng.random() < 0.75 else "standing"
        person = some_person(rng, float(s), float(t), town.light.wet, walk)
        block.people.append(person)
        if rng.random() < 0.3:
            friend = some_person(rng, float(s) + 0.2, float(t) + rng.choice((-0.55, 0.55)), town.light.wet, walk)
            block.people.append(friend._replace(velocity=person.velocity, profile=person.profile))
    if rng.random() < 0.22:
        for number in range(int(rng.integers(1, 6))):
            turn = rng.uniform(0.3, 1.0) * rng.choice((-1, 1))
            motor = bool(rng.random() < 0.25)
            s = rng.uniform(first, end) if number == 0 else s + 0.7
            block.machines.append(
                TwoWheeler(float(s), sign * (kerb + 1.0), 0.0, float(turn), motor, some_paint(rng), None)
            )
    if town.parking[int(sign > 0)]:
        right_hand = town.own_t > 0
        heading = 0.0 if (sign > 0) == right_hand else math.pi
        s = first + 2.8
        while s < end - 2.4:
            if rng.random() < town.parked:
                car = some_vehicle(
                    rng, float(s), sign * (kerb - 1.05 + rng.normal(0, 0.08)), heading + rng.normal(0, 0.03), 0.0, False
                )
                if car.body in ("bus", "truck"):
                    car = car._replace(body=str(rng.choice(CAR_BODIES)))
                block.vehicles.append(car)
            s += 5.6 * rng.uniform(0.95, 1.3)


def _road(rng: np.random.Generator, town: Town, block: Block, begin: float) -> None:
    """Repairs and covers of the road, people who cross it, riders on it."""
    for _ in range(rng.poisson(1.3)):
        long, wide = rng.uniform(0.8, 7), rng.uniform(0.4, 1.8)
        s, t = rng.uniform(begin, begin + BLOCK_M), rng.uniform(-town.half_road, town.half_road - wide)
        block.patches.append(np.array([(s, t), (s + long, t + 0.1 * wide), (s + long, t + wide), (s, t + wide)]))
    for _ in range(rng.poisson(0.7)):
        s, t = rng.uniform(begin, begin + BLOCK_M), rng.uniform(-1, 1) * (town.half_road - 0.4)
        angle = np.arange(10) * (2 * math.pi / 10)
        block.patches.append(np.stack([s + 0.33 * np.cos(angle), t + 0.33 * np.sin(angle)], axis=1))
    if rng.random() < 0.05 + 0.05 * town.crowd:
        t = rng.uniform(-town.half_road, town.half_road)
        block.people.append(
            some_person(rng, float(rng.uniform(begin + 2, begin + BLOCK_M)), float(t), town.light.wet, "across")
        )
    if rng.random() < 0.22:
        direction = rng.choice((-1.0, 1.0))
        side = math.copysign(1.0, town.own_t) * direction
        t = side * (town.lanes * town.lane - 0.4)
        rider = some_person(rng, 0.0, 0.0, 0.0, "standing")
        motor = bool(rng.random() < 0.3)
        speed = direction * rng.uniform(3, 6)
        turn = direction * rng.choice((-1, 1)) * rng.uniform(0.12, 0.4)
        block.machines.append(
            TwoWheeler(
                float(rng.uniform(begin, begin + BLOCK_M)),
                float(t),
                float(speed),
                float(turn),
                motor,
                some_paint(rng),
                rider,
            )
        )


def _crossing(rng: np.random.Generator, town: Town, block: Block, begin: float) -> None:
    """A street that crosses: its traffic lights, waiting cars and people on the zebra."""
    edge = town.half_road
    signals = rng.random() < 0.6
    face = str(rng.choice(("red", "green")))
    for sign in (-1.0, 1.0):
        if signals:
            block.posts.append(some_post(rng, begin - 1.0, sign * (edge + 0.5), "light")._replace(face=face))
        for _ in range(int(rng.integers(0, 3))):
            t = sign * (edge + rng.uniform(4, 22))
            car = some_vehicle(
                rng, begin + (3.0 if sign > 0 else 7.5), t, -sign * math.pi / 2 + rng.normal(0, 0.04), 0.0, False
            )
            block.vehicles.append(car)
    for _ in range(rng.poisson(0.6 * town.crowd)):
        t = rng.uniform(-edge - 1, edge + 1)
        block.people.append(some_person(rng, begin - rng.uniform(1.5, 4), float(t), town.light.wet, "across"))
