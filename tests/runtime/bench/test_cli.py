"""ccc-bench from its command line to its files and exit codes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import ccc_jetson
from ccc_jetson.errors import BackendError, FileProblem
from ccc_jetson.runtime.backends.cpu import CpuBackend
from ccc_jetson.runtime.bench.cli import build_compare_parser, build_parser, main
from tests.doubles.stages import write_video
from tests.runtime.bench.test_report import benched_of, report_of, result_of
from tests.runtime.frames.test_pictures import write_picture

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.doubles.tiny_model import tiny_contract, tiny_graph, write_tiny_model  # noqa: E402  (needs onnx)

SHORT = ["--duration", "0.15", "--warm-up-frames", "5", "--warm-up-seconds", "0.01"]


@pytest.fixture(autouse=True)
def short_network_runs(monkeypatch):
    monkeypatch.setattr("ccc_jetson.runtime.bench.plan.NETWORK_S", 0.01)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with ``model.onnx``."""
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "model.onnx")
    return tmp_path


def run(capsys, *argv):
    """(exit code, standard output, standard error)."""
    code = main(list(argv))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_model_is_measured_from_frame_to_class_map(folder, capsys):
    code, out, err = run(capsys, "model.onnx", "--report", "bench.json", *SHORT)
    print(out, err)
    assert code == 0
    assert "model: model.onnx (as asked), Tiny" in err
    assert "the network alone, then at least 5 frames and 0.01 s of warm-up, then 0.15 s" in err
    for line in ("end to end", "frame time", "latency, queues full", "network alone", "infer", "bottleneck  ",
                 "steadiness  ", "published   mIoU % 61.96 (Cityscapes, paper): not measured here", "machine",
                 "libraries", "note        less warm-up was asked for"):  # fmt: skip
        assert "\n" + line in out
    record = json.loads((folder / "bench.json").read_text())
    (result,) = record["results"]
    frame_ms = result["samples"]["frame_ms"]["values"]
    assert result["ended"] == record["ended"] == "complete"
    assert result["frames"] == len(frame_ms) == len(result["samples"]["latency_ms"]["values"])
    assert result["wall_s"] >= 0.15
    assert result["fps"] == pytest.approx(result["frames"] / result["wall_s"], rel=1e-4)
    assert sum(frame_ms) == pytest.approx(1000 * result["wall_s"], rel=0.01)
    assert result["frame"]["p50_ms"] in frame_ms
    assert result["warm_up"]["frames"] >= 5 and result["warm_up"]["seconds"] >= 0.01
    assert len(result["samples"]["network_ms"]["values"]) % 10 == 0 < result["network"]["count"]
    assert result["facts"]["onnxruntime"] in result["backend"]
    assert record["environment"]["python"] == "{}.{}.{}".format(*sys.version_info)
    assert record["protocol"]["warm_up_floor"]["kept"] is False
    assert result["stages"]["infer"]["count"] == result["frames"]
    assert sorted(os.listdir(".")) == ["bench.json", "model.onnx"]


def test_without_a_name_the_model_of_this_folder_is_measured(folder, capsys):
    code, out, err = run(capsys, *SHORT)
    assert code == 0
    assert "model.onnx (./model.engine is not there)" in err
    assert out.startswith("model.onnx: Tiny, 64x32, ONNX Runtime ")


def test_several_models_end_in_a_table(folder, capsys):
    write_tiny_model(folder / "large.onnx", width=128, height=64)
    code, out, _ = run(capsys, "model.onnx", "large.onnx", "--report", "bench.json", *SHORT)
    assert code == 0
    assert "\nmodel " in out and "\nlarge.onnx  " in out
    results = json.loads((folder / "bench.json").read_text())["results"]
    assert [(each["name"], each["source"]["size"]) for each in results] == [
        ("model.onnx", [64, 32]), ("large.onnx", [128, 64])
    ]  # fmt: skip


def test_frames_end_a_run_too(folder, capsys):
    _, out, err = run(capsys, "model.onnx", "--frames", "17", "--json", *SHORT[2:])
    assert json.loads(out)["results"][0]["frames"] == 17
    assert "of warm-up, then 17 frames" in err
    _, out, err = run(capsys, "model.onnx", "--frames", "17", "--json", "--duration", "60", *SHORT[2:])
    assert json.loads(out)["results"][0]["frames"] == 17
    assert "of warm-up, then 60 s or 17 frames" in err


