"""The comparison on a PC: its arithmetic, what it tells of contenders that cannot run, and one small real run."""

import json
import os
import stat
import sys
import time
from types import SimpleNamespace

import host
import host_child
import host_report
import numpy as np
import pytest
from host_report import Contender, Measured

from ccc_jetson.command import INTERRUPTED
from ccc_jetson.errors import UsageError
from tests.doubles.tiny_model import tiny_contract, write_tiny_model
from tests.export.conftest import small_state

REFERENCE = np.arange(200 * 100).reshape(100, 200) % 19


def measured_as(name, runs_ms, agreement=1.0, problem=""):
    """A contender that has run."""
    measured = Measured(next(each for each in host.CONTENDERS if each.name == name))
    measured.runs_ms, measured.agreement, measured.problem = runs_ms, agreement, problem
    measured.about = "runtime 1.0"
    return measured


# A stand-in for a contender's interpreter; ``work`` is Python with the task as ``task``
def interpreter(path, work):
    path.write_text(
        "#!{}\nimport json, os, sys, time\ntask = json.loads(sys.argv[2])\n"
        "def answer(**fields):\n    json.dump(fields, open(task['answer'], 'w'))\n{}\n".format(sys.executable, work)
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def answering(path, of_classes=""):
    """One that gives the reference's class map, or what ``of_classes`` makes of it."""
    work = "import numpy\nclasses = (numpy.arange(200 * 100).reshape(1, 100, 200) % 19)\n{}\n".format(of_classes)
    return interpreter(
        path, work + "numpy.save(task['classes'], classes)\nanswer(times_ms=[3.0, 1.0, 2.0], about='stub 1')"
    )


def files_in(folder):
    """The files of a task whose child is a stand-in."""
    files = {key: os.path.join(folder, key + ".npy") for key in ("input", "our_input", "classes")}
    return dict(files, answer=os.path.join(folder, "answer.json"))


@pytest.fixture
def bench(tmp_path):
    """A bench whose children are stand-ins: ``bench(opencv=path, ...)``."""

    def make(limit_s=20, **pythons):
        return host.Bench(files_in(str(tmp_path)), REFERENCE, np.arange(20), pythons, limit_s)

    return make


def fresh(*names):
    return [Measured(each) for each in host.CONTENDERS if each.name in names]


# --- arithmetic


def test_a_ratio_is_the_median_of_the_rounds_in_which_both_ran():
    plain = measured_as("onnxruntime", [100.0, 300.0, 90.0, 200.0])
    ours = measured_as("ccc-jetson", [50.0, 100.0, None, 50.0])
    assert host_report.times_as_fast(ours, plain) == 3.0  # of 2, 3 and 4; not 200 / 50
    assert host_report.times_as_fast(ours, measured_as("opencv", [None, None, 10.0])) is None


def test_the_table_has_medians_spread_ratio_and_agreement():
    rows = host_report.table(
        [measured_as("onnxruntime", [100.0, 120.0, 90.0]), measured_as("ccc-jetson", [50.0, 40.0, 45.0], 0.9999999)]
    ).splitlines()
    assert " ".join(rows[1].split()) == "onnxruntime, plain export 100.0 90.0 - 120.0 1.00 100.0000 % runtime 1.0"
    assert " ".join(rows[2].split()) == "ccc-jetson 45.0 40.0 - 50.0 2.00 99.9999 % runtime 1.0"
    assert len(rows) == 3
    assert len({row.rindex("runtime") for row in rows}) == 1, "aligned"


def test_a_contender_with_another_class_map_is_marked_and_one_with_a_problem_named():
    text = host_report.table(
        [measured_as("openvino-default", [50.0], 0.9), measured_as("opencv", [None], problem="not installed: cv2")]
    )
    assert "90.0000 %  !" in text
    assert "less than 99.99% of the pixels" in text
    assert text.splitlines()[-1] == "opencv dnn, plain export: not installed: cv2"


def test_with_nothing_measured_the_table_has_problems_only():
    assert host_report.table([measured_as("opencv", [None], problem="gone")]) == "opencv dnn, plain export: gone"
    assert host_report.table([measured_as("opencv", [])]) == "nothing was measured"


def test_the_verdict_counts_the_peers_with_the_same_class_map_alone():
    measured = [
        measured_as("pytorch", [200.0, 200.0]),
        measured_as("openvino", [40.0, 60.0]),
        measured_as("openvino-default", [20.0, 20.0], agreement=0.9),
        measured_as("onnxruntime", [130.0, 130.0]),
        measured_as("ccc-jetson", [50.0, 50.0]),
    ]
    found = host_report.verdict(measured)
    assert found.times_as_fast_as_plain == 2.6
    assert found.slower_peers == ["pytorch", "onnxruntime, plain export"]
    assert found.faster_peers == ["openvino, plain export, float32"]  # as fast is not slower
    assert found.other_class_maps == ["openvino, plain export, its own precision"]
    line = found.line("this PC")
    assert "2.60 times" in line and "(at least 2.5 times)" in line and "as measured on this PC" in line
    assert "not faster than openvino, plain export, float32" in line


def test_the_verdict_is_open_without_ours_or_the_plain_export():
    assert "no verdict" in host_report.verdict([measured_as("pytorch", [1.0])]).line("this PC")
    alone = host_report.verdict([measured_as("onnxruntime", [100.0]), measured_as("ccc-jetson", [50.0])])
    assert "(less than 2.5 times) and faster than every peer" in alone.line("this PC")


def test_a_profile_is_summed_by_operator_without_the_warm_up_of_its_nodes(tmp_path):
    def event(name, operator, duration_us):
        return {"cat": "Node", "name": name + "_kernel_time", "dur": duration_us, "args": {"op_name": operator}}

    path = tmp_path / "profile.json"
    events = [event("a", "Conv", us) for us in (9000, 1000, 1000)] + [event("b", "Conv", us) for us in (500, 500, 500)]
    events += [event("c", "PRelu", us) for us in (700, 2000, 2000)] + [{"cat": "Session", "name": "run", "dur": 1}]
    path.write_text(json.dumps(events))
    rows = host_child.by_operator(str(path))
    assert rows == [{"operator": "PRelu", "nodes": 1, "ms": 2.0}, {"operator": "Conv", "nodes": 2, "ms": 1.5}]
    many = [{"operator": "op{}".format(index), "nodes": 1, "ms": 1.0} for index in range(20)]
    text = host_report.profile_table("ccc-jetson", many)
    assert text.splitlines()[0] == "profile of ccc-jetson: 20.0 ms"
    assert text.splitlines()[-1] == "and 8.0 ms in 8 more"
    assert len(text.splitlines()) == 2 + 12 + 1


# --- children


def test_contenders_run_by_turns_and_every_second_round_backwards(monkeypatch, bench, capsys):
    asked = []

    def run(self, measured):
        asked.append(measured.contender.name)
        measured.runs_ms.append(1.0)

    monkeypatch.setattr(host.Bench, "measure", run)
    assert host.measure_rounds(bench(), fresh("opencv", "onnxruntime"), 3)
    assert asked == ["opencv", "onnxruntime", "onnxruntime", "opencv", "opencv", "onnxruntime"]


def test_one_that_answers_is_compared_with_pytorch_and_its_median_kept(bench, tmp_path):
    python = answering(tmp_path / "python", "classes[0, 0, :10] = 20")
    (measured,) = fresh("opencv")
    host.measure_rounds(bench(opencv=python), [measured], 2)
    assert (measured.runs_ms, measured.about, measured.problem) == ([2.0, 2.0], "stub 1", "")
    assert measured.agreement == 1 - 10 / REFERENCE.size
    assert not measured.agrees


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        ("answer(absent=\"No module named 'cv2'\")", "not installed: No module named 'cv2'"),
        ("answer(problem='RuntimeError: no such operator')", "RuntimeError: no such operator"),
        ("print('out of luck'); sys.exit(3)", "ended with code 3 and without an answer: out of luck"),
        ("os.kill(os.getpid(), 11)", "ended by SIGSEGV"),
    ],
)
def test_one_that_cannot_run_is_named_with_the_reason_and_stops_no_other(bench, tmp_path, work, reason):
    pythons = {"opencv": interpreter(tmp_path / "broken", work), "openvino": answering(tmp_path / "good")}
    broken, good = measured = fresh("opencv", "openvino")
    assert host.measure_rounds(bench(**pythons), measured, 2)
    assert (broken.problem, broken.runs_ms) == (reason, [None, None])
    assert (good.problem, good.runs_ms) == ("", [2.0, 2.0])


