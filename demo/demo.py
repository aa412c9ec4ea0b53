"""The whole way on one machine: export, run, evaluate, look. Called by ``make demo``.

Without arguments it exports the small CCC2 in ``demo/weights`` (trained on drawn street scenes by ``demo/train.py``),
runs it on a drawn clip and scores it on drawn scenes that training never saw. With ``--checkpoint`` and ``--video`` the
same commands run on yours; the drawn scenes say nothing of another network, so it is not scored on them.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE / "weights" / "ccc2_scenes.safetensors"
PICTURES = 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "out", help="folder for everything it writes")
    parser.add_argument("--checkpoint", help="your checkpoint instead of the demonstration's")
    parser.add_argument("--video", help="your video instead of the drawn clip")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    model, overlay, run_report, eval_report = (
        out / name for name in ("model.onnx", "overlay.mp4", "run.json", "eval.json")
    )
    scored = arguments.checkpoint is None
    if scored or arguments.video is None:
        scenes = out / "scenes"
        command(sys.executable, HERE / "scenes_to_disk.py", scenes)
    video = arguments.video or scenes / "clip.mp4"
    command(tool("ccc-export"), arguments.checkpoint or WEIGHTS, model, "--target", "cpu")
    pages = [report.with_suffix(".html") for report in (run_report, eval_report)]
    words = ("--model", model, "--video", video, "--out", overlay, "--report", run_report, "--report", pages[0])
    command(tool("ccc-run"), *words)
    if scored:
        labelled = ["--images", scenes / "images", "--labels", scenes / "labels", "--mapping", "trainids"]
        command(tool("ccc-eval"), model, *labelled, "--report", eval_report, "--report", pages[1])
    pictures = write_pictures(str(overlay), out)
    print(f"\noverlay video  {overlay}\npictures       {pictures[0]} ... {pictures[-1].name}")
    print("reports        " + " ".join(str(page) for page in pages[: 1 + scored]))
    print(f"FPS            {json.loads(run_report.read_text())['fps']:.1f} (on this machine's CPU)")
    if scored:
        miou = json.loads(eval_report.read_text())["miou"]
        print(f"mIoU           {miou:.3f} (on drawn scenes that training never saw)")
        print("This network is a demonstration: it knows drawn streets only. For the authors' weights see README.md.")
    return 0


def tool(name: str) -> Path:
    """A command of this environment."""
    return Path(sys.executable).with_name(name)


def command(*words: object) -> None:
    """Shows a command and runs it; the demo ends with its exit code where it fails."""
    texts = [str(word) for word in words]
    print(f"\n$ {shlex.join([Path(texts[0]).name, *texts[1:]])}", flush=True)
    code = subprocess.call(texts)
    if code:
        sys.exit(code)


def write_pictures(video: str, out: Path) -> list[Path]:
    """A few frames of the overlay, evenly spread, as PNG."""
    capture = cv2.VideoCapture(video)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    paths = []
    for number, index in enumerate(np.linspace(0, count - 1, PICTURES).round().astype(int)):
        capture.set(cv2.CAP_PROP_POS_FRAMES, int(index))
        read, frame = capture.read()
        if read:
            paths.append(out / f"overlay{number}.png")
            cv2.imwrite(str(paths[-1]), frame)
    capture.release()
    return paths


if __name__ == "__main__":
    sys.exit(main())