def test_json_on_standard_output_is_the_report_and_nothing_else(folder, capsys):
    _, out, _ = run(capsys, "model.onnx", "--json", "--report", "bench.json", *SHORT)
    assert json.loads(out) == json.loads((folder / "bench.json").read_text())


@pytest.mark.parametrize(
    "source, description, size",
    [
        (["--size", "100x60"], "synthetic streets, seed 1: 8 frames of 100x60", [100, 60]),
        (["--video", "drive.mp4"], "drive.mp4: 12 frames of 96x64", [96, 64]),
        (["--images", "a.png", "b.png"], "2 pictures: 2 frames of 2 sizes", []),
        (["--source", "drive.mp4"], "drive.mp4: 12 frames of 96x64", [96, 64]),
        (["--source", "synthetic://?size=96x64&frames=5"], "synthetic://?size=96x64&fps=30&frames=5: 5 fra", [96, 64]),
    ],
)
def test_frames_may_be_drawn_or_come_from_files(folder, capsys, source, description, size):
    write_video(folder / "drive.mp4", frames=12, size=(96, 64))
    write_picture(folder / "a.png", size=(64, 32))
    write_picture(folder / "b.png", size=(70, 50))
    code, out, err = run(capsys, "model.onnx", "--fit", "letterbox", "--json", *(source + SHORT))
    assert code == 0, err
    record = json.loads(out)
    assert record["results"][0]["source"]["description"].startswith(description)
    assert record["results"][0]["source"]["size"] == size
    assert record["protocol"]["fit"] == "letterbox"
    assert "held in memory and used in turn, fit: letterbox" in err


def test_threads_and_a_contract_reach_the_backend(folder, capsys):
    (folder / "bare.onnx").write_bytes(tiny_graph(tiny_contract()).SerializeToString())
    code, _, err = run(capsys, "bare.onnx", *SHORT)
    assert code == 1 and "holds no contract" in err
    (folder / "contract.json").write_text(tiny_contract()._replace(head=None).to_json())
    code, out, err = run(capsys, "bare.onnx", "--contract", "contract.json", "--threads", "1", "--json", *SHORT)
    assert code == 0, err
    record = json.loads(out)
    assert record["results"][0]["backend"].endswith("1 threads") and record["protocol"]["threads"] == 1


def test_options_for_a_gpu_reach_the_backend(folder, capsys, monkeypatch):
    from ccc_jetson.runtime import backends

    seen = []
    opened = backends.open_backend

    def watching(*given, **named):
        seen.append(named["gpu"])
        return opened(*given, **named)

    monkeypatch.setattr(backends, "open_backend", watching)
    assert run(capsys, "model.onnx", "--no-cuda-graph", "--memory", "input=mapped", *SHORT)[0] == 0
    assert run(capsys, "model.onnx", *SHORT)[0] == 0
    assert [(each.cuda_graph, each.memory, each.opacity) for each in seen] == [
        (False, (("input", "mapped"),), None), (True, (), None)
    ]  # fmt: skip


def test_a_model_that_fails_does_not_keep_the_others_from_being_measured(folder, capsys, monkeypatch):
    (folder / "bad.onnx").write_bytes(b"no model")
    argv = ["none.onnx", "model.onnx", "bad.onnx", "--report", "bench.json"]
    code, out, err = run(capsys, *(argv + SHORT))
    assert code == 1
    assert "ccc-bench: error: none.onnx: cannot be read" in err and "ccc-bench: error: bad.onnx: " in err
    assert out.startswith("model.onnx: Tiny")
    record = json.loads((folder / "bench.json").read_text())
    assert [each["name"] for each in record["results"]] == ["model.onnx"]
    assert [each["model"] for each in record["problems"]] == ["none.onnx", "bad.onnx"]


def test_a_backend_that_fails_on_the_way_is_a_problem_of_its_model_alone(folder, capsys, monkeypatch):
    write_tiny_model(folder / "other.onnx", width=128)
    started, start = [], CpuBackend.start

    def failing(self, staged):
        started.append(1)
        if self.contract.input.width == 64 and len(started) == 20:
            raise BackendError("the GPU has gone", hint="start again")
        return start(self, staged)

    monkeypatch.setattr(CpuBackend, "start", failing)
    code, out, err = run(capsys, "model.onnx", "other.onnx", *SHORT)
    assert code == 1
    assert "error: the GPU has gone" in err and "start again" in err
    assert out.startswith("other.onnx")


