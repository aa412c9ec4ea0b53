"""Runs an engine's ONNX file with ONNX Runtime, and spoils the result as the precision or the test asks for."""

import numpy as np
from standin_faults import fault

from ccc_jetson.onnx_file import Tensor, parse_onnx, with_extra_outputs
from ccc_jetson.ort import cpu_session

_NUMPY_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int64)": "int64",
    "tensor(int32)": "int32", "tensor(int8)": "int8", "tensor(uint8)": "uint8", "tensor(bool)": "bool",
}  # fmt: skip


class Execution:
    """An engine ready to run; ``facts`` and ``model`` are the two parts of its plan."""

    def __init__(self, facts, model):
        self._facts = facts
        self._names = [output["onnx"] for output in facts["outputs"]]
        self._session = _session(model, self._names)

    def run(self, arrays):
        """Inputs by their place -> outputs by theirs, of the types that the plan says."""
        feeds = {
            each.name: array.astype(_NUMPY_TYPES[each.type]) for each, array in zip(self._session.get_inputs(), arrays)
        }
        found = self._session.run(self._names, feeds)
        return [self._finished(array, output) for array, output in zip(found, self._facts["outputs"])]

    def _finished(self, array, output):
        with np.errstate(over="ignore"):  # what is too large for half precision becomes infinite, as on the GPU
            if output["rounded"]:
                array = array.astype(np.float16)
            if fault("wrong") or self._is_unpinned("wrong_unless_fp32"):
                array = _shifted(array)
            if self._is_unpinned("nan_unless_fp32"):
                array = _not_numbers(array)
            return np.ascontiguousarray(array.astype(output["dtype"]))

    def _is_unpinned(self, name):
        """Whether one of the layers or tensors that the fault names is in the engine and computes in half precision."""
        wanted = set(fault(name)) & set(self._facts["names"])
        return self._facts["half"] and bool(wanted - set(self._facts["pinned"]))


def tensors_as_run(model, onnx_file):
    """Types and shapes of the nodes' outputs as ONNX Runtime infers them, by name."""
    names = [name for node in onnx_file.nodes for name in node.outputs if name]
    found = _session(model, names).get_outputs()
    return {
        each.name: Tensor(each.name, _NUMPY_TYPES[each.type], tuple(_size(size) for size in each.shape))
        for each in found
    }


def largest_values(model, feeds_of_batches):
    """The largest absolute value of every tensor of floating-point numbers, by name; inputs by name, batch by batch."""
    onnx_file = parse_onnx(model)
    names = [name for node in onnx_file.nodes for name in node.outputs if name]
    session = _session(model, names)
    floats = [each.name for each in session.get_outputs() if each.type == "tensor(float)"]
    largest = {}
    for feeds in feeds_of_batches:
        found = dict(zip(floats, session.run(floats, feeds)))
        for name, array in list(found.items()) + list(feeds.items()):
            largest[name] = max(largest.get(name, 0.0), float(np.abs(array).max()))
    return largest


def _session(model, names):
    given = [tensor.name for tensor in parse_onnx(model).outputs]
    return cpu_session(with_extra_outputs(model, [name for name in names if name not in given]), "engine", threads=1)


def _size(size):
    return size if isinstance(size, int) else "?"


def _shifted(array):
    """Other classes in the upper half: channels moved on by one, or class numbers raised by one.

    Scores of whole pictures have no halves: all of them move.
    """
    array = array.copy()
    upper = array if array.ndim == 2 else _upper_half(array)
    if array.dtype.kind == "f":
        upper[...] = np.roll(upper, 1, axis=-3 if array.ndim > 2 else -1)
    else:
        upper[...] = (upper + 1) % max(int(array.max()) + 1, 2)
    return array


def _not_numbers(array):
    """What an overflow leaves in the upper half: NaN, or the class that the search for a maximum gives for it."""
    array = array.copy()
    _upper_half(array)[...] = np.nan if array.dtype.kind == "f" else 0
    return array


def _upper_half(array):
    return array[..., : array.shape[-2] // 2, :] if array.ndim > 1 else array[: len(array) // 2]
