#!/usr/bin/env python3
"""Writes street scenes to disk: a clip to run the demonstration on, and a labelled held-out set to score it.

OUT_DIR/clip.mp4 is a drive down one street at 25 frames a second; OUT_DIR/images/*.png and OUT_DIR/labels/*.png are
pictures and their Cityscapes train ids (255: not scored), from seeds that training never sees.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ccc_jetson.command import Parser, run_command, size
from ccc_jetson.errors import SinkError, UsageError
from ccc_jetson.export.scenes import street_scene
from ccc_jetson.files import replacing, translated_os_errors
from ccc_jetson.progress import Progress

FPS = 25
CLIP_SEED = 129  # a sunny street with people, parked cars and traffic; training starts at 1_000_000
FIRST_HELD_OUT = 0
MOST_HELD_OUT = 50
SCENE_WIDTH, SCENE_HEIGHT = 1024, 512


def write_clip(path: Path, seed: int, frames: int, size: tuple[int, int]) -> None:
    """Writes a drive of so many frames as MPEG-4, 25 of them a second."""
    with replacing(str(path)) as temporary, Progress("clip", frames) as progress:
        writer = cv2.VideoWriter(temporary, cv2.VideoWriter_fourcc(*"mp4v"), FPS, size)
        if not writer.isOpened():
            raise SinkError(f"{path}: OpenCV cannot write MPEG-4 video", hint="install opencv-python with FFmpeg")
        try:
            for number in range(frames):
                writer.write(street_scene(seed, *size, time_s=number / FPS).frame)
                progress.step()
        finally:
            writer.release()


def write_labelled(folder: Path, count: int) -> None:
    """Writes held-out pictures and their labels as PNG, the same name in ``images`` and ``labels``."""
    for name in ("images", "labels"):
        make_folder(folder / name)
    with Progress("scenes", count) as progress:
        for seed in range(FIRST_HELD_OUT, FIRST_HELD_OUT + count):
            scene = street_scene(seed, SCENE_WIDTH, SCENE_HEIGHT)
            for name, picture in (("images", scene.frame), ("labels", scene.labels)):
                write_png(folder / name / f"scene_{seed:04d}.png", picture)
            progress.step()


def write_png(path: Path, picture: np.ndarray) -> None:
    """Writes one picture, whole or not at all."""
    with replacing(str(path)) as temporary:
        if not cv2.imwrite(temporary, picture):
            raise SinkError(f"{path}: cannot be written", hint="the disk may be full")


def make_folder(path: Path) -> None:
    """Makes a folder and those above it where they are missing."""
    with translated_os_errors(str(path)):
        path.mkdir(parents=True, exist_ok=True)


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        "scenes_to_disk.py",
        __doc__,
        "python demo/scenes_to_disk.py /tmp/scenes --clip-seconds 6 --clip-size 1280x640 --count 24",
    )
    parser.add_argument("out_dir", type=Path, help="folder to write to; made if it is missing")
    parser.add_argument("--clip-seconds", type=float, default=6.0, help="length of the clip (default 6)")
    parser.add_argument("--clip-size", type=size, default="1280x640", help="of the clip in pixels (default 1280x640)")
    parser.add_argument("--clip-seed", type=int, default=CLIP_SEED, help=f"street of the clip (default {CLIP_SEED})")
    parser.add_argument("--count", type=int, default=24, help="labelled pictures, at most 50 (default 24)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(build_parser(), _work, argv)


def _work(args: argparse.Namespace) -> int:
    if not 0 < args.clip_seconds < math.inf:
        raise UsageError(f"a clip of {args.clip_seconds:g} seconds has no frame, or no end")
    if not 0 <= args.count <= MOST_HELD_OUT:
        raise UsageError(f"there are {MOST_HELD_OUT} held-out scenes, not {args.count}")
    clip, frames = args.out_dir / "clip.mp4", max(round(args.clip_seconds * FPS), 1)
    street_scene(args.clip_seed, *args.clip_size)  # refuses what cannot be drawn before anything is written
    write_labelled(args.out_dir, args.count)
    write_clip(clip, args.clip_seed, frames, args.clip_size)
    width, height = args.clip_size
    print(f"{clip}: {frames} frames of {width}x{height} at {FPS} frames a second")
    print(f"{args.out_dir}: {args.count} labelled pictures of {SCENE_WIDTH}x{SCENE_HEIGHT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
