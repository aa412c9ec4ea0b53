"""The classes that a program derives its own from, for TensorRT to call back."""

import sys
import time

from tensorrt._pybind import Attribute, Object, instance, real, strict, text
from tensorrt._types import CalibrationAlgoType, Severity

_LETTERS = {"INTERNAL_ERROR": "F", "ERROR": "E", "WARNING": "W", "INFO": "I", "VERBOSE": "V"}


class ILogger(Object):
    """Takes every message, of every severity."""

    Severity = Severity

    def __init__(self):
        super().__init__()

    @strict(severity=instance(Severity), msg=text)
    def log(self, severity, msg):
        """To be overridden."""
        raise _pure("ILogger::log")


for _name, _member in Severity.__members__.items():
    setattr(ILogger, _name, _member)


class Logger(ILogger):
    """Prints what is at least as severe as ``min_severity``."""

    min_severity = Attribute(instance(Severity))

    @strict(min_severity=instance(Severity))
    def __init__(self, min_severity=Severity.WARNING):
        super().__init__()
        self.min_severity = min_severity

    @strict(severity=instance(Severity), msg=text)
    def log(self, severity, msg):
        """[11/22/2026-18:25:24] [TRT] [E] could not ..."""
        if severity <= self.min_severity:
            when = time.strftime("%m/%d/%Y-%H:%M:%S")
            sys.stderr.write("[{}] [TRT] [{}] {}\n".format(when, _LETTERS[severity.name], msg))


class IProfiler(Object):
    """Told how long each layer took."""

    def __init__(self):
        super().__init__()

    def report_layer_time(self, layer_name, ms):
        """To be overridden."""
        raise _pure("IProfiler::report_layer_time")


class Profiler(IProfiler):
    """Prints it."""

    @strict(layer_name=text, ms=real)
    def report_layer_time(self, layer_name, ms):
        """A line a layer."""
        print("{}: {:g}ms".format(layer_name, ms))


class IProgressMonitor(Object):
    """Told of a build's phases, from several threads."""

    def __init__(self):
        super().__init__()

    def phase_start(self, phase_name, parent_phase, num_steps):
        """To be overridden."""
        raise _pure("IProgressMonitor::phase_start")

    def step_complete(self, phase_name, step):
        """To be overridden: False ends the build."""
        raise _pure("IProgressMonitor::step_complete")

    def phase_finish(self, phase_name):
        """To be overridden."""
        raise _pure("IProgressMonitor::phase_finish")


class IInt8Calibrator(Object):
    """Gives the data of INT8 calibration."""

    _constructible = False
    _algorithm = ""

    def __init__(self):
        super().__init__()

    def get_batch_size(self):
        """To be overridden."""
        raise _pure("IInt8Calibrator::get_batch_size")

    def get_batch(self, names):
        """To be overridden: a device address for each input, or nothing at the end."""
        raise _pure("IInt8Calibrator::get_batch")

    def read_calibration_cache(self):
        """To be overridden: the bytes of a cache, or None."""
        raise _pure("IInt8Calibrator::read_calibration_cache")

    def write_calibration_cache(self, cache):
        """To be overridden."""
        raise _pure("IInt8Calibrator::write_calibration_cache")

    def get_algorithm(self):
        """The kind of calibration."""
        return CalibrationAlgoType._members[self._algorithm]


class IInt8EntropyCalibrator2(IInt8Calibrator):
    """The one for convolutional networks."""

    _constructible = True
    _algorithm = "ENTROPY_CALIBRATION_2"


class IInt8MinMaxCalibrator(IInt8Calibrator):
    """Takes the largest values."""

    _constructible = True
    _algorithm = "MINMAX_CALIBRATION"


class IErrorRecorder(Object):
    """Keeps errors."""

    MAX_DESC_LENGTH = 127

    def __init__(self):
        super().__init__()

    def num_errors(self):
        """To be overridden."""
        raise _pure("IErrorRecorder::num_errors")

    def get_error_code(self, index):
        """To be overridden."""
        raise _pure("IErrorRecorder::get_error_code")

    def get_error_desc(self, index):
        """To be overridden."""
        raise _pure("IErrorRecorder::get_error_desc")

    def has_overflowed(self):
        """To be overridden."""
        raise _pure("IErrorRecorder::has_overflowed")

    def clear(self):
        """To be overridden."""
        raise _pure("IErrorRecorder::clear")

    def report_error(self, code, desc):
        """To be overridden."""
        raise _pure("IErrorRecorder::report_error")


def _pure(name):
    return RuntimeError('Tried to call pure virtual function "{}"'.format(name))
