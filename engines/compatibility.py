"""Can this TensorRT take this ONNX file? Asked before anything is copied to a board or built on it.

The facts are in ``parser_facts.py`` and ``node_limits.py``. An empty answer means that nothing is known against the
file, not that a builder has seen it.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.engines.node_limits import LIMITS, Graph
from ccc_jetson.engines.parser_facts import CURES, FOLD, NEVER, SINCE, Parser, Version, parser_of
from ccc_jetson.graph_shapes import infer_shapes
from ccc_jetson.onnx_file import DATA_TYPES, Node, OnnxFile, Tensor
from ccc_jetson.targets import Target

_NO_TENSORRT = (0, 0)
_QUANTIZATION = ("DequantizeLinear", "QuantizeLinear")


class Problem(NamedTuple):
    """Why a parser refuses a file, or reads it as something else.

    ``operator`` is the operator concerned, or ``opset``, or a type; ``nodes`` are the nodes (or tensors) concerned;
    ``cure`` says what to do about it.
    """

    operator: str
    nodes: Tuple[str, ...]
    sentence: str
    cure: str


def problems(onnx_file: OnnxFile, tensorrt: Version, arrays: Optional[Dict[str, np.ndarray]] = None) -> List[Problem]:
    """What keeps TensorRT of this version from taking the file; empty where nothing is known against it.

    Args:
        onnx_file: the file, read.
        tensorrt: major and minor version, as in ``Target.tensorrt``; (0, 0) is a machine without TensorRT, which has
            nothing against any file.
        arrays: the file's constants where they are at hand: zero points and paddings are looked at then.

    Raises:
        UsageError: nothing is known of so old a version.
    """
    if tensorrt == _NO_TENSORRT:
        return []
    parser = parser_of(tensorrt)
    graph = _graph(onnx_file, arrays or {})
    found = _opset_problems(onnx_file, parser)
    found += _operator_problems(onnx_file, tensorrt)
    found += _type_problems(graph, parser)
    for limit in LIMITS:
        if limit.before is None or tensorrt < limit.before:
            broken = [
                node
                for node in onnx_file.nodes
                if node.operator in limit.operators and node.domain in ("", "ai.onnx") and limit.is_broken(node, graph)
            ]
            for operator, names in _by_operator(broken).items():
                found.append(Problem(operator, names, limit.sentence, limit.cure))
    return found


def hardware_problems(onnx_file: OnnxFile, target: Target) -> List[Problem]:
    """What a board's hardware has no units for, whatever its software can parse."""
    quantized = [node for node in _all_nodes(onnx_file) if node.operator in _QUANTIZATION]
    if target.int8 or target.tensorrt == _NO_TENSORRT or not quantized:
        return []
    names = tuple(_label(node) for node in quantized)
    return [
        Problem(
            "Q/DQ",
            names,
            "ask for INT8 units, which sm_{}{} does not have: the builder refuses the network".format(
                *target.compute_capability
            ),
            "take the float model and build it with --fp16",
        )
    ]


def remarks(onnx_file: OnnxFile, tensorrt: Version) -> List[str]:
    """What TensorRT of this version does with the file without a word, or what has to be given to it."""
    ends = onnx_file.inputs + onnx_file.outputs
    typed = {tensor.dtype for tensor in ends + onnx_file.initializers}
    found = []
    if "float64" in typed:
        found.append("FLOAT64 is narrowed to FLOAT32")
    if "int64" in typed and tensorrt < (9, 0):
        found.append("INT64 is narrowed to INT32, with a warning in the log that means no harm")
    if onnx_file.external:
        found.append(
            "the data of {} weights lie in another file, which has to be beside this one".format(
                len(onnx_file.external)
            )
        )
    for tensor in onnx_file.inputs:
        if not all(isinstance(size, int) and size > 0 for size in tensor.shape):
            found.append(
                "input {!r} has open sizes ({}): an engine needs a profile with their range".format(
                    tensor.name, "x".join(str(size) for size in tensor.shape)
                )
            )
    if onnx_file.opset == 10 and any(node.operator == "Resize" for node in onnx_file.nodes):
        found.append("Resize of opset 10 is asymmetric only: masks are shifted; export with opset 11 or higher")
    return found


def _graph(onnx_file: OnnxFile, arrays: Dict[str, np.ndarray]) -> Graph:
    constants = {tensor.name for tensor in onnx_file.initializers}
    constants.update(name for node in onnx_file.nodes if node.operator == "Constant" for name in node.outputs)
    return Graph(onnx_file, infer_shapes(onnx_file, arrays), frozenset(constants), arrays)


