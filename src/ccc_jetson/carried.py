"""The contract and its attachments as they travel in an ONNX file's metadata: written there once, checked when read."""

import base64
import binascii
import hashlib
from typing import Any, Dict, Tuple

from ccc_jetson.contract import CLASS_MAP, EXPORT_AGAIN, LOGITS, SCORES, Attachment, Contract
from ccc_jetson.errors import ContractError, FileProblem
from ccc_jetson.onnx_file import OnnxFile, parse_onnx, read_onnx, with_metadata

METADATA_KEY = "ccc_jetson.contract"


def read_contract(path: str) -> Contract:
    """The contract in the ONNX file at ``path``."""
    return contract_of(read_onnx(path), path)


def contract_of(onnx_file: OnnxFile, path: str) -> Contract:
    """The contract in an ONNX file that has been read; ``path`` is for messages.

    Raises:
        ContractError: there is none, it is damaged or newer, or it contradicts the graph.
    """
    if METADATA_KEY not in onnx_file.metadata:
        raise ContractError(
            "{}: holds no contract, so preprocessing and classes are unknown; it was exported by something "
            "else{}".format(path, " ({})".format(onnx_file.producer) if onnx_file.producer else ""),
            hint="pass --contract FILE.json, or export the checkpoint with ccc-export",
        )
    contract = Contract.from_json(onnx_file.metadata[METADATA_KEY], path)
    check_against(contract, onnx_file, path)
    for key in contract.attachments:
        attachment(contract, onnx_file, key, path)
    return contract


def check_against(contract: Contract, onnx_file: OnnxFile, path: str) -> None:
    """Compares what the contract says of input and output with the graph's own."""
    given = contract.input
    wanted_input = (given.batch, 3, given.height, given.width)
    found = {tensor.name: tensor for tensor in onnx_file.inputs}
    if found.get(given.name, ())[1:] != ("float32", wanted_input):
        raise ContractError(
            "{}: the contract expects a float32 input {!r} of shape {}, the graph has {}".format(
                path, given.name, _shape(wanted_input), _listed(onnx_file.inputs)
            ),
            hint=EXPORT_AGAIN,
        )
    wanted = {
        CLASS_MAP: (given.batch, given.height, given.width),
        LOGITS: (given.batch, len(contract.classes), given.height, given.width),
        SCORES: (given.batch, len(contract.classes)),
    }[contract.output.kind]
    found = {tensor.name: tensor for tensor in onnx_file.outputs}
    kinds = ("int32", "int64") if contract.output.kind == CLASS_MAP else ("float32",)
    output = found.get(contract.output.name)
    if output is None or output.shape != wanted or output.dtype not in kinds:
        raise ContractError(
            "{}: the contract expects an output {!r} of type {} and shape {}, the graph has {}".format(
                path, contract.output.name, " or ".join(kinds), _shape(wanted), _listed(onnx_file.outputs)
            ),
            hint=EXPORT_AGAIN,
        )


def check_whole(onnx_file: OnnxFile, path: str) -> None:
    """Refuses a file whose weights lie in another one: whoever runs it would open what the file names, from wherever it
    was started.

    Raises:
        FileProblem: with how to save it in one piece.
    """
    if onnx_file.external:
        raise FileProblem(
            "{}: the data of {} weights lie in another file; expected one that holds everything".format(
                path, len(onnx_file.external)
            ),
            hint="save it in one piece: onnx.save(onnx.load(NAME), NAME)",
        )


def attachment(contract: Contract, onnx_file: OnnxFile, key: str, path: str) -> bytes:
    """The bytes of an attachment, checked against the contract's SHA-256."""
    expected = contract.attachments.get(key)
    if expected is None:
        raise ContractError("{}: its contract names no attachment {!r}".format(path, key), hint=EXPORT_AGAIN)
    try:
        data = base64.b64decode(onnx_file.metadata.get(key, b""), validate=True)
    except binascii.Error:
        data = b""
    if Attachment(len(data), hashlib.sha256(data).hexdigest()) != expected:
        raise ContractError(
            "{}: the attachment {!r} is missing or damaged".format(path, key),
            hint="copy the file again, or " + EXPORT_AGAIN,
        )
    return data


def embed(model: bytes, contract: Contract, attachments: Dict[str, bytes]) -> bytes:
    """An ONNX file's bytes with the contract and its attachments in the metadata; the file must have none yet.

    The contract is completed with what it notes of the attachments.
    """
    present = sorted(({METADATA_KEY} | set(attachments)) & set(parse_onnx(model).metadata))
    if present:
        raise ContractError("the model already has metadata entries {}".format(", ".join(present)))
    described = {key: Attachment(len(data), hashlib.sha256(data).hexdigest()) for key, data in attachments.items()}
    entries = {key: base64.b64encode(data).decode("ascii") for key, data in sorted(attachments.items())}
    entries[METADATA_KEY] = contract._replace(attachments=described).to_json()
    return with_metadata(model, entries)


def _shape(shape: Tuple[Any, ...]) -> str:
    return "x".join(str(size) for size in shape)


def _listed(tensors: Tuple[Any, ...]) -> str:
    described = ("{} {!r} of shape {}".format(each.dtype, each.name, _shape(each.shape)) for each in tensors)
    return ", ".join(described) or "none"
