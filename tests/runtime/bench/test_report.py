"""What ``ccc-bench`` says of a benchmark, to machines and to people."""

import json

import pytest

from ccc_jetson.contract import Published
from ccc_jetson.published import PAPER_TX2
from ccc_jetson.runtime.bench.measure import Result, Samples, slices_fps
from ccc_jetson.runtime.bench.plan import Plan
from ccc_jetson.runtime.bench.report import Benched, BenchReport, Environment, environment
from ccc_jetson.runtime.metrics import Machine, StageTimes
from ccc_jetson.runtime.report import Model
from ccc_jetson.runtime.telemetry.clocks import Clock, Clocks
from tests.doubles.tiny_model import tiny_contract

PC = Machine("", "Some CPU", 2, "Debian, Linux 6", "3.11.2")
TX2 = Machine(
    "NVIDIA Jetson TX2 Developer Kit", "ARMv8", 4, "Ubuntu, Linux 4.9", "3.6.9", "32.7.1", "4.6.1", "MAXP_CORE_ARM"
)
FREE = Clock("GPU", 1122.0, 114.75, 1122.0, "nvhost_podgov")
FIXED = FREE._replace(low_mhz=1122.0)
CCC1 = Published("FPS", 15.9, PAPER_TX2)


def samples_of(milliseconds, most=100000):
    samples = Samples(most)
    for value in milliseconds:
        samples.add(value / 1000.0)
    return samples


def result_of(frame_ms, latency_ms=(), network_ms=(), most=100000, **changes):
    """A result whose frames took so long; latencies are three frames' time unless given."""
    frames = samples_of(frame_ms, most)
    latencies = samples_of(latency_ms or [3 * value for value in frame_ms], most)
    network = samples_of(network_ms, most)
    finished, now_s = Samples(most), 0.0
    for value in frame_ms:
        now_s += value / 1000.0
        finished.add(now_s)
    stages = StageTimes(("capture", "infer"))
    stages.add_all({"capture": 0.001, "infer": 0.058})
    result = Result(
        backend="TensorRT 8.2.1.8 on NVIDIA Tegra X2",
        facts={"tensorrt": "8.2.1.8", "cuda": "10.2", "engine_sha256": "cd" * 32, "cuda_graph": "used"},
        frames=frames.seen,
        wall_s=now_s,
        warm_up_frames=50,
        warm_up_s=3.2,
        is_complete=True,
        frame=frames.summary("frame") if frame_ms else None,
        latency=latencies.summary("latency") if frame_ms else None,
        network=network.summary("network") if network_ms else None,
        stages=stages.summaries(),
        bottleneck="infer: 58.0 ms a frame",
        slices_fps=slices_fps(finished),
        clocks_before=Clocks("0,3-5", (), FREE, None),
        clocks_after=Clocks("0,3-5", (), FREE, None),
        samples={"frame": frames, "latency": latencies, "network": network},
    )
    return result._replace(**changes)


def benched_of(result, name="model.engine", size=(64, 32), published=(CCC1,), **more):
    contract = tiny_contract(width=size[0], height=size[1], **more)._replace(published=published)
    model = Model("folder/" + name, "ab" * 32, "as asked", contract)
    return Benched(model, "synthetic streets: 8 frames of 1280x720", (1280, 720), result)


def report_of(*benched, **changes):
    report = BenchReport(
        started="2024-05-06T07:08:09Z",
        environment=Environment(TX2, "1.13.3", ""),
        plan=Plan(),
        fit="crop",
        threads=0,
        benched=benched,
        problems=(),
        not_run=(),
    )
    return report._replace(**changes)


STEADY = result_of([62.5] * 400, network_ms=[40.0] * 99 + [48.0])


