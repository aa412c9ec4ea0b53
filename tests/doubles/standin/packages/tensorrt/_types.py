"""TensorRT's enumerations, with the numbers that each version gives them, and its types in numpy's words.

Numbers of 8.6.1, 10.16 and 11.0 were read from NVIDIA's package; within a major version they only grow in number.
"""

import numpy as np

from tensorrt._pybind import Enum, enumeration
from tensorrt._version import VERSION

MAJOR = VERSION[0]


def _numbered(*names):
    """Numbers from 0 in the order of the names; names with a bar between them share one."""
    return {name: number for number, shared in enumerate(names) for name in shared.split("|")}


_BUILDER_FLAGS = {
    8: _numbered(
        "FP16", "INT8", "DEBUG", "GPU_FALLBACK", "STRICT_TYPES", "REFIT", "DISABLE_TIMING_CACHE", "TF32",
        "SPARSE_WEIGHTS", "SAFETY_SCOPE", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS", "DIRECT_IO",
        "REJECT_EMPTY_ALGORITHMS", "ENABLE_TACTIC_HEURISTIC", "VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME", "FP8",
    ),
    10: _numbered(
        "FP16", "INT8", "DEBUG", "GPU_FALLBACK", "REFIT", "DISABLE_TIMING_CACHE", "TF32", "SPARSE_WEIGHTS",
        "SAFETY_SCOPE", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS", "DIRECT_IO",
        "REJECT_EMPTY_ALGORITHMS", "VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME", "FP8", "ERROR_ON_TIMING_CACHE_MISS",
        "BF16", "DISABLE_COMPILATION_CACHE", "WEIGHTLESS|STRIP_PLAN", "REFIT_IDENTICAL", "WEIGHT_STREAMING", "INT4",
        "REFIT_INDIVIDUAL", "STRICT_NANS", "MONITOR_MEMORY", "FP4", "EDITABLE_TIMING_CACHE",
        "DISTRIBUTIVE_INDEPENDENCE",
    ),
    11: {
        "DEBUG": 2, "GPU_FALLBACK": 3, "REFIT": 4, "DISABLE_TIMING_CACHE": 5, "TF32": 6, "SPARSE_WEIGHTS": 7,
        "SAFETY_SCOPE": 8, "DIRECT_IO": 11, "VERSION_COMPATIBLE": 12, "EXCLUDE_LEAN_RUNTIME": 13,
        "ERROR_ON_TIMING_CACHE_MISS": 15, "DISABLE_COMPILATION_CACHE": 17, "STRIP_PLAN": 18, "REFIT_IDENTICAL": 19,
        "WEIGHT_STREAMING": 20, "REFIT_INDIVIDUAL": 22, "STRICT_NANS": 23, "MONITOR_MEMORY": 24,
        "EDITABLE_TIMING_CACHE": 26, "DISTRIBUTIVE_INDEPENDENCE": 27,
    },
}  # fmt: skip
_NETWORK_FLAGS = {
    8: _numbered("EXPLICIT_BATCH", "EXPLICIT_PRECISION"),
    10: _numbered("EXPLICIT_BATCH", "STRONGLY_TYPED", "PREFER_JIT_PYTHON_PLUGINS", "PREFER_AOT_PYTHON_PLUGINS"),
    11: _numbered("STRONGLY_TYPED", "PREFER_JIT_PYTHON_PLUGINS", "PREFER_AOT_PYTHON_PLUGINS"),
}
_LAYER_TYPES_8 = _numbered(
    "CONVOLUTION", "FULLY_CONNECTED", "ACTIVATION", "POOLING", "LRN", "SCALE", "SOFTMAX", "DECONVOLUTION",
    "CONCATENATION", "ELEMENTWISE", "PLUGIN", "UNARY", "PADDING", "SHUFFLE", "REDUCE", "TOPK", "GATHER",
    "MATRIX_MULTIPLY", "RAGGED_SOFTMAX", "CONSTANT", "RNN_V2", "IDENTITY", "PLUGIN_V2", "SLICE", "SHAPE",
    "PARAMETRIC_RELU", "RESIZE", "TRIP_LIMIT", "RECURRENCE", "ITERATOR", "LOOP_OUTPUT", "SELECT", "FILL", "QUANTIZE",
    "DEQUANTIZE", "CONDITION", "CONDITIONAL_INPUT", "CONDITIONAL_OUTPUT", "SCATTER", "EINSUM", "ASSERTION", "ONE_HOT",
    "NON_ZERO", "GRID_SAMPLE", "NMS", "REVERSE_SEQUENCE", "NORMALIZATION", "CAST",
)  # fmt: skip
_LAYER_TYPES_10 = _numbered(
    "CONVOLUTION", "CAST", "ACTIVATION", "POOLING", "LRN", "SCALE", "SOFTMAX", "DECONVOLUTION", "CONCATENATION",
    "ELEMENTWISE", "PLUGIN", "UNARY", "PADDING", "SHUFFLE", "REDUCE", "TOPK", "GATHER", "MATRIX_MULTIPLY",
    "RAGGED_SOFTMAX", "CONSTANT", "IDENTITY", "PLUGIN_V2", "SLICE", "SHAPE", "PARAMETRIC_RELU", "RESIZE", "TRIP_LIMIT",
    "RECURRENCE", "ITERATOR", "LOOP_OUTPUT", "SELECT", "FILL", "QUANTIZE", "DEQUANTIZE", "CONDITION",
    "CONDITIONAL_INPUT", "CONDITIONAL_OUTPUT", "SCATTER", "EINSUM", "ASSERTION", "ONE_HOT", "NON_ZERO", "GRID_SAMPLE",
    "NMS", "REVERSE_SEQUENCE", "NORMALIZATION", "PLUGIN_V3", "SQUEEZE", "UNSQUEEZE", "CUMULATIVE", "DYNAMIC_QUANTIZE",
    "ATTENTION_INPUT", "ATTENTION_OUTPUT", "ROTARY_EMBEDDING", "KV_CACHE_UPDATE", "MOE", "DIST_COLLECTIVE",
)  # fmt: skip
_TACTIC_SOURCES = ("CUBLAS", "CUBLAS_LT", "CUDNN", "EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
_SIZES = {"FLOAT": 4, "HALF": 2, "INT8": 1, "INT32": 4, "BOOL": 1, "UINT8": 1, "FP8": 1, "BF16": 2, "INT64": 8}
# numpy's names; what it has no type for is not there
_NUMPY = {
    "FLOAT": "float32", "HALF": "float16", "INT8": "int8", "INT32": "int32", "BOOL": "bool", "UINT8": "uint8",
    "INT64": "int64",
}  # fmt: skip
# The package's own names for types
ALIASES = {
    "float32": "FLOAT", "float16": "HALF", "int8": "INT8", "int32": "INT32", "bool": "BOOL", "uint8": "UINT8",
    "fp8": "FP8", "int64": "INT64", "bfloat16": "BF16", "int4": "INT4", "fp4": "FP4", "e8m0": "E8M0",
}  # fmt: skip


def _of_this_version(by_major):
    return by_major[max(major for major in by_major if major <= MAJOR)]


BuilderFlag = enumeration("BuilderFlag", _of_this_version(_BUILDER_FLAGS), ordered=True)
NetworkDefinitionCreationFlag = enumeration(
    "NetworkDefinitionCreationFlag", _of_this_version(_NETWORK_FLAGS), ordered=True
)
LayerType = enumeration("LayerType", _of_this_version({8: _LAYER_TYPES_8, 10: _LAYER_TYPES_10}))
DataType = enumeration(
    "DataType",
    _numbered(
        "FLOAT", "HALF", "INT8", "INT32", "BOOL", "UINT8", "FP8", "BF16", "INT64", "INT4", "FP4", "E8M0"
    ),
    own={"itemsize": property(lambda dtype: _SIZES.get(dtype.name))},
)  # fmt: skip
TensorFormat = enumeration(
    "TensorFormat",
    _numbered(
        "LINEAR", "CHW2", "HWC8", "CHW4", "CHW16", "CHW32", "DHWC8", "CDHW32", "HWC", "DLA_LINEAR", "DLA_HWC4", "HWC16",
        "DHWC",
    ),
    ordered=True,
)  # fmt: skip
TensorIOMode = enumeration("TensorIOMode", _numbered("NONE", "INPUT", "OUTPUT"))
TensorLocation = enumeration("TensorLocation", _numbered("DEVICE", "HOST"))
DeviceType = enumeration("DeviceType", _numbered("GPU", "DLA"))
MemoryPoolType = enumeration(
    "MemoryPoolType",
    _numbered(
        "WORKSPACE", "DLA_MANAGED_SRAM", "DLA_LOCAL_DRAM", "DLA_GLOBAL_DRAM", "TACTIC_DRAM", "TACTIC_SHARED_MEMORY"
    ),
)
ProfilingVerbosity = enumeration(
    "ProfilingVerbosity", _numbered("LAYER_NAMES_ONLY|DEFAULT", "NONE", "DETAILED|VERBOSE")
)
LayerInformationFormat = enumeration("LayerInformationFormat", _numbered("ONELINE", "JSON"))
TacticSource = enumeration(
    "TacticSource",
    _of_this_version({8: _numbered(*_TACTIC_SOURCES), 11: _numbered(*_TACTIC_SOURCES[3:])}),
    ordered=True,
)
CalibrationAlgoType = enumeration(
    "CalibrationAlgoType",
    _numbered("LEGACY_CALIBRATION", "ENTROPY_CALIBRATION", "ENTROPY_CALIBRATION_2", "MINMAX_CALIBRATION"),
)
ErrorCode = enumeration(
    "ErrorCode",
    _numbered(
        "SUCCESS", "INTERNAL_ERROR", "MEM_ALLOC_FAILED", "MODEL_DESERIALIZE_FAILED", "INVALID_VALUE", "INVALID_GRAPH",
        "INVALID_NODE", "UNSUPPORTED_GRAPH", "UNSUPPORTED_NODE", "UNSUPPORTED_NODE_ATTR", "UNSUPPORTED_NODE_INPUT",
        "UNSUPPORTED_NODE_DATATYPE", "UNSUPPORTED_NODE_DYNAMIC", "UNSUPPORTED_NODE_SHAPE", "REFIT_FAILED",
    ),
)  # fmt: skip
ErrorCodeTRT = enumeration(
    "ErrorCodeTRT",
    _numbered(
        "SUCCESS", "UNSPECIFIED_ERROR", "INTERNAL_ERROR", "INVALID_ARGUMENT", "INVALID_CONFIG", "FAILED_ALLOCATION",
        "FAILED_INITIALIZATION", "FAILED_EXECUTION", "FAILED_COMPUTATION", "INVALID_STATE", "UNSUPPORTED_STATE",
    ),
    ordered=True,
)  # fmt: skip
Severity = enumeration(
    "ILogger.Severity", _numbered("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"), ordered=True
)


class Dims:
    """Sizes of a tensor: a sequence, but no tuple; compares with lists and tuples alone, as NVIDIA's does."""

    __hash__ = None

    def __init__(self, sizes):
        self._sizes = tuple(sizes)

    def __len__(self):
        return len(self._sizes)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Dims(self._sizes[index])
        try:
            return self._sizes[index]
        except IndexError:
            raise IndexError("Out of bounds")

    def __eq__(self, other):
        if not isinstance(other, (list, tuple)):
            raise TypeError("__eq__(): incompatible function arguments")
        return self._sizes == tuple(other)

    def __ne__(self, other):
        return not self == other

    def __repr__(self):
        return repr(self._sizes)


def data_type(name):
    """The DataType of numpy's type name."""
    return DataType._members[next(member for member, numpy_name in _NUMPY.items() if numpy_name == name)]


def numpy_name(dtype):
    """numpy's name of a DataType."""
    return _NUMPY[dtype.name]


def nptype(trt_type):
    """numpy's type for a DataType.

    Raises:
        TypeError: it has none.
    """
    if not isinstance(trt_type, Enum) or trt_type.name not in _NUMPY:
        raise TypeError("Could not resolve TensorRT datatype to an equivalent numpy datatype.")
    return np.dtype(_NUMPY[trt_type.name]).type


def volume(iterable):
    """The product of sizes."""
    product = 1
    for each in iterable:
        product *= each
    return product
