"""An engine's manifest, ``model.engine.json``: what the plan beside it is, how it was built, and how it was judged.

A plan says nothing of itself without TensorRT, and what TensorRT says of another machine's plan seldom names both. So
the manifest is read first, by every command, and compared with the plan and the machine. docs/manifest.md has the
fields one by one.
"""

import base64
import binascii
import hashlib
import json
import os
import re
from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

from ccc_jetson.contract import CLASS_MAP, HEAD_ATTACHMENT, Attachment, Contract
from ccc_jetson.engines.machine import Machine
from ccc_jetson.errors import ContractError, FileProblem
from ccc_jetson.files import beside, read_bytes, write_text
from ccc_jetson.json_records import JsonReader, plain

FORMAT = 3
FEATURES, LOGITS, CLASSES, SCORES = "features", "logits", "classes", "scores"
OUTPUTS = (FEATURES, LOGITS, CLASSES, SCORES)
PRECISIONS = ("fp16", "int8")
LAYER_PRECISIONS = ("fp32", "fp16")
DTYPES = ("float32", "float16", "int32", "int64", "int8", "uint8", "bool")
TIMING_CACHES = ("off", "new", "reused")
BUILD_AGAIN = "build it again: ccc-build-engine MODEL.onnx"
_LISTED_NUMBERS = re.compile(r"\[\n([-+.0-9eE,\s]+)\]")  # shapes and colours; within a text JSON has no line breaks
_MOST_BYTES = 1 << 26  # one with 20 classes takes 20 kB
_MOST_MIB = 1 << 24
_MOST_SECONDS = 1e7


class Binding(NamedTuple):
    """An input or output of an engine; ``dtype`` is one of ``DTYPES``."""

    name: str
    is_input: bool
    dtype: str
    shape: Tuple[int, ...]


class GateFrame(NamedTuple):
    """What the engine made of a golden frame, as shares from 0 to 1.

    ``agreement`` of all pixels have FP32's class, ``decided`` of the 90 % with the largest margin; of a classifier's
    picture each is 0 or 1, ``decided`` 1 for a class that FP32 found as good. ``finite`` is False where the engine gave
    a NaN or infinity. ``required`` is what ``decided`` had to reach.
    """

    name: str
    agreement: float
    decided: float
    finite: bool
    required: float

    @property
    def passed(self) -> bool:
        """Whether the engine may be used, for all this frame tells."""
        return self.finite and self.decided >= self.required


class Gate(NamedTuple):
    """The accuracy gate's verdict."""

    passed: bool
    frames: Tuple[GateFrame, ...]


class Settings(NamedTuple):
    """What was asked for, defaults included: with the same ones, ONNX file and machine, nothing is built again.

    ``precisions`` are allowed beside FP32, ``layer_precisions`` pairs of a pattern and "fp32" or "fp16"; ``workspace``
    in MiB, None where it was left to the tool; ``calibration_cache`` the SHA-256 of the one given, "" without;
    ``min_agreement`` the share of the decided pixels that the gate was told to ask for, None for its own.
    """

    precisions: Tuple[str, ...]
    output: str
    layer_precisions: Tuple[Tuple[str, str], ...]
    workspace: Optional[int]
    dla_core: Optional[int]
    gate: bool
    calibration_cache: str
    min_agreement: Optional[float]
    forced: bool


