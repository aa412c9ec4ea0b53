"""What the pipeline costs: its end-to-end FPS divided by the FPS of the bare session.

    python benchmarks/pipeline_overhead.py MODEL.onnx VIDEO --pairs 5 --frames 60

Both run the same model with the same threads and the same treatment of denormals. The bare session gets one frame,
prepared once; the pipeline decodes, preprocesses and maps every frame, headless and then with an overlay video. Runs
alternate, because a machine's speed drifts, and each ratio is of neighbours. The aim is a median of 0.95 headless.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from typing import List, Sequence

from ccc_jetson.command import count_from, run_command
from ccc_jetson.preprocess import Preprocessor
from ccc_jetson.runtime.backends import open_backend
from ccc_jetson.runtime.backends.cpu import CpuBackend
from ccc_jetson.runtime.frames.video import VideoFile
from ccc_jetson.runtime.metrics import machine
from ccc_jetson.runtime.overlay import Overlay
from ccc_jetson.runtime.pipeline import Pipeline
from ccc_jetson.runtime.sinks import Sink
from ccc_jetson.runtime.sinks.shares import ClassShares
from ccc_jetson.runtime.sinks.video import OverlayVideo

TARGET = 0.95
WARM_UP = 2


def bare_fps(model: str, video: str, frames: int, threads: int) -> float:
    """Frames per second of the session alone."""
    with VideoFile(video) as source:
        frame = source.read()
    with CpuBackend(model, threads=threads) as backend:
        image = Preprocessor(backend.contract)(frame.image)
        outputs = [backend.contract.output.name]
        for _ in range(WARM_UP):
            backend.run(outputs, image)
        started = time.monotonic()
        for _ in range(frames):
            backend.run(outputs, image)
        return frames / (time.monotonic() - started)


def pipeline_fps(model: str, video: str, frames: int, threads: int, overlay_video: str = "") -> float:
    """Frames per second of the pipeline, as ``ccc-run`` sets it up."""
    with VideoFile(video) as source:
        with CpuBackend(model, threads=threads) as backend:
            contract = backend.contract
        sinks: List[Sink] = [ClassShares(contract)]
        if overlay_video:
            sinks.append(OverlayVideo(overlay_video, Overlay(contract), source.fps or 25.0))
        measured = Pipeline(source, lambda: open_backend(model, threads=threads), sinks, frames).run()
        for sink in sinks:
            sink.close()
        return measured.fps


def show(title: str, ratios: Sequence[float]) -> None:
    """One line with median, smallest and largest ratio."""
    print(
        "{}: median {:.3f}, min {:.3f}, max {:.3f}".format(title, statistics.median(ratios), min(ratios), max(ratios))
    )


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("video", metavar="VIDEO")
    parser.add_argument("--pairs", type=count_from(1), default=5)
    parser.add_argument("--frames", type=count_from(1), default=60, help="of each run")
    parser.add_argument("--threads", type=count_from(0), default=0, help="of ONNX Runtime; 0 takes all cores")
    return run_command(parser, compare)


def compare(arguments: argparse.Namespace) -> int:
    """Runs the pairs and prints them; exit code 1 where the median misses the target."""
    given = (arguments.model, arguments.video, arguments.frames, arguments.threads)
    print("on {}; {} frames a run".format(machine(), arguments.frames))
    headless: List[float] = []
    drawn: List[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(arguments.pairs):
            for title, ratios, path in (
                ("headless", headless, ""),
                ("overlay video", drawn, os.path.join(folder, "overlay.mp4")),
            ):
                bare = bare_fps(*given)
                whole = pipeline_fps(*given, overlay_video=path)
                ratios.append(whole / bare)
                print(
                    "pair {}, {:<13}  session {:6.2f} FPS  pipeline {:6.2f} FPS  ratio {:.3f}".format(
                        pair + 1, title, bare, whole, ratios[-1]
                    ),
                    flush=True,
                )
    show("headless", headless)
    show("overlay video", drawn)
    return 0 if statistics.median(headless) >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
