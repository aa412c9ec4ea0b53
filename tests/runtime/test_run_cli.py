"""ccc-run from its command line to its files and exit codes."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import ccc_jetson
from ccc_jetson.errors import BackendError, SinkError, SourceError
from ccc_jetson.images import read_frame, read_labels
from ccc_jetson.runtime.backends import open_backend
from ccc_jetson.runtime.backends.cpu import CpuBackend
from ccc_jetson.runtime.run_cli import build_parser, main
from ccc_jetson.runtime.sinks.video import OverlayVideo
from tests.doubles.http_client import ask
from tests.doubles.stages import FakeSource, video_frames, write_video
from tests.runtime.frames.test_pictures import write_picture

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.doubles.tiny_model import tiny_contract, tiny_graph, write_tiny_model  # noqa: E402  (needs onnx)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with ``model.onnx`` and ``drive.mp4``."""
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "model.onnx")
    write_video(tmp_path / "drive.mp4", frames=12, size=(96, 64))
    return tmp_path


def run(capsys, *argv):
    """(exit code, standard output, standard error)."""
    code = main(list(argv))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_video_becomes_overlays_class_maps_and_a_report(folder, capsys):
    code, out, err = run(
        capsys, "--video", "drive.mp4", "--out", "overlay.mp4", "--class-maps", "masks", "--report", "run.json"
    )
    assert code == 0
    assert "model: ./model.onnx (./model.engine is not there), Tiny, 64x32" in err
    assert "frames: drive.mp4, 96x64, 25 FPS, 12 frames, fit: stretch" in err
    assert re.match(r"\d+\.\d\d FPS end to end: 12 frames in .* s, 0 dropped\n", out)
    for line in ("capture", "infer", "sink", "bottleneck", "published", "output      overlay video overlay.mp4"):
        assert "\n" + line in out
    assert len(video_frames("overlay.mp4")) == 12
    assert sorted(os.listdir("masks")) == ["drive_{:06d}.png".format(index) for index in range(12)]
    record = json.loads((folder / "run.json").read_text())
    assert (record["frames"], record["ended"], record["fit"]) == (12, "complete", "stretch")
    assert set(os.listdir(".")) == {"model.onnx", "drive.mp4", "overlay.mp4", "masks", "run.json"}


def test_class_maps_are_what_the_backend_says(folder, capsys):
    path = write_picture(folder / "a.png", 77, size=(64, 32))
    assert run(capsys, "--images", path, "--class-maps", "masks", "--headless")[0] == 0
    from ccc_jetson.images import read_frame

    with open_backend("model.onnx") as backend:
        expected = backend.infer(read_frame(path)).class_map
    assert (read_labels("masks/a.png") == expected).all()


def test_pictures_become_pictures(folder, capsys):
    (folder / "in").mkdir()
    for name, size in (("a.png", (64, 32)), ("b.png", (100, 80))):  # of several sizes
        write_picture(folder / "in" / name, size=size)
    code, out, _ = run(capsys, "--images", "in", "--out", "out", "--legend", "--opacity", "0.7")
    assert code == 0
    assert sorted(os.listdir("out")) == ["a.png", "b.png"]
    assert "2 frames" in out


