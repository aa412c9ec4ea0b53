"""ccc-run and its sources, faults and all, from the command line to the report and the exit code."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import ccc_jetson
from ccc_jetson.images import read_labels
from ccc_jetson.runtime.run_cli import EXAMPLE, build_parser, main
from ccc_jetson.runtime.source_arguments import source_of
from ccc_jetson.runtime.source_grammar import kind_of
from tests.doubles.cameras import TX2, YUYV, FakeCamera, installed
from tests.doubles.rtsp_server import RtspServer
from tests.doubles.stages import write_video
from tests.runtime.frames.test_pictures import write_picture

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.doubles.tiny_model import write_tiny_model  # noqa: E402  (needs onnx)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with ``model.onnx`` for 64x32."""
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "model.onnx")
    return tmp_path


def run(capfd, *argv):
    """(exit code, standard output, standard error)."""
    code = main(list(argv))
    captured = capfd.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


# Every kind of source


def test_a_camera_is_named_by_position_or_by_option_and_told_in_the_report(folder, capfd):
    for argv in (["0"], ["--camera", "/dev/video0"], ["v4l2:///dev/video0?format=mjpg&size=1280x720"]):
        with installed({0: FakeCamera(stamps=0.004)}):
            code, out, err = run(capfd, *argv, "--frames", "12", "--headless", "--report", "run.json")
        assert code == 0
        assert "frames: /dev/video0 (Test Camera), 1280x720 MJPG at 30 FPS by OpenCV's V4L2, fit: crop" in err
        source = json.loads((folder / "run.json").read_text())["source"]
        assert (source["kind"], source["source"], source["backend"]) == ("v4l2", "/dev/video0", "V4L2")
        assert source["asked"] == {"size": [1280, 720], "fps": 30.0, "format": "MJPG"}
        assert source["delivered"]["measured_fps"] > 0
        assert source["live"] is True and source["age_ms"] >= 3.0
        assert (source["reconnects"], source["stalls"], source["lost_s"]) == (0, 0, 0.0)
        assert "source      asked for 1280x720 MJPG at 30 FPS; delivers 1280x720 MJPG at 30 FPS, measured" in out
        assert "frame age   stamped by the driver" in out


@pytest.mark.parametrize("fit, seen", [("stretch", (72, 96)), ("crop", (48, 96)), ("letterbox", (72, 96))])
@pytest.mark.parametrize("kind", ["usb", "yuyv", "csi", "synthetic", "video", "pictures"])
def test_every_fit_gives_class_maps_and_overlays_of_the_frames_own_size(folder, capfd, kind, fit, seen):
    size = (96, 72)  # the network's is 64x32
    pipelines = [("nvarguscamerasrc", FakeCamera(size=size), "BGR")]
    sources = {
        "usb": "0",
        "yuyv": "0?format=yuyv&size=96x72",
        "csi": "csi://0?size=96x72",
        "synthetic": "synthetic://?size=96x72&live=1&fps=100",
        "video": "drive.mp4",
        "pictures": "frames/",
    }
    if kind == "video":
        write_video(folder / "drive.mp4", frames=3, size=size)
    if kind == "pictures":
        (folder / "frames").mkdir()
        write_picture(folder / "frames" / "a.png", 120, size)
    camera = FakeCamera(size=size, fourcc=YUYV if kind == "yuyv" else 0x47504A4D)
    with installed({0: camera}, pipelines, gstreamer=True):
        code, _, err = run(
            capfd, sources[kind], "--fit", fit, "--frames", "1", "--class-maps", "maps", "--out", "pictures"
        )
    assert code == 0, err
    assert "fit: " + fit in err
    (name,) = os.listdir("maps")
    labels = read_labels("maps/" + name)
    assert labels.shape == (72, 96)
    rows = np.flatnonzero((labels != 255).any(axis=1))
    columns = np.flatnonzero((labels != 255).any(axis=0))
    assert (len(rows), len(columns)) == seen
    assert rows[0] == (72 - seen[0]) // 2
    from ccc_jetson.images import read_frame

    assert read_frame("pictures/" + name).shape == (72, 96, 3)


@pytest.mark.parametrize("source, fit", [
    ("0", "crop"), ("csi://0", "crop"), ("synthetic://?live=1", "crop"), ("synthetic://?frames=2", "stretch"),
    ("drive.mp4", "stretch"),
])  # fmt: skip
def test_what_is_live_is_cropped_and_what_is_not_is_stretched(folder, capfd, source, fit):
    write_video(folder / "drive.mp4", frames=3)
    with installed({0: FakeCamera()}, [("nvargus", FakeCamera(), "BGR")], gstreamer=True):
        code, _, err = run(capfd, source, "--headless", "--frames", "2")
    assert (code, err.count("fit: " + fit)) == (0, 1)