def test_nothing_is_written_where_no_model_could_be_measured(folder, capsys):
    code, out, _ = run(capsys, "none.onnx", "--report", "bench.json", *SHORT)
    assert (code, out) == (1, "")
    assert sorted(os.listdir(".")) == ["model.onnx"]


def test_a_page_that_cannot_be_written_takes_nothing_that_was_measured_with_it(folder, capsys, monkeypatch):
    def full(path, text):
        raise FileProblem(path + ": no space left on the disk")

    monkeypatch.setattr("ccc_jetson.runtime.reports.writing.write_text", full)
    code, out, err = run(capsys, "model.onnx", "--report", "bench.html", *SHORT)
    assert code == 1 and "bench.html: no space left on the disk" in err
    assert "\nend to end" in out
    for name in ("a.json", "b.json"):
        (folder / name).write_text(report_of(benched_of(result_of([62.0, 63.0] * 200))).to_json())
    code, out, err = run(capsys, "compare", "a.json", "b.json", "--report", "c.md")
    assert code == 1 and "c.md: no space left on the disk" in err
    assert "no difference shown" in out


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--report", "model.onnx"], "--report model.onnx: is another file of this command"),
        (["--report", "none/bench.json"], "its folder does not exist"),
        (["--video", "none.mp4"], "none.mp4: cannot be read"),
        (["--images", "none"], "none: no such file or folder"),
        (["--source", "sythetic://"], "did you mean synthetic?"),
        (["--source", "drive.mp4", "--report", "drive.mp4"], "is another file of this command"),
        (["--size", "100000x100000"], "a frame of 100000x100000 takes 30000 MB"),
        (["--contract", "none.json"], "none.json: cannot be read"),
    ],
)
def test_mistakes_are_told_with_their_cure_and_without_a_traceback(folder, capsys, argv, message):
    code, out, err = run(capsys, "model.onnx", *argv)
    assert code in (1, 2) and out == ""
    assert message in err and "ccc-bench: error: " in err and "Traceback" not in err
    assert sorted(os.listdir(".")) == ["model.onnx"]


