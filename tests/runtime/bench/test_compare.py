"""Whether a report is slower than another: proven on series whose answer is known, and against hostile reports."""

import json
import math

import numpy as np
import pytest

from ccc_jetson.errors import UsageError
from ccc_jetson.runtime.bench.compare import (
    FASTER,
    NEITHER,
    SLOWER,
    block_length,
    compare,
    figure,
    interval,
    resampled,
)
from ccc_jetson.runtime.bench.plan import STATISTICS, Plan
from ccc_jetson.runtime.bench.reader import read_report
from ccc_jetson.runtime.bench.report import Environment
from ccc_jetson.runtime.telemetry.clocks import Clock, Clocks
from tests.runtime.bench.test_report import PC, TX2, benched_of, report_of, result_of


def correlated(mean_ms, frames, seed, correlation=0.8, spread=0.05):
    """Frame times of which each resembles the one before: an autoregressive series of first order."""
    generator = np.random.RandomState(seed)
    steps = generator.randn(frames + 200)
    values = np.zeros(frames + 200)
    for index in range(1, len(values)):
        values[index] = correlation * values[index - 1] + steps[index]
    scale = mean_ms * spread * math.sqrt(1.0 - correlation**2)
    return [float(value) for value in mean_ms + scale * values[200:]]


class Folder:
    """Writes reports and reads them back."""

    def __init__(self, path):
        self.path = path

    def report(self, name, *results, **changes):
        """A report of ``results`` (a result, or frame times), each with the name ``model<number>.engine``."""
        results = [each if hasattr(each, "facts") else result_of(each) for each in results]
        named = changes.pop("names", ["model{}.engine".format(number) for number in range(len(results))])
        benched = [benched_of(result, file) for file, result in zip(named, results)]
        place = self.path / name
        place.write_text(report_of(*benched, **changes).to_json())
        return read_report(str(place))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def verdict_of(folder, a, b, statistic="fps", tolerance=2.0):
    comparison = compare(folder.report("a.json", a), folder.report("b.json", b), statistic, tolerance)
    print(comparison.to_text())
    return comparison.pairs[0], comparison.exit_code


# Verdicts


def test_a_report_is_not_slower_than_itself(folder):
    series = correlated(62.5, 400, seed=1)
    pair, code = verdict_of(folder, series, series)
    assert (pair.ratio, pair.verdict, code) == (1.0, NEITHER, 0)
    assert pair.low < 1.0 < pair.high


@pytest.mark.parametrize(
    "factor, verdict, code",
    [(1.20, SLOWER, 1), (1.10, SLOWER, 1), (1.01, NEITHER, 0), (0.99, NEITHER, 0), (0.90, FASTER, 0)],
)
def test_fps_that_fall_are_slower_and_frame_times_that_fall_are_faster(folder, factor, verdict, code):
    a, b = correlated(62.5, 600, seed=1), correlated(factor * 62.5, 600, seed=2)
    pair, found = verdict_of(folder, a, b)
    assert (pair.verdict, found) == (verdict, code)
    assert pair.ratio == pytest.approx(1.0 / factor, rel=0.02)
    for statistic in ("frame_p50", "frame_p99", "latency_p50"):
        pair, found = verdict_of(folder, a, b, statistic)
        assert pair.ratio == pytest.approx(factor, rel=0.04), statistic
        if statistic != "frame_p99":
            assert (pair.verdict, found) == (verdict, code), statistic


def test_the_networks_times_are_compared_on_their_own(folder):
    a = result_of([62.5] * 100, network_ms=correlated(40.0, 300, seed=1))
    b = result_of([62.5] * 100, network_ms=correlated(50.0, 300, seed=2))
    assert verdict_of(folder, a, b)[1] == 0
    pair, code = verdict_of(folder, a, b, "network_p50")
    assert (pair.verdict, code) == (SLOWER, 1)
    assert pair.ratio == pytest.approx(1.25, rel=0.03)


