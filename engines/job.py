"""What the supervising process asks of the one that has TensorRT, and what that one answers: JSON, a line each."""

import json
from typing import Any, Dict, NamedTuple, Optional, Tuple

from ccc_jetson.engines.gate import Bounds
from ccc_jetson.engines.manifest import Binding, Gate, GateFrame

MIN_RUNS = 10


class Facts(NamedTuple):
    """What TensorRT and CUDA say of this machine.

    ``fast_fp16`` and ``fast_int8`` are ``None`` where TensorRT cannot say; ``has_precision_flags`` is False where only
    the network's own types count (TensorRT 11). Memory in bytes.
    """

    tensorrt: str
    cuda: str
    device: str
    sm: str
    integrated: bool
    free_bytes: int
    fast_fp16: Optional[bool]
    fast_int8: Optional[bool]
    has_precision_flags: bool


class Job(NamedTuple):
    """One build.

    Files: ``model`` and the caches are read, ``plan`` and ``timing_cache_out`` written; empty names mean none.
    ``pinned`` are ONNX tensors whose layers are kept in FP32, ``layer_precisions`` the user's (pattern, precision).
    ``calibration_algorithm`` is the cache's, a key of ``tensorrt_callbacks.ALGORITHMS``. ``contract`` is a JSON text.
    ``bounds`` are what the gate asks for. ``kept`` are patterns of ``layer_precisions`` that the user has from the
    cache's provenance.
    """

    model: str
    plan: str
    contract: str
    strongly_typed: bool
    precisions: Tuple[str, ...]
    output: str
    layer_precisions: Tuple[Tuple[str, str], ...]
    pinned: Tuple[str, ...]
    workspace_mib: int
    dla_core: Optional[int]
    timing_cache_in: str
    timing_cache_out: str
    calibration_cache: str
    calibration_algorithm: str
    judge: bool
    bounds: Bounds = Bounds()
    kept: Tuple[str, ...] = ()

    @property
    def timing_cache(self) -> bool:
        """Whether the build has one; an earlier one need not be there."""
        return bool(self.timing_cache_out)

    def to_record(self) -> Dict[str, Any]:
        return dict(zip(self._fields, self))

    @classmethod
    def from_record(cls, record: Dict[str, Any]) -> "Job":
        values = dict(record, **{name: tuple(record[name]) for name in ("precisions", "pinned", "kept")})
        values["layer_precisions"] = tuple((pattern, precision) for pattern, precision in record["layer_precisions"])
        least, frames = record["bounds"]
        values["bounds"] = Bounds(least, tuple((name, share) for name, share in frames))
        return cls(**values)


class LayerTime(NamedTuple):
    """A layer of the engine: its name and the median of its milliseconds."""

    name: str
    milliseconds: float


class LayerProfile(NamedTuple):
    """An engine's layers in the order of a run; ``information`` is the inspector's JSON, empty before TensorRT 8.2."""

    times: Tuple[LayerTime, ...]
    information: str


class Outcome(NamedTuple):
    """What a build gave.

    ``pinned`` are the layers of ``Job.pinned``; ``milliseconds`` is a run of the engine alone, 0 where it was
    not judged.
    """

    bindings: Tuple[Binding, ...]
    gate: Optional[Gate]
    pinned: Tuple[str, ...]
    seconds: float
    timing_cache_reused: bool
    milliseconds: float

    def to_record(self) -> Dict[str, Any]:
        record: Dict[str, Any] = dict(zip(self._fields, self))
        record["bindings"] = [list(each) for each in self.bindings]
        if self.gate is not None:
            record["gate"] = {"passed": self.gate.passed, "frames": [list(each) for each in self.gate.frames]}
        return record

    @classmethod
    def from_record(cls, record: Dict[str, Any]) -> "Outcome":
        gate = record["gate"]
        return cls(
            bindings=tuple(
                Binding(name, given, dtype, tuple(shape)) for name, given, dtype, shape in record["bindings"]
            ),
            gate=None if gate is None else Gate(gate["passed"], tuple(GateFrame(*each) for each in gate["frames"])),
            pinned=tuple(record["pinned"]),
            seconds=record["seconds"],
            timing_cache_reused=record["timing_cache_reused"],
            milliseconds=record["milliseconds"],
        )


def encode(message: Dict[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def decode(line: bytes) -> Dict[str, Any]:
    """A line as a message."""
    message = json.loads(line.decode("ascii"))
    assert isinstance(message, dict)
    return message
