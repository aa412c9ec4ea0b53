"""``ccc-inspect`` of a Q/DQ model: what is in INT8, what that costs, and where the ranges come from."""

import base64
import json

import onnx
import pytest

from ccc_jetson.calib.provenance import attachments_of, provenance_in, read_provenance
from ccc_jetson.carried import contract_of, embed
from ccc_jetson.contract import Attachment
from ccc_jetson.engines.inspect_cli import main
from ccc_jetson.errors import FileProblem
from ccc_jetson.onnx_file import parse_onnx
from tests.doubles.calibrations import tiny_provenance, write_tiny_cache
from tests.doubles.tiny_model import tiny_contract, tiny_graph, write_tiny_model


def qdq_bytes(provenance=None, more=None):
    """A model with one pair, as ``ccc-calibrate --qdq`` attaches what it knows; ``more`` replaces attachments."""
    contract = tiny_contract(target="xavier")._replace(head=None)
    attached = {} if provenance is None else attachments_of(provenance)
    attached.update(more or {})
    return embed(tiny_graph(contract, quantized=True).SerializeToString(), contract, attached)


def written(tmp_path, data):
    path = tmp_path / "model.int8.onnx"
    path.write_bytes(data)
    return str(path)


def page_of(capsys, path, code=0):
    assert main([path]) == code
    found = capsys.readouterr()
    print(found.out)
    return found.out.splitlines(), found.err


def json_of(capsys, path, code=0):
    capsys.readouterr()
    assert main([path, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_the_page_says_what_is_in_int8_what_it_costs_and_where_the_ranges_come_from(tmp_path, capsys):
    lines, err = page_of(capsys, written(tmp_path, qdq_bytes(tiny_provenance())))
    assert err == ""
    start = lines.index(
        "precision    INT8 by 1 pairs of QuantizeLinear and DequantizeLinear: 1 of 2 convolutions; the rest in floats"
    )
    assert lines[start + 1 : start + 11] == [
        "INT8 costs   frame0: 98.500% of the pixels keep FP32's class, 99.950% of the decided 90 %, simulated",
        "             frame1: 97.000% of the pixels keep FP32's class, 99.900% of the decided 90 %, simulated",
        "             relative errors in INT8: 0.25 in Conv_7, 0.12 in Conv_3",
        "ranges       percentile 99.99 of 200 frames, seed 0, fit stretch",
        "             by ccc-jetson 0.1.0, off the device with ONNX Runtime 1.31.0",
        "             frames: SHA-256 of names and contents " + "0b" * 32,
        "             made of the float model with SHA-256 " + "0a" * 32,
        "             and of its contract with SHA-256 " + tiny_provenance().contract_sha256,
        "kept in FP32 1 layers: head",
        "kept in FP16 2 layers: conv, relu",
    ]
    assert "for          xavier, in INT8 and fp32" in lines


def test_the_same_for_machines(tmp_path, capsys):
    made = tiny_provenance()
    found = json_of(capsys, written(tmp_path, qdq_bytes(made)))["int8"]
    assert (found["pairs"], found["in_int8"], found["convolutions"]) == (1, 1, 2)
    assert found["agreement"][0] == {"name": "frame0", "agreement": 0.985, "decided": 0.9995}
    assert found["layer_errors"][0] == {"layer": "Conv_7", "error": 0.25}
    record = found["provenance"]
    assert (record["images_sha256"], record["samples"], record["cache_sha256"]) == ("0b" * 32, 200, None)
    assert record["agreement"] == found["agreement"] and record["layer_errors"] == found["layer_errors"]


def test_what_is_read_from_a_model_is_what_was_attached():
    for made in (tiny_provenance(cache_sha256=None), tiny_provenance(cache_sha256=None, agreement=None)):
        file = parse_onnx(qdq_bytes(made))
        assert provenance_in(contract_of(file, "m.onnx"), file, "m.onnx") == made


def test_a_float_model_says_nothing_of_int8(tmp_path, capsys):
    path = write_tiny_model(tmp_path / "model.onnx", target="xavier")
    lines, _ = page_of(capsys, path)
    assert "for          xavier, in fp32" in lines and not any("INT8 by" in line for line in lines)
    assert json_of(capsys, path)["int8"] is None


@pytest.mark.parametrize("with_contract", [False, True])
def test_a_qdq_model_of_another_tool_has_no_provenance(tmp_path, capsys, with_contract):
    data = qdq_bytes() if with_contract else tiny_graph(tiny_contract(), quantized=True).SerializeToString()
    path = written(tmp_path, data)
    lines, err = page_of(capsys, path)
    assert "ranges       nothing says where they come from: no provenance in the file" in lines and err == ""
    assert json_of(capsys, path)["int8"]["provenance"] is None


def test_a_damaged_provenance_is_told_and_an_error(tmp_path, capsys):
    path = written(tmp_path, qdq_bytes(tiny_provenance(), {"ccc_jetson.int8_provenance": b"{}"}))
    lines, err = page_of(capsys, path, code=1)
    (line,) = [line for line in lines if line.startswith("ranges ")]
    assert "damaged: {}: the calibration's provenance is damaged".format(path) in line
    assert "-> calibrate again" in err
    assert json_of(capsys, path, code=1)["int8"]["provenance"] is None


@pytest.mark.parametrize("key", ["ccc_jetson.int8", "ccc_jetson.int8_errors"])
def test_damaged_costs_are_told_and_nothing_is_said_of_where_ranges_come_from(tmp_path, capsys, key):
    path = written(tmp_path, qdq_bytes(tiny_provenance(), {key: b"{}"}))
    lines, err = page_of(capsys, path, code=1)
    assert "is damaged" in err and not any(line.startswith("ranges ") for line in lines)


def test_an_attachment_that_was_changed_is_noticed_by_its_sum(tmp_path, capsys):
    model = onnx.load_model_from_string(qdq_bytes(tiny_provenance()))
    for entry in model.metadata_props:
        if entry.key == "ccc_jetson.int8_provenance":
            text = base64.b64decode(entry.value).replace(b'"samples": 200', b'"samples": 500')
            entry.value = base64.b64encode(text).decode("ascii")
    path = written(tmp_path, model.SerializeToString())
    assert "the attachment 'ccc_jetson.int8_provenance' is missing or damaged" in page_of(capsys, path, code=1)[1]


def test_the_provenance_of_a_model_is_none_of_a_cache(tmp_path):
    path = write_tiny_cache(tmp_path / "model.calib", provenance=tiny_provenance(cache_sha256=None))
    with pytest.raises(FileProblem, match=r"model\.calib\.json: is the provenance of a Q/DQ model, not of a cache"):
        read_provenance(path)


def test_a_manifest_names_the_provenance_by_its_sum(board, capsys):
    with open(board.model, "wb") as file:
        file.write(qdq_bytes(tiny_provenance()))
    board.be("8.5.2.2", sm="7.2", device="Xavier")
    assert board.build("--int8", "--no-gate")[0] == 0
    contract = contract_of(parse_onnx(qdq_bytes(tiny_provenance())), "m.onnx")
    noted = contract.attachments["ccc_jetson.int8_provenance"]
    assert isinstance(noted, Attachment)
    lines, _ = page_of(capsys, board.engine)
    assert "calibration  in the model; its provenance there has SHA-256 " + noted.sha256 in lines
    assert "for          xavier, in INT8 and fp32" in lines
