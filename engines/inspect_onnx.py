"""What can be said of an ONNX file without running it, as a record: the work behind ``ccc-inspect MODEL.onnx``."""

import hashlib
import json
import math
from collections import Counter
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ccc_jetson.carried import METADATA_KEY, contract_of
from ccc_jetson.contract import Contract
from ccc_jetson.engines.compatibility import Problem, hardware_problems, problems, remarks
from ccc_jetson.engines.parser_facts import VERSIONS, Version, parser_of
from ccc_jetson.errors import ContractError
from ccc_jetson.files import read_bytes
from ccc_jetson.golden import METADATA_KEY as GOLDEN_KEY
from ccc_jetson.golden import read_golden
from ccc_jetson.graph_cost import GraphCost, graph_cost, parameter_tensors
from ccc_jetson.graph_shapes import infer_shapes
from ccc_jetson.head import METADATA_KEY as HEAD_KEY
from ccc_jetson.head import read_head
from ccc_jetson.int8_agreement import FrameAgreement, carried_agreement
from ccc_jetson.int8_errors import Int8Error, carried_errors
from ccc_jetson.json_records import plain
from ccc_jetson.layer_ranges import METADATA_KEY as RANGES_KEY
from ccc_jetson.layer_ranges import LayerRange, read_layer_ranges
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import OnnxFile, Tensor, parse_onnx
from ccc_jetson.targets import TARGETS
from ccc_jetson.weight_ranges import HALF_LARGEST, WeightRanges, largest_magnitude, weight_ranges

_IR_OF_PYTHON_36 = 8  # the highest that ONNX Runtime 1.10 reads, the last for Python 3.6
_NAMES_SHOWN = 4


class Carried(NamedTuple):
    """The contract and what travels with it; ``problem`` is why it cannot be read although there is one.

    ``agreement`` and ``errors`` are what INT8 was found to cost, of a Q/DQ model of ``ccc-calibrate``.
    """

    contract: Optional[Contract]
    golden: Tuple[str, ...]  # names of the golden frames
    has_head: bool
    layers: Tuple[LayerRange, ...]
    problem: Optional[ContractError]
    agreement: Tuple[FrameAgreement, ...] = ()
    errors: Tuple[Int8Error, ...] = ()


class Pairs(NamedTuple):
    """What a graph says of INT8: pairs of QuantizeLinear and DequantizeLinear, the convolutions that read one (and so
    can run in INT8), and all convolutions but the head's, which an engine leaves to the runtime."""

    pairs: int
    in_int8: int
    convolutions: int


class Verdict(NamedTuple):
    """What a version of TensorRT could do with the file; ``boards`` are those that come with it."""

    tensorrt: Version
    highest_opset: int
    boards: Tuple[str, ...]
    problems: Tuple[Problem, ...]
    remarks: Tuple[str, ...]


class OnnxReport(NamedTuple):
    """Everything that is known of a file.

    ``pairs`` is None where the graph says nothing of INT8; ``hardware`` are problems of boards, whatever their TensorRT
    parses.
    """

    path: str
    size_bytes: int
    sha256: str
    file: OnnxFile
    carried: Carried
    cost: GraphCost
    inner_operators: Tuple[Tuple[str, int], ...]
    weights: WeightRanges
    verdicts: Tuple[Verdict, ...]
    hardware: Tuple[Tuple[str, Problem], ...]
    notes: Tuple[str, ...]
    pairs: Optional[Pairs] = None

    def to_json(self) -> Dict[str, Any]:
        """The report for machines; sizes in bytes, unknown figures as null."""
        found, contract = self.file, self.carried.contract
        return {
            "kind": "onnx",
            "path": self.path,
            "bytes": self.size_bytes,
            "sha256": self.sha256,
            "producer": found.producer,
            "ir_version": found.ir_version,
            "opsets": {domain or "ai.onnx": version for domain, version in found.opsets.items()},
            "inputs": [_tensor_json(tensor) for tensor in found.inputs],
            "outputs": [_tensor_json(tensor) for tensor in found.outputs],
            "contract": None if contract is None else json.loads(contract.to_json()),
            "contract_problem": None if self.carried.problem is None else str(self.carried.problem),
            "golden_frames": list(self.carried.golden),
            "head_weights": self.carried.has_head,
            "layers": [_layer_json(layer) for layer in self.carried.layers],
            "int8": None if self.pairs is None else self._int8_json(self.pairs),
            "nodes": self.cost.nodes,
            "parameters": self.cost.parameters,
            "flops": self.cost.flops,
            "macs": self.cost.macs,
            "bytes_moved": self.cost.bytes_moved,
            "operators": [dict(row._asdict()) for row in self.cost.by_operator],
            "inner_operators": dict(self.inner_operators),
            "weights": self.weights.to_json(),
            "tensorrt": [_verdict_json(verdict) for verdict in self.verdicts],
            "hardware": [dict(_problem_json(problem), board=board) for board, problem in self.hardware],
            "notes": list(self.notes),
        }

    def _int8_json(self, pairs: Pairs) -> Dict[str, Any]:
        carried = self.carried
        return dict(plain(pairs), agreement=plain(carried.agreement), layer_errors=plain(carried.errors))


