"""What is in an ONNX file, read without ``onnx`` or protobuf: numpy is not even needed.

A device has neither package, yet the builder must know opset, operators and attributes, and everyone needs the contract
in the metadata. An ONNX file is one protobuf message (onnx.proto3, ModelProto). Weights are stepped over, not copied:
reading costs one pass over the nodes, whatever the size of the weights (``onnx_arrays.py`` reads those).
"""

import struct
from typing import Dict, List, NamedTuple, Tuple, Union

from ccc_jetson.errors import FileProblem
from ccc_jetson.files import read_bytes
from ccc_jetson.protobuf import (
    Damaged,
    Field,
    encoded,
    fields,
    ints,
    last_int,
    last_text,
    messages,
    packed,
    texts,
)

# TensorProto.DataType of onnx.proto3, named as numpy names them
DATA_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4e2m1", 24: "float8e8m0",
}  # fmt: skip
_HINT = "copy the file again, or export it again: ccc-export CHECKPOINT MODEL.onnx"

Dimension = Union[int, str]  # a name where the size is not fixed, "?" where it has none
_DEEPEST = 16  # graphs in nodes of graphs


class Tensor(NamedTuple):
    """An input or output of the graph, or an initializer: dtype as numpy names it, sizes (or names of open ones)."""

    name: str
    dtype: str
    shape: Tuple[Dimension, ...]


# AttributeProto's integer, float, text, tensor (described only), and lists of the first three; graphs are elsewhere
Attribute = Union[int, float, str, Tensor, Tuple[int, ...], Tuple[float, ...], Tuple[str, ...]]


class Node(NamedTuple):
    """A node of the graph; of its attributes all but graphs, which stand in ``OnnxFile.inner_nodes``."""

    name: str
    operator: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]
    attributes: Dict[str, Attribute]
    domain: str

    def integer(self, name: str, default: int) -> int:
        """An attribute that is an integer; ``default`` where there is no such attribute."""
        value = self.attributes.get(name)
        return value if isinstance(value, int) else default

    def integers(self, name: str, default: Tuple[int, ...] = ()) -> Tuple[int, ...]:
        """An attribute that is a list of integers."""
        value = self.attributes.get(name)
        if isinstance(value, tuple) and not isinstance(value, Tensor):
            return tuple(item for item in value if isinstance(item, int))
        return default

    def text(self, name: str, default: str) -> str:
        """An attribute that is a text."""
        value = self.attributes.get(name)
        return value if isinstance(value, str) else default


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
    value_info: Tuple[Tensor, ...] = ()  # inner tensors whose shape the file states
    external: Tuple[str, ...] = ()  # initializers whose data lie in another file
    inner_nodes: Tuple[Node, ...] = ()  # of branches, loop bodies and local functions, at any depth
    functions: Tuple[Tuple[str, str], ...] = ()  # local functions: (domain, operator)


def read_onnx(path: str) -> OnnxFile:
    """Reads the file at ``path``.

    Raises:
        FileProblem: it is missing, is not an ONNX file, or ends in the middle.
    """
    return parse_onnx(read_bytes(path), path)


def parse_onnx(data: bytes, path: str = "model") -> OnnxFile:
    """Reads an ONNX file's bytes; ``path`` is for messages only."""
    try:
        model = fields(memoryview(data))
        graph = graph_fields(model)
        ir_version = last_int(model, 1)
        if not ir_version:
            raise Damaged("it holds no graph")
        initializers = [fields(each) for each in messages(graph, 5)]
        weights = {last_text(tensor, 8) for tensor in initializers}
        inputs = [tensor for tensor, _ in _value_infos(graph, 11) if tensor.name not in weights]
        opsets = dict(_opset(each) for each in messages(model, 8))
        nodes, inner = _nodes(messages(graph, 1), _DEEPEST)
        functions = [fields(each) for each in messages(model, 25)]
        for function in functions:
            own, deeper = _nodes(messages(function, 7), _DEEPEST)
            inner += own + deeper
        return OnnxFile(
            ir_version=ir_version,
            opset=opsets.get("", 0),
            opsets=opsets,
            producer=" ".join(texts(model, 2) + texts(model, 3)),
            metadata=dict(_metadata(each) for each in messages(model, 14)),
            inputs=tuple(inputs),
            outputs=tuple(tensor for tensor, _ in _value_infos(graph, 12)),
            initializers=tuple(described(tensor) for tensor in initializers),
            nodes=tuple(nodes),
            value_info=tuple(tensor for tensor, has_shape in _value_infos(graph, 13) if has_shape),
            external=tuple(last_text(tensor, 8) for tensor in initializers if is_external(tensor)),
            inner_nodes=tuple(inner),
            functions=tuple((last_text(function, 10), last_text(function, 1)) for function in functions),
        )
    except (Damaged, UnicodeDecodeError) as error:
        raise damaged_onnx(path, error)


def damaged_onnx(path: str, error: Exception) -> FileProblem:
    """The one complaint about bytes that are no ONNX file."""
    return FileProblem("{}: not an ONNX file, or a damaged one: {}".format(path, error), hint=_HINT)


def graph_fields(model: List[Field]) -> List[Field]:
    """The fields of the graph in a ModelProto's fields; protobuf merges a message that occurs twice."""
    graphs = messages(model, 7)
    if not graphs:
        raise Damaged("it holds no graph")
    return [field for part in graphs for field in fields(part)]


