"""Ranges of weights: counted from the bits, against numpy's own conversion to half."""

import numpy as np

from ccc_jetson.weight_ranges import HALF_LARGEST, largest_magnitude, weight_ranges


def test_counts_by_hand():
    array = np.array([0, -0.0, 1, -70000, 65504, 1e-30, 1, 2e-8, 1e-5, np.nan, -np.inf, 6.2e-5], np.float32)
    array.view(np.uint32)[6] = 0x80000000 | 714  # -1e-42, by its bits: the processor may flush denormals here
    found = weight_ranges([array[:5], array[5:].reshape(7, 1)])
    assert (found.tensors, found.values, found.zeros, found.not_finite) == (2, 12, 2, 2)
    assert (found.denormals, found.above_half) == (1, 1)
    assert (found.zero_in_half, found.subnormal_in_half) == (3, 1)  # 1e-30, 1e-42, 2e-8; 1e-5
    assert found.largest == 70000
    assert 0.99e-42 < found.smallest < 1.01e-42


def test_what_half_makes_of_random_magnitudes_is_what_numpy_makes_of_them():
    seed = 11
    print("seed", seed)
    rng = np.random.RandomState(seed)
    array = (2.0 ** rng.uniform(-30, 17, 20000)).astype(np.float32)
    edges = np.float32(2.0) ** np.array([-25, -24, -14, -13], np.float32)
    array = np.concatenate([array, edges, np.nextafter(edges, np.float32(0)), np.nextafter(edges, np.float32(1))])
    array = np.concatenate([array, [np.float32(2.0**-14 - 2.0**-25)]]).astype(np.float32)
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    bits = half.view(np.uint16)
    found = weight_ranges([array])
    assert found.zero_in_half == int((bits == 0).sum())
    assert found.subnormal_in_half == int(((bits > 0) & (bits < 0x0400)).sum())
    assert found.above_half == int((array > HALF_LARGEST).sum())


def test_nothing_zeros_and_no_numbers():
    assert (weight_ranges([]).largest, weight_ranges([]).smallest) == (None, None)
    zeros = weight_ranges([np.zeros(3, np.float32)])
    assert (zeros.largest, zeros.smallest) == (0.0, None)
    assert weight_ranges([np.full(2, np.nan, np.float32)]).largest is None


def test_doubles_beyond_float32_count_as_infinite_and_half_is_widened():
    found = weight_ranges([np.array([1e300, 1.0]), np.array([2.0, 6e-8], np.float16)])
    assert (found.not_finite, found.largest, found.denormals, found.subnormal_in_half) == (1, 2.0, 0, 1)


def test_the_largest_of_integers_and_of_nothing():
    assert largest_magnitude(np.array([-128, 5], np.int8)) == 128
    assert largest_magnitude(np.zeros(0, np.float32)) == largest_magnitude(np.zeros(0, np.int8)) == 0
