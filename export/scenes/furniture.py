"""What stands beside the road: trees, hedges, lamp posts, traffic lights and signs."""

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from ccc_jetson.export.scenes.canvas import Canvas
from ccc_jetson.export.scenes.colours import Colour, colour_of, mixed, scaled
from ccc_jetson.export.scenes.noise import colour_table, noise_tile

POLE, LIGHT, SIGN, VEGETATION = 5, 6, 7, 8
_CROWNS = 10
_CROWN_PX = 160
_BARK = (62.0, 72.0, 84.0)


class Tree(NamedTuple):
    """A tree, bush or stretch of hedge at (s, t); ``kind`` is "broad", "column", "conifer", "bare" or "bush"."""

    s: float
    t: float
    height: float
    spread: float  # width of the crown, metres
    clear: float  # height of the trunk below the crown, metres
    kind: str
    crown: int
    dark: Colour
    bright: Colour


class Post(NamedTuple):
    """Something on a pole at (s, t): "lamp", "sign", "light", "bollard" or "pole"; ``arm`` reaches over the road."""

    s: float
    t: float
    kind: str
    height: float
    width: float
    arm: float
    face: str  # of a sign: "disc", "triangle", "square", "board", "octagon"; of a light: which lamp burns
    size: float
    colours: tuple[Colour, Colour]
    paint: Colour


@cache
def _crowns(halvings: int = 0) -> np.ndarray:
    """Crown shapes (n, h, w, 2) uint8: brightness of the leaves, and alpha; the same for everybody."""
    import cv2

    if halvings:
        larger = _crowns(halvings - 1)
        size = _CROWN_PX >> halvings
        return np.stack([cv2.resize(crown, (size, size), interpolation=cv2.INTER_AREA) for crown in larger])
    rng = np.random.default_rng(90210)
    size = _CROWN_PX
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / (size / 2) - 1
    crowns = np.empty((_CROWNS, size, size, 2), np.uint8)
    fine = noise_tile(256, 7, 11).astype(np.float32) / 128 - 1
    rough = noise_tile(256, 5, 12).astype(np.float32) / 128 - 1
    for crown in crowns:
        distance = np.full((size, size), 2.0, np.float32)
        light = np.zeros((size, size), np.float32)
        for _ in range(rng.integers(4, 9)):
            cx, cy = rng.uniform(-0.45, 0.45, 2)
            radius = rng.uniform(0.35, 0.6)
            d = np.hypot(x - cx, (y - cy) * rng.uniform(0.9, 1.2)) / radius
            nearer = d < distance
            light = np.where(nearer, (cy - y) * 0.5 - d * 0.12, light)
            distance = np.minimum(distance, d)
        oy, ox = rng.integers(0, 256 - size, 2)
        a, b = fine[oy : oy + size, ox : ox + size], rough[ox : ox + size, oy : oy + size]
        inside = 1.0 - distance + 0.22 * a + 0.25 * b
        alpha = np.clip(inside * 900 + 128, 0, 255)
        alpha[np.maximum(abs(x), abs(y)) > 0.97] = 0
        crown[..., 0] = np.clip(120 + 95 * light + 70 * a + 45 * b, 0, 255)
        crown[..., 1] = cv2.GaussianBlur(alpha.astype(np.uint8), (3, 3), 0)
    return crowns


def _leaves(canvas: Canvas, tree: Tree, z: float, size_px: float) -> np.ndarray:
    """The finished sprite (h, w, 4) of a tree's crown under the light, large enough for ``size_px``."""
    halvings = 0
    while halvings < 4 and size_px < 0.6 * (_CROWN_PX >> halvings):
        halvings += 1
    crown = _crowns(halvings)[tree.crown % _CROWNS]
    light = canvas.light
    under = light.shade(-1.0, 0.0, 0.0, 0.55)
    over = light.shade(-0.25 * (1 if light.sun_s < 0 else -1), 0.5 * math.copysign(1, light.sun_t), 0.8)
    low, high = canvas.colour(tree.dark, under, z), canvas.colour(tree.bright, over, z)
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[:, None] ** 1.3
    table = colour_table(np.asarray(low, np.float32) * (1 - ramp) + np.asarray(high, np.float32) * ramp)
    picture = table[crown[..., 0]].view(np.uint8).reshape(*crown.shape[:2], 4)
    picture[..., 3] = crown[..., 1]
    return picture


