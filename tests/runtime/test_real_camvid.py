"""The authors' own weights on real street frames: what PyTorch gave must come out of the exported file here."""

import json

import pytest

from ccc_jetson.runtime.eval_cli import main

# IoU of the classes, from the authors' PyTorch code on these 24 frames
EXPECTED = {
    "Sky": 0.534,
    "Building": 0.621,
    "Pole": 0.286,
    "Road": 0.865,
    "Pavement": 0.657,
    "Tree": 0.248,
    "SignSymbol": 0.181,
    "Fence": 0.279,
    "Car": 0.534,
    "Pedestrian": 0.093,
    "Bicyclist": 0.127,
}


@pytest.mark.parametrize("eval_size,miou", [("network", 0.4020), ("full", 0.4022)])
def test_the_exported_checkpoint_is_as_accurate_as_in_pytorch(shared_data, official_onnx, tmp_path, eval_size, miou):
    report = str(tmp_path / "eval.json")
    arguments = ["--images", shared_data("camvid/test"), "--labels", shared_data("camvid/testannot")]
    arguments += ["--mapping", "camvid", "--eval-size", eval_size, "--report", report]
    assert main([official_onnx] + arguments) == 0
    with open(report) as file:
        result = json.load(file)
    print(result["miou"], result["pixel_accuracy"], result["classes"])
    assert result["frames"] == 24
    assert abs(result["miou"] - miou) < 0.003
    assert abs(result["pixel_accuracy"] - 0.744) < 0.003
    for each in result["classes"]:
        assert abs(each["iou"] - EXPECTED[each["name"]]) < 0.01, each
