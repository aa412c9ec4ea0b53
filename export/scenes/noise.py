"""Seamless noise and the tables that colour it."""

from functools import cache

import numpy as np


@cache
def noise_tile(size: int, octaves: int, stream: int, repeats: int = 1) -> np.ndarray:
    """A seamless fractal noise tile around 128, repeated both ways: (size * repeats, same) uint8, always the same."""
    import cv2

    if repeats > 1:
        return np.tile(noise_tile(size, octaves, stream), (repeats, repeats))
    rng = np.random.default_rng([7351, size, octaves, stream])
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = max(size >> (octaves - 1 - octave), 2)
        cells = min(cells, size)
        grid = rng.standard_normal((cells, cells), dtype=np.float32)
        grid = np.pad(grid, 2, mode="wrap")
        scale = size // cells
        layer = cv2.resize(grid, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        layer = layer[2 * scale : 2 * scale + size, 2 * scale : 2 * scale + size]
        total += layer * 0.6**octave
    total /= total.std()
    return np.clip(128 + 45 * total, 0, 255).astype(np.uint8)


def colour_table(values: np.ndarray) -> np.ndarray:
    """Colours (256, 3) as (256,) uint32, so that one look-up of a grey picture colours it; the fourth byte is 255."""
    table = np.full((256, 4), 255, np.uint8)
    table[:, :3] = np.clip(values, 0, 255)
    return table.view(np.uint32)[:, 0]