class Manifest(NamedTuple):
    """All that is known of an engine.

    ``machine`` is the one it was built on; ``pinned`` are the layers that the gate kept in FP32; ``gate`` is None where
    it was not run; ``workspace_mib`` is what the builder was given in the end; ``timing_cache`` one of
    ``TIMING_CACHES``; ``attempts`` counts the builds that it took; ``onnx_file`` is a name without folder; ``contract``
    is the ONNX file's, unchanged; ``head`` its head attachment where the engine gives features and that head has
    weights, else None.
    """

    tool: str
    machine: Machine
    settings: Settings
    bindings: Tuple[Binding, ...]
    pinned: Tuple[str, ...]
    gate: Optional[Gate]
    workspace_mib: int
    build_seconds: float
    timing_cache: str
    attempts: int
    onnx_file: str
    onnx_sha256: str
    plan_sha256: str
    plan_bytes: int
    contract: Contract
    head: Optional[bytes]

    def to_json(self) -> str:
        """JSON for people too: indented, sorted keys, ASCII; the same manifest always gives the same text."""
        text = json.dumps(self.to_record(), sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False)
        return _LISTED_NUMBERS.sub(lambda found: "[{}]".format(" ".join(found.group(1).split())), text) + "\n"

    def to_record(self) -> Dict[str, Any]:
        """What ``to_json`` writes, as dictionaries and lists."""
        record = dict(plain(self), format=FORMAT, contract=self.contract.to_record())
        if self.head is not None:
            record["head"] = base64.b64encode(self.head).decode("ascii")
        return dict(record, sha256=content_sha256(record))

    @classmethod
    def from_json(cls, text: Union[str, bytes], origin: str = "manifest") -> "Manifest":
        """Reads and validates; ``origin`` names the file in messages.

        Raises:
            FileProblem: it is no manifest, damaged, incomplete, contradictory, changed, or of another format.
        """
        read = JsonReader(origin, "the manifest", BUILD_AGAIN, FileProblem)
        record = read.mapping(read.parse(text), "")
        if "format" not in record:
            raise FileProblem("{}: is JSON, but not the manifest of an engine".format(origin))
        read.version(record, "format", FORMAT)
        try:
            manifest = _manifest(read, record)
        except ContractError as error:
            raise FileProblem(str(error), hint=error.hint)
        if record["sha256"] != content_sha256(record):  # after the fields, for those say more of what is wrong
            raise FileProblem("{}: the manifest was changed or damaged".format(origin), hint=BUILD_AGAIN)
        return manifest


