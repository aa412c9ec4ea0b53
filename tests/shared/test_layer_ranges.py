"""Ranges of layers as they travel: both ways, and damaged."""

import json
import zlib

import pytest

from ccc_jetson.carried import contract_of, embed
from ccc_jetson.errors import ContractError
from ccc_jetson.layer_ranges import (
    METADATA_KEY,
    LayerRange,
    decode_layer_ranges,
    encode_layer_ranges,
    read_layer_ranges,
)
from ccc_jetson.onnx_file import parse_onnx
from tests.doubles.tiny_model import tiny_contract, tiny_graph

LAYERS = (LayerRange("conv", 20.5, 0.0003), LayerRange("logits", 70000.0, float("inf")))
TEXT = '{"format":1,"layers":[["conv",20.5,0.0003],["logits",70000.0,null]]}'


def test_writes_these_bytes_and_reads_them():
    data = encode_layer_ranges(LAYERS)
    assert zlib.decompress(data).decode("ascii") == TEXT
    assert decode_layer_ranges(data, "m.onnx") == LAYERS


def test_they_are_read_from_a_file():
    contract = tiny_contract()
    data = embed(tiny_graph(contract).SerializeToString(), contract, {METADATA_KEY: encode_layer_ranges(LAYERS)})
    found = parse_onnx(data)
    assert read_layer_ranges(contract_of(found, "m.onnx"), found, "m.onnx") == LAYERS


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no zlib",
        zlib.compress(b"no json"),
        zlib.compress(b'{"format": 1}'),
        zlib.compress(b'{"format": 1, "layers": [["a", 1]]}'),
        zlib.compress(b'{"format": 1, "layers": [["a", "b", "c"]]}'),
        zlib.compress(b'["format"]'),
        zlib.compress(b'{"format": 1, "layers": [["a", -1, 0.1]]}'),
        zlib.compress(b'{"format": 1, "layers": [["a", 1, NaN]]}'),
        zlib.compress(b'{"format": 1, "layers": [["a", 1' + b"0" * 400 + b", 0]]}"),
        zlib.compress(b'{"format": 1, "layers": ' + b"[" * 100000),
        zlib.compress(TEXT.encode("ascii"))[:-20],
    ],
)
def test_damaged_bytes_say_export_again(data):
    with pytest.raises(ContractError, match=r"m\.onnx: its layer ranges are damaged") as caught:
        decode_layer_ranges(data, "m.onnx")
    assert "export it again" in caught.value.hint


def test_a_newer_format_says_update():
    data = zlib.compress(json.dumps({"format": 2, "layers": []}).encode("ascii"))
    with pytest.raises(ContractError, match="format 2, this version reads 1"):
        decode_layer_ranges(data, "m.onnx")


def test_a_format_that_steers_a_terminal_is_shown_as_python_writes_it():
    data = zlib.compress(json.dumps({"format": "\x1b[2J" * 100, "layers": []}).encode("ascii"))
    with pytest.raises(ContractError, match=r"have format '\\x1b") as caught:
        decode_layer_ranges(data, "m.onnx")
    assert len(str(caught.value)) < 200


def test_no_more_is_unpacked_than_a_network_can_have():
    with pytest.raises(ContractError, match="damaged"):
        decode_layer_ranges(zlib.compress(b" " * (1 << 23) + TEXT.encode("ascii")), "m.onnx")