def test_the_json_has_everything_that_was_measured():
    record = json.loads(report_of(benched_of(STEADY)).to_json())
    (result,) = record["results"]
    assert (record["schema"], record["kind"], record["ended"]) == (1, "benchmark", "complete")
    assert record["environment"]["power_mode"] == "MAXP_CORE_ARM"
    assert (record["environment"]["numpy"], record["environment"]["opencv"]) == ("1.13.3", "")
    assert record["protocol"]["warm_up"] == {"least_frames": 50, "least_s": 2.0}
    assert record["protocol"]["warm_up_floor"] == {"frames": 50, "seconds": 2.0, "kept": True}
    assert (record["protocol"]["duration_s"], record["protocol"]["fit"]) == (20.0, "crop")
    assert (result["name"], result["frames"], result["wall_s"], result["fps"]) == ("model.engine", 400, 25.0, 16.0)
    times = {"p50_ms": 62.5, "p90_ms": 62.5, "p95_ms": 62.5, "p99_ms": 62.5, "max_ms": 62.5, "mean_ms": 62.5}
    assert result["frame"] == dict(times, count=400)
    assert result["latency"]["p50_ms"] == 187.5
    assert (result["network"]["p50_ms"], result["network"]["max_ms"]) == (40.0, 48.0)
    assert "comparable with trtexec's GPU compute time" in result["network_is"]
    assert result["slices_fps"] == [16.0] * 10
    assert result["clocks"]["before"]["gpu"]["high_mhz"] == 1122.0
    assert result["facts"]["engine_sha256"] == "cd" * 32 and result["model"]["sha256"] == "ab" * 32
    assert result["bottleneck"] == "infer: 58.0 ms a frame"
    assert result["source"]["size"] == [1280, 720]
    assert result["samples"]["frame_ms"] == {"every": 1, "values": [62.5] * 400}
    assert len(result["samples"]["network_ms"]["values"]) == 100


def test_each_networks_published_speed_is_in_the_json_beside_what_was_measured():
    ccc1, unknown = benched_of(STEADY, size=(1024, 512)), benched_of(STEADY, published=())
    results = json.loads(report_of(ccc1, unknown).to_json())["results"]
    (speed,) = results[0]["published"]
    assert (speed["value"], speed["measured"], speed["comparable"]) == (15.9, 16.0, True)
    assert results[1]["published"] == []
    on_pc = report_of(ccc1, environment=Environment(PC, "2.0", "4.10"))
    (speed,) = json.loads(on_pc.to_json())["results"][0]["published"]
    assert (speed["comparable"], speed["why_not"]) == (False, "not a TX2")


def test_lists_of_numbers_take_a_line_each():
    text = report_of(benched_of(STEADY)).to_json()
    assert '"values": [ 62.5, 62.5, 62.5, ' in text
    assert text.count("\n") < 300


def test_the_page_says_how_fast_and_on_what():
    text = report_of(benched_of(STEADY)).to_text()
    print(text)
    assert text.startswith(
        "model.engine: Tiny, 64x32, TensorRT 8.2.1.8 on NVIDIA Tegra X2\n"
        "16.00 FPS, frame to class map: 400 frames in 25.00 s, after 50 frames and 3.2 s of warm-up\n"
    )
    for line in (
        "end to end            p50 ms  p90 ms  p95 ms  p99 ms  mean ms  max ms  count",
        "frame time             62.50   62.50   62.50   62.50    62.50   62.50    400",
        "latency, queues full  187.50  187.50  187.50  187.50   187.50  187.50    400",
        "network alone          40.00   40.00   40.00   40.00    40.08   48.00    100",
        "bottleneck  infer: 58.0 ms a frame",
        "network     p50 40.00 ms, p99 40.00 ms: device time of the engine alone, nothing copied; "
        "comparable with trtexec's GPU compute time",
        "frames      synthetic streets: 8 frames of 1280x720, fit: crop",
        "published   FPS 15.9 (Jetson TX2, 1024x512, paper): not comparable with 16.00 on NVIDIA Jetson TX2 Developer "
        "Kit (4 cores): the input is 64x32",
        "power mode    MAXP_CORE_ARM",
        "system        Ubuntu, Linux 4.9, L4T 32.7.1, JetPack 4.6.1",
        "clocks        before model.engine: cores 0,3-5 on; GPU 1122 MHz of 115 to 1122 (nvhost_podgov)",
        "model.engine  SHA-256 " + "ab" * 32 + ", cuda 10.2, cuda graph used, engine sha256 " + "cd" * 32,
    ):
        assert "\n" + line in text
    assert "libraries     Python 3.6.9, numpy 1.13.3, ccc-jetson " in text
    assert "16.00 to 16.00 FPS in 10 parts of as many frames" in text


@pytest.mark.parametrize(
    "changes, note",
    [
        ({"plan": Plan(warm_up_frames=49)}, "less warm-up was asked for than 50 frames and 2 s"),
        ({"plan": Plan(warm_up_s=1.9)}, "less warm-up was asked for than 50 frames and 2 s"),
    ],
)
def test_what_weakens_a_figure_is_noted(changes, note):
    assert "\nnote        " + note in report_of(benched_of(STEADY), **changes).to_text()