def inspect_onnx(path: str) -> OnnxReport:
    """Reads the file at ``path`` and says what is in it.

    Raises:
        FileProblem: it is missing or no ONNX file. A contract that is damaged is no error here: see ``Carried``.
    """
    data = read_bytes(path)
    onnx_file = parse_onnx(data, path)
    carried = _carried(onnx_file, path)
    arrays = constant_arrays(data, path)
    tensors = infer_shapes(onnx_file, arrays)
    weights = [tensor.name for tensor in parameter_tensors(onnx_file, tensors)]
    return OnnxReport(
        path=path,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        file=onnx_file,
        carried=carried,
        cost=graph_cost(onnx_file, arrays),
        inner_operators=tuple(Counter(node.operator for node in onnx_file.inner_nodes).most_common()),
        weights=weight_ranges(arrays[name] for name in weights if name in arrays and arrays[name].dtype.kind == "f"),
        verdicts=tuple(
            Verdict(
                tensorrt,
                parser_of(tensorrt).opsets[1],
                tuple(target.name for target in TARGETS if target.tensorrt == tensorrt),
                tuple(problems(onnx_file, tensorrt, arrays)),
                tuple(remarks(onnx_file, tensorrt)),
            )
            for tensorrt in VERSIONS
        ),
        hardware=tuple(
            (target.name, problem) for target in TARGETS for problem in hardware_problems(onnx_file, target)
        ),
        notes=tuple(_notes(onnx_file) + _overflows({name: arrays[name] for name in weights if name in arrays})),
        pairs=_pairs(onnx_file, carried.contract),
    )


def _pairs(onnx_file: OnnxFile, contract: Optional[Contract]) -> Optional[Pairs]:
    features = None if contract is None or contract.head is None else contract.head.features
    makers = {name: node.operator for node in onnx_file.nodes for name in node.outputs}
    pairs = sum(node.operator == "DequantizeLinear" for node in onnx_file.nodes)
    convolved = [
        node.inputs[0] for node in onnx_file.nodes if node.operator in ("Conv", "ConvTranspose") and node.inputs
    ]
    convolved = [name for name in convolved if name != features]
    reading = sum(makers.get(name) == "DequantizeLinear" for name in convolved)
    return Pairs(pairs, reading, len(convolved)) if pairs else None


def _carried(onnx_file: OnnxFile, path: str) -> Carried:
    if METADATA_KEY not in onnx_file.metadata:
        return Carried(None, (), False, (), None)
    try:
        contract = contract_of(onnx_file, path)
        golden = read_golden(contract, onnx_file, path) if GOLDEN_KEY in contract.attachments else []
        has_head = HEAD_KEY in contract.attachments
        if has_head:
            read_head(contract, onnx_file, path)
        layers = read_layer_ranges(contract, onnx_file, path) if RANGES_KEY in contract.attachments else ()
        agreement, errors = carried_agreement(contract, onnx_file, path), carried_errors(contract, onnx_file, path)
    except ContractError as error:
        return Carried(None, (), False, (), error)
    return Carried(contract, tuple(frame.name for frame in golden), has_head, layers, None, agreement, errors)


def _notes(onnx_file: OnnxFile) -> List[str]:
    notes = []
    if onnx_file.ir_version > _IR_OF_PYTHON_36:
        notes.append(
            "IR version {}: ONNX Runtime 1.10, the last for Python 3.6, reads up to {}".format(
                onnx_file.ir_version, _IR_OF_PYTHON_36
            )
        )
    if onnx_file.inner_nodes:
        notes.append("branches, loops or functions are not part of the figures; their operators are")
    if onnx_file.external:
        notes.append(
            "weights in another file are not looked into: {}".format(", ".join(onnx_file.external[:_NAMES_SHOWN]))
        )
    return notes


def _overflows(weights: Dict[str, np.ndarray]) -> List[str]:
    """The tensors with weights that half precision has no finite number for."""
    found = {name: largest_magnitude(array) for name, array in weights.items()}
    beyond = ["{} ({:.6g})".format(name, largest) for name, largest in found.items() if largest > HALF_LARGEST]
    if not beyond:
        return []
    shown = ", ".join(beyond[:_NAMES_SHOWN]) + (", ..." if len(beyond) > _NAMES_SHOWN else "")
    return ["weights beyond FP16's 65504 overflow in an engine of --fp16: {}".format(shown)]


def _layer_json(layer: LayerRange) -> Dict[str, Any]:
    error = layer.half_error if math.isfinite(layer.half_error) else None
    return {"tensor": layer.tensor, "largest": layer.largest, "half_error": error}


def _tensor_json(tensor: Tensor) -> Dict[str, Any]:
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}


def _problem_json(problem: Problem) -> Dict[str, Any]:
    return {
        "operator": problem.operator,
        "nodes": list(problem.nodes),
        "sentence": problem.sentence,
        "cure": problem.cure,
    }


def _verdict_json(verdict: Verdict) -> Dict[str, Any]:
    return {
        "tensorrt": "{}.{}".format(*verdict.tensorrt),
        "highest_opset": verdict.highest_opset,
        "boards": list(verdict.boards),
        "problems": [_problem_json(problem) for problem in verdict.problems],
        "remarks": list(verdict.remarks),
    }
