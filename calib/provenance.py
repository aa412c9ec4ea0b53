"""Where a calibration cache comes from: ``model.calib.json`` beside ``model.calib``; a Q/DQ model carries the same
record.

A cache says nothing of the pictures, the preprocessing or the network that it was made with, and has no checksum. This
record does; a build compares it with the model's contract before it trusts the cache. docs/calibration.md has the
fields one by one.
"""

import hashlib
import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from ccc_jetson.calib.cache import CalibrationCache, parse_cache, read_cache_bytes
from ccc_jetson.carried import attachment
from ccc_jetson.choices import FITS
from ccc_jetson.clean_text import clean
from ccc_jetson.contract import Contract
from ccc_jetson.errors import ContractError, FileProblem
from ccc_jetson.files import beside, read_bytes, replacing, write_text
from ccc_jetson.int8_agreement import METADATA_KEY as AGREEMENT_KEY
from ccc_jetson.int8_agreement import (
    PROVENANCE_KEY,
    FrameAgreement,
    carried_agreement,
    encode_agreement,
    read_agreement,
)
from ccc_jetson.int8_errors import METADATA_KEY as ERRORS_KEY
from ccc_jetson.int8_errors import Int8Error, carried_errors, encode_errors, read_errors
from ccc_jetson.json_records import JsonReader, plain
from ccc_jetson.onnx_file import OnnxFile
from ccc_jetson.signals import uninterrupted

SCHEMA = 2
TENSORRT, ONNX_RUNTIME = "TensorRT", "ONNX Runtime"  # the first calibrates on the device, the second anywhere
ENTROPY_2, ENTROPY, MIN_MAX, PERCENTILE = "entropy2", "entropy", "minmax", "percentile"
ALGORITHMS = (ENTROPY_2, ENTROPY, MIN_MAX, PERCENTILE)
CALIBRATE_AGAIN = "calibrate again: ccc-build-engine --int8 --calib IMAGES on the device"
MOST_SEED = 1 << 63
_MOST_BYTES = 1 << 24


class Maker(NamedTuple):
    """What found the ranges: ``TENSORRT`` or ``ONNX_RUNTIME``, and its version."""

    runtime: str
    version: str

    @property
    def on_device(self) -> bool:
        """Whether TensorRT itself calibrated, on the device."""
        return self.runtime == TENSORRT


class Provenance(NamedTuple):
    """All that is known of a cache.

    ``contract_sha256`` is that of the contract's canonical JSON, ``preprocessing`` its record as it stands there,
    ``fit`` how frames met the network's size. ``algorithm`` is one of ``ALGORITHMS`` (``entropy2`` and ``minmax``
    TensorRT's own, on the device), ``percentile`` in percent, for that algorithm alone. ``images_sha256`` is that of
    the list of frames with their names and contents, ``samples`` their number, ``seed`` that of their choice;
    ``cache_sha256`` is None in a Q/DQ model, which has its ranges itself.
    ``rewritten_from`` is the first line that the cache had before somebody rewrote it, or "". ``agreement`` is what a
    simulation found on the golden frames with convolutions in INT8, ``at_worst`` with all that may be; None where
    there was none. ``fp32_layers`` and ``fp16_layers`` name the ONNX nodes that are to be kept out of INT8,
    ``layer_errors`` those of the others that lose most.
    """

    tool: str
    made_by: Maker
    contract_sha256: str
    preprocessing: Dict[str, Any]
    fit: str
    onnx_sha256: str
    algorithm: str
    percentile: Optional[float]
    samples: int
    images_sha256: str
    seed: int
    cache_sha256: Optional[str]
    rewritten_from: str = ""
    agreement: Optional[Tuple[FrameAgreement, ...]] = None
    at_worst: Optional[Tuple[FrameAgreement, ...]] = None
    fp32_layers: Tuple[str, ...] = ()
    fp16_layers: Tuple[str, ...] = ()
    layer_errors: Tuple[Int8Error, ...] = ()

    def to_json(self) -> str:
        """JSON for people too: indented, sorted keys, ASCII; the same provenance always gives the same text."""
        record = dict(plain(self), schema=SCHEMA)
        return json.dumps(record, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: Union[str, bytes], origin: str = "provenance") -> "Provenance":
        """Reads and validates; ``origin`` names the file in messages.

        Raises:
            FileProblem: it is none, damaged, incomplete, contradictory, or of another schema.
        """
        read = JsonReader(origin, "the calibration's provenance", CALIBRATE_AGAIN, FileProblem)
        record = read.parse(text)
        read.version(record, "schema", SCHEMA)
        return _provenance(read, read.object(record, "", cls._fields + ("schema",)))


