"""A network is run piece by piece: every activation is seen, and few are held."""

import tracemalloc

import numpy as np
import pytest
from onnx import TensorProto, helper

from ccc_jetson.calib.segments import Segments
from ccc_jetson.errors import BackendError
from ccc_jetson.onnx_file import with_extra_outputs
from ccc_jetson.ort import cpu_session
from tests.doubles.graphs import graph_bytes
from tests.doubles.quantisable import images, quantisable_bytes
from tests.doubles.tiny_model import tiny_model_bytes


@pytest.mark.parametrize("segment_bytes", [1, 30_000, 1 << 30])
def test_every_activation_is_what_one_run_of_the_whole_gives(segment_bytes):
    model, (image,) = quantisable_bytes(), images(1)
    segments = Segments(model, 1, segment_bytes)
    found = dict(segments.run(image))
    assert tuple(found) == segments.floats
    names = ["first", "act", "depthwise", "second", "sum", "grouped", "grouped up", "up", "head"]
    assert list(found) == ["image", *names]
    expected = cpu_session(with_extra_outputs(model, names[:-1]), "whole", 1).run(names, {"image": image})
    for name, array in zip(names, expected, strict=True):
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)


def test_pieces_are_as_large_as_asked_but_for_tensors_that_are_larger():
    model = quantisable_bytes()
    assert [len(Segments(model, 1, size)) for size in (1, 1 << 30)] == [9, 1]
    assert 1 < len(Segments(model, 1, 30_000)) < 9


def test_class_maps_have_no_range():
    assert Segments(tiny_model_bytes(), 1).floats == ("image", "conv", "features", "logits")


def chain(length):
    nodes = [helper.make_node("Neg", [f"t{index}"], [f"t{index + 1}"], f"n{index}") for index in range(length)]
    return graph_bytes(nodes, {"t0": [1, 4, 256, 256]}, {f"t{length}": [1, 4, 256, 256]})


def test_memory_grows_neither_with_the_depth_nor_with_the_frames():
    tensor = 4 * 4 * 256 * 256
    image = np.ones((1, 4, 256, 256), np.float32)
    peaks = []
    for length, frames in ((8, 1), (32, 1), (32, 4)):
        segments = Segments(chain(length), 1, 2 * tensor)
        tracemalloc.start()  # sees numpy's copies of what ONNX Runtime gives
        for _ in range(frames):
            assert sum(1 for _ in segments.run(image)) == length + 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    print("peaks: {} bytes; a tensor has {}".format(peaks, tensor))
    assert max(peaks) - min(peaks) < tensor


def test_what_later_pieces_read_is_kept_until_then_and_no_longer():
    nodes = [
        helper.make_node("Neg", ["x"], ["a"], "a"),
        helper.make_node("Neg", ["a"], ["b"], "b"),
        helper.make_node("Neg", ["b"], ["c"], "c"),
        helper.make_node("Add", ["c", "x"], ["d"], "d"),
    ]
    model = graph_bytes(nodes, {"x": [1, 2, 4, 4]}, {"d": [1, 2, 4, 4]})
    found = dict(Segments(model, 1, 1).run(np.ones((1, 2, 4, 4), np.float32)))
    assert (found["d"] == 0).all() and (found["c"] == -1).all()


def test_a_shape_that_is_not_known_is_an_error_with_the_tensor():
    node = helper.make_node("Neg", ["x"], ["y"], "n")
    model = graph_bytes([node], {"x": (TensorProto.FLOAT, ["N", 3])}, {"y": (TensorProto.FLOAT, ["N", 3])})
    with pytest.raises(BackendError, match="the shape of tensor 'y' is not known") as caught:
        Segments(model)
    assert "ccc-export" in caught.value.hint