@pytest.mark.parametrize(
    "argv",
    [
        ["--duration", "-1"], ["--duration", "x"], ["--duration", "nan"], ["--duration", "inf"], ["--frames", "0"],
        ["--warm-up-frames", "-1"], ["--warm-up-seconds", "-0.1"], ["--size", "0x1"], ["--fit", "zoom"],
        ["--size", "2x2", "--video", "a.mp4"], ["--memory", "input=fast"], ["--threads", "x"],
    ],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(argv):
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(argv)
    assert caught.value.code == 2


def test_the_parsers_know_their_defaults():
    arguments = build_parser().parse_args([])
    assert (arguments.duration, arguments.frames, arguments.warm_up_frames, arguments.warm_up_seconds) == (
        None, None, 50, 2.0
    )  # fmt: skip
    arguments = build_compare_parser().parse_args(["a", "b"])
    assert (arguments.stat, arguments.tolerance, arguments.json) == ("fps", 2.0, False)


# compare


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """``slow.json``, ``fast.json`` and ``same.json``, the last as fast as the slow one."""
    monkeypatch.chdir(tmp_path)
    for name, frame_ms in (("slow", [62.0, 63.0] * 200), ("same", [63.0, 62.0] * 200), ("fast", [50.0, 51.0] * 200)):
        (tmp_path / (name + ".json")).write_text(report_of(benched_of(result_of(frame_ms))).to_json())
    return tmp_path


@pytest.mark.parametrize(
    "argv, code, words",
    [
        (["slow.json", "same.json"], 0, "no difference shown"),
        (["slow.json", "fast.json"], 0, "faster"),
        (["fast.json", "slow.json"], 1, "slower"),
        (["fast.json", "slow.json", "--stat", "frame_p50"], 1, "slower"),
        (["fast.json", "slow.json", "--tolerance", "30"], 0, "no difference shown"),
    ],
)
def test_the_exit_code_says_whether_b_is_slower(reports, capsys, argv, code, words):
    found, out, err = run(capsys, "compare", *argv)
    assert (found, err) == (code, "")
    assert "  " + words + "\n" in out
    found, out, _ = run(capsys, "compare", "--json", *argv)
    record = json.loads(out)
    assert (found, record["exit_code"], record["pairs"][0]["verdict"]) == (code, code, words)


@pytest.mark.parametrize(
    "argv, message",
    [
        (["slow.json", "none.json"], "none.json: cannot be read"),
        (["slow.json", "cut.json"], "cut.json: the report is damaged"),
        (["slow.json", "run.json"], "run.json: is no report of ccc-bench"),
        (["slow.json", "fast.json", "--stat", "network_p50"], "has 0 samples of network_ms, at least 100 are needed"),
    ],
)
def test_what_cannot_be_compared_ends_with_code_2_and_a_message(reports, capsys, argv, message):
    (reports / "cut.json").write_text((reports / "slow.json").read_text()[:1000])
    (reports / "run.json").write_text('{"schema": 1, "frames": 12}')
    code, out, err = run(capsys, "compare", *argv)
    assert (code, out) == (2, "")
    assert "ccc-bench compare: error: " in err and message in err and "Traceback" not in err


def test_a_comparison_is_a_report_too(reports, capsys):
    code, out, _ = run(
        capsys, "compare", "slow.json", "slow.json", "--report", "c.html", "--report", "c.json", "--json"
    )
    assert code == 0
    record = json.loads((reports / "c.json").read_text())
    assert record == json.loads(out)
    assert record["command"].startswith("ccc-bench compare slow.json slow.json --report c.html")
    assert "<h1>B against A" in (reports / "c.html").read_text(encoding="utf-8")
    assert run(capsys, "compare", "slow.json", "slow.json", "--report", "slow.json")[0] == 2


def test_two_real_reports_can_be_compared(folder, capsys):
    for name in ("a.json", "b.json"):
        assert run(capsys, "model.onnx", "--frames", "120", "--report", name, *SHORT[2:])[0] == 0
    for statistic in ("fps", "frame_p99", "latency_p50", "network_p50"):
        code, out, err = run(capsys, "compare", "a.json", "b.json", "--stat", statistic, "--tolerance", "10000")
        assert code == 0, err
        assert "model.onnx" in out and "differs" not in out


# In a process of its own


def command(*argv):
    """The command line as a process would be started by a shell, with a network that takes 20 ms and counts aloud."""
    script = (
        "import sys, time\n"
        "from ccc_jetson.runtime.backends import cpu\n"
        "start = cpu.CpuBackend.start\n"
        "def slow(self, staged):\n"
        "    time.sleep(0.02); print('started', file=sys.stderr, flush=True); return start(self, staged)\n"
        "cpu.CpuBackend.start = slow\n"
        "from ccc_jetson.runtime.bench.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    return [sys.executable, "-c", script] + list(argv)


def environment():
    """The variables with which a process elsewhere finds the package that is tested, and measures no coverage."""
    measured = ("COVERAGE_PROCESS", "COV_CORE")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(measured)}
    return dict(variables, PYTHONPATH=os.path.dirname(os.path.dirname(os.path.abspath(ccc_jetson.__file__))))


def test_ctrl_c_reports_what_was_measured_so_far(folder):
    process = subprocess.Popen(
        command(
            "model.onnx", "other.onnx", "--report", "bench.json", "--warm-up-frames", "5", "--warm-up-seconds", "0"
        ),
        cwd=str(folder),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    seen = 0
    while seen < 40:
        line = process.stderr.readline()
        assert line, "it ended before its 40th frame"
        seen += line.startswith("started")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    print(out, err)
    assert process.returncode == 130
    assert "Traceback" not in err and "other.onnx" not in err
    assert out.splitlines()[1].endswith("; interrupted")
    record = json.loads((folder / "bench.json").read_text())
    assert (record["ended"], record["not_run"]) == ("interrupted", ["other.onnx"])
    assert 20 <= record["results"][0]["frames"] < 100


@pytest.mark.parametrize("argv", [["--help"], ["compare", "--help"]])
def test_help_comes_without_a_heavy_module_and_at_once(tmp_path, argv):
    for name in ("cv2", "numpy", "onnxruntime", "pycuda", "tensorrt"):
        (tmp_path / (name + ".py")).write_text("raise ImportError('{} is heavy')".format(name))
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    script = "import sys; from ccc_jetson.runtime.bench.cli import main; sys.exit(main(sys.argv[1:]))"
    took = []
    for _ in range(3):  # another process may have the CPU
        began = time.perf_counter()
        out = subprocess.check_output(
            [sys.executable, "-c", script] + argv, env=dict(environment(), PYTHONPATH=path), universal_newlines=True
        )
        took.append(time.perf_counter() - began)
    print("took", took)
    assert "example:\n  ccc-bench" in out
    assert min(took) < 0.5
