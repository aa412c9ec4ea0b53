"""Reports as ``ccc-run``, ``ccc-eval`` and ``ccc-bench`` save them, of machines that never were. Needs ``onnx``."""

import json
import os
import tempfile

from ccc_jetson.confusion import ConfusionMatrix
from ccc_jetson.datasets import Dataset
from ccc_jetson.label_mapping import named_mapping
from ccc_jetson.runtime.bench.compare import compare
from ccc_jetson.runtime.bench.reader import read_report as read_benchmark
from ccc_jetson.runtime.eval_report import EvalReport
from ccc_jetson.runtime.evaluation import Tally
from ccc_jetson.runtime.metrics import Machine, StageTimes
from ccc_jetson.runtime.pipeline import STAGES, TO_CLASS_MAP, TO_SINKS, Measured
from ccc_jetson.runtime.report import COMPLETE, Model, Report
from ccc_jetson.runtime.timeline import TimelineRecorder
from tests.doubles.tiny_model import tiny_contract

TX2 = Machine("NVIDIA Jetson TX2 Developer Kit", "ARMv8", 6, "Ubuntu 18.04.6 LTS", "3.6.9", "32.7.1", "4.6.1", "MAXN")
TELEMETRY = {
    "interval_s": 1.0,
    "series": [
        {"name": "power", "unit": "W", "points": [[0.0, 9.5], [1.0, 11.0], [2.0, 10.5]]},
        {"name": "rail VDD_SYS_GPU", "unit": "W", "points": [[0.0, 4.5], [1.0, None], [2.0, 5.5]]},
        {"name": "temperature GPU", "unit": "C", "points": [[0.0, 41.0], [2.0, 44.5]]},
        {"name": "GPU clock", "unit": "MHz", "points": []},
    ],
    "summary": {
        "power_of": "VDD_IN", "mean_power_w": 10.33, "energy_j": 20.7, "peak_temperatures_c": {"GPU": 44.5},
        "peak_memory_bytes": 2250000000, "peak_swap_bytes": None,
    },
    "throttling": [{"from_s": 0.5, "to_s": 1.5, "cause": "GPU clock", "detail": "limit 828 of 1300 MHz"}],
    "joules_per_frame": 0.6512,
    "notes": ["the fan was not seen"],
}  # fmt: skip


def measured(frames=200, infer_s=0.06, dropped=0):
    """A run whose frames take turns between three durations."""
    times, latency, timeline = StageTimes(STAGES), StageTimes((TO_SINKS, TO_CLASS_MAP)), TimelineRecorder()
    now_s = 0.0
    for index in range(frames):
        duration_s = infer_s * (1.0 + 0.05 * (index % 3))
        now_s += duration_s
        times.add_all({"capture": 0.002, "preprocess": 0.003, "infer": duration_s, "postprocess": 0.001, "sink": 0.004})
        latency.add_all({TO_SINKS: 2 * duration_s, TO_CLASS_MAP: 1.9 * duration_s})
        timeline.add(now_s, 2 * duration_s, dropped * (index + 1) // frames)
    return Measured(
        frames, dropped, now_s, times.summaries(), latency.summaries(), "TensorRT 8.2.1.8 on NVIDIA Tegra X2",
        (("cuda_graph", "used"), ("engine_sha256", "ab" * 32)),
        timeline=timeline.timeline(now_s),
        distributions=(*times.distributions().items(), *latency.distributions().items()),
    )  # fmt: skip


def run_record(contract=None, telemetry=None, **changes):
    """The JSON of a run, as a dictionary."""
    report = Report(
        started="2024-05-06T07:08:09Z",
        machine=TX2,
        model=Model("folder/model.engine", "ab" * 32, "this machine can run it", contract or tiny_contract()),
        fit="crop",
        source="/dev/video0, 1280x720, 30 FPS",
        live=True,
        outputs=("overlay video out.mp4",),
        measured=measured(dropped=40),
        class_shares=(("road", 0.4), ("sky", 0.25), ("bus", 0.0001)),
        ended=COMPLETE,
        command="ccc-run --camera /dev/video0 --report 'my run.html'",
    )
    return dict(json.loads(report._replace(**changes).to_json()), telemetry=telemetry)


def evaluation_record(contract=None, **changes):
    """The JSON of an evaluation on CamVid's classes, one of which is never seen."""
    matrix = ConfusionMatrix(11)
    for index in range(10):
        matrix.counts[index, index] = 1000 * (index + 1)
        matrix.counts[index, (index + 1) % 10] = 100
    matrix.counts[0, 11] = 50
    times = StageTimes(("read", "preprocess", "infer", "postprocess", "score"))
    for index in range(24):
        times.add_all({"read": 0.02, "preprocess": 0.003, "infer": 0.06 + 0.001 * index, "score": 0.002})
    report = EvalReport(
        started="2024-05-06T07:08:09Z",
        machine=TX2,
        model=Model("model.onnx", "cd" * 32, "as asked", contract or tiny_contract()),
        backend="ONNX Runtime 1.10.0 on the CPU",
        fit="stretch",
        eval_size="network",
        prediction="class map as it comes; labels nearest",
        dataset=Dataset("test (camvid labels)", (), named_mapping("camvid"), notes=("24 of 233 frames",)),
        tally=Tally(matrix, 25, (("frame07", "is damaged"),)),
        remarks=("the network has no output for SignSymbol",),
        stages=times.summaries(),
        wall_s=2.5,
        timed_frames=24,
        command="ccc-eval model.onnx --mapping camvid",
        distributions=tuple(times.distributions().items()),
    )
    return json.loads(report._replace(**changes).to_json())


def benchmark_record(*frame_ms):
    """The JSON of a benchmark of one model for each list of frame times in milliseconds."""
    from tests.runtime.bench.test_report import benched_of, report_of, result_of

    benched = []
    for index, times in enumerate(frame_ms or ([62.5, 64.0] * 60,)):
        timeline, now_s = TimelineRecorder(), 0.0
        for value in times:
            now_s += value / 1000.0
            timeline.add(now_s, 3 * value / 1000.0)
        result = result_of(times, network_ms=[40.0] * 99 + [48.0], timeline=timeline.timeline(now_s))
        benched.append(benched_of(result, "model{}.engine".format(index)))
    return json.loads(report_of(*benched, command="ccc-bench model0.engine").to_json())


def comparison_record(a=((62.5, 64.0),), b=((80.0, 82.0),), command="ccc-bench compare a.json b.json"):
    """The JSON of a comparison of benchmarks whose models' frames took turns between these milliseconds."""
    readings = []
    for name, models in (("a.json", a), ("b.json", b)):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, name)
            with open(path, "w") as file:
                json.dump(benchmark_record(*[list(times) * 60 for times in models]), file)
            readings.append(read_benchmark(path)._replace(origin=name))
    return json.loads(compare(*readings)._replace(command=command).to_json())
