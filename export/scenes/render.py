"""Puts a moment of a town on the canvas: far to near, with the shadows that fall on the ground."""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from ccc_jetson.export.scenes import finish, ground
from ccc_jetson.export.scenes.blocks import BLOCK_M, Block, Panel, build_block
from ccc_jetson.export.scenes.camera import FAR_M, NEAR_M, Camera
from ccc_jetson.export.scenes.canvas import Canvas
from ccc_jetson.export.scenes.furniture import Post, Tree, draw_post, draw_tree
from ccc_jetson.export.scenes.people import Person, TwoWheeler, draw_person, draw_two_wheeler
from ccc_jetson.export.scenes.town import Town, build_town
from ccc_jetson.export.scenes.vehicles import Vehicle, draw_vehicle

ROOF_M = 3.2  # from the eaves to the ridge

Thing = Vehicle | Person | TwoWheeler | Tree | Post
Moving = TypeVar("Moving", Vehicle, Person, TwoWheeler)


def _camera(town: Town, width: int, height: int, time_s: float) -> Camera:
    """Where the camera is after ``time_s``: driving on, and rocking a little."""
    half = width / 2
    stretch = town.stretch * 2 * height / width
    rock = 0.0035 * math.sin(5.1 * time_s + town.seed) + 0.002 * math.sin(13.0 * time_s)
    return Camera(
        width=width,
        height=height,
        fx=town.focal * half,
        fy=town.focal * half * stretch,
        u0=half * (1 + town.shift_u) + 0.001 * width * math.sin(1.7 * time_s),
        v0=height * (0.47 + town.shift_v + rock * min(town.speed / 6, 1)),
        s=7.0 + town.speed * time_s,
        t=town.own_t + 0.12 * math.sin(0.6 * time_s),
        eye=town.eye,
        bend=town.bend,
        hill=town.hill,
    )


def _at(thing: Moving, time_s: float) -> Moving:
    """A moving thing where it is after ``time_s``."""
    if isinstance(thing, Person):
        return thing._replace(s=thing.s + thing.velocity * time_s, t=thing.t + thing.sideways * time_s)
    if thing.velocity:
        return thing._replace(s=thing.s + thing.velocity * time_s)
    return thing


def _draw_panel(canvas: Canvas, panel: Panel) -> None:
    n_s, n_t = panel.normal
    camera = canvas.camera
    if n_t and (panel.t0 - camera.t) * n_t > 0:  # it turns its back on us
        return
    shade = canvas.light.shade(n_s, n_t, 0.0, 0.95)
    if panel.t0 > panel.t1 and n_s:  # read from left to right, as a face turned to us is
        begin, end = (panel.s1, panel.t1), (panel.s0, panel.t0)
    else:
        begin, end = (panel.s0, panel.t0), (panel.s1, panel.t1)
    if panel.roof is not None and panel.s1 > camera.s + NEAR_M:
        z = max(panel.s0 - camera.s, NEAR_M)
        s0, s1, t, y = panel.s0, panel.s1, panel.t0, panel.high
        if n_s:  # the gable
            corners = [(s0, t, y), (s0, 0.5 * (t + panel.t1), y + ROOF_M), (s0, panel.t1, y)]
            canvas.fill(camera.project(corners), canvas.colour(panel.roof, shade, z), panel.label)
        else:
            slope = canvas.light.shade(0.0, 0.6 * n_t, 0.8)
            away = -n_t * 5.5
            eave = t + 0.4 * n_t
            corners = [(s0, eave, y), (s1, eave, y), (s1, t + away, y + ROOF_M), (s0, t + away, y + ROOF_M)]
            canvas.fill(camera.project(corners), canvas.colour(panel.roof, slope, z), panel.label)
    canvas.wall(begin, end, panel.low, panel.high, panel.surface, shade, panel.label)


