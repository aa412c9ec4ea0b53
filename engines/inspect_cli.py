"""``ccc-inspect``: what is in a file, and what could each board do with it? Works anywhere, without a GPU."""

import argparse
import json
import os
import sys
from typing import Any, Dict, Optional, Sequence, Tuple

from ccc_jetson import __version__
from ccc_jetson.command import Parser, run_command
from ccc_jetson.errors import CccError, DependencyMissing, FileProblem
from ccc_jetson.file_kinds import CALIBRATION, CHECKPOINT, ENGINE, ONNX, kind_of
from ccc_jetson.progress import say

SCHEMA = 1
CHECKPOINTS_NEED = (3, 10)
EXAMPLE = """\
ccc-inspect model.onnx
ccc-inspect model.engine
ccc-inspect model.calib
ccc-inspect C3Net_setting2.pth --json"""
Inspected = Tuple[Dict[str, Any], str, Optional[CccError]]  # for JSON, for people, and what is wrong nevertheless


def build_parser() -> argparse.ArgumentParser:
    """The command line; pure."""
    parser = Parser(
        "ccc-inspect",
        "Say what a checkpoint or an ONNX file is: contract, layers, parameters, FLOPs, bytes moved, ranges of its\n"
        "weights, and what keeps which TensorRT from taking it. Of an engine: what it was built from, for which\n"
        "machine, and how it was judged; of the compiled kernels beside it: for which GPU. Of a calibration cache:\n"
        "for which TensorRT, its ranges, and where they come from. Needs no GPU and no TensorRT; nothing in the file\n"
        "is executed.\n"
        "Checkpoints are read on the workstation (Python 3.10 or newer), the others everywhere.",
        EXAMPLE,
    )
    parser.add_argument(
        "file", metavar="FILE", help=".onnx, .engine, .kernels, .calib, .pth, .pt, .safetensors; its content counts"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of the page")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(build_parser(), _work, argv)


def _work(arguments: argparse.Namespace) -> int:
    record, text, problem = _inspected(arguments.file)
    if arguments.json:
        head = {"schema": SCHEMA, "tool": "ccc-jetson " + __version__}
        print(json.dumps(dict(head, **record), indent=1, sort_keys=True))
    else:
        print(text)
    if problem is not None:
        sys.stdout.flush()
        raise problem
    return 0


def _inspected(path: str) -> Inspected:
    kind = kind_of(path)
    if kind == CALIBRATION:
        return _cache(path)
    if _is_provenance(path):
        return _cache(os.path.splitext(path)[0])
    if kind == CHECKPOINT:
        return _checkpoint(path)
    if kind == ONNX and _is_kernels(path):
        return _kernels(path)
    if kind == ENGINE or _is_json_object(path):
        return _engine(path, kind)
    return _onnx(path)


def _is_json_object(path: str) -> bool:
    """An engine's manifest is one; no ONNX file is."""
    with open(path, "rb") as file:
        return file.read(64).lstrip().startswith(b"{")


def _is_provenance(path: str) -> bool:
    """Of a calibration cache beside it, with which it is shown."""
    cache, suffix = os.path.splitext(path)
    try:
        return suffix == ".json" and kind_of(cache) == CALIBRATION
    except FileProblem:  # nothing is there, or nothing that is known
        return False


def _is_kernels(path: str) -> bool:
    """Its first line says so, or, where that is damaged, its name."""
    from ccc_jetson.engines.kernels_file import MAGIC, SUFFIX

    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC or path.endswith(SUFFIX)


def _kernels(path: str) -> Inspected:
    from ccc_jetson.engines.inspect_kernels import inspect_kernels, kernels_page

    report = inspect_kernels(path)
    return dict(report.to_json(), kind="kernels"), kernels_page(report), None


def _cache(path: str) -> Inspected:
    from ccc_jetson.calib.inspect_cache import cache_page, inspect_cache

    report = inspect_cache(path)
    return report.to_json(), cache_page(report), report.problem


def _engine(path: str, kind: str) -> Inspected:
    from ccc_jetson.engines.inspect_engine import engine_page, inspect_engine, inspect_manifest

    report = inspect_engine(path) if kind == ENGINE else inspect_manifest(path)
    return report.to_json(), engine_page(report), report.problem


def _onnx(path: str) -> Inspected:
    from ccc_jetson.engines.inspect_onnx import inspect_onnx  # here: numpy is no part of --help
    from ccc_jetson.engines.inspect_text import onnx_page

    report = inspect_onnx(path)
    record, problem = report.to_json(), report.carried.problem
    if report.pairs is None:
        return record, onnx_page(report), problem
    from ccc_jetson.calib.inspect_qdq import inspect_ranges

    ranges = inspect_ranges(report.file, report.carried.contract, path)
    record["int8"]["provenance"] = ranges.to_json()
    rows = ranges.rows() if problem is None else []  # with a damaged contract nobody can tell
    return record, onnx_page(report, rows), problem or ranges.problem


def _checkpoint(path: str) -> Inspected:
    if sys.version_info < CHECKPOINTS_NEED:
        raise FileProblem(
            "{}: is a checkpoint, which is inspected on the workstation with Python {}.{} or newer; this is "
            "Python {}.{}".format(path, *(CHECKPOINTS_NEED + sys.version_info[:2]))
        )
    say("starting PyTorch")
    try:
        from ccc_jetson.export.inspect_checkpoint import checkpoint_page, inspect_checkpoint
    except ImportError as error:
        raise DependencyMissing(
            "{}: is a checkpoint, and {} cannot be imported".format(path, error.name or error),
            hint='in the checkout: pip install ".[export]" --extra-index-url https://download.pytorch.org/whl/cpu',
        )
    report = inspect_checkpoint(path)
    return report.to_json(), checkpoint_page(report), None