def _provenance(read: JsonReader, record: Dict[str, Any]) -> Provenance:
    algorithm, percentile, agreement = record["algorithm"], record["percentile"], record["agreement"]
    cache_sha256, worst = record["cache_sha256"], record["at_worst"]
    read.one_of(algorithm, "algorithm", ALGORITHMS)
    if (percentile is not None) != (algorithm == PERCENTILE):
        expected = "a number, because" if algorithm == PERCENTILE else "null, because"
        read.fail("percentile", "{} the algorithm is {}".format(expected, algorithm), percentile)
    found = Provenance(
        tool=read.text(record["tool"], "tool"),
        made_by=_maker(read, record["made_by"]),
        contract_sha256=read.sha256(record["contract_sha256"], "contract_sha256"),
        preprocessing=read.free(record["preprocessing"], "preprocessing"),
        fit=read.one_of(record["fit"], "fit", FITS),
        onnx_sha256=read.sha256(record["onnx_sha256"], "onnx_sha256"),
        algorithm=algorithm,
        percentile=None if percentile is None else read.number_within(percentile, "percentile", 50, 100),
        samples=read.integer(record["samples"], "samples", 1, 1 << 31),
        images_sha256=read.sha256(record["images_sha256"], "images_sha256"),
        seed=read.integer(record["seed"], "seed", 0, MOST_SEED),
        cache_sha256=None if cache_sha256 is None else read.sha256(cache_sha256, "cache_sha256"),
        rewritten_from=read.text(record["rewritten_from"], "rewritten_from"),
        agreement=None if agreement is None else read_agreement(read, agreement, "agreement"),
        at_worst=None if worst is None else read_agreement(read, worst, "at_worst"),
        fp32_layers=tuple(read.each(record["fp32_layers"], "fp32_layers", read.text)),
        fp16_layers=tuple(read.each(record["fp16_layers"], "fp16_layers", read.text)),
        layer_errors=read_errors(read, record["layer_errors"], "layer_errors"),
    )
    both = sorted(set(found.fp32_layers) & set(found.fp16_layers))
    if both:
        read.damaged("{!r} stands in fp32_layers and in fp16_layers".format(both[0]))
    return found


def _maker(read: JsonReader, value: Any) -> Maker:
    value = read.object(value, "made_by", Maker._fields)
    runtime = read.one_of(value["runtime"], "made_by.runtime", (TENSORRT, ONNX_RUNTIME))
    return Maker(runtime, read.text(value["version"], "made_by.version"))


def preprocessing_of(contract: Contract) -> Dict[str, Any]:
    """``Provenance.preprocessing`` of a contract."""
    record = contract.to_record()["preprocessing"]
    assert isinstance(record, dict)
    return record


def contract_sha256_of(contract: Contract) -> str:
    """``Provenance.contract_sha256`` of a contract."""
    return hashlib.sha256(contract.to_json().encode("ascii")).hexdigest()


def provenance_path(cache_path: str) -> str:
    """``model.calib`` -> ``model.calib.json``; beside the cache itself where the path is a link."""
    return beside(cache_path, ".json")


def read_provenance(cache_path: str) -> Optional[Provenance]:
    """The provenance of the cache at ``cache_path``; None where there is none.

    Raises:
        FileProblem: it is unreadable, or as ``Provenance.from_json``.
    """
    path = provenance_path(cache_path)
    if not os.path.exists(path):
        return None
    size = os.path.getsize(path)
    if size > _MOST_BYTES:
        raise FileProblem("{}: has {:,} bytes, which no provenance has".format(path, size), hint=CALIBRATE_AGAIN)
    found = Provenance.from_json(read_bytes(path), path)
    if found.cache_sha256 is None:
        raise FileProblem("{}: is the provenance of a Q/DQ model, not of a cache".format(path), hint=CALIBRATE_AGAIN)
    return found


def write_provenance(cache_path: str, provenance: Provenance) -> None:
    """Writes the provenance of the cache at ``cache_path``, whole or not at all; a FileProblem where it cannot be."""
    write_text(provenance_path(cache_path), provenance.to_json())


def attachments_of(provenance: Provenance) -> Dict[str, bytes]:
    """What a Q/DQ model carries of the ranges that its pairs have: where they come from, and what they cost.

    What a build asks for (``int8_agreement``, ``int8_errors``) lies beside the record, which leaves it out.
    """
    record = provenance._replace(agreement=None, layer_errors=(), cache_sha256=None)
    found = {PROVENANCE_KEY: record.to_json().encode("ascii"), ERRORS_KEY: encode_errors(provenance.layer_errors)}
    if provenance.agreement is not None:
        found[AGREEMENT_KEY] = encode_agreement(provenance.agreement)
    return found


