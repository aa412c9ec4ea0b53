"""The shipped network: what it is, how large, and that it knows streets it never saw."""

import json
import os

import numpy as np
import torch

from ccc_jetson.confusion import ConfusionMatrix
from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.networks.families import CITYSCAPES_BGR
from ccc_jetson.export.networks.registry import recognise
from ccc_jetson.export.scenes import street_scene
from ccc_jetson.preprocess import normalisation_table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEIGHTS = os.path.join(ROOT, "demo", "weights", "ccc2_scenes.safetensors")


def test_they_are_a_ccc2_of_under_a_megabyte_and_a_half():
    assert os.path.getsize(WEIGHTS) < 1_500_000
    found = recognise(load_checkpoint(WEIGHTS).state, WEIGHTS)
    assert (found.title, found.arguments["classes"]) == ("CCC2", 20)


def test_they_segment_held_out_streets_about_as_well_as_is_written_beside_them():
    with open(WEIGHTS.replace(".safetensors", ".json"), encoding="utf-8") as file:
        written = json.load(file)["held_out_miou"]
    network = recognise(load_checkpoint(WEIGHTS).state, WEIGHTS).module
    table = normalisation_table(CITYSCAPES_BGR)
    confusion = ConfusionMatrix(19)
    for seed in (1, 9, 17, 25):
        scene = street_scene(seed)
        image = np.stack([table[channel][scene.frame[:, :, channel]] for channel in range(3)])[None]
        with torch.no_grad():
            classes = network(torch.from_numpy(image)).argmax(dim=1)[0].numpy()
        confusion.add(scene.labels, classes.astype(np.uint8))
    scores = confusion.scores()
    print(f"mIoU {scores.miou:.3f} of {written:.3f}, accuracy {scores.pixel_accuracy:.3f}")
    assert scores.miou > 0.6 * written  # four scenes of fifty: rare classes make it vary
    assert scores.pixel_accuracy > 0.8