def test_a_csi_cameras_pipeline_is_printed_and_recorded(folder, capfd):
    camera = FakeCamera(size=(1920, 1080), says="GST_ARGUS: Creating output stream\n")
    with installed({}, [("nvarguscamerasrc", camera, "BGR")], gstreamer=True, board=TX2):
        code, out, err = run(capfd, "--csi", "0?flip=2", "--headless", "--frames", "3", "--json")
    assert code == 0
    record = json.loads(out)["source"]
    assert record["pipeline"] in err and "flip-method=2" in record["pipeline"]
    assert record["backend"] == "GStreamer"
    assert "GST_ARGUS" not in out + err


def test_a_real_rtsp_stream_runs_and_its_password_is_nowhere(folder, capfd):
    with RtspServer(user="me", password="s3cret") as server:
        code, out, err = run(capfd, server.url, "--headless", "--frames", "5", "--report", "run.json")
    assert code == 0
    assert "rtsp://***@127.0.0.1" in err
    assert "s3cret" not in out + err + (folder / "run.json").read_text()
    assert json.loads((folder / "run.json").read_text())["source"]["kind"] == "rtsp"


@pytest.mark.parametrize("argv", [
    ["rtsp://me:s3cr t@cam/x"], ["--rtsp", "rtps://me:s3cret@cam/x"], ["--video", "rtsp://me:s3cret@cam/x"],
    ["--camera", "rtsp://me:s3cret@cam/x"], ["--csi", "rtsp://me:s3cret@cam/x"], ["--images", "rtsp://me:s3cret@cam/x"],
    ["0", "--model", "rtsp://me:s3cret@cam/x"], ["rtsp://me:s3cret@127.0.0.1:1/x"], ["a.mp4", "rtsp://me:s3cret@cam/x"],
])  # fmt: skip
def test_a_password_at_the_wrong_place_is_not_repeated(folder, capfd, argv):
    code, out, err = run(capfd, *argv, "--headless")
    assert code in (1, 2)
    assert "s3cr" not in out + err


def test_a_password_is_not_repeated_by_the_parser(folder, capfd):
    with pytest.raises(SystemExit):
        main(["0", "--frames", "rtsp://me:s3cret@cam/x"])
    assert "s3cret" not in capfd.readouterr().err


def test_the_drawn_road_runs_anywhere(folder, capfd):
    code, out, err = run(capfd, "synthetic://?size=96x64&frames=7", "--out", "road.mp4", "--json")
    assert code == 0
    record = json.loads(out)
    assert record["frames"] == 7 and record["source"]["kind"] == "synthetic"
    assert "synthetic://?size=96x64&fps=30&frames=7, drawn, fit: stretch" in err


def test_a_video_says_who_reads_it(folder, capfd):
    write_video(folder / "drive.mp4", frames=3)
    code, out, _ = run(capfd, "file://" + str(folder / "drive.mp4"), "--headless", "--json")
    source = json.loads(out)["source"]
    assert code == 0 and source["kind"] == "video" and source["delivered"]["size"] == [96, 64] and source["backend"]


def test_the_five_usual_commands_of_the_help_are_understood():
    commands = EXAMPLE.splitlines()
    kinds = [kind_of(source_of(build_parser().parse_args(each.split()[1:]))) for each in commands]
    assert kinds == ["v4l2", "csi", "rtsp", "video", "pictures"]


# What fails at the start


@pytest.mark.parametrize("changes, message, hint", [
    ({"present": False}, "/dev/video0: no such camera; there are /dev/video1", "ls /dev/video*"),
    ({"errno": errno.EACCES}, "/dev/video0: permission denied", "usermod -aG video"),
    ({"errno": errno.EBUSY}, "/dev/video0: is in use", "fuser -v /dev/video0"),
    ({"opens": False, "says": "V4L: Device or resource busy\n"}, "another program uses the camera", "fuser"),
    ({"frames": 0}, "opens, but delivers no frame", "fuser -v /dev/video0"),
    ({"capabilities": (0, 0)}, "captures no pictures", "v4l2-ctl --list-devices"),
])  # fmt: skip
def test_a_camera_that_cannot_be_used_ends_with_cause_and_fix(folder, capfd, changes, message, hint):
    with installed({0: FakeCamera(**changes), 1: FakeCamera()}):
        code, out, err = run(capfd, "0", "--headless", "--report", "run.json")
    assert (code, out) == (1, "")
    assert message in err and hint in err
    assert os.listdir(".") == ["model.onnx"]


