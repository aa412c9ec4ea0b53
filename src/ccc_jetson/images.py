"""Reading pictures: frames as OpenCV's BGR, label maps as they are stored."""

import os
from typing import List

import numpy as np

from ccc_jetson.errors import FileProblem
from ccc_jetson.files import check_ordinary
from ccc_jetson.opencv import MOST_PIXELS, import_cv2, most_pixels

_MOST_PIXELS_A_BYTE = 8 * 1032  # of a bit each, in a PNG: deflate makes no less of them
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".tif", ".tiff")


def list_images(paths: List[str]) -> List[str]:
    """The picture files in ``paths``: files as given, folders by their sorted pictures (not their subfolders).

    Raises:
        FileProblem: a path does not exist, or no picture was found.
    """
    found: List[str] = []
    for path in paths:
        if os.path.isdir(path):
            names = sorted(name for name in os.listdir(path) if name.lower().endswith(SUFFIXES))
            found.extend(os.path.join(path, name) for name in names)
        elif os.path.isfile(path):
            found.append(path)
        else:
            raise FileProblem("{}: no such file or folder".format(path))
    if not found:
        raise FileProblem(
            "{}: no pictures found".format(", ".join(paths)), hint="expected files ending in " + " ".join(SUFFIXES)
        )
    return found


def read_frame(path: str) -> np.ndarray:
    """A picture as (H, W, 3) uint8 in B, G, R order, EXIF orientation applied."""
    cv2 = import_cv2()
    return _decoded(path, cv2.IMREAD_COLOR)


def read_labels(path: str) -> np.ndarray:
    """A label map as (H, W) uint8, the stored numbers.

    Raises:
        FileProblem: unreadable, more than one channel, or more than eight bits.
    """
    cv2 = import_cv2()
    labels = _decoded(path, cv2.IMREAD_UNCHANGED)
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise FileProblem(
            "{}: a label map has one channel of 8 bits, this has shape {} and type {}".format(
                path, "x".join(str(size) for size in labels.shape), labels.dtype
            ),
            hint="use the files with class numbers (in Cityscapes *_gtFine_labelIds.png), not those with colours",
        )
    return labels


def _decoded(path: str, flags: int) -> np.ndarray:
    cv2 = import_cv2()
    check_ordinary(path)
    try:
        data = np.fromfile(path, dtype=np.uint8)  # not cv2.imread: that one gives no reason
    except OSError as error:
        raise FileProblem("{}: cannot be read: {}".format(path, error.strerror))
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        limit = most_pixels()
        may_be_large = not limit.isdigit() or data.size * _MOST_PIXELS_A_BYTE > int(limit)  # it may be "1GB"
        raise FileProblem(
            "{}: is no picture that OpenCV can decode".format(path),
            hint="if it has more than {} pixels, and memory is there: export {}=N, before OpenCV is loaded".format(
                limit, MOST_PIXELS
            )
            if may_be_large
            else "",
        )
    return image
