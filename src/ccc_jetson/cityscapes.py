"""Cityscapes' labels as its own scripts define them (cityscapesscripts/helpers/labels.py), and CamVid's 11 classes."""

from typing import Dict, List, NamedTuple, Tuple

TRAIN_CLASSES = 19
IGNORE = 255  # train id of every label that is not evaluated


class Label(NamedTuple):
    """A Cityscapes class: ``label_id`` in gtFine files, ``train_id`` 0..18 or 255, colour as (R, G, B)."""

    name: str
    label_id: int
    train_id: int
    color: Tuple[int, int, int]


LABELS = (
    Label("unlabeled", 0, 255, (0, 0, 0)),
    Label("ego vehicle", 1, 255, (0, 0, 0)),
    Label("rectification border", 2, 255, (0, 0, 0)),
    Label("out of roi", 3, 255, (0, 0, 0)),
    Label("static", 4, 255, (0, 0, 0)),
    Label("dynamic", 5, 255, (111, 74, 0)),
    Label("ground", 6, 255, (81, 0, 81)),
    Label("road", 7, 0, (128, 64, 128)),
    Label("sidewalk", 8, 1, (244, 35, 232)),
    Label("parking", 9, 255, (250, 170, 160)),
    Label("rail track", 10, 255, (230, 150, 140)),
    Label("building", 11, 2, (70, 70, 70)),
    Label("wall", 12, 3, (102, 102, 156)),
    Label("fence", 13, 4, (190, 153, 153)),
    Label("guard rail", 14, 255, (180, 165, 180)),
    Label("bridge", 15, 255, (150, 100, 100)),
    Label("tunnel", 16, 255, (150, 120, 90)),
    Label("pole", 17, 5, (153, 153, 153)),
    Label("polegroup", 18, 255, (153, 153, 153)),
    Label("traffic light", 19, 6, (250, 170, 30)),
    Label("traffic sign", 20, 7, (220, 220, 0)),
    Label("vegetation", 21, 8, (107, 142, 35)),
    Label("terrain", 22, 9, (152, 251, 152)),
    Label("sky", 23, 10, (70, 130, 180)),
    Label("person", 24, 11, (220, 20, 60)),
    Label("rider", 25, 12, (255, 0, 0)),
    Label("car", 26, 13, (0, 0, 142)),
    Label("truck", 27, 14, (0, 0, 70)),
    Label("bus", 28, 15, (0, 60, 100)),
    Label("caravan", 29, 255, (0, 0, 90)),
    Label("trailer", 30, 255, (0, 0, 110)),
    Label("train", 31, 16, (0, 80, 100)),
    Label("motorcycle", 32, 17, (0, 0, 230)),
    Label("bicycle", 33, 18, (119, 11, 32)),
)  # the 35th, "license plate", has label id -1 and occurs in no gtFine file

TRAIN_LABELS = tuple(sorted((label for label in LABELS if label.train_id != IGNORE), key=lambda label: label.train_id))

# CamVid's 11 classes as SegNet's tutorial numbers them; 11 is not evaluated
CAMVID_CLASSES = (
    "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist",
)  # fmt: skip
CAMVID_IGNORE = 11
# (R, G, B) of these classes, as CamVid's label colours and SegNet's tutorial have them
CAMVID_COLORS = (
    (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0), (192, 128, 128),
    (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
)  # fmt: skip
# Cityscapes train id -> CamVid class; the inverse would lose classes, so it is the prediction that is mapped
CAMVID_FROM_TRAIN_ID = (3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10)


def train_ids_from_label_ids() -> List[int]:
    """Table of 256 train ids, indexed by the label id of a gtFine file; everything not evaluated is 255."""
    table = [IGNORE] * 256
    by_id: Dict[int, Label] = {label.label_id: label for label in LABELS}
    for label_id, label in by_id.items():
        table[label_id] = label.train_id
    return table
