"""Every command that writes or reads files: how it is called, what it reads, what it writes, and when that is whole."""

import json
import os
import re
import sys
from typing import NamedTuple

from tests.doubles import cuda_driver
from tests.doubles.pictures import write_pictures
from tests.doubles.reports import benchmark_record, run_record
from tests.doubles.stages import video_frames, write_video
from tests.doubles.tiny_model import WIDTH, write_tiny_model

PROJECT = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "pyproject.toml")
OUT = "out"  # the folder of results, in the folder where a command runs
FRAMES = 8


class Command(NamedTuple):
    """A row of the table.

    ``arguments`` name results as ``out/NAME``; ``reads`` are the files that may be damaged, of folders the first;
    ``writes`` are the results; ``needs`` is the oldest Python; ``streams`` are results that a run which breaks off may
    leave, as far as it came; ``pair`` are two files that are of use together alone; ``device`` is the board.
    """

    name: str
    module: str
    arguments: tuple
    reads: tuple = ()
    writes: tuple = ()
    needs: tuple = (3, 6)
    streams: tuple = ()
    pair: tuple = ()
    device: str = "tx2"


COMMANDS = (
    Command(
        "ccc-export", "ccc_jetson.export.cli", ("weights.pth", "out/new.onnx", "--size", "64x32", "--no-passes"),
        ("weights.pth",), ("new.onnx",), (3, 10),
    ),
    Command(
        "ccc-calibrate", "ccc_jetson.calib.cli",
        ("model.onnx", "frames", "--tensorrt", "8.5.2", "--samples", "2", "--min-agreement", "0", "--threads", "1",
         "--out", "out/new.calib"),
        ("model.onnx", "frames"), ("new.calib", "new.calib.json"), (3, 10), pair=("new.calib", "new.calib.json"),
    ),
    Command(
        "ccc-calibrate --qdq", "ccc_jetson.calib.cli",
        ("model.onnx", "frames", "--qdq", "out/new.onnx", "--samples", "2", "--min-agreement", "0", "--threads", "1"),
        ("model.onnx", "frames"), ("new.onnx",), (3, 10),
    ),
    Command(
        "ccc-calibrate rewrite", "ccc_jetson.calib.cli",
        ("rewrite", "model.calib", "--tensorrt", "8.6.1", "--out", "out/new.calib"),
        ("model.calib", "model.calib.json"), ("new.calib", "new.calib.json"), pair=("new.calib", "new.calib.json"),
    ),
    Command(
        "ccc-build-engine", "ccc_jetson.engines.build_cli",
        ("model.onnx", "-o", "out/new.engine", "--fp16", "--rebuild", "--profile"),
        ("model.onnx",), ("new.engine", "new.engine.json", "new.engine.kernels", "new.layers.json"),
        pair=("new.engine", "new.engine.json"),
    ),
    Command(
        "ccc-build-engine --int8", "ccc_jetson.engines.build_cli",
        ("model.onnx", "-o", "out/new.engine", "--int8", "--calib", "frames", "--calib-samples", "2", "--rebuild",
         "--min-agreement", "0", "--no-kernels"),
        ("frames",), ("new.engine", "new.engine.json", "new.engine.calib", "new.engine.calib.json"),
        pair=("new.engine", "new.engine.json"), device="xavier",
    ),
    Command(
        "ccc-run (video)", "ccc_jetson.runtime.run_cli",
        ("drive.avi", "--model", "model.onnx", "--headless", "--threads", "1", "--out", "out/overlay.mp4",
         "--jsonl", "out/lines.jsonl", "--report", "out/run.json", "--report", "out/run.html"),
        ("model.onnx", "drive.avi"), ("overlay.mp4", "lines.jsonl", "run.json", "run.html"),
        streams=("lines.jsonl",),
    ),
    Command(
        "ccc-run (pictures)", "ccc_jetson.runtime.run_cli",
        ("frames", "--model", "model.onnx", "--headless", "--threads", "1", "--out", "out/overlays",
         "--class-maps", "out/masks", "--class-ids", "labelids", "--report", "out/run.md"),
        ("model.onnx", "frames"), ("overlays", "masks", "run.md"), streams=("overlays", "masks"),
    ),
    Command(
        "ccc-run (engine)", "ccc_jetson.runtime.run_cli",
        ("drive.avi", "--model", "model.engine", "--headless", "--no-cuda-graph", "--out", "out/overlay.mp4",
         "--report", "out/run.json"),
        ("model.engine", "model.engine.json", "model.engine.kernels"), ("overlay.mp4", "run.json"),
    ),
    Command(
        "ccc-eval", "ccc_jetson.runtime.eval_cli",
        ("model.onnx", "--images", "frames", "--labels", "labels", "--mapping", "trainids", "--threads", "1",
         "--resume", "out/state", "--report", "out/eval.json", "--report", "out/eval.html"),
        ("model.onnx", "frames", "labels"), ("eval.json", "eval.html"), streams=("state",),
    ),
    Command(
        "ccc-bench", "ccc_jetson.runtime.bench.cli",
        ("model.onnx", "--frames", "20", "--warm-up-frames", "2", "--warm-up-seconds", "0", "--threads", "1",
         "--report", "out/bench.json", "--report", "out/bench.md"),
        ("model.onnx",), ("bench.json", "bench.md"),
    ),
    Command(
        "ccc-bench compare", "ccc_jetson.runtime.bench.cli",
        ("compare", "a.json", "b.json", "--report", "out/ab.json", "--report", "out/ab.html"),
        ("a.json",), ("ab.json", "ab.html"),
    ),
    Command(
        "ccc-report", "ccc_jetson.runtime.reports.cli", ("run.json", "out/run.html", "out/run.md"),
        ("run.json",), ("run.html", "run.md"),
    ),
    Command(
        "ccc-inspect", "ccc_jetson.engines.inspect_cli", ("model.onnx", "--json"), ("model.onnx",),
    ),
    Command(
        "ccc-doctor", "ccc_jetson.runtime.doctor.cli",
        ("model.onnx", "--only", "models", "--only", "disk", "--json"), ("model.onnx",),
    ),
)  # fmt: skip


