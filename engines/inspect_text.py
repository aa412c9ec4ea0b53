"""The page that ``ccc-inspect`` prints: rows of a label and a text, then tables. Names from a file are cleaned."""

from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from ccc_jetson.clean_text import clean
from ccc_jetson.contract import Contract, Head
from ccc_jetson.engines.compatibility import Problem
from ccc_jetson.engines.inspect_onnx import Carried, OnnxReport, Pairs, Verdict
from ccc_jetson.graph_cost import GraphCost
from ccc_jetson.int8_agreement import FrameAgreement
from ccc_jetson.int8_errors import Int8Error
from ccc_jetson.layer_ranges import LayerRange
from ccc_jetson.tables import aligned_table
from ccc_jetson.weight_ranges import WeightRanges

_NODES_SHOWN = 4
_LAYERS_SHOWN = 3
# The other fields of a contract are shown as they stand, under their own names
_CONTRACT_FIELDS_SHOWN = (
    "architecture", "attachments", "classes", "half", "head", "ignore_index", "input", "output", "passes", "precision",
    "preprocessing", "published", "source", "target", "tool", "verification",
)  # fmt: skip
Row = Tuple[str, str]


def onnx_page(report: OnnxReport, range_rows: Sequence[Row] = ()) -> str:
    """The page of an ONNX file; ``range_rows`` say where the ranges of a Q/DQ model come from."""
    found, cost = report.file, report.cost
    rows = [
        (
            "file",
            "{}: ONNX, {:.2f} MB, opset {}, IR {}{}".format(
                report.path,
                report.size_bytes / 1e6,
                found.opset,
                found.ir_version,
                ", written by " + found.producer.strip() if found.producer.strip() else "",
            ),
        ),
        ("sha256", report.sha256),
    ]
    rows += [("input", tensor_text(*tensor)) for tensor in found.inputs]
    rows += [("output", tensor_text(*tensor)) for tensor in found.outputs]
    rows += _carried_rows(report.carried, report.pairs is not None)
    if report.pairs is not None:
        rows += _int8_rows(report.pairs, report.carried) + list(range_rows)
    rows += [
        ("nodes", "{:,}".format(cost.nodes) + _inner(report)),
        ("parameters", "{:,}".format(cost.parameters)),
        ("FLOPs", _flops(cost)),
        ("bytes moved", _bytes_moved(cost)),
    ]
    rows += weight_rows(report.weights)
    rows += [("note", note) for note in report.notes]
    parts = [page(rows), _operators(cost), _verdicts(report)]
    parts += [text for text in (_problems(report), _remarks(report.verdicts)) if text]
    return "\n\n".join(parts)


def page(rows: Iterable[Row]) -> str:
    """Labels in a column, each once; texts behind it."""
    lines, last = [], ""
    for label, text in rows:
        lines.append("{:<12} {}".format("" if label == last else label, clean(text)))
        last = label
    return "\n".join(lines)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """Aligned columns: the first ``left`` to the left, the others to the right."""
    cells = [[clean(cell) for cell in row] for row in [header, *rows]]
    return aligned_table(cells, range(left))


def tensor_text(name: str, dtype: str, shape: Sequence[object]) -> str:
    """``image: float32 1x3x512x1024``."""
    return "{}: {} {}".format(name, dtype, "x".join(str(size) for size in shape) or "a number")


def weight_rows(weights: WeightRanges) -> List[Row]:
    """How large and how small the weights are, and what half precision makes of them."""
    if weights.largest is None:
        return [("weights", "no finite number among them" if weights.not_finite else "none in floating point")]
    smallest = "all zero" if weights.smallest is None else "smallest {:.3g}".format(weights.smallest)
    return [
        (
            "weights",
            "{:,} in {:,} tensors; magnitudes: largest {:.6g}, {}; {:,} zeros, {:,} denormals{}".format(
                weights.values,
                weights.tensors,
                weights.largest,
                smallest,
                weights.zeros,
                weights.denormals,
                ", {:,} NaN or infinite".format(weights.not_finite) if weights.not_finite else "",
            ),
        ),
        (
            "as FP16",
            "{:,} above 65504, {:,} become zero, {:,} become subnormal".format(
                weights.above_half, weights.zero_in_half, weights.subnormal_in_half
            ),
        ),
    ]


