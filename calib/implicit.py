"""INT8 from a calibration cache: what TensorRT may then compute in INT8, and the model that computes all of it so.

With a cache TensorRT chooses layer by layer, by speed: a layer may be in INT8 where all that it reads and writes has a
range (NVIDIA's developer guide, implicit quantisation), unless it is told its precision. A cache has a range of every
tensor; rows are not left out of it to keep a layer in floats, for NVIDIA advises against that (NVIDIA/TensorRT#3092,
where accuracy was gone afterwards). So ``in_floats`` names the nodes whose precision is to be set, and ``at_worst``
puts a pair wherever there can still be INT8, but at tensors that fusion makes away with. What is documented (guide,
types of fusions): convolution and scale, convolution and sum of two tensors of one shape, convolution and ReLU or
Clip; the tensor between them then never exists. A PReLU is not in that list. Assumed beyond it:

- of two convolutions that give a sum the first takes it, and scale, sum and activation are fused in this order;
- a layer whose precision is set writes floats (its output type is set, too), and reads what others write;
- weights of grouped transposed convolutions are left as they are: what steps TensorRT takes for them is not documented;
- more INT8 does more harm. That is so as a whole, not of every pixel.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import onnx

from ccc_jetson.calib.qdq import Layer, with_pairs
from ccc_jetson.graph_shapes import infer_shapes
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import parse_onnx

# Operators whose constants TensorRT's parser keeps as weights of the layer; of others it makes layers of their own
_OWN_WEIGHTS = (
    *("BatchNormalization", "Clip", "Conv", "ConvTranspose", "Gemm", "InstanceNormalization", "Pad", "Resize"),
)
_FUSED = {"BatchNormalization": 1, "Add": 2, "Relu": 3, "Clip": 3}  # into a convolution, in this order


class Unit(NamedTuple):
    """What is one layer to TensorRT: a node, or a convolution with all that is fused into it.

    ``within`` are the tensors between its nodes, ``writes`` those that come out.
    """

    nodes: tuple[str, ...]
    convolution: bool
    writes: tuple[str, ...]
    within: tuple[str, ...] = ()


def helper_nodes(model: onnx.ModelProto) -> tuple[str, ...]:
    """Nodes with a float constant that TensorRT's parser makes a layer of: ``(Unnamed Layer* N) [Constant]_output``."""
    floats = {each.name for each in model.graph.initializer if each.data_type == onnx.TensorProto.FLOAT}
    return tuple(
        node.name
        for node in model.graph.node
        if node.op_type not in _OWN_WEIGHTS and any(name in floats for name in node.input)
    )


def units(model: onnx.ModelProto, floats: Collection[str], layers: Iterable[Layer], end: str) -> list[Unit]:
    """What may be in INT8 with a cache, in the order of the graph; nothing behind ``end``.

    Nodes with constants of which a cache has no row, because they become TensorRT's own tensors, are none.

    Args:
        model: its nodes have names.
        floats: the float tensors that nodes give.
        layers: ``qdq.convolutions``.
        end: the tensor that comes before what is no subject of INT8, as the head's features.
    """
    alone, shapes = _read_once(model), _shapes(model)
    convolutions = {each.node for each in layers}
    taken = set(helper_nodes(model))
    behind = {end}
    found = []
    for node in model.graph.node:
        if any(name in behind for name in node.input):
            behind.update(node.output)
        elif node.name not in taken:
            members, within = [node], []
            while node.name in convolutions and members[-1].output[0] not in behind:
                follower = alone.get(members[-1].output[0])
                if follower is None or follower.name in taken or not _fuses(members[-1], follower, shapes):
                    break
                within.append(members[-1].output[0])
                members.append(follower)
            names = tuple(each.name for each in members)
            taken.update(names)
            writes = tuple(name for name in members[-1].output if name in floats)
            if writes:
                found.append(Unit(names, node.name in convolutions, writes, tuple(within)))
    return found


def in_floats(
    model: onnx.ModelProto, floats: Collection[str], possible: Iterable[Unit], everything: bool
) -> tuple[str, ...]:
    """The nodes to keep out of INT8: all but convolutions, or with ``everything`` those that are in no unit at all."""
    inside = {node for unit in possible if everything or unit.convolution for node in unit.nodes}
    nodes = model.graph.node
    return tuple(node.name for node in nodes if node.name not in inside and any(name in floats for name in node.output))


def at_worst(
    model: onnx.ModelProto,
    ranges: dict[str, float],
    possible: Iterable[Unit],
    layers: Iterable[Layer],
    keep: Collection[str] = (),
) -> onnx.ModelProto:
    """The model with a pair wherever there can be INT8.

    A unit in INT8 writes INT8, and all that read it see that; one in floats is rounded for those of its readers alone
    that are in INT8.

    Args:
        model: the float model, as ``qdq.quantised`` takes it.
        ranges: amax by tensor.
        possible: ``units``.
        layers: ``qdq.convolutions``, for their weights.
        keep: nodes in floats; one of a unit keeps it.
    """
    kept = set(keep)
    chosen = [unit for unit in possible if not kept.intersection(unit.nodes)]
    inside = {node for unit in chosen for node in unit.nodes}
    written = {name for unit in chosen for name in unit.writes}
    within = {name for unit in chosen for name in unit.within}
    reads = {
        node.name: [
            position
            for position, name in enumerate(node.input)
            if name in ranges and name not in within and (name in written or node.name in inside)
        ]
        for node in model.graph.node
    }
    weights = {each.node: each for each in layers if each.node in inside}
    return with_pairs(model, ranges, weights, reads)


def _fuses(node: onnx.NodeProto, follower: onnx.NodeProto, shapes: dict[str, tuple[int | str, ...]]) -> bool:
    """Whether ``follower`` goes into a convolution's kernel behind ``node``."""
    if _FUSED.get(follower.op_type, 0) <= _FUSED.get(node.op_type, 0):
        return False
    if follower.op_type != "Add":
        return True
    first, second = follower.input
    return first != second and first in shapes and second in shapes and shapes[first] == shapes[second]


def _read_once(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Tensor -> the one node that reads it, where there is no other reader and it is no output."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    given = {each.name for each in model.graph.output}
    return {name: nodes[0] for name, nodes in readers.items() if len(nodes) == 1 and name not in given}


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int | str, ...]]:
    data = model.SerializeToString()
    return {name: tensor.shape for name, tensor in infer_shapes(parse_onnx(data), constant_arrays(data)).items()}
