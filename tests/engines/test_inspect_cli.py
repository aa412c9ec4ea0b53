"""``ccc-inspect`` as a user meets it: what it says, what machines get, and what damaged files end in."""

import io
import json
import os
import random
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from onnx import TensorProto, external_data_helper, helper

from ccc_jetson.engines.inspect_cli import build_parser, main
from ccc_jetson.engines.inspect_onnx import inspect_onnx
from ccc_jetson.files import sha256_of
from tests.doubles.graphs import graph_bytes, quantized_bytes, unpooling_bytes
from tests.doubles.tiny_model import tiny_contract, tiny_graph, tiny_model_bytes, write_tiny_model


def written(tmp_path, data, name="model.onnx"):
    path = tmp_path / name
    path.write_bytes(data)
    return str(path)


def page_of(capsys, path, code=0):
    assert main([path]) == code
    return capsys.readouterr().out


def json_of(capsys, path, code=0):
    assert main([path, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def error_of(capsys, path, code=1):
    """Standard error of a command that must fail without output and without a traceback."""
    assert main([path]) == code
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    assert captured.err.startswith("ccc-inspect: error: {}: ".format(path))
    return captured.err


def lines_with(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


# What it says


def test_the_page_of_a_complete_file(tmp_path, capsys):
    path = write_tiny_model(tmp_path / "tiny.onnx")
    text = page_of(capsys, path)
    for line in (
        "file         {}: ONNX, {:.2f} MB, opset 13, IR 7, written by tests".format(path, os.path.getsize(path) / 1e6),
        "sha256       " + sha256_of(path),
        "input        image: float32 1x3x32x64",
        "output       class_map: int32 1x32x64",
        "contract     Tiny (tiny): features 4",
        "gives        class_map of 19 classes: road, sidewalk,",
        "head         transposed_conv_2x2 behind 'features', 4 -> 19 channels, weights attached",
        "golden       2 frames: frame0, frame1",
        "verified     argmax_agreement 1",
        "published    mIoU % 61.96 (Cityscapes, paper)",
        "nodes        5",
        "parameters   431",
        "FLOPs        0.0005 G by the paper's Table 5",
        "weights      431 in 3 tensors; magnitudes: largest ",
        "as FP16      0 above 65504, 0 become zero, 0 become subnormal",
    ):
        assert line in text
    table = text.split("\n\n")[1].splitlines()
    assert table[0].split() == ["operator", "nodes", "GFLOP", "share", "MB", "moved"]
    assert [line.split()[0] for line in table[1:]] == ["ConvTranspose", "Conv", "Relu", "ArgMax", "Cast"]
    assert len({len(line) for line in table}) == 1
    assert text.count("nothing known against it") == 6
    (tx2,) = lines_with(text, "8.2 ")
    assert tx2.split("  ")[1:] and "up to 13" in tx2 and "tx2, tx2-nx, nano" in tx2


def test_json_holds_the_same_for_machines(tmp_path, capsys):
    path = write_tiny_model(tmp_path / "tiny.onnx")
    found = json_of(capsys, path)
    assert (found["schema"], found["kind"], found["opsets"], found["ir_version"]) == (1, "onnx", {"ai.onnx": 13}, 7)
    assert found["inputs"] == [{"name": "image", "dtype": "float32", "shape": [1, 3, 32, 64]}]
    assert found["contract"]["architecture"]["title"] == "Tiny"
    assert (found["golden_frames"], found["head_weights"]) == (["frame0", "frame1"], True)
    assert (found["parameters"], found["nodes"]) == (431, 5)
    assert sum(row["flops"] for row in found["operators"]) == found["flops"]
    assert sum(row["bytes_moved"] for row in found["operators"]) == found["bytes_moved"]
    assert found["weights"]["values"] == 431
    assert [row["tensorrt"] for row in found["tensorrt"]] == ["8.0", "8.2", "8.5", "8.6", "10.3", "11.0"]
    assert not any(row["problems"] for row in found["tensorrt"]) and found["hardware"] == []


def test_a_file_without_a_contract_is_said_to_have_none(tmp_path, capsys):
    path = written(tmp_path, tiny_graph(tiny_contract()).SerializeToString())
    text = page_of(capsys, path)
    assert "contract     none: preprocessing and classes are unknown" in text
    assert lines_with(text, "golden") == lines_with(text, "head") == []
    found = json_of(capsys, path)
    assert (found["contract"], found["contract_problem"], found["golden_frames"]) == (None, None, [])


def test_a_damaged_contract_is_reported_behind_all_that_could_be_read(tmp_path, capsys):
    data = tiny_model_bytes().replace(b'"schema":', b'"schemo":')
    path = written(tmp_path, data)
    assert main([path]) == 1
    captured = capsys.readouterr()
    assert "contract     damaged: " in captured.out and "parameters   431" in captured.out
    assert "the contract is damaged" in captured.err and "  -> " in captured.err
    found = json_of(capsys, path, code=1)
    assert found["contract"] is None and "damaged" in found["contract_problem"]


def test_damaged_golden_frames_are_a_damaged_contract(tmp_path, capsys):
    data = tiny_model_bytes()
    at = data.index(b"ccc_jetson.golden") + 400
    path = written(tmp_path, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert main([path]) == 1
    assert "attachment 'ccc_jetson.golden' is missing or damaged" in capsys.readouterr().err


def test_maxunpool_is_named_with_its_nodes_and_the_way_out(tmp_path, capsys):
    text = page_of(capsys, written(tmp_path, unpooling_bytes()))
    assert text.count("refuses it: 2 reasons") == 6
    assert (
        "every TensorRT: MaxUnpool is imported by no version of TensorRT\n  in unpool\n"
        "  -> upsample with Resize or ConvTranspose in its place, and train that" in text
    )


def test_a_model_of_opset_17_is_refused_by_the_boards_of_jetpack_4(tmp_path, capsys):
    node = helper.make_node("LayerNormalization", ["x", "w"], ["y"], "norm")
    data = graph_bytes([node], {"x": [1, 8]}, {"y": [1, 8]}, {"w": np.ones(8, np.float32)}, opset=17, ir_version=9)
    text = page_of(capsys, written(tmp_path, data))
    assert "refuses it: 2 reasons" in lines_with(text, "8.2 ")[0]
    assert "refuses it: 1 reason" in lines_with(text, "8.5 ")[0]
    assert "nothing known against it" in lines_with(text, "8.6 ")[0]
    assert "TensorRT 8.0, 8.2: opset 17 is above the parser's 13" in text
    assert "TensorRT 8.0, 8.2, 8.5: LayerNormalization is imported from TensorRT 8.6 on\n  in norm\n" in text
    assert "note         IR version 9: ONNX Runtime 1.10, the last for Python 3.6, reads up to 8" in text


def test_a_quantised_model_is_refused_by_boards_without_int8(tmp_path, capsys):
    path = written(tmp_path, quantized_bytes())
    text = page_of(capsys, path)
    assert text.count("nothing known against it") == 6
    assert lines_with(text, "8.2 ")[0].endswith("; the hardware of tx2, tx2-nx, nano refuses it")
    assert "weights      none in floating point" in text
    assert "tx2, tx2-nx: Q/DQ ask for INT8 units, which sm_62 does not have: the builder refuses the network" in text
    assert "nano: Q/DQ ask for INT8 units, which sm_53" in text
    assert [row["board"] for row in json_of(capsys, path)["hardware"]] == ["tx2", "tx2-nx", "nano"]


def test_long_lists_of_nodes_are_cut_for_people_and_whole_for_machines(tmp_path, capsys):
    nodes = [helper.make_node("Compress", ["x"], ["y{}".format(i)], "n{}".format(i)) for i in range(9)]
    path = written(tmp_path, graph_bytes(nodes, {"x": [1]}, {}))
    assert "  in n0; n1; n2; n3 and 5 more\n" in page_of(capsys, path)
    (problem,) = json_of(capsys, path)["tensorrt"][0]["problems"]
    assert len(problem["nodes"]) == 9


def test_weights_that_half_precision_cannot_hold_are_named(tmp_path, capsys):
    weight = np.ones((1, 1, 2, 2), np.float32)
    weight[0, 0] = [[70000, 1e-9], [1e-5, 1]]
    weight.view(np.uint32)[0, 0, 1, 1] = 7136  # 1e-41, by its bits: the processor may flush denormals here
    data = graph_bytes([helper.make_node("Conv", ["x", "w"], ["y"])], {"x": [1, 1, 4, 4]}, {}, {"w": weight})
    path = written(tmp_path, data)
    text = page_of(capsys, path)
    assert "largest 70000, smallest 1e-41; 0 zeros, 1 denormals" in text
    assert "as FP16      1 above 65504, 2 become zero, 1 become subnormal" in text
    assert "note         weights beyond FP16's 65504 overflow in an engine of --fp16: w (70000)" in text
    assert json_of(capsys, path)["weights"]["subnormal_in_half"] == 1


def test_unknown_figures_are_said_to_be_unknown(tmp_path, capsys):
    nodes = [helper.make_node("Odd", ["x"], ["y"], domain="some.where"), helper.make_node("Relu", ["y"], ["z"])]
    path = written(tmp_path, graph_bytes(nodes, {"x": ["N", 3]}, {}))
    text = page_of(capsys, path)
    assert "FLOPs        unknown as a whole: shapes are open, or there is no rule, for Relu, some.where.Odd" in text
    assert "note: input 'x' has open sizes (Nx3): an engine needs a profile with their range" in text
    found = json_of(capsys, path)
    assert (found["flops"], found["bytes_moved"]) == (None, None)


def test_operators_within_branches_are_listed(tmp_path, capsys):
    branch = helper.make_graph([helper.make_node("Erf", ["x"], ["y"])], "branch", [], [])
    node = helper.make_node("If", ["c"], ["y"], "if", then_branch=branch, else_branch=branch)
    text = page_of(capsys, written(tmp_path, graph_bytes([node], {"c": (TensorProto.BOOL, [1])}, {})))
    assert "nodes        1; within branches, loops and functions: 2 Erf" in text


def test_weights_in_another_file_are_mentioned_and_not_looked_for(tmp_path, capsys):
    model = tiny_graph(tiny_contract())
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "w")
    external_data_helper.set_external_data(tensor, "../../elsewhere.bin")
    tensor.ClearField("raw_data")
    text = page_of(capsys, written(tmp_path, model.SerializeToString()))
    assert "note         weights in another file are not looked into: w" in text
    assert "note: the data of 1 weights lie in another file, which has to be beside this one" in text
    assert "parameters   431" in text and "weights      323 in 2 tensors" in text


def test_names_cannot_steer_the_terminal(tmp_path, capsys):
    node = helper.make_node("Compress\x1b[2J", ["x"], ["y"], "evil\n\x1b]0;title\x07")
    text = page_of(capsys, written(tmp_path, graph_bytes([node], {"x\x1b": [1]}, {})))
    assert "\x1b" not in text and "\x07" not in text
    assert "evil??]0;title?" in text


def test_the_official_network(official_onnx, capsys):
    text = page_of(capsys, official_onnx)
    assert "contract     CCC2 (c3net): " in text
    assert "golden       4 frames" in text and "weights attached" in text
    assert text.count("nothing known against it") == 6
    report = inspect_onnx(official_onnx)
    assert report.carried.contract.verification["argmax_agreement"] > 0.9999
    assert report.weights.denormals == 0


# What is wrong with a file


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.3, 0.9, 0.9999])
def test_a_truncated_file_is_called_damaged_with_the_cure(tmp_path, capsys, share):
    data = tiny_model_bytes()
    error = error_of(capsys, written(tmp_path, data[: max(1, int(len(data) * share))]))
    assert "not an ONNX file, or a damaged one" in error
    assert "\n  -> copy the file again, or export it again: ccc-export" in error


@pytest.mark.parametrize("name", ["random.onnx", "random.bin", "random.pb"])
def test_random_bytes(tmp_path, capsys, name):
    for seed in range(20):
        data = bytes(random.Random(seed).randrange(256) for _ in range(4096))
        assert "ONNX file" in error_of(capsys, written(tmp_path, b"\x0b" + data, name))


def test_a_web_page_a_picture_an_empty_file_and_an_archive(tmp_path, capsys):
    page = b"<!DOCTYPE html>\n<html><body>404</body></html>"
    error = error_of(capsys, written(tmp_path, page))
    assert "is neither a checkpoint nor an ONNX file but a web page" in error
    assert "a PNG picture" in error_of(capsys, written(tmp_path, b"\x89PNG\r\n\x1a\n"))
    assert "is empty\n  -> copy or download it again" in error_of(capsys, written(tmp_path, b""))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("model/readme.txt", "x")
    error = error_of(capsys, written(tmp_path, archive.getvalue()))
    assert "is a zip archive, but no PyTorch checkpoint" in error and "  -> unpack it" in error


def test_flipped_bytes_never_end_in_a_traceback(tmp_path, capsys):
    seed = 8
    print("seed", seed)
    rng = random.Random(seed)
    data = tiny_model_bytes(golden=0)
    codes = set()
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(4):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        codes.add(main([written(tmp_path, bytes(damaged))]))
    capsys.readouterr()
    assert codes <= {0, 1}


def test_a_missing_file_and_a_folder(tmp_path, capsys):
    assert "No such file" in error_of(capsys, str(tmp_path / "none.onnx"))
    assert "directory" in error_of(capsys, str(tmp_path))


@pytest.mark.parametrize("name", ["model.engine", "model.plan", "model.trt", "model.bin"])
def test_engines_are_known_by_name_or_content(tmp_path, capsys, name):
    path = written(tmp_path, b"ftrt\0\0\0\0", name)
    assert page_of(capsys, path).startswith("file         {}: TensorRT engine, ".format(path))


def test_on_an_old_python_checkpoints_are_sent_to_the_workstation(tmp_path, capsys):
    if sys.version_info >= (3, 10):
        pytest.skip("this Python reads them: tests/export/test_inspect_checkpoint.py")
    error = error_of(capsys, written(tmp_path, b"\x80\x02}q\x00.", "weights.pth"))
    assert error.count("\n") == 1
    assert "is a checkpoint, which is inspected on the workstation with Python 3.10 or newer" in error


def test_nothing_but_the_answer_goes_to_a_pipe(tmp_path):
    path = write_tiny_model(tmp_path / "tiny.onnx")
    code = "import sys; from ccc_jetson.engines.inspect_cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, path, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out.decode("utf-8"))["path"] == path


def test_the_parser_takes_one_file():
    assert build_parser().parse_args(["a.onnx"]).json is False
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args([])
    assert caught.value.code == 2
