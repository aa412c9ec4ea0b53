"""A loop of one's own over a camera or a video, and where the time goes.

    python3 examples/03_live_loop.py model.engine /dev/video0
    python3 examples/03_live_loop.py model.onnx drive.mp4

The source may be whatever ``ccc-run`` takes: a USB camera, ``csi://0``, ``rtsp://...``, a video, a folder of pictures.
Ctrl-C ends it.
"""

import sys
import time

from ccc_jetson import CccError, Segmenter

WATCHED = "person"


def main(model: str, source: str) -> int:
    frames, spent = 0, {"preprocess": 0.0, "infer": 0.0, "postprocess": 0.0}
    with Segmenter.from_file(model, fit="crop") as segmenter:
        began = time.monotonic()
        try:
            for frame, classes in segmenter.stream(source):
                frames += 1
                for stage, seconds in segmenter.seconds.items():
                    spent[stage] += seconds
                share = segmenter.shares(classes).get(WATCHED, 0.0)
                if share > 0.05:
                    print("{}: {:.0%} {}".format(frame.name, share, WATCHED))
        except KeyboardInterrupt:
            pass
        seconds = time.monotonic() - began
    if frames:
        print("{} frames, {:.1f} a second, one after the other".format(frames, frames / seconds))
        print(", ".join("{} {:.2f} ms".format(stage, 1000 * total / frames) for stage, total in spent.items()))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*(sys.argv[1:] or ["model.onnx", "/dev/video0"])))
    except CccError as error:
        sys.exit("error: {}\n  -> {}".format(error, error.hint))
