"""Percentiles that can be trusted, and the machine they were measured on."""

import random
import re
import threading
import tracemalloc

import pytest

from ccc_jetson.runtime.metrics import Machine, StageTimes, distribution_of, machine, percentile_table


def only(times):
    (summary,) = times.summaries()
    return summary


def test_percentiles_are_within_half_a_percent_of_the_exact_ones():
    seed = random.randrange(10**6)
    print("seed", seed)
    generator = random.Random(seed)
    seconds = [generator.lognormvariate(-3, 1.5) for _ in range(5000)]
    times = StageTimes(["infer"])
    for value in seconds:
        times.add("infer", value)
    summary, ordered = only(times), sorted(seconds)
    assert summary.p50_ms == pytest.approx(1000 * ordered[2499], rel=0.0051)
    assert summary.p90_ms == pytest.approx(1000 * ordered[4499], rel=0.0051)
    assert summary.p95_ms == pytest.approx(1000 * ordered[4749], rel=0.0051)
    assert summary.p99_ms == pytest.approx(1000 * ordered[4949], rel=0.0051)
    assert summary.mean_ms == pytest.approx(1000 * sum(seconds) / 5000, rel=1e-9)
    assert summary.max_ms == 1000 * ordered[-1]
    assert summary.samples == 5000


def test_equal_durations_give_exactly_that_duration():
    times = StageTimes(["infer"])
    for _ in range(7):
        times.add("infer", 0.0321)
    summary = only(times)
    found = [summary.p50_ms, summary.p90_ms, summary.p95_ms, summary.p99_ms]
    assert found == pytest.approx([32.1] * 4, rel=1e-12)


@pytest.mark.parametrize("seconds, shown", [(0.0123449, "12.34"), (0.0584949, "58.49"), (0.0050051, "5.01")])
def test_what_is_made_of_the_record_shows_the_digits_of_the_summary(seconds, shown):
    times = StageTimes(["infer"])
    times.add("infer", seconds)
    record = only(times).to_json()
    assert ["{:.2f}".format(record[name]) for name in ("p50_ms", "p99_ms", "max_ms", "mean_ms")] == [shown] * 4


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 5000.0])
def test_durations_beyond_the_bins_are_clamped_to_what_was_seen(seconds):
    times = StageTimes(["sink"])
    times.add("sink", seconds)
    assert only(times).p50_ms == pytest.approx(1000 * seconds)


def test_a_distribution_counts_everything_between_rising_edges():
    generator = random.Random(7)
    seconds = [generator.lognormvariate(-3, 0.2) for _ in range(3000)] + [9.0]
    found = distribution_of(seconds)
    assert sum(found.counts) == 3001
    assert len(found.edges_ms) == len(found.counts) + 1 <= 121
    assert all(low < high for low, high in zip(found.edges_ms, found.edges_ms[1:]))
    for low, high, count in zip(found.edges_ms, found.edges_ms[1:], found.counts):
        inside = sum(low * 0.9999 <= 1000 * each < high * 0.9999 for each in seconds)
        assert abs(inside - count) <= 3  # those on an edge
    assert found.to_json()["counts"] == found.counts


def test_a_distribution_of_few_durations_has_few_bins():
    assert len(distribution_of([0.05 + 0.001 * index for index in range(25)]).counts) <= 12
    assert distribution_of([0.5]).counts == [1]
    assert distribution_of([]) is None


def test_stages_that_have_durations_have_a_distribution():
    times = StageTimes(["a", "b"])
    times.add("b", 0.25)
    assert list(times.distributions()) == ["b"]
    assert times.distributions()["b"].counts == [1]


def test_memory_does_not_grow_with_the_number_of_durations():
    times = StageTimes(["sink"])
    times.add("sink", 0.001)
    tracemalloc.start()
    try:
        for index in range(20000):
            times.add("sink", index * 1e-5)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print("grown by", grown, "bytes")
    assert grown < 120000  # one number in each of 2100 bins; the durations themselves would take 640000


