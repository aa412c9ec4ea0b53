"""What INT8 costs: FP32 against the Q/DQ model, on labelled, unlabelled and golden frames."""

import numpy as np
import onnx
import pytest

from ccc_jetson.calib.cost import Answer, Cost, Judge, golden_frames, labelled_frames
from ccc_jetson.calib.images import CalibrationImages, choose_images
from ccc_jetson.calib.provenance import FrameAgreement
from ccc_jetson.calib.qdq import convolutions, quantised
from ccc_jetson.calib.ranges import observe
from ccc_jetson.carried import contract_of
from ccc_jetson.datasets import paired_folders
from ccc_jetson.errors import UsageError
from ccc_jetson.golden import read_golden
from ccc_jetson.onnx_file import parse_onnx
from ccc_jetson.runtime.backends import open_backend
from ccc_jetson.runtime.evaluation import Evaluation
from tests.doubles.labelled_frames import write_pairs
from tests.doubles.tiny_model import tiny_model_bytes


class Case:
    """A model with its contract, its frames, and an INT8 image of it."""

    def __init__(self, folder, kind="class_map", batch=1):
        self.images, self.labels = write_pairs(folder, 3, size=(96, 48))
        self.data = tiny_model_bytes(kind, batch=batch)
        self.contract = contract_of(parse_onnx(self.data), "model.onnx")
        self.dataset = paired_folders(self.images, self.labels, "camvid")
        self.path = str(folder / "model.onnx")
        (folder / "model.onnx").write_bytes(self.data)
        frames = CalibrationImages(self.contract, choose_images([self.images]).frames)
        batches = [np.repeat(frame, batch, axis=0) for frame in frames]
        self.ranges = observe(self.data, lambda: batches, False, 1).ranges("minmax")

    def quantised(self, factor=1.0):
        """With the input's range ``factor`` times too wide."""
        model = onnx.load_model_from_string(self.data)
        ranges = dict(self.ranges, image=self.ranges["image"] * factor)
        return quantised(model, ranges, convolutions(model, "features")).SerializeToString()

    def judge(self, labelled=True, **more):
        frames = labelled_frames(self.dataset, self.contract)
        if not labelled:
            frames = [frame._replace(truth=None) for frame in frames]
        return Judge(self.data, self.contract, frames, self.dataset if labelled else None, 1, **more)


@pytest.fixture()
def case(tmp_path):
    return Case(tmp_path)


def test_accuracies_are_those_that_ccc_eval_measures(case, tmp_path):
    cost = case.judge().cost(case.quantised(8))
    for data, found in ((case.data, cost.fp32), (case.quantised(8), cost.int8)):
        path = tmp_path / "judged.onnx"
        path.write_bytes(data)
        with open_backend(str(path), "stretch", None, 1) as backend:
            expected = Evaluation(backend, case.dataset).run().scores()
        assert found == expected
    assert cost.drop == pytest.approx(100 * (cost.fp32.miou - cost.int8.miou))


def test_the_float_model_loses_nothing_against_itself(case):
    cost = case.judge().cost(case.data)
    assert cost.agreement == cost.decided == 1 and cost.drop == 0
    assert [frame.name for frame in cost.frames] == ["frame00", "frame01", "frame02"]


def test_wider_ranges_lose_more_and_decided_pixels_lose_less(case):
    judge = case.judge(labelled=False)
    fine, coarse = (judge.cost(case.quantised(factor)) for factor in (1, 20))
    print(fine, coarse)
    assert coarse.agreement < fine.agreement < 1
    assert fine.decided > fine.agreement
    assert fine.fp32 is None and fine.drop == pytest.approx(100 * (1 - fine.agreement))
    assert coarse.worst.decided == min(frame.decided for frame in coarse.frames)


@pytest.mark.parametrize("kind, batch", [("logits", 1), ("class_map", 2)])
def test_logits_and_batches_are_judged_alike(tmp_path, kind, batch):
    (tmp_path / "other").mkdir()
    other, plain = Case(tmp_path / "other", kind, batch), Case(tmp_path)
    found = other.judge().cost(other.quantised())
    expected = plain.judge().cost(plain.quantised())
    assert found.frames == expected.frames and found.int8 == expected.int8


def test_golden_frames_are_judged_by_the_answers_in_the_file(case):
    golden = read_golden(case.contract, parse_onnx(case.data), "model.onnx")
    judge = Judge(b"no model is run", case.contract, golden_frames(golden), None, 1)
    assert judge.cost(case.data).agreement == 1
    assert judge.cost(case.quantised(20)).agreement < 1


def test_every_run_is_reported(case):
    told = []
    judge = case.judge(on_frame=lambda: told.append("FP32"))
    judge.watch(lambda: told.append("INT8"))
    judge.cost(case.data)
    assert told == ["FP32"] * 3 + ["INT8"] * 3 and len(judge) == 3


def test_fewer_frames_are_judged_with_the_answers_that_are_there(case):
    judge = case.judge()
    few = judge.first(2)
    whole = judge.cost(case.quantised(20))
    assert few.cost(case.quantised(20)).frames == (whole.frames[0], whole.frames[1])
    assert len(judge.first(99)) == 3


def test_without_frames_there_is_nothing_to_judge_on(case):
    with pytest.raises(UsageError, match="no frames to judge INT8 on"):
        Judge(case.data, case.contract, [])


def test_labels_without_an_evaluated_pixel_are_refused(tmp_path):
    images, labels = write_pairs(tmp_path, 1, values=[11])
    data = tiny_model_bytes()
    contract = contract_of(parse_onnx(data), "model.onnx")
    dataset = paired_folders(images, labels, "camvid")
    with pytest.raises(UsageError, match="hold no evaluated pixel"):
        Judge(data, contract, labelled_frames(dataset, contract), dataset, 1)


def test_where_nothing_is_decided_everything_decided_agrees():
    answer = Answer.of(np.zeros((2, 2), np.uint8), np.zeros((2, 2), bool))
    assert answer.agreement("f", np.array([[0, 0], [0, 1]], np.uint8)) == FrameAgreement("f", 0.75, 1.0)


def test_the_worst_frame_is_the_one_that_keeps_fewest_decided_pixels():
    frames = (FrameAgreement("a", 0.9, 0.99), FrameAgreement("b", 0.95, 0.98))
    cost = Cost(frames)
    assert cost.worst.name == "b" and cost.agreement == pytest.approx(0.925) and cost.decided == pytest.approx(0.985)
