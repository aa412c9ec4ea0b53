"""``ccc-inspect`` on checkpoints, and the graph's cost against the counter that hooks the modules."""

import io
import json

import numpy as np
import pytest
import torch

from ccc_jetson.engines.inspect_cli import main
from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.complexity import count
from ccc_jetson.export.inspect_checkpoint import inspect_checkpoint
from ccc_jetson.export.networks.c3net import C3Net
from ccc_jetson.export.networks.registry import recognise
from ccc_jetson.files import sha256_of
from ccc_jetson.graph_cost import graph_cost
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import parse_onnx
from tests.export.conftest import small_state


def unfolded(module, shape):
    """The module's graph with every BatchNorm in it, as bytes."""
    buffer = io.BytesIO()
    torch.onnx.export(
        module,
        (torch.zeros(shape),),
        buffer,
        dynamo=False,
        opset_version=13,
        training=torch.onnx.TrainingMode.PRESERVE,  # or it would fold them
        do_constant_folding=False,
    )
    return buffer.getvalue()


def assert_counted_alike(module, shape):
    data = unfolded(module, shape)
    graph, hooked = graph_cost(parse_onnx(data), constant_arrays(data)), count(module, shape)
    rows = {row.operator: row for row in graph.by_operator}
    pooled_twice = shape[0] * 3 * shape[2] * shape[3]  # the exporter shares the first pooling, the module repeats it
    assert rows["AveragePool"].nodes == 2
    assert graph.flops + pooled_twice == hooked.flops
    assert graph.macs == hooked.macs
    assert graph.parameters == hooked.parameters


@pytest.mark.filterwarnings("ignore")
def test_a_graph_costs_what_the_hooks_count():
    module = C3Net(20, 1, 2, (2, 3, 4, 5), (8, 16, 32)).eval()
    module.load_state_dict(small_state())  # all different: the exporter keeps one of equal weights
    for shape in ((1, 3, 64, 128), (2, 3, 40, 72)):
        assert_counted_alike(module, shape)


@pytest.mark.filterwarnings("ignore")
def test_the_official_network_costs_what_the_paper_says(shared_data):
    checkpoint = shared_data("C3Net_setting2.pth")
    module = recognise(load_checkpoint(checkpoint).state, checkpoint).module
    assert round(count(module, (1, 3, 512, 1024)).flops / 1e9, 4) == 6.2892
    assert_counted_alike(module, (1, 3, 512, 1024))


def test_a_checkpoint_is_recognised_counted_and_measured(checkpoint, capsys):
    assert main([checkpoint, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["kind"], found["sha256"]) == (1, "checkpoint", sha256_of(checkpoint))
    network = found["network"]
    assert (network["name"], network["title"]) == ("c3net", "C3Net")
    assert network["arguments"] == {
        "classes": 20, "p": 1, "q": 2, "dilations": [2, 3, 4, 5], "channels": [8, 16, 32]
    }  # fmt: skip
    module = C3Net(20, 1, 2, (2, 3, 4, 5), (8, 16, 32))
    assert network["flops"] == count(module, (1, 3, 512, 1024)).flops
    assert network["batch_norms"] == sum(isinstance(each, torch.nn.BatchNorm2d) for each in module.modules())
    floats = [tensor for tensor in small_state().values() if tensor.is_floating_point()]
    assert found["weights"]["values"] == sum(tensor.numel() for tensor in floats)
    assert found["weights"]["largest"] == max(float(tensor.abs().max()) for tensor in floats)
    assert len(found["tensors"]) == len(small_state())


def test_the_page_shows_the_same(checkpoint, capsys):
    assert main([checkpoint]) == 0
    text = capsys.readouterr().out
    assert "network      C3Net (c3net): classes 20, p 1, q 2, dilations 2 3 4 5, channels 8 16 32" in text
    assert "by the paper's Table 5" in text and "\nlargest in" in text


def test_denormals_and_weights_beyond_half_are_counted(tmp_path, capsys):
    state = small_state()
    # by its bits: an export before this test may have told the processor to flush denormals
    denormal = np.array([71362], np.uint32).view(np.float32)  # 1e-40
    state["encoder.b1.bn.weight"][:3] = torch.from_numpy(np.append(denormal, np.array([70000, 1e-9], np.float32)))
    torch.save(state, str(tmp_path / "odd.pth"))
    found = inspect_checkpoint(str(tmp_path / "odd.pth")).weights
    assert (found.denormals, found.above_half, found.largest) == (1, 1, 70000.0)
    assert found.zero_in_half >= 2
    assert main([str(tmp_path / "odd.pth")]) == 0
    assert "1 above 65504" in capsys.readouterr().out


def test_an_unknown_network_is_said_to_be_one(tmp_path, capsys):
    path = str(tmp_path / "other.pth")
    torch.save({"layer.weight": torch.ones(2, 3)}, path)
    assert main([path]) == 0
    text = capsys.readouterr().out
    assert "network      no known network" in text and "nearest: " in text
    assert "missing:" not in text and "ccc-export lists every difference" in text
    assert "layer.weight  float32  2x3            1" in text


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_truncated_checkpoint_is_an_error_with_its_cure(checkpoint, tmp_path, capsys, share):
    with open(checkpoint, "rb") as file:
        data = file.read()
    path = tmp_path / "cut.pth"
    path.write_bytes(data[: int(len(data) * share)])
    assert main([str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    assert (
        "ccc-inspect: error: {}: ".format(path) in captured.err and "\n  -> copy or download it again" in captured.err
    )


def test_a_web_page_and_code_are_refused(tmp_path, capsys):
    page = tmp_path / "page.pth"
    page.write_text("<!DOCTYPE html><html></html>")
    assert main([str(page)]) == 1
    assert "web page" in capsys.readouterr().err
    torch.save({"a": print}, str(tmp_path / "code.pth"))
    assert main([str(tmp_path / "code.pth")]) == 1
    assert "would run code from the file" in capsys.readouterr().err


def test_the_official_checkpoint(shared_data, capsys):
    assert main([shared_data("C3Net_setting2.pth")]) == 0
    text = capsys.readouterr().out
    assert "CCC2 (c3net): classes 20, p 2, q 8, dilations 2 3 7 13" in text
    assert "parameters   191,614, 125 BatchNorms" in text
    assert "6.2892 G at 1024x512" in text
    assert "published    mIoU % 61.96" in text
    assert "927 denormals" in text