def draw_tree(canvas: Canvas, tree: Tree) -> None:
    """Paint a tree or bush."""
    u, v, per_x, per_y = canvas.camera.spot(tree.s, tree.t)
    z = tree.s - canvas.camera.s
    half = 0.5 * tree.spread * per_x
    if z < 2.5 or u + half < 0 or u - half > canvas.camera.width:
        return
    bark = canvas.colour(_BARK, canvas.light.shade(-0.7, 0.3 * math.copysign(1, canvas.light.sun_t), 0.0), z)
    thick = max(0.1, 0.035 * tree.height)
    if tree.kind == "bare":
        _draw_branches(canvas, tree, u, v, per_x, per_y, thick, bark)
        return
    if tree.kind != "bush":
        top = v - (tree.clear + 0.35 * (tree.height - tree.clear)) * per_y
        trunk = [(u - thick * per_x * 0.6, v), (u + thick * per_x * 0.6, v)]
        trunk += [(u + thick * per_x * 0.4, top), (u - thick * per_x * 0.4, top)]
        canvas.fill(np.array(trunk), bark, VEGETATION)
    top, low = v - tree.height * per_y, v - tree.clear * per_y
    picture = _leaves(canvas, tree, z, low - top)
    if tree.kind == "conifer":
        for index in range(4):  # from the lowest whorl to the tip
            a, b = index / 4, min(1.0, index / 4 + 0.42)
            wide = half * (1 - 0.8 * index / 4)
            canvas.sprite((u - wide, low + (top - low) * b, u + wide, low + (top - low) * a), picture, VEGETATION)
        return
    canvas.sprite((u - half, top, u + half, low), picture, VEGETATION)
    if tree.kind == "broad" and half > 12:
        tall = low - top
        flipped = np.ascontiguousarray(picture[:, ::-1])
        canvas.sprite((u - 1.05 * half, top + 0.3 * tall, u + 0.15 * half, low + 0.08 * tall), flipped, VEGETATION)
        canvas.sprite((u - 0.2 * half, top + 0.25 * tall, u + half, low + 0.05 * tall), picture, VEGETATION)


def _draw_branches(
    canvas: Canvas, tree: Tree, u: float, v: float, per_x: float, per_y: float, thick: float, bark: Colour
) -> None:
    """A tree in winter: three generations of branches."""
    rng = np.random.default_rng(tree.crown)
    tips = [(u, v, 0.0, tree.height * 0.38, thick)]
    for _generation in range(4 if per_y * tree.height > 60 else 3):
        grown, strokes = [], []
        for x, y, angle, length, width in tips:
            x1 = x + math.sin(angle) * length * per_x
            y1 = y - math.cos(angle) * length * per_y
            strokes.append(((x, y), (x1, y1)))
            for spread in (-0.5, 0.05, 0.5):
                turn = angle * 0.8 + spread * rng.uniform(0.6, 1.3)
                grown.append((x1, y1, turn, length * rng.uniform(0.5, 0.75), width * 0.6))
        canvas.lines(np.array(strokes), tips[0][4] * per_x, bark, VEGETATION)
        tips = grown


