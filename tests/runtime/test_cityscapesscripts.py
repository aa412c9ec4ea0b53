"""Agreement with cityscapesscripts, the evaluation that the published figures were made with."""

import os

import numpy as np
import pytest

from ccc_jetson.cityscapes import LABELS, TRAIN_CLASSES, TRAIN_LABELS
from ccc_jetson.confusion import ConfusionMatrix
from ccc_jetson.datasets import cityscapes
from ccc_jetson.images import read_frame, read_labels
from ccc_jetson.label_mapping import named_mapping
from ccc_jetson.preprocess import class_map_for_frame
from ccc_jetson.runtime.backends import open_backend
from ccc_jetson.runtime.eval_cli import main
from tests.doubles.labelled_frames import blocks, write_cityscapes, write_image, write_model_with_void

theirs = pytest.importorskip(
    "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling",
    reason="cityscapesscripts is not installed (it needs Python 3.7 or newer)",
)
LABEL_IDS = [label.label_id for label in LABELS]
TRAIN_LABEL_IDS = [label.label_id for label in TRAIN_LABELS]


def their_results(predictions, labels):
    """Their dictionary of results for two lists of files."""
    theirs.args.evalInstLevelScore = False
    theirs.args.evalPixelAccuracy = False
    theirs.args.JSONOutput = False
    theirs.args.quiet = True
    return theirs.evaluateImgLists(predictions, labels, theirs.args)


def their_counts(results):
    """Their label ids by label ids as our classes by classes and "no class"."""
    counts = np.array(results["confMatrix"], np.int64)[TRAIN_LABEL_IDS]
    evaluated = counts[:, TRAIN_LABEL_IDS]
    return np.column_stack([evaluated, counts.sum(axis=1) - evaluated.sum(axis=1)])


def assert_agrees(counts, results):
    assert np.array_equal(counts, their_counts(results))
    matrix = ConfusionMatrix(TRAIN_CLASSES)
    matrix.counts[...] = counts
    scores = matrix.scores()
    for label, iou in zip(TRAIN_LABELS, scores.iou):
        expected = results["classScores"][label.name]
        assert (iou != iou and expected != expected) or abs(iou - expected) < 1e-12, label.name
    assert abs(scores.miou - results["averageScoreClasses"]) < 1e-12


def random_files(folder, seed, truth_values, prediction_values, frames=4):
    """Label maps and predictions that agree in about half of the pixels."""
    rng = np.random.RandomState(seed)
    files = []
    for index in range(frames):
        truth = blocks(rng, truth_values, 67, 41, block=3)
        prediction = np.where(rng.rand(41, 67) < 0.5, truth, blocks(rng, prediction_values, 67, 41))
        stem = os.path.join(str(folder), "ulm_{:06d}_000019".format(index))
        files.append(
            (
                write_image(stem + "_prediction.png", prediction.astype(np.uint8)),
                write_image(stem + "_gtFine_labelIds.png", truth),
            )
        )
    return files


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "truth_values,prediction_values",
    [
        (LABEL_IDS, LABEL_IDS),  # ignored ids on both sides
        (LABEL_IDS, TRAIN_LABEL_IDS),
        (TRAIN_LABEL_IDS, LABEL_IDS),
        ([0, 4, 7, 8, 26], [0, 7, 8, 24, 26]),  # most classes in neither, one only predicted
        ([0, 1, 2, 7], [0, 4]),  # one class, never found
    ],
)
def test_counts_and_figures_are_theirs(tmp_path, seed, truth_values, prediction_values):
    files = random_files(tmp_path, seed, truth_values, prediction_values)
    mapping = named_mapping("labelids")
    matrix = ConfusionMatrix(TRAIN_CLASSES)
    for prediction, labels in files:
        matrix.add(mapping.decode(read_labels(labels), labels), mapping.decode(read_labels(prediction), prediction))
    assert_agrees(matrix.counts, their_results(*map(list, zip(*files))))


def test_ours_and_theirs_know_the_same_labels():
    known = {label.id: label for label in theirs.labels}
    for label in LABELS:
        other = known[label.label_id]
        assert (label.name, label.color, label.train_id) == (other.name, tuple(other.color), other.trainId)
        assert (label.train_id == 255) == other.ignoreInEval


@pytest.mark.parametrize("fit,eval_size", [("stretch", "network"), ("stretch", "full"), ("crop", "full")])
def test_ccc_eval_on_cityscapes_layout_gives_their_figures(tmp_path, fit, eval_size):
    """The class maps are written as the label ids that Cityscapes' server takes, and their evaluation reads those."""
    import json

    import cv2

    model = write_model_with_void(tmp_path / "void.onnx")
    size = (64, 32) if eval_size == "network" else (150, 75) if fit == "stretch" else (150, 64)
    root = write_cityscapes(tmp_path / "city", size=size)
    report = str(tmp_path / "eval.json")
    assert main([model, "--cityscapes", root, "--eval-size", eval_size, "--fit", fit, "--report", report]) == 0
    with open(report) as file:
        ours = json.load(file)

    predictions, labels = [], []
    with open_backend(model, fit, want_logits=True) as backend:
        label_id_of = np.array([each.label_id for each in backend.contract.classes], np.uint8)
        for sample in cityscapes(root).samples:
            frame = read_frame(sample.image)
            result = backend.infer(frame)
            if eval_size == "network":
                label_ids = label_id_of[result.class_map]
            else:
                seen = (result.geometry.source.width, result.geometry.source.height)
                channels = np.stack([cv2.resize(plane, seen) for plane in backend.logits(frame)]).argmax(axis=0)
                geometry = result.geometry._replace(target=result.geometry.source._replace(x=0, y=0))
                label_ids = class_map_for_frame(label_id_of[channels], geometry, outside=0)
            predictions.append(write_image(tmp_path / "results" / (sample.name + ".png"), label_ids))
            labels.append(sample.labels)
    results = their_results(predictions, labels)
    assert_agrees(np.array(ours["confusion"]), results)
    assert abs(ours["miou"] - results["averageScoreClasses"]) < 1e-12
    assert ours["pixels_without_class"] > 0


def test_their_scripts_find_and_understand_our_class_maps(tmp_path, monkeypatch):
    from ccc_jetson.runtime.frames import Frame
    from ccc_jetson.runtime.sinks.pictures import ClassMaps, class_numbers
    from tests.doubles.stages import segmentation_of
    from tests.doubles.tiny_model import tiny_contract

    sink = ClassMaps(str(tmp_path / "results"), class_numbers(tiny_contract(), "labelids"))
    image = np.zeros((64, 128, 3), np.uint8)
    for frame, class_index in ((0, 0), (1, 13)):
        name = "ulm_{:06d}_000019_leftImg8bit".format(frame)
        sink.write(Frame(frame, name, image, 0.0), segmentation_of(image, class_index))
    truth = []
    for frame, label in ((0, 7), (1, 26)):
        truth.append(str(tmp_path / "ulm_{:06d}_000019_gtFine_labelIds.png".format(frame)))
        write_image(truth[-1], np.full((64, 128), label, np.uint8))
    monkeypatch.setattr(theirs.args, "predictionPath", str(tmp_path / "results"))
    monkeypatch.setattr(theirs.args, "predictionWalk", None)
    predictions = [theirs.getPrediction(theirs.args, path) for path in truth]
    results = their_results(predictions, truth)
    assert results["classScores"]["road"] == results["classScores"]["car"] == 1.0
