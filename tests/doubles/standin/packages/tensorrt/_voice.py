"""What TensorRT says and how: its lines differ in form between the versions."""

from tensorrt._native import call_back
from tensorrt._types import MAJOR, ErrorCodeTRT, Severity

# The error codes that lines begin with, and what they are called
_KINDS = {
    1: "Internal Error", 2: "Internal Error", 3: "API Usage Error", 4: "Internal Error", 6: "API Usage Error",
    9: "Internal Error", 10: "Internal Error",
}  # fmt: skip


class Voice:
    """A logger, and the error recorder of the object that speaks, if it has one."""

    def __init__(self, logger, recorder=None):
        self._logger, self._recorder = logger, recorder

    def say(self, severity, text):
        """A message; ``severity`` as the enumeration names it."""
        call_back(self._logger, "log", getattr(Severity, severity), text)

    def verbose(self, text):
        """Only those who ask for everything see it."""
        self.say("VERBOSE", text)

    def info(self, text):
        """Progress."""
        self.say("INFO", text)

    def warning(self, text):
        """Something suspicious."""
        self.say("WARNING", text)

    def error(self, text, code=None, where="", call="", kind=""):
        """Why a call fails.

            8:   10: [optimizer.cpp::computeCosts::2011] Error Code 10: Internal Error (Could not find ...)
            10:  IBuilder::buildSerializedNetwork: Error Code 10: Internal Error (Could not find ...)

        Args:
            code: TensorRT's number; without one the text stands alone.
            where: the place in the sources, as 8 gives it.
            call: the method, as 10 gives it.
            kind: if it is not the code's own.
        """
        line = text
        if code is not None:
            line = "Error Code {}: {} ({})".format(code, kind or _KINDS[code], text)
            line = "{}: {}".format(call, line) if MAJOR >= 10 else "{}: [{}] {}".format(code, where, line)
        self.say("ERROR", line)
        if self._recorder is not None:
            number = min(code or 1, int(ErrorCodeTRT.UNSUPPORTED_STATE))
            call_back(self._recorder, "report_error", ErrorCodeTRT(number), line)
