"""Labelled frames on the disk, made up: blocks of colour with blocks of labels that have nothing to do with them."""

import os

import cv2
import numpy as np

from ccc_jetson.carried import embed
from ccc_jetson.contract import Class
from tests.doubles.tiny_model import tiny_contract, tiny_graph


def write_image(path, image):
    """Writes a PNG file, with its folders, and returns its path as text."""
    path = str(path)
    if not os.path.isdir(os.path.dirname(path)):
        os.makedirs(os.path.dirname(path))
    assert cv2.imwrite(path, image)
    return path


def blocks(rng, values, width, height, channels=None, block=4):
    """(height, width) or (height, width, channels) uint8: blocks of random ones of ``values``."""
    small = (-(-height // block), -(-width // block)) + (() if channels is None else (channels,))
    picture = np.asarray(values, np.uint8)[rng.randint(0, len(values), small)]
    return np.ascontiguousarray(picture.repeat(block, axis=0).repeat(block, axis=1)[:height, :width])


def frame_picture(rng, width, height):
    """A frame, BGR."""
    return blocks(rng, range(256), width, height, 3, block=2)


def write_pairs(folder, count=3, values=range(12), size=(64, 32), label_size=None, seed=3):
    """``folder``/images and ``folder``/labels; returns both as text."""
    rng = np.random.RandomState(seed)
    images, labels = os.path.join(str(folder), "images"), os.path.join(str(folder), "labels")
    for index in range(count):
        name = "frame{:02d}.png".format(index)
        write_image(os.path.join(images, name), frame_picture(rng, *size))
        write_image(os.path.join(labels, name), blocks(rng, values, *(label_size or size)))
    return images, labels


def write_cityscapes(root, frames=(("bonn", 2), ("aachen", 2)), split="val", size=(64, 32), seed=5, values=range(34)):
    """Cityscapes' layout with all label ids; returns its folder as text."""
    rng = np.random.RandomState(seed)
    for city, count in frames:
        for index in range(count):
            stem = "{}_{:06d}_000019".format(city, index)
            image = os.path.join(str(root), "leftImg8bit", split, city, stem + "_leftImg8bit.png")
            write_image(image, frame_picture(rng, *size))
            gt = os.path.join(str(root), "gtFine", split, city, stem + "_gtFine_")
            write_image(gt + "labelIds.png", blocks(rng, values, *size))
            write_image(gt + "color.png", frame_picture(rng, *size))
    return str(root)


def write_model_with_void(path):
    """The tiny model with its 19th output as void, as the official networks' 20th is; returns the path as text."""
    contract = tiny_contract()
    classes = contract.classes[:-1] + (Class("void", (0, 0, 0), 255, 0),)
    contract = contract._replace(classes=classes, head=None)
    with open(str(path), "wb") as file:
        file.write(embed(tiny_graph(contract).SerializeToString(), contract, {}))
    return str(path)