def test_a_class_map_of_another_shape_is_a_problem(bench, tmp_path):
    (measured,) = fresh("opencv")
    bench(opencv=answering(tmp_path / "python", "classes = classes[:, :2, :2]")).measure(measured)
    assert measured.problem == "its class map has shape (1, 2, 2), expected (1, 100, 200)"
    assert measured.runs_ms == [None]


def test_a_limit_is_waited_for_once(bench, tmp_path):
    calls = tmp_path / "calls"
    work = "open({!r}, 'a').write('x'); time.sleep(60)".format(str(calls))
    (measured,) = fresh("opencv")
    host.measure_rounds(bench(limit_s=2, opencv=interpreter(tmp_path / "python", work)), [measured], 3)
    assert measured.problem == "no result within 2 s (--limit)"
    assert calls.read_text() == "x"


def test_classes_that_export_cut_from_ours_are_no_difference(bench, tmp_path):
    (measured,) = fresh("ccc-jetson")
    setup = bench(**{"ccc-jetson": answering(tmp_path / "python", "classes -= classes > 5")})  # as if 5 were cut
    setup = setup._replace(numbers=np.array([0, 1, 2, 3, 4, *range(6, 20)]))
    setup.measure(measured)
    assert measured.problem == ""
    assert measured.agreement == (REFERENCE != 5).mean()


