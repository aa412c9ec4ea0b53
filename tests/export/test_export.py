"""Checkpoint in, verified file out; nothing half-written whatever happens."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch

from ccc_jetson.carried import read_contract
from ccc_jetson.errors import UsageError, VerificationError
from ccc_jetson.export import cli, onnx_graph, verify
from ccc_jetson.export.api import ExportOptions, export_onnx
from ccc_jetson.export.onnx_graph import TENSORRT_8_TYPES, without_denormals
from ccc_jetson.files import sha256_of
from ccc_jetson.golden import read_golden
from ccc_jetson.head import head_class_map, read_head
from ccc_jetson.onnx_file import parse_onnx, read_onnx, with_extra_outputs
from ccc_jetson.ort import cpu_session
from ccc_jetson.runtime.backends import open_backend
from tests.export.conftest import small_state

SMALL = ["--size", "128x64"]


def export(checkpoint, tmp_path, *more):
    path = str(tmp_path / "model.onnx")
    assert cli.main([checkpoint, path, *SMALL, *more]) == 0
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """One exported file for all tests that only look at it."""
    folder = tmp_path_factory.mktemp("exported")
    torch.save(small_state(), str(folder / "weights.pth"))
    return export(str(folder / "weights.pth"), folder)


def error_of(capsys, *arguments):
    """Exit code and standard error of a command that must fail without a traceback."""
    code = cli.main(list(arguments))
    printed = capsys.readouterr().err
    assert code != 0
    assert "Traceback" not in printed
    return code, printed


def test_the_written_file_is_what_a_tx2_can_read(exported):
    found = read_onnx(exported)
    assert (found.opset, found.ir_version) == (13, 7)
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in found.inputs + found.outputs] == [
        ("image", "float32", (1, 3, 64, 128)),
        ("class_map", "int32", (1, 64, 128)),
    ]
    assert sorted(os.listdir(os.path.dirname(exported))) == ["model.onnx", "weights.pth"]


def test_no_tensor_in_the_graph_has_a_type_that_tensorrt_8_2_lacks(exported):
    graph = onnx.shape_inference.infer_shapes(onnx.load(exported)).graph
    typed = [info.type.tensor_type.elem_type for info in [*graph.value_info, *graph.input, *graph.output]]
    typed += [tensor.data_type for tensor in graph.initializer]
    typed += [
        attribute.i if attribute.name == "to" else attribute.t.data_type
        for node in graph.node
        for attribute in node.attribute
        if attribute.name in ("to", "value")
    ]
    names = {onnx.helper.tensor_dtype_to_np_dtype(code).name for code in typed}
    assert names <= set(TENSORRT_8_TYPES)
    assert len(graph.value_info) > 100


def test_the_contract_says_what_the_file_is(exported):
    contract = read_contract(exported)
    assert contract.architecture.name == "c3net"
    assert contract.architecture.arguments["dilations"] == [2, 3, 4, 5]
    assert (contract.input.width, contract.input.height) == (128, 64)
    assert contract.preprocessing.mean == (72.3923111, 82.9089355, 73.1584015)
    assert contract.preprocessing.scale == 1 / 255
    assert contract.class_names[:3] == ("road", "sidewalk", "building")
    assert contract.classes[19] == ("void", (0, 0, 0), 255, 0)
    assert contract.source.file == "weights.pth"
    assert contract.verification["argmax_agreement"] >= 0.9999
    assert contract.verification["frames"] == 6
    assert set(contract.attachments) == {"ccc_jetson.golden", "ccc_jetson.head"}


def test_the_head_that_travels_gives_the_graphs_class_map(exported):
    contract, found = read_contract(exported), read_onnx(exported)
    assert contract.head == ("transposed_conv_2x2", "head_features", 20, 20)
    with open(exported, "rb") as file:
        session = cpu_session(with_extra_outputs(file.read(), ["head_features"]), exported)
    image = np.random.default_rng(0).normal(0, 0.01, (1, 3, 64, 128)).astype(np.float32)
    class_map, features = session.run(["class_map", "head_features"], {"image": image})
    assert (head_class_map(features[0], read_head(contract, found, exported)) == class_map[0]).mean() > 0.999


def test_golden_frames_are_drawn_streets_with_the_classes_that_the_file_gives(exported):
    contract, found = read_contract(exported), read_onnx(exported)
    frames = read_golden(contract, found, exported)
    assert [frame.name for frame in frames] == ["scene 11", "scene 23", "scene 37", "scene 41"]
    from ccc_jetson.preprocess import Preprocessor

    with open(exported, "rb") as file:
        session = cpu_session(file.read(), exported)
    for frame in frames:
        assert frame.frame.std() > 20  # a picture, no constant
        (class_map,) = session.run(["class_map"], {"image": Preprocessor(contract)(frame.frame)})
        assert (class_map[0] == frame.class_map).mean() > 0.999


def test_given_pictures_are_verified_on_and_become_golden(checkpoint, tmp_path, capsys):
    import cv2

    rng = np.random.default_rng(0)
    for index in range(6):
        blurred = cv2.GaussianBlur(rng.integers(0, 256, (90, 160, 3), dtype=np.uint8), (0, 0), 5)
        cv2.imwrite(str(tmp_path / f"{index}.png"), blurred)
    path = export(checkpoint, tmp_path, "--verify-images", str(tmp_path))
    contract = read_contract(path)
    frames = read_golden(contract, read_onnx(path), path)
    assert [os.path.basename(frame.name) for frame in frames] == ["0.png", "2.png", "3.png", "5.png"]
    with open_backend(path) as backend:
        for frame in frames:  # each frame beside its own class map
            assert (backend.infer(frame.frame).class_map == frame.class_map).mean() > 0.999
    assert len({frame.frame.tobytes() for frame in frames}) == 4
    assert capsys.readouterr().err.count("verified on") == 8


def test_logits_can_be_the_output(checkpoint, tmp_path):
    path = export(checkpoint, tmp_path, "--output", "logits")
    (output,) = read_onnx(path).outputs
    assert (output.name, output.dtype, output.shape) == ("logits", "float32", (1, 20, 64, 128))
    assert read_contract(path).head is not None


def test_batches_are_static_too(checkpoint, tmp_path):
    path = export(checkpoint, tmp_path, "--batch", "2")
    assert read_onnx(path).inputs[0].shape == (2, 3, 64, 128)
    assert read_contract(path).input.batch == 2


def test_preprocessing_can_be_overridden(checkpoint, tmp_path):
    more = ["--mean", "1", "2", "3", "--std", "4", "5", "6", "--scale", "0.5", "--color-order", "RGB"]
    rule = read_contract(export(checkpoint, tmp_path, *more)).preprocessing
    assert rule == ("RGB", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 0.5)


def test_the_table_says_what_was_exported(checkpoint, tmp_path, capsys):
    export(checkpoint, tmp_path)
    rows = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert rows["network"].startswith("C3Net:")
    assert re.match(r"[\d,]+$", rows["parameters"])
    assert "Table 5" in rows["FLOPs"]
    assert re.match(r"\d+ exported, \d+ written", rows["nodes"])
    assert "on 6 frames" in rows["verified"]
    assert "opset 13, IR 7, 4 golden frames" in rows["file"]


def test_classes_from_a_file_of_names_and_from_json(tmp_path):
    checkpoint = str(tmp_path / "weights.pth")
    torch.save(small_state(classes=5), checkpoint)
    (tmp_path / "names.txt").write_text("free\n\nobstacle\nvoid\nwater\nledge\n")
    contract = read_contract(export(checkpoint, tmp_path, "--classes", str(tmp_path / "names.txt")))
    assert contract.class_names == ("free", "obstacle", "void", "water", "ledge")
    assert len({each.color for each in contract.classes}) == 5
    given = ["free", {"name": "obstacle", "color": [1, 2, 3]}, {"name": "void", "train_id": 255, "label_id": 0}]
    given += ["water", "ledge"]
    (tmp_path / "names.json").write_text(json.dumps(given))
    contract = read_contract(export(checkpoint, tmp_path, "--classes", str(tmp_path / "names.json")))
    assert contract.classes[1] == ("obstacle", (1, 2, 3), 1, -1)
    assert (contract.classes[2].train_id, contract.classes[2].label_id) == (255, 0)


def test_unknown_classes_get_numbers_and_a_note(tmp_path, capsys):
    checkpoint = str(tmp_path / "weights.pth")
    torch.save(small_state(classes=5), checkpoint)
    contract = read_contract(export(checkpoint, tmp_path))
    assert contract.class_names == ("class 0", "class 1", "class 2", "class 3", "class 4")
    assert "--classes FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb\n", "has 2 classes, the network has 20 outputs"),
        ("[", "is no JSON"),
        (json.dumps([{"color": [0, 0, 0]}] * 20), "class 0 is"),
        (json.dumps([{"name": "a", "colour": [0, 0, 0]}] * 20), "unknown fields colour"),
        (json.dumps([{"name": "a", "color": [0, 0, 300]}] * 20), "from 0 to 255"),
        (json.dumps([{"name": "a", "color": "red"}] * 20), "from 0 to 255"),
        (json.dumps([{"name": "a", "label_id": 900}] * 20), "label_id"),
    ],
)
def test_a_wrong_class_file_is_explained(checkpoint, tmp_path, capsys, text, message):
    (tmp_path / "names").write_text(text)
    model = tmp_path / "model.onnx"
    _, printed = error_of(capsys, checkpoint, str(model), *SMALL, "--classes", str(tmp_path / "names"))
    assert message in printed
    assert not model.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "100x64"], "--size 96x64"),
        (["--size", "4x4"], "multiples of 8"),
        (["--size", "128x64", "--mean", "nan", "0", "0"], "must be finite"),
        (["--size", "128x64", "--std", "1", "0", "1"], "--scale positive"),
        (["--size", "128x64", "--scale", "-1"], "--scale positive"),
        (["--verify-images", "nowhere"], "nowhere: no such file"),
    ],
)
def test_wrong_arguments_are_explained_and_nothing_is_written(checkpoint, tmp_path, capsys, arguments, message):
    model = tmp_path / "model.onnx"
    _, printed = error_of(capsys, checkpoint, str(model), *arguments)
    assert message in printed
    assert not model.exists()


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [("--size", "big", "1024x512"), ("--size", "0x8", "1024x512"), ("--batch", "0", "from 1")],
)
def test_values_that_cannot_be_are_usage_errors(checkpoint, capsys, option, value, expected):
    with pytest.raises(SystemExit) as caught:
        cli.main([checkpoint, "m.onnx", option, value])
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err


def test_a_graph_that_computes_something_else_is_not_written(checkpoint, tmp_path, monkeypatch, capsys):
    def build_wrong(network, shape, output, target):
        graph = real(network, shape, output, target)
        for tensor in graph.model.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if array.ndim == 4 and array.shape[0] == 20:
                tensor.CopyFrom(onnx.numpy_helper.from_array(array[::-1].copy(), tensor.name))
        return graph

    real = onnx_graph.build_graph
    monkeypatch.setattr("ccc_jetson.export.api.build_graph", build_wrong)
    model = tmp_path / "model.onnx"
    code, printed = error_of(capsys, checkpoint, str(model), *SMALL)
    assert code == 1
    assert "differs from PyTorch on 'noise'" in printed
    assert os.listdir(tmp_path) == ["weights.pth"]


def test_another_opset_than_asked_for_is_refused(checkpoint, tmp_path, monkeypatch):
    def simplify(model):
        model.opset_import[0].version = 14
        return model, True

    monkeypatch.setattr("ccc_jetson.export.onnx_graph.onnxsim.simplify", simplify)
    with pytest.raises(VerificationError, match="takes opset 13"):
        export_onnx(checkpoint, str(tmp_path / "m.onnx"), ExportOptions(width=128, height=64))


def test_denormal_weights_become_zero_and_are_counted():
    # as bits, because a processor that flushes denormals would not even store them: 1.0, 1e-40, -1e-40, smallest normal
    array = np.array([0x3F800000, 0x000116C2, 0x800116C2, 0x00800000], np.uint32).view(np.float32)
    flushed, denormals = without_denormals(array)
    assert denormals == 2
    assert flushed.view(np.uint32).tolist() == [0x3F800000, 0, 0, 0x00800000]


def test_denormals_in_a_checkpoint_do_not_reach_the_file(tmp_path):
    state = small_state()
    weight = state["encoder.level1.conv.weight"]
    state["encoder.level1.conv.weight"] = torch.full(weight.shape, 0x1BE4, dtype=torch.int32).view(torch.float32)
    torch.save(state, str(tmp_path / "weights.pth"))
    path = str(tmp_path / "m.onnx")
    exported = export_onnx(str(tmp_path / "weights.pth"), path, ExportOptions(width=128, height=64))
    assert exported.denormals >= state["encoder.level1.conv.weight"].numel()
    for tensor in onnx.load(path).graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            assert without_denormals(onnx.numpy_helper.to_array(tensor))[1] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_leaves_no_file(checkpoint, tmp_path, number):
    command = [sys.executable, "-c", "import sys; from ccc_jetson.export.cli import main; sys.exit(main())"]
    process = subprocess.Popen([*command, checkpoint, str(tmp_path / "m.onnx")], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "verified on noise" in line:
            process.send_signal(number)
            break
    printed = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 130
    assert "Traceback" not in printed
    assert os.listdir(tmp_path) == ["weights.pth"]


def test_help_is_quick_and_needs_no_torch(tmp_path):
    for module in ("torch", "onnx", "cv2", "onnxruntime", "numpy"):
        (tmp_path / f"{module}.py").write_text("raise ImportError('not for --help')")
    code = "import sys; from ccc_jetson.export.cli import main; sys.exit(main(['--help']))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "ccc-export C3Net_setting2.pth model.onnx" in result.stdout


def test_without_torch_it_says_how_to_get_it(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('No module named torch', name='torch')")
    code = "import sys; from ccc_jetson.export.cli import main; sys.exit(main(['a.pth', 'b.onnx']))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert "torch cannot be imported" in result.stderr
    assert "download.pytorch.org/whl/cpu" in result.stderr


def test_an_old_python_is_told_in_one_line_where_export_runs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 6, 9, "final", 0))
    assert cli.main(["a.pth", "b.onnx"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "runs on the workstation" in printed and "Python 3.6" in printed


def test_golden_frames_are_spread_over_many_pictures():
    assert verify._golden_choice(9) == {0, 3, 5, 8}
    assert verify._golden_choice(3) == {0, 1, 2, 3}


def test_a_file_that_cannot_be_written_is_an_error(checkpoint, tmp_path, capsys):
    _, printed = error_of(capsys, checkpoint, str(tmp_path / "no" / "m.onnx"), *SMALL)
    assert "folder does not exist" in printed


def test_a_network_with_another_end_has_no_head():
    from ccc_jetson.targets import target_named

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 5, 3, padding=1)

        def forward(self, image):
            return self.conv(image)

    graph = onnx_graph.build_graph(Plain(), (1, 3, 16, 16), "class_map", target_named("tx2"))
    assert graph.head is None and graph.head_weights is None
    assert "logits" in parse_onnx(graph.model.SerializeToString()).nodes[0].outputs


def test_sizes_that_no_scene_can_be_drawn_at_are_exported_too(checkpoint, tmp_path):
    path = str(tmp_path / "small.onnx")
    export_onnx(checkpoint, path, ExportOptions(width=40, height=24))
    assert read_golden(read_contract(path), read_onnx(path), path)[0].class_map.shape == (24, 40)


def test_the_checkpoint_is_never_overwritten(checkpoint, capsys):
    before = sha256_of(checkpoint)
    _, printed = error_of(capsys, checkpoint, checkpoint, *SMALL)
    assert "would overwrite" in printed
    assert sha256_of(checkpoint) == before


def test_more_classes_than_a_byte_holds_are_refused_at_once(tmp_path):
    torch.save(small_state(classes=256), str(tmp_path / "weights.pth"))
    with pytest.raises(UsageError, match="256 outputs"):
        export_onnx(str(tmp_path / "weights.pth"), str(tmp_path / "m.onnx"), ExportOptions(width=128, height=64))


def test_an_unknown_target_is_an_error(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="tx2"):
        export_onnx(checkpoint, str(tmp_path / "m.onnx"), ExportOptions(target="tx3"))


def test_the_official_checkpoint_becomes_a_file_that_agrees_with_pytorch(official_onnx):
    contract = read_contract(official_onnx)
    assert contract.architecture.title == "CCC2"
    assert contract.verification["argmax_agreement"] >= 0.9999
    assert 300 < len(read_onnx(official_onnx).nodes) < 360


def test_exports_are_reproducible(checkpoint, tmp_path):
    first = sha256_of(export(checkpoint, tmp_path))
    assert sha256_of(export(checkpoint, tmp_path)) == first
