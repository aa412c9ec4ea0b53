"""Colours as triples of numbers, and what is done to them."""

from collections.abc import Iterable

Colour = tuple[float, float, float]  # B, G, R, 0 to 255; of a light or a shade: factors


def colour_of(values: Iterable[float]) -> Colour:
    """Three numbers, of an array or a generator, as a colour."""
    blue, green, red = values
    return float(blue), float(green), float(red)


def scaled(colour: Colour, factor: float, most: float = float("inf")) -> Colour:
    """A colour made brighter or darker, each channel held at ``most``."""
    return min(colour[0] * factor, most), min(colour[1] * factor, most), min(colour[2] * factor, most)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A mixture that holds ``share`` (0..1) of the other colour."""
    kept = 1 - share
    return (
        one[0] * kept + other[0] * share,
        one[1] * kept + other[1] * share,
        one[2] * kept + other[2] * share,
    )
