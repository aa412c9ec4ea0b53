"""A network with classes of one's own: their names, colours, and what follows from them.

    python3 examples/06_own_classes.py own.pth own.onnx picture.png

The checkpoint's network has five classes here. Their names go in at the export, travel in the file's contract, and come
out wherever it is run, evaluated or looked at.
"""

import json
import sys

import cv2

from ccc_jetson import CccError, Segmenter, export_onnx

CLASSES = [
    {"name": "floor", "color": [128, 64, 128]},
    {"name": "wall", "color": [70, 70, 70]},
    {"name": "shelf", "color": [190, 153, 153]},
    {"name": "person", "color": [220, 20, 60]},
    {"name": "forklift", "color": [0, 0, 142]},
]


def main(checkpoint: str, model: str, picture: str) -> int:
    frame = cv2.imread(picture)
    if frame is None:
        print("{} cannot be read".format(picture), file=sys.stderr)
        return 1
    with open("classes.json", "w") as file:
        json.dump(CLASSES, file)
    exported = export_onnx(checkpoint, model, classes="classes.json", target="cpu")
    print("classes: {}".format(", ".join(exported.contract.class_names)))
    with Segmenter.from_file(model) as segmenter:
        classes = segmenter(frame)
        person = segmenter.class_names.index("person")
        print("person: {} of {} pixels".format(int((classes == person).sum()), classes.size))
        cv2.imwrite("classes.png", segmenter.colors(classes))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*(sys.argv[1:] or ["own.pth", "own.onnx", "picture.png"])))
    except CccError as error:
        sys.exit("error: {}\n  -> {}".format(error, error.hint))
