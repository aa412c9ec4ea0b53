"""The authors' network as an engine, at its full size: class maps, accuracy, and the bytes of a frame.

TensorRT is a stand-in and the GPU a CPU, pycuda and the kernels are real: what is shown are results, not speed.
"""

import json
import os
import shutil
import sys

import numpy as np
import pytest

from ccc_jetson.carried import read_contract
from ccc_jetson.engines.manifest import read_manifest
from ccc_jetson.images import read_frame
from ccc_jetson.opencv import import_cv2
from ccc_jetson.runtime.backends import GpuOptions, open_backend
from ccc_jetson.runtime.pixels import shape_of_size
from tests.doubles import cuda_driver
from tests.doubles.engine_room import command

WIDTH, HEIGHT = 1024, 512
CLASS_MAP = WIDTH * HEIGHT
BGR, NV12 = 3 * CLASS_MAP, CLASS_MAP * 3 // 2
COPIES = tuple((name, "copy") for name in ("input", "class_map", "picture"))
BY_HAND = ["--no-cuda-graph"] + [word for pair in COPIES for word in ("--memory", "=".join(pair))]


@pytest.fixture(scope="module")
def engine(official_onnx, tmp_path_factory):
    """The path of the network's engine in a precision."""
    built = {}

    def find(precision):
        if precision not in built:
            folder = tmp_path_factory.mktemp(precision)
            shutil.copy(official_onnx, str(folder / "model.onnx"))
            code, _, err = command(folder, "ccc-build-engine", "--" + precision)
            assert code == 0, err
            built[precision] = str(folder / "model.engine")
        return built[precision]

    return find


def test_an_fp16_engine_is_as_accurate_on_street_frames_as_the_network(shared_data, engine):
    code, out, err = command(
        os.path.dirname(engine("fp16")), "ccc-eval", "model.engine", "--images", shared_data("camvid/test"),
        "--labels", shared_data("camvid/testannot"), "--mapping", "camvid", "--json", *BY_HAND
    )  # fmt: skip
    assert code == 0, err
    record = json.loads(out)
    print(record["miou"], record["pixel_accuracy"])
    assert record["frames"] == 24
    assert abs(record["miou"] - 0.402) < 0.003
    assert abs(record["pixel_accuracy"] - 0.744) < 0.003


@pytest.mark.parametrize(
    "checkpoint, size, miou, accuracy",
    [
        ("espnet_decoder_espnet_p_2_q_8_camvid.pth", (480, 360), 0.518, 0.842),
        ("espnet_c_p_2_q_8.pth", (WIDTH, HEIGHT), 0.370, 0.667),  # its head is bilinear
    ],
    ids=["camvid", "espnet-c"],
)
def test_fp16_engines_of_espnets_pass_the_gate_and_keep_the_accuracy(
    shared_data, tmp_path, checkpoint, size, miou, accuracy
):
    if sys.version_info < (3, 10):
        pytest.skip("export needs Python 3.10")
    pytest.importorskip("torch")
    from ccc_jetson.export.cli import main

    assert main([shared_data(checkpoint), str(tmp_path / "model.onnx")]) == 0
    code, _, err = command(tmp_path, "ccc-build-engine", "--fp16")
    assert code == 0, err
    gate = read_manifest(str(tmp_path / "model.engine")).gate
    decided = min(frame.decided for frame in gate.frames)
    agreement = min(frame.agreement for frame in gate.frames)
    print("worst golden frame: agreement {:.4%}, decided {:.4%}".format(agreement, decided))
    assert (gate.passed, decided) == (True, 1.0)
    assert agreement > 0.998
    code, out, err = command(
        tmp_path, "ccc-eval", "model.engine", "--images", shared_data("camvid/test"),
        "--labels", shared_data("camvid/testannot"), "--mapping", "camvid", "--json", *BY_HAND
    )  # fmt: skip
    assert code == 0, err
    record = json.loads(out)
    print(record["miou"], record["pixel_accuracy"])
    given = record["model"]["input"]
    assert (given["width"], given["height"]) == size
    assert abs(record["miou"] - miou) < 0.003
    assert abs(record["pixel_accuracy"] - accuracy) < 0.003


