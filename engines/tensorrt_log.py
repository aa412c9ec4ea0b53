"""What TensorRT says while it works: kept, and put into words when a call has failed.

TensorRT reports failure as ``None`` or ``False`` and its reason in the log only. The lines below were written by
TensorRT 7 to 10 on users' machines; each known cause has a sentence and a cure:

    [E] Requested amount of GPU memory (150994944 bytes) could not be allocated. There may not be enough free memory ...
    [W] Skipping tactic 3 due to insuficient memory on requested size of 4364 detected for tactic 60.
    [W] Tactic Device request: 4364MB Available: 3788MB. Device memory is insufficient to use tactic.
    [E] 10: [optimizer.cpp::computeCosts::2011] Error Code 10: Internal Error (Could not find any implementation for
        node Conv_1 + Relu_2.)
    [E] 1: [runtime.cpp::parsePlan::314] Error Code 1: Serialization (Serialization assertion plan->header.magicTag ==
        rt::kPLAN_MAGIC_TAG failed.)
    [E] 6: The engine plan file is not compatible with this version of TensorRT, expecting library version 8.2.3 got
        8.2.1, please rebuild.
    [E] 6: The engine plan file is generated on an incompatible device, expecting compute 7.5 got compute 8.6, please
        rebuild.
"""

import collections
import re
from typing import Deque, NamedTuple, Optional, Sequence, Tuple

from ccc_jetson.engines.preflight import END_DESKTOP
from ccc_jetson.errors import BuildError

INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = "internal error", "error", "warning", "info", "verbose"
SEVERITIES = (INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE)  # in the order of ILogger.Severity, from 0
_KEPT = 200
_SHOWN = 3

_MEMORY = re.compile(
    r"out ?of ?memory|insuff?icient memory|memory is insufficient|due to oom|could not be allocated|std::bad_alloc",
    re.I,
)
# cudaErrorMemoryAllocation; a warning, like every such line
_NO_MEMORY_AT_START = re.compile(r"CUDA initialization failure with error:? *2\b")
_NO_TACTIC = re.compile(r"Could not find any implementation for node (.+?)\.?(?:\)|, |$)")
# what to do where CUDA or TensorRT find no GPU
NO_GPU = "in a container: docker run --runtime nvidia; on a board: is this user in the group video?"
LESS_MEMORY = "close other programs and the desktop ({}), or name a smaller --workspace".format(END_DESKTOP)


class OutOfMemory(BuildError):
    """The builder, or the GPU, ran out of memory: a smaller workspace may do."""


class Line(NamedTuple):
    """A message of TensorRT; ``severity`` is one of ``SEVERITIES``."""

    severity: str
    text: str


class Cause(NamedTuple):
    """``pattern`` is looked for in the errors; its groups fill the blanks of ``sentence``."""

    pattern: str
    sentence: str
    hint: str


CAUSES = (
    Cause(
        r"require hardware with Int8 support",
        "the network's QuantizeLinear and DequantizeLinear nodes need INT8 units, which this GPU does not have",
        "build the float model with --fp16",
    ),
    Cause(
        r"(?:No importer registered for op|could not find plugin): (\w+)",
        "this TensorRT has no importer for the operator {0}",
        "ccc-inspect MODEL.onnx names every node that this TensorRT cannot take",
    ),
    Cause(
        r"Unsupported ONNX data type: (\w+)",
        "this TensorRT does not know tensors of type {0}",
        "ccc-inspect MODEL.onnx names every tensor that this TensorRT cannot take",
    ),
    Cause(
        r"expecting library version ([\d.]+) got ([\d.]+)",
        "the plan is for another TensorRT: the log names the versions {0} and {1}",
        "build it on this machine: ccc-build-engine MODEL.onnx",
    ),
    Cause(
        r"Version tag does not match.*?Current Version: (\d+), Serialized Engine Version: (\d+)",
        "the plan is for another TensorRT: this one reads plans of serialization version {0}, the file has {1}",
        "build it on this machine: ccc-build-engine MODEL.onnx",
    ),
    Cause(
        r"expecting compute (\d+\.\d+) got compute (\d+\.\d+)",
        "the plan is for another GPU: the log names the compute capabilities {0} and {1}",
        "build it on this machine: ccc-build-engine MODEL.onnx",
    ),
    Cause(
        r"[Mm]agic ?[Tt]ag",
        "the file is no plan of this TensorRT, or a damaged one",
        "build it on this machine: ccc-build-engine MODEL.onnx",
    ),
    Cause(
        r"launch timed out",
        "the GPU's watchdog ended a kernel that ran too long, as it does where a desktop uses the same GPU",
        "stop the desktop: " + END_DESKTOP,
    ),
    Cause(
        r"(?:CUDA initialization failure with error|Cuda failure|CUDA error):? *(\d+)?",
        "CUDA cannot be used here (error {0})",
        NO_GPU,
    ),
)


