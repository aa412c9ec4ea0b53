"""Releases are the checkout's business, and their tests are of Python 3.10 and newer."""

import pathlib
import sys

_THERE = (pathlib.Path(__file__).resolve().parents[2] / "scripts" / "dist.py").exists()

collect_ignore_glob = [] if sys.version_info >= (3, 10) and _THERE else ["test_*"]
