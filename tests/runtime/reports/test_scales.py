"""Places on an axis, and the round numbers there."""

import random

import pytest

from ccc_jetson.runtime.reports.scales import Scale, labels, log_ticks, rounded_span, rounded_up, ticks


def is_round(value):
    """Whether four digits write it."""
    return float("{:.4g}".format(value)) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("low, high", [(0, 1), (0, 97), (0, 0.0123), (41.2, 44.9), (-3, 8), (0, 123456), (99.1, 99.2)])
def test_ticks_are_round_few_and_within_the_axis(low, high):
    found = ticks(low, high, 6)
    print(found)
    assert 2 <= len(found) <= 6
    assert all(low - 1e-9 <= each <= high + 1e-9 for each in found)
    assert all(is_round(each) for each in found)
    steps = [after - before for before, after in zip(found, found[1:])]
    assert max(steps) == pytest.approx(min(steps))


def test_an_axis_without_length_has_one_tick():
    assert ticks(3.0, 3.0, 5) == [3.0]
    assert ticks(3.2, 3.2, 5) == [3.2]


@pytest.mark.parametrize("low, high", [(80, 120), (50, 400), (3, 90), (1, 1000), (0.02, 50000), (210, 1809)])
def test_logarithmic_ticks_are_round_too(low, high):
    found = log_ticks(low, high, 6)
    print(found)
    assert 2 <= len(found) <= 6
    assert all(low <= each <= high and is_round(each) for each in found)


def test_an_axis_between_two_round_numbers_has_its_beginning():
    assert log_ticks(1.1, 1.12, 2)[0] >= 1.1
    assert log_ticks(710.0, 2140.0, 1)


def test_an_axis_from_zero_ends_at_a_tick_that_holds_everything():
    seed = random.randrange(10**6)
    print("seed", seed)
    generator = random.Random(seed)
    for _ in range(500):
        value = 10 ** generator.uniform(-6, 9)
        end = rounded_up(value, 6)
        assert value <= end * (1 + 1e-9) <= 2.6 * value
        assert ticks(0.0, end, 6)[-1] == pytest.approx(end)
    assert rounded_up(0.0, 5) == 1.0


def test_a_span_holds_its_values_between_ticks_even_when_they_are_equal():
    for low, high in ((41.2, 44.9), (70.0, 70.0), (0.0, 0.0), (-5.5, -5.1), (1300.5, 1300.5)):
        start, end = rounded_span(low, high, 6)
        print(low, high, start, end)
        assert start - 1e-9 <= low <= high <= end + 1e-9 and start < end
        assert 2 <= len(ticks(start, end, 6)) <= 6


def test_labels_have_the_digits_that_tell_neighbours_apart():
    assert labels([0.0, 0.5, 1.0]) == ["0", "0.5", "1.0"]
    assert labels([0.0, 500.0, 1000.0]) == ["0", "500", "1,000"]
    assert labels([-0.02, 0.0, 0.02]) == ["-0.02", "0", "0.02"]
    assert labels([1.0, 10.0, 100.0]) == ["1", "10", "100"]
    assert labels([70.0]) == ["70"]


def test_places_are_in_proportion_and_never_beyond_the_ends():
    scale = Scale(0.0, 10.0, 100.0, 200.0)
    assert [scale(value) for value in (-5, 0, 5, 10, 11)] == [100, 100, 150, 200, 200]
    assert Scale(1.0, 100.0, 0.0, 1.0, log=True)(10.0) == pytest.approx(0.5)
    assert Scale(1.0, 100.0, 0.0, 1.0, log=True)(0.0) == 0.0
    assert Scale(5.0, 5.0, 3.0, 9.0)(5.0) == 3.0


@pytest.mark.parametrize("value", [5e-324, 1e-320, 1e-300, 1e-13])
def test_what_is_next_to_nothing_has_an_axis_all_the_same(value):
    assert rounded_up(value, 6) == 1.0
    assert ticks(0.0, value, 6) == [0.0]
    low, high = rounded_span(0.0, value, 6)
    assert low <= 0.0 <= value <= high
    assert all(len(text) < 20 for text in labels(ticks(low, high, 6)))
