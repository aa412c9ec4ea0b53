"""What flushing denormal numbers saves: time of one ONNX Runtime session against another's, frame by frame.

    python benchmarks/plain_export.py CKPT PLAIN.onnx
    ccc-export CKPT MODEL.onnx --passes flush-denormals fold-batchnorm
    python benchmarks/denormals.py PLAIN.onnx MODEL.onnx --image STREET.png

The authors' weights hold denormal numbers and so do the networks' activations; a CPU computes with them tens of times
more slowly. PLAIN.onnx is an export that keeps them, such as ``torch.onnx.export`` writes; MODEL.onnx is ccc-export's,
whose contract says how the picture becomes an input; other passes would make it a graph with other inputs. Every run
is a process of its own, because ONNX Runtime sets the mode of a process with its first session. Runs alternate, and
each ratio is of neighbours.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import List

from ccc_jetson.command import count_from, run_command
from ccc_jetson.runtime.metrics import machine

WARM_UP = 2
FLUSHED = ("none", "first", "second", "both")


def measure(model: str, input_file: str, frames: int, threads: int, flush: bool) -> float:
    """Median milliseconds of a frame, in this process."""
    import numpy as np
    import onnxruntime

    from ccc_jetson.runtime.denormals import denormals_are_flushed, flush_denormals

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.set_denormal_as_zero", "1" if flush else "0")
    if flush:
        flush_denormals()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    assert denormals_are_flushed() == flush
    given = {session.get_inputs()[0].name: np.load(input_file)}
    outputs = [session.get_outputs()[0].name]
    times_ms: List[float] = []
    for index in range(WARM_UP + frames):
        started = time.perf_counter()
        session.run(outputs, given)
        if index >= WARM_UP:
            times_ms.append(1000 * (time.perf_counter() - started))
    return statistics.median(times_ms)


def measured_in_child(model: str, input_file: str, frames: int, threads: int, flush: bool) -> float:
    """``measure`` in a process of its own."""
    arguments = json.dumps([model, input_file, frames, threads, flush])
    return float(subprocess.check_output([sys.executable, os.path.abspath(__file__), "--child", arguments]))


def write_input(model: str, image: str, path: str) -> None:
    """The input that the contract of ``model`` makes of the picture, as .npy."""
    import numpy as np

    from ccc_jetson.carried import read_contract
    from ccc_jetson.images import read_frame
    from ccc_jetson.preprocess import Preprocessor

    np.save(path, Preprocessor(read_contract(model))(read_frame(image)))


def main() -> int:
    """Entry point."""
    if sys.argv[1:2] == ["--child"]:
        print(measure(*json.loads(sys.argv[2])))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", metavar="PLAIN.onnx")
    parser.add_argument("second", metavar="MODEL.onnx", help="has a contract")
    parser.add_argument("--image", metavar="FILE", required=True, help="a street scene")
    parser.add_argument("--pairs", type=count_from(1), default=5)
    parser.add_argument("--frames", type=count_from(1), default=10, help="of each run")
    parser.add_argument("--threads", type=count_from(0), default=0, help="of ONNX Runtime; 0 takes all cores")
    parser.add_argument("--flush", choices=FLUSHED, default="second", help="which run without denormals")
    return run_command(parser, compare)


def compare(arguments: argparse.Namespace) -> int:
    """Runs the pairs and prints them."""
    settings = (
        (arguments.first, arguments.flush in ("first", "both")),
        (arguments.second, arguments.flush in ("second", "both")),
    )
    print("on {}; {} frames a run, medians".format(machine(), arguments.frames))
    for title, (model, flush) in zip(("first: ", "second:"), settings):
        print("{} {}, denormals {}".format(title, model, "are zero" if flush else "are computed with"))
    ratios: List[float] = []
    with tempfile.TemporaryDirectory() as folder:
        input_file = os.path.join(folder, "input.npy")
        write_input(arguments.second, arguments.image, input_file)
        for pair in range(arguments.pairs):
            first_ms, second_ms = (
                measured_in_child(model, input_file, arguments.frames, arguments.threads, flush)
                for model, flush in settings
            )
            ratios.append(first_ms / second_ms)
            print(
                "pair {}  first {:8.1f} ms  second {:8.1f} ms  ratio {:.2f}".format(
                    pair + 1, first_ms, second_ms, ratios[-1]
                ),
                flush=True,
            )
    print(
        "the second is faster by a factor of {:.2f} (median; {:.2f} to {:.2f})".format(
            statistics.median(ratios), min(ratios), max(ratios)
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