def contract_rows(
    contract: Contract,
    has_head: bool,
    golden: Optional[Sequence[str]] = None,
    layers: Sequence[LayerRange] = (),
    quantised: bool = False,
) -> List[Row]:
    """What a contract says, and what travels with it: the head's weights, golden frames, ranges of layers.

    ``golden`` are the frames' names, None where they travel elsewhere; ``quantised``: it is of a Q/DQ model, whose
    precision is not the contract's.
    """
    source, given, kept = contract.source, contract.preprocessing, contract.architecture
    rows = [
        ("contract", "{} ({}): {}; by {}".format(kept.title, kept.name, _value(kept.arguments), contract.tool)),
        ("source", "{}, SHA-256 {}".format(source.file, source.sha256)),
        ("for", "{}, in {}{}".format(contract.target, "INT8 and " * quantised, contract.precision)),
        ("passes", ", ".join(contract.passes) or "none"),
        (
            "takes",
            "{} (pixel - [{}]) / [{}] * {:.6g}".format(
                given.color_order, _three(given.mean), _three(given.std), given.scale
            ),
        ),
        ("gives", "{} of {} classes: {}".format(contract.output.kind, len(contract.classes), _class_names(contract))),
    ]
    if contract.head is not None:
        rows.append(("head", _head(contract.head, has_head)))
    if golden is not None:
        rows.append(("golden", "{} frames{}".format(len(golden), _colon(golden))))
    rows.append(("verified", _value(contract.verification) or "not noted"))
    if contract.half is not None:
        rows += [("FP16", sentence) for sentence in contract.half.sentences(contract.is_classifier)]
    rows += _layer_rows(layers)
    rows += [("published", "{} {:g} ({})".format(*figure)) for figure in contract.published]
    others = sorted(set(contract._fields) - set(_CONTRACT_FIELDS_SHOWN))
    return rows + [(name, _value(getattr(contract, name))) for name in others]


def agreement_text(frame: FrameAgreement) -> str:
    """What INT8 leaves of a golden frame."""
    return "{}: {:.3%} of the pixels keep FP32's class, {:.3%} of the decided 90 %, simulated".format(*frame)


def errors_text(errors: Sequence[Int8Error]) -> str:
    """The layers that INT8 costs most."""
    worst = ", ".join("{:.2g} in {}".format(each.error, each.layer) for each in errors[:_LAYERS_SHOWN])
    return "relative errors in INT8: " + worst


def _int8_rows(pairs: Pairs, carried: Carried) -> List[Row]:
    """What of a Q/DQ model is in INT8, and what that costs."""
    text = "INT8 by {:,} pairs of QuantizeLinear and DequantizeLinear: {:,} of {:,} convolutions; the rest in floats"
    rows = [("precision", text.format(*pairs))]
    rows += [("INT8 costs", agreement_text(frame)) for frame in carried.agreement]
    if carried.errors:
        rows.append(("INT8 costs", errors_text(carried.errors)))
    return rows


def _carried_rows(carried: Carried, quantised: bool) -> List[Row]:
    if carried.problem is not None:
        return [("contract", "damaged: {}".format(carried.problem))]
    if carried.contract is None:
        return [
            ("contract", "none: preprocessing and classes are unknown; pass --contract FILE.json to other commands")
        ]
    return contract_rows(carried.contract, carried.has_head, carried.golden, carried.layers, quantised)


def _layer_rows(layers: Sequence[LayerRange]) -> List[Row]:
    """Of all activations those that FP16 treats worst, and the largest."""
    if not layers:
        return []
    worst = sorted(layers, key=lambda layer: -layer.half_error)[:_LAYERS_SHOWN]
    shown = ", ".join("{:.2g} in {}".format(layer.half_error, layer.tensor) for layer in worst)
    largest = max(layers, key=lambda layer: layer.largest)
    return [
        (
            "layers",
            "{} activations measured; largest {:.6g} in {}".format(len(layers), largest.largest, largest.tensor),
        ),
        ("layers", "largest relative errors in FP16: " + shown),
    ]


def _head(head: Head, weights_attached: bool) -> str:
    if head.has_weights:
        attached = "attached" if weights_attached else "missing"
        what = "{} -> {} channels, weights {}".format(head.channels_in, head.channels_out, attached)
    else:
        what = "by {} with {}, {} channels".format(
            head.scale, "aligned corners" if head.align_corners else "half-pixel centres", head.channels_out
        )
    return "{} behind {!r}, {}".format(head.kind, head.features, what)


def _operators(cost: GraphCost) -> str:
    rows = []
    for row in cost.by_operator:
        share = "" if row.flops is None or not cost.flops else "{:.1%}".format(row.flops / cost.flops)
        rows.append(
            [
                row.operator,
                "{:,}".format(row.nodes),
                _scaled(row.flops, 1e9, "{:.4f}"),
                share,
                _scaled(row.bytes_moved, 1e6, "{:.2f}"),
            ]
        )
    return table(["operator", "nodes", "GFLOP", "share", "MB moved"], rows, 1)


