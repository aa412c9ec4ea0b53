"""``ccc-inspect`` of a calibration cache: what it is for, what it holds, where it comes from."""

import json
import os

import pytest

from ccc_jetson.calib.provenance import Maker, write_provenance
from ccc_jetson.engines.inspect_cli import main
from ccc_jetson.files import sha256_of
from ccc_jetson.int8_agreement import FrameAgreement
from tests.doubles.calibrations import tiny_cache, tiny_provenance, write_tiny_cache


def page_of(capsys, path, code=0):
    assert main([path]) == code
    captured = capsys.readouterr()
    print(captured.out)
    return captured.out, captured.err


def json_of(capsys, path, code=0):
    capsys.readouterr()
    assert main([path, "--json"]) == code
    return json.loads(capsys.readouterr().out, parse_constant=lambda text: pytest.fail("not JSON: " + text))


@pytest.fixture()
def odd(tmp_path):
    """A cache with rows of every kind."""
    cache = tiny_cache()
    cache = cache._replace(scales=cache.scales + (("dead", 0.0), ("(Unnamed Layer* 3) [Constant]_output", 0.25)))
    return write_tiny_cache(tmp_path / "model.calib", cache)


def test_the_page_says_what_it_is_for_what_it_holds_and_where_it_comes_from(odd, capsys):
    out, err = page_of(capsys, odd)
    assert err == ""
    for line in (
        "file         {}: TensorRT calibration cache, 6 tensors, 0.2 kB".format(odd),
        "sha256       " + sha256_of(odd),
        "for          TensorRT 8.5.2, EntropyCalibration2",
        "largest      40 in logits",
        "smallest     4 in image",
        "zero         1 tensors are taken for always zero: dead",
        "helpers      1 of layers that TensorRT's parser adds, which another version numbers otherwise: "
        "(Unnamed Layer* 3) [Constant]_output",
        "made by      ccc-jetson 0.1.0, off the device with ONNX Runtime 1.31.0",
        "ranges       percentile 99.99 of 200 frames, seed 0, fit stretch",
        "frames       SHA-256 of names and contents " + "0b" * 32,
        "model        SHA-256 " + "0a" * 32,
        "takes        color_order BGR",
        "             mean 70 80 75",
        "             scale 1",
        "agreement    frame0: 98.500% of the pixels keep FP32's class, 99.950% of the decided 90 %, simulated",
        "kept in FP32 1 layers: head",
        "kept in FP16 2 layers: conv, relu",
    ):
        assert line in out.splitlines(), line


def test_what_it_costs_at_worst_is_told(tmp_path, capsys):
    made = tiny_provenance(at_worst=(FrameAgreement("frame0", 0.5, 0.625),))
    out, _ = page_of(capsys, write_tiny_cache(tmp_path / "model.calib", provenance=made))
    assert "at worst     frame0: 50.000% of the pixels keep FP32's class, 62.500% of the decided 90 %" in out


def test_its_provenance_stands_for_the_cache(odd, capsys):
    assert json_of(capsys, odd + ".json") == json_of(capsys, odd)


def test_a_cache_of_the_device_that_was_rewritten_says_so(tmp_path, capsys):
    made = tiny_provenance(
        made_by=Maker("TensorRT", "8.4.1.5"), algorithm="minmax", percentile=None, agreement=None, fp32_layers=(),
        fp16_layers=(), layer_errors=(), rewritten_from="TRT-8401-EntropyCalibration2",
    )  # fmt: skip
    out, _ = page_of(capsys, write_tiny_cache(tmp_path / "model.calib", provenance=made))
    assert "made by      ccc-jetson 0.1.0, on the device with TensorRT 8.4.1.5" in out
    assert "ranges       minmax of 200 frames" in out
    assert "rewritten    its first line was TRT-8401-EntropyCalibration2" in out
    assert "agreement" not in out and "kept in" not in out and "zero " not in out and "helpers" not in out


def test_a_cache_without_provenance_is_no_error(odd, capsys):
    os.unlink(odd + ".json")
    out, _ = page_of(capsys, odd)
    assert "provenance   none ({}.json): pictures and preprocessing unknown".format(odd) in out


def test_a_cache_of_zeros_alone_has_no_largest(tmp_path, capsys):
    cache = tiny_cache()._replace(scales=(("dead", 0.0),))
    out, _ = page_of(capsys, write_tiny_cache(tmp_path / "model.calib", cache))
    assert "largest" not in out and "zero         1 tensors" in out


def test_a_provenance_that_is_anothers_or_damaged_is_shown_and_an_error(odd, capsys):
    write_provenance(odd, tiny_provenance())
    out, err = page_of(capsys, odd, code=1)
    assert "provenance   not this file's, or damaged: {}: has SHA-256".format(odd) in out
    assert "it was changed or damaged after it was made" in err
    with open(odd + ".json", "w") as file:
        file.write("{")
    assert "model.calib.json: the calibration's provenance is damaged" in page_of(capsys, odd, code=1)[1]
    assert "is damaged" in json_of(capsys, odd, code=1)["problem"]


def test_the_same_for_machines(odd, capsys):
    found = json_of(capsys, odd)
    assert found["kind"] == "calibration" and found["schema"] == 1
    assert (found["tensorrt"], found["algorithm"], found["sha256"]) == ("8.5.2", "EntropyCalibration2", sha256_of(odd))
    assert found["bytes"] == os.path.getsize(odd)
    assert found["ranges"][3:5] == [["logits", 40.0], ["dead", 0.0]]
    assert found["zero_scales"] == ["dead"] and found["helper_rows"] == ["(Unnamed Layer* 3) [Constant]_output"]
    assert found["provenance"]["made_by"] == {"runtime": "ONNX Runtime", "version": "1.31.0"}
    assert found["problem"] is None
    os.unlink(odd + ".json")
    assert json_of(capsys, odd)["provenance"] is None


def test_a_damaged_cache_is_told_by_its_line(tmp_path, capsys):
    path = tmp_path / "model.calib"
    path.write_bytes(tiny_cache().to_bytes()[:-3])
    out, err = page_of(capsys, str(path), code=1)
    assert out == "" and "model.calib: line 5, 'logits: " in err


def test_names_that_steer_a_terminal_are_cleaned(tmp_path, capsys):
    cache = tiny_cache()._replace(scales=(("\x1b[31mred", 1.0),))
    out, _ = page_of(capsys, write_tiny_cache(tmp_path / "model.calib", cache))
    assert "127 in ?[31mred" in out
