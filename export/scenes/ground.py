"""The road plane: lanes, pavements and grass by table, markings and shadows on top, sky and skyline behind."""

import math
from collections.abc import Callable

import numpy as np

from ccc_jetson.export.scenes.blocks import BLOCK_M, CROSSING_M, Block
from ccc_jetson.export.scenes.camera import FAR_M
from ccc_jetson.export.scenes.canvas import Canvas
from ccc_jetson.export.scenes.colours import Colour, mixed, scaled
from ccc_jetson.export.scenes.noise import noise_tile
from ccc_jetson.export.scenes.town import Town

ROAD, SIDEWALK, BUILDING, VEGETATION, TERRAIN, SKY = 0, 1, 2, 8, 9, 10
_BINS_PER_M = 25
_BINS = 100 * _BINS_PER_M  # the cross section is tabled from -50 to 50 m

Shadow = Callable[[np.ndarray, int], None]


def draw_sky(canvas: Canvas, rng: np.random.Generator, horizon: int) -> None:
    """Paint the sky down to a row, clouds included, and a skyline along it."""
    import cv2

    light = canvas.light
    width = canvas.camera.width
    low_w, low_h = 160, 48
    ramp = np.linspace(0, 1, low_h, dtype=np.float32)[:, None, None] ** rng.uniform(0.7, 1.6)
    sky = np.asarray(light.sky_top, np.float32) * (1 - ramp) + np.asarray(light.sky_low, np.float32) * ramp
    sky = np.repeat(sky, low_w, axis=1)
    tile = noise_tile(256, 6, 5, 2)
    oy, ox = rng.integers(0, 256, 2)
    clouds = tile[oy : oy + rng.integers(40, 160), ox : ox + rng.integers(80, 256)]
    clouds = cv2.resize(clouds, (low_w, low_h), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    cover = np.clip((clouds - 140 + 80 * light.clouds) / 90, 0, 1)[..., None] * min(1.0, light.clouds * 1.6)
    bright = max(light.sky_low) * 1.04 + 4
    sky = sky * (1 - cover) + cover * np.asarray([bright * 0.98, bright * 0.99, bright], np.float32)
    sky = np.clip(sky, 0, 255).astype(np.uint8)
    rows = min(max(horizon + 2, 8), canvas.camera.height)
    sky = cv2.resize(sky, (width, rows), interpolation=cv2.INTER_LINEAR)
    canvas.pixels[:rows] = cv2.merge([*cv2.split(sky), np.full((rows, width), SKY, np.uint8)])


def draw_skyline(canvas: Canvas, rng: np.random.Generator, town: Town) -> None:
    """Distant houses and woods at the end of the view; they travel with the camera."""
    camera = canvas.camera
    s = camera.s + FAR_M + 20
    shade = canvas.light.shade(-1, 0, 0, 0.9)
    woods = rng.random() < 0.6
    if woods:
        count = 60
        across = np.linspace(-160, 160, count)
        heights = 7 + 5 * np.sin(across / rng.uniform(9, 30) + rng.uniform(0, 6)) + rng.uniform(0, 4, count)
        points = [(s + 20, a, b) for a, b in zip(across, heights, strict=True)]
        points += [(s + 20, 160, -14), (s + 20, -160, -14)]
        colour = canvas.colour(town.leaves[0][0], scaled(shade, 2.2), s + 20 - camera.s)
        canvas.fill(camera.project(points), colour, VEGETATION)
    t = -150.0
    odds = 0.35 if woods else 0.85
    while t < 150:
        wide, tall = rng.uniform(8, 26), rng.uniform(5, 26)
        if rng.random() < odds:
            colour = canvas.colour(town.walls[rng.integers(len(town.walls))], shade, s - camera.s)
            corners = camera.project([(s, t, tall), (s, t + wide, tall), (s, t + wide, -14), (s, t, -14)])
            canvas.fill(corners, colour, BUILDING)
            dark = scaled(colour, 0.8)
            for row in range(1, int(tall / 3.2)):
                y = tall - 3.2 * row
                a, b = camera.project([(s, t + 1, y), (s, t + wide - 1, y)])
                canvas.line(a, b, camera.fy * 1.2 / (s - camera.s), dark, BUILDING)
        t += wide * rng.uniform(0.8, 1.5)


def _table(town: Town, block: Block, crossing: bool) -> tuple[np.ndarray, np.ndarray]:
    """The cross section of a block: (bins,) uint32 of B, G, R, train id, and (bins,) uint8 strength of the grain."""
    colours = np.zeros((_BINS, 4), np.uint8)
    grain = np.full(_BINS, 34, np.uint8)

    def put(t0: float, t1: float, colour: Colour, label: int, strength: int) -> None:
        a = max(int((t0 + 50) * _BINS_PER_M), 0)
        b = min(int((t1 + 50) * _BINS_PER_M), _BINS)
        colours[a:b, :3] = colour
        colours[a:b, 3] = label
        grain[a:b] = strength

    put(-50, 50, town.asphalt, ROAD, 34)
    if not crossing:
        for side, sign in ((0, -1.0), (1, 1.0)):
            edge = town.half_road + town.pavement[side]
            spans = [
                (town.half_road - 0.35, town.half_road, scaled(town.asphalt, 0.8), ROAD, 34),
                (town.half_road, town.half_road + 0.22, town.kerb, SIDEWALK, 18),
                (town.half_road + 0.22, edge, town.paving, SIDEWALK, 24),
            ]
            if block.ground[side] == "grass":
                spans.append((edge, 50.0, town.grass, TERRAIN, 90))
            else:
                spans.append((edge, 50.0, town.paving, SIDEWALK, 24))
            for t0, t1, colour, label, strength in spans:
                a, b = sorted((sign * t0, sign * t1))
                put(a, b, colour, label, strength)
    return colours.view(np.uint32)[:, 0], grain


def draw_ground(canvas: Canvas, town: Town, blocks: dict[int, Block], rng: np.random.Generator, shadow: Shadow) -> int:
    """Paint the ground plane and everything flat on it; returns the first row of it.

    Args:
        canvas: where to paint.
        town, blocks: the plan; blocks by their index.
        rng: of the town's look, not of the moment.
        shadow: ``shadow(mask, first_row)`` darkens a (rows / 2, width / 2) uint8 mask where the sun is hidden.
    """
    import cv2

    camera, light = canvas.camera, canvas.light
    first, depth = camera.ground_rows()
    t = camera.ground_t(depth)
    rows = len(depth)
    s = depth + camera.s
    tables, grains, starts = [], [], []
    for index in sorted(blocks):
        block = blocks[index]
        begin = index * BLOCK_M
        if block.crossing:
            table, grain = _table(town, block, True)
            tables.append(table)
            grains.append(grain)
            starts.append(begin)
            begin += CROSSING_M
        table, grain = _table(town, block, False)
        tables.append(table)
        grains.append(grain)
        starts.append(begin)
    zone = np.clip(np.searchsorted(np.asarray(starts), s, side="right") - 1, 0, len(starts) - 1)
    place = t * np.float32(_BINS_PER_M)
    place += np.float32(50 * _BINS_PER_M)
    np.clip(place, 0, _BINS - 1, out=place)
    place = place.astype(np.int32)
    place += (zone * _BINS).astype(np.int32)[:, None]
    ground = np.concatenate(tables)[place].view(np.uint8).reshape(rows, camera.width, 4)
    canvas.pixels[first:] = ground
    _markings(canvas, town, blocks, rng)

    # Grain: a fine tile that fades out with the distance and a coarse one that stays.
    near = np.clip(14.0 / depth, 0, 1).astype(np.float32)
    fine = noise_tile(256, 2, 1)
    coarse = noise_tile(256, 6, 2)
    t *= np.float32(40)
    column = t.astype(np.int32)
    row = (s * 40).astype(np.int32)[:, None]
    texture = fine.ravel()[((row & 255) << 8) | (column & 255)].astype(np.float32)
    texture -= 128
    texture *= near[:, None]
    column >>= 4
    column &= 255
    column |= ((row >> 4) & 255) << 8
    texture += coarse.ravel()[column]
    texture -= 128
    texture *= np.concatenate(grains)[place]
    texture *= np.float32(1 / 64 / 2)
    texture += 128  # 128 is a gain of one

    mask = np.zeros(((rows + 1) // 2, (camera.width + 1) // 2), np.uint8)
    shadow(mask, first)
    mask = cv2.GaussianBlur(mask, (5, 5), 0)
    mask = cv2.resize(mask, (camera.width, rows), interpolation=cv2.INTER_LINEAR)
    lit = light.shade(0, 0, 1)
    shaded = scaled(light.ambient, 0.92)
    haze = np.array([light.haze(z) for z in depth.tolist()], np.float32)
    texture *= (1 - haze)[:, None]
    np.clip(texture, 0, 255, out=texture)
    gain = texture.astype(np.uint8)
    planes = []
    for channel in range(3):
        ratio = (lit[channel] - shaded[channel]) / 255
        table = np.array([min((lit[channel] - ratio * i) * 128, 255) for i in range(256)]).astype(np.uint8)
        planes.append(cv2.multiply(gain, cv2.LUT(mask, table), scale=1 / 128))
    planes.append(np.full((rows, camera.width), 128, np.uint8))
    region = canvas.pixels[first:]
    region[:] = cv2.multiply(region, cv2.merge(planes), scale=1 / 128)
    veil = np.zeros((rows, 1, 4), np.uint8)
    veil[:, 0, :3] = haze[:, None] * np.asarray(light.fog, np.float32)
    region[:] = cv2.add(region, np.broadcast_to(veil, region.shape))
    return first


def _quad(canvas: Canvas, s0: float, t0: float, s1: float, t1: float, colour: Colour, label: int) -> None:
    """A rectangle flat on the ground."""
    limit = canvas.camera.s + 1.6
    if s1 <= limit or s0 > canvas.camera.s + 110:
        return
    s0 = max(s0, limit)
    points = [(s0, t0, 0), (s0, t1, 0), (s1, t1, 0), (s1, t0, 0)]
    canvas.fill(canvas.camera.project(points), colour, label)


def _markings(canvas: Canvas, town: Town, blocks: dict[int, Block], rng: np.random.Generator) -> None:
    """Lane lines, zebras, stop lines, joints of the paving, repairs and covers (raw colours, light comes later)."""
    camera = canvas.camera
    worn = rng.uniform(0.25, 1.0)
    paint = mixed(town.asphalt, town.marking, worn)
    patch_tone = rng.uniform(0.62, 1.25)
    cover = rng.uniform(0.5, 0.8)
    lane, edge = town.lane, town.half_road
    edge_lines = rng.random() < 0.4
    joint = scaled(town.paving, 0.86)
    tiles = rng.choice((0.6, 1.2, 2.4))
    bay = rng.random() < 0.4
    lines = [(0.0, town.centre_line)]
    for index in range(1, town.lanes):
        lines += [(index * lane, "dashed"), (-index * lane, "dashed")]
    for index in sorted(blocks, reverse=True):
        block = blocks[index]
        begin, end = index * BLOCK_M, (index + 1) * BLOCK_M
        start = begin + (CROSSING_M if block.crossing else 0.0)
        for polygon in block.patches:
            if polygon[:, 0].min() > camera.s + 1.6 and polygon[:, 0].max() < camera.s + 70:
                tone = cover if len(polygon) > 4 else patch_tone
                points = np.column_stack([polygon, np.zeros(len(polygon))])
                colour = scaled(town.asphalt, tone, most=240.0)
                canvas.fill(camera.project(points), colour, ROAD)
        for side, sign in ((0, -1.0), (1, 1.0)):
            if end < camera.s + 1.6 or begin > camera.s + 45:
                continue
            wide = town.pavement[side]
            for s in np.arange(max(start, camera.s + 1.6), min(end, camera.s + 30), tiles):
                s = math.ceil(s / tiles) * tiles
                if s < end:
                    ends = camera.project([(s, sign * (edge + 0.22), 0), (s, sign * (edge + wide), 0)])
                    canvas.lines(ends[None], 0.03 * camera.fy / (s - camera.s), joint, SIDEWALK)
            s0 = max(start, camera.s + 1.6)
            if end > s0:
                steps = np.linspace(s0, end, 4)
                for t in np.arange(edge + 0.22 + tiles, edge + wide, tiles):
                    canvas.lines(camera.project([(s, sign * t, 0) for s in steps])[None], 1, joint, SIDEWALK)
        for t, kind in lines:
            if kind == "dashed":
                for s in np.arange(start + 0.5, end - 2, 6.0):
                    _quad(canvas, s, t - 0.07, s + 3.0, t + 0.07, paint, ROAD)
            elif kind != "none":
                for shift in (0.0,) if kind == "solid" else (-0.14, 0.14):
                    for s in np.arange(start, end - 0.1, 4.0):
                        _quad(canvas, s, t + shift - 0.06, min(s + 4.0, end), t + shift + 0.06, paint, ROAD)
        for side, sign in ((0, -1.0), (1, 1.0)):
            if edge_lines:
                t = sign * (town.lanes * lane)
                for s in np.arange(start, end - 0.1, 4.0):
                    _quad(canvas, s, t - 0.06, min(s + 4.0, end), t + 0.06, paint, ROAD)
            if bay and town.parking[side]:
                for s in np.arange(start, end, 5.6):
                    a, b = sorted((sign * (edge - 2.1), sign * edge))
                    _quad(canvas, s, a, s + 0.12, b, paint, ROAD)
        if block.crossing:
            ahead = begin - camera.s
            if ahead < 60:
                for t in np.arange(-edge + 0.3, edge - 0.4, 1.0):
                    _quad(canvas, begin - 4.2, t, begin - 1.2, t + 0.5, paint, ROAD)
                    _quad(canvas, begin + CROSSING_M + 0.6, t, begin + CROSSING_M + 3.4, t + 0.5, paint, ROAD)
                right = town.own_t > 0
                a, b = (0.1, edge - 0.3) if right else (-edge + 0.3, -0.1)
                _quad(canvas, begin - 5.4, a, begin - 4.9, b, paint, ROAD)
