"""Which layers go to FP32, in what order."""

from ccc_jetson.engines.pinning import errors_by_tensor, pin_sets, tensors_behind
from ccc_jetson.int8_errors import Int8Error
from ccc_jetson.layer_ranges import LayerRange
from ccc_jetson.onnx_file import parse_onnx
from tests.doubles.tiny_model import tiny_contract, tiny_graph


def ranges(*errors):
    return [LayerRange("t{}".format(number), 1.0, error) for number, error in enumerate(errors)]


def test_what_overflows_comes_first_and_alone():
    layers = ranges(0.1, 0.2, 0.3) + [LayerRange("over", 9e4, float("inf")), LayerRange("near", 2e4, 0.001)]
    first, second = list(pin_sets(layers, finite=True))[:2]
    assert first == ("over", "near")
    assert second == ("over", "near", "t2", "t1", "t0")


def test_without_overflow_the_largest_errors_come_first():
    sets = list(pin_sets(ranges(*[number / 1000 for number in range(100)]), finite=True))
    assert [len(each) for each in sets] == [4, 16, 64, 100]
    assert sets[0] == ("t99", "t98", "t97", "t96")


def test_where_values_were_not_finite_the_largest_activations_come_first():
    layers = [LayerRange("exact", 5000.0, 0.0), LayerRange("rough", 1.0, 0.3)] + ranges(*[0.1] * 9)
    assert next(pin_sets(layers, finite=False))[0] == "exact"
    assert next(pin_sets(layers, finite=True))[0] == "rough"


def test_every_set_holds_the_one_before_and_there_are_few():
    layers = ranges(*[0.5] * 100) + [LayerRange("over", 1e5, float("inf"))]
    sets = list(pin_sets(layers, finite=True))
    assert [len(each) for each in sets] == [1, 17, 65, 101]
    for smaller, larger in zip(sets, sets[1:]):
        assert larger[: len(smaller)] == smaller


def test_what_calibration_measured_comes_before_fp16s_errors_and_after_overflow():
    layers = ranges(*[0.1] * 9) + [LayerRange("over", 9e4, float("inf"))]
    errors = {"t3": 0.5, "t7": 0.75, "only": 0.25}
    first, second = list(pin_sets(layers, True, errors))[:2]
    assert first == ("over",)
    assert second[:5] == ("over", "t7", "t3", "only", "t0") and len(set(second)) == len(second) == 11
    assert next(pin_sets([], True, errors)) == ("t7", "t3", "only")
    # of values that were not finite INT8 says nothing
    assert next(pin_sets(layers[:9], False, errors)) == ("t0", "t1", "t2", "t3")


def test_errors_of_layers_become_those_of_tensors_that_enter_the_engine():
    file = parse_onnx(tiny_graph(tiny_contract()).SerializeToString())
    errors = (Int8Error("head", 0.5), Int8Error("relu", 0.25), Int8Error("gone", 0.75))
    assert errors_by_tensor(file, errors, tensors_behind(file, "features")) == {"features": 0.25}
    assert errors_by_tensor(file, errors, tensors_behind(file, "logits")) == {"logits": 0.5, "features": 0.25}


def test_a_small_network_is_not_built_again_with_the_same_layers():
    assert list(pin_sets(ranges(0.1, 0.2), finite=True)) == [("t1", "t0")]


def test_only_what_an_output_is_computed_from_enters_an_engine():
    file = parse_onnx(tiny_graph(tiny_contract()).SerializeToString())
    assert tensors_behind(file, "features") == {"features", "conv", "image", "w"}
    assert "logits" in tensors_behind(file, "class_map") and "class_map" not in tensors_behind(file, "logits")


def test_without_ranges_there_is_nothing_to_pin():
    assert list(pin_sets([], finite=True)) == []
