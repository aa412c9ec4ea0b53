"""What INT8 leaves of the golden frames' classes: simulated off the device, carried there, asked of the engine there.

After calibration a network keeps far fewer classes in INT8 than in FP16, how many is its own. So an engine in INT8 is
judged by what ``ccc-calibrate`` found for it, less ``MARGIN``, for a device rounds elsewhere than the simulation. Of an
engine from a cache two figures are known, and the smaller one is asked for (docs/int8.md).
"""

import json
from typing import Any, List, NamedTuple, Sequence, Tuple

from ccc_jetson.carried import attachment
from ccc_jetson.contract import EXPORT_AGAIN, Contract
from ccc_jetson.errors import ContractError
from ccc_jetson.json_records import JsonReader, plain
from ccc_jetson.onnx_file import OnnxFile

METADATA_KEY = "ccc_jetson.int8"  # the attachment of a Q/DQ model
PROVENANCE_KEY = "ccc_jetson.int8_provenance"  # another one: where its ranges come from (calib.provenance)
MARGIN = 0.02


class FrameAgreement(NamedTuple):
    """What INT8 left of a golden frame's classes, as shares from 0 to 1.

    ``agreement`` of all pixels have FP32's class, ``decided`` of the 90 % with the largest margin.
    """

    name: str
    agreement: float
    decided: float

    @property
    def required(self) -> float:
        """The share of the decided pixels that an engine must keep."""
        return max(0.0, self.decided - MARGIN)


def required_of(frames: Sequence[FrameAgreement]) -> Tuple[Tuple[str, float], ...]:
    """(golden frame, share of its decided pixels that an engine must keep)."""
    return tuple((frame.name, frame.required) for frame in frames)


def encode_agreement(frames: Sequence[FrameAgreement]) -> bytes:
    """The attachment's bytes: canonical JSON."""
    return json.dumps(plain(list(frames)), sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def decode_agreement(data: bytes, origin: str) -> Tuple[FrameAgreement, ...]:
    """The frames in an attachment; ``origin`` names the file in messages.

    Raises:
        ContractError: it is damaged.
    """
    read = JsonReader(origin, "what INT8 costs", EXPORT_AGAIN, ContractError)
    return read_agreement(read, read.parse(data), "")


def carried_agreement(contract: Contract, onnx_file: OnnxFile, path: str) -> Tuple[FrameAgreement, ...]:
    """The frames in a file that has been read, none where it carries none; ``path`` is for messages."""
    if METADATA_KEY not in contract.attachments:
        return ()
    return decode_agreement(attachment(contract, onnx_file, METADATA_KEY, path), path)


def read_agreement(read: JsonReader, value: Any, field: str) -> Tuple[FrameAgreement, ...]:
    """The frames in a JSON list within another record."""

    def frame(item: Any, where: str) -> FrameAgreement:
        item = read.object(item, where, FrameAgreement._fields)
        return FrameAgreement(
            read.text(item["name"], where + ".name"),
            read.number_within(item["agreement"], where + ".agreement", 0, 1),
            read.number_within(item["decided"], where + ".decided", 0, 1),
        )

    found: List[FrameAgreement] = read.each(value, field, frame)
    return tuple(found)
