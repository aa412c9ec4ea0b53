"""Ranges off the device: measured by hand here, and against onnxruntime's and a slow search."""

import numpy as np
import pytest
from onnx import helper

from ccc_jetson.calib.ranges import BINS, LEVELS, Observed, observe
from ccc_jetson.errors import BackendError, UsageError
from ccc_jetson.onnx_file import with_extra_outputs
from ccc_jetson.ort import cpu_session
from tests.doubles.graphs import graph_bytes
from tests.doubles.quantisable import images, quantisable_bytes

DISTRIBUTIONS = {
    "normal": lambda rng: rng.randn(200_000),
    "laplace": lambda rng: rng.laplace(size=200_000),
    "uniform": lambda rng: rng.uniform(-1, 1, 200_000),
    "far outlier": lambda rng: np.concatenate([rng.randn(200_000), [40.0]]),
    "two peaks": lambda rng: np.concatenate([rng.randn(100_000), 20 + rng.randn(20_000)]),
}


@pytest.fixture(scope="module")
def observed():
    return observe(quantisable_bytes(), lambda: images(3), threads=1, segment_bytes=30_000)


@pytest.fixture(scope="module")
def activations():
    names = ["image", "first", "act", "depthwise", "second", "sum", "grouped", "grouped up", "up", "head"]
    session = cpu_session(with_extra_outputs(quantisable_bytes(), names[1:-1]), "whole", 1)
    runs = [[image, *session.run(names[1:], {"image": image})] for image in images(3)]
    return {name: np.stack([run[index] for run in runs]) for index, name in enumerate(names)}


def histogram(values):
    return np.histogram(np.abs(values), BINS, (0, np.abs(values).max()))[0].astype(np.float64)


def one(values):
    return Observed({"t": float(np.abs(values).max())}, {"t": histogram(values)})


def test_minmax_is_the_largest_magnitude_over_all_frames(observed, activations):
    found = observed.ranges("minmax")
    assert list(found) == list(activations)
    for name, values in activations.items():
        assert found[name] == pytest.approx(np.abs(values).max(), rel=1e-5)


def test_histograms_count_every_value_of_every_frame(observed, activations):
    for name, values in activations.items():
        assert observed.histograms[name].sum() == values.size
        here = np.cumsum(observed.histograms[name]) / values.size
        assert np.abs(here - np.cumsum(histogram(values)) / values.size).max() < 0.002


@pytest.mark.parametrize("percentile", [90, 99.9, 100])
def test_percentiles_are_numpys_to_a_bin(activations, observed, percentile):
    for name, amax in observed.ranges("percentile", percentile).items():
        magnitudes = np.abs(activations[name])
        width = magnitudes.max() / BINS
        inside = (magnitudes <= amax).mean()
        assert inside >= percentile / 100 - 1e-6, name
        assert (magnitudes <= amax - 2 * width).mean() < percentile / 100, name


def onnxruntimes(method, values):
    """What onnxruntime's own collectors find; their entropy search takes the histogram with both signs."""
    from onnxruntime.quantization.calibrate import HistogramCollector

    counts, largest = histogram(values), np.float32(np.abs(values).max())
    collector = HistogramCollector(method, True, BINS, LEVELS, 99.9, "same")
    if method == "percentile":
        edges = np.linspace(0, largest, BINS + 1).astype(np.float32)
        collector.histogram_dict = {"t": (counts, edges, -largest, largest)}
        return float(collector.compute_percentile()["t"][1])
    both = np.concatenate([counts[::-1], counts]).astype(np.int64)
    edges = np.linspace(-largest, largest, 2 * BINS + 1).astype(np.float32)
    return float(collector.get_entropy_threshold((both, edges, -largest, largest), 2 * LEVELS)[1])


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_the_percentile_is_onnxruntimes_to_two_bins(name):
    values = DISTRIBUTIONS[name](np.random.RandomState(1))
    found, theirs = one(values).ranges("percentile", 99.9)["t"], onnxruntimes("percentile", values)
    assert abs(found - theirs) <= 2.5 * np.abs(values).max() / BINS


def divergence(counts, end):
    """The definition, bin by bin."""
    bins = counts.copy()
    bins[0] = bins[1]
    levels = np.arange(end) * LEVELS // end
    density = np.zeros(end)
    for level in range(LEVELS):
        within = (levels == level) & (bins[:end] > 0)
        if within.any():
            density[within] = bins[:end][within].mean()
    reference = bins[:end].copy()
    reference[-1] += bins[end:].sum()
    if not density.any():
        return np.inf
    p, q = reference / reference.sum(), density / density.sum()
    if (q[p > 0] == 0).any():
        return np.inf
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_entropy_clips_where_the_divergence_is_smallest(name):
    values = DISTRIBUTIONS[name](np.random.RandomState(2))
    chosen = round(one(values).ranges("entropy")["t"] / np.abs(values).max() * BINS)
    counts = histogram(values)
    others = [divergence(counts, end) for end in range(LEVELS, BINS + 1, 37)]
    assert divergence(counts, chosen) <= min(others) + 1e-12


def test_entropy_is_close_to_onnxruntimes_search():
    """They differ in whole numbers for densities, in the first bin, and in levels on both sides of zero."""
    values = DISTRIBUTIONS["laplace"](np.random.RandomState(3))[:20_000]
    values = np.concatenate([values, [3 * np.abs(values).max()]])
    found, theirs = one(values).ranges("entropy")["t"], onnxruntimes("entropy", values)
    print("ours {:.3f}, onnxruntime's {:.3f}, largest {:.3f}".format(found, theirs, np.abs(values).max()))
    assert found < 0.6 * np.abs(values).max() and theirs < 0.6 * np.abs(values).max()
    assert found == pytest.approx(theirs, rel=0.5)


def test_a_tensor_that_is_always_zero_has_the_range_zero():
    nodes = [helper.make_node("Sub", ["x", "x"], ["y"], "n")]
    model = graph_bytes(nodes, {"x": [1, 1, 4, 4]}, {"y": [1, 1, 4, 4]})
    found = observe(model, lambda: [np.ones((1, 1, 4, 4), np.float32)], threads=1)
    for method in ("minmax", "entropy", "percentile"):
        assert found.ranges(method)["y"] == 0


def test_only_the_largest_takes_one_run_and_refuses_what_needs_two():
    runs = []
    found = observe(quantisable_bytes(), lambda: images(2), False, 1, lambda: runs.append(1))
    assert len(runs) == 2 and found.histograms == {}
    assert set(found.ranges("minmax")) == set(found.largest)
    with pytest.raises(UsageError, match="no ranges by 'entropy'"):
        found.ranges("entropy")


def test_unknown_methods_and_percentages_are_refused(observed):
    with pytest.raises(UsageError, match="expected one of percentile, minmax, entropy"):
        observed.ranges("mean")
    with pytest.raises(UsageError, match="expected 50 to 100"):
        observed.ranges("percentile", 101)


def test_without_frames_there_is_nothing_to_measure():
    with pytest.raises(UsageError, match="no frames"):
        observe(quantisable_bytes(), list)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(value):
    image = images(1)[0].copy()
    image[0, 0, 3, 3] = value
    with pytest.raises(BackendError, match="tensor 'image' has values that are not finite"):
        observe(quantisable_bytes(), lambda: [image], threads=1)