def test_a_class_that_the_network_has_not_is_a_problem(bench, tmp_path):
    (measured,) = fresh("ccc-jetson")
    bench(**{"ccc-jetson": answering(tmp_path / "python", "classes += 7")}).measure(measured)
    assert measured.problem == "its classes are 7 to 25 of 20"


def test_the_classes_that_are_left_are_known_by_their_names():
    whole = tiny_contract(classes=19)
    cut = whole._replace(classes=whole.classes[:3] + whole.classes[4:])
    assert host.kept_classes(whole, 19).tolist() == list(range(19))
    assert host.kept_classes(cut, 19).tolist() == [0, 1, 2, *range(4, 19)]
    strange = cut._replace(classes=(cut.classes[0]._replace(name="moon"), *cut.classes[1:]))
    with pytest.raises(UsageError, match="18 classes, the checkpoint 19"):
        host.kept_classes(strange, 19)


def test_a_file_that_is_no_program_of_this_machine_is_a_problem_of_its_contender(bench, tmp_path):
    path = tmp_path / "python"
    path.write_bytes(b"\0nothing")
    path.chmod(0o755)
    (measured,) = fresh("opencv")
    bench(opencv=str(path)).measure(measured)
    assert measured.problem.startswith(str(path))


def test_what_a_hanging_child_started_is_ended_with_it(bench, tmp_path):
    pids = tmp_path / "pids"
    work = "import subprocess\nother = subprocess.Popen(['sleep', '60'])\n"
    work += "open({!r}, 'w').write('%d %d' % (os.getpid(), other.pid))\ntime.sleep(60)".format(str(pids))
    (measured,) = fresh("opencv")
    bench(limit_s=2, opencv=interpreter(tmp_path / "python", work)).measure(measured)
    assert "within 2 s" in measured.problem
    until = time.monotonic() + 20  # a killed process is gone a moment later, and long before its minute is over
    while any(is_running(pid) for pid in pids.read_text().split()):
        assert time.monotonic() < until, pids.read_text()
        time.sleep(0.05)


def is_running(pid):
    """Whether a process works; one that is ended and not yet collected does not."""
    try:
        with open("/proc/{}/stat".format(pid)) as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_after_ctrl_c_there_is_what_was_measured(bench, tmp_path, monkeypatch):
    run_child, calls = host.run_child, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run_child(*arguments)

    monkeypatch.setattr(host, "run_child", interrupted)
    measured = fresh("opencv", "onnxruntime")
    python = answering(tmp_path / "python")
    assert not host.measure_rounds(bench(opencv=python, onnxruntime=python), measured, 5)
    assert [each.runs_ms for each in measured] == [[2.0], [2.0]]


# --- runtimes, in this process


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Path of a small C3Net's checkpoint."""
    import torch

    path = tmp_path_factory.mktemp("host") / "weights.pth"
    torch.save(small_state(), str(path))
    return str(path)


