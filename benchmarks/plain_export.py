"""A checkpoint as PyTorch's exporter alone writes it: denormal weights kept, nothing simplified, no contract.

    python benchmarks/plain_export.py CKPT PLAIN.onnx

The other side of ``benchmarks/denormals.py``.
"""

import argparse
import sys

from ccc_jetson.command import Parser, run_command
from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.networks.registry import recognise
from ccc_jetson.export.onnx_graph import torch_export
from ccc_jetson.files import check_output, write_bytes
from ccc_jetson.targets import DEFAULT_TARGET, target_named

SHAPE = (1, 3, 512, 1024)


def work(arguments: argparse.Namespace) -> int:
    check_output(arguments.onnx, [arguments.checkpoint])
    network = recognise(load_checkpoint(arguments.checkpoint).state, arguments.checkpoint).module
    model = torch_export(network, SHAPE, "class_map", target_named(DEFAULT_TARGET))
    write_bytes(arguments.onnx, model.SerializeToString())
    return 0


def main() -> int:
    parser = Parser("plain_export.py", __doc__, "python benchmarks/plain_export.py CKPT PLAIN.onnx")
    parser.add_argument("checkpoint", metavar="CKPT")
    parser.add_argument("onnx", metavar="PLAIN.onnx")
    return run_command(parser, work)


if __name__ == "__main__":
    sys.exit(main())
