"""Checkpoints and files of class names, which are read on the workstation alone."""

import io
import pickle
import zipfile

import torch
from safetensors.torch import save

from ccc_jetson.export.checkpoint import load_checkpoint
from ccc_jetson.export.classes import read_classes
from tests.fuzz.graph_targets import run_inspect
from tests.fuzz.target import Target, written

_STATE = {"encoder.weight": torch.arange(6.0).reshape(2, 3), "encoder.count": torch.tensor(4)}
_ENDINGS = {b"s": "c.safetensors", b"o": "c.pth"}


def _checkpoint(data):
    load_checkpoint(written(_ENDINGS.get(data[:1], "c.pth"), data[1:]))


def _inspected(data):
    run_inspect(written(_ENDINGS.get(data[:1], "c.pth"), data[1:]))


def _saved(state, **more):
    out = io.BytesIO()
    torch.save(state, out, **more)
    return out.getvalue()


def _checkpoints():
    half = {"w": torch.ones(3, dtype=torch.float16), "b": torch.zeros(1, dtype=torch.bfloat16)}
    wrapped = {"model": {"module.w": torch.ones(2)}, "epoch": 3}
    plain = _saved(_STATE)
    deflated = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain)) as archive, zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    return [
        b"z" + plain,
        b"z" + _saved(half),
        b"z" + _saved(wrapped, _use_new_zipfile_serialization=False),
        b"z" + _saved(_STATE, pickle_protocol=4),
        b"z" + deflated.getvalue(),
        b"s" + save(_STATE),
        b"s" + save(half),
        b"z" + pickle.dumps({"a": 1}),
    ]


def _classes(data):
    read_classes(written("classes.txt", data), 2)


TARGETS = (
    Target("checkpoint", _checkpoint, _checkpoints, ("export/checkpoint.py",), "pickled"),
    Target(
        "ccc-inspect CHECKPOINT",
        _inspected,
        _checkpoints,
        ("export/checkpoint.py", "export/inspect_checkpoint.py", "export/networks/registry.py"),
        "pickled",
    ),
    Target(
        "class names",
        _classes,
        lambda: [b"road\ncar\n", b'["road", {"name": "car", "color": [1, 2, 3], "train_id": 13, "label_id": 26}]'],
        ("export/classes.py",),
        "json",
    ),
)