def task_of(tmp_path, runtime, **more):
    """A task for ``host_child.measure`` on a small input."""
    rng = np.random.RandomState(5)
    np.save(str(tmp_path / "input.npy"), rng.rand(1, 3, 32, 64).astype(np.float32))
    settings = {"frames": 2, "warm_up": 1, "threads": 1, "flush": False, "precision": "", "budget_s": 30}
    paths = {"input": str(tmp_path / "input.npy"), "classes": str(tmp_path / "classes.npy")}
    return {"runtime": runtime, **settings, **paths, **more}


def test_opencv_takes_the_graph_with_the_class_map_and_that_with_logits_where_it_cannot(tmp_path):
    class_map = write_tiny_model(tmp_path / "class_map.onnx")
    logits = write_tiny_model(tmp_path / "logits.onnx", kind="logits")
    answer = host_child.measure(task_of(tmp_path, "opencv", class_map=class_map, logits=logits))
    assert len(answer["times_ms"]) == 2
    assert "argmax" not in answer["about"]
    expected = np.load(str(tmp_path / "classes.npy"))
    assert expected.shape == (1, 32, 64)

    (tmp_path / "class_map.onnx").write_bytes(b"no model")
    answer = host_child.measure(task_of(tmp_path, "opencv", class_map=class_map, logits=logits))
    assert answer["about"].endswith("argmax by numpy")
    assert (np.load(str(tmp_path / "classes.npy")) == expected).mean() > 0.999


def test_a_slow_run_ends_with_the_frames_it_has_and_says_how_many(tmp_path):
    class_map = write_tiny_model(tmp_path / "class_map.onnx")
    answer = host_child.measure(task_of(tmp_path, "opencv", class_map=class_map, frames=9, budget_s=0))
    assert len(answer["times_ms"]) == 1
    assert answer["about"].endswith(", 1 frames")


def test_pytorch_gives_a_class_map(tmp_path, checkpoint):
    answer = host_child.measure(task_of(tmp_path, "pytorch", checkpoint=checkpoint))
    assert len(answer["times_ms"]) == 2
    assert answer["about"].startswith("torch ")
    assert np.load(str(tmp_path / "classes.npy")).shape == (1, 32, 64)


@pytest.mark.parametrize(("precision", "threads"), [("", 0), ("f32", 3)])
def test_openvino_is_asked_for_latency_and_the_precision_and_threads_that_were_chosen(
    tmp_path, monkeypatch, precision, threads
):
    seen = []

    class Compiled:
        def get_property(self, name):
            return SimpleNamespace(get_type_name=lambda: precision or "bf16")

        def create_infer_request(self):
            return SimpleNamespace(infer=lambda inputs: {0: np.zeros((1, 32, 64), np.int32)})

    core = SimpleNamespace(compile_model=lambda *given: seen.append(given) or Compiled())
    module = SimpleNamespace(__version__="2024.6.0-1234-releases", Core=lambda: core)
    monkeypatch.setitem(sys.modules, "openvino", module)
    task = task_of(tmp_path, "openvino", class_map="m.onnx", precision=precision, threads=threads)
    assert host_child.measure(task)["about"] == "openvino 2024.6.0, " + (precision or "bf16")
    chosen = {"INFERENCE_NUM_THREADS": 3, "INFERENCE_PRECISION_HINT": "f32"} if precision else {}
    assert seen == [("m.onnx", "CPU", {"PERFORMANCE_HINT": "LATENCY", **chosen})]


def test_the_child_tells_what_is_not_installed_and_what_a_runtime_raised(tmp_path, monkeypatch):
    answers = []
    for setting, value in (("openvino", None), ("openvino", SimpleNamespace(__version__="1"))):
        monkeypatch.setitem(sys.modules, setting, value)
        task = task_of(tmp_path, "openvino", class_map="m.onnx", answer=str(tmp_path / "answer.json"))
        monkeypatch.setattr(sys, "argv", ["host_child.py", json.dumps(task)])
        assert host_child.main() == 0
        answers.append(json.loads((tmp_path / "answer.json").read_text()))
    assert "openvino" in answers[0]["absent"] and sys.executable in answers[0]["absent"]
    assert answers[1]["problem"].startswith("AttributeError: ")


# --- the command


@pytest.fixture
def some_onnx(tmp_path):
    """Path of a file for ``--ours``."""
    return write_tiny_model(tmp_path / "ours.onnx")


