"""What is in a calibration cache, and where does it come from? Behind ``ccc-inspect``."""

import hashlib
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ccc_jetson.calib.cache import CalibrationCache, parse_cache, read_cache_bytes, tensorrt_version_text
from ccc_jetson.calib.provenance import Provenance, check_cache_bytes, provenance_path, read_provenance
from ccc_jetson.clean_text import listed
from ccc_jetson.engines.inspect_text import Row, agreement_text, errors_text, page
from ccc_jetson.errors import CccError
from ccc_jetson.json_records import plain


class CacheReport(NamedTuple):
    """A calibration cache. ``provenance`` is None where there is none, or ``problem`` with it."""

    path: str
    size_bytes: int
    sha256: str
    cache: CalibrationCache
    provenance: Optional[Provenance]
    problem: Optional[CccError]

    def to_json(self) -> Dict[str, Any]:
        """The report for machines; ``ranges`` are pairs of tensor and amax, in the file's order."""
        cache = self.cache
        return {
            "kind": "calibration",
            "path": self.path,
            "bytes": self.size_bytes,
            "sha256": self.sha256,
            "tensorrt": tensorrt_version_text(cache.version),
            "algorithm": cache.algorithm,
            "ranges": [list(each) for each in cache.ranges],
            "zero_scales": list(cache.zero_scales),
            "helper_rows": list(cache.helper_rows),
            "provenance": None if self.provenance is None else plain(self.provenance),
            "problem": None if self.problem is None else str(self.problem),
        }


def inspect_cache(path: str) -> CacheReport:
    """Reads a cache and what lies beside it.

    Raises:
        FileProblem: the cache is missing or damaged.
    """
    data = read_cache_bytes(path)
    cache = parse_cache(data, path)
    provenance, problem = None, None
    try:
        provenance = read_provenance(path)
        if provenance is not None:
            check_cache_bytes(provenance, data, path)
    except CccError as error:
        provenance, problem = None, error
    return CacheReport(path, len(data), hashlib.sha256(data).hexdigest(), cache, provenance, problem)


def cache_page(report: CacheReport) -> str:
    """The page of a calibration cache."""
    cache = report.cache
    text = "{}: TensorRT calibration cache, {:,} tensors, {:.1f} kB"
    rows: List[Row] = [
        ("file", text.format(report.path, len(cache.scales), report.size_bytes / 1e3)),
        ("sha256", report.sha256),
        ("for", "TensorRT {}, {}".format(tensorrt_version_text(cache.version), cache.algorithm)),
    ]
    rows += _range_rows(cache)
    if report.provenance is not None:
        rows += _provenance_rows(report.provenance)
    elif report.problem is None:
        rows.append(
            ("provenance", "none ({}): pictures and preprocessing unknown".format(provenance_path(report.path)))
        )
    else:
        rows.append(("provenance", "not this file's, or damaged: {}".format(report.problem)))
    return page(rows)


def _range_rows(cache: CalibrationCache) -> List[Row]:
    others = [each for each in cache.ranges if each[1] > 0]
    rows: List[Row] = []
    if others:
        name, amax = max(others, key=_amax)
        rows.append(("largest", "{:.6g} in {}".format(amax, name)))
        name, amax = min(others, key=_amax)
        rows.append(("smallest", "{:.6g} in {}".format(amax, name)))
    zeros, helpers = cache.zero_scales, cache.helper_rows
    if zeros:
        rows.append(("zero", "{:,} tensors are taken for always zero: {}".format(len(zeros), listed(zeros))))
    if helpers:
        text = "{:,} of layers that TensorRT's parser adds, which another version numbers otherwise: {}"
        rows.append(("helpers", text.format(len(helpers), listed(helpers))))
    return rows


def _amax(each: Tuple[str, float]) -> float:
    return each[1]


def _provenance_rows(found: Provenance) -> List[Row]:
    rows = [
        ("made by", maker_text(found)),
        ("ranges", way_text(found)),
        ("frames", "SHA-256 of names and contents {}".format(found.images_sha256)),
        ("model", "SHA-256 {}".format(found.onnx_sha256)),
        ("contract", "SHA-256 {}".format(found.contract_sha256)),
    ]
    rows += [("takes", "{} {}".format(name, _value(value))) for name, value in sorted(found.preprocessing.items())]
    if found.rewritten_from:
        rows.append(("rewritten", "its first line was {}".format(found.rewritten_from)))
    for label, frames in (("agreement", found.agreement), ("at worst", found.at_worst)):
        rows += [(label, agreement_text(frame)) for frame in frames or ()]
    if found.layer_errors:
        rows.append(("lose most", errors_text(found.layer_errors)))
    return rows + layers_rows(found)


def maker_text(found: Provenance) -> str:
    """What found the ranges, and where."""
    where = "on the device" if found.made_by.on_device else "off the device"
    return "{}, {} with {} {}".format(found.tool, where, *found.made_by)


def way_text(found: Provenance) -> str:
    """How ranges came of frames."""
    way = found.algorithm if found.percentile is None else "{} {:g}".format(found.algorithm, found.percentile)
    return "{} of {:,} frames, seed {}, fit {}".format(way, found.samples, found.seed, found.fit)


def layers_rows(found: Provenance) -> List[Row]:
    """The layers that are kept out of INT8."""
    rows = []
    for precision, layers in (("FP32", found.fp32_layers), ("FP16", found.fp16_layers)):
        if layers:
            rows.append(("kept in " + precision, "{:,} layers: {}".format(len(layers), listed(layers))))
    return rows


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_value(item) for item in value)
    return "{:.6g}".format(value) if isinstance(value, float) else str(value)
