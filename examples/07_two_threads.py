"""Capture in one thread, the network in another: who may touch what.

    python3 examples/07_two_threads.py model.onnx drive.mp4

A segmenter belongs to the thread that opened it: the same one calls and closes it, and frames come to it through a
queue. Class maps are plain arrays and go anywhere. Reading and computing overlap; ``ccc-run`` does the same, and writes
results in a third thread.
"""

import queue
import sys
import threading
from typing import Any

import cv2
import numpy as np

from ccc_jetson import CccError, Segmenter


def capture(video: str, frames: "queue.Queue[Any]") -> None:
    """The thread that reads: frames, then None. A full queue makes it wait."""
    reader = cv2.VideoCapture(video)
    found, frame = reader.read()
    while found:
        frames.put(frame)
        found, frame = reader.read()
    frames.put(None)


def main(model: str, video: str) -> int:
    frames: "queue.Queue[Any]" = queue.Queue(maxsize=2)
    threading.Thread(target=capture, args=(video, frames), daemon=True).start()
    done = 0
    try:
        with Segmenter.from_file(model) as segmenter:
            while True:
                frame = frames.get()
                if frame is None:
                    break
                classes = segmenter(frame)
                done += 1
                print("frame {}: {} classes".format(done, len(np.unique(classes))))
    except CccError as error:
        print("error: {}\n  -> {}".format(error, error.hint), file=sys.stderr)
        return 1
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["model.onnx", "drive.mp4"])))
