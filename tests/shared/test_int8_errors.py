"""What INT8 costs single layers: as many as travel, their bytes, and damage."""

import pytest

from ccc_jetson.errors import ContractError
from ccc_jetson.int8_errors import MOST_LAYERS, Int8Error, decode_errors, encode_errors, worst_layers

ERRORS = (Int8Error("conv/one", 0.5), Int8Error("conv", 0.0123))
BYTES = b'[{"error":0.5,"layer":"conv/one"},{"error":0.0123,"layer":"conv"}]'


def test_golden_bytes():
    assert encode_errors(ERRORS) == BYTES
    assert decode_errors(BYTES, "m") == ERRORS


def test_the_worst_travel_the_largest_first_to_four_digits():
    assert worst_layers([("conv", 0.01230004), ("conv/one", 0.5)]) == ERRORS
    many = worst_layers(("conv{}".format(number), number) for number in range(1000))
    assert len(many) == MOST_LAYERS and many[0] == ("conv999", 999.0)
    assert decode_errors(encode_errors(many), "m") == many


def test_an_error_without_end_can_be_written_and_read():
    (found,) = worst_layers([("conv", float("inf"))])
    assert decode_errors(encode_errors((found,)), "m") == (found,)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "what INT8 costs its layers is damaged"),
        (b"{}", "expected a list"),
        (BYTES.replace(b"0.5", b"-0.5"), "[0].error is -0.5"),
        (BYTES.replace(b"0.5", b"NaN"), "[0].error is nan"),
        (BYTES.replace(b'"conv"', b"3"), "[1].layer is 3"),
        (BYTES.replace(b'"layer"', b'"node"'), "lacks layer"),
        (b"[" + b",".join([BYTES[1:-1]] * MOST_LAYERS) + b"]", "has 128 layers, expected 64 at most"),
    ],
)
def test_damage_is_named(data, says):
    with pytest.raises(ContractError) as caught:
        decode_errors(data, "m.onnx")
    assert says in str(caught.value) and str(caught.value).startswith("m.onnx: ")
