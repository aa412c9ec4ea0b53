"""Golden frames: the format's bytes, the way there and back, and damage."""

import json
import zlib

import numpy as np
import pytest

from ccc_jetson.carried import contract_of
from ccc_jetson.errors import ContractError
from ccc_jetson.golden import (
    GoldenFrame,
    GoldenScores,
    decode_golden,
    encode_golden,
    golden_frame,
    is_close,
    read_golden,
)
from ccc_jetson.onnx_file import parse_onnx
from tests.doubles.tiny_model import tiny_model_bytes


def random_golden(seed=1, height=8, width=16, classes=5):
    rng = np.random.RandomState(seed)
    frame = rng.randint(0, 256, (height, width, 3)).astype(np.uint8)
    return golden_frame("street", frame, rng.randn(classes, height, width).astype(np.float32))


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other))


def test_frames_survive_the_way():
    frames = [random_golden(1), random_golden(2, 4, 6)]
    decoded = decode_golden(encode_golden(frames), "m")
    assert len(decoded) == 2
    assert all(same(one, other) for one, other in zip(frames, decoded))


def test_golden_bytes():
    frame = GoldenFrame(
        "a",
        np.full((2, 1, 3), 7, np.uint8),
        np.array([[1], [2]], np.uint8),
        np.array([[0], [19]], np.uint8),
        (0.0, 1.0),
    )
    streams = [zlib.compress(raw, 9) for raw in (b"\7\7\7\0\0\0", b"\1\2", b"\0\x13")]
    header = (
        '{"format":1,"frames":[{"height":2,"lengths":[%d,%d,%d],"margin_edges":[0.0,1.0],"name":"a","width":1}]}\n'
        % tuple(len(stream) for stream in streams)
    )
    data = header.encode("ascii") + b"".join(streams)
    assert encode_golden([frame]) == data
    assert same(decode_golden(data, "m")[0], frame)


def test_class_map_and_margin_come_from_the_logits():
    logits = np.zeros((3, 1, 20), np.float32)
    logits[2] = np.arange(20)
    logits[1] = -1
    golden = golden_frame("a", np.zeros((1, 20, 3), np.uint8), logits)
    assert golden.class_map[0].tolist() == [0] + [2] * 19
    assert golden.margin_edges[0] == 0 and golden.margin_edges[-1] == 19
    assert (np.diff(golden.margin_bins[0].astype(int)) >= 0).all()


def test_ninety_percent_are_the_pixels_with_the_largest_margin():
    golden = random_golden(3, 64, 64)
    decided = golden.decided(0.9)
    assert abs(decided.mean() - 0.9) < 0.005
    assert golden.margin_bins[decided].min() > golden.margin_bins[~decided].max()


def test_a_network_of_one_class_has_margin_zero():
    golden = golden_frame("a", np.zeros((2, 2, 3), np.uint8), np.ones((1, 2, 2), np.float32))
    assert golden.margin_edges == (0.0,) * 21
    assert golden.decided().all()


def test_they_travel_in_the_model():
    model = parse_onnx(tiny_model_bytes(golden=3))
    frames = read_golden(contract_of(model, "m"), model, "m")
    assert [frame.name for frame in frames] == ["frame0", "frame1", "frame2"]


@pytest.mark.parametrize("cut", [0, 5, 60, 200])
def test_truncated_frames_are_called_damaged(cut):
    with pytest.raises(ContractError, match="damaged"):
        decode_golden(encode_golden([random_golden()])[:cut], "m")


def test_a_stream_that_unpacks_to_more_than_the_shape_is_refused_before_it_fills_the_memory():
    bomb = zlib.compress(b"\0" * 50000000, 9)
    header = json.dumps(
        {
            "format": 1,
            "frames": [{"name": "a", "width": 2, "height": 2, "margin_edges": [], "lengths": [len(bomb), 0, 0]}],
        }
    )
    with pytest.raises(ContractError, match="12 bytes were expected"):
        decode_golden(header.encode("ascii") + b"\n" + bomb, "m")


