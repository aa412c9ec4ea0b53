"""A stand-in for pycuda, of the version in STANDIN_PYCUDA; the package ``tensorrt`` beside it says how to steer it."""

import os

from standin_faults import missing_module

missing_module("pycuda_missing", "pycuda")

VERSION_TEXT = os.environ.get("STANDIN_PYCUDA", "2022.1")
VERSION = tuple(int(part) for part in VERSION_TEXT.split("."))