@pytest.fixture
def without_export(monkeypatch):
    """Stand-ins as contenders need no files."""
    monkeypatch.setattr(host, "write_files", lambda _, __, folder: (files_in(folder), REFERENCE, np.arange(20)))


SMALL = ["--size", "128x64", "--rounds", "1", "--frames", "2", "--threads", "1"]


def test_a_real_run_of_a_small_network(checkpoint, tmp_path, capsys):
    report = tmp_path / "host.json"
    arguments = [checkpoint, "--only", "onnxruntime", "ccc-jetson", "--profile", "--json", str(report), *SMALL]
    code = host.main(arguments)
    out, err = capsys.readouterr()
    print(out, err)
    assert code == 0
    assert "ccc-jetson is" in out and "profile of onnxruntime" in out and "ConvTranspose" in out
    record = json.loads(report.read_text())
    assert (record["size"], record["rounds"], record["frames"], record["threads"]) == ([128, 64], 1, 2, 1)
    plain, ours = record["contenders"]
    assert (plain["name"], ours["name"]) == ("onnxruntime", "ccc-jetson")
    for each, runtime in ((plain, "onnxruntime "), (ours, "openvino ")):
        assert each["problem"] == ""
        assert each["agreement"] >= 0.9999
        assert each["about"].startswith(runtime)
        assert [each["median_ms"]] == each["runs_ms"]
    assert plain["times_as_fast_as_plain"] == 1.0
    assert ours["times_as_fast_as_plain"] == record["verdict"]["times_as_fast_as_plain"]
    assert sorted(record["profile"]) == ["ccc-jetson", "onnxruntime"]


@pytest.mark.parametrize("change", ["", "classes += 1"])
def test_ours_with_another_class_map_is_exit_code_1(without_export, checkpoint, some_onnx, tmp_path, capsys, change):
    python = answering(tmp_path / "python", change)
    arguments = [checkpoint, "--ours", some_onnx, "--only", "ccc-jetson", "--python", "ccc-jetson=" + python, *SMALL]
    code = host.main(arguments)
    out = capsys.readouterr().out
    print(out)
    assert code == (1 if change else 0)
    assert ("0.0000 %  !" in out) == bool(change)


def test_ours_without_a_result_is_exit_code_1(without_export, checkpoint, some_onnx, tmp_path, capsys):
    python = interpreter(tmp_path / "python", "answer(problem='no luck')")
    arguments = [checkpoint, "--ours", some_onnx, "--only", "ccc-jetson", "--python", "ccc-jetson=" + python, *SMALL]
    assert host.main(arguments) == 1
    assert "ccc-jetson: no luck" in capsys.readouterr().out


def test_json_without_a_file_takes_the_tables_place(without_export, checkpoint, some_onnx, monkeypatch, capsys):
    monkeypatch.setattr(host, "measure_rounds", lambda bench, measured, rounds: False)
    code = host.main([checkpoint, "--ours", some_onnx, "--json"])
    assert code == INTERRUPTED
    record = json.loads(capsys.readouterr().out)
    assert {"machine", "contenders", "verdict", "profile"} <= set(record)
    assert record["contenders"][0]["median_ms"] is None


def test_without_the_target_of_our_file_it_says_what_to_pass(checkpoint, monkeypatch, capsys):
    monkeypatch.setattr(host, "OURS_TARGET", "abacus")
    assert host.main([checkpoint]) == 2
    err = capsys.readouterr().err
    assert "no target 'abacus'" in err and "--ours MODEL.onnx" in err


@pytest.mark.parametrize("option", ["openvino=/no/such/python", "nobody=" + sys.executable, "openvino"])
def test_an_interpreter_that_cannot_be_is_refused(checkpoint, option, capsys):
    with pytest.raises(SystemExit):
        host.main([checkpoint, "--python", option])
    assert "is no program" in capsys.readouterr().err or "nobody" in option


def test_a_missing_file_is_named_before_anything_is_done(checkpoint, capsys):
    assert host.main([checkpoint, "--ours", "nowhere.onnx"]) == 1
    assert "nowhere.onnx: no such file" in capsys.readouterr().err


def test_every_contender_has_a_runtime_that_the_child_knows():
    assert {each.runtime for each in host.CONTENDERS} == set(host_child.RUNTIMES)
    assert isinstance(host.CONTENDERS[0], Contender)
