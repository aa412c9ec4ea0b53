"""What ``ccc-build-engine`` and ``build_engine`` take: types of arguments, without numpy for ``--help``."""

import argparse
from typing import Optional, Tuple

from ccc_jetson.command import count_from, number_from
from ccc_jetson.engines.manifest import LAYER_PRECISIONS

_MOST_MIB = 1 << 20

agreement = number_from(0, 100)


def layer_precision(text: str) -> Tuple[str, str]:
    """Argument type: ``PATTERN=fp32`` -> (pattern, precision)."""
    pattern, _, precision = text.rpartition("=")
    if not pattern or precision not in LAYER_PRECISIONS:
        raise argparse.ArgumentTypeError(
            "{!r} is not {}".format(text, " or ".join("PATTERN=" + each for each in LAYER_PRECISIONS))
        )
    return pattern, precision


def workspace(text: str) -> Optional[int]:
    """Argument type: MiB; ``auto`` is None."""
    if text == "auto":
        return None
    mib = count_from(1)(text)
    if mib > _MOST_MIB:
        raise argparse.ArgumentTypeError("{} MiB are more than any GPU has".format(mib))
    return mib
