"""What export measured of every activation, inside the model's own file: its range, and what FP16 costs it.

Whoever builds an engine finds here which layers to keep in FP32, and calibration what ranges to expect.

Format of the attachment: zlib of a JSON object ``{"format": 1, "layers": [[tensor, largest, error], ...]}``; a null
error is an infinite one.
"""

import json
import zlib
from typing import NamedTuple, Optional, Tuple

from ccc_jetson.carried import attachment
from ccc_jetson.contract import Contract
from ccc_jetson.errors import ContractError
from ccc_jetson.json_records import loads
from ccc_jetson.onnx_file import OnnxFile

METADATA_KEY = "ccc_jetson.layer_ranges"
_FORMAT = 1
_MOST = 1e30
_MOST_BYTES = 1 << 22  # decompressed; a network of 500 tensors takes 40 kB


class LayerRange(NamedTuple):
    """An activation: its name in the graph, the largest magnitude seen, and FP16's error relative to its size (RMS);
    the error is infinite where FP16 overflows."""

    tensor: str
    largest: float
    half_error: float


def encode_layer_ranges(layers: Tuple[LayerRange, ...]) -> bytes:
    """The attachment's bytes."""
    rows = [[each.tensor, float("%.6g" % each.largest), _finite(each.half_error)] for each in layers]
    text = json.dumps({"format": _FORMAT, "layers": rows}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return zlib.compress(text.encode("utf-8"), 9)


def _finite(error: float) -> Optional[float]:
    return float("%.3g" % error) if error < _MOST else None


def decode_layer_ranges(data: bytes, origin: str) -> Tuple[LayerRange, ...]:
    """What an attachment holds; ``origin`` names the file in messages.

    Raises:
        ContractError: the bytes are damaged or of a newer format.
    """
    try:
        stream = zlib.decompressobj()
        record = loads(stream.decompress(data, _MOST_BYTES).decode("utf-8"))
        if record["format"] != _FORMAT:
            raise ContractError(
                "{}: its layer ranges have format {:.80}, this version reads {}".format(
                    origin, repr(record["format"]), _FORMAT
                ),
                hint="update ccc-jetson on this machine",
            )
        layers = tuple(
            LayerRange(str(tensor), float(most), float("inf") if error is None else float(error))
            for tensor, most, error in record["layers"]
        )
        if not all(0 <= layer.largest < _MOST and layer.half_error >= 0 for layer in layers):
            raise ValueError("a range is no size")
        return layers
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, zlib.error) as error:
        raise ContractError("{}: its layer ranges are damaged: {}".format(origin, error), hint="export it again")


def read_layer_ranges(contract: Contract, onnx_file: OnnxFile, path: str) -> Tuple[LayerRange, ...]:
    """The ranges in a file that has been read; ``path`` is for messages."""
    return decode_layer_ranges(attachment(contract, onnx_file, METADATA_KEY, path), path)
