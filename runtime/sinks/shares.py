"""How much of the picture each class takes, for the report."""

from typing import Tuple

import numpy as np

from ccc_jetson.contract import Contract
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.overlay import class_shares, pixel_counts
from ccc_jetson.runtime.sinks import Sink


class ClassShares(Sink):
    """Adds up the pixels of each class over all frames; writes nothing."""

    description = "class shares"

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._counts = np.zeros(256, np.int64)

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        self._counts += pixel_counts(segmentation.geometry.target.of(segmentation.class_map))

    @property
    def shares(self) -> Tuple[Tuple[str, float], ...]:
        """(name, share of all pixels that the network saw), the largest first."""
        return class_shares(self._counts, self._contract)
