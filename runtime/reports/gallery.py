"""Small pictures of a run or an evaluation for its page: few, of bounded size, taken without holding anything up.

Of a run some frames are kept, evenly spread over it however long it becomes; of an evaluation the worst and the best.
What is kept is small already; it is encoded when all is over.
"""

import heapq
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

from ccc_jetson.contract import Contract
from ccc_jetson.opencv import import_cv2
from ccc_jetson.preprocess import at_frame_size
from ccc_jetson.runtime.backends import Segmentation
from ccc_jetson.runtime.evaluation import Scored
from ccc_jetson.runtime.frames import Frame
from ccc_jetson.runtime.overlay import DEFAULT_OPACITY, Overlay
from ccc_jetson.runtime.pixels import to_bgr
from ccc_jetson.runtime.reports.document import Picture
from ccc_jetson.runtime.sinks import Sink

MOST_BYTES = 40000  # of a JPEG file
_WIDTH, _HALF = 480, 320  # of an overlay, and of each of an evaluation's two
_SHOWN, _WORST, _BEST = 6, 4, 2
_QUALITIES = (85, 75, 65, 50, 35, 20, 10)
_GAP = 8  # white, between two pictures
_OPACITY = 0.6


class EvenlySpread(Sink):
    """Keeps overlays of some frames, between ``_SHOWN`` and twice as many; writes nothing.

    Args:
        contract: of the network.
        expected: how many frames will come, where somebody knows.
    """

    description = "sample pictures"

    def __init__(self, contract: Contract, expected: Optional[int] = None, opacity: float = DEFAULT_OPACITY) -> None:
        self._overlay = Overlay(contract, opacity)
        self._every = max(1, -(-(expected or 1) // (2 * _SHOWN)))
        self._seen = 0
        self._kept: List[Tuple[str, np.ndarray]] = []

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        if self._seen % self._every == 0:
            if len(self._kept) == 2 * _SHOWN:
                self._kept = self._kept[::2]
                self._every *= 2
            if self._seen % self._every == 0:
                self._kept.append((frame.name, self._small(frame, segmentation)))
        self._seen += 1

    def _small(self, frame: Frame, segmentation: Segmentation) -> np.ndarray:
        if segmentation.picture is not None:
            return _shrunk(segmentation.picture, _WIDTH)
        small = _shrunk(to_bgr(frame.image, frame.pixel_format), _WIDTH)
        geometry = at_frame_size(segmentation.geometry, (small.shape[1], small.shape[0]))
        return self._overlay(Frame(0, "", small, 0.0), segmentation._replace(geometry=geometry)).copy()

    @property
    def pictures(self) -> Tuple[Picture, ...]:
        """At most ``_SHOWN``, in their order, evenly spread over what came."""
        shown = min(_SHOWN, len(self._kept))
        chosen = [self._kept[(2 * index + 1) * len(self._kept) // (2 * shown)] for index in range(shown)]
        return tuple(Picture(name, encoded(picture)) for name, picture in chosen)


class WorstAndBest:
    """Keeps labels and predictions side by side of the frames with the lowest and the highest mIoU.

    Args:
        colors: (R, G, B) of each evaluated class.
    """

    def __init__(self, colors: Sequence[Tuple[int, int, int]]) -> None:
        self._colors = np.array([color[::-1] for color in colors], np.uint8)
        self._seen = 0
        self._worst: List[Tuple[float, int, str, np.ndarray]] = []  # heaps whose first is the next to go
        self._best: List[Tuple[float, int, str, np.ndarray]] = []

    def add(self, scored: Scored) -> None:
        """Draws the frame where it is among them until now, and looks at it no further else."""
        if scored.miou != scored.miou:
            return
        drawn: Optional[np.ndarray] = None
        for heap, most, rank in ((self._worst, _WORST, -scored.miou), (self._best, _BEST, scored.miou)):
            if len(heap) < most or rank > heap[0][0]:
                drawn = self._drawn(scored) if drawn is None else drawn
                heapq.heappush(heap, (rank, -self._seen, scored.name, drawn))
                if len(heap) > most:
                    heapq.heappop(heap)
        self._seen += 1

    @property
    def pictures(self) -> Tuple[Picture, ...]:
        """The worst, the lowest first, then the best; a frame that is both once."""
        shown = [("worst", -rank, name, drawn) for rank, _, name, drawn in sorted(self._worst, key=_rank)]
        names = {name for _, _, name, _ in shown}
        shown += [
            ("best", rank, name, drawn) for rank, _, name, drawn in sorted(self._best, key=_rank) if name not in names
        ]
        return tuple(
            Picture("{}: {}, mIoU {:.1f} %".format(kind, name, 100.0 * miou), encoded(drawn))
            for kind, miou, name, drawn in shown
        )

    def _drawn(self, scored: Scored) -> np.ndarray:
        """(h, w, 3): labels over the frame, a gap, the prediction over the frame."""
        cv2 = import_cv2()
        small = _shrunk(scored.picture, _HALF)
        size = (small.shape[1], small.shape[0])
        halves = []
        for classes in (scored.labels, scored.prediction):
            resized = cv2.resize(classes, size, interpolation=cv2.INTER_NEAREST)
            known = resized < len(self._colors)
            colors = self._colors[np.where(known, resized, 0)]
            mixed = cv2.addWeighted(small, 1.0 - _OPACITY, colors, _OPACITY, 0.0)
            halves.append(np.where(known[..., None], mixed, small))
        return np.hstack([halves[0], np.full((size[1], _GAP, 3), 255, np.uint8), halves[1]])


def encoded(picture: np.ndarray, most_bytes: int = MOST_BYTES) -> bytes:
    """(h, w, 3) uint8 BGR -> a JPEG file of at most so many bytes, as good as it can be; the worst there is at last."""
    cv2 = import_cv2()
    data = b""
    for quality in _QUALITIES:
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= most_bytes:
            break
    return data


def _shrunk(picture: np.ndarray, width: int) -> np.ndarray:
    """As wide at most, in its proportions and as an array of its own."""
    cv2 = import_cv2()
    if picture.shape[1] <= width:
        return picture.copy()
    return cv2.resize(
        picture, (width, max(1, round(picture.shape[0] * width / picture.shape[1]))), interpolation=cv2.INTER_AREA
    )


def _rank(kept: Tuple[Any, ...]) -> Tuple[float, int]:
    return -kept[0], -kept[1]
