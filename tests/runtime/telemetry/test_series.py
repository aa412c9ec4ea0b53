"""Series that stay small, and the energy below them."""

import pickle
import random

import pytest

from ccc_jetson.runtime.telemetry.series import Series, energy_between


def test_up_to_its_size_every_value_is_kept():
    series = Series("power", "W", 10)
    for second in range(9):
        series.add(float(second), float(second))
    assert series.points == [(float(second), float(second)) for second in range(9)]
    assert series.every == 1


def test_afterwards_means_are_kept_and_the_extremes_stay_exact():
    seed = random.randrange(10**6)
    print("seed", seed)
    generator = random.Random(seed)
    values = [generator.uniform(0, 10) for _ in range(1003)]
    series = Series("power", "W", 50)
    for second, value in enumerate(values):
        series.add(float(second), value)
        assert len(series.points) <= 50
    assert (series.lowest, series.highest) == (min(values), max(values))
    assert series.mean == pytest.approx(sum(values) / len(values))
    times = [at_s for at_s, _ in series.points]
    assert times == sorted(times)
    exact, _ = energy_between(list(enumerate(values)), 0, 1002)
    kept, covered_s = energy_between(series.points, 0, 1002)
    assert kept / covered_s == pytest.approx(exact / 1002, rel=0.05)


def test_months_take_what_five_minutes_take():
    series, every_s, days = Series("power", "W", 300), 10.0, 120
    sizes, looks = [], int(days * 86400 / every_s)
    for look in range(looks):
        series.add(look * every_s, 5.0 + look % 3)
        if look % 5000 == 4999:
            sizes.append(len(pickle.dumps(vars(series))))
    assert max(sizes) < 2 * sizes[0]
    assert len(series.points) <= 300 and series.seen == looks
    assert all(value == pytest.approx(6.0, abs=0.01) for _, value in series.points[:-1])
    assert series.points[-1][0] <= days * 86400


def test_energy_is_by_trapezoids_and_cut_at_both_ends():
    points = [(0.0, 2.0), (2.0, 6.0), (4.0, 6.0)]
    assert energy_between(points, 0, 4) == pytest.approx((20.0, 4.0))
    assert energy_between(points, 1, 3) == pytest.approx((5.0 + 6.0, 2.0))
    assert energy_between(points, 3, 9) == pytest.approx((6.0, 1.0))
    assert energy_between(points, 5, 9) == (0.0, 0.0)
    assert energy_between(points[:1], 0, 4) == (0.0, 0.0)


def test_a_series_of_nothing_has_no_points():
    series = Series("power", "W", 10)
    assert series.points == [] and series.mean == 0.0