def test_a_camera_that_is_silent_at_the_start(folder, capfd):
    camera = FakeCamera()
    camera.hangs.set()
    with installed({0: camera}, open_s=1.0):
        code, _, err = run(capfd, "0", "--headless")
        camera.hangs.clear()
    assert code == 1 and "opens, but delivers no frame within 1 s" in err


@pytest.mark.parametrize("argv, message", [
    (["csi://0"], "this OpenCV was built without GStreamer"),
    (["csi://0?sise=1x2"], "did you mean size?"),
    (["rtps://cam"], "did you mean rtsps?"),
    (["rtsp://127.0.0.1:1/x"], "nothing listens on port 1"),
    (["a.mp4", "--camera", "0"], "two sources"),
    (["/dev/null"], "a camera is /dev/videoN or N, this is something else"),
])  # fmt: skip
def test_what_cannot_be_opened_is_told(folder, capfd, argv, message):
    with installed({}):
        code, out, err = run(capfd, *argv, "--headless")
    assert code in (1, 2) and out == ""
    assert message in err and "\n  -> " in err


# What fails on the way


def test_a_camera_that_is_unplugged_for_five_seconds_goes_on_and_is_counted(folder, capfd):
    camera = FakeCamera(interval_s=0.02, size=(64, 32))
    camera.unplug_for(5.0, after_frames=20)
    with installed({0: camera}):
        code, out, err = run(capfd, "0", "--headless", "--frames", "60", "--json")
    record = json.loads(out)
    assert code == 0 and record["ended"] == "complete" and record["frames"] == 60
    assert record["source"]["reconnects"] == 1 and record["source"]["lost_s"] >= 4.9
    assert "lost after" in err and "trying for 60 s to get it back" in err and "back after" in err
    # the time without it is no part of its rate
    assert record["source"]["delivered"]["measured_fps"] > 2 * record["fps"]
    assert all(capture.released for capture in camera.captures)


def test_a_camera_that_stays_away_ends_the_run_after_what_there_was(folder, capfd):
    camera = FakeCamera(size=(64, 32))
    camera.unplug_for(3600.0, after_frames=20)
    with installed({0: camera}):
        code, out, err = run(capfd, "0", "--out", "live.mp4", "--report", "run.json", "--reconnect-for", "0.5")
    assert code == 1
    assert "tries in" in err and "/dev/video0: no such camera" in err and "dmesg" in err
    record = json.loads((folder / "run.json").read_text())
    assert record["frames"] > 0 and "lost after" in record["ended"] and record["source"]["reconnects"] == 0
    assert (folder / "live.mp4").exists() and "ended early" in out


def test_without_reconnecting_the_first_loss_ends_the_run(folder, capfd):
    with installed({0: FakeCamera(frames=10)}):
        code, out, err = run(capfd, "0", "--headless", "--no-reconnect")
    assert code == 1
    assert "lost after" in err and "trying" not in err and "ended early" in out


def test_a_driver_that_hangs_is_given_up_and_the_run_goes_on(folder, capfd):
    camera = FakeCamera(size=(64, 32), interval_s=0.01)

    def hang_for_a_while():
        while camera.delivered < 20:
            time.sleep(0.001)
        camera.hangs.set()
        time.sleep(2.0)
        camera.hangs.clear()

    threading.Thread(target=hang_for_a_while, daemon=True).start()
    with installed({0: camera}, stall_s=1.0):
        code, out, err = run(capfd, "0", "--headless", "--frames", "60", "--json")
    source = json.loads(out)["source"]
    assert code == 0
    assert source["stalls"] >= 1 and source["reconnects"] >= 1
    assert "nothing came for" in err


def test_an_rtsp_camera_that_restarts_goes_on(folder, capfd):
    server = RtspServer()
    servers = [server]

    def restart():
        while server.sent < 40:
            time.sleep(0.01)
        server.close()
        time.sleep(0.5)
        servers.append(RtspServer(server.port))

    threading.Thread(target=restart, daemon=True).start()
    with installed({}):
        code, out, err = run(capfd, server.url, "--headless", "--frames", "80", "--json")
    servers[-1].close()
    assert code == 0, err
    assert json.loads(out)["source"]["reconnects"] == 1


# In a process of its own

