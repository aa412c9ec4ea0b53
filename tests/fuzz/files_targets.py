"""Calibration caches, plans, pictures, folders of a data set, the state of an evaluation. Runs on Python 3.6."""

import json
import os
import shutil

import cv2
import numpy as np

from ccc_jetson.calib.cache import differences, parse_cache, rewritten, tensorrt_version_number
from ccc_jetson.calib.sources import open_sources
from ccc_jetson.choices import MEMORY_POLICIES
from ccc_jetson.confusion import ConfusionMatrix
from ccc_jetson.datasets import Dataset, Sample, cityscapes, paired_folders
from ccc_jetson.engines.plan_header import looks_like_plan, plan_version
from ccc_jetson.errors import CccError
from ccc_jetson.images import read_frame, read_labels
from ccc_jetson.label_mapping import named_mapping
from ccc_jetson.runtime.eval_state import StateFile
from ccc_jetson.runtime.evaluation import Tally
from ccc_jetson.runtime.slots import Memory
from ccc_jetson.runtime.tuning import Tuning, read_tuning, write_tuning
from tests.doubles.calibrations import tiny_cache
from tests.doubles.manifests import PLAN
from tests.fuzz.law import check_error, check_text
from tests.fuzz.target import Target, place, written

_FINGERPRINT = {"ccc-jetson": "0.1.0", "model": "ab" * 32, "fit": "stretch"}
_SAMPLES = tuple(Sample("frame{}".format(index), "a.png", "b.png") for index in range(4))


def _cache(data):
    cache = parse_cache(data, "model.calib")
    check_text("\n".join(cache.warnings), "warnings")
    rewritten(cache, 8201), cache.ranges, cache.helper_rows
    differences(cache, tiny_cache())
    return cache


def _plan(data):
    looks_like_plan(data)
    return plan_version(data)


def _version(data):
    tensorrt_version_number(data.decode("utf-8", "surrogateescape"))


def _picture(data):
    path = written("picture", data)
    frame = read_frame(path)
    assert frame.ndim == 3 and frame.dtype == np.uint8
    try:
        labels = read_labels(path)
    except CccError as error:
        check_error(error)
    else:
        named_mapping("camvid").decode(labels, path)


def _pictures():
    rng = np.random.RandomState(3)
    frame, labels = rng.randint(0, 256, (6, 9, 3)).astype(np.uint8), rng.randint(0, 12, (6, 9)).astype(np.uint8)
    found = []
    for ending in (".png", ".jpg", ".bmp", ".pgm", ".webp", ".tiff"):
        found += [
            cv2.imencode(ending, image)[1].tobytes() for image in (frame, labels) if ending != ".pgm" or image.ndim == 2
        ]
    return [*found, cv2.imencode(".png", labels.astype(np.uint16))[1].tobytes(), b"P6 2 2 255\n" + bytes(12)]


def _folders(data):
    """A data set whose files have the names that stand in the input, a line each."""
    root = place("data set")
    shutil.rmtree(root, True)
    os.makedirs(root)
    for line in data.split(b"\n")[:40]:
        path = os.path.join(os.fsencode(root), *(part for part in line.split(b"/") if part not in (b"", b".", b"..")))
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb"):
                pass
        except (OSError, ValueError):  # no such name can be
            continue
    for find in (lambda: cityscapes(root), lambda: paired_folders(root + "/images", root + "/labels", "camvid", True)):
        try:
            found = find()
        except CccError as error:
            check_error(error)
        else:
            check_text("\n".join(found.notes), "notes")


def _folder_seeds():
    city = "leftImg8bit/val/bonn/bonn_{0:06d}_000019_leftImg8bit.png\n"
    city += "gtFine/val/bonn/bonn_{0:06d}_000019_gtFine_labelIds.png"
    pair = "images/frame{0}.png\nlabels/frame{0}.png\nlabels/frame{0}_gtFine_color.png"
    return ["\n".join(each.format(number) for number in range(3)).encode("ascii") for each in (city, pair)]


def _state_file(path):
    return StateFile(path, _FINGERPRINT, Dataset("data", _SAMPLES, named_mapping("camvid")))


def _state(data):
    tally = _state_file(written("eval.state", data)).load()
    return tally.done, tally.skipped, tally.matrix.to_json()


def _write_state(found):
    done, skipped, counts = found
    path = place("eval.state.written")
    _state_file(path).save(Tally(ConfusionMatrix.from_json(counts, path), done, skipped))
    with open(path, "rb") as file:
        return file.read()


def _state_seeds():
    matrix = ConfusionMatrix(11)
    matrix.counts[0, 0] = 5
    states = [
        _write_state((2, (("frame0", "broken"),), matrix.to_json())),
        _write_state((0, (), ConfusionMatrix(11).to_json())),
    ]
    other = json.loads(states[0].decode("ascii"))
    other["fingerprint"]["fit"] = "crop"
    return [*states, json.dumps(other).encode("ascii")]


def _list(data):
    """A list of frames, and the first frames of it."""
    for source in open_sources([written("frames.txt", data)]):
        for candidate in list(source.frames)[:3]:
            try:
                read_frame(candidate.path)
            except CccError as error:
                check_error(error)


def _tuning(data):
    sha256 = "ab" * 32
    written("model.engine.tuning.json", data)
    return read_tuning(place("model.engine"), sha256, "this machine")


def _tuning_seeds():
    tuning = Tuning(Memory(*MEMORY_POLICIES[:1] * len(Memory._fields)), True, {"graph": 2.5})
    path = place("written.engine")
    write_tuning(path, "ab" * 32, "this machine", tuning)
    with open(path + ".tuning.json", "rb") as file:
        return [file.read()]


TARGETS = (
    Target(
        "list of frames",
        _list,
        lambda: [b"# frames\npicture\nother.png\n../a/b.jpg\n", b"a.png"],
        ("calib/sources.py",),
    ),
    Target("tuning", _tuning, _tuning_seeds, ("runtime/tuning.py",), "json"),
    Target(
        "calibration cache",
        _cache,
        lambda: [
            tiny_cache().to_bytes(),
            b"TRT-8201-EntropyCalibration2\n(Unnamed Layer* 22) [Shuffle]_output: 0\na:b: 3c01\n",
        ],
        ("calib/cache.py",),
        "bytes",
        lambda cache: cache.to_bytes(),
    ),
    Target("TensorRT version", _version, lambda: [b"8.2.1.8", b"10.3.0", b"8.5.2-1+cuda11.4"], ("calib/cache.py",)),
    Target("plan", _plan, lambda: [PLAN], ("engines/plan_header.py",)),
    Target("picture", _picture, _pictures, ("src/ccc_jetson/images.py", "src/ccc_jetson/label_mapping.py")),
    Target("data set", _folders, _folder_seeds, ("src/ccc_jetson/datasets.py", "src/ccc_jetson/images.py")),
    Target("evaluation's state", _state, _state_seeds, ("runtime/eval_state.py",), "json", _write_state),
)