def described(tensor: List[Field]) -> Tensor:
    """Name, type and shape in a TensorProto's fields."""
    return Tensor(last_text(tensor, 8), _data_type(last_int(tensor, 2)), ints(tensor, 1))


def is_external(tensor: List[Field]) -> bool:
    """Whether a TensorProto's data lie in another file."""
    return last_int(tensor, 14) == 1 or bool(messages(tensor, 13))


def with_extra_outputs(data: bytes, names: List[str]) -> bytes:
    """The same model with inner tensors as additional outputs (for logits from a class-map model).

    Protobuf merges a message that occurs twice, so a second ``graph`` field holding only the new outputs, appended to
    the file, adds them. The types are inferred by whoever loads the model; ONNX Runtime 1.10 and newer do.
    """
    outputs = b"".join(encoded(12, encoded(1, name.encode("utf-8"))) for name in names)
    return data + encoded(7, outputs)


def with_metadata(data: bytes, entries: Dict[str, str]) -> bytes:
    """The same model with metadata entries appended; the keys must be new ones."""
    extra = b"".join(
        encoded(14, encoded(1, key.encode("utf-8")) + encoded(2, value.encode("utf-8")))
        for key, value in entries.items()
    )
    return data + extra


def _opset(data: memoryview) -> Tuple[str, int]:
    found = fields(data)
    domain = last_text(found, 1)
    return ("" if domain == "ai.onnx" else domain), last_int(found, 2)


def _metadata(data: memoryview) -> Tuple[str, bytes]:
    found = fields(data)
    values = messages(found, 2)
    return last_text(found, 1), (bytes(values[-1]) if values else b"")


def _nodes(found: List[memoryview], depth: int) -> Tuple[List[Node], List[Node]]:
    """The nodes of a graph, and those of the graphs within them."""
    if depth == 0:
        raise Damaged("its graphs are nested more than {} deep".format(_DEEPEST))
    nodes, inner = [], []  # type: List[Node], List[Node]
    for each in found:
        node = fields(each)
        attributes: Dict[str, Attribute] = {}
        for data in messages(node, 5):
            attribute = fields(data)
            for name, value in _attribute(attribute):
                attributes[name] = value
            for graph in messages(attribute, 6) + messages(attribute, 11):
                own, deeper = _nodes(messages(fields(graph), 1), depth - 1)
                inner += own + deeper
        nodes.append(
            Node(
                name=last_text(node, 3),
                operator=last_text(node, 4),
                inputs=texts(node, 1),
                outputs=texts(node, 2),
                attributes=attributes,
                domain=last_text(node, 7),
            )
        )
    return nodes, inner


def _attribute(attribute: List[Field]) -> List[Tuple[str, Attribute]]:
    """(name, value) of an AttributeProto, by its type; nothing for graphs and types that nobody here asks for."""
    kind, values = last_int(attribute, 20), []  # type: int, List[Attribute]
    if kind == 1:
        values = list(_floats(packed(attribute, 2)))
    elif kind == 2:
        values = [last_int(attribute, 3)]
    elif kind == 3:
        values = [_any_text(each) for each in messages(attribute, 4)] or [""]
    elif kind == 4:
        values = [described(fields(each)) for each in messages(attribute, 5)]
    elif kind == 6:
        values = [_floats(packed(attribute, 7))]
    elif kind == 7:
        values = [ints(attribute, 8)]
    elif kind == 8:
        values = [tuple(_any_text(each) for each in messages(attribute, 9))]
    return [(last_text(attribute, 1), value) for value in values[-1:]]


def _floats(data: bytes) -> Tuple[float, ...]:
    if len(data) % 4:
        raise Damaged("a list of floats of {} bytes".format(len(data)))
    return struct.unpack("<{}f".format(len(data) // 4), data)


def _any_text(data: memoryview) -> str:
    """ONNX allows any bytes in an attribute's text."""
    return bytes(data).decode("utf-8", "replace")


def _value_infos(graph: List[Field], number: int) -> List[Tuple[Tensor, bool]]:
    return [_value_info(each) for each in messages(graph, number)]


def _value_info(data: memoryview) -> Tuple[Tensor, bool]:
    """The tensor, and whether its shape is stated.

    ValueInfoProto {1 name, 2 TypeProto {1 tensor {1 elem_type, 2 TensorShapeProto {1 dim {1 value | 2 param}}}}}
    """
    found = fields(data)
    code, shape, has_shape = 0, [], False  # type: int, List[Dimension], bool
    for type_field in messages(found, 2):
        for tensor_field in messages(fields(type_field), 1):
            tensor = fields(tensor_field)
            code = last_int(tensor, 1)
            for shape_field in messages(tensor, 2):
                shape = [_dimension(dimension) for dimension in messages(fields(shape_field), 1)]
                has_shape = True
    return Tensor(last_text(found, 1), _data_type(code), tuple(shape)), has_shape


def _dimension(data: memoryview) -> Dimension:
    found = fields(data)
    if any(number == 1 for number, _ in found):
        return last_int(found, 1)
    return last_text(found, 2) or "?"


def _data_type(code: int) -> str:
    return DATA_TYPES.get(code, "type {}".format(code))
