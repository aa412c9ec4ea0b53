"""A network is run piece by piece: every activation is seen, and few are held."""

import os
import subprocess
import sys

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
    found = {name: array.copy() for name, array in segments.run(image)}
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


MEASURED = """
import sys
import numpy as np
from ccc_jetson.calib.segments import Segments

with open(sys.argv[1], "rb") as file:
    segments = Segments(file.read(), 1, 1 << 24)
for _ in range(int(sys.argv[2])):
    seen = sum(array.nbytes for _, array in segments.run(np.ones((1, 8, 512, 512), np.float32)))
with open("/proc/self/status", encoding="utf-8") as file:  # getrusage counts what the parent had, too
    print(seen, *(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM")))
"""


def peak_of(folder, nodes, frames):
    """(bytes of all activations, most memory that a process of its own had) for a chain of tensors of 8 MiB."""
    chain = [helper.make_node("Neg", [f"t{index}"], [f"t{index + 1}"], f"n{index}") for index in range(nodes)]
    shape = [1, 8, 512, 512]
    path = folder / "chain.onnx"
    path.write_bytes(graph_bytes(chain, {"t0": shape}, {f"t{nodes}": shape}))
    command = [sys.executable, "-c", MEASURED, str(path), str(frames)]
    return tuple(int(part) for part in subprocess.check_output(command).split())


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="tells a process's memory, on Linux alone")
def test_memory_grows_neither_with_the_depth_nor_with_the_frames(tmp_path):
    (_, short), (seen, deep), (_, longer) = (peak_of(tmp_path, *case) for case in ((8, 1), (64, 1), (64, 4)))
    print(f"8 tensors {short >> 20} MiB, 64 of them ({seen >> 20} MiB) {deep >> 20}, four frames {longer >> 20}")
    assert seen > 500 << 20
    assert deep - short < 64 << 20 and longer - deep < 32 << 20


def test_what_later_pieces_read_is_kept_until_then_and_no_longer():
    nodes = [
        helper.make_node("Neg", ["x"], ["a"], "a"),
        helper.make_node("Neg", ["a"], ["b"], "b"),
        helper.make_node("Neg", ["b"], ["c"], "c"),
        helper.make_node("Add", ["c", "x"], ["d"], "d"),
    ]
    model = graph_bytes(nodes, {"x": [1, 2, 4, 4]}, {"d": [1, 2, 4, 4]})
    image = np.ones((1, 2, 4, 4), np.float32)
    found = {name: array.copy() for name, array in Segments(model, 1, 1).run(image)}
    assert (found["d"] == 0).all() and (found["c"] == -1).all()


def test_a_shape_that_is_not_known_is_an_error_with_the_tensor():
    node = helper.make_node("Neg", ["x"], ["y"], "n")
    model = graph_bytes([node], {"x": (TensorProto.FLOAT, ["N", 3])}, {"y": (TensorProto.FLOAT, ["N", 3])})
    with pytest.raises(BackendError, match="the shape of tensor 'y' is not known") as caught:
        Segments(model)
    assert "ccc-export" in caught.value.hint