def test_stages_that_count_the_warm_up_say_so():
    stages = [STEADY.stages[0]._replace(name="capture", samples=STEADY.frames + 50), *STEADY.stages[1:]]
    text = report_of(benched_of(STEADY._replace(stages=stages))).to_text()
    assert "counts      capture: with the frames of the warm-up\n" in text
    assert "with the frames of the warm-up" not in report_of(benched_of(STEADY)).to_text()


def test_what_was_said_of_the_board_at_the_start_is_in_the_record_and_not_once_more_on_the_page():
    report = report_of(benched_of(STEADY), warnings=("the power mode is 15W, not MAXN_SUPER: sudo nvpmodel -m 2",))
    (result,) = json.loads(report.to_json())["results"]
    assert result["notes"] == ["the power mode is 15W, not MAXN_SUPER: sudo nvpmodel -m 2"]
    assert "nvpmodel" not in report.to_text() and "jetson_clocks" not in report.to_text()


def test_a_measurement_as_it_should_be_has_no_notes():
    result = STEADY._replace(clocks_before=Clocks("0-5", (), FIXED, None))
    fast = Environment(TX2._replace(power_mode="MAXN"), "1.13.3", "")
    text = report_of(benched_of(result, size=(1024, 512)), environment=fast).to_text()
    assert "note" not in text
    assert "16.00 on NVIDIA Jetson TX2 Developer Kit (4 cores), 1.01 of it" in text


def test_a_run_that_became_slower_says_so_and_a_steady_one_does_not():
    hot = result_of([60.0] * 300 + [70.0] * 300)
    text = report_of(benched_of(hot)).to_text()
    assert "14.29 to 16.67 FPS in 10 parts of as many frames, from 16.67 in the first to 14.29 in the last" in text
    assert "it became slower on the way" in text
    assert "it became slower on the way" not in report_of(benched_of(STEADY)).to_text()


def test_thinned_samples_are_told_as_such():
    thinned = result_of([62.5] * 400, most=100)
    report = report_of(benched_of(thinned))
    assert "percentiles are of one frame in 4" in report.to_text()
    samples = json.loads(report.to_json())["results"][0]["samples"]["frame_ms"]
    assert samples == {"every": 4, "values": [62.5] * 100}


def test_several_models_end_in_a_table():
    fast = benched_of(result_of([50.0] * 40, network_ms=[30.0] * 10), "fast.engine")
    slow = benched_of(result_of([100.0] * 40)._replace(facts={}), "slow.onnx")
    text = report_of(fast, slow).to_text()
    print(text)
    table = text[text.index("\nmodel ") :].splitlines()[1:4]
    assert [line.split() for line in table[1:]] == [
        ["fast.engine", "20.00", "50.00", "50.00", "150.00", "30.00", "complete"],
        ["slow.onnx", "10.00", "100.00", "100.00", "300.00", "-", "complete"],
    ]
    assert "\nmodel " not in report_of(fast).to_text()


def test_another_runtimes_network_is_not_compared_with_trtexec():
    text = report_of(benched_of(STEADY._replace(facts={"onnxruntime": "1.10.0"}))).to_text()
    assert "trtexec" not in text and "the bare session alone" in text


def test_an_interrupted_run_says_so():
    report = report_of(benched_of(STEADY._replace(is_complete=False)))
    assert report.to_text().splitlines()[1].endswith("of warm-up; interrupted")
    record = json.loads(report.to_json())
    assert (record["ended"], record["results"][0]["ended"]) == ("interrupted", "interrupted")


def test_a_run_that_ended_in_its_warm_up_has_no_figures():
    nothing = result_of([])._replace(is_complete=False, bottleneck="", clocks_before=None, clocks_after=None)
    report = report_of(benched_of(nothing), not_run=("other.engine",))
    record = json.loads(report.to_json())
    assert (record["results"][0]["fps"], record["results"][0]["frame"], record["not_run"]) == (
        0,
        None,
        ["other.engine"],
    )
    assert "ended before the warm-up was over; nothing was measured" in report.to_text()
    assert "this machine shows none" in report.to_text()


def test_the_problems_of_other_models_are_in_the_json():
    report = report_of(benched_of(STEADY), problems=(("bad.engine", "bad.engine: is damaged"),))
    assert json.loads(report.to_json())["problems"] == [{"model": "bad.engine", "message": "bad.engine: is damaged"}]


def test_the_environment_names_the_libraries_that_are_in_use():
    import numpy

    found = environment(PC)
    assert (found.machine, found.numpy) == (PC, numpy.__version__)
