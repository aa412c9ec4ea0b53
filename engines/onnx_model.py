"""The ONNX file that an engine is built from, with what it carries."""

import hashlib
from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.carried import check_against, check_whole, contract_of
from ccc_jetson.contract import Contract
from ccc_jetson.errors import ContractError
from ccc_jetson.files import read_bytes
from ccc_jetson.golden import METADATA_KEY as GOLDEN_KEY
from ccc_jetson.int8_agreement import FrameAgreement, carried_agreement
from ccc_jetson.int8_errors import Int8Error, carried_errors
from ccc_jetson.layer_ranges import METADATA_KEY as RANGES_KEY
from ccc_jetson.layer_ranges import LayerRange, read_layer_ranges
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import OnnxFile, parse_onnx


class OnnxModel(NamedTuple):
    """The file, its SHA-256, size in bytes, constants, contract, what export measured of its activations, and what
    calibration found INT8 to leave of the golden frames and to cost single layers (of a Q/DQ model)."""

    path: str
    file: OnnxFile
    sha256: str
    size: int
    arrays: Dict[str, np.ndarray]
    contract: Contract
    ranges: Tuple[LayerRange, ...]
    int8_agreement: Tuple[FrameAgreement, ...] = ()
    int8_errors: Tuple[Int8Error, ...] = ()

    @property
    def quantized(self) -> bool:
        """Whether it states INT8 ranges itself."""
        return any(node.operator == "QuantizeLinear" for node in self.file.nodes)

    @property
    def strongly_typed(self) -> bool:
        """Whether it states its types itself (``ccc-export --fp16``)."""
        return self.contract.precision == "fp16"

    @property
    def has_head(self) -> bool:
        """Whether the runtime can compute its head."""
        return self.contract.has_head


def read_model(path: str, contract: Optional[Contract], gate: bool) -> OnnxModel:
    """Reads a file to be built.

    Args:
        contract: instead of the file's own (``--contract``).
        gate: the engine is to be judged, which takes golden frames.

    Raises:
        FileProblem, ContractError: it is missing, damaged, or does not say enough of itself.
    """
    data = read_bytes(path)
    onnx_file = parse_onnx(data, path)
    check_whole(onnx_file, path)
    if contract is None:
        contract = contract_of(onnx_file, path)
    else:
        check_against(contract, onnx_file, path)
    if gate and GOLDEN_KEY not in contract.attachments:
        raise ContractError(
            "{}: holds no golden frames, so nobody could tell whether its engine is right".format(path),
            hint="export it with ccc-export; --no-gate builds it unjudged",
        )
    ranges = read_layer_ranges(contract, onnx_file, path) if RANGES_KEY in contract.attachments else ()
    agreement, errors = carried_agreement(contract, onnx_file, path), carried_errors(contract, onnx_file, path)
    sha256 = hashlib.sha256(data).hexdigest()
    return OnnxModel(path, onnx_file, sha256, len(data), constant_arrays(data), contract, ranges, agreement, errors)