def test_class_maps_are_those_of_onnx_runtime(shared_data, engine, monkeypatch):
    monkeypatch.setenv("CCC_JETSON_CACHE", os.path.dirname(engine("fp32")))
    folder = shared_data("camvid/test")
    frames = [
        import_cv2().resize(read_frame(os.path.join(folder, name)), (WIDTH, HEIGHT))
        for name in sorted(os.listdir(folder))[:3]
    ]
    with cuda_driver.installed():
        options = GpuOptions(cuda_graph=False, memory=COPIES)
        with open_backend(engine("fp32"), gpu=options) as backend:
            found = [backend.infer(frame).class_map for frame in frames]
    with open_backend(engine("fp32")[: -len("engine")] + "onnx") as on_the_cpu:
        expected = [on_the_cpu.infer(frame).class_map for frame in frames]
    differing = [int((a != b).sum()) for a, b in zip(found, expected)]
    print("pixels of {} that differ: {}".format(CLASS_MAP, differing))
    # the head's sums are added in another order than ONNX Runtime's: only ties of logits may fall otherwise
    assert max(differing) <= 2


@pytest.mark.parametrize(
    "network, kind, scale",
    [
        (["espnet_p_2_q_3.pth"], "transposed_conv_2x2", 2),
        (["espnet_c_p_2_q_8.pth"], "bilinear", 8),
        (["--random-weights", "--arch", "c3netv2"], "bilinear", 2),
        (["--random-weights", "--arch", "ccc-drn-c26"], "bilinear", 8),
        (["--random-weights", "--arch", "erfnet"], "transposed_conv_2x2", 2),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_engines_of_other_networks_give_their_class_maps(shared_data, tmp_path, monkeypatch, network, kind, scale):
    if sys.version_info < (3, 10):
        pytest.skip("export needs Python 3.10")
    pytest.importorskip("torch")
    from ccc_jetson.export.cli import main

    given = [shared_data(word) if word.endswith(".pth") else word for word in network]
    model, engine_path = str(tmp_path / "model.onnx"), str(tmp_path / "model.engine")
    assert main([*given, model, "--size", "256x128"]) == 0
    head = read_contract(model).head
    assert (head.kind, head.scale) == (kind, scale)
    code, _, err = command(tmp_path, "ccc-build-engine", "--fp32")
    assert code == 0, err
    monkeypatch.setenv("CCC_JETSON_CACHE", str(tmp_path))
    folder = shared_data("road_images")
    frames = [read_frame(os.path.join(folder, name)) for name in sorted(os.listdir(folder))[:2]]
    frames = [import_cv2().resize(frame, (256, 128)) for frame in frames]
    with cuda_driver.installed():
        with open_backend(engine_path, gpu=GpuOptions(cuda_graph=False, memory=COPIES)) as backend:
            found = [backend.infer(frame).class_map for frame in frames]
    with open_backend(model) as on_the_cpu:
        expected = [on_the_cpu.infer(frame).class_map for frame in frames]
    differing = [int((a != b).sum()) for a, b in zip(found, expected)]
    print("pixels of {} that differ: {}; classes {}".format(256 * 128, differing, np.unique(expected)))
    assert max(differing) <= 2


@pytest.mark.parametrize(
    "pixel_format, opacity, to_gpu, from_gpu",
    [("BGR", None, BGR, CLASS_MAP), ("NV12", None, NV12, CLASS_MAP), ("BGR", 0.5, BGR, CLASS_MAP + BGR)],
)
def test_the_bytes_of_a_frame(engine, monkeypatch, pixel_format, opacity, to_gpu, from_gpu):
    monkeypatch.setenv("CCC_JETSON_CACHE", os.path.dirname(engine("fp16")))
    image = np.random.RandomState(1).randint(0, 256, shape_of_size((WIDTH, HEIGHT), pixel_format)).astype(np.uint8)
    with cuda_driver.installed() as driver:
        options = GpuOptions(opacity=opacity, cuda_graph=False, memory=COPIES)
        with open_backend(engine("fp16"), gpu=options) as backend:
            backend.infer(image, pixel_format)
            before = driver.counters.snapshot()
            backend.infer(image, pixel_format)
            counted = driver.counters.difference(before)
    print(sorted(counted.items()))
    assert counted["bytes.host_to_device"] == to_gpu <= 1.6e6
    assert counted["bytes.device_to_host"] == from_gpu
    assert sum(count for name, count in counted.items() if name.startswith("launches.")) == (3 if opacity else 2)
    assert counted["host_calls"] == 1
    assert not [name for name in counted if name.startswith(("made.", "live."))]
