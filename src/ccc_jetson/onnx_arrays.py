"""The weights and constants of an ONNX file as arrays, read without ``onnx`` or protobuf.

Raw data become read-only views into the file's bytes, so that nothing is copied; the other encodings of TensorProto are
unpacked. What numpy knows no type for is left out, and so is what lies in another file: ``OnnxFile.external`` names it.
"""

import reprlib
from typing import Dict, List, Tuple, Union

import numpy as np

from ccc_jetson.onnx_file import Tensor, damaged_onnx, described, graph_fields, is_external
from ccc_jetson.protobuf import Damaged, Field, fields, ints, last_int, last_text, messages, packed, texts

# How TensorProto stores a type where it does not use raw_data: field, and the type of the numbers in it
_FLOATS, _INT32S, _INT64S, _DOUBLES, _UINT64S = (4, "<f4"), (5, "<i4"), (7, "<i8"), (10, "<f8"), (11, "<u8")
_STORED = {
    "float32": ("<f4", _FLOATS), "float64": ("<f8", _DOUBLES), "int64": ("<i8", _INT64S), "int32": ("<i4", _INT32S),
    "int16": ("<i2", _INT32S), "int8": ("i1", _INT32S), "uint8": ("u1", _INT32S), "uint16": ("<u2", _INT32S),
    "uint32": ("<u4", _UINT64S), "uint64": ("<u8", _UINT64S), "bool": ("?", _INT32S),
    "float16": ("<f2", _INT32S), "bfloat16": ("<u2", _INT32S),
}  # fmt: skip
_RAW_DATA = 9
_LARGEST_RANK = 32  # of numpy 1


def constant_arrays(data: bytes, path: str = "model") -> Dict[str, np.ndarray]:
    """Initializers by their name and values of Constant nodes by their output's; bfloat16 is widened to float32.

    Args:
        data: the file's bytes.
        path: for messages only.

    Raises:
        FileProblem: a tensor's data do not have the size that its shape asks for.
    """
    arrays: Dict[str, np.ndarray] = {}
    try:
        graph = graph_fields(fields(memoryview(data)))
        for each in messages(graph, 5):
            _add(arrays, "", fields(each))
        for each in messages(graph, 1):
            node = fields(each)
            if last_text(node, 4) == "Constant" and texts(node, 2):
                for attribute in (fields(value) for value in messages(node, 5)):
                    _add_constant(arrays, texts(node, 2)[0], attribute)
    except (Damaged, UnicodeDecodeError) as error:
        raise damaged_onnx(path, error)
    return arrays


def _add_constant(arrays: Dict[str, np.ndarray], name: str, attribute: List[Field]) -> None:
    """The value of a Constant node: a tensor, a number, or a list of numbers."""
    kind = last_text(attribute, 1)
    if kind == "value":
        for tensor in messages(attribute, 5):
            _add(arrays, name, fields(tensor))
    elif kind in ("value_float", "value_floats"):
        array = _from_buffer(packed(attribute, 2 if kind == "value_float" else 7), "<f4", name)
        arrays[name] = array[-1:].reshape(()) if kind == "value_float" and array.size else array
    elif kind == "value_int":
        arrays[name] = np.array(last_int(attribute, 3), np.int64)
    elif kind == "value_ints":
        arrays[name] = np.array(ints(attribute, 8), np.int64)


def _add(arrays: Dict[str, np.ndarray], name: str, tensor: List[Field]) -> None:
    about = described(tensor)
    if about.dtype in _STORED and not is_external(tensor):
        arrays[name or about.name] = _array(about, tensor)


def _array(about: Tensor, tensor: List[Field]) -> np.ndarray:
    stored, (number, number_type) = _STORED[about.dtype]
    raw = messages(tensor, _RAW_DATA)
    if raw:
        flat = _from_buffer(raw[-1], stored, about.name)
    elif number in (_FLOATS[0], _DOUBLES[0]):
        flat = _from_buffer(packed(tensor, number), number_type, about.name)
    else:
        flat = _narrowed(ints(tensor, number), stored)
    shape = _fixed(about)
    expected = 1
    for size in shape:
        expected *= size
    if flat.size != expected:
        raise Damaged("tensor {!r} has {} values, its shape asks for {}".format(about.name, flat.size, expected))
    if about.dtype == "bfloat16":  # the upper half of a float32
        flat = (flat.astype(np.uint32) << np.uint32(16)).view(np.float32)
    try:
        return flat.reshape(shape)
    except ValueError as error:  # no values, and sizes beyond what numpy addresses
        raise Damaged("tensor {!r}: {}".format(about.name, error))


def _narrowed(numbers: Tuple[int, ...], stored: str) -> np.ndarray:
    """Numbers as TensorProto keeps them; float16 and bfloat16 stand there as the integer with their bits."""
    wide = np.array([number & 0xFFFFFFFFFFFFFFFF for number in numbers], np.uint64)
    if stored == "<f2":
        return wide.astype(np.uint16).view(np.float16)
    return wide.astype(stored)


def _from_buffer(data: Union[bytes, memoryview], stored: str, name: str) -> np.ndarray:
    if len(data) % np.dtype(stored).itemsize:
        raise Damaged("tensor {!r}: {} bytes are no list of {}".format(name, len(data), stored))
    return np.frombuffer(data, stored) if len(data) else np.empty(0, stored)


def _fixed(about: Tensor) -> Tuple[int, ...]:
    shape = tuple(size for size in about.shape if isinstance(size, int) and size >= 0)
    if len(shape) != len(about.shape) or len(shape) > _LARGEST_RANK:
        raise Damaged("tensor {!r} has the shape {}".format(about.name[:100], reprlib.repr(about.shape)))
    return shape
