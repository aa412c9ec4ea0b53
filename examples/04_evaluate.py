"""mIoU on labelled frames, class by class, and what is taken for what.

    python3 examples/04_evaluate.py model.onnx test/ testannot/ camvid

For Cityscapes it is ``evaluate(model, cityscapes=DIR, eval_size="full")``.
"""

import sys

import numpy as np

from ccc_jetson import CccError, evaluate


def main(model: str, images: str, labels: str, mapping: str) -> int:
    report = evaluate(model, images=images, labels=labels, mapping=mapping)
    names = list(report.class_iou)
    mistakes = report.confusion.astype(float)  # true classes down, predicted ones across, the last column no class
    mistakes /= np.maximum(mistakes.sum(axis=1, keepdims=True), 1)
    for number, (name, iou) in enumerate(report.class_iou.items()):
        wrong = mistakes[number, : len(names)].copy()
        wrong[number] = 0.0
        print("{:<16}{:6.3f}   {:4.0%} taken for {}".format(name, iou, wrong.max(), names[int(wrong.argmax())]))
    print("mIoU {:.4f}, pixel accuracy {:.4f}, {} frames".format(report.miou, report.pixel_accuracy, report.frames))
    with open("eval.json", "w") as file:
        file.write(report.to_json())  # ccc-report eval.json eval.html makes a page of it
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*(sys.argv[1:] or ["model.onnx", "test", "testannot", "camvid"])))
    except CccError as error:
        sys.exit("error: {}\n  -> {}".format(error, error.hint))
