"""The file that lets an evaluation go on."""

import json
import os

import numpy as np
import pytest

from ccc_jetson.datasets import paired_folders
from ccc_jetson.errors import FileProblem, UsageError
from ccc_jetson.files import sha256_of
from ccc_jetson.runtime.backends import open_backend
from ccc_jetson.runtime.eval_state import StateFile, fingerprint
from ccc_jetson.runtime.evaluation import Evaluation
from ccc_jetson.runtime.report import Model
from tests.doubles.labelled_frames import write_image, write_pairs
from tests.doubles.tiny_model import write_tiny_model


class Stop(BaseException):
    """Stands for Ctrl-C."""


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "tiny.onnx")


def state_of(path, model, dataset, fit="stretch", eval_size="network"):
    """(state file, evaluation) of a new process, as it were."""
    with open_backend(model, fit, want_logits=eval_size == "full") as backend:
        evaluation = Evaluation(backend, dataset, fit, eval_size)
    record = Model(model, sha256_of(model), "as asked", backend.contract)
    return StateFile(str(path), fingerprint(record, evaluation), dataset), evaluation


def stopped(path, model, dataset, frames=2):
    """A state after ``frames`` frames; returns the tally it holds."""
    state, _ = state_of(path, model, dataset)
    with open_backend(model) as backend:
        evaluation = Evaluation(backend, dataset)
        evaluation.tally = state.load()

        def on_frame(tally):
            if tally.done == frames:
                raise Stop

        with pytest.raises(Stop):
            evaluation.run(on_frame)
    state.save(evaluation.tally)
    return evaluation.tally


def test_a_state_comes_back_as_it_was_saved(tmp_path, model):
    images, labels = write_pairs(tmp_path, count=4)
    os.unlink(os.path.join(images, "frame00.png"))
    write_image(os.path.join(images, "frame00.png"), np.zeros((32, 64, 3), np.uint8))
    dataset = paired_folders(images, labels, "camvid")
    tally = stopped(tmp_path / "eval.state", model, dataset)
    tally = tally._replace(skipped=(("frame00", "broken"),))
    state, _ = state_of(tmp_path / "eval.state", model, dataset)
    state.save(tally)
    loaded = state_of(tmp_path / "eval.state", model, dataset)[0].load()
    assert (loaded.done, loaded.skipped) == (2, (("frame00", "broken"),))
    assert np.array_equal(loaded.matrix.counts, tally.matrix.counts)


def test_a_new_state_is_empty_and_its_file_is_tried_at_once(tmp_path, model):
    dataset = paired_folders(*write_pairs(tmp_path), mapping="camvid")
    state, _ = state_of(tmp_path / "eval.state", model, dataset)
    assert state.load().done == 0
    assert os.path.exists(state.path)
    unwritable, _ = state_of(tmp_path / "nowhere" / "eval.state", model, dataset)
    with pytest.raises(FileProblem, match="folder does not exist"):
        unwritable.load()


def test_the_state_is_saved_now_and_then_only(tmp_path, model, monkeypatch):
    dataset = paired_folders(*write_pairs(tmp_path), mapping="camvid")
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    state, evaluation = state_of(tmp_path / "eval.state", model, dataset)
    state.load()
    for seconds, done in ((9.0, 0), (10.5, 1), (15.0, 1), (21.0, 3)):
        now[0] = 100.0 + seconds
        state.save_now_and_then(evaluation.tally._replace(done=int(seconds) // 7))
        with open(state.path) as file:
            assert len(json.load(file)["done"]) == done, "after {} s".format(seconds)


def test_a_state_of_another_evaluation_is_refused_with_what_differs(tmp_path, model):
    images, labels = write_pairs(tmp_path, count=4)
    dataset = paired_folders(images, labels, "camvid")
    path = tmp_path / "eval.state"
    stopped(path, model, dataset)
    other = write_tiny_model(tmp_path / "other.onnx", seed=8)
    known = range(12)
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"classes": ["a"], "label_to_class": {str(i): 0 for i in known}, "ignore": []}))
    for what, state in (
        ("model", state_of(path, other, dataset)[0]),
        ("fit", state_of(path, model, dataset, fit="crop")[0]),
        ("eval size", state_of(path, model, dataset, eval_size="full")[0]),
        ("prediction", state_of(path, model, dataset, eval_size="full")[0]),
        ("frames", state_of(path, model, dataset.spread(3))[0]),
        ("mapping", state_of(path, model, paired_folders(images, labels, str(own)))[0]),
    ):
        with pytest.raises(
            UsageError, match=r"eval.state: is of another evaluation:(\n.*)*\n  " + what + ": "
        ) as caught:
            state.load()
        assert "--resume" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        state_of(path, model, dataset, fit="crop")[0].load()
    assert str(caught.value).endswith("another evaluation:\n  fit: stretch there, crop now")


def test_a_changed_file_is_noticed_by_its_size(tmp_path, model):
    images, labels = write_pairs(tmp_path, count=4)
    dataset = paired_folders(images, labels, "camvid")
    stopped(tmp_path / "eval.state", model, dataset)
    write_image(os.path.join(labels, "frame03.png"), np.zeros((32, 64), np.uint8))
    with pytest.raises(UsageError, match=r"frames: 4 \([0-9a-f]{12}\) there, 4 \([0-9a-f]{12}\) now"):
        state_of(tmp_path / "eval.state", model, dataset)[0].load()


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: "{",
        lambda record: "[]",
        lambda record: json.dumps(dict(record, format=2)),
        lambda record: json.dumps({"format": 1}),
        lambda record: json.dumps(dict(record, fingerprint=3)),
        lambda record: json.dumps(dict(record, done=["frame01", "frame00"])),
        lambda record: json.dumps(dict(record, done=["frame0{}".format(i) for i in range(9)])),
        lambda record: json.dumps(dict(record, done=[1])),
        lambda record: json.dumps(dict(record, skipped=[["frame00"]])),
        lambda record: json.dumps(dict(record, skipped=[["frame03", "broken"]])),
        lambda record: json.dumps(dict(record, confusion=[[0, 0]])),
    ],
)
def test_a_damaged_state_is_refused_with_the_way_out(tmp_path, model, damage):
    dataset = paired_folders(*write_pairs(tmp_path, count=4), mapping="camvid")
    path = tmp_path / "eval.state"
    stopped(path, model, dataset)
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(FileProblem, match=r"eval.state: is no state of an evaluation") as caught:
        state_of(path, model, dataset)[0].load()
    assert "delete it to begin anew" in caught.value.hint


def test_a_state_with_impossible_counts_is_refused(tmp_path, model):
    dataset = paired_folders(*write_pairs(tmp_path, count=4), mapping="camvid")
    path = tmp_path / "eval.state"
    stopped(path, model, dataset)
    record = json.loads(path.read_text())
    record["confusion"][0][0] = -1
    path.write_text(json.dumps(record))
    with pytest.raises(FileProblem, match="something else than counts"):
        state_of(path, model, dataset)[0].load()
