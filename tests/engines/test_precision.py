"""What was asked for, against what the hardware has."""

import pytest

from ccc_jetson.engines.job import Facts
from ccc_jetson.engines.precision import choose_precisions, has_fp16, has_int8, version_of
from ccc_jetson.errors import BuildError, UsageError


def facts(sm="6.2", fp16=None, int8=None, flags=True, device="NVIDIA Tegra X2", tensorrt="8.2.1.8"):
    return Facts(tensorrt, "10.2", device, sm, True, 1 << 32, fp16, int8, flags)


TX2 = facts(fp16=True, int8=False)
XAVIER = facts("7.2", True, True, device="Xavier")


def choose(asked=(), on=TX2, typed=False, quantized=False, calibrated=False, force=False):
    return choose_precisions(asked, on, typed, quantized, calibrated, force)


def test_the_default_is_fp16_where_it_is_fast_and_says_so():
    assert choose() == (("fp16",), ("FP16: this hardware's default",))
    assert choose(on=facts("6.1", False, True)).precisions == ()


def test_fp32_allows_nothing_else():
    assert choose(["fp32"]).precisions == ()
    with pytest.raises(UsageError, match="goes with no other precision"):
        choose(["fp32", "fp16"])


def test_int8_is_refused_on_sm62_with_the_reason_and_the_alternative():
    with pytest.raises(BuildError) as caught:
        choose(["int8"], calibrated=True)
    assert "NVIDIA Tegra X2 (sm_62) has no INT8 units (no DP4A instruction)" in str(caught.value)
    assert "--fp16" in caught.value.hint and "Xavier and Orin" in caught.value.hint


def test_int8_on_sm62_can_be_forced_and_is_noted():
    found = choose(["int8"], calibrated=True, force=True)
    assert found.precisions == ("int8",)
    assert "forced" in found.notes[0]


def test_a_qdq_model_is_refused_without_int8_units_even_if_forced():
    for force in (False, True):
        with pytest.raises(BuildError, match="QuantizeLinear and DequantizeLinear nodes need INT8 units") as caught:
            choose(quantized=True, force=force)
        assert "ccc-export" in caught.value.hint


def test_a_qdq_model_asks_for_int8_by_itself():
    found = choose(["fp16"], on=XAVIER, quantized=True)
    assert found.precisions == ("fp16", "int8")
    assert "ask for it" in found.notes[0]


def test_int8_without_ranges_is_refused():
    with pytest.raises(UsageError, match="would make them up") as caught:
        choose(["int8"], on=XAVIER)
    assert "--calib" in caught.value.hint
    assert choose(["int8"], on=XAVIER, calibrated=True).precisions == ("int8",)


def test_int8_alone_is_told_that_fp32_is_between():
    assert "--int8 --fp16" in choose(["int8"], on=XAVIER, calibrated=True).notes[0]
    assert choose(["int8", "fp16"], on=XAVIER, calibrated=True).notes == ()
    assert choose(["int8"], on=facts("6.1", False, True), calibrated=True).notes == ()  # its FP16 is no faster


def test_best_is_every_precision_that_the_hardware_has():
    assert choose(["best"]).precisions == ("fp16",)
    assert choose(["best"], on=XAVIER, calibrated=True).precisions == ("fp16", "int8")
    assert choose(["best"], on=facts("6.1", False, False)) == ((), ("--best: FP32 alone",))


def test_best_says_when_int8_lacks_its_ranges():
    found = choose(["best"], on=XAVIER)
    assert found.precisions == ("fp16",)
    assert found.notes[0] == "INT8 is left out: it takes --calib FILE|IMAGES"


def test_fp16_without_fast_units_has_to_be_forced():
    slow = facts("6.1", False, True, device="GeForce GTX 1080")
    with pytest.raises(BuildError, match=r"GeForce GTX 1080 \(sm_61\) computes in FP16 no faster") as caught:
        choose(["fp16"], on=slow)
    assert "--fp32" in caught.value.hint
    assert choose(["fp16"], on=slow, force=True).precisions == ("fp16",)


def test_a_typed_model_is_built_in_its_own_types():
    assert choose(typed=True).precisions == ("fp16",)
    assert choose(["fp16"], typed=True).precisions == ("fp16",)
    for asked in ("fp32", "int8"):
        with pytest.raises(UsageError, match="states its own types"):
            choose([asked], typed=True)


def test_without_precision_flags_fp16_needs_a_typed_model():
    eleven = facts("8.9", flags=False, tensorrt="11.0.0.114")
    with pytest.raises(BuildError, match=r"TensorRT 11\.0\.0\.114 takes the types that the model states") as caught:
        choose(["fp16"], on=eleven)
    assert "ccc-export CHECKPOINT MODEL.onnx --target orin --fp16" in caught.value.hint
    with pytest.raises(BuildError, match="--int8"):
        choose(["int8"], on=eleven)
    found = choose(on=eleven)
    assert found.precisions == () and "--fp16 writes one in FP16" in found.notes[0]
    assert choose(["int8"], on=eleven, quantized=True).precisions == ("int8",)


@pytest.mark.parametrize(
    "sm, half, int8",
    [
        ("5.2", 0, 0),
        ("5.3", 1, 0),
        ("6.0", 1, 0),
        ("6.1", 0, 1),
        ("6.2", 1, 0),
        ("7.0", 1, 1),
        ("7.2", 1, 1),
        ("8.7", 1, 1),
    ],
)
def test_where_tensorrt_cannot_say_the_compute_capability_tells(sm, half, int8):
    assert (has_fp16(facts(sm)), has_int8(facts(sm))) == (bool(half), bool(int8))


def test_what_the_hardware_answers_counts_more_than_the_table():
    assert not has_fp16(facts("6.2", fp16=False))
    assert has_int8(facts("6.2", int8=True))


def test_versions_are_read_as_far_as_they_are_numbers():
    assert [version_of(text) for text in ("8.2.1.8", "10", "", "8.x")] == [(8, 2), (10, 0), (0, 0), (8, 0)]
