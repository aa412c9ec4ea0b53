"""Frames through a backend into the confusion matrix: every size and fit against a slow reference, and every mishap."""

import os
import threading

import cv2
import numpy as np
import pytest

from ccc_jetson.cityscapes import CAMVID_FROM_TRAIN_ID
from ccc_jetson.confusion import NO_CLASS, ConfusionMatrix
from ccc_jetson.datasets import cityscapes, paired_folders
from ccc_jetson.errors import BackendError, FileProblem, UsageError
from ccc_jetson.images import read_frame, read_labels
from ccc_jetson.preprocess import class_map_for_frame
from ccc_jetson.runtime.backends import open_backend
from ccc_jetson.runtime.evaluation import Evaluation
from tests.doubles.labelled_frames import write_cityscapes, write_image, write_model_with_void, write_pairs
from tests.doubles.tiny_model import HEIGHT, WIDTH, write_tiny_model


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "tiny.onnx")


def evaluated(model, dataset, fit="stretch", eval_size="network", **options):
    with open_backend(model, fit, threads=1, want_logits=eval_size == "full") as backend:
        evaluation = Evaluation(backend, dataset, fit, eval_size, **options)
        evaluation.run()
    return evaluation


def one_by_one(dataset, predict, classes):
    """The counts of ``predict(frame, labels)`` -> (labels, predictions), pixel after pixel."""
    matrix = ConfusionMatrix(classes)
    for sample in dataset.samples:
        labels, predictions = predict(read_frame(sample.image), read_labels(sample.labels))
        for label, prediction in zip(labels.ravel().tolist(), predictions.ravel().tolist()):
            if label < classes:
                matrix.counts[label, min(prediction, classes)] += 1
    return matrix.counts


def camvid_of(channels):
    return np.array(list(CAMVID_FROM_TRAIN_ID) + [NO_CLASS], np.uint8)[channels]


def test_at_the_networks_size_labels_are_read_nearest(tmp_path, model):
    dataset = paired_folders(*write_pairs(tmp_path, size=(192, 96)), mapping="camvid")
    evaluation = evaluated(model, dataset)
    with open_backend(model) as backend:  # OpenCV's nearest takes the pixel at 3 x, not the middle one at 3 x + 1
        counts = one_by_one(
            dataset, lambda frame, labels: (labels[::3, ::3], camvid_of(backend.infer(frame).class_map)), 11
        )
    assert np.array_equal(evaluation.tally.matrix.counts, counts)
    assert evaluation.tally.matrix.counts.sum() > 0.8 * 3 * WIDTH * HEIGHT
    assert evaluation.prediction == "class map as it comes; labels nearest"


@pytest.mark.parametrize("kind", ["class_map", "logits"])
def test_at_full_size_logits_are_resized_bilinearly(tmp_path, kind):
    model = write_tiny_model(tmp_path / "tiny.onnx", kind=kind)
    dataset = paired_folders(*write_pairs(tmp_path, size=(160, 80)), mapping="camvid")
    evaluation = evaluated(model, dataset, eval_size="full")
    with open_backend(model, want_logits=True) as backend:

        def predict(frame, labels):
            planes = [cv2.resize(plane, (160, 80), interpolation=cv2.INTER_LINEAR) for plane in backend.logits(frame)]
            return labels, camvid_of(np.stack(planes).argmax(axis=0))

        counts = one_by_one(dataset, predict, 11)
    assert np.array_equal(evaluation.tally.matrix.counts, counts)
    assert evaluation.prediction == "logits bilinear, then the largest"


def test_without_logits_the_class_map_is_resized_and_the_reason_is_kept(tmp_path, model):
    dataset = paired_folders(*write_pairs(tmp_path, size=(128, 64)), mapping="camvid")
    with open_backend(model) as backend:
        evaluation = Evaluation(backend, dataset, "stretch", "full")
        evaluation.run()
        counts = one_by_one(
            dataset,
            lambda frame, labels: (
                labels,
                camvid_of(backend.infer(frame).class_map).repeat(2, axis=0).repeat(2, axis=1),
            ),
            11,
        )
    assert np.array_equal(evaluation.tally.matrix.counts, counts)
    assert evaluation.prediction == "class map nearest (this backend was opened without logits)"


