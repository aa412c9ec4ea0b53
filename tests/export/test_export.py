"""Checkpoint in, verified file out; nothing half-written whatever happens."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from ccc_jetson import golden
from ccc_jetson.carried import read_contract
from ccc_jetson.errors import UsageError, VerificationError
from ccc_jetson.export import cli, onnx_graph
from ccc_jetson.export.api import ExportOptions, export_onnx
from ccc_jetson.export.onnx_head import find_head
from ccc_jetson.export.passes.order import PASSES
from ccc_jetson.export.passes.subject import Subject
from ccc_jetson.export.passes.weights import without_denormals
from ccc_jetson.export.verify import spread
from ccc_jetson.files import sha256_of
from ccc_jetson.golden import read_golden
from ccc_jetson.head import head_class_map, read_head
from ccc_jetson.layer_ranges import read_layer_ranges
from ccc_jetson.onnx_file import parse_onnx, read_onnx, with_extra_outputs
from ccc_jetson.ort import cpu_session
from ccc_jetson.runtime.backends import open_backend
from ccc_jetson.targets import target_named
from tests.export.conftest import small_state

SMALL = ["--size", "128x64"]


PLAIN = [*SMALL, "--no-passes"]


def export(checkpoint, tmp_path, *more, small=PLAIN):
    path = str(tmp_path / "model.onnx")
    assert cli.main([checkpoint, path, *small, *more]) == 0
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """One exported file for all tests that only look at it."""
    folder = tmp_path_factory.mktemp("exported")
    torch.save(small_state(), str(folder / "weights.pth"))
    return export(str(folder / "weights.pth"), folder, small=SMALL)


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
    assert names <= {"float32", "float16", "int32", "int64", "int8", "bool"}
    assert len(graph.value_info) > 100


def test_the_contract_says_what_the_file_is(exported):
    contract = read_contract(exported)
    assert contract.architecture.name == "c3net"
    assert contract.architecture.arguments["dilations"] == [2, 3, 4, 5]
    assert (contract.input.width, contract.input.height) == (128, 64)
    assert contract.preprocessing.mean == (72.3923111, 82.9089355, 73.1584015)
    assert contract.preprocessing.scale == 64 / 255  # scale-input's power of two
    assert contract.class_names[:3] == ("road", "sidewalk", "building")
    assert (contract.target, contract.precision) == ("tx2", "fp32")
    assert contract.passes[0] == "fold-batchnorm" and {"scale-input", "equalise"} <= set(contract.passes)
    assert contract.source.file == "weights.pth"
    assert contract.verification["argmax_agreement"] >= 0.9999
    assert contract.verification["frames"] == 6
    assert set(contract.attachments) == {"ccc_jetson.golden", "ccc_jetson.head", "ccc_jetson.layer_ranges"}


def test_the_contract_says_what_half_precision_would_do(exported):
    contract = read_contract(exported)
    half = contract.half
    assert half.frames == 4
    assert half.safe and half.decided_worst >= 0.995
    assert half.agreement_worst <= half.agreement <= 1
    assert 0 < half.largest_activation < 65504 and 0 < half.largest_weight < 65504
    assert (half.miou_fp32, half.miou_fp16) == (None, None)
    layers = read_layer_ranges(contract, read_onnx(exported), exported)
    assert "logits" in {each.tensor for each in layers} and "head_features" in {each.tensor for each in layers}
    assert max(each.largest for each in layers) == pytest.approx(half.largest_activation, rel=1e-5)
    assert all(each.half_error < 0.05 for each in layers)


def test_without_passes_the_file_is_the_network_as_pytorch_has_it(checkpoint, tmp_path):
    path = export(checkpoint, tmp_path)
    contract = read_contract(path)
    assert contract.passes == ()
    assert contract.preprocessing.scale == 1 / 255
    assert contract.classes[19] == ("void", (0, 0, 0), 255, 0)
    assert sum(node.operator == "BatchNormalization" for node in read_onnx(path).nodes) > 30


def test_chosen_passes_alone_run_in_their_own_order(checkpoint, tmp_path):
    path = export(checkpoint, tmp_path, "--passes", "scale-input", "fold-batchnorm", small=SMALL)
    assert read_contract(path).passes == ("fold-batchnorm", "scale-input")


def test_an_unknown_pass_is_refused_with_the_names_of_all(checkpoint, tmp_path, capsys):
    code, printed = error_of(capsys, checkpoint, str(tmp_path / "m.onnx"), "--passes", "fold-bn")
    assert code == 2
    assert "'fold-bn'" in printed and "fold-batchnorm, prune-dead-channels" in printed


def test_passes_explain_themselves(capsys):
    assert cli.main(["--explain"]) == 0
    printed = capsys.readouterr().out
    for each in PASSES:
        assert f"{each.name} (for " in printed and each.reason in printed and each.exactness in printed


def test_a_pc_gets_other_passes_and_no_fp16(checkpoint, tmp_path, capsys):
    contract = read_contract(export(checkpoint, tmp_path, "--target", "cpu", small=SMALL))
    assert contract.target == "cpu"
    assert "prelu-apart" in contract.passes and not {"equalise", "prelu-as-convolutions"} & set(contract.passes)
    assert contract.half is None
    printed = capsys.readouterr()
    assert "\nFP16" not in printed.out
    assert "verifying on OpenVINO 2" in printed.err


def test_a_pc_without_openvino_gets_a_file_for_onnx_runtime_or_hears_what_is_missing(
    checkpoint, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "openvino", None)
    contract = read_contract(export(checkpoint, tmp_path, "--target", "cpu-onnxruntime", small=SMALL))
    assert "prelu-as-convolutions" in contract.passes and "prelu-apart" not in contract.passes
    assert "openvino is not installed" not in capsys.readouterr().err
    assert read_contract(export(checkpoint, tmp_path, "--target", "cpu", small=SMALL)).target == "cpu"
    said = capsys.readouterr().err
    assert "verifying on ONNX Runtime" in said
    assert "note: verified on ONNX Runtime: openvino is not installed, with which this file is faster" in said


def test_a_strongly_typed_file_computes_in_fp16_and_is_verified(checkpoint, tmp_path):
    path = export(checkpoint, tmp_path, "--target", "orin", "--fp16", small=SMALL)
    found, contract = read_onnx(path), read_contract(path)
    assert contract.precision == "fp16"
    assert {tensor.dtype for tensor in found.initializers} <= {"float16", "int64"}
    assert [(tensor.name, tensor.dtype) for tensor in found.inputs + found.outputs] == [
        ("image", "float32"),
        ("class_map", "int32"),
    ]
    inferred = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True).graph.value_info
    halves = [info for info in inferred if info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16]
    assert len(halves) > 0.9 * len(inferred)
    with open_backend(path) as backend:
        assert backend.infer(np.full((90, 160, 3), 90, np.uint8)).class_map.shape == (64, 128)


def test_a_strongly_typed_file_can_give_logits(checkpoint, tmp_path):
    path = export(checkpoint, tmp_path, "--target", "orin", "--fp16", "--output", "logits")
    assert [(tensor.name, tensor.dtype) for tensor in read_onnx(path).outputs] == [("logits", "float32")]


def test_strong_typing_is_refused_where_fp16_is_a_flag(checkpoint, tmp_path, capsys):
    code, printed = error_of(capsys, checkpoint, str(tmp_path / "m.onnx"), "--fp16")
    assert code == 2
    assert "Jetson TX2 has 8.2" in printed and "ccc-build-engine --fp16" in printed
    for target in ("cpu", "cpu-onnxruntime"):
        said = error_of(capsys, checkpoint, str(tmp_path / "m.onnx"), "--fp16", "--target", target)[1]
        assert "has none" in said and "compute in FP32" in said and "ccc-build-engine" not in said


def test_labels_give_the_miou_of_both_precisions(checkpoint, tmp_path, capsys):
    import cv2

    from ccc_jetson.export.scenes import street_scene

    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for seed in range(2):
        scene = street_scene(seed, 128, 64)
        cv2.imwrite(str(tmp_path / "images" / f"{seed}.png"), scene.frame)
        cv2.imwrite(str(tmp_path / "labels" / f"{seed}.png"), scene.labels)
    given = ["--verify-images", str(tmp_path / "images"), "--verify-labels", str(tmp_path / "labels")]
    path = export(checkpoint, tmp_path, *given, "--mapping", "trainids")
    half = read_contract(path).half
    assert half.frames == 4
    assert 0 <= half.miou_fp16 < 0.2 and half.miou_fp32 == pytest.approx(half.miou_fp16, abs=0.01)
    printed = capsys.readouterr()
    assert f"mIoU {half.miou_fp32:.4f} in FP32" in printed.out and "nothing was scored" not in printed.err
    export(checkpoint, tmp_path, *given, "--mapping", "trainids", "--target", "cpu")
    assert "--verify-labels: nothing was scored" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mapping", "camvid"], "there are none"),
        (["--verify-labels", "."], "needs one folder of pictures"),
        (["--verify-images", "nowhere", "--verify-labels", "."], "nowhere: no such file"),
        (["--verify-images", ".", "--verify-labels", "."], "the meaning of the labels"),
    ],
)
def test_labels_without_pictures_or_meaning_are_refused(checkpoint, tmp_path, capsys, arguments, message):
    code, printed = error_of(capsys, checkpoint, str(tmp_path / "m.onnx"), *arguments)
    assert code in (1, 2) and message in printed


def test_batches_are_told_that_fp16_was_not_simulated(checkpoint, tmp_path, capsys):
    assert read_contract(export(checkpoint, tmp_path, "--batch", "2")).half is None
    assert "FP16 was not simulated" in capsys.readouterr().err


def test_a_class_that_was_cut_must_not_win_a_frame(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Subject, "silent_classes", lambda subject: tuple(range(19)))
    monkeypatch.setattr("ccc_jetson.export.passes.run._refusal", lambda *found: "")
    code, printed = error_of(capsys, checkpoint, str(tmp_path / "m.onnx"), *SMALL, "--passes", "cut-classes")
    assert code == 1
    assert "differs from PyTorch on 'scene 11'" in printed and "without cut-classes" in printed


def test_a_command_without_files_says_how_it_is_used(capsys):
    code, printed = error_of(capsys, "weights.pth")
    assert code == 2 and "MODEL.onnx is missing" in printed


def test_the_head_that_travels_gives_the_graphs_class_map(exported):
    contract, found = read_contract(exported), read_onnx(exported)
    assert contract.head == ("transposed_conv_2x2", "head_features", 20, len(contract.classes), 2, False)
    with open(exported, "rb") as file:
        session = cpu_session(with_extra_outputs(file.read(), ["head_features"]), exported)
    image = np.random.default_rng(0).normal(0, 0.5, (1, 3, 64, 128)).astype(np.float32)
    class_map, features = session.run(["class_map", "head_features"], {"image": image})
    from_head = head_class_map(features[0], contract.head, read_head(contract, found, exported))
    assert (from_head == class_map[0]).mean() > 0.999


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
    export(checkpoint, tmp_path, "--passes", "fold-batchnorm", small=SMALL)
    lines = [line for line in capsys.readouterr().out.splitlines() if line and not line.startswith(" ")]
    rows = dict(line.split(None, 1) for line in lines)
    assert rows["network"].startswith("C3Net:")
    assert re.match(r"[\d,]+$", rows["parameters"])
    assert "Table 5" in rows["FLOPs"]
    assert re.match(r"\d+ +[\d.]+ +\d+ +[\d.e+]+ +\d+ of \d+ folded", rows["fold-batchnorm"])
    assert "simulated on 4 frames" in rows["FP16"]
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
        (["--size", "128x64", "--scale", "1e300", "--std", "1e-20", "1e-20", "1e-20"], "no larger than 1e30"),
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
        model = real(network, shape, output, target)
        for value in model.graph.initializers.values():
            array = value.const_value.numpy()
            if array.ndim == 4 and array.shape[0] == 20:
                value.const_value = ir.tensor(array[::-1].copy())
        return model

    real = onnx_graph.build_graph
    monkeypatch.setattr("ccc_jetson.export.api.build_graph", build_wrong)
    model = tmp_path / "model.onnx"
    code, printed = error_of(capsys, checkpoint, str(model), *PLAIN)
    assert code == 1
    assert "differs from PyTorch on 'noise'" in printed
    assert os.listdir(tmp_path) == ["weights.pth"]


def test_another_opset_than_asked_for_is_refused(checkpoint, tmp_path, monkeypatch):
    def simplify(model, **options):
        model.opset_import[0].version = 14
        return model, True

    monkeypatch.setattr("ccc_jetson.export.onnx_graph.onnxsim.simplify", simplify)
    with pytest.raises(VerificationError, match="takes opset 13"):
        export_onnx(checkpoint, str(tmp_path / "m.onnx"), ExportOptions(width=128, height=64, passes=()))


def test_what_the_target_cannot_take_is_refused_before_anything_is_written(tmp_path):
    nodes = [onnx.helper.make_node("Unique", ["x"], ["y"], "odd")]
    given, result = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [3]) for name in "xy")
    opset = [onnx.helper.make_opsetid("", 13)]
    graph = onnx.helper.make_graph(nodes, "g", [given], [result])
    data = onnx.helper.make_model(graph, ir_version=7, opset_imports=opset).SerializeToString()
    with pytest.raises(VerificationError, match=r"Jetson TX2 cannot take the exported graph: Unique \(odd"):
        onnx_graph.assert_readable(data, target_named("tx2"))
    assert onnx_graph.assert_readable(data, target_named("cpu")).opset == 13


def test_denormals_in_a_checkpoint_do_not_reach_the_file(tmp_path):
    state = small_state()
    weight = state["encoder.level1.conv.weight"]
    state["encoder.level1.conv.weight"] = torch.full(weight.shape, 0x1BE4, dtype=torch.int32).view(torch.float32)
    torch.save(state, str(tmp_path / "weights.pth"))
    path = str(tmp_path / "m.onnx")
    options = ExportOptions(width=128, height=64, passes=("flush-denormals",))
    exported = export_onnx(str(tmp_path / "weights.pth"), path, options)
    assert exported.passes[0].did == f"{weight.numel()} weights set to zero"
    for tensor in onnx.load(path).graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            assert without_denormals(onnx.numpy_helper.to_array(tensor))[1] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_leaves_no_file(checkpoint, tmp_path, number):
    command = [sys.executable, "-c", "import sys; from ccc_jetson.export.cli import main; sys.exit(main())"]
    arguments = [checkpoint, str(tmp_path / "m.onnx"), *PLAIN]
    process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
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
    assert spread(9, 4) == (0, 3, 5, 8)
    assert spread(4, 4) == (0, 1, 2, 3)
    assert (spread(4, 3), spread(4, 1)) == ((0, 2, 3), (0,))


def test_no_more_golden_frames_are_written_than_a_reader_takes(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(golden, "_MOST_PIXELS", 3 * 128 * 64 + 1)
    path = export(checkpoint, tmp_path)
    assert "no more than 3 golden frames of 128x64 fit in a file" in capsys.readouterr().err
    assert len(read_golden(read_contract(path), read_onnx(path), path)) == 3


def test_a_size_of_which_no_golden_frame_fits_is_refused_before_the_work(checkpoint, tmp_path, capsys):
    for size in ("8192x8320", "65664x64"):
        _, printed = error_of(capsys, checkpoint, str(tmp_path / "m.onnx"), "--size", size)
        assert "no golden frame of that size fits" in printed and "-> --size 8192x8192" in printed


def test_a_file_that_cannot_be_written_is_an_error(checkpoint, tmp_path, capsys):
    _, printed = error_of(capsys, checkpoint, str(tmp_path / "no" / "m.onnx"), *SMALL)
    assert "folder does not exist" in printed


def test_a_network_with_another_end_has_no_head():
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 5, 3, padding=1)

        def forward(self, image):
            return self.conv(image)

    tx2 = target_named("tx2")
    graph = onnx_graph.build_graph(Plain(), (1, 3, 16, 16), "class_map", tx2)
    assert find_head(graph, onnx_graph.LOGITS) is None
    assert "logits" in parse_onnx(ir.to_proto(graph).SerializeToString()).nodes[0].outputs


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