def test_threads_that_write_their_own_stage_lose_nothing():
    times = StageTimes(["a", "b", "c"])

    def write(stage):
        for _ in range(5000):
            times.add(stage, 0.001)

    threads = [threading.Thread(target=write, args=(stage,)) for stage in times.stages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [summary.samples for summary in times.summaries()] == [5000] * 3


def test_stages_keep_their_order_and_unused_ones_are_left_out():
    times = StageTimes(["capture", "infer", "sink"])
    times.add_all({"sink": 0.002, "capture": 0.001})
    assert [each.name for each in times.summaries()] == ["capture", "sink"]
    assert {each.name: each.to_json() for each in times.summaries()}["sink"] == {
        "count": 1, "mean_ms": 2.0, "p50_ms": 2.0, "p90_ms": 2.0, "p95_ms": 2.0, "p99_ms": 2.0, "max_ms": 2.0,
    }  # fmt: skip


def test_the_table_is_aligned():
    times = StageTimes(["capture", "infer"])
    times.add("capture", 0.0012)
    times.add("infer", 1.5)
    lines = percentile_table(times.summaries()).splitlines()
    columns = ["stage", "p50 ms", "p90 ms", "p95 ms", "p99 ms", "mean ms", "max ms", "count"]
    assert re.split("  +", lines[0]) == columns
    assert len({len(line) for line in lines}) == 1
    assert "1500.00" in lines[2]


def test_no_stages_make_no_table():
    assert percentile_table([]) == ""


def fake_root(tmp_path, **files):
    places = {
        "model": "proc/device-tree/model",
        "cpuinfo": "proc/cpuinfo",
        "release": "etc/os-release",
        "l4t": "etc/nv_tegra_release",
        "modes": "etc/nvpmodel.conf",
        "mode": "var/lib/nvpmodel/status",
    }
    for name, text in files.items():
        path = tmp_path / places[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(tmp_path)


@pytest.mark.parametrize("model", ["NVIDIA Jetson TX2 Developer Kit\0", "quill\0"])
def test_a_tx2_is_recognised_by_its_device_tree(tmp_path, model):
    root = fake_root(
        tmp_path,
        model=model,
        cpuinfo="processor\t: 0\nmodel name\t: ARMv8 Processor rev 3 (v8l)\n",
        release='NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 18.04.6 LTS"\n',
    )
    found = machine(root)
    assert found.is_tx2
    assert found.board == model[:-1]
    assert found.cpu == "ARMv8 Processor rev 3 (v8l)"
    assert found.system.startswith("Ubuntu 18.04.6 LTS, Linux ")
    assert str(found).startswith(model[:-1] + " (")


@pytest.mark.parametrize("model", ["NVIDIA Jetson Xavier NX Developer Kit\0", "NVIDIA Jetson TX2 NX\0", "lanai-3636\0"])
def test_another_jetson_is_no_tx2_not_even_a_tx2_nx(tmp_path, model):
    assert not machine(fake_root(tmp_path, model=model)).is_tx2


def test_a_jetsons_software_and_power_mode_are_part_of_the_machine(tmp_path):
    root = fake_root(
        tmp_path,
        model="NVIDIA Jetson TX2 Developer Kit\0",
        l4t="# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t186ref, EABI: aarch64, DATE: Sat Feb 19\n",
        modes="< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=3 NAME=MAXP_CORE_ARM >\n< PM_CONFIG DEFAULT=3 >\n",
        mode="pmode:0000",
    )
    found = machine(root)
    assert (found.l4t, found.jetpack, found.power_mode) == ("32.7.1", "4.6.1", "MAXN")
    assert found.to_json()["power_mode"] == "MAXN"


def test_what_only_a_jetson_has_is_not_in_the_json_of_a_pc():
    assert list(Machine("", "Some CPU", 2, "Linux", "3.6").to_json()) == ["board", "cpu", "cores", "system", "python"]


def test_a_machine_without_any_of_the_files_is_still_described(tmp_path):
    found = machine(str(tmp_path))
    assert (found.board, found.is_tx2) == ("", False)
    assert found.cpu and found.cores >= 1
    assert found.system.startswith("unknown distribution, ")


def test_the_machine_is_named_by_its_cpu_where_there_is_no_board():
    assert str(Machine("", "Some CPU", 1, "Linux", "3.6")) == "Some CPU (1 core)"
    assert Machine("", "Some CPU", 2, "Linux", "3.6").to_json()["cores"] == 2
