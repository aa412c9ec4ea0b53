"""A checkpoint to a verified ONNX file, and what was verified.

    python3 examples/01_export.py ckpt.pth model.onnx [PICTURES]

Runs on the workstation (Python 3.10 or newer, ``pip install ".[export]"``).
"""

import sys

from ccc_jetson import CccError, export_onnx


def main(checkpoint: str, model: str, *pictures: str) -> int:
    try:
        exported = export_onnx(checkpoint, model, verify_images=pictures, say=print)
    except CccError as error:  # the one exception: what is wrong, and what to do about it
        print("error: {}\n  -> {}".format(error, error.hint), file=sys.stderr)
        return 1
    contract, worst = exported.contract, exported.worst
    print("wrote    {}: {}".format(exported.path, exported.description))
    print("input    {} x {}".format(contract.input.width, contract.input.height))
    print("classes  {}".format(", ".join(contract.class_names)))
    print("verified on {} frames: {:.4%} of the pixels in the worst".format(len(exported.frames), worst.argmax))
    if contract.half is not None:
        print("FP16     {}".format("safe" if contract.half.safe else "not safe"))
    for note in exported.notes:
        print("note     {}".format(note))
    return 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["ckpt.pth", "model.onnx"])))
