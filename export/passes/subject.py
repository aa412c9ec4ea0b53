"""A graph on its way through the passes, with what they may ask about it and what they decide."""

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

from ccc_jetson.export.passes.graph import expose, tensor_named
from ccc_jetson.export.passes.ranges import channel_ranges
from ccc_jetson.graph_cost import GraphCost, graph_cost
from ccc_jetson.onnx_arrays import constant_arrays
from ccc_jetson.onnx_file import parse_onnx
from ccc_jetson.ort import cpu_session

_MEASURED_FRAMES = 6  # or a few more: evenly spread ones


class Subject:
    """A graph, real inputs for it, and how it differs by now from the network it came from.

    Args:
        model: shapes of all tensors known; the graph takes one input.
        logits: name of the tensor (N, classes, H, W), or a classifier's (N, classes), that decides the class.
        frames: real inputs, (N, 3, H, W) float32, as the original graph takes them.
        largest_input: what no input exceeds in magnitude.
        optional: classes that may be cut where they never win.
    """

    def __init__(
        self,
        model: ir.Model,
        logits: str,
        frames: Sequence[np.ndarray],
        largest_input: float,
        optional: Sequence[int] = (),
    ) -> None:
        self.model = model
        self.logits = logits
        self.frames = tuple(frames)
        self.largest_input = largest_input
        self.optional = tuple(optional)
        self.scale = 1.0  # the graph takes inputs that are so much larger than ``frames``
        shape = tensor_named(self.graph, logits).shape
        assert shape is not None and isinstance(shape[1], int)
        self.classes = tuple(range(shape[1]))  # those of the network that are left, in order

    @property
    def graph(self) -> ir.Graph:
        return self.model.graph

    @functools.cached_property
    def cost(self) -> GraphCost:
        """Nodes, FLOPs, bytes moved and largest weight; measured once, so ask when the graph is done."""
        data = ir.to_proto(self.model).SerializeToString()
        return graph_cost(parse_onnx(data), constant_arrays(data))

    def copy(self) -> "Subject":
        """Another subject in the same state, whose graph can be changed alone."""
        other = Subject(self.model.clone(), self.logits, self.frames, self.largest_input, self.optional)
        other.scale, other.classes = self.scale, self.classes
        return other

    def inputs(self, frames: Sequence[np.ndarray] | None = None) -> list[np.ndarray]:
        """Frames (its own by default) as the graph takes them now."""
        return [frame * np.float32(self.scale) for frame in (self.frames if frames is None else frames)]

    def tidy(self) -> None:
        """Drops nodes and weights that nothing reads any more; the logits stay, whoever reads them."""
        logits = tensor_named(self.graph, self.logits)
        hidden = not logits.is_graph_output()
        if hidden:
            self.graph.outputs.append(logits)
        common.RemoveUnusedNodesPass()(self.model)
        if hidden:
            self.graph.outputs.pop()

    def results(self, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The logits (N, classes, H, W) of frames."""
        probe = self.model.clone()
        expose(probe.graph, [self.logits])
        session = cpu_session(ir.to_proto(probe).SerializeToString(), "the graph between two passes")
        (given,) = (value.name for value in probe.graph.inputs)
        return [session.run([self.logits], {given: image})[0] for image in self.inputs(frames)]

    def ranges(self) -> dict[str, np.ndarray]:
        """Largest magnitude of each tensor's channels over some of the frames."""
        return channel_ranges(self.model, self.inputs(self.frames[:: max(1, len(self.frames) // _MEASURED_FRAMES)]))

    def silent_classes(self) -> tuple[int, ...]:
        """The optional classes, by their number in the network, that win no pixel of any frame."""
        if not self.optional:
            return ()
        wins = np.zeros(len(self.classes), bool)
        for logits in self.results(self.frames):
            wins[np.unique(logits.argmax(axis=1))] = True
        silent = [number for number, won in zip(self.classes, wins, strict=True) if not won]
        return tuple(number for number in silent if number in self.optional)