def test_without_outputs_and_display_it_measures_and_says_why(folder, capsys, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    code, out, err = run(capsys, "--video", "drive.mp4")
    assert code == 0
    assert "no window: there is no display; measuring only" in err
    assert "12 frames" in out and "output " not in out


def test_headless_says_nothing_of_windows(folder, capsys):
    code, _, err = run(capsys, "--video", "drive.mp4", "--headless")
    assert code == 0 and "window" not in err


def test_a_window_is_opened_where_there_is_a_display(folder, capsys, monkeypatch):
    from ccc_jetson.runtime.sinks import window
    from tests.runtime.sinks.test_window import FakeCv2

    fake = FakeCv2(keys=[-1, -1, ord("q")])
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(window, "import_cv2", lambda: fake)
    monkeypatch.setattr(window, "_window_opens", lambda: True)
    code, out, _ = run(capsys, "--video", "drive.mp4", "--report", "run.json")
    assert code == 0
    assert json.loads((folder / "run.json").read_text())["ended"] == "interrupted"
    assert 3 <= len(fake.shown) <= 12
    assert "output      window (q quits)" in out


def test_json_on_standard_output_is_the_report_and_nothing_else(folder, capsys):
    code, out, _ = run(capsys, "--video", "drive.mp4", "--headless", "--json", "--frames", "3", "--report", "run.json")
    assert code == 0
    assert json.loads(out)["frames"] == 3
    assert json.loads(out) == json.loads((folder / "run.json").read_text())


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_the_fit_can_be_chosen_and_is_reported(folder, capsys, fit):
    _, out, err = run(capsys, "--video", "drive.mp4", "--headless", "--json", "--fit", fit)
    assert json.loads(out)["fit"] == fit
    assert "fit: " + fit in err


def test_threads_are_passed_to_the_backend(folder, capsys):
    _, out, _ = run(capsys, "--video", "drive.mp4", "--headless", "--json", "--threads", "1")
    assert json.loads(out)["backend"].endswith("1 threads")


def test_a_model_without_contract_runs_with_one(folder, capsys):
    contract = tiny_contract()._replace(head=None)
    (folder / "bare.onnx").write_bytes(tiny_graph(contract).SerializeToString())
    code, _, err = run(capsys, "--video", "drive.mp4", "--headless", "--model", "bare.onnx")
    assert code == 1
    assert "holds no contract" in err and "--contract" in err
    (folder / "contract.json").write_text(contract.to_json())
    code, out, err = run(
        capsys, "--video", "drive.mp4", "--headless", "--model", "bare.onnx", "--contract", "contract.json"
    )
    assert code == 0, err
    assert "12 frames" in out
    code, _, err = run(
        capsys, "--video", "drive.mp4", "--headless", "--model", "none.onnx", "--contract", "contract.json"
    )
    assert code == 1 and "none.onnx: cannot be read" in err


@pytest.mark.parametrize(
    "argv, message",
    [
        ([], "neither a SOURCE nor one of --camera, --csi, --rtsp, --video, --images was given"),
        (["--video", "none.mp4"], "none.mp4: cannot be read: No such file"),
        (["--video", "model.onnx"], "is no video that OpenCV can open"),
        (["--video", "drive.mp4", "--model", "none.onnx"], "none.onnx: cannot be read"),
        (["--video", "drive.mp4", "--model", "drive.mp4"], "drive.mp4: "),
        (["--video", "drive.mp4", "--model", "a.engine"], "a.engine: cannot be read"),
        (["--video", "drive.mp4", "--out", "drive.mp4"], "would be overwritten"),
        (["--video", "drive.mp4", "--report", "model.onnx"], "would be overwritten"),
        (["--video", "drive.mp4", "--out", "none/out.mp4"], "does not exist"),
        (["--video", "drive.mp4", "--report", "none/run.json"], "does not exist"),
        (["--images", "none"], "none: no such file or folder"),
        (["--camera", "97"], "/dev/video97: no such camera"),
        (["--video", "drive.mp4", "--serve-token", "x" * 20], "there is no page without --serve"),
        (["--video", "drive.mp4", "--class-ids", "labelids"], "there are no class maps without --class-maps"),
        (["--video", "drive.mp4", "--jsonl", "-", "--json"], "both write to standard output"),
        (["--video", "drive.mp4", "--jsonl", "drive.mp4"], "would be overwritten"),
        (["--video", "drive.mp4", "--jsonl", "none/run.jsonl"], "does not exist"),
        (["--video", "drive.mp4", "--window"], "--window: there is no display"),
        (["--serve", "drive.mp4"], "was given; --serve took drive.mp4 for its address; SOURCE goes before it"),
        (["file:///tmp/a%00b.mp4"], "no file's name has a %00"),
    ],
)
def test_mistakes_are_told_with_their_cure_and_without_a_traceback(folder, capsys, monkeypatch, argv, message):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    before = sorted(os.listdir("."))
    code, out, err = run(capsys, *argv)
    assert code in (1, 2)
    assert message in err
    assert "Traceback" not in err and out == ""
    assert "ccc-run: error: " in err
    assert sorted(os.listdir(".")) == before


def test_no_model_at_all(folder, capsys):
    os.unlink("model.onnx")
    code, _, err = run(capsys, "--video", "drive.mp4")
    assert code == 1
    assert "no model" in err and "ccc-export" in err


@pytest.mark.parametrize(
    "argv",
    [
        ["--video", "a", "--images", "b"],
        ["--video", "a", "--frames", "0"],
        ["--video", "a", "--frames", "x"],
        ["--video", "a", "--opacity", "1.5"],
        ["--video", "a", "--opacity", "x"],
        ["--video", "a", "--threads", "-1"],
        ["--video", "a", "--fit", "zoom"],
        ["--camera", "0", "--camera-size", "1280"],
        ["--camera", "0", "--camera-size", "0x720"],
        ["--video", "a", "--serve", "::1:80"],
        ["--video", "a", "--serve", 64 * "a" + ".b:80"],
        ["--video", "a", "--telemetry-interval", "1e300"],
        ["--video", "a", "--window", "--headless"],
        ["--video", "a", "--class-ids", "colors"],
    ],
)
def test_arguments_out_of_range_are_refused(argv):
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(argv)
    assert caught.value.code == 2


def test_the_parser_knows_its_defaults():
    arguments = build_parser().parse_args(["--camera", "0", "--camera-size", "640x480"])
    assert (arguments.fit, arguments.opacity, arguments.camera_size) == (None, 0.5, (640, 480))


# Cameras


def with_camera(monkeypatch, **arguments):
    """Puts a stand-in behind ``--camera``; returns the list of those that were opened."""
    from ccc_jetson.runtime.frames import opening

    opened = []

    def fake(source, raw, stop, patience):
        opened.append(FakeSource(live=True, **arguments))
        return opened[-1]

    monkeypatch.setattr(opening, "open_source", fake)
    return opened


def test_a_camera_is_cropped_by_default_and_closed_at_the_end(folder, capsys, monkeypatch):
    opened = with_camera(monkeypatch, frames=1000, seconds=0.002)
    code, out, err = run(capsys, "--camera", "0", "--frames", "20", "--out", "live.mp4", "--report", "run.json")
    assert code == 0
    assert "fit: crop" in err
    assert "latency" in out
    assert opened[0].closed
    assert len(video_frames("live.mp4")) == 20
    record = json.loads((folder / "run.json").read_text())
    assert record["source"]["live"] and record["fit"] == "crop"


def test_a_slow_network_drops_a_cameras_frames_and_counts_them(folder, capsys, monkeypatch):
    with_camera(monkeypatch, frames=100, seconds=0.002)
    start = CpuBackend.start

    def slow(self, staged):
        time.sleep(0.02)
        return start(self, staged)

    monkeypatch.setattr(CpuBackend, "start", slow)
    _, out, _ = run(capsys, "--camera", "0", "--headless", "--json")
    record = json.loads(out)
    assert record["dropped"] > 20
    assert record["frames"] + record["dropped"] == 100


def test_ctrl_c_is_how_a_cameras_run_ends_well(folder, capsys, monkeypatch):
    opened = with_camera(monkeypatch, frames=10**6, seconds=0.002)
    start, calls = CpuBackend.start, []

    def interrupted_at_20(self, staged):
        calls.append(1)
        if len(calls) == 20:
            os.kill(os.getpid(), signal.SIGINT)
        return start(self, staged)

    monkeypatch.setattr(CpuBackend, "start", interrupted_at_20)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, out, err = run(capsys, "--camera", "0", "--out", "live.mp4", "--json")
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 0, err
    record = json.loads(out)
    assert record["ended"] == "interrupted"
    assert record["frames"] == len(video_frames("live.mp4")) > 0
    assert record["outputs"] == ["overlay video live.mp4"]
    assert opened[0].closed


def test_a_camera_lost_on_the_way_keeps_what_there_was(folder, capsys, monkeypatch):
    opened = with_camera(monkeypatch, frames=1000, seconds=0.01, fails_at=20)
    code, out, err = run(capsys, "--camera", "0", "--out", "live.mp4", "--report", "run.json")
    assert code == 1
    assert "ccc-run: error: camera lost" in err
    record = json.loads((folder / "run.json").read_text())
    assert record["ended"] == "camera lost"
    assert record["frames"] == len(video_frames("live.mp4")) > 0
    assert "ended early" in out
    assert opened[0].closed


# Failures on the way


def test_a_video_cut_short_keeps_its_results_and_fails(folder, capsys):
    write_video(folder / "cut.avi", frames=60, codec="MJPG")
    data = (folder / "cut.avi").read_bytes()
    (folder / "cut.avi").write_bytes(data[: len(data) // 2])
    code, out, err = run(capsys, "--video", "cut.avi", "--out", "overlay.mp4")
    assert code == 1
    assert "the file is cut short" in err
    assert len(video_frames("overlay.mp4")) > 20
    assert "ended early" in out


def test_a_backend_that_fails_at_the_start_leaves_nothing(folder, capsys, monkeypatch):
    def failing(*arguments, **more):
        raise BackendError("out of GPU memory", hint="close something")

    monkeypatch.setattr("ccc_jetson.runtime.backends.open_backend", failing)
    code, out, err = run(capsys, "--video", "drive.mp4", "--out", "overlay.mp4", "--report", "run.json")
    assert (code, out) == (1, "")
    assert "out of GPU memory" in err and "close something" in err
    assert sorted(os.listdir(".")) == ["drive.mp4", "model.onnx"]


def test_a_bug_is_not_hidden_and_leaves_no_half_video(folder, monkeypatch):
    def broken(self, staged):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(CpuBackend, "start", broken)
    with pytest.raises(ZeroDivisionError):
        main(["--video", "drive.mp4", "--out", "overlay.mp4"])
    assert sorted(os.listdir(".")) == ["drive.mp4", "model.onnx"]


def test_a_video_that_is_not_whole_is_an_error_although_the_run_went_well(folder, capsys, monkeypatch):
    def not_whole(self):
        self.abort()
        raise SinkError("the video is not whole")

    monkeypatch.setattr(OverlayVideo, "close", not_whole)
    code, out, err = run(capsys, "--video", "drive.mp4", "--out", "overlay.mp4")
    assert code == 1
    assert "the video is not whole" in err and "12 frames" in out
    assert "output " not in out


def test_two_problems_are_both_told(folder, capsys, monkeypatch):
    with_camera(monkeypatch, frames=100, fails_at=3, error=SourceError("camera lost"))

    def not_whole(self):
        self.abort()
        raise SinkError("the video is not whole")

    monkeypatch.setattr(OverlayVideo, "close", not_whole)
    code, _, err = run(capsys, "--camera", "0", "--out", "overlay.mp4")
    assert code == 1
    assert "camera lost" in err and "the video is not whole" in err


# Results beside pictures


def test_json_lines_on_standard_output_are_all_there_is(folder, capfd):
    assert main(["--video", "drive.mp4", "--jsonl", "-"]) == 0
    captured = capfd.readouterr()
    records = [json.loads(line) for line in captured.out.splitlines()]
    assert [record["frame"] for record in records] == list(range(12))
    assert all(abs(sum(record["classes"].values()) - 1) < 1e-3 and record["dropped"] == 0 for record in records)
    assert "12 frames in" in captured.err and "window" not in captured.err


def test_a_reader_that_has_gone_costs_no_other_result(folder):
    write_video(folder / "long.mp4", frames=400)
    process = started(folder, "long.mp4", "--jsonl", "-", "--out", "overlay.mp4", "--report", "run.json")
    assert json.loads(process.stdout.readline())["frame"] == 0
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 1
    assert re.search(r"ccc-run: error: the reader of standard output has gone; \d+ lines were written", err)
    assert "Traceback" not in err
    record = json.loads((folder / "run.json").read_text())
    assert record["frames"] > 0 and "has gone" in record["ended"]
    assert len(video_frames(str(folder / "overlay.mp4"))) >= record["frames"]


def test_json_lines_count_what_was_dropped(folder, capsys, monkeypatch):
    with_camera(monkeypatch, frames=60, seconds=0.002)
    start = CpuBackend.start

    def slow(self, staged):
        time.sleep(0.02)
        return start(self, staged)

    monkeypatch.setattr(CpuBackend, "start", slow)
    _, out, _ = run(capsys, "--camera", "0", "--headless", "--jsonl", "run.jsonl", "--json")
    dropped = [json.loads(line)["dropped"] for line in (folder / "run.jsonl").read_text().splitlines()]
    record = json.loads(out)
    assert dropped == sorted(dropped) and 0 < dropped[-1] <= record["dropped"]
    assert len(dropped) == record["frames"]
    assert record["outputs"] == ["JSON lines in run.jsonl"]


def test_class_maps_for_cityscapes_server(folder, capsys):
    path = write_picture(folder / "ulm_000000_000019_leftImg8bit.png", 77, size=(64, 32))
    arguments = ("--images", path, "--headless")
    assert run(capsys, *arguments, "--class-maps", "own")[0] == 0
    assert run(capsys, *arguments, "--class-maps", "ids", "--class-ids", "labelids")[0] == 0
    own, ids = (read_labels(name + "/ulm_000000_000019_leftImg8bit.png") for name in ("own", "ids"))
    label_ids = [each.label_id for each in tiny_contract().classes]
    assert [label_ids[index] for index in own.ravel()] == ids.ravel().tolist()


def test_a_window_beside_other_results(folder, capsys, monkeypatch):
    from ccc_jetson.runtime.sinks import window
    from tests.runtime.sinks.test_window import FakeCv2

    fake = FakeCv2(keys=[-1] * 20)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(window, "import_cv2", lambda: fake)
    monkeypatch.setattr(window, "_window_opens", lambda: True)
    code, out, _ = run(capsys, "--video", "drive.mp4", "--jsonl", "run.jsonl", "--window")
    assert code == 0 and len(fake.shown) == 12
    assert "window (q quits)" in out and "JSON lines in run.jsonl" in out


# The page


def test_a_page_is_told_and_reported_without_its_token(folder, capsys):
    pytest.importorskip("tornado", reason="Tornado is not installed")
    token = "a-token-of-a-test-0123"
    code, out, err = run(
        capsys, "--video", "drive.mp4", "--serve", "127.0.0.1:0", "--serve-token", token, "--report", "run.json"
    )
    assert code == 0
    url = re.search(r"page: (http://127\.0\.0\.1:\d+/) \(asks for the token you gave\)", err).group(1)
    assert "no window" not in err
    assert "output      page at " + url in out
    assert token not in out + err + (folder / "run.json").read_text()
    assert not any(thread.name in ("ccc-page", "ccc-encode") for thread in threading.enumerate())


def test_a_busy_port_is_told_before_anything_else_happens(folder, capsys):
    pytest.importorskip("tornado", reason="Tornado is not installed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        where = "127.0.0.1:{}".format(taken.getsockname()[1])
        code, out, err = run(capsys, "--video", "drive.mp4", "--out", "overlay.mp4", "--serve", where)
    assert (code, out) == (2, "")
    assert "another program has this port" in err and "127.0.0.1:0" in err
    assert sorted(os.listdir(".")) == ["drive.mp4", "model.onnx"]


@pytest.mark.parametrize("token", ["short", "@none"])
def test_a_token_is_looked_at_before_the_camera_is_opened(folder, capsys, monkeypatch, token):
    pytest.importorskip("tornado", reason="Tornado is not installed")
    opened = with_camera(monkeypatch, frames=10)
    code, _, err = run(capsys, "--camera", "0", "--serve", "127.0.0.1:0", "--serve-token", token)
    assert code in (1, 2) and "ccc-run: error: " in err
    assert opened == []


def test_the_port_is_free_again_when_the_camera_cannot_be_opened(folder, capsys):
    pytest.importorskip("tornado", reason="Tornado is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = "127.0.0.1:{}".format(free.getsockname()[1])
    for _ in range(2):
        code, _, err = run(capsys, "--camera", "97", "--serve", where)
        assert code == 1 and "no such camera" in err and "page: " not in err


def test_a_window_that_cannot_be_opened_leaves_no_page_and_no_video(folder, capsys, monkeypatch):
    from ccc_jetson.runtime.sinks import window

    asked = []
    monkeypatch.setattr(window, "why_no_window", lambda: asked.append(1) or "")

    def failing(*arguments):
        raise RuntimeError("the display has gone")

    monkeypatch.setattr(window.Window, "__init__", failing)
    with pytest.raises(RuntimeError):
        main(["--video", "drive.mp4", "--window", "--out", "overlay.mp4", "--serve", "127.0.0.1:0"])
    assert len(asked) == 1
    assert sorted(os.listdir(".")) == ["drive.mp4", "model.onnx"]
    assert not any(thread.name in ("ccc-page", "ccc-encode") for thread in threading.enumerate())


def test_the_page_comes_after_all_other_outputs(folder, capsys):
    pytest.importorskip("tornado", reason="Tornado is not installed")
    arguments = ("--video", "drive.mp4", "--serve", "127.0.0.1:0", "--out", "overlay.mp4", "--json")
    outputs = json.loads(run(capsys, *arguments)[1])["outputs"]
    assert outputs[0] == "overlay video overlay.mp4" and outputs[1].startswith("page at ")


def test_an_end_that_breaks_off_leaves_no_half_output(folder, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(OverlayVideo, "close", interrupted)
    assert main(["--video", "drive.mp4", "--out", "overlay.mp4", "--jsonl", "run.jsonl"]) == 130
    assert sorted(os.listdir(".")) == ["drive.mp4", "model.onnx", "run.jsonl"]


def test_a_page_is_gone_when_another_output_cannot_be_opened(folder, capsys, monkeypatch):
    pytest.importorskip("tornado", reason="Tornado is not installed")

    def refused(*arguments):
        raise SinkError("no")

    monkeypatch.setattr(OverlayVideo, "__init__", refused)
    assert run(capsys, "--video", "drive.mp4", "--out", "overlay.mp4", "--serve", "127.0.0.1:0")[0] == 1
    assert not any(thread.name in ("ccc-page", "ccc-encode") for thread in threading.enumerate())


def test_without_tornado_the_line_that_installs_it_is_told(folder):
    (folder / "tornado.py").write_text("raise ImportError('there is none')")
    process = started(folder, "--video", "drive.mp4", "--serve", "127.0.0.1:0", extra_path=str(folder))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "--serve needs Tornado" in err and "pip3 install tornado==6.1" in err and "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_run_and_page(folder, number):
    pytest.importorskip("tornado", reason="Tornado is not installed")
    write_video(folder / "long.mp4", frames=400)
    process = started(folder, "--video", "long.mp4", "--serve", "127.0.0.1:0", "--report", "run.json")
    url = ""
    while not url:
        line = process.stderr.readline()
        assert line
        url = line.split()[1] if line.startswith("page: ") else ""
    wait_for_frames(process, 3)
    answer = ask(int(url.rstrip("/").rsplit(":", 1)[1]), "/frame?after=0")
    assert answer.status == 200
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    print(out, err)
    assert process.returncode == 130
    assert "; interrupted" in out and "Traceback" not in err
    assert json.loads((folder / "run.json").read_text())["outputs"] == ["page at " + url]


# In a process of its own


def command(*argv):
    """The command line as a process would be started by a shell, with a network that takes 50 ms and counts aloud."""
    script = (
        "import sys, time\n"
        "from ccc_jetson.runtime.backends import cpu\n"
        "start = cpu.CpuBackend.start\n"
        "def slow(self, staged):\n"
        "    time.sleep(0.05); print('inferred', file=sys.stderr, flush=True); return start(self, staged)\n"
        "cpu.CpuBackend.start = slow\n"
        "from ccc_jetson.runtime.run_cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    return [sys.executable, "-c", script] + list(argv)


def environment(extra_path=""):
    """The variables with which a process elsewhere finds the package that is tested, and measures no coverage."""
    measured = ("COVERAGE_PROCESS", "COV_CORE")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(measured)}
    package = os.path.dirname(os.path.dirname(os.path.abspath(ccc_jetson.__file__)))
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = os.pathsep.join(each for each in [extra_path, package, *others] if each)
    return dict(variables, PYTHONPATH=path)


def default_sigint():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # background jobs of some shells start with it switched off


def started(folder, *argv, **options):
    return subprocess.Popen(
        command(*argv),
        cwd=str(folder),
        env=environment(options.get("extra_path", "")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        preexec_fn=options.get("preexec_fn", default_sigint),
    )


def wait_for_frames(process, count):
    seen = 0
    while seen < count:
        line = process.stderr.readline()
        assert line, "it ended before its {}th frame".format(count)
        seen += line.startswith("inferred")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_prints_its_summary_and_finishes_its_video(folder, number):
    write_video(folder / "long.mp4", frames=400)
    process = started(folder, "--video", "long.mp4", "--out", "overlay.mp4", "--report", "run.json")
    wait_for_frames(process, 6)
    for _ in range(2):  # as to a process and to its group
        process.send_signal(number)
        time.sleep(0.02)
    out, err = process.communicate(timeout=30)
    print(out, err)
    assert process.returncode == 130
    assert "; interrupted" in out and "Traceback" not in err
    record = json.loads((folder / "run.json").read_text())
    assert record["ended"] == "interrupted"
    assert 4 <= record["frames"] == len(video_frames(folder / "overlay.mp4")) < 100
    assert set(os.listdir(str(folder))) == {"model.onnx", "drive.mp4", "long.mp4", "overlay.mp4", "run.json"}


def test_a_closed_standard_output_is_no_reason_to_fail(folder):
    process = started(
        folder, "--video", "drive.mp4", "--out", "overlay.mp4", "--frames", "3", preexec_fn=lambda: os.close(1)
    )
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert len(video_frames(folder / "overlay.mp4")) == 3


def test_a_full_disk_ends_with_an_error_and_without_a_half_video(folder):
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    process = started(folder, "--video", "drive.mp4", "--out", "overlay.mp4", preexec_fn=small_files)
    out, err = process.communicate(timeout=30)
    print(out, err)
    assert process.returncode == 1
    assert "so the video was deleted" in err and "Traceback" not in err
    assert sorted(os.listdir(str(folder))) == ["drive.mp4", "model.onnx"]


def test_a_full_disk_leaves_no_half_picture_and_no_half_report(folder):
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    process = started(
        folder, "--video", "drive.mp4", "--out", "pictures", "--report", "run.json", preexec_fn=small_files
    )
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "cannot be written: File too large" in err and "Traceback" not in err
    assert os.listdir(str(folder / "pictures")) == []
    assert not (folder / "run.json").exists()


def test_help_starts_without_numpy_opencv_or_onnxruntime():
    script = (
        "import sys\n"
        "from ccc_jetson.runtime.run_cli import main\n"
        "try:\n    main(['--help'])\n"
        "finally:\n    print(sorted({'numpy', 'cv2', 'onnxruntime'} & set(sys.modules)))\n"
    )
    out = subprocess.check_output([sys.executable, "-c", script], env=environment(), universal_newlines=True)
    assert "ccc-run --camera /dev/video0" in out
    assert out.splitlines()[-1] == "[]"


# whole pictures


@pytest.fixture
def pictures(folder):
    """The working folder with a classifier, and a folder of two pictures."""
    write_tiny_model(folder / "model.onnx", kind="scores", classes=300)
    (folder / "pictures").mkdir()
    for value, name in ((10, "first"), (240, "second")):
        write_picture(folder / "pictures" / (name + ".png"), value, (80, 64))
    return folder


def test_pictures_are_classified_with_their_five_best(pictures, capsys):
    code, out, err = run(capsys, "--images", "pictures", "--report", "run.json")
    assert code == 0
    assert "fit: crop" in err
    record = json.loads((pictures / "run.json").read_text())
    assert [each["name"] for each in record["pictures"]] == ["first", "second"]
    with open_backend("model.onnx", fit="crop") as backend:
        scores = backend.infer(read_frame("pictures/first.png")).scores
    names = tiny_contract("scores", classes=300).class_names
    expected = [names[index] for index in (-scores).argsort(kind="mergesort")[:5]]
    assert [each["class"] for each in record["pictures"][0]["top"]] == expected
    lines = out.splitlines()
    assert lines[0].split() == ["picture", "class", "probability"]
    assert lines[1].startswith("first") and expected[0] in lines[1] and lines[1].endswith(" %")
    assert lines[6].startswith("second")
    assert "2 frames" in out and "network     Tiny" in out
    assert "classes" not in [line.split()[0] for line in lines if line]
    assert record["class_shares"] == {}


def test_a_report_of_segmentation_has_no_pictures(folder, capsys):
    code, out, _ = run(capsys, "--video", "drive.mp4", "--headless", "--json")
    assert (code, json.loads(out)["pictures"]) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--video", "drive.mp4"], "Tiny classifies whole pictures; --images names them"),
        (["--images", "pictures", "--out", "o"], "--out: Tiny gives a picture one class"),
        (["--images", "pictures", "--class-maps", "o"], "--class-maps: Tiny gives a picture one class"),
        (["--images", "pictures", "--legend"], "--legend: Tiny gives a picture one class"),
        (["--images", "pictures", "--serve"], "--serve: Tiny gives a picture one class"),
    ],
)
def test_what_needs_a_class_for_every_pixel_is_refused_of_a_classifier(pictures, capsys, arguments, message):
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert message in err
    assert not (pictures / "o").exists()
