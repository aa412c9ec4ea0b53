"""The gate's verdict on engines that are right, rounded, wrong, and broken."""

import numpy as np
import pytest

from ccc_jetson.engines.gate import judge, output_name
from ccc_jetson.golden import GoldenScores, golden_frame
from ccc_jetson.head import head_logits
from ccc_jetson.preprocess import Preprocessor
from tests.doubles.tiny_model import FEATURES, tiny_contract, tiny_weights

CONTRACT = tiny_contract()
HEAD = tiny_weights()[1]


def features_of(image):
    """Any function of the image will do: (N, 3, H, W) -> (N, F, H/2, W/2)."""
    small = image[:, :, ::2, ::2].astype(np.float32)
    return np.concatenate([small, small[:, :1] * small[:, 1:2]], axis=1)[:, :FEATURES]


@pytest.fixture()
def frames():
    rng = np.random.RandomState(3)
    preprocess = Preprocessor(CONTRACT)
    found = []
    for index in range(3):
        frame = rng.randint(0, 256, (CONTRACT.input.height, CONTRACT.input.width, 3)).astype(np.uint8)
        features = features_of(preprocess(frame)[None] if preprocess(frame).ndim == 3 else preprocess(frame))
        found.append(golden_frame("frame{}".format(index), frame, head_logits(features[0], CONTRACT.head, HEAD)))
    return found


def run_judge(frames, run, output="features", contract=CONTRACT):
    return judge(contract, output, HEAD if output == "features" else None, frames, run)


def logits_of(image):
    return np.stack([head_logits(each, CONTRACT.head, HEAD) for each in features_of(image)])


def test_the_network_itself_passes_in_every_form_of_output(frames):
    for output, run in (
        ("features", features_of),
        ("features", lambda image: features_of(image).astype(np.float16)),
        ("logits", logits_of),
        ("classes", lambda image: logits_of(image).argmax(axis=1).astype(np.int32)),
    ):
        gate = run_judge(frames, run, output)
        assert gate.passed, (output, gate)
        assert [frame.name for frame in gate.frames] == ["frame0", "frame1", "frame2"]
        assert min(frame.decided for frame in gate.frames) >= 0.995
    assert gate.frames[0].agreement == 1.0


def test_one_frame_that_is_wrong_fails_the_engine(frames):
    seen = []

    def run(image):
        seen.append(1)
        return -features_of(image) if len(seen) == 2 else features_of(image)

    gate = run_judge(frames, run)
    assert not gate.passed
    assert [frame.decided > 0.99 for frame in gate.frames] == [True, False, True]


def test_an_engine_whose_head_has_no_weights_is_judged_as_well():
    contract = tiny_contract(classes=FEATURES, head="bilinear")
    preprocess = Preprocessor(contract)
    frame = np.random.RandomState(8).randint(0, 256, (contract.input.height, contract.input.width, 3)).astype(np.uint8)
    features = features_of(preprocess(frame))
    golden = [golden_frame("frame", frame, head_logits(features[0], contract.head, None))]
    gate = judge(contract, "features", None, golden, lambda image: features_of(image).astype(np.float16))
    assert gate.passed, gate
    assert not judge(contract, "features", None, golden, lambda image: -features_of(image)).passed


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_fails_the_engine(frames, value):
    def run(image):
        features = features_of(image)
        features[0, 0, 0, 0] = value
        return features

    gate = run_judge(frames, run)
    assert not gate.passed
    assert not gate.frames[0].finite
    assert gate.frames[0].decided > 0.9  # the rest of the frame is still judged


def test_undecided_pixels_may_change(frames):
    undecided = [~frame.decided() for frame in frames]
    maps = iter([np.where(free, frame.class_map ^ 1, frame.class_map)[None] for frame, free in zip(frames, undecided)])
    gate = run_judge(frames, lambda image: next(maps).astype(np.int32), "classes")
    assert gate.passed
    assert gate.frames[0].decided == 1.0 and gate.frames[0].agreement < 0.95


def test_just_too_many_decided_pixels_fail(frames):
    def run_with(share):
        maps = []
        for frame in frames:
            decided = np.flatnonzero(frame.decided().ravel())
            found = frame.class_map.ravel().astype(np.int32)
            found[decided[: int(np.ceil(decided.size * share))]] ^= 1
            maps.append(found.reshape(frame.class_map.shape)[None])
        given = iter(maps)
        return run_judge(frames, lambda image: next(given), "classes")

    assert run_with(0.004).passed
    assert not run_with(0.006).passed


def test_in_a_batch_the_worst_image_counts(frames):
    contract = tiny_contract(batch=2)

    def run(image):
        assert image.shape[0] == 2
        features = features_of(image)
        features[1] *= -1
        return features

    assert not run_judge(frames, run, contract=contract).passed


def test_the_judged_tensor_is_the_one_that_the_contract_names():
    assert output_name(CONTRACT, "features") == "features"
    assert output_name(CONTRACT, "logits") == "logits"
    assert output_name(CONTRACT, "classes") == "class_map"


SCORES = tiny_contract("scores", classes=5)


def judged_scores(given, found):
    """The verdict on an engine that gives the scores ``found`` where FP32 gives ``given``."""
    frame = np.zeros((SCORES.input.height, SCORES.input.width, 3), np.uint8)
    golden = GoldenScores("street", frame, np.array(given, np.float32))
    return judge(SCORES, "scores", None, [golden], lambda image: np.array([found], np.float32))


@pytest.mark.parametrize(
    ("found", "passed", "agreement"),
    [
        ([0, 1, 10, 9.95, 2], True, 1.0),
        ([0, 1, 9.9, 10, 2], True, 0.0),  # FP32 found the other as good
        ([0, 10, 9, 9, 2], False, 0.0),
        ([0, 1, np.inf, 3, 2], False, 0.0),
        ([np.nan, 1, 10, 9, 2], False, 1.0),
        ([np.nan] * 5, False, 0.0),
    ],
)
def test_a_picture_keeps_its_class_or_gets_one_as_good(found, passed, agreement):
    gate = judged_scores([0, 1, 10, 9.95, 2], found)
    assert (gate.passed, gate.frames[0].agreement) == (passed, agreement)


def test_the_output_of_a_classifier_is_its_scores():
    assert output_name(SCORES, "scores") == "scores"


def test_the_worst_of_a_batch_of_pictures_counts():
    frame = np.zeros((SCORES.input.height, SCORES.input.width, 3), np.uint8)
    golden = GoldenScores("street", frame, np.array([3, 0, 0, 0, 0], np.float32))
    found = np.array([[3, 0, 0, 0, 0], [0, 3, 0, 0, 0]], np.float32)
    contract = SCORES._replace(input=SCORES.input._replace(batch=2))
    assert not judge(contract, "scores", None, [golden], lambda image: found).passed