def test_what_is_within_the_tolerance_is_no_verdict_however_sure_it_is(folder):
    a, b = [62.5, 62.6] * 300, [65.0, 65.1] * 300
    assert verdict_of(folder, a, b, tolerance=2.0)[0].verdict == SLOWER
    assert verdict_of(folder, a, b, tolerance=5.0) == (
        verdict_of(folder, a, b, tolerance=5.0)[0]._replace(verdict=NEITHER),
        0,
    )
    assert verdict_of(folder, b, a, tolerance=2.0)[0].verdict == FASTER


def test_a_large_difference_that_noise_explains_is_no_verdict(folder):
    a = correlated(62.5, 120, seed=3, spread=0.4)
    b = [1.05 * value for value in correlated(62.5, 120, seed=4, spread=0.4)]
    pair, code = verdict_of(folder, a, b)
    assert (pair.verdict, code) == (NEITHER, 0)
    assert pair.high - pair.low > 0.1


def test_one_slow_model_of_several_is_enough(folder):
    a = folder.report("a.json", [50.0, 50.1] * 60, [60.0, 60.1] * 60)
    b = folder.report("b.json", [50.0, 50.1] * 60, [70.0, 70.1] * 60)
    comparison = compare(a, b)
    assert [pair.verdict for pair in comparison.pairs] == [NEITHER, SLOWER]
    assert comparison.exit_code == 1
    assert compare(b, a).exit_code == 0


# The figures and the interval


def test_figures_are_frames_over_their_time_and_nearest_ranks():
    values = np.array([10.0] * 50 + [30.0] * 49 + [200.0])
    assert figure(values, None) == pytest.approx(1000.0 * 100 / (500 + 1470 + 200))
    assert (figure(values, 50), figure(values, 99)) == (10.0, 30.0)
    assert figure(np.arange(1.0, 1001.0), 99) == 990.0


def test_a_block_is_twice_the_root_of_the_samples():
    assert [block_length(count) for count in (100, 400, 1000, 100000)] == [20, 40, 64, 633]


def test_blocks_of_neighbours_keep_what_neighbours_share():
    """Means of blocks of a series that rises and falls slowly differ more than means of single frames drawn again."""
    values = 60.0 + 5.0 * np.sin(np.arange(400) / 20.0)
    single, blocks = (
        resampled(values, length, None, np.random.RandomState(1)).std() for length in (1, block_length(400))
    )
    print(single, blocks)
    assert blocks > 3.0 * single


