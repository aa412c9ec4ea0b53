"""``ccc-calibrate rewrite`` and ``ccc-calibrate diff``: what can be done with calibration caches, on any machine."""

import argparse
import hashlib
import json
import os
from typing import Any, Dict, List, Sequence

from ccc_jetson.clean_text import clean, listed
from ccc_jetson.command import Parser, run_command
from ccc_jetson.errors import CccError, UsageError
from ccc_jetson.files import check_output, write_bytes
from ccc_jetson.tables import aligned_table

_SHOWN = 20
_TROUBLE = 2  # of diff, as diff(1) has it
_CALIBRATORS = ("entropy2", "minmax")


def build_rewrite_parser() -> argparse.ArgumentParser:
    """The command line of ``ccc-calibrate rewrite``."""
    parser = Parser(
        "ccc-calibrate rewrite",
        "Gives a calibration cache another first line, so that another TensorRT or calibrator takes it. The ranges of\n"
        "ONNX tensors mean the same everywhere; rows of tensors that TensorRT itself numbered are named, for another\n"
        "version may number them otherwise. The provenance keeps the old first line.",
        "ccc-calibrate rewrite model.calib --tensorrt 8.6.1 --out model-8.6.calib",
    )
    parser.add_argument("cache", metavar="CACHE")
    parser.add_argument("--tensorrt", metavar="VERSION", required=True, help="that shall take it: 8.6.1")
    parser.add_argument("--algorithm", choices=_CALIBRATORS, help="whose calibrator shall take it; default: as it is")
    parser.add_argument("--out", metavar="FILE", required=True, help="the new cache; its provenance lies beside it")
    return parser


def build_diff_parser() -> argparse.ArgumentParser:
    """The command line of ``ccc-calibrate diff``."""
    parser = Parser(
        "ccc-calibrate diff",
        "Compares the ranges of two calibration caches, by tensor and to the bit. Exit code: 1 where they differ,\n"
        "2 where they cannot be read.",
        "ccc-calibrate diff entropy.calib minmax.calib",
    )
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def main(words: Sequence[str]) -> int:
    """Runs the command whose name is the first word; returns its exit code."""
    if words[0] == "rewrite":
        return run_command(build_rewrite_parser(), _rewrite, words[1:])
    return run_command(build_diff_parser(), _diff, words[1:])


def _rewrite(arguments: argparse.Namespace) -> int:
    from ccc_jetson.calib.cache import ENTROPY_2, MIN_MAX, parse_cache, read_cache_bytes, rewritten
    from ccc_jetson.calib.cache import tensorrt_version_number as number_of
    from ccc_jetson.calib.provenance import check_cache_bytes, provenance_path, read_provenance, write_cache

    path, out = arguments.cache, arguments.out
    for each in (out, provenance_path(out)):
        check_output(each, [path, provenance_path(path)], "--out")
    version = number_of(arguments.tensorrt)
    if version >= 110000:
        raise UsageError("TensorRT 11 takes no calibration cache", hint="ccc-calibrate MODEL.onnx IMAGES --qdq FILE")
    data = read_cache_bytes(path)
    cache = parse_cache(data, path)
    provenance = read_provenance(path)
    if provenance is None and os.path.exists(provenance_path(out)):
        raise UsageError(
            "--out {}: {} is there, of another cache; the new one would have none".format(out, provenance_path(out)),
            hint="remove it, or choose another name",
        )
    if provenance is not None:
        check_cache_bytes(provenance, data, path)
    algorithm = {None: None, "entropy2": ENTROPY_2, "minmax": MIN_MAX}[arguments.algorithm]
    new = rewritten(cache, version, algorithm)
    new_data = new.to_bytes()
    if provenance is None:
        write_bytes(out, new_data)
    else:
        sha256 = hashlib.sha256(new_data).hexdigest()
        first = provenance.rewritten_from or cache.header
        origin = "" if first == new.header else first
        write_cache(out, new_data, provenance._replace(cache_sha256=sha256, rewritten_from=origin))
    print("{}: {} is {} now".format(out, cache.header, new.header))
    if new.helper_rows:
        print(
            "{} rows are of tensors that TensorRT itself numbered, and may be of others in another version: {}".format(
                len(new.helper_rows), listed(new.helper_rows)
            )
        )
    if provenance is None:
        print("{}: has no provenance, so neither has the new one".format(path))
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    from ccc_jetson.calib.cache import differences, read_cache

    try:
        here, there = read_cache(arguments.a), read_cache(arguments.b)
    except CccError as problem:
        problem.exit_code = _TROUBLE
        raise
    found = differences(here, there)
    same = not (found.only_here or found.only_there or found.changed)
    if arguments.json:
        print(json.dumps(_record(here.header, there.header, found), indent=1, allow_nan=False))
        return 0 if same else 1
    print("{}: {}, {} tensors".format(arguments.a, here.header, len(here.scales)))
    print("{}: {}, {} tensors".format(arguments.b, there.header, len(there.scales)))
    for path, names in ((arguments.a, found.only_here), (arguments.b, found.only_there)):
        if names:
            print("only in {}: {}".format(path, listed(names, _SHOWN)))
    if found.changed:
        rows = [["tensor", "A", "B", "B / A"]]
        for each in found.changed[:_SHOWN]:
            numbers = ["{:.6g}".format(value) for value in (each.amax, each.other_amax, each.ratio)]
            rows.append([clean(each.name)] + numbers)
        print(aligned_table(rows, left=(0,)))
        if len(found.changed) > _SHOWN:
            print("and {} more".format(len(found.changed) - _SHOWN))
    if same:
        print("all ranges are the same")
    return 0 if same else 1


def _record(here: str, there: str, found: Any) -> Dict[str, Any]:
    changed: List[Dict[str, Any]] = [
        {"tensor": each.name, "a": each.amax, "b": each.other_amax, "ratio": each.ratio if each.amax else None}
        for each in found.changed
    ]
    return {
        "a": here,
        "b": there,
        "only_a": list(found.only_here),
        "only_b": list(found.only_there),
        "changed": changed,
    }
