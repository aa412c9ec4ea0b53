"""Where an engine's time goes: the profiler's milliseconds and the inspector's facts, joined by the layer's name.

TensorRT names a layer after the ONNX nodes that it fused:

    Conv_12 + PRelu_13
    PWN(PWN(Mul_4, Add_5), Relu_6)
    Reformatting CopyNode for Input Tensor 0 to Conv_12 + PRelu_13
    {ForeignNode[/encoder/Conv.../classifier/Add]}
"""

import json
import math
import re
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from ccc_jetson.engines.inspect_text import table
from ccc_jetson.engines.job import LayerProfile
from ccc_jetson.onnx_file import OnnxFile

SCHEMA = 1
_SHOWN = 12
_NAME_SHOWN = 60
_BETWEEN_NAMES = re.compile(r"\s\+\s|\s\|\|\s|[\s(),\[\]{}]|\.\.\.")
_REFORMAT = "Reformat"


class LayerRow(NamedTuple):
    """A layer: milliseconds (median), ``kind`` as TensorRT calls it or as ONNX does, the ONNX nodes that it computes,
    and the inspector's own record of it."""

    name: str
    milliseconds: float
    kind: str
    nodes: Tuple[str, ...]
    details: Dict[str, Any]


class LayerReport(NamedTuple):
    """Layers, the slowest first."""

    rows: Tuple[LayerRow, ...]

    @property
    def milliseconds(self) -> float:
        """All layers together; more than a run takes, as TensorRT waits between layers that it measures."""
        return sum(row.milliseconds for row in self.rows)

    def by_kind(self) -> List[Tuple[str, int, float]]:
        """(kind, layers, milliseconds), the slowest first."""
        found: Dict[str, Tuple[int, float]] = {}
        for row in self.rows:
            count, total = found.get(row.kind, (0, 0.0))
            found[row.kind] = (count + 1, total + row.milliseconds)
        kinds = [(kind, count, total) for kind, (count, total) in found.items()]
        return sorted(kinds, key=lambda each: -each[2])

    def to_json(self) -> str:
        """Everything, for machines."""
        rows = [dict(zip(LayerRow._fields, row)) for row in self.rows]
        record = {"schema": SCHEMA, "milliseconds": self.milliseconds, "layers": rows}
        return json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n"

    def to_text(self) -> str:
        """The slowest layers and each kind's share, for people."""
        total = self.milliseconds or 1.0
        kinds = [
            [kind, str(count), "{:.3f}".format(ms), "{:.1%}".format(ms / total)] for kind, count, ms in self.by_kind()
        ]
        slowest = [
            [_short(row.name), "{:.3f}".format(row.milliseconds), "{:.1%}".format(row.milliseconds / total)]
            for row in self.rows[:_SHOWN]
        ]
        parts = [
            table(["kind", "layers", "ms", "share"], kinds, 1),
            table(["slowest layers", "ms", "share"], slowest, 1),
        ]
        more = len(self.rows) - _SHOWN
        if more > 0:
            rest = sum(row.milliseconds for row in self.rows[_SHOWN:])
            parts.append("and {:.3f} ms in {} more".format(rest, more))
        return "\n\n".join(parts)


def layer_report(profile: LayerProfile, onnx_file: OnnxFile) -> LayerReport:
    """Joins what was measured with what TensorRT and the ONNX file say of it."""
    operators = {node.name: node.operator for node in onnx_file.nodes if node.name}
    details = _details(profile.information)
    rows = []
    for name, milliseconds in profile.times:
        known = details.get(name, {})
        nodes = _nodes(name + " " + str(known.get("Metadata", "")), frozenset(operators))
        kind = _REFORMAT if name.startswith("Reformatting") else str(known.get("LayerType", ""))
        kind = kind or " + ".join(dict.fromkeys(operators[node] for node in nodes)) or "other"
        rows.append(LayerRow(name, milliseconds, kind, nodes, known))
    return LayerReport(tuple(sorted(rows, key=lambda row: -row.milliseconds)))


def _details(information: str) -> Dict[str, Dict[str, Any]]:
    """The inspector's layers by name; without verbosity DETAILED it gives names alone."""
    try:
        layers = list(json.loads(information or "{}", parse_float=_finite, parse_constant=_finite).get("Layers", []))
    # TensorRT's JSON is not ours to trust, and times are worth having without it
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}
    return {str(layer.get("Name")): layer for layer in layers if isinstance(layer, dict)}


def _finite(number: str) -> Optional[float]:
    """What our own JSON, which is to be read by others, has no word for is not known."""
    return float(number) if math.isfinite(float(number)) else None


def _nodes(text: str, names: FrozenSet[str]) -> Tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in _BETWEEN_NAMES.split(text) if part in names))


def _short(name: str) -> str:
    return name if len(name) <= _NAME_SHOWN else name[: _NAME_SHOWN - 3] + "..."
