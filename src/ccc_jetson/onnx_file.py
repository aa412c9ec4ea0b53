"""What is in an ONNX file, read without ``onnx`` or protobuf: numpy is not even needed.

A device has neither package, yet the builder must know opset, operators and attributes, and everyone needs the contract
in the metadata. An ONNX file is one protobuf message (onnx.proto3, ModelProto); the wire format is a sequence of fields

    key = field_number << 3 | wire_type        wire types: 0 varint, 1 eight bytes, 2 length + bytes, 5 four bytes

and unknown fields are skipped by their wire type. Weights are stepped over, not copied: reading costs one pass over the
nodes, whatever the size of the weights.
"""

from typing import Dict, List, NamedTuple, Tuple, Union

from ccc_jetson.errors import FileProblem
from ccc_jetson.files import read_bytes

# TensorProto.DataType of onnx.proto3, named as numpy names them
DATA_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
}  # fmt: skip

Dimension = Union[int, str]  # a name where the size is not fixed
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Tensor(NamedTuple):
    """An input or output of the graph, or an initializer: dtype as numpy names it, sizes (or names of open ones)."""

    name: str
    dtype: str
    shape: Tuple[Dimension, ...]


class Node(NamedTuple):
    """A node of the graph; of its attributes those that are an integer or a list of integers."""

    name: str
    operator: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]
    attributes: Dict[str, Union[int, Tuple[int, ...]]]
    domain: str


class OnnxFile(NamedTuple):
    """What a reader without weights wants to know of an ONNX file."""

    ir_version: int
    opset: int  # of the default domain; 0 where the file names none
    opsets: Dict[str, int]
    producer: str
    metadata: Dict[str, bytes]  # values are UTF-8 text; kept as bytes because some are megabytes long
    inputs: Tuple[Tensor, ...]  # without the initializers that IR versions below 4 list among them
    outputs: Tuple[Tensor, ...]
    initializers: Tuple[Tensor, ...]
    nodes: Tuple[Node, ...]


class _Damaged(Exception):
    """The bytes are no protobuf message."""


def read_onnx(path: str) -> OnnxFile:
    """Reads the file at ``path``.

    Raises:
        FileProblem: it is missing, is not an ONNX file, or ends in the middle.
    """
    return parse_onnx(read_bytes(path), path)


def parse_onnx(data: bytes, path: str = "model") -> OnnxFile:
    """Reads an ONNX file's bytes; ``path`` is for messages only."""
    hint = "copy the file again, or export it again: ccc-export CHECKPOINT MODEL.onnx"
    try:
        model = _fields(memoryview(data))
        graphs = [value for number, value in model if number == 7]
        ir_version = _last_int(model, 1)
        if not graphs or not ir_version:
            raise _Damaged("it holds no graph")
        graph = [field for part in graphs for field in _fields(_as_bytes(part))]
        initializers = tuple(_initializer(_as_bytes(value)) for number, value in graph if number == 5)
        weights = {tensor.name for tensor in initializers}
        inputs = [_value_info(_as_bytes(value)) for number, value in graph if number == 11]
        opsets = dict(_opset(_as_bytes(value)) for number, value in model if number == 8)
        return OnnxFile(
            ir_version=ir_version,
            opset=opsets.get("", 0),
            opsets=opsets,
            producer=" ".join(_text(value) for number, value in model if number in (2, 3)),
            metadata=dict(_metadata(_as_bytes(value)) for number, value in model if number == 14),
            inputs=tuple(tensor for tensor in inputs if tensor.name not in weights),
            outputs=tuple(_value_info(_as_bytes(value)) for number, value in graph if number == 12),
            initializers=initializers,
            nodes=tuple(_node(_as_bytes(value)) for number, value in graph if number == 1),
        )
    except (_Damaged, UnicodeDecodeError) as error:
        raise FileProblem("{}: not an ONNX file, or a damaged one: {}".format(path, error), hint=hint)


def with_extra_outputs(data: bytes, names: List[str]) -> bytes:
    """The same model with inner tensors as additional outputs (for logits from a class-map model).

    Protobuf merges a message that occurs twice, so a second ``graph`` field holding only the new outputs, appended to
    the file, adds them. The types are inferred by whoever loads the model; ONNX Runtime 1.10 and newer do.
    """
    outputs = b"".join(_encoded(12, _encoded(1, name.encode("utf-8"))) for name in names)
    return data + _encoded(7, outputs)


def with_metadata(data: bytes, entries: Dict[str, str]) -> bytes:
    """The same model with metadata entries appended; the keys must be new ones."""
    extra = b"".join(
        _encoded(14, _encoded(1, key.encode("utf-8")) + _encoded(2, value.encode("utf-8")))
        for key, value in entries.items()
    )
    return data + extra


def _encoded(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | _BYTES]) + _encoded_varint(len(payload)) + payload


