"""What is known of a cache is written beside it, checked field by field, and compared before the cache is trusted."""

import json
import os

import pytest

from ccc_jetson.calib.provenance import (
    Maker,
    Provenance,
    check_provenance,
    contract_sha256_of,
    provenance_path,
    read_checked_cache,
    read_provenance,
    write_provenance,
)
from ccc_jetson.errors import ContractError, FileProblem
from ccc_jetson.int8_agreement import FrameAgreement
from tests.doubles.calibrations import tiny_cache, tiny_provenance, write_tiny_cache
from tests.doubles.tiny_model import tiny_contract

ENTROPY = {"algorithm": "entropy2", "percentile": None}
DEVICE = dict(
    ENTROPY, made_by=Maker("TensorRT", "8.5.2.2"), agreement=None, layer_errors=(), fp32_layers=(), fp16_layers=()
)


@pytest.mark.parametrize(
    "provenance",
    [
        tiny_provenance(),
        tiny_provenance(**DEVICE),
        tiny_provenance(at_worst=(FrameAgreement("frame0", 0.5, 0.625),)),
        tiny_provenance(agreement=(), rewritten_from="TRT-8600-EntropyCalibration2", seed=1 << 63, fit="letterbox"),
    ],
)
def test_it_comes_back_as_it_was_written(provenance):
    text = provenance.to_json()
    assert Provenance.from_json(text) == provenance
    assert Provenance.from_json(text.encode()).to_json() == text


def test_only_tensorrts_own_is_of_the_device():
    assert tiny_provenance(**DEVICE).made_by.on_device
    assert not tiny_provenance().made_by.on_device


def changed(path, value):
    """The JSON of a provenance with another value at a path of keys; a value of ``...`` takes the last key away."""
    record = json.loads(tiny_provenance().to_json())
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(record)


@pytest.mark.parametrize(
    "path, value, message",
    [
        (("schema",), 3, "has schema 3, this version reads up to 2"),
        (("schema",), 1, "has schema 1, this version reads schema 2"),
        (("schema",), ..., "schema is None, expected a number from 1"),
        (("tool",), 1, "tool is 1, expected text"),
        (("tool",), ..., "lacks tool"),
        (("more",), 1, "has unknown more"),
        (("made_by", "runtime"), "PyTorch", "made_by.runtime is 'PyTorch', expected one of TensorRT, ONNX Runtime"),
        (("made_by", "version"), 8, "made_by.version is 8"),
        (("made_by",), "TensorRT", "made_by is 'TensorRT', expected an object"),
        (("contract_sha256",), "0b", "contract_sha256 is '0b', expected 64 hexadecimal digits"),
        (("onnx_sha256",), None, "onnx_sha256 is None"),
        (("images_sha256",), "X" * 64, "images_sha256 is"),
        (("cache_sha256",), 1, "cache_sha256 is 1"),
        (("preprocessing",), [], "preprocessing is .*, expected an object"),
        (("preprocessing", "scale"), 1e40, "preprocessing.scale is 1e.40, expected a number"),
        (("fit",), "zoom", "fit is 'zoom', expected one of stretch, crop, letterbox"),
        (("algorithm",), "kl", "algorithm is 'kl', expected one of entropy2, entropy, minmax, percentile"),
        (("algorithm",), "minmax", "percentile is 99.99, expected null, because the algorithm is minmax"),
        (("percentile",), None, "percentile is None, expected a number, because the algorithm is percentile"),
        (("percentile",), 5, "percentile is 5, expected a number from 50 to 100"),
        (("samples",), 0, "samples is 0, expected a whole number from 1"),
        (("seed",), -1, "seed is -1"),
        (("rewritten_from",), None, "rewritten_from is None, expected text"),
        (("agreement",), {}, "agreement is {}, expected a list"),
        (("agreement", 0, "agreement"), 1.5, r"agreement\[0\].agreement is 1.5, expected a number from 0 to 1"),
        (("agreement", 1, "decided"), "1", r"agreement\[1\].decided is '1'"),
        (("at_worst",), {}, "at_worst is {}, expected a list"),
        (("agreement", 1, "name"), ..., r"agreement\[1\] lacks name"),
        (("fp32_layers",), "head", "fp32_layers is 'head', expected a list"),
        (("fp16_layers", 0), 3, r"fp16_layers\[0\] is 3, expected text"),
        (("layer_errors",), None, "layer_errors is None, expected a list"),
        (("layer_errors", 0, "error"), -1, r"layer_errors\[0\].error is -1, expected a number from 0"),
        (("layer_errors", 1, "layer"), ..., r"layer_errors\[1\] lacks layer"),
        (("fp16_layers", 0), "head", "'head' stands in fp32_layers and in fp16_layers"),
    ],
)
def test_damage_is_refused_with_the_field(path, value, message):
    with pytest.raises(FileProblem, match="^model.calib.json: .*" + message) as caught:
        Provenance.from_json(changed(path, value), "model.calib.json")
    assert "calibrate again" in caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"schema": 1, "schema": 1}', "\ufeff{}", "TRT-8201-"])