def draw_post(canvas: Canvas, post: Post, time_s: float) -> None:
    """Paint a pole and what it carries."""
    u, v, per_x, per_y = canvas.camera.spot(post.s, post.t)
    z = post.s - canvas.camera.s
    reach = abs(post.arm) * per_x + 1.2 * per_x
    if z < 2.5 or u + reach < 0 or u - reach > canvas.camera.width:
        return
    light = canvas.light
    shade = light.shade(-0.7, 0.5 * math.copysign(1, light.sun_t), 0.1)
    colour = canvas.colour(post.paint, shade, z)
    top = v - post.height * per_y
    canvas.line((u, v), (u, top), post.width * per_x, colour, POLE)
    if post.kind in ("pole", "bollard"):
        if post.kind == "bollard" and per_y > 20:
            canvas.line((u, top), (u, top), post.width * per_x, canvas.colour((220.0, 225.0, 230.0), shade, z), POLE)
        return
    end = u + post.arm * per_x
    if post.arm:
        rise = 0.3 * per_y if post.kind == "lamp" else 0.0
        canvas.line((u, top), (end, top - rise), 0.7 * post.width * per_x, colour, POLE)
        top -= rise
    if post.kind == "lamp":
        glow = light.lamps
        head = mixed(colour, (190.0, 235.0, 255.0), glow)
        canvas.ellipse((end, top), 0.32 * per_x, 0.1 * per_y, head, POLE)
        canvas.glows.append((end, top, 0.3 * per_x, (150.0, 215.0, 255.0)))
    elif post.kind == "light":
        if post.arm:
            _draw_signal(canvas, post, end, top + 0.9 * per_y, per_x, per_y, shade, z)
        _draw_signal(canvas, post, u, v - min(post.height, 3.2) * per_y + 0.45 * per_y, per_x, per_y, shade, z)
    else:
        _draw_sign(canvas, post, end, top, per_x, per_y, shade, z)


def _draw_signal(
    canvas: Canvas, post: Post, u: float, low: float, per_x: float, per_y: float, shade: Colour, z: float
) -> None:
    """Three lamps in a housing whose lower edge is at the row ``low``."""
    half, tall = 0.17 * per_x * post.size, 0.95 * per_y * post.size
    case = canvas.colour(post.colours[0], shade, z)
    box = np.array([(u - half, low), (u + half, low), (u + half, low - tall), (u - half, low - tall)])
    canvas.fill(box, case, LIGHT)
    lamps = (("green", (90.0, 230.0, 60.0)), ("amber", (30.0, 180.0, 250.0)), ("red", (40.0, 40.0, 245.0)))
    for index, (name, bright) in enumerate(lamps):
        burning = name == post.face
        haze = canvas.light.haze(z) * 0.5
        tone = mixed(bright, canvas.light.fog, haze)
        if not burning:
            tone = scaled(canvas.colour(bright, shade, z), 0.25)
        canvas.ellipse((u, low - tall * (0.18 + 0.32 * index)), 0.7 * half, 0.13 * tall, tone, LIGHT)


def _draw_sign(
    canvas: Canvas, post: Post, u: float, top: float, per_x: float, per_y: float, shade: Colour, z: float
) -> None:
    """The face of a sign, its centre below the top of the pole."""
    rx, ry = 0.5 * post.size * per_x, 0.5 * post.size * per_y
    rim, field = (canvas.colour(c, shade, z) for c in post.colours)
    y = top + ry
    if post.face == "board":
        rx *= 1.9
    shapes = {
        "triangle": [(0, -1.0), (0.95, 0.7), (-0.95, 0.7)],
        "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        "diamond": [(0, -1.1), (1.1, 0), (0, 1.1), (-1.1, 0)],
        "board": [(-1, -0.8), (1, -0.8), (1, 0.8), (-1, 0.8)],
        "octagon": [(math.cos(a), math.sin(a)) for a in np.arange(8) * math.pi / 4 + math.pi / 8],
    }
    if post.face == "disc":
        canvas.ellipse((u, y), rx, ry, rim, SIGN)
        if ry > 2:
            canvas.ellipse((u, y), 0.72 * rx, 0.72 * ry, field, SIGN)
    else:
        shape = np.array(shapes[post.face])
        canvas.fill(shape * (rx, ry) + (u, y), rim, SIGN)
        if ry > 2:
            centre = (u, y + (0.1 * ry if post.face == "triangle" else 0))
            canvas.fill(shape * (0.76 * rx, 0.76 * ry) + centre, field, SIGN)
    if ry > 5:
        mark = colour_of(255 - c for c in rim) if max(rim) < 90 else scaled(rim, 0.5)
        if post.face == "board":
            for row in (-0.35, 0.05, 0.45):
                canvas.line((u - 0.7 * rx, y + row * ry), (u + 0.4 * rx, y + row * ry), 0.14 * ry, mark, SIGN)
        else:
            canvas.line((u, y - 0.3 * ry), (u, y + 0.35 * ry), 0.22 * rx, mark, SIGN)