def _encoded_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint(data: memoryview, at: int) -> Tuple[int, int]:
    """The unsigned number at ``at`` and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _Damaged("it ends in the middle of a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise _Damaged("a number is longer than 64 bits")


def _fields(data: memoryview) -> List[Tuple[int, Union[int, memoryview]]]:
    """All fields of a message, in order: (number, int for varints, bytes for the rest)."""
    fields: List[Tuple[int, Union[int, memoryview]]] = []
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise _Damaged("field number 0")
        if wire == _VARINT:
            value, at = _varint(data, at)
            fields.append((number, value))
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise _Damaged("unknown wire type {} of field {}".format(wire, number))
        if size > len(data) - at:
            raise _Damaged("field {} needs {} bytes, {} are left".format(number, size, len(data) - at))
        fields.append((number, data[at : at + size]))
        at += size
    return fields


def _as_bytes(value: Union[int, memoryview]) -> memoryview:
    if isinstance(value, int):
        raise _Damaged("a number stands where bytes are expected")
    return value


def _text(value: Union[int, memoryview]) -> str:
    return bytes(_as_bytes(value)).decode("utf-8")


def _signed(value: Union[int, memoryview]) -> int:
    if not isinstance(value, int):
        raise _Damaged("bytes stand where a number is expected")
    return value - (1 << 64) if value >= 1 << 63 else value


def _last_int(fields: List[Tuple[int, Union[int, memoryview]]], number: int) -> int:
    values = [_signed(value) for n, value in fields if n == number]
    return values[-1] if values else 0


def _last_text(fields: List[Tuple[int, Union[int, memoryview]]], number: int) -> str:
    values = [_text(value) for n, value in fields if n == number]
    return values[-1] if values else ""


def _ints(fields: List[Tuple[int, Union[int, memoryview]]], number: int) -> Tuple[int, ...]:
    """A repeated int64, packed (one field of bytes) or not (a field a number)."""
    numbers: List[int] = []
    for n, value in fields:
        if n != number:
            continue
        if isinstance(value, int):
            numbers.append(_signed(value))
            continue
        at = 0
        while at < len(value):
            one, at = _varint(value, at)
            numbers.append(_signed(one))
    return tuple(numbers)


def _opset(data: memoryview) -> Tuple[str, int]:
    fields = _fields(data)
    domain = _last_text(fields, 1)
    return ("" if domain == "ai.onnx" else domain), _last_int(fields, 2)


def _metadata(data: memoryview) -> Tuple[str, bytes]:
    fields = _fields(data)
    values = [bytes(_as_bytes(value)) for number, value in fields if number == 2]
    return _last_text(fields, 1), (values[-1] if values else b"")


def _node(data: memoryview) -> Node:
    fields = _fields(data)
    attributes: Dict[str, Union[int, Tuple[int, ...]]] = {}
    for number, value in fields:
        if number != 5:
            continue
        attribute = _fields(_as_bytes(value))
        kind = _last_int(attribute, 20)
        if kind == 2:
            attributes[_last_text(attribute, 1)] = _last_int(attribute, 3)
        elif kind == 7:
            attributes[_last_text(attribute, 1)] = _ints(attribute, 8)
    return Node(
        name=_last_text(fields, 3),
        operator=_last_text(fields, 4),
        inputs=tuple(_text(value) for number, value in fields if number == 1),
        outputs=tuple(_text(value) for number, value in fields if number == 2),
        attributes=attributes,
        domain=_last_text(fields, 7),
    )


def _initializer(data: memoryview) -> Tensor:
    fields = _fields(data)
    return Tensor(_last_text(fields, 8), _data_type(_last_int(fields, 2)), _ints(fields, 1))


def _value_info(data: memoryview) -> Tensor:
    """ValueInfoProto {1 name, 2 TypeProto {1 tensor {1 elem_type, 2 TensorShapeProto {1 dim {1 value | 2 param}}}}}."""
    fields = _fields(data)
    code, shape = 0, []  # type: int, List[Dimension]
    for type_field in (_as_bytes(value) for number, value in fields if number == 2):
        for tensor_field in (_as_bytes(value) for number, value in _fields(type_field) if number == 1):
            tensor = _fields(tensor_field)
            code = _last_int(tensor, 1)
            for shape_field in (_as_bytes(value) for number, value in tensor if number == 2):
                shape = [_dimension(_as_bytes(value)) for number, value in _fields(shape_field) if number == 1]
    return Tensor(_last_text(fields, 1), _data_type(code), tuple(shape))


def _dimension(data: memoryview) -> Dimension:
    fields = _fields(data)
    if any(number == 1 for number, _ in fields):
        return _last_int(fields, 1)
    return _last_text(fields, 2) or "?"


def _data_type(code: int) -> str:
    return DATA_TYPES.get(code, "type {}".format(code))