def _shadows(
    canvas: Canvas,
    blocks: dict[int, Block],
    vehicles: list[Vehicle],
    people: list[Person],
    trees: list[Tree],
    posts: list[Post],
) -> ground.Shadow:
    """The function that draws all shadows on the ground into the half-size mask."""
    import cv2

    camera, light = canvas.camera, canvas.light
    strength = sum(light.sun) / 3
    reach = 1 / max(light.sun_y, 0.12)
    ds, dt = -light.sun_s * reach, -light.sun_t * reach

    def cast(mask: np.ndarray, first: int, footprint: np.ndarray, low: float, high: float) -> None:
        """The hull of a footprint (N, 2) thrown from ``low`` to ``high`` metres."""
        away = np.array((ds, dt))
        points = np.concatenate([footprint + low * away, footprint + high * away])
        fill(mask, first, points, 255)

    def fill(mask: np.ndarray, first: int, points: np.ndarray, value: int) -> None:
        if points[:, 0].max() < camera.s + 1.0:
            return
        pixels = camera.project(np.column_stack([points, np.zeros(len(points))]))
        pixels[:, 1] -= first
        hull = cv2.convexHull(np.clip(pixels * 0.5, -6000, 6000).astype(np.float32))
        cv2.fillConvexPoly(mask, np.rint(hull * 16).astype(np.int32), value, cv2.LINE_8, 4)

    def draw(mask: np.ndarray, first: int) -> None:
        if strength > 0.2:
            for block in blocks.values():
                for footprint, height in block.shadows:
                    cast(mask, first, footprint, 0.0, height)
            angle = np.arange(9) * (2 * math.pi / 9)
            ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
            for tree in trees:
                if tree.s < camera.s + 60:
                    crown = ring * (0.45 * tree.spread) + (tree.s, tree.t)
                    cast(mask, first, crown, tree.clear + 0.2 * tree.height, 0.85 * tree.height)
                    if tree.clear:
                        thin = np.array([(tree.s, tree.t - 0.12), (tree.s, tree.t + 0.12)])
                        cast(mask, first, thin, 0.0, tree.clear + 0.3)
            for post in posts:
                if post.s < camera.s + 40:
                    half = 0.5 * post.width
                    cast(mask, first, np.array([(post.s, post.t - half), (post.s, post.t + half)]), 0.0, post.height)
            for person in people:
                if person.s < camera.s + 40:
                    cast(
                        mask,
                        first,
                        np.array([(person.s, person.t - 0.2), (person.s, person.t + 0.2)]),
                        0.0,
                        person.height,
                    )
        for vehicle in vehicles:
            if vehicle.s < camera.s + 70:
                if strength > 0.2:
                    cast(mask, first, vehicle.footprint(-0.1), 0.0, 0.9 * vehicle.size[2])
                fill(mask, first, vehicle.footprint(0.12), 150 if strength <= 0.2 else 255)
                if strength <= 0.2:
                    fill(mask, first, vehicle.footprint(-0.2), 230)

    return draw


def render(seed: int, width: int, height: int, time_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Paint the street of ``seed`` after ``time_s`` seconds: frame (H, W, 3) uint8 BGR, labels (H, W) uint8."""
    town = build_town(seed)
    camera = _camera(town, width, height, time_s)
    canvas = Canvas(camera, town.light)
    look = np.random.default_rng([88, seed])
    moment = np.random.default_rng([89, seed, round(time_s * 1000)])
    far = FAR_M
    begin = math.floor((camera.s - 22) / BLOCK_M)
    end = math.floor((camera.s + far) / BLOCK_M)
    blocks = {index: build_block(seed, index) for index in range(begin, end + 1)}

    def near_enough(thing: Thing, margin: float) -> bool:
        return camera.s - margin < thing.s < camera.s + far

    vehicles: list[Vehicle] = []
    people: list[Person] = []
    machines: list[TwoWheeler] = []
    trees: list[Tree] = []
    posts: list[Post] = []
    panels: list[Panel] = []
    for block in blocks.values():
        vehicles += block.vehicles
        people += [_at(person, time_s) for person in block.people]
        machines += [_at(machine, time_s) for machine in block.machines]
        trees += block.trees
        posts += block.posts
        panels += block.panels
    vehicles += [_at(vehicle, time_s) for vehicle in town.traffic]
    vehicles = [vehicle for vehicle in vehicles if near_enough(vehicle, 8)]
    people = [person for person in people if near_enough(person, 3)]
    trees = [tree for tree in trees if near_enough(tree, 25)]
    posts = [post for post in posts if near_enough(post, 12)]

    first, _ = camera.ground_rows()
    ground.draw_sky(canvas, look, first)
    ground.draw_skyline(canvas, look, town)
    first = ground.draw_ground(canvas, town, blocks, look, _shadows(canvas, blocks, vehicles, people, trees, posts))
    things: list[tuple[float, int, Panel | Thing]] = []  # how far, and what comes first at the same place
    things += [(panel.order, 0, panel) for panel in panels if panel.s1 > camera.s + NEAR_M]
    groups: tuple[Sequence[Thing], ...] = (vehicles, people, machines, trees, posts)
    for rank, group in enumerate(groups, start=1):
        things += [(thing.s, rank, thing) for thing in group if thing.s < camera.s + far]
    things.sort(key=lambda entry: (-entry[0], entry[1]))
    for _, _, thing in things:
        if isinstance(thing, Panel):
            _draw_panel(canvas, thing)
        elif isinstance(thing, Vehicle):
            draw_vehicle(canvas, thing)
        elif isinstance(thing, Person):
            draw_person(canvas, thing, time_s)
        elif isinstance(thing, TwoWheeler):
            draw_two_wheeler(canvas, thing, time_s)
        elif isinstance(thing, Tree):
            draw_tree(canvas, thing)
        else:
            draw_post(canvas, thing, time_s)
    return finish.finish(canvas, look, moment, first, town.bonnet)