HANGING = (
    "import sys, threading, time\n"
    "from ccc_jetson.runtime.run_cli import main\n"
    "from tests.doubles.cameras import FakeCamera, installed\n"
    "from ccc_jetson.runtime.sinks.shares import ClassShares\n"
    "camera = FakeCamera(size=(64, 32), interval_s=0.01)\n"
    "sunk, write = [], ClassShares.write\n"
    "ClassShares.write = lambda *given: (write(*given), sunk.append(1))\n"
    "def hang():\n"
    "    while len(sunk) < 3: time.sleep(0.001)\n"
    "    camera.hangs.set(); time.sleep(0.2); print('hangs', file=sys.stderr, flush=True)\n"
    "threading.Thread(target=hang, daemon=True).start()\n"
    "with installed({0: camera}, stall_s=0.5): sys.exit(main(sys.argv[1:]))\n"
)
OPENING = (
    "import os, signal, sys, threading\n"
    "from ccc_jetson.runtime.frames import live\n"
    "from ccc_jetson.runtime.run_cli import main\n"
    "from tests.doubles.cameras import FakeCamera, installed\n"
    "camera = FakeCamera(); camera.opening_hangs.set()\n"
    "def interrupt():\n"
    "    while not camera.captures: pass\n"
    "    os.kill(os.getpid(), signal.SIGINT)\n"
    "threading.Thread(target=interrupt, daemon=True).start()\n"
    "with installed({0: camera}):\n"
    "    live.DEFAULT_PATIENCE = live.DEFAULT_PATIENCE._replace(open_s=1000.0)\n"
    "    sys.exit(main(sys.argv[1:]))\n"
)


# a decoder that hangs for good: in opening where ``sys.argv[1]`` is 0, else in reading so many frames
DECODER = (
    "import cv2, sys, threading\n"
    "from ccc_jetson.runtime.run_cli import main\n"
    "frames, Capture = int(sys.argv.pop(1)), cv2.VideoCapture\n"
    "def hang():\n"
    "    print('hangs', file=sys.stderr, flush=True)\n"
    "    threading.Event().wait()\n"
    "class Hanging:\n"
    "    def __init__(self, *given):\n"
    "        self.capture, self.reads = Capture(*given), 0\n"
    "        if not frames: hang()\n"
    "    def read(self):\n"
    "        self.reads += 1\n"
    "        return hang() if self.reads > frames else self.capture.read()\n"
    "    def __getattr__(self, name): return getattr(self.capture, name)\n"
    "    def release(self): raise SystemError('released while it is read')\n"
    "cv2.VideoCapture = Hanging\n"
    "sys.exit(main(sys.argv[1:]))\n"
)


def started(folder, script, *argv):
    """ccc-run as a process, with what ``script`` prepares."""
    source = os.path.dirname(os.path.dirname(os.path.abspath(ccc_jetson.__file__)))
    measured = ("COVERAGE_PROCESS", "COV_CORE")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(measured)}
    return subprocess.Popen(
        [sys.executable, "-c", script, *argv],
        cwd=str(folder),
        env=dict(variables, PYTHONPATH=os.pathsep.join([source, ROOT])),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_line(process, start):
    for line in iter(process.stderr.readline, ""):
        if line.startswith(start):
            return
    raise AssertionError("it ended without " + start)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_whose_camera_hangs_for_good(folder, number):
    process = started(folder, HANGING, "0", "--headless", "--report", "run.json")
    wait_for_line(process, "hangs")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    print(out, err)
    assert process.returncode == 0
    assert "; interrupted" in out and "Traceback" not in err and "Fatal" not in err
    assert json.loads((folder / "run.json").read_text())["ended"] == "interrupted"


def test_a_run_whose_camera_hangs_for_good_ends_by_itself(folder):
    process = started(folder, HANGING, "0", "--headless", "--reconnect-for", "0.5")
    out, err = process.communicate(timeout=60)
    print(out, err)
    assert process.returncode == 1
    assert "nothing came for" in err and "tries in" in err and "Fatal" not in err
    assert "ended early" in out


def test_ctrl_c_while_a_camera_is_being_opened(folder):
    process = started(folder, OPENING, "0", "--headless")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "ccc-run: interrupted" in err and "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_whose_video_hangs_in_the_decoder(folder, number):
    write_video(folder / "drive.mp4")
    process = started(folder, DECODER, "5", "drive.mp4", "--headless", "--report", "run.json")
    wait_for_line(process, "hangs")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    print(out, err)
    assert process.returncode == 130
    assert "Traceback" not in err and "Fatal" not in err
    record = json.loads((folder / "run.json").read_text())
    assert (record["ended"], record["frames"]) == ("interrupted", 5)


def test_ctrl_c_while_a_video_hangs_in_being_opened(folder):
    write_video(folder / "drive.mp4")
    process = started(folder, DECODER, "0", "drive.mp4", "--headless")
    wait_for_line(process, "hangs")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "ccc-run: interrupted" in err and "Traceback" not in err