def test_what_is_no_record_is_refused(text):
    with pytest.raises(FileProblem):
        Provenance.from_json(text)


# beside the cache


def test_it_lies_beside_the_cache_even_where_that_is_a_link(tmp_path):
    cache = tmp_path / "model.calib"
    assert read_provenance(write_tiny_cache(cache)) == tiny_provenance()
    assert sorted(os.listdir(str(tmp_path))) == ["model.calib", "model.calib.json"]
    os.symlink(str(cache), str(tmp_path / "link"))
    assert provenance_path(str(tmp_path / "link")) == str(cache) + ".json"


def test_where_there_is_none_that_is_a_note(tmp_path):
    path = write_tiny_cache(tmp_path / "model.calib")
    os.unlink(path + ".json")
    found = read_checked_cache(path, tiny_contract())
    assert found.provenance is None
    (note,) = found.notes
    assert "model.calib: has no provenance (model.calib.json)" in note


def test_a_file_too_large_is_not_read(tmp_path):
    path = write_tiny_cache(tmp_path / "model.calib")
    with open(path + ".json", "wb") as file:
        file.truncate(1 << 34)
    with pytest.raises(FileProblem, match="bytes, which no provenance has"):
        read_provenance(path)


# before the cache is trusted


def test_a_cache_of_this_model_passes_without_a_note(tmp_path):
    path = write_tiny_cache(tmp_path / "model.calib")
    found = read_checked_cache(path, tiny_contract(), "0a" * 32)
    assert (found.notes, found.cache, found.provenance) == ((), tiny_cache(), tiny_provenance())
    assert found.data == tiny_cache().to_bytes()


def test_a_cache_whose_bytes_changed_is_refused_with_both_sums(tmp_path):
    path = write_tiny_cache(tmp_path / "model.calib")
    with open(path, "wb") as file:
        file.write(tiny_cache().to_bytes().replace(b"8502", b"8601"))
    with pytest.raises(FileProblem, match=r"has SHA-256 [0-9a-f]{64}, its provenance says [0-9a-f]{64}") as caught:
        read_checked_cache(path, tiny_contract())
    assert "remove {}.json".format(path) in caught.value.hint


@pytest.mark.parametrize(
    "change, message",
    [
        ({"color_order": "RGB"}, "preprocessing.color_order 'RGB', expected 'BGR' as in the model's contract"),
        ({"scale": 0.25}, "preprocessing.scale 0.25, expected 1.0"),
        ({"mean": [70.0, 80.0, 75.5]}, r"preprocessing.mean \[70.0, 80.0, 75.5\], expected \[70.0, 80.0, 75.0\]"),
        ({"resize": "area"}, "preprocessing.resize 'area', expected None"),
    ],
)
def test_a_cache_of_another_preprocessing_is_refused_with_the_field(change, message):
    record = dict(tiny_provenance().preprocessing, **change)
    with pytest.raises(ContractError, match="^the calibration cache: was calibrated with " + message) as caught:
        check_provenance(tiny_provenance(preprocessing=record), tiny_contract(), tiny_cache().to_bytes())
    assert "--calib IMAGES" in caught.value.hint


def test_a_field_that_the_provenance_lacks_is_another_preprocessing():
    record = tiny_provenance().preprocessing
    del record["scale"]
    with pytest.raises(ContractError, match=r"preprocessing\.scale None, expected 1.0"):
        check_provenance(tiny_provenance(preprocessing=record), tiny_contract(), tiny_cache().to_bytes())


def test_another_export_with_the_same_preprocessing_is_a_note():
    data = tiny_cache().to_bytes()
    assert check_provenance(tiny_provenance(), tiny_contract(), data) == []
    for found in (
        check_provenance(tiny_provenance(), tiny_contract(width=128), data, "model.calib"),
        check_provenance(tiny_provenance(), tiny_contract(), data, "model.calib", "0c" * 32),
    ):
        assert len(found) == 1 and found[0].startswith("model.calib: was calibrated on another export of the network")


def test_warnings_of_the_cache_are_notes(tmp_path):
    cache = tiny_cache()
    cache = cache._replace(scales=cache.scales + (("dead", 0.0),))
    path = write_tiny_cache(tmp_path / "model.calib", cache)
    (note,) = read_checked_cache(path, tiny_contract()).notes
    assert "model.calib: a scale of 0" in note and "dead" in note


def test_the_contracts_sum_is_of_its_canonical_json():
    first, second = contract_sha256_of(tiny_contract()), contract_sha256_of(tiny_contract(classes=18))
    assert len(first) == 64 and first != second


def test_writing_is_whole_or_not_at_all(tmp_path):
    with pytest.raises(FileProblem):
        write_provenance(str(tmp_path / "none" / "model.calib"), tiny_provenance())
