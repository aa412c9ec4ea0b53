"""A calibration cache of the tiny model, and its provenance."""

import hashlib

from ccc_jetson.calib.cache import cache_of_ranges
from ccc_jetson.calib.provenance import (
    FrameAgreement,
    Maker,
    Provenance,
    contract_sha256_of,
    preprocessing_of,
    write_provenance,
)
from ccc_jetson.int8_errors import Int8Error
from tests.doubles.tiny_model import tiny_contract

RANGES = (("image", 4.0), ("conv", 12.5), ("features", 12.5), ("logits", 40.0))


def tiny_cache(version=8502, algorithm="EntropyCalibration2"):
    """A cache for TensorRT 8.5.2."""
    return cache_of_ranges(version, algorithm, RANGES)


def tiny_provenance(cache=None, contract=None, **changes):
    """Of a cache; keyword arguments replace fields."""
    contract = tiny_contract() if contract is None else contract
    return Provenance(
        tool="ccc-jetson 0.1.0",
        made_by=Maker("ONNX Runtime", "1.31.0"),
        contract_sha256=contract_sha256_of(contract),
        preprocessing=preprocessing_of(contract),
        fit="stretch",
        onnx_sha256="0a" * 32,
        algorithm="percentile",
        percentile=99.99,
        samples=200,
        images_sha256="0b" * 32,
        seed=0,
        cache_sha256=hashlib.sha256((tiny_cache() if cache is None else cache).to_bytes()).hexdigest(),
        agreement=(FrameAgreement("frame0", 0.985, 0.9995), FrameAgreement("frame1", 0.97, 0.999)),
        fp32_layers=("head",),
        fp16_layers=("conv", "relu"),
        layer_errors=(Int8Error("Conv_7", 0.25), Int8Error("Conv_3", 0.125)),
    )._replace(**changes)


def write_tiny_cache(path, cache=None, provenance=None):
    """Writes both; returns the cache's path as text."""
    cache = tiny_cache() if cache is None else cache
    with open(str(path), "wb") as file:
        file.write(cache.to_bytes())
    write_provenance(str(path), tiny_provenance(cache) if provenance is None else provenance)
    return str(path)
