"""The commands with an engine, as a user of a board sees them: results, exit codes, messages, and a GPU left empty."""

import json
import os
import signal
import time

import numpy as np
import pytest

from ccc_jetson.images import read_frame
from ccc_jetson.opencv import import_cv2
from ccc_jetson.preprocess import class_map_for_frame
from ccc_jetson.runtime.backends import open_backend
from tests.doubles import cuda_driver
from tests.doubles.cameras import picture
from tests.doubles.engine_room import build, command, finished, started
from tests.doubles.stages import video_frames, write_video
from tests.doubles.tiny_model import HEIGHT, WIDTH

FRAMES = 12
BY_HAND = ["--no-cuda-graph", "--memory", "input=mapped", "--memory", "class_map=copy", "--memory", "picture=copy"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """model.onnx, model.engine (FP32) and drive.avi, whose frames are decoded alike everywhere."""
    folder = tmp_path_factory.mktemp("board")
    build(folder, "--fp32")
    write_video(folder / "drive.avi", FRAMES, (WIDTH, HEIGHT), codec="MJPG")
    return folder


def class_maps(path):
    cv2 = import_cv2()
    return [cv2.imread(os.path.join(str(path), name), cv2.IMREAD_GRAYSCALE) for name in sorted(os.listdir(str(path)))]


def only_report(folder):
    """The counters of the one process that used the GPU."""
    (found,) = [each for each in cuda_driver.read_reports(folder) if each["made.device"] or each["made.pinned"]]
    return found


def assert_nothing_is_left(reports):
    for each in cuda_driver.read_reports(reports):
        assert {name: count for name, count in each.items() if name.startswith("live.") and count} == {}


def test_a_video_has_the_same_class_maps_as_on_the_cpu(folder, tmp_path):
    code, out, err = command(
        folder, "ccc-run", "--video", "drive.avi", "--class-maps", tmp_path / "gpu", "--report", tmp_path / "run.json",
        reports=new_reports(tmp_path),
    )  # fmt: skip
    assert code == 0
    assert "model: ./model.engine (this machine can run it)" in err
    assert "TensorRT 8.2.1.8 on NVIDIA Tegra X2" in out
    assert "memory      input " in out and "cuda graph  " in out
    with open(str(tmp_path / "run.json")) as file:
        record = json.load(file)
    assert (record["frames"], record["dropped"]) == (FRAMES, 0)
    assert record["backend_facts"]["tensorrt"] == "8.2.1.8"
    with open_backend(str(folder / "model.onnx")) as on_the_cpu:
        expected = [on_the_cpu.infer(image).class_map for image in video_frames(folder / "drive.avi")]
    found = class_maps(tmp_path / "gpu")
    assert len(found) == FRAMES
    assert all(np.array_equal(*pair) for pair in zip(found, expected))
    assert_nothing_is_left(tmp_path / "reports")


def new_reports(tmp_path):
    reports = tmp_path / "reports"
    reports.mkdir()
    return reports


@pytest.mark.parametrize("fit", ["crop", "stretch", "letterbox"])
def test_a_csi_cameras_nv12_reaches_the_gpu_as_it_is(folder, tmp_path, fit):
    size = (96, 72)
    code, _, err = command(
        folder, "ccc-run", "csi://0?size=96x72", "--frames", "4", "--fit", fit, "--class-maps", tmp_path / "gpu",
        "--report", tmp_path / "run.json", *BY_HAND, reports=new_reports(tmp_path),
        cameras="{}, [('NV12 ! appsink', FakeCamera(size=(96, 72)), 'NV12')], gstreamer=True, board=TX2",
    )  # fmt: skip
    assert code == 0
    assert "trying GStreamer, Argus, NV12: nvarguscamerasrc sensor-id=0" in err
    with open(str(tmp_path / "run.json")) as file:
        assert json.load(file)["source"]["delivered"]["format"] == "NV12"
    with open_backend(str(folder / "model.onnx"), fit) as on_the_cpu:
        result = on_the_cpu.infer(picture(size, "NV12"), "NV12")
    expected = class_map_for_frame(result.class_map, result.geometry)
    found = class_maps(tmp_path / "gpu")
    assert len(found) == 4 and found[0].shape == (72, 96)
    agreement = min(float((each == expected).mean()) for each in found)
    print(agreement)
    assert agreement > 0.97  # the kernel's colours differ by a step where OpenCV rounds otherwise
    assert_nothing_is_left(tmp_path / "reports")


def test_the_overlay_video_is_drawn_on_the_gpu(folder, tmp_path):
    reports = new_reports(tmp_path)
    code, _, _ = command(
        folder, "ccc-run", "--video", "drive.avi", "--out", tmp_path / "overlay.mp4", *BY_HAND, reports=reports
    )
    assert code == 0
    assert len(video_frames(tmp_path / "overlay.mp4")) == FRAMES
    counted = only_report(reports)
    assert counted["launches.ccc_overlay_bgr"] >= FRAMES
    assert_nothing_is_left(reports)


def test_accuracy_is_that_of_the_onnx_file(folder, tmp_path):
    cv2 = import_cv2()
    for name in ("pictures", "labels"):
        (tmp_path / name).mkdir()
    for index in range(4):
        random = np.random.RandomState(index)
        picture = random.randint(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        labels = random.randint(0, 19, (HEIGHT, WIDTH)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "pictures" / "{}.png".format(index)), picture)
        cv2.imwrite(str(tmp_path / "labels" / "{}.png".format(index)), labels)
    found = []
    for model in ("model.engine", "model.onnx"):
        for eval_size in ("network", "full"):
            code, out, _ = command(
                folder, "ccc-eval", model, "--images", tmp_path / "pictures", "--labels", tmp_path / "labels",
                "--mapping", "trainids", "--eval-size", eval_size, "--json",
            )  # fmt: skip
            assert code == 0
            found.append(json.loads(out)["miou"])
    assert found[0] == found[2] and found[1] == pytest.approx(found[3], abs=1e-6)


@pytest.mark.parametrize(
    "faults, message, cure",
    [
        ({"no_gpu": True}, "CUDA finds no GPU that it can use", "nvidia"),
        ({"tensorrt_missing": True}, "TensorRT cannot be imported", ""),
        ({"tensorrt": "8.0.1.6"}, "built with TensorRT 8.2.1.8, running on TensorRT 8.0.1.6", "ccc-build-engine"),
        ({"device": "nano"}, "running on NVIDIA Tegra X1 (sm_53)", "ccc-build-engine"),
        ({"deserialize_none": True}, "TensorRT 8.2.1.8 cannot load it", ""),
        ({"context_none": True}, "the engine cannot be prepared to run", ""),
        ({"execute_false": True}, "the engine did not run", ""),
        ({"fail_kernel": ("ccc_pre_bgr_fp32", 8)}, "the GPU did not finish its work", "dmesg"),
        ({"fail_launch": ("ccc_head_deconv_fp32", 8)}, "the kernel ccc_head_deconv_fp32 could not be started", "dmesg"),
        ({"bad_module": "no binary"}, "the compiled kernels cannot be loaded", ""),
        ({"free_mib": 0}, "memory", "close other programs"),
    ],
)
def test_what_fails_on_the_device_is_told_without_a_traceback(folder, tmp_path, faults, message, cure):
    reports = new_reports(tmp_path)
    code, out, err = command(
        folder, "ccc-run", "--model", "model.engine", "--video", "drive.avi", "--headless", *BY_HAND,
        reports=reports, **faults
    )  # fmt: skip
    assert code == 1
    assert "ccc-run: error: " in err and message in err and cure in err
    assert "Traceback" not in out + err and "PyCUDA ERROR" not in err
    assert_nothing_is_left(reports)


def test_kernels_that_are_missing_are_asked_of_nvcc(folder, tmp_path):
    for name in ("model.engine", "model.engine.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    run = ["ccc-run", "--video", folder / "drive.avi", "--headless"] + BY_HAND
    code, _, err = command(tmp_path, *run, nvcc="13.0")
    assert code == 1 and "nvcc" in err and "Traceback" not in err
    code, _, err = command(tmp_path, *run)
    assert code == 0 and "compiling the runtime's kernels for sm_62" in err
    code, _, err = command(tmp_path, *run, nvcc="13.0")
    assert code == 0 and "compiling" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_in_order(folder, tmp_path, number):
    write_video(tmp_path / "long.avi", 3000, (WIDTH, HEIGHT), codec="MJPG")
    reports = new_reports(tmp_path)
    process = started(
        folder, "ccc-run", "--video", tmp_path / "long.avi", "--class-maps", tmp_path / "maps", *BY_HAND,
        reports=reports,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not (tmp_path / "maps").exists() or not os.listdir(str(tmp_path / "maps")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(number)
    code, out, err = finished(process)
    assert code == 130
    assert "interrupted" in out
    assert "PyCUDA ERROR" not in err and "Traceback" not in err
    assert_nothing_is_left(reports)


def test_a_picture_that_cannot_be_read_ends_in_order(folder, tmp_path):
    (tmp_path / "pictures").mkdir()
    reports = new_reports(tmp_path)
    cv2 = import_cv2()
    for index in range(3):
        cv2.imwrite(str(tmp_path / "pictures" / "{}.png".format(index)), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (tmp_path / "pictures" / "1.png").write_bytes(b"\x89PNG and nothing")
    code, _, err = command(
        folder, "ccc-run", "--images", tmp_path / "pictures", "--headless", *BY_HAND, reports=reports
    )
    assert code == 1 and "1.png" in err
    assert_nothing_is_left(reports)


@pytest.mark.parametrize("version, device", [("8.5.3.1", "orin"), ("10.3.0", "orin"), ("11.0.0.114", "orin")])
def test_newer_boards_run_their_engines(tmp_path, version, device):
    from tests.doubles.tiny_model import write_tiny_model

    write_tiny_model(tmp_path / "model.onnx")
    write_video(tmp_path / "drive.avi", 4, (WIDTH, HEIGHT), codec="MJPG")
    board = {"tensorrt": version, "device": device, "nvcc": "12.6"}
    code, out, err = command(tmp_path, "ccc-build-engine", "--fp32", **board)
    assert code == 0, err
    code, out, _ = command(tmp_path, "ccc-run", "--video", "drive.avi", "--class-maps", "maps", **board)
    assert code == 0
    assert "TensorRT {} on Orin".format(version) in out
    with open_backend(str(tmp_path / "model.onnx")) as on_the_cpu:
        expected = [on_the_cpu.infer(image).class_map for image in video_frames(tmp_path / "drive.avi")]
    assert all(np.array_equal(*pair) for pair in zip(class_maps(tmp_path / "maps"), expected))


def test_a_picture_alone_is_read_as_the_frame_it_is(folder, tmp_path):
    cv2 = import_cv2()
    path = str(tmp_path / "picture.png")
    cv2.imwrite(path, np.random.RandomState(5).randint(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8))
    code, _, _ = command(folder, "ccc-run", "--images", path, "--class-maps", tmp_path / "maps", *BY_HAND)
    assert code == 0
    with open_backend(str(folder / "model.onnx")) as on_the_cpu:
        expected = on_the_cpu.infer(read_frame(path)).class_map
    assert np.array_equal(class_maps(tmp_path / "maps")[0], expected)


def test_a_page_asks_nothing_of_the_gpu(folder, tmp_path):
    pytest.importorskip("tornado", reason="Tornado is not installed")
    counted = {}
    for name, more in (("without", ()), ("with", ("--serve", "127.0.0.1:0"))):
        reports = tmp_path / name
        reports.mkdir()
        code, out, err = command(
            folder, "ccc-run", "--video", "drive.avi", "--headless", *BY_HAND, *more, reports=reports
        )
        assert code == 0, err
        assert_nothing_is_left(reports)
        counted[name] = only_report(reports)
    assert "page at http://127.0.0.1:" in out
    assert counted["with"] == counted["without"]
