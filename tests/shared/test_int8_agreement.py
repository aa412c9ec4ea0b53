"""What INT8 leaves of the golden frames: its bytes, what an engine must keep, and damage."""

import pytest

from ccc_jetson.errors import ContractError
from ccc_jetson.int8_agreement import FrameAgreement, decode_agreement, encode_agreement, required_of

FRAMES = (FrameAgreement("street", 0.75, 0.875), FrameAgreement("dark", 0.01, 0.015625))
BYTES = b'[{"agreement":0.75,"decided":0.875,"name":"street"},{"agreement":0.01,"decided":0.015625,"name":"dark"}]'


def test_golden_bytes():
    assert encode_agreement(FRAMES) == BYTES
    assert decode_agreement(BYTES, "m") == FRAMES


def test_an_engine_may_lose_two_points_more_and_never_less_than_nothing():
    (first, second) = required_of(FRAMES)
    assert first == ("street", pytest.approx(0.855))
    assert second == ("dark", 0.0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "what INT8 costs is damaged"),
        (b"{}", "expected a list"),
        (BYTES[:-1], "what INT8 costs is damaged"),
        (BYTES.replace(b"0.875", b"1.5"), "[0].decided is 1.5"),
        (BYTES.replace(b'"name":"dark"', b'"name":3'), "[1].name is 3"),
        (BYTES.replace(b'"name"', b'"title"'), "lacks name"),
    ],
)
def test_damage_is_named(data, says):
    with pytest.raises(ContractError) as caught:
        decode_agreement(data, "m.onnx")
    assert says in str(caught.value) and str(caught.value).startswith("m.onnx: ")