def _verdicts(report: OnnxReport) -> str:
    rows = []
    refusing = {board for board, _ in report.hardware}
    for verdict in report.verdicts:
        count = len(verdict.problems)
        answer = "refuses it: {} reason{}".format(count, "s" * (count != 1)) if count else "nothing known against it"
        boards = [board for board in verdict.boards if board in refusing]
        if boards:
            answer += "; the hardware of {} refuses it".format(", ".join(boards))
        rows.append(
            [
                "{}.{}".format(*verdict.tensorrt),
                "up to {}".format(verdict.highest_opset),
                ", ".join(verdict.boards) or "-",
                answer,
            ]
        )
    return table(["TensorRT", "opset", "boards", "this file"], rows, 4)


def _problems(report: OnnxReport) -> str:
    """Each problem once, with the versions or boards that have it."""
    found: Dict[Problem, List[str]] = {}
    for verdict in report.verdicts:
        for problem in verdict.problems:
            found.setdefault(problem, []).append("{}.{}".format(*verdict.tensorrt))
    lines = []
    for problem, versions in found.items():
        everywhere = len(versions) == len(report.verdicts)
        lines += _problem_lines("every TensorRT" if everywhere else "TensorRT " + ", ".join(versions), problem)
    boards: Dict[Problem, List[str]] = {}
    for board, problem in report.hardware:
        boards.setdefault(problem, []).append(board)
    for problem, names in boards.items():
        lines += _problem_lines(", ".join(names), problem)
    return "\n".join(lines)


def _problem_lines(who: str, problem: Problem) -> List[str]:
    lines = ["{}: {} {}".format(who, clean(problem.operator), clean(problem.sentence))]
    if problem.nodes:
        more = len(problem.nodes) - _NODES_SHOWN
        shown = "; ".join(clean(name) for name in problem.nodes[:_NODES_SHOWN])
        lines.append("  in {}{}".format(shown, " and {:,} more".format(more) if more > 0 else ""))
    return lines + ["  -> " + clean(problem.cure)]


def _remarks(verdicts: Sequence[Verdict]) -> str:
    found: Dict[str, List[str]] = {}
    for verdict in verdicts:
        for remark in verdict.remarks:
            found.setdefault(remark, []).append("{}.{}".format(*verdict.tensorrt))
    return "\n".join(
        "note: {}{}".format(
            clean(remark), "" if len(versions) == len(verdicts) else " (TensorRT {})".format(", ".join(versions))
        )
        for remark, versions in found.items()
    )


def _inner(report: OnnxReport) -> str:
    if not report.inner_operators:
        return ""
    listed = ", ".join("{} {}".format(count, operator) for operator, count in report.inner_operators)
    return "; within branches, loops and functions: " + listed


def _flops(cost: GraphCost) -> str:
    if cost.flops is None or cost.macs is None:
        return "unknown as a whole: " + _unknown([row.operator for row in cost.by_operator if row.flops is None])
    return "{:.4f} G by the paper's Table 5; {:.4f} G multiply-adds in convolutions".format(
        cost.flops / 1e9, cost.macs / 1e9
    )


def _bytes_moved(cost: GraphCost) -> str:
    if cost.bytes_moved is None:
        return "unknown as a whole: " + _unknown([row.operator for row in cost.by_operator if row.bytes_moved is None])
    intensity = ""
    if cost.flops is not None and cost.bytes_moved:
        intensity = "; {:.2f} FLOP per byte".format(cost.flops / cost.bytes_moved)
    return "{:.4f} GB a run if nothing is fused{}".format(cost.bytes_moved / 1e9, intensity)


def _unknown(operators: Sequence[str]) -> str:
    return "shapes are open, or there is no rule, for {}".format(", ".join(operators))


def _scaled(value: Optional[int], unit: float, form: str) -> str:
    return "unknown" if value is None else form.format(value / unit)


def _three(values: Tuple[float, float, float]) -> str:
    return " ".join("{:.4g}".format(value) for value in values)


def _value(value: object) -> str:
    """Anything that a contract holds, on one line: ``key value, key value``, lists with spaces."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return ", ".join("{} {}".format(key, _value(item)) for key, item in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return " ".join(_value(item) for item in value) or "none"
    if value is None:
        return "none"
    return "{:.6g}".format(value) if isinstance(value, float) else str(value)


def _class_names(contract: Contract) -> str:
    names = contract.class_names
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def _colon(names: Sequence[str]) -> str:
    return ": " + ", ".join(names) if names else ""