def provenance_in(contract: Contract, onnx_file: OnnxFile, path: str) -> Optional[Provenance]:
    """Where the ranges in a Q/DQ model come from; None where it does not carry that. ``path`` is for messages.

    Raises:
        FileProblem, ContractError: it is damaged.
    """
    if PROVENANCE_KEY not in contract.attachments:
        return None
    found = Provenance.from_json(attachment(contract, onnx_file, PROVENANCE_KEY, path), path)
    if AGREEMENT_KEY in contract.attachments:
        found = found._replace(agreement=carried_agreement(contract, onnx_file, path))
    if ERRORS_KEY in contract.attachments:
        found = found._replace(layer_errors=carried_errors(contract, onnx_file, path))
    return found


def write_cache(path: str, data: bytes, provenance: Provenance) -> None:
    """Writes a cache and the provenance beside it, both or neither.

    A cache without its provenance would be used without its pins; so both lie there in full before either has its name,
    and the provenance gets it first: with another cache it is refused, by the cache's SHA-256.

    Raises:
        FileProblem: they cannot be written.
    """
    with uninterrupted(), replacing(path) as cache_file:
        with open(cache_file, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        write_text(provenance_path(path), provenance.to_json())


def check_provenance(
    provenance: Provenance,
    contract: Contract,
    cache_bytes: bytes,
    origin: str = "the calibration cache",
    onnx_sha256: str = "",
) -> List[str]:
    """Compares what is known of a cache with the cache and with the model that it is to be used for.

    Args:
        provenance, cache_bytes: the record, and the cache as it is now.
        contract: the model's.
        origin: names the cache in messages.
        onnx_sha256: the model's file, where it is known.

    Returns:
        Notes on differences that may matter.

    Raises:
        ContractError: it was calibrated with another preprocessing; names the field, what was found and expected.
        FileProblem: the cache is not the one that the provenance was written for.
    """
    check_cache_bytes(provenance, cache_bytes, origin)
    ours, theirs = preprocessing_of(contract), provenance.preprocessing
    for field in sorted(set(ours) | set(theirs)):
        if theirs.get(field) != ours.get(field):
            raise ContractError(
                "{}: was calibrated with preprocessing.{} {}, expected {} as in the model's contract: its ranges are "
                "those of other inputs".format(
                    origin, clean(field), clean(repr(theirs.get(field))), clean(repr(ours.get(field)))
                ),
                hint=CALIBRATE_AGAIN,
            )
    if onnx_sha256 not in ("", provenance.onnx_sha256) or provenance.contract_sha256 != contract_sha256_of(contract):
        return [
            "{}: was calibrated on another export of the network, with the same preprocessing; if its weights or names "
            "of tensors differ, its ranges do not fit".format(origin)
        ]
    return []


def check_cache_bytes(provenance: Provenance, cache_bytes: bytes, origin: str) -> None:
    """Refuses a cache that was changed after its provenance was written; a FileProblem with both SHA-256."""
    sha256 = hashlib.sha256(cache_bytes).hexdigest()
    if sha256 != provenance.cache_sha256:
        raise FileProblem(
            "{}: has SHA-256 {}, its provenance says {}: it was changed or damaged after it was made".format(
                origin, sha256, provenance.cache_sha256
            ),
            hint="{}; if the change was meant, remove {}".format(CALIBRATE_AGAIN, provenance_path(origin)),
        )


class CheckedCache(NamedTuple):
    """A cache that may be used: its bytes, what they say, where they come from, and what there is to note."""

    data: bytes
    cache: CalibrationCache
    provenance: Optional[Provenance]
    notes: Tuple[str, ...]


def read_checked_cache(path: str, contract: Contract, onnx_sha256: str = "") -> CheckedCache:
    """The cache in a file, for a model.

    That there is no provenance is a note: caches of trtexec and others have none.

    Raises:
        FileProblem, ContractError: as ``parse_cache``, ``read_provenance`` and ``check_provenance``.
    """
    data = read_cache_bytes(path)
    cache = parse_cache(data, path)
    provenance = read_provenance(path)
    if provenance is None:
        notes = [
            "{}: has no provenance ({}): nobody knows with which pictures and preprocessing it was made".format(
                path, os.path.basename(provenance_path(path))
            )
        ]
    else:
        notes = check_provenance(provenance, contract, data, path, onnx_sha256)
    notes += ["{}: {}".format(path, warning) for warning in cache.warnings]
    return CheckedCache(data, cache, provenance, tuple(notes))