def test_a_void_prediction_is_a_miss(tmp_path):
    model = write_model_with_void(tmp_path / "void.onnx")
    dataset = cityscapes(write_cityscapes(tmp_path))
    evaluation = evaluated(model, dataset)
    with open_backend(model) as backend:
        voids = sum(
            int((backend.infer(read_frame(sample.image)).class_map == 18)[_evaluated(sample)].sum())
            for sample in dataset.samples
        )
    assert voids > 0
    assert evaluation.tally.matrix.scores().pixels_without_class == voids


def _evaluated(sample):
    return np.isin(read_labels(sample.labels), [7, 8, 11, 12, 13, 17] + list(range(19, 29)) + [31, 32, 33])


@pytest.mark.parametrize("eval_size", ["network", "full"])
def test_what_crop_cuts_off_is_predicted_as_no_class(tmp_path, model, eval_size):
    # 192x64 is three wide, the network two: 32 columns on either side are never seen
    dataset = paired_folders(*write_pairs(tmp_path, size=(192, 64), values=range(11)), mapping="camvid")
    counts = evaluated(model, dataset, "crop", eval_size).tally.matrix.counts
    pixels = 3 * 192 * 64 // (4 if eval_size == "network" else 1)
    assert counts.sum() == pixels
    assert counts[:, -1].sum() == pixels // 3


@pytest.mark.parametrize("eval_size", ["network", "full"])
def test_letterboxs_bars_are_not_evaluated(tmp_path, model, eval_size):
    dataset = paired_folders(*write_pairs(tmp_path, size=(192, 64), values=range(11)), mapping="camvid")
    counts = evaluated(model, dataset, "letterbox", eval_size).tally.matrix.counts
    assert counts[:, -1].sum() == 0
    assert counts.sum() == 3 * (192 * 64 if eval_size == "full" else 64 * 21)


@pytest.mark.parametrize("fit,size", [("crop", (96, 64)), ("crop", (200, 50)), ("letterbox", (96, 64))])
def test_predictions_stand_where_their_pixels_were(tmp_path, fit, size):
    """The reference maps the class map back to the frame as live use does."""
    model = write_model_with_void(tmp_path / "void.onnx")
    dataset = paired_folders(*write_pairs(tmp_path, size=size), mapping="camvid")
    with open_backend(model, fit) as backend:  # without logits, so that both resize the class map
        evaluation = Evaluation(backend, dataset, fit, "full")
        evaluation.run()
        table = dataset.mapping.prediction_table(backend.contract)

        def predict(frame, labels):
            seen = backend.infer(frame)
            return labels, class_map_for_frame(table[seen.class_map], seen.geometry, NO_CLASS)

        counts = one_by_one(dataset, predict, 11)
    assert np.array_equal(evaluation.tally.matrix.counts, counts)


@pytest.mark.parametrize("fit", ["crop", "letterbox"])
def test_logits_are_taken_from_the_frame_and_not_from_the_bars(tmp_path, model, fit):
    dataset = paired_folders(*write_pairs(tmp_path, size=(96, 64)), mapping="camvid")
    evaluation = evaluated(model, dataset, fit, "full")
    with open_backend(model, fit, want_logits=True) as backend:

        def predict(frame, labels):
            logits, geometry = backend.logits(frame), backend.infer(frame).geometry
            seen = (geometry.source.width, geometry.source.height)
            planes = [cv2.resize(np.ascontiguousarray(geometry.target.of(plane)), seen) for plane in logits]
            predictions = np.full(labels.shape, NO_CLASS, np.uint8)
            geometry.source.of(predictions)[...] = camvid_of(np.stack(planes).argmax(axis=0))
            return labels, predictions

        counts = one_by_one(dataset, predict, 11)
    assert np.array_equal(evaluation.tally.matrix.counts, counts)


