"""Textures of upright things: facades with windows and shops, walls, fences."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ccc_jetson.export.scenes.colours import Colour
from ccc_jetson.export.scenes.noise import colour_table, noise_tile

_PX_PER_M = 11
_STOREY_M = 3.2
_WIDEST_PX = 300
_STYLES = ("plain", "frames", "tall", "ribbon", "glass", "blank", "balcony")


def _plaster(rng: np.random.Generator, width: int, height: int, colour: Colour, rough: float) -> np.ndarray:
    """A wall of one colour with stains: (height, width, 3) uint8."""
    import cv2

    tile = noise_tile(256, 7, int(rng.integers(3)), 3)
    oy, ox = rng.integers(0, 256, 2)
    stains = tile[oy : oy + height, ox : ox + width]
    ramp = np.arange(-128, 128, dtype=np.float32)[:, None] * (rough / 128)
    table = colour_table(np.asarray(colour, np.float32) * (1 + ramp))
    return cv2.cvtColor(table[stains].view(np.uint8).reshape(height, width, 4), cv2.COLOR_BGRA2BGR)


class Surface(NamedTuple):
    """What a wall looks like, in few words; the picture is drawn when somebody sees it."""

    kind: str  # "facade", "gable", "wall" or "fence"
    seed: int
    colour: Colour
    width_m: float = 0.0
    height_m: float = 0.0
    lamps: float = 0.0
    shop: bool = False


@lru_cache(maxsize=512)
def picture_of(surface: Surface) -> np.ndarray:
    """The texture (h, w, 3) uint8 BGR of a surface; a fence has an alpha channel as well."""
    rng = np.random.default_rng([417, surface.seed])
    if surface.kind == "facade":
        return _facade(rng, surface.width_m, surface.height_m, surface.colour, surface.lamps, surface.shop)
    return {"gable": _gable, "wall": _wall, "fence": _fence}[surface.kind](rng, surface.colour)


def _facade(
    rng: np.random.Generator, width_m: float, height_m: float, colour: Colour, lamps: float, shop: bool
) -> np.ndarray:
    """Draw the street side of a building.

    Args:
        rng: where all choices come from.
        width_m, height_m: size of the wall in metres.
        colour: of the wall, B, G, R.
        lamps: how many windows are lit and how brightly, 0..1.
        shop: whether the ground floor has shop windows.

    Returns:
        (h, w, 3) uint8 BGR.
    """
    import cv2

    per_m = min(_PX_PER_M, _WIDEST_PX / max(width_m, height_m))
    width, height = max(int(width_m * per_m), 16), max(int(height_m * per_m), 16)
    style = str(rng.choice(_STYLES, p=(0.24, 0.22, 0.16, 0.12, 0.1, 0.05, 0.11)))
    picture = _plaster(rng, width, height, colour, rng.uniform(0.05, 0.22))
    storey = _STOREY_M * per_m * rng.uniform(0.9, 1.15)
    bay = per_m * rng.uniform(1.7, 3.4)
    columns = max(int(width / bay), 1)
    bay = width / columns
    floors = max(int(height / storey), 1)
    window_w, window_h = bay * rng.uniform(0.35, 0.6), storey * rng.uniform(0.42, 0.62)
    if style == "tall":
        window_w, window_h = bay * 0.45, storey * 0.74
    elif style == "ribbon":
        window_w, window_h = bay * 1.02, storey * 0.45
    elif style == "glass":
        window_w, window_h = bay * 0.92, storey * 0.86
    pane = np.array([rng.uniform(40, 110), rng.uniform(38, 95), rng.uniform(30, 80)])
    if style == "glass":
        pane = np.array([rng.uniform(120, 220), rng.uniform(110, 190), rng.uniform(80, 170)])
    bright = rng.random() < 0.65
    frame = tuple(rng.uniform(190, 240) + rng.uniform(-8, 8, 3)) if bright else tuple(rng.uniform(25, 90, 3))
    shutters = tuple(rng.uniform(30, 140, 3)) if style == "frames" and rng.random() < 0.5 else None
    joint = tuple(0.82 * np.asarray(colour, float))
    if rng.random() < 0.35:  # courses of stone or brick
        for y in np.arange(0, height, max(per_m * rng.uniform(0.25, 0.7), 3)):
            cv2.line(picture, (0, int(y)), (width, int(y)), joint, 1)
    if rng.random() < 0.5:  # ledges between the storeys
        ledge = tuple(np.clip(1.15 * np.asarray(colour, float), 0, 250))
        for floor in range(1, floors + 1):
            y = int(height - floor * storey)
            cv2.rectangle(picture, (0, y - 1), (width, y + 1), ledge, -1)
    tones = rng.uniform(0.75, 1.3, (floors, columns))
    lit = rng.random((floors, columns)) < 0.5 * lamps
    curtain = rng.random((floors, columns))
    warm = np.array([120.0, 200.0, 245.0])
    if style != "blank":
        for floor in range(1 if shop else 0, floors):
            middle = height - (floor + 0.52) * storey
            if middle - window_h / 2 < 2:
                break
            y0, y1 = int(middle - window_h / 2), int(middle + window_h / 2)
            for column in range(columns):
                x = (column + 0.5) * bay
                x0, x1 = int(x - window_w / 2), int(x + window_w / 2)
                glass = pane * tones[floor, column]
                if lit[floor, column]:
                    glass = warm * tones[floor, column] * 0.85
                glass = tuple(np.minimum(glass, 255.0).tolist())
                if style in ("frames", "tall", "balcony"):
                    cv2.rectangle(picture, (x0 - 1, y0 - 1), (x1 + 1, y1 + 1), frame, -1)
                cv2.rectangle(picture, (x0, y0), (x1, y1), glass, -1)
                if curtain[floor, column] < 0.3:
                    drop = y0 + int((y1 - y0) * curtain[floor, column] * 3)
                    cv2.rectangle(picture, (x0, y0), (x1, drop), tuple(min(c + 55, 250.0) for c in glass), -1)
                if style in ("frames", "tall"):
                    cv2.line(picture, (int(x), y0), (int(x), y1), frame, 1)
                if shutters:
                    w = max(int(window_w * 0.35), 1)
                    cv2.rectangle(picture, (x0 - w - 1, y0), (x0 - 1, y1), shutters, -1)
                    cv2.rectangle(picture, (x1 + 1, y0), (x1 + w + 1, y1), shutters, -1)
                if style == "balcony" and column % 2:
                    cv2.rectangle(picture, (x0 - 3, y1 - 3), (x1 + 3, y1 + 2), frame, -1)
    _ground_floor(rng, picture, per_m, storey, columns, colour, lamps, shop)
    cornice = tuple(np.clip(rng.uniform(0.6, 1.25) * np.asarray(colour, float), 0, 250))
    cv2.rectangle(picture, (0, 0), (width, max(int(0.35 * per_m), 1)), cornice, -1)
    cv2.line(picture, (0, 0), (0, height), joint, 1)
    return picture


def _ground_floor(
    rng: np.random.Generator,
    picture: np.ndarray,
    per_m: float,
    storey: float,
    columns: int,
    colour: Colour,
    lamps: float,
    shop: bool,
) -> None:
    """Shop windows with a sign above them, or a plinth with doors."""
    import cv2

    height, width = picture.shape[:2]
    base = height
    top = int(height - storey)
    if shop:
        count = max(int(width / (per_m * rng.uniform(4, 7))), 1)
        step = width / count
        for index in range(count):
            x0, x1 = int(index * step), int((index + 1) * step)
            tone = tuple(rng.uniform(30, 235, 3))
            cv2.rectangle(picture, (x0, top), (x1, base), tuple(0.8 * c for c in tone), -1)
            inside = rng.uniform(35, 130, 3) * (1 - lamps) + np.array([150, 210, 240]) * lamps
            pane_top = top + int(0.26 * storey)
            cv2.rectangle(picture, (x0 + 3, pane_top), (x1 - 3, base - int(0.14 * storey)), tuple(inside), -1)
            for _ in range(4):  # goods behind the glass
                gx = int(rng.uniform(x0 + 4, max(x1 - 6, x0 + 5)))
                gy = int(rng.uniform(pane_top + 4, base - 8))
                cv2.rectangle(
                    picture, (gx, gy), (gx + 4, base - int(0.16 * storey)), tuple(rng.uniform(20, 240, 3)), -1
                )
            door = int(rng.uniform(x0 + 4, max(x1 - 14, x0 + 5)))
            cv2.rectangle(picture, (door, pane_top), (door + int(per_m), base), tuple(rng.uniform(20, 120, 3)), -1)
            ink = tuple(255 - c if abs(c - 128) > 40 else 250 for c in tone)
            x = x0 + 5 + int(rng.uniform(0, 0.2) * step)
            while x < x1 - 8:  # letters
                w = int(rng.integers(1, 4))
                cv2.rectangle(picture, (x, top + 3), (x + w, top + max(int(0.18 * storey), 4)), ink, -1)
                x += w + int(rng.integers(2, 4))
            if rng.random() < 0.3:
                awning = tuple(rng.uniform(30, 230, 3))
                cv2.rectangle(picture, (x0 + 2, pane_top - 2), (x1 - 2, pane_top + int(0.16 * storey)), awning, -1)
        return
    plinth = tuple(rng.uniform(0.5, 0.85) * np.asarray(colour, float))
    cv2.rectangle(picture, (0, int(base - 0.6 * per_m)), (width, base), plinth, -1)
    for _ in range(max(columns // 4, 1)):
        x = int(rng.uniform(2, max(width - 1.5 * per_m, 3)))
        wide = per_m * (2.6 if rng.random() < 0.25 else 1.1)
        cv2.rectangle(picture, (x, int(base - 2.3 * per_m)), (int(x + wide), base), tuple(rng.uniform(20, 150, 3)), -1)


def _gable(rng: np.random.Generator, colour: Colour) -> np.ndarray:
    """The blind side of a building: plaster with a few small windows, (96, 96, 3) uint8."""
    import cv2

    picture = _plaster(rng, 96, 96, colour, rng.uniform(0.05, 0.2))
    for _ in range(int(rng.integers(0, 7))):
        x, y = int(rng.integers(6, 84)), int(rng.integers(6, 70))
        cv2.rectangle(picture, (x, y), (x + 7, y + 10), tuple(rng.uniform(35, 110, 3)), -1)
    return picture


def _wall(rng: np.random.Generator, colour: Colour) -> np.ndarray:
    """A garden or retaining wall with courses, a coping and now and then graffiti, (64, 192, 3) uint8."""
    import cv2

    picture = _plaster(rng, 192, 64, colour, rng.uniform(0.1, 0.3))
    joint = tuple(0.72 * np.asarray(colour, float))
    step = int(rng.integers(6, 20))
    for row, y in enumerate(range(0, 64, step)):
        cv2.line(picture, (0, y), (192, y), joint, 1)
        if rng.random() < 0.8:
            for x in range((row % 2) * step, 192, 2 * step):
                cv2.line(picture, (x, y), (x, y + step), joint, 1)
    cv2.rectangle(picture, (0, 0), (192, 4), tuple(np.clip(1.2 * np.asarray(colour, float), 0, 250)), -1)
    if rng.random() < 0.3:
        points = np.stack([rng.uniform(20, 170, 9), rng.uniform(14, 54, 9)], axis=1).astype(np.int32)
        cv2.polylines(picture, [points], False, tuple(rng.uniform(20, 240, 3)), 3)
    return picture


def _fence(rng: np.random.Generator, colour: Colour) -> np.ndarray:
    """A fence one can look through, (64, 256, 4) uint8 with an alpha channel."""
    import cv2

    picture = np.zeros((64, 256, 4), np.uint8)
    paint = (*colour, 255.0)
    kind = rng.integers(4)
    gap = int(rng.integers(5, 9))
    if kind == 0:  # boards
        for x in range(0, 256, gap + 3):
            cv2.rectangle(picture, (x, int(rng.integers(0, 4))), (x + gap, 64), paint, -1)
    elif kind == 1:  # mesh
        for x in range(-64, 256, gap + 2):
            cv2.line(picture, (x, 0), (x + 64, 64), paint, 1)
            cv2.line(picture, (x + 64, 0), (x, 64), paint, 1)
    else:  # bars
        for x in range(0, 256, gap):
            cv2.rectangle(picture, (x, 3 if kind == 2 else 0), (x + 1, 64), paint, -1)
    for y in (6, 52):
        cv2.rectangle(picture, (0, y), (256, y + 3), paint, -1)
    for x in range(0, 256, 64):
        cv2.rectangle(picture, (x, 0), (x + 4, 64), paint, -1)
    return picture
