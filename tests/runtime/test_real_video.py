"""Real streets through the authors' network: what is seen, and where."""

import json

import numpy as np
import pytest

from ccc_jetson.images import read_frame, read_labels
from ccc_jetson.runtime.run_cli import main
from tests.doubles.stages import video_frames

pytest.importorskip("onnxruntime")

ROAD, SKY, CAR = 0, 10, 13


def share(labels, rows, columns, label):
    return float(np.mean(labels[slice(*rows), slice(*columns)] == label))


def test_a_dash_cameras_video_shows_the_road_where_it_is(official_onnx, shared_data, tmp_path, capsys):
    video = shared_data("video/solidWhiteRight.mp4")
    argv = ["--model", official_onnx, "--video", video, "--frames", "3", "--json"]
    argv += ["--out", str(tmp_path / "overlay.mp4"), "--class-maps", str(tmp_path / "masks")]
    assert main(argv) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["frames"], record["dropped"]) == (3, 0)
    assert record["bottleneck"].startswith("infer")
    assert 0.3 < record["class_shares"]["road"] < 0.55
    frames = video_frames(tmp_path / "overlay.mp4")
    assert len(frames) == 3 and frames[0].shape == (540, 960, 3)
    for index in range(3):
        labels = read_labels(str(tmp_path / "masks" / "solidWhiteRight_{:06d}.png".format(index)))
        assert labels.shape == (540, 960)
        assert share(labels, (400, 520), (200, 760), ROAD) > 0.9
        assert share(labels, (0, 40), (100, 800), SKY) > 0.6


@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_a_car_is_coloured_where_it_is_in_the_picture(official_onnx, shared_data, tmp_path, capsys, fit):
    picture = shared_data("road_images/adv_test4.jpg")
    argv = ["--model", official_onnx, "--images", picture, "--fit", fit, "--opacity", "1"]
    assert main(argv + ["--out", str(tmp_path / "overlays"), "--class-maps", str(tmp_path / "masks")]) == 0
    capsys.readouterr()
    labels = read_labels(str(tmp_path / "masks" / "adv_test4.png"))
    overlay = read_frame(str(tmp_path / "overlays" / "adv_test4.png"))
    assert labels.shape == overlay.shape[:2] == (720, 1280)
    rows, columns = (430, 480), (1080, 1220)  # the bright car on the right
    print("car", share(labels, rows, columns, CAR))
    assert share(labels, rows, columns, CAR) > 0.95
    assert share(labels, (560, 640), (400, 1100), ROAD) > 0.9
    assert (overlay[labels == CAR] == (142, 0, 0)).all()  # Cityscapes' dark blue, as B, G, R
