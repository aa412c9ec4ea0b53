"""What INT8 costs single layers: measured by ``ccc-calibrate``, carried to the board, asked there which layers to keep
in FP32 when an engine in INT8 fails its gate.

It travels in a calibration cache's provenance, and in a Q/DQ model as an attachment: canonical JSON, a list of
``{"layer": name, "error": number}``, the largest error first.
"""

import json
from typing import Any, Iterable, List, NamedTuple, Tuple

from ccc_jetson.carried import attachment
from ccc_jetson.contract import EXPORT_AGAIN, Contract
from ccc_jetson.errors import ContractError
from ccc_jetson.json_records import JsonReader, plain
from ccc_jetson.onnx_file import OnnxFile

METADATA_KEY = "ccc_jetson.int8_errors"  # the attachment of a Q/DQ model
MOST_LAYERS = 64  # that travel: the worst
_MOST_ERROR = 1e30


class Int8Error(NamedTuple):
    """A layer's own error: what INT8 changes in the output of the ONNX node ``layer``, root mean square, relative to
    that output."""

    layer: str
    error: float


def worst_layers(errors: Iterable[Tuple[str, float]]) -> Tuple[Int8Error, ...]:
    """Of (ONNX node, error) as many as travel, the largest error first, to four digits."""
    ordered = sorted(errors, key=lambda each: (-each[1], each[0]))[:MOST_LAYERS]
    return tuple(Int8Error(layer, float("{:.4g}".format(min(error, _MOST_ERROR)))) for layer, error in ordered)


def encode_errors(errors: Tuple[Int8Error, ...]) -> bytes:
    """The attachment's bytes."""
    return json.dumps(plain(errors), sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def decode_errors(data: bytes, origin: str) -> Tuple[Int8Error, ...]:
    """What an attachment holds; ``origin`` names the file in messages. A ContractError where it is damaged."""
    read = JsonReader(origin, "what INT8 costs its layers", EXPORT_AGAIN, ContractError)
    return read_errors(read, read.parse(data), "")


def carried_errors(contract: Contract, onnx_file: OnnxFile, path: str) -> Tuple[Int8Error, ...]:
    """The errors in a file that has been read, none where it carries none; ``path`` is for messages."""
    if METADATA_KEY not in contract.attachments:
        return ()
    return decode_errors(attachment(contract, onnx_file, METADATA_KEY, path), path)


def read_errors(read: JsonReader, value: Any, field: str) -> Tuple[Int8Error, ...]:
    """The errors in a JSON list within another record."""

    def error(item: Any, where: str) -> Int8Error:
        item = read.object(item, where, Int8Error._fields)
        return Int8Error(
            read.text(item["layer"], where + ".layer"),
            read.number_within(item["error"], where + ".error", 0, _MOST_ERROR),
        )

    found: List[Int8Error] = read.each(value, field, error)
    if len(found) > MOST_LAYERS:
        read.damaged("{} has {} layers, expected {} at most".format(field or "it", len(found), MOST_LAYERS))
    return tuple(found)
