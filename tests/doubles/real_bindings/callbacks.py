"""Calls what Python gave to the bindings (a logger, a calibrator ...) the way TensorRT does: through its vtable.

The functions of an application's interface come in the order of their declaration (NvInferRuntimeBase.h, NvInfer.h), in
an ``IVersionedInterface`` after four of its own: getAPILanguage, getInterfaceInfo and two destructors. Calibrators are
such from TensorRT 10 on, loggers and profilers from 11 on, progress monitors since there are any.
"""

import ctypes

_VERSIONED = 4  # functions before the interface's own


class Callbacks:
    """Of one major version of TensorRT; objects are given as addresses, as they arrived in a register."""

    def __init__(self, major):
        self._calibrator = _VERSIONED if major >= 10 else 0
        self._logger = self._profiler = _VERSIONED if major >= 11 else 0

    def log(self, logger, severity, text):
        """``ILogger::log``."""
        _call(logger, self._logger, None, ctypes.c_int32(severity), ctypes.c_char_p(text.encode()))

    def report_layer_time(self, profiler, name, milliseconds):
        """``IProfiler::reportLayerTime``."""
        _call(profiler, self._profiler, None, ctypes.c_char_p(name.encode()), ctypes.c_float(milliseconds))

    def phase_start(self, monitor, name, steps):
        """``IProgressMonitor::phaseStart`` of a phase without a parent."""
        _call(monitor, _VERSIONED, None, ctypes.c_char_p(name.encode()), ctypes.c_char_p(None), ctypes.c_int32(steps))

    def step_complete(self, monitor, name, step):
        """``IProgressMonitor::stepComplete``: whether the build goes on."""
        arguments = ctypes.c_char_p(name.encode()), ctypes.c_int32(step)
        return _call(monitor, _VERSIONED + 1, ctypes.c_bool, *arguments)

    def phase_finish(self, monitor, name):
        """``IProgressMonitor::phaseFinish``."""
        _call(monitor, _VERSIONED + 2, None, ctypes.c_char_p(name.encode()))

    def batch_size(self, calibrator):
        """``IInt8Calibrator::getBatchSize``."""
        return _call(calibrator, self._calibrator, ctypes.c_int32)

    def batch(self, calibrator, names):
        """``IInt8Calibrator::getBatch``: the address of each input's data, or ``None`` where there is no more."""
        addresses = (ctypes.c_void_p * len(names))()
        texts = (ctypes.c_char_p * len(names))(*[name.encode() for name in names])
        arguments = ctypes.cast(addresses, ctypes.c_void_p), ctypes.cast(texts, ctypes.c_void_p)
        more = _call(calibrator, self._calibrator + 1, ctypes.c_bool, *(arguments + (ctypes.c_int32(len(names)),)))
        return list(addresses) if more else None

    def read_cache(self, calibrator):
        """``IInt8Calibrator::readCalibrationCache``: the bytes, or ``None``."""
        length = ctypes.c_size_t()
        where = ctypes.c_void_p(ctypes.addressof(length))
        data = _call(calibrator, self._calibrator + 2, ctypes.c_void_p, where)
        return None if data is None else ctypes.string_at(data, length.value)

    def write_cache(self, calibrator, data):
        """``IInt8Calibrator::writeCalibrationCache``; the memory is gone afterwards."""
        memory = ctypes.create_string_buffer(data, len(data))
        arguments = ctypes.cast(memory, ctypes.c_void_p), ctypes.c_size_t(len(data))
        _call(calibrator, self._calibrator + 3, None, *arguments)
        ctypes.memset(memory, 0, len(data))


def _call(interface, slot, result, *arguments):
    """``result`` is the ctypes type of what comes back, or ``None``; ``arguments`` are ctypes values."""
    table = ctypes.c_void_p.from_address(interface).value
    function = ctypes.c_void_p.from_address(table + slot * ctypes.sizeof(ctypes.c_void_p)).value
    prototype = ctypes.CFUNCTYPE(result, ctypes.c_void_p, *[type(value) for value in arguments])
    return prototype(function)(interface, *arguments)
