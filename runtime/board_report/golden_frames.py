"""The golden frames of a model as labelled frames on the disk: pictures, FP32's classes as label maps, and a mapping.

    python3 -m ccc_jetson.runtime.board_report.golden_frames model.onnx golden

What ``ccc-eval`` finds on them is no accuracy: it is how far an engine keeps FP32's classes, by the way that live use
takes, with OpenCV and the runtime's own kernels, where the gate has judged the engine alone.
"""

import argparse
import json
import os
import re
import sys
from typing import Optional, Sequence

from ccc_jetson.command import Parser, run_command
from ccc_jetson.errors import ContractError, UsageError


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(
        "golden-frames",
        "Writes a model's golden frames as labelled frames for ccc-eval.",
        "python3 -m ccc_jetson.runtime.board_report.golden_frames model.onnx golden",
    )
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("folder", metavar="FOLDER", help="gets images/, labels/ and mapping.json")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(build_parser(), _work, argv)


def _work(arguments: argparse.Namespace) -> int:
    from ccc_jetson.carried import contract_of
    from ccc_jetson.files import write_bytes, write_text
    from ccc_jetson.golden import GoldenFrame, read_golden
    from ccc_jetson.onnx_file import read_onnx
    from ccc_jetson.opencv import import_cv2

    cv2 = import_cv2()
    onnx_file = read_onnx(arguments.model)
    contract = contract_of(onnx_file, arguments.model)
    frames = [each for each in read_golden(contract, onnx_file, arguments.model) if isinstance(each, GoldenFrame)]
    if not frames:
        raise ContractError("{}: holds no golden frames with classes".format(arguments.model), hint="export it again")
    if len(set(contract.class_names)) != len(contract.class_names):
        raise UsageError("{}: two of its classes have one name".format(arguments.model))
    for name in ("images", "labels"):
        os.makedirs(os.path.join(arguments.folder, name), exist_ok=True)
    for index, each in enumerate(frames):
        name = "{:02d}_{}.png".format(index, re.sub(r"[^A-Za-z0-9]+", "_", each.name)[:40])
        for kind, array in (("images", each.frame), ("labels", each.class_map)):
            encoded, png = cv2.imencode(".png", array)
            if not encoded:
                raise UsageError("OpenCV cannot write PNG files here")
            write_bytes(os.path.join(arguments.folder, kind, name), png.tobytes())
    mapping = {
        "classes": list(contract.class_names),
        "label_to_class": {str(index): index for index in range(len(contract.class_names))},
        "ignore": [],
    }
    write_text(os.path.join(arguments.folder, "mapping.json"), json.dumps(mapping, indent=1) + "\n")
    print("{} golden frames in {}".format(len(frames), arguments.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
