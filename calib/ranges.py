"""The range of every tensor of a network, off the device: measured with ONNX Runtime on calibration frames.

Symmetric and per tensor, as TensorRT uses ranges: INT8 covers -amax to amax. Three ways to choose amax:

- ``minmax``: the largest magnitude that was seen;
- ``percentile``: the magnitude below which that share of all values lies;
- ``entropy``: of all magnitudes to clip at, the one whose 128 levels lose least of the distribution, by
  Kullback-Leibler divergence over 2,048 bins of magnitudes (S. Migacz, 8-bit inference with TensorRT, GTC 2017; the
  search is that of NVIDIA's pytorch-quantization, in which the bin of the smallest magnitudes counts as much as its
  neighbour). TensorRT's own is closed; ranges are alike, not equal.

Time: one run of the network a frame for ``minmax``, a second one for the histograms of the others. Memory: a piece of
the graph at a time (``segments.py``), 16 kB for each tensor, and nothing that grows with the frames.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import cv2
import numpy as np

from ccc_jetson.calib.segments import SEGMENT_BYTES, Segments
from ccc_jetson.choices import CALIBRATION_METHODS, CALIBRATION_PERCENTILE, ENTROPY, MIN_MAX
from ccc_jetson.errors import BackendError, UsageError

BINS = 2048
LEVELS = 128
_EXACT = 1 << 24  # values that OpenCV, which counts in float32, counts exactly
_ENDS = np.arange(LEVELS, BINS + 1)
_EDGES = -(-np.arange(LEVELS + 1) * _ENDS[:, None] // LEVELS)  # (candidates, 129): bin k is of level k * 128 // i


class Observed(NamedTuple):
    """What was seen of each tensor, in the order of the graph, the network's input first.

    ``largest`` is its largest magnitude; ``histograms`` counts its magnitudes, float64 (BINS,) between 0 and that, and
    is empty where only the largest was asked for.
    """

    largest: dict[str, float]
    histograms: dict[str, np.ndarray]

    def ranges(self, method: str, percentile: float = CALIBRATION_PERCENTILE) -> dict[str, float]:
        """Each tensor's amax, by one of ``choices.CALIBRATION_METHODS``.

        Raises:
            UsageError: the percentage is none, or there are no histograms to search.
        """
        if method == MIN_MAX:
            return dict(self.largest)
        if method not in CALIBRATION_METHODS or not self.histograms:
            raise UsageError(
                f"no ranges by {method!r}: expected one of {', '.join(CALIBRATION_METHODS)}, with its histograms"
            )
        if not 50 <= percentile <= 100:
            raise UsageError(f"the percentile is {percentile:g}, expected 50 to 100")
        found = {}
        for name, counts in self.histograms.items():
            share = _entropy_share(counts) if method == ENTROPY else _percentile_share(counts, percentile)
            found[name] = self.largest[name] * share
        return found


def observe(
    model: bytes,
    images: Callable[[], Iterable[np.ndarray]],
    histograms: bool = True,
    threads: int = 0,
    on_image: Callable[[], None] = lambda: None,
    segment_bytes: int = SEGMENT_BYTES,
) -> Observed:
    """Runs the network on the frames, twice where histograms are wanted.

    Args:
        model: the ONNX file's bytes.
        images: gives the frames as the network takes them, (N, 3, H, W) float32, anew each time.
        on_image: called after every run, for progress.

    Raises:
        BackendError: the network cannot be run, or gives values that are not finite.
        UsageError: there are no frames.
    """
    segments = Segments(model, threads, segment_bytes)
    largest = dict.fromkeys(segments.floats, 0.0)
    seen = False
    for image in images():
        for name, array in segments.run(image):
            largest[name] = max(largest[name], float(array.max()), -float(array.min()))
            if not np.isfinite(largest[name]) or np.isnan(array.min()):
                raise BackendError(
                    f"tensor {name!r} has values that are not finite, so there is no range",
                    hint="do the frames fit the network? ccc-eval tells what it makes of them",
                )
        seen = True
        on_image()
    if not seen:
        raise UsageError("there are no frames to measure ranges on")
    counts: dict[str, np.ndarray] = {}
    if histograms:
        counts = {name: np.zeros(BINS) for name in largest}
        for image in images():
            for name, array in segments.run(image):
                counts[name] += _counted(array, largest[name])
            on_image()
    return Observed(largest, counts)


def _counted(array: np.ndarray, largest: float) -> np.ndarray:
    """(BINS,) float64: how many magnitudes lie in each of ``BINS`` equal parts of 0 to ``largest``."""
    magnitudes = np.abs(array).reshape(1, -1)
    # the end itself is counted in no bin; OpenCV wants one beyond zero
    end = float(np.nextafter(np.float32(largest), np.float32(np.inf))) if largest else 1.0
    counted: np.ndarray = np.zeros(BINS)
    for start in range(0, magnitudes.size, _EXACT):
        part = np.ascontiguousarray(magnitudes[:, start : start + _EXACT])
        counted += cv2.calcHist([part], [0], None, [BINS], [0.0, end]).reshape(-1)
    return counted


def _percentile_share(counts: np.ndarray, percentile: float) -> float:
    """The upper end of the bin in which the percentile lies, as a share of the largest magnitude."""
    below = np.cumsum(counts)
    index = int(np.searchsorted(below, percentile / 100 * below[-1]))
    return min(index + 1, BINS) / BINS


def _entropy_share(counts: np.ndarray) -> float:
    """Where to clip, as a share of the largest magnitude.

    For every candidate (the first i bins, from 128 on) the reference is the clipped distribution, with all that lies
    beyond counted in its last bin; the other is what 128 levels leave of it: within a level, the same for every bin
    that is not empty. Sums over levels are differences of running sums, so a tensor takes 128 x 1,921 steps.
    """
    bins = counts.copy()
    bins[0] = bins[1]
    if not bins.any():
        return 1.0
    running, filled = (np.concatenate([[0.0], np.cumsum(values)]) for values in (bins, bins > 0))
    inside, total = running[_ENDS], running[-1]
    beyond, last = total - inside, bins[_ENDS - 1]
    # the sum of p log p, of which the last bin alone differs from the histogram's
    own = np.concatenate([[0.0], np.cumsum(_x_log_x(bins))])[_ENDS - 1] + _x_log_x(last + beyond)
    level, occupied = np.diff(running[_EDGES]), np.diff(filled[_EDGES])
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.log(level / occupied / inside[:, None])
    level[:, -1] += beyond
    density[level == 0] = 0.0
    divergence = own / total - np.log(total) - (level * density).sum(axis=1) / total
    divergence[(inside == 0) | ((last == 0) & (beyond > 0)) | np.isnan(divergence)] = np.inf
    best = len(_ENDS) - 1 - int(np.argmin(divergence[::-1]))  # of equals the widest
    return float(_ENDS[best]) / BINS


def _x_log_x(values: np.ndarray) -> np.ndarray:
    return values * np.log(np.where(values > 0, values, 1.0))