def test_a_newer_format_says_update():
    with pytest.raises(ContractError, match="format 3, this version reads 1 and 2"):
        decode_golden(b'{"format":3,"frames":[]}\n', "m")


def test_golden_bytes_of_scores():
    golden = GoldenScores("a", np.full((2, 1, 3), 7, np.uint8), np.array([1.0, -2.0], np.float32))
    streams = [zlib.compress(raw, 9) for raw in (b"\7\7\7\0\0\0", b"\0\0\x80\x3f\0\0\0\xc0")]
    header = '{"format":2,"frames":[{"classes":2,"height":2,"lengths":[%d,%d],"name":"a","width":1}]}\n' % tuple(
        len(stream) for stream in streams
    )
    data = header.encode("ascii") + b"".join(streams)
    assert encode_golden([golden]) == data
    (decoded,) = decode_golden(data, "m")
    assert isinstance(decoded, GoldenScores)
    assert same(decoded, golden)
    assert decoded.scores.dtype == np.float32


def test_scores_of_another_number_than_it_says_are_damage():
    golden = GoldenScores("a", np.zeros((2, 1, 3), np.uint8), np.zeros(3, np.float32))
    data = encode_golden([golden]).replace(b'"classes":3', b'"classes":4')
    with pytest.raises(ContractError, match="16 bytes were expected"):
        decode_golden(data, "m")


@pytest.mark.parametrize("kind", ["class_map", "scores"])
def test_golden_frames_are_read_from_either_kind_of_file(kind):
    onnx_file = parse_onnx(tiny_model_bytes(kind))
    contract = contract_of(onnx_file, "m")
    frames = read_golden(contract, onnx_file, "m")
    assert {type(frame) for frame in frames} == {GoldenScores if kind == "scores" else GoldenFrame}


@pytest.mark.parametrize("kind", ["class_map", "scores"])
def test_golden_frames_of_the_other_kind_are_refused(kind):
    onnx_file = parse_onnx(tiny_model_bytes(kind))
    contract = contract_of(onnx_file, "m")
    other = contract._replace(output=contract.output._replace(kind="scores" if kind == "class_map" else "class_map"))
    with pytest.raises(ContractError, match="another network's"):
        read_golden(other, onnx_file, "m")


@pytest.mark.parametrize(
    ("scores", "found", "close"),
    [
        ([0, 10, 9.95], 1, True),
        ([0, 10, 9.95], 2, True),
        ([0, 10, 9.8], 2, False),
        ([-1000, 10, 1], 2, True),
        ([5, 5, 5], 2, True),
    ],
)
def test_a_class_is_as_good_as_the_best_within_a_hundredth_of_the_range(scores, found, close):
    assert is_close(np.array(scores, np.float32), found) is close


@pytest.mark.parametrize(
    "header, says",
    [
        ('{"format": "\\u001b[2J", "frames": []}', r"have format '\\x1b\[2J', this version"),
        ('{"format": 1, "frames": ' + "[" * 3000, "damaged"),
        ('{"format": 1, "frames": [{"height": "4", "width": 4}]}', "'4' is no number of pixels"),
        ('{"format": 1, "frames": [{"height": -1, "width": 6148914691236517205}]}', "-1 is no number of pixels"),
        ('{"format": 1, "frames": [{"height": 65536, "width": 65536}]}', "too many pixels"),
        ('{"format": 1, "frames": [{"height": ' + "9" * 5000 + "}]}", "damaged"),
    ],
)
def test_a_hostile_header_is_refused_before_anything_is_unpacked(header, says):
    with pytest.raises(ContractError, match=says) as caught:
        decode_golden(header.encode("ascii") + b"\n" + zlib.compress(bytes(1 << 20)), "m.onnx")
    assert len(str(caught.value)) < 400
