"""A picture to its classes, their shares, and an overlay.

    python3 examples/02_segment_a_picture.py model.onnx street.png overlay.png

The model may be an engine of this machine as well; nothing else changes.
"""

import sys

import cv2

from ccc_jetson import CccError, Segmenter


def main(model: str, picture: str, overlay: str) -> int:
    frame = cv2.imread(picture)  # (height, width, 3) uint8, blue first
    if frame is None:
        print("{} cannot be read".format(picture), file=sys.stderr)
        return 1
    with Segmenter.from_file(model) as segmenter:
        classes = segmenter(frame)  # (H, W) uint8 at the network's size
        print("{} on {}".format(segmenter.contract.architecture.title, segmenter.description))
        for name, share in segmenter.shares(classes).items():
            print("{:<16}{:6.1%}".format(name, share))
        cv2.imwrite(overlay, segmenter.overlay(frame, classes, legend=True))

        # the class of one pixel of the picture
        height, width = frame.shape[:2]
        whole = segmenter.at_frame_size(classes, (width, height))
        print("in the middle: {}".format(segmenter.class_names[whole[height // 2, width // 2]]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*(sys.argv[1:] or ["model.onnx", "street.png", "overlay.png"])))
    except CccError as error:
        sys.exit("error: {}\n  -> {}".format(error, error.hint))