def modules_of_the_package():
    """The modules of all commands that are installed, as pyproject.toml names them."""
    with open(PROJECT) as file:
        return set(re.findall(r'^ccc-[a-z-]+ = "([a-z_.]+):main"', file.read(), re.MULTILINE))


def commands_here():
    """Those that this Python can run."""
    return [each for each in COMMANDS if sys.version_info >= each.needs]


def write_inputs(folder, with_checkpoint):
    """All that the commands read, in a folder; a checkpoint needs torch."""
    write_tiny_model(os.path.join(folder, "model.onnx"))
    write_pictures(os.path.join(folder, "frames"), 3)
    _write_labels(os.path.join(folder, "labels"))
    write_video(os.path.join(folder, "drive.avi"), FRAMES, (WIDTH, 48), codec="MJPG")
    before, after = benchmark_record([62.5, 64.0] * 60), benchmark_record([62.0, 63.0] * 60)
    for name, record in (("run.json", run_record()), ("a.json", before), ("b.json", after)):
        with open(os.path.join(folder, name), "w") as file:
            json.dump(record, file)
    from tests.doubles.calibrations import write_tiny_cache

    write_tiny_cache(os.path.join(folder, "model.calib"))
    if with_checkpoint:
        import torch

        from tests.export.conftest import small_state

        torch.save(small_state(), os.path.join(folder, "weights.pth"))


def _write_labels(folder):
    import cv2
    import numpy as np

    os.mkdir(folder)
    for number in range(3):
        labels = np.full((32, WIDTH), number, np.uint8)
        assert cv2.imwrite(os.path.join(folder, "picture{:03d}.png".format(number)), labels)


def environ_of(command):
    """What the board of a command adds to the environment."""
    everything = cuda_driver.environment(device=command.device)
    return {name: everything[name] for name in ("FAKECUDA", "STANDIN_FAULTS") if name in everything}


def why_not_whole(path, name):
    """What is wrong with a result; "" for nothing."""
    if os.path.isdir(path):
        return "; ".join(filter(None, (why_not_whole(os.path.join(path, each), each) for each in os.listdir(path))))
    try:
        _CHECKS[os.path.splitext(name)[1] or "." + name](path)
    except Exception as error:  # whatever a reader makes of it
        return "{} is not whole: {!r}".format(name, error)
    return ""


def _onnx(path):
    import onnx

    from ccc_jetson.runtime.backends import contract_of_model

    onnx.checker.check_model(onnx.load(path))
    contract_of_model(path)


def _json(path):
    with open(path) as file:
        json.load(file)


def _lines(path):
    with open(path) as file:
        text = file.read()
    assert not text or text.endswith("\n")
    for line in text.splitlines():
        json.loads(line)


def _html(path):
    with open(path) as file:
        assert file.read().rstrip().endswith("</html>")


def _markdown(path):
    with open(path) as file:
        assert file.read().startswith("#")


def _video(path):
    assert 1 <= len(video_frames(path)) <= FRAMES


def _picture(path):
    import cv2

    assert cv2.imread(path) is not None


def _cache(path):
    from ccc_jetson.calib.cache import read_cache

    read_cache(path)


def _engine(path):
    with open(path, "rb") as file:
        assert file.read(4)


def _kernels(path):
    from ccc_jetson.engines.kernels_file import read_kernels

    read_kernels(path)


_CHECKS = {
    ".onnx": _onnx,
    ".json": _json,
    ".jsonl": _lines,
    ".html": _html,
    ".md": _markdown,
    ".mp4": _video,
    ".png": _picture,
    ".calib": _cache,
    ".engine": _engine,
    ".kernels": _kernels,
    ".state": _json,
}


def why_no_pair(folder, command):
    """Whether the two files that are of use together fit each other; "" where they do, or one is not there yet."""
    if not command.pair or not all(os.path.exists(os.path.join(folder, name)) for name in command.pair):
        return ""
    path = os.path.join(folder, command.pair[0])
    try:
        if path.endswith(".engine"):
            from ccc_jetson.engines.manifest import read_manifest
            from ccc_jetson.engines.manifest_checks import check_plan

            check_plan(read_manifest(path), path)
        else:
            from ccc_jetson.calib.provenance import check_cache_bytes, read_provenance
            from ccc_jetson.files import read_bytes

            check_cache_bytes(read_provenance(path), read_bytes(path), path)
    except Exception as error:
        return "{} and {} do not fit: {}".format(*command.pair + (error,))
    return ""