def _opset_problems(onnx_file: OnnxFile, parser: Parser) -> List[Problem]:
    lowest, highest = parser.opsets
    if onnx_file.opset > highest:
        return [
            Problem(
                "opset",
                (),
                "{} is above the parser's {}: it reads the file and fails at the first node that has changed".format(
                    onnx_file.opset, highest
                ),
                "export again with opset {} or lower (ccc-export writes 13)".format(highest),
            )
        ]
    if onnx_file.opset < lowest:
        return [
            Problem(
                "opset",
                (),
                "{} is below {}, the lowest that the parser is documented for".format(onnx_file.opset, lowest),
                "export again with opset 13",
            )
        ]
    return []


def _operator_problems(onnx_file: OnnxFile, tensorrt: Version) -> List[Problem]:
    functions = set(onnx_file.functions)
    found = []
    for (domain, operator), names in _by_domain(_all_nodes(onnx_file)).items():
        title = "{}.{}".format(domain, operator) if domain else operator
        since = SINCE.get(operator)
        if (domain, operator) in functions:
            if tensorrt < (9, 0):  # from then on its body is imported, whose nodes are among those asked here
                found.append(
                    Problem(title, names, "is a function of this file, which TensorRT 9 was the first to import", FOLD)
                )
        elif domain or (since is None and operator not in NEVER):
            found.append(
                Problem(
                    title,
                    names,
                    "is no operator that TensorRT imports: it looks for a plugin of that name",
                    "build with that plugin, or export with standard operators only",
                )
            )
        elif since is None:
            found.append(
                Problem(
                    title,
                    names,
                    "is imported by no version of TensorRT",
                    CURES.get(operator, "write the network without it"),
                )
            )
        elif tensorrt < since:
            newer = "use a machine with TensorRT {}.{} or newer".format(*since)
            found.append(
                Problem(
                    title,
                    names,
                    "is imported from TensorRT {}.{} on".format(*since),
                    "{}, or {}".format(CURES[operator], newer)
                    if operator in CURES
                    else "write the network without it, or " + newer,
                )
            )
    return found


def _type_problems(graph: Graph, parser: Parser) -> List[Problem]:
    """Types that the parser does not know, by type; UINT8 where it stands between nodes."""
    onnx_file = graph.file
    ends = {tensor.name for tensor in onnx_file.inputs + onnx_file.outputs}
    holders: Dict[str, List[str]] = {}
    for tensor in onnx_file.inputs + onnx_file.outputs + onnx_file.initializers:
        _note_type(holders, tensor.dtype, tensor.name, tensor.name in ends, parser)
    for node in _all_nodes(onnx_file):
        at_the_end = all(name in ends for name in node.outputs)
        if node.operator == "Cast":
            to = node.integer("to", 0)
            _note_type(holders, DATA_TYPES.get(to, "type {}".format(to)), _label(node), at_the_end, parser)
        for value in node.attributes.values():
            if isinstance(value, Tensor):
                _note_type(holders, value.dtype, _label(node), False, parser)
    found = []
    for dtype, names in sorted(holders.items()):
        at_the_ends = dtype in parser.at_the_ends
        found.append(
            Problem(
                dtype.upper(),
                tuple(dict.fromkeys(names)),
                "is taken for inputs and outputs of the network only" if at_the_ends else "is a type it does not know",
                "cast to INT32 in the network, and narrow the result outside of it"
                if dtype.startswith(("uint", "int"))
                else "export with FLOAT32 weights",
            )
        )
    return found


def _note_type(holders: Dict[str, List[str]], dtype: str, name: str, at_the_end: bool, parser: Parser) -> None:
    allowed = parser.types | parser.at_the_ends if at_the_end else parser.types
    if dtype not in allowed and dtype != "type 0":  # an output without a type, which the parser infers
        holders.setdefault(dtype, []).append(name)


def _all_nodes(onnx_file: OnnxFile) -> Tuple[Node, ...]:
    return onnx_file.nodes + onnx_file.inner_nodes


def _label(node: Node) -> str:
    """What a node is called in messages: its name, else what it writes."""
    return node.name or "the one that writes {}".format(", ".join(node.outputs))


def _by_operator(nodes: List[Node]) -> Dict[str, Tuple[str, ...]]:
    return {operator: names for (_, operator), names in _by_domain(tuple(nodes)).items()}


def _by_domain(nodes: Tuple[Node, ...]) -> Dict[Tuple[str, str], Tuple[str, ...]]:
    """Labels of the nodes of each (domain, operator), in the order of their first appearance."""
    found: Dict[Tuple[str, str], List[str]] = {}
    for node in nodes:
        domain = "" if node.domain == "ai.onnx" else node.domain
        found.setdefault((domain, node.operator), []).append(_label(node))
    return {key: tuple(labels) for key, labels in found.items()}