def test_the_first_of_equal_logits_wins(tmp_path, model, monkeypatch):
    dataset = paired_folders(*write_pairs(tmp_path, count=1), mapping="camvid")
    with open_backend(model, want_logits=True) as backend:
        monkeypatch.setattr(backend, "logits", lambda frame: np.full((19, HEIGHT, WIDTH), -3.0, np.float32))
        evaluation = Evaluation(backend, dataset, "stretch", "full")
        counts = evaluation.run().counts
    assert counts[:, CAMVID_FROM_TRAIN_ID[0]].sum() == counts.sum()


@pytest.mark.parametrize("eval_size,pixels", [("network", WIDTH * HEIGHT), ("full", 32 * 16)])
def test_label_maps_of_another_size_but_the_same_proportions_are_fine(tmp_path, model, eval_size, pixels):
    dataset = paired_folders(*write_pairs(tmp_path, label_size=(32, 16), values=range(11)), mapping="camvid")
    assert evaluated(model, dataset, eval_size=eval_size).tally.matrix.counts.sum() == 3 * pixels


def test_label_maps_of_other_proportions_are_refused_with_both_sizes(tmp_path, model):
    dataset = paired_folders(*write_pairs(tmp_path, label_size=(64, 40)), mapping="camvid")
    with pytest.raises(FileProblem, match=r"images.frame00.png is 64x32 and .*labels.frame00.png is 64x40"):
        evaluated(model, dataset)


def test_an_unknown_label_is_no_unreadable_file(tmp_path, model):
    dataset = paired_folders(*write_pairs(tmp_path, values=[3, 77]), mapping="camvid")
    with pytest.raises(FileProblem, match=r"frame00.png: holds the label 77 .*'camvid'"):
        evaluated(model, dataset, skip_unreadable=True)


def test_an_unreadable_file_ends_the_evaluation_and_what_was_done_remains(tmp_path, model):
    images, labels = write_pairs(tmp_path, count=5)
    whole = evaluated(model, paired_folders(images, labels, "camvid").spread(5)).tally.matrix.counts
    with open(os.path.join(labels, "frame02.png"), "wb") as file:
        file.write(b"broken")
    dataset = paired_folders(images, labels, "camvid")
    with open_backend(model) as backend:
        evaluation = Evaluation(backend, dataset)
        with pytest.raises(FileProblem, match=r"frame02.png: is no picture") as caught:
            evaluation.run()
        assert evaluation.tally.done == 2
        assert 0 < evaluation.tally.matrix.counts.sum() < whole.sum()
    assert "--skip-unreadable" in caught.value.hint


def test_unreadable_files_may_be_skipped_and_are_named(tmp_path, model):
    images, labels = write_pairs(tmp_path, count=4)
    dataset = paired_folders(images, labels, "camvid")
    without = dataset._replace(samples=(dataset.samples[0], dataset.samples[2]))
    os.unlink(os.path.join(images, "frame01.png"))
    write_image(os.path.join(labels, "frame03.png"), np.zeros((32, 64, 3), np.uint8))
    evaluation = evaluated(model, dataset, skip_unreadable=True)
    assert [name for name, _ in evaluation.tally.skipped] == ["frame01", "frame03"]
    assert "No such file" in evaluation.tally.skipped[0][1]
    assert "a label map has one channel" in evaluation.tally.skipped[1][1]
    assert (evaluation.tally.done, evaluation.frames) == (4, 2)
    assert np.array_equal(evaluation.tally.matrix.counts, evaluated(model, without).tally.matrix.counts)


def test_nothing_but_unreadable_files_is_an_error(tmp_path, model):
    images, labels = write_pairs(tmp_path, count=2)
    for name in os.listdir(images):
        open(os.path.join(images, name), "w").close()
    with pytest.raises(FileProblem, match=r"none of the 2 frames could be read; the first: .*frame00.png"):
        evaluated(model, paired_folders(images, labels, "camvid"), skip_unreadable=True)


class Stop(BaseException):
    """Stands for Ctrl-C."""