class TensorRTLog:
    """The last messages of TensorRT, and what they mean for a call that failed."""

    def __init__(self) -> None:
        self._lines: Deque[Line] = collections.deque(maxlen=_KEPT)

    def add(self, severity: str, text: str) -> None:
        """Keeps a message; what is below a warning explains no failure and is dropped."""
        if severity in (INTERNAL_ERROR, ERROR, WARNING):
            self._lines.append(Line(severity, text.strip()))

    @property
    def errors(self) -> Tuple[str, ...]:
        """The errors, oldest first."""
        return tuple(line.text for line in self._lines if line.severity != WARNING)

    def clear(self) -> None:
        """Forgets everything: what comes next explains the next call."""
        self._lines.clear()

    def failure(self, what: str) -> BuildError:
        """The error to raise after ``what`` failed: with its cause where it is known, else TensorRT's last words."""
        known = self._out_of_memory(what) or self._no_tactic(what) or self._known(what)
        if known is not None:
            return known
        said = self.errors or tuple(line.text for line in self._lines)
        if not said:
            return BuildError("{}; TensorRT gave no reason".format(what), hint="run it again with --verbose")
        return BuildError("{}; TensorRT says:{}".format(what, _quoted(said)), hint="--verbose shows its whole log")

    def _out_of_memory(self, what: str) -> Optional[BuildError]:
        """Memory is the cause if an error says so, or if no tactic was left after some were skipped for want of it."""
        errors = self.errors
        scarce = [line.text for line in self._lines if _MEMORY.search(line.text)]
        scarce += [line.text for line in self._lines if _NO_MEMORY_AT_START.search(line.text)]
        direct = any(_MEMORY.search(text) for text in errors) or _NO_MEMORY_AT_START.search(" ".join(scarce))
        if not direct and not (scarce and any(_NO_TACTIC.search(text) for text in errors)):
            return None
        return OutOfMemory("{}: out of memory; TensorRT says:{}".format(what, _quoted(scarce)), hint=LESS_MEMORY)

    def _no_tactic(self, what: str) -> Optional[BuildError]:
        for text in reversed(self.errors):
            found = _NO_TACTIC.search(text)
            if found:
                node = found.group(1)
                return BuildError(
                    "{}: TensorRT has no implementation of {} in this precision and workspace".format(what, node),
                    hint="try a larger --workspace, or --layer-precision '{}=fp32'".format(node.split(" + ")[0]),
                )
        return None

    def _known(self, what: str) -> Optional[BuildError]:
        warnings = tuple(line.text for line in self._lines if line.severity == WARNING)
        for text in (warnings + self.errors)[::-1]:  # a GPU that cannot be used is a warning only
            for cause in CAUSES:
                found = re.search(cause.pattern, text)
                if found:
                    groups = [group or "unknown" for group in found.groups()]
                    sentence = cause.sentence.format(*groups)
                    return BuildError("{}: {}; TensorRT says:{}".format(what, sentence, _quoted([text])), cause.hint)
        return None


def _quoted(texts: Sequence[str]) -> str:
    """The last few messages, a line each."""
    return "".join("\n  " + text for text in list(texts)[-_SHOWN:])