@pytest.mark.parametrize("percent", [None, 50])
def test_resamples_scatter_round_the_figure_itself(percent):
    values = np.array(correlated(62.5, 400, seed=5))
    drawn = resampled(values, block_length(400), percent, np.random.RandomState(1))
    assert drawn.shape == (4000,)
    assert drawn.mean() == pytest.approx(figure(values, percent), rel=0.005)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says(correlation):
    """Fifty pairs of runs of the same speed; what single frames would give is far below where neighbours resemble."""
    runs, held, held_by_single = 50, 0, 0
    for run in range(runs):
        series = [np.array(correlated(62.5, 300, 1000 * run + side, correlation)) for side in (1, 2)]
        for length in (block_length(300), 1):
            generator = np.random.RandomState(run)
            a, b = (resampled(each, length, None, generator) for each in series)
            low, high = interval(b / a, 300 // length)
            held += length > 1 and low <= 1.0 <= high
            held_by_single += length == 1 and low <= 1.0 <= high
    print("correlation {}: held by {} of {}, by {} with single frames".format(correlation, held, runs, held_by_single))
    assert held >= 0.88 * runs
    assert correlation == 0.0 or held_by_single < 0.65 * runs


@pytest.mark.parametrize("blocks, beyond", [(5, 0.00095), (9, 0.00722), (1000, 0.0249)])
def test_fewer_blocks_make_a_wider_interval(blocks, beyond):
    """Student's t of 4 degrees is 2.776, of 8 degrees 2.306; times the root of 5/4 and 9/8 that is 3.104 and 2.446."""
    drawn = np.arange(100001) / 100000.0
    low, high = interval(drawn, blocks)
    print(blocks, low)
    assert low == pytest.approx(beyond, rel=0.2)
    assert high == pytest.approx(1.0 - low)


def test_the_same_reports_give_the_same_interval_every_time(folder):
    a = folder.report("a.json", correlated(62.5, 300, seed=1))
    b = folder.report("b.json", correlated(64.0, 300, seed=2))
    assert compare(a, b) == compare(a, b)
    pair = compare(a, b).pairs[0]
    assert (round(pair.low, 4), round(pair.high, 4)) == (0.954, 1.0145)


# Pairs


def test_models_are_paired_by_name_whatever_their_order(folder):
    a = folder.report("a.json", [50.0] * 100, [60.0] * 100, names=["x.engine", "y.engine"])
    b = folder.report("b.json", [60.0] * 100, [50.0] * 100, names=["y.engine", "x.engine"])
    assert [(pair.name, pair.ratio) for pair in compare(a, b).pairs] == [("x.engine", 1.0), ("y.engine", 1.0)]


def test_models_of_other_names_are_paired_by_order_and_that_is_said(folder):
    a = folder.report("a.json", [50.0] * 100, names=["old.engine"])
    b = folder.report("b.json", [50.0] * 100, names=["new.engine"])
    comparison = compare(a, b)
    assert len(comparison.pairs) == 1
    assert comparison.notes == ("old.engine is compared with new.engine",)
    same = folder.report("c.json", [50.0] * 100, [60.0] * 100, names=["m.engine", "m.engine"])
    assert [pair.ratio for pair in compare(same, same).pairs] == [1.0, 1.0]


def test_a_model_that_only_one_report_has_is_left_out_and_that_is_said(folder):
    a = folder.report("a.json", [50.0] * 100, [60.0] * 100, names=["x.engine", "y.engine"])
    b = folder.report("b.json", [60.0] * 100, names=["y.engine"])
    comparison = compare(a, b)
    assert [pair.name for pair in comparison.pairs] == ["y.engine"]
    assert len(comparison.notes) == 1 and comparison.notes[0].endswith("a.json only has x.engine")


def test_what_cannot_be_paired_is_refused(folder):
    a = folder.report("a.json", [50.0] * 100, [60.0] * 100, names=["x.engine", "y.engine"])
    b = folder.report("b.json", [60.0] * 100, names=["z.engine"])
    with pytest.raises(UsageError, match="it is not clear what to compare with what"):
        compare(a, b)


@pytest.mark.parametrize(
    "a, b, statistic, message",
    [
        ([50.0] * 99, [50.0] * 100, "fps", r"a.json: model0.engine has 99 samples of frame_ms, at least 100"),
        ([50.0] * 100, [50.0] * 100, "network_p50", r"a.json: model0.engine has 0 samples of network_ms"),
        ([50.0] * 100, [50.0] * 99 + [0.0], "fps", r"b.json: model0.engine has a time of 0 in frame_ms"),
    ],
)
def test_samples_that_say_too_little_are_refused(folder, a, b, statistic, message):
    with pytest.raises(UsageError, match=message):
        compare(folder.report("a.json", a), folder.report("b.json", b), statistic)


def test_few_samples_weaken_a_99th_percentile(folder):
    few, many = (folder.report("a.json", correlated(50.0, count, seed=1)) for count in (400, 1200))
    assert "hardly ten of them" in compare(few, few, "frame_p99").notes[0]
    assert compare(many, many, "frame_p99").notes == ()


# Circumstances


def differences(folder, a, b):
    """name -> (in A, in B)"""
    comparison = compare(a, b)
    for what, in_a, in_b in comparison.differences:
        assert "warning: {} differs: {} in A, {} in B".format(what, in_a, in_b) in comparison.to_text()
    return {what: (in_a, in_b) for what, in_a, in_b in comparison.differences}


def test_the_same_machine_has_no_differences(folder):
    report = folder.report("a.json", [50.0] * 100)
    assert differences(folder, report, report) == {}


def test_every_difference_of_the_machines_is_named(folder):
    a = folder.report("a.json", [50.0] * 100)
    b = folder.report("b.json", [50.0] * 100, environment=Environment(PC, "2.0", "4.10"), fit="stretch", threads=2)
    found = differences(folder, a, b)
    assert found["board"] == (TX2.board, "unknown")
    assert found["power mode"] == ("MAXP_CORE_ARM", "unknown")
    assert found["cores"] == ("4", "2")
    expected = {"board", "l4t", "jetpack", "power mode", "cpu", "cores", "system", "python", "numpy", "opencv", "fit"}
    assert set(found) == expected | {"threads"}


def test_other_software_another_graph_and_other_frames_are_named_but_not_another_engine(folder):
    a = result_of([50.0] * 100)
    facts = {"tensorrt": "8.0.1.6", "cuda": "10.2", "engine_sha256": "99" * 32, "cuda_graph": "not used: slower"}
    b = a._replace(facts=facts, backend="TensorRT 8.0.1.6 on NVIDIA Tegra X2", is_complete=False)
    found = differences(folder, folder.report("a.json", a), folder.report("b.json", b, plan=Plan(warm_up_frames=3)))
    assert found == {
        "tensorrt": ("8.2.1.8", "8.0.1.6"),
        "backend": (a.backend, b.backend),
        "cuda graph": ("used", "not used"),
        "ended": ("complete", "interrupted"),
        "warm-up": ("as long as it should be", "too short"),
    }


def test_clocks_may_move_a_little_and_their_limits_not_at_all(folder):
    def clocked(gpu):
        return result_of([50.0] * 100, clocks_before=Clocks("0,3-5", (gpu,), gpu, gpu._replace(name="memory")))

    a = folder.report("a.json", clocked(Clock("GPU", 1100.0, 114.75, 1122.0, "nvhost_podgov")))
    near = folder.report("b.json", clocked(Clock("GPU", 1060.0, 114.75, 1122.0, "nvhost_podgov")))
    assert differences(folder, a, near) == {}
    far = folder.report("b.json", clocked(Clock("GPU", 900.0, 900.0, 1300.5, "userspace")))
    found = differences(folder, a, far)
    assert found["GPU clock"] == ("1100 MHz", "900 MHz")
    assert found["GPU clock's limits"] == ("114.75 MHz to 1122 MHz", "900 MHz to 1300.5 MHz")
    assert found["GPU clock's governor"] == ("nvhost_podgov", "userspace")
    assert "memory clock" in found


def test_differences_of_one_of_several_models_name_it(folder):
    a, b = result_of([50.0] * 100), result_of([50.0] * 100, facts={"tensorrt": "8.0.1.6"})
    found = differences(folder, folder.report("a.json", a, a), folder.report("b.json", a, b))
    assert found["model1.engine: tensorrt"] == ("8.2.1.8", "8.0.1.6")


def test_the_json_says_how_the_interval_was_made(folder):
    a, b = folder.report("a.json", [50.0] * 400), folder.report("b.json", [55.0] * 100)
    record = json.loads(compare(a, b).to_json())
    assert record["bootstrap"] == {"method": "moving blocks", "resamples": 4000, "seed": 1, "interval_percent": 95}
    (pair,) = record["pairs"]
    assert (pair["samples"], pair["block_lengths"]) == ([400, 100], [40, 20])
    assert (pair["a"], pair["b"], pair["ratio"], pair["verdict"]) == (20.0, 18.1818, 0.90909, SLOWER)
    assert (record["exit_code"], record["statistic"], record["tolerance_percent"]) == (1, "fps", 2.0)


def test_the_text_says_how_the_interval_was_made(folder):
    text = compare(folder.report("a.json", [50.0] * 400), folder.report("b.json", [50.0] * 100)).to_text()
    assert "moving-block bootstrap: 4000 resamples, seed 1, blocks of 40 and 20 samples" in text


def test_every_statistic_has_its_samples():
    assert {each.samples for each in STATISTICS.values()} == {"frame_ms", "latency_ms", "network_ms"}