def test_an_interrupted_evaluation_goes_on_to_the_same_counts(tmp_path, model):
    dataset = paired_folders(*write_pairs(tmp_path, count=7), mapping="camvid")
    expected = evaluated(model, dataset).tally.matrix.counts

    def stop_after(frames):
        def on_frame(tally):
            if tally.done == frames:
                raise Stop

        return on_frame

    with open_backend(model) as backend:
        first = Evaluation(backend, dataset)
        with pytest.raises(Stop):
            first.run(stop_after(3))
        assert first.tally.done == 3
        second = Evaluation(backend, dataset)
        second.tally = first.tally
        seen = []
        second.run(lambda tally: seen.append(tally.done))
    assert seen == [4, 5, 6, 7]
    assert np.array_equal(second.tally.matrix.counts, expected)
    assert second.times.summaries()[0].samples == 4  # a second run's times are its own


def test_an_interruption_while_inferring_leaves_whole_frames_and_no_thread(tmp_path, model, monkeypatch):
    dataset = paired_folders(*write_pairs(tmp_path, count=6), mapping="camvid")
    threads = threading.active_count()
    with open_backend(model) as backend:
        evaluation = Evaluation(backend, dataset)
        infer, calls = backend.infer, []

        def interrupted(frame):
            calls.append(frame)
            if len(calls) == 3:
                raise Stop
            return infer(frame)

        monkeypatch.setattr(backend, "infer", interrupted)
        with pytest.raises(Stop):
            evaluation.run()
    assert evaluation.tally.done == 2
    assert threading.active_count() == threads


def test_frames_are_evaluated_in_their_order_and_read_ahead(tmp_path, model):
    dataset = paired_folders(*write_pairs(tmp_path, count=8), mapping="camvid")
    evaluation = evaluated(model, dataset)
    assert {each.name: each.samples for each in evaluation.times.summaries()} == dict.fromkeys(
        ("read", "preprocess", "infer", "postprocess", "score"), 8
    )
    assert evaluation.seconds > 0
    assert np.array_equal(evaluated(model, dataset).tally.matrix.counts, evaluation.tally.matrix.counts)


def test_every_counted_frame_is_shown_with_its_own_accuracy(tmp_path, model):
    dataset = paired_folders(*write_pairs(tmp_path, count=4), mapping="camvid")
    scored = []
    evaluation = evaluated(model, dataset, on_scored=scored.append)
    assert [each.name for each in scored] == [sample.name for sample in dataset.samples]
    total = ConfusionMatrix(11)
    for each in scored:
        counted = ConfusionMatrix(11)
        counted.add(each.labels, each.prediction)
        assert each.miou == counted.scores().miou
        total = total.plus(counted)
    assert np.array_equal(total.counts, evaluation.tally.matrix.counts)
    assert np.array_equal(scored[0].picture, read_frame(dataset.samples[0].image))


def test_with_logits_their_own_stage_is_timed(tmp_path, model):
    evaluation = evaluated(model, paired_folders(*write_pairs(tmp_path), mapping="camvid"), eval_size="full")
    assert [each.name for each in evaluation.times.summaries()] == ["read", "logits", "score"]


def test_a_backend_with_another_fit_is_refused(tmp_path, model):
    dataset = paired_folders(*write_pairs(tmp_path), mapping="camvid")
    with open_backend(model, "crop") as backend, pytest.raises(ValueError, match="fit='stretch'"):
        Evaluation(backend, dataset, "stretch")


def test_an_unknown_eval_size_is_refused(tmp_path, model):
    dataset = paired_folders(*write_pairs(tmp_path), mapping="camvid")
    with open_backend(model) as backend, pytest.raises(UsageError, match="'half'; expected one of network, full"):
        Evaluation(backend, dataset, "stretch", "half")


def test_an_error_of_the_backend_is_not_taken_for_missing_logits(tmp_path, model, monkeypatch):
    dataset = paired_folders(*write_pairs(tmp_path), mapping="camvid")
    with open_backend(model, want_logits=True) as backend:
        evaluation = Evaluation(backend, dataset, "stretch", "full")

        def fail(frame):
            raise BackendError("the device has gone")

        monkeypatch.setattr(backend, "logits", fail)
        with pytest.raises(BackendError, match="has gone"):
            evaluation.run()
    assert evaluation.tally.done == 0
