"""Light and weather of a town, and what they and the camera do to a finished picture."""

import math
from typing import NamedTuple

import numpy as np

from ccc_jetson.export.scenes.colours import Colour, colour_of

WEATHERS = ("sun", "low sun", "overcast", "rain", "fog", "dusk", "night")
_ODDS = (0.30, 0.12, 0.22, 0.10, 0.07, 0.09, 0.10)


class Light(NamedTuple):
    """The light on a street. Colours are B, G, R; ``sun_*`` is the direction towards the sun."""

    weather: str
    sun: Colour
    ambient: Colour
    sun_s: float
    sun_t: float
    sun_y: float
    fog: Colour
    fog_per_m: float
    sky_top: Colour
    sky_low: Colour
    clouds: float
    lamps: float  # how brightly windows, lamps and head lights shine, 0..1
    wet: float  # 0 dry .. 1 mirror

    def shade(self, n_s: float, n_t: float, n_y: float, occlusion: float = 1.0) -> Colour:
        """Three factors for a surface with this normal; ``occlusion`` 1 is in the open."""
        facing = max(0.0, n_s * self.sun_s + n_t * self.sun_t + n_y * self.sun_y)
        open_sky = occlusion * (0.8 + 0.2 * n_y)
        ambient, sun = self.ambient, self.sun
        return (
            ambient[0] * open_sky + sun[0] * facing,
            ambient[1] * open_sky + sun[1] * facing,
            ambient[2] * open_sky + sun[2] * facing,
        )

    def haze(self, z: float) -> float:
        """How much of a thing ``z`` metres away the fog hides, 0..1."""
        return 1.0 - math.exp(-z * self.fog_per_m)


def draw_light(rng: np.random.Generator) -> Light:
    """Draw a weather with its light."""
    weather = str(rng.choice(WEATHERS, p=_ODDS))
    elevation = math.radians(rng.uniform(22, 65))
    azimuth = rng.uniform(-math.pi, math.pi)
    warm = rng.uniform(-0.10, 0.10)
    strength, ambient, clouds, lamps, wet = (
        rng.uniform(0.55, 0.95),
        rng.uniform(0.30, 0.5),
        rng.uniform(0, 0.7),
        0.0,
        0.0,
    )
    fog_per_m = 1 / rng.uniform(500, 2500)
    top = np.array([rng.uniform(150, 235), rng.uniform(110, 180), rng.uniform(50, 130)])
    low = np.array([rng.uniform(210, 250), rng.uniform(200, 240), rng.uniform(170, 235)])
    grey = rng.uniform(130, 245)
    if weather == "low sun":
        elevation, azimuth = math.radians(rng.uniform(6, 16)), rng.uniform(-0.7, 0.7)
        warm = rng.uniform(0.1, 0.3)
        low = low * (0.75, 0.95, 1.08)
        fog_per_m = 1 / rng.uniform(200, 700)
    elif weather in ("overcast", "rain", "fog"):
        strength, ambient = rng.uniform(0, 0.1), rng.uniform(0.6, 0.95)
        top = grey * rng.uniform(0.75, 1.0) + rng.uniform(-8, 8, 3)
        low = np.minimum(grey * rng.uniform(0.9, 1.1) + rng.uniform(-6, 6, 3), 252)
        clouds = rng.uniform(0.1, 0.6)
        if weather == "rain":
            wet, ambient, fog_per_m = rng.uniform(0.25, 0.7), rng.uniform(0.4, 0.75), 1 / rng.uniform(120, 400)
        elif weather == "fog":
            fog_per_m, clouds = 1 / rng.uniform(25, 90), 0.0
        if rng.random() < 0.25:
            lamps = 0.35
    elif weather == "dusk":
        strength, ambient, lamps = 0.05, rng.uniform(0.28, 0.45), 0.6
        top = np.array([rng.uniform(70, 140), rng.uniform(50, 90), rng.uniform(40, 80)])
        low = np.array([rng.uniform(90, 170), rng.uniform(90, 160), rng.uniform(120, 230)])
    elif weather == "night":
        strength, ambient, lamps = 0.0, rng.uniform(0.14, 0.28), 1.0
        top = rng.uniform(5, 22, 3)
        low = top + rng.uniform(4, 35) * np.array([0.8, 0.9, 1.0])
        wet = rng.uniform(0.2, 0.6) if rng.random() < 0.35 else 0.0
        fog_per_m = 1 / rng.uniform(300, 1500)
    cast = rng.uniform(-0.05, 0.05, 3)
    flat = math.cos(elevation)
    return Light(
        weather=weather,
        sun=colour_of(strength * np.array([1 - warm, 1.0, 1 + warm])),
        ambient=colour_of(ambient * (np.array([1.05, 1.0, 0.95]) + cast)),
        sun_s=flat * math.cos(azimuth),
        sun_t=flat * math.sin(azimuth),
        sun_y=math.sin(elevation),
        fog=colour_of(np.clip(low * 0.95, 0, 250)),
        fog_per_m=float(fog_per_m),
        sky_top=colour_of(np.clip(top, 0, 252)),
        sky_low=colour_of(np.clip(low, 0, 252)),
        clouds=float(clouds),
        lamps=float(lamps),
        wet=float(wet),
    )