def content_sha256(record: Dict[str, Any]) -> str:
    """Of a manifest's record, but for this number itself: of its JSON with sorted keys, in ASCII, without spaces."""
    content = {key: value for key, value in record.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def manifest_path(engine_path: str) -> str:
    """``model.engine`` -> ``model.engine.json``; beside the engine itself where the path is a link."""
    return beside(engine_path, ".json")


def read_manifest(engine_path: str) -> Optional[Manifest]:
    """The manifest of the engine at ``engine_path``; None where there is none.

    Raises:
        FileProblem: it is unreadable, or as ``Manifest.from_json``.
    """
    path = manifest_path(engine_path)
    return read_manifest_file(path) if os.path.exists(path) else None


def read_manifest_file(path: str) -> Manifest:
    """A manifest by its own name; raises as ``read_manifest``."""
    try:
        size = os.path.getsize(path)
    except OSError as error:
        raise FileProblem("{}: cannot be read: {}".format(path, error.strerror))
    if size > _MOST_BYTES:
        raise FileProblem("{}: has {:,} bytes, which no manifest has".format(path, size), hint=BUILD_AGAIN)
    return Manifest.from_json(read_bytes(path), path)


def write_manifest(engine_path: str, manifest: Manifest) -> None:
    """Writes the manifest of the engine at ``engine_path``, whole or not at all; a FileProblem where it cannot be."""
    write_text(manifest_path(engine_path), manifest.to_json())


def usual_output(contract: Contract) -> str:
    """What is built where nothing is asked for: features where the runtime can do the rest, else the model's own."""
    return FEATURES if contract.has_head else whole_output(contract)


def whole_output(contract: Contract) -> str:
    """What an engine of the whole model gives."""
    return CLASSES if contract.output.kind == CLASS_MAP else contract.output.kind


def _manifest(read: JsonReader, record: Dict[str, Any]) -> Manifest:
    record = read.object(record, "", Manifest._fields + ("format", "sha256"))
    read.sha256(record["sha256"], "sha256")
    settings = _settings(read, record["settings"])
    contract = Contract.from_record(record["contract"], read.origin, BUILD_AGAIN)
    if contract.is_classifier != (settings.output == SCORES):
        read.fail("settings.output", whole_output(contract) + " by its contract", settings.output)
    gate = record["gate"]
    return Manifest(
        tool=read.text(record["tool"], "tool"),
        machine=Machine(*read.texts(record["machine"], "machine", Machine._fields)),
        settings=settings,
        bindings=_bindings(read, record["bindings"]),
        pinned=tuple(read.each(record["pinned"], "pinned", read.text)),
        gate=None if gate is None else _gate(read, gate),
        workspace_mib=read.integer(record["workspace_mib"], "workspace_mib", 0, _MOST_MIB),
        build_seconds=read.number_within(record["build_seconds"], "build_seconds", 0, _MOST_SECONDS),
        timing_cache=read.one_of(record["timing_cache"], "timing_cache", TIMING_CACHES),
        attempts=read.integer(record["attempts"], "attempts", 1, 1 << 16),
        onnx_file=_file_name(read, record["onnx_file"], "onnx_file"),
        onnx_sha256=read.sha256(record["onnx_sha256"], "onnx_sha256"),
        plan_sha256=read.sha256(record["plan_sha256"], "plan_sha256"),
        plan_bytes=read.integer(record["plan_bytes"], "plan_bytes", 1, 1 << 40),
        contract=contract,
        head=_head(read, record["head"], settings.output, contract),
    )


def _settings(read: JsonReader, value: Any) -> Settings:
    value = read.object(value, "settings", Settings._fields)
    workspace, dla_core, cache = value["workspace"], value["dla_core"], value["calibration_cache"]
    least = value["min_agreement"]
    layers = read.each(
        value["layer_precisions"], "settings.layer_precisions", lambda item, field: _layer_precision(read, item, field)
    )
    precisions = read.each(
        value["precisions"], "settings.precisions", lambda item, field: read.one_of(item, field, PRECISIONS)
    )
    return Settings(
        precisions=tuple(precisions),
        output=read.one_of(value["output"], "settings.output", OUTPUTS),
        layer_precisions=tuple(layers),
        workspace=None if workspace is None else read.integer(workspace, "settings.workspace", 1, _MOST_MIB),
        dla_core=None if dla_core is None else read.integer(dla_core, "settings.dla_core", 0, 255),
        gate=read.flag(value["gate"], "settings.gate"),
        calibration_cache="" if cache == "" else read.sha256(cache, "settings.calibration_cache"),
        min_agreement=None if least is None else read.number_within(least, "settings.min_agreement", 0, 1),
        forced=read.flag(value["forced"], "settings.forced"),
    )


def _layer_precision(read: JsonReader, value: Any, field: str) -> Tuple[str, str]:
    pair = read.each(value, field, read.text)
    if len(pair) != 2:
        read.fail(field, "a pattern and a precision", value)
    return pair[0], read.one_of(pair[1], field + "[1]", LAYER_PRECISIONS)


def _bindings(read: JsonReader, value: Any) -> Tuple[Binding, ...]:
    bindings = tuple(read.each(value, "bindings", lambda item, field: _binding(read, item, field)))
    if {binding.is_input for binding in bindings} != {True, False}:
        read.fail("bindings", "at least one input and one output", value)
    if len({binding.name for binding in bindings}) != len(bindings):
        read.fail("bindings", "different names", [binding.name for binding in bindings])
    return bindings


def _binding(read: JsonReader, value: Any, field: str) -> Binding:
    value = read.object(value, field, Binding._fields)
    shape = read.each(value["shape"], field + ".shape", lambda item, name: read.integer(item, name, 1, 1 << 31))
    return Binding(
        read.text(value["name"], field + ".name"),
        read.flag(value["is_input"], field + ".is_input"),
        read.one_of(value["dtype"], field + ".dtype", DTYPES),
        tuple(shape),
    )


def _gate(read: JsonReader, value: Any) -> Gate:
    value = read.object(value, "gate", Gate._fields)
    frames = read.each(value["frames"], "gate.frames", lambda item, field: _gate_frame(read, item, field))
    return Gate(read.flag(value["passed"], "gate.passed"), tuple(frames))


def _gate_frame(read: JsonReader, value: Any, field: str) -> GateFrame:
    value = read.object(value, field, GateFrame._fields)
    return GateFrame(
        read.text(value["name"], field + ".name"),
        read.number_within(value["agreement"], field + ".agreement", 0, 1),
        read.number_within(value["decided"], field + ".decided", 0, 1),
        read.flag(value["finite"], field + ".finite"),
        read.number_within(value["required"], field + ".required", 0, 1),
    )


def _file_name(read: JsonReader, value: Any, field: str) -> str:
    if not isinstance(value, str) or value in ("", ".", "..") or "/" in value or "\0" in value:
        read.fail(field, "a file's name without a folder", value)
    return value


def _head(read: JsonReader, value: Any, output: str, contract: Contract) -> Optional[bytes]:
    """The head's weights, which an engine that gives features cannot do without, as the contract describes them."""
    if output != FEATURES:
        if value is not None:
            read.fail("head", "null, because the output is {}".format(output), value)
        return None
    if contract.head is not None and not contract.head.has_weights:
        if value is not None:
            read.fail("head", "null, because a {} head has no weights".format(contract.head.kind), value)
        return None
    try:
        data = base64.b64decode(read.text(value, "head").encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        read.fail("head", "base64", value)
    if not contract.has_head:
        read.fail("settings.output", "logits or classes, because the contract has no head", output)
    if Attachment(len(data), hashlib.sha256(data).hexdigest()) != contract.attachments[HEAD_ATTACHMENT]:
        read.damaged("head is not what its contract describes")
    return data
