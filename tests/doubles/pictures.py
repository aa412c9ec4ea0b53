"""Folders of pictures on the disk, each unlike all others."""

import os

import numpy as np

from tests.doubles.labelled_frames import frame_picture, write_image


def write_pictures(folder, count, size=(64, 32), seed=11, name="picture{:03d}.png"):
    """Pictures in a folder, which is returned as text."""
    rng = np.random.RandomState(seed)
    for index in range(count):
        write_image(os.path.join(str(folder), name.format(index)), frame_picture(rng, *size))
    return str(folder)
