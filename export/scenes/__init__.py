"""Street scenes by the seed: pictures with exact labels, for demonstrations, training and calibration without data.

``street_scene(seed)`` paints a stylised street of its own town: a perspective camera on a road that bends and
rolls, houses, gardens, traffic and people, under sun, rain, fog or at night. The labels are Cityscapes train ids,
painted by the same strokes as the picture, so they are exact. Time moves the camera and everybody in the street.

What a scene costs: some 30 ms for the plan and its objects, whatever the size, and some 60 ns a pixel, on one core
of a server CPU of 2023: 40 ms at 512x256, 65 ms at 1024x512, 160 ms at 2048x1024. The next frames of a drive cost
less, as their plan and textures are kept.

May import numpy and OpenCV, and of ccc_jetson only ``errors``; OpenCV is loaded when the first scene is painted.
"""

import math
from typing import NamedTuple

import numpy as np

from ccc_jetson.errors import UsageError

__all__ = ["Scene", "street_scene"]


class Scene(NamedTuple):
    """One picture and its labels."""

    frame: np.ndarray  # (H, W, 3) uint8 BGR
    labels: np.ndarray  # (H, W) uint8 Cityscapes train ids, 255 where nothing is to be learnt


def street_scene(seed: int, width: int = 1024, height: int = 512, time_s: float = 0.0) -> Scene:
    """Paint the street of a seed at a moment.

    The result is a function of the arguments alone. The same seed with a growing time is a drive down one street;
    another seed is another town, weather and light. The view does not depend on the size, but the noise and the
    blur of the camera are those of the size asked for.

    Args:
        seed: which town, 0 or more.
        width, height: size of the picture in pixels, 64 to 4096 each.
        time_s: seconds since the drive began, 0 or more.

    Returns:
        A Scene of that size.

    Raises:
        UsageError: an argument is out of range.
    """
    from ccc_jetson.export.scenes.render import render

    if isinstance(time_s, bool) or not isinstance(time_s, (int, float, np.integer, np.floating)):
        raise UsageError(f"the time of a street scene must be a number of seconds, not {time_s!r}")
    for name, value in (("seed", seed), ("width", width), ("height", height)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise UsageError(f"{name} must be a whole number, not {value!r}")
    if seed < 0:
        raise UsageError(f"the seed of a street scene is {seed}; it must be 0 or more")
    for name, value in (("width", width), ("height", height)):
        if not 64 <= value <= 4096:
            raise UsageError(f"the {name} of a street scene is {value}; it must be 64 to 4096 pixels")
    if not math.isfinite(time_s) or time_s < 0:
        raise UsageError(f"the time of a street scene is {time_s}; it must be 0 seconds or more")
    return Scene(*render(int(seed), int(width), int(height), float(time_s)))
