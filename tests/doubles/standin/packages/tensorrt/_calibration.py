"""INT8 calibration: asks the program's calibrator as TensorRT does, and measures every tensor's largest value."""

import contextlib
import struct

import numpy as np
from standin_cuda import LaunchError, read

from tensorrt._execution import largest_values
from tensorrt._native import call_back
from tensorrt._pybind import integer
from tensorrt._types import MAJOR
from tensorrt._version import VERSION

_ENDINGS = {"ENTROPY_CALIBRATION_2": "EntropyCalibration2", "MINMAX_CALIBRATION": "MinMaxCalibration"}
_NO_DATA = (
    "Calibration failure occurred with no scaling factors detected. This could be due to no int8 calibrator or "
    "insufficient custom scales for network layers. Please see int8 sample to setup calibration correctly."
)


def calibrate(network, calibrator, voice):
    """Whether there are scales for the network: those of the calibrator's cache, or measured on its data."""
    first = _first_line(calibrator._algorithm)
    cache = call_back(calibrator, "read_calibration_cache", convert=_bytes, default=b"")
    if cache:
        if cache.split(b"\n", 1)[0].decode("ascii", "replace") == first:
            return True
        voice.warning("Calibration table does not match calibrator algorithm type.")
    call_back(calibrator, "get_batch_size", convert=integer, default=1)
    try:
        largest = largest_values(network._onnx, _batches(network, calibrator))
    except LaunchError as error:
        voice.error(str(error), 1, "calibrator.cpp", "IBuilder::buildSerializedNetwork", "Cuda Runtime")
        return False
    if not largest:
        voice.error(_NO_DATA, 4, "calibrator.cpp::calibrateEngine", "IBuilder::buildSerializedNetwork")
        return False
    rows = ["{}: {}".format(name, struct.pack("!f", value / 127.0).hex()) for name, value in sorted(largest.items())]
    memory = bytearray("\n".join([first] + rows + [""]).encode("utf-8"))
    view = memoryview(memory)
    call_back(calibrator, "write_calibration_cache", view)
    memory[:] = bytes(len(memory))  # TensorRT's own memory, which is gone after the call
    with contextlib.suppress(BufferError):
        view.release()
    return True


def _batches(network, calibrator):
    """Inputs by name, as long as the calibrator has some."""
    names = [tensor._onnx_name for tensor in network._inputs]
    while True:
        batch = call_back(calibrator, "get_batch", names, convert=_addresses, default=[])
        if not batch:
            return
        feeds = {}
        for tensor, address in zip(network._inputs, batch):
            content = read(address, int(np.prod(tensor._shape)) * np.dtype(np.float32).itemsize)
            feeds[tensor._onnx_name] = np.frombuffer(content, np.float32).reshape(tensor._shape)
        yield feeds


def _first_line(algorithm):
    """Of a calibration cache: TRT-8201-EntropyCalibration2."""
    major, minor, patch = VERSION[:3]
    number = major * 10000 + minor * 100 + patch if MAJOR >= 10 else major * 1000 + minor * 100 + patch
    return "TRT-{}-{}".format(number, _ENDINGS[algorithm])


def _bytes(value):
    return b"" if value is None else bytes(memoryview(value))


def _addresses(value):
    return [] if value is None else [integer(each) for each in value]
