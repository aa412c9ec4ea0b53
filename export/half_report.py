"""What FP16 would do to the network: judged on the frames that export verifies on, layer by layer and as a whole."""

import math
from typing import NamedTuple

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper

from ccc_jetson.confusion import ConfusionMatrix
from ccc_jetson.engines.gate import MIN_DECIDED
from ccc_jetson.errors import UsageError
from ccc_jetson.export.passes.graph import activations, constant
from ccc_jetson.export.passes.half import half_precision, half_runner
from ccc_jetson.golden import decided, is_close
from ccc_jetson.half_verdict import HalfPrecision
from ccc_jetson.layer_ranges import LayerRange
from ccc_jetson.ort import cpu_session

MAX_MIOU_LOSS = 0.003
_PREFIX = "half."


class _Frame(NamedTuple):
    agreement: float
    decided: float


class HalfJudge:
    """Collects frames; FP16-safe is a network that keeps the class of 99.5 % of the decided pixels in every frame.

    Args:
        model: the graph after its passes.
        logits: the name of the tensor that decides.
        classes: of evaluation, where frames have labels; 0 where they have none.
    """

    def __init__(self, model: ir.Model, logits: str, classes: int = 0) -> None:
        self._model, self._logits = model, logits
        self._run = half_runner(model, [logits])
        self._frames: list[_Frame] = []
        self._matrices = (ConfusionMatrix(classes), ConfusionMatrix(classes)) if classes else None

    def add(self, image: np.ndarray, expected: np.ndarray, labels: "Labels | None" = None) -> None:
        """One frame: the graph's input (1, 3, H, W), FP32's logits (1, classes, H, W), and the truth if it is known.

        Of a classifier: FP32's scores (1, classes).
        """
        class_map = expected[0].argmax(axis=0)
        values = self._run(image)[0][0]
        found = np.where(np.isnan(values), -np.inf, values).argmax(axis=0)
        if expected.ndim == 2:
            self._frames.append(_Frame(float(found == class_map), float(is_close(expected[0], int(found)))))
            return
        same = found == class_map
        self._frames.append(_Frame(float(same.mean()), float(same[decided(expected[0])].mean())))
        if labels is not None and self._matrices is not None:
            for matrix, predicted in zip(self._matrices, (class_map, found), strict=True):
                matrix.add(labels.truth, labels.prediction_table[predicted])

    def verdict(self, largest_activation: float) -> HalfPrecision:
        """All frames together."""
        agreements, decided_ones = zip(*self._frames, strict=True)
        miou = [None, None] if self._matrices is None else [float(each.scores().miou) for each in self._matrices]
        if miou[0] is not None and math.isnan(miou[0]):
            raise UsageError(
                "the label maps hold no evaluated pixel, so there is no mIoU",
                hint="--mapping says what their numbers mean; is it the right one?",
            )
        lost = miou[0] is not None and miou[1] is not None and not miou[0] - miou[1] <= MAX_MIOU_LOSS
        return HalfPrecision(
            frames=len(self._frames),
            agreement=float(np.mean(agreements)),
            agreement_worst=min(agreements),
            decided=float(np.mean(decided_ones)),
            decided_worst=min(decided_ones),
            miou_fp32=miou[0],
            miou_fp16=miou[1],
            largest_weight=largest_weight(self._model),
            largest_activation=largest_activation,
            safe=min(decided_ones) >= MIN_DECIDED and not lost,
        )


class Labels(NamedTuple):
    """``truth`` (H, W) uint8 evaluated classes at the network's size; ``prediction_table`` (256,) uint8 maps an output
    class to an evaluated one."""

    truth: np.ndarray
    prediction_table: np.ndarray


def largest_weight(model: ir.Model) -> float:
    """The largest magnitude among the FP32 constants."""
    arrays = [constant(value) for value in model.graph.initializers.values()]
    floats = [array for array in arrays if array is not None and array.dtype == np.float32]
    return max((float(np.abs(array).max()) for array in floats), default=0.0)


def layer_ranges(model: ir.Model, images: list[np.ndarray]) -> tuple[LayerRange, ...]:
    """Largest magnitude and FP16's relative error of every activation, both over ``images``, in the order of the graph.

    FP32 and FP16 run side by side in one graph whose outputs go from the last layer to the first: ONNX Runtime plans
    from its last output on and so frees a layer's tensors before it comes to the next (0.3 GB instead of 2.2 for CCC2).
    """
    exact, half = (ir.to_proto(each) for each in (model, half_precision(model)))
    names = [value.name or "" for value in activations(model.graph)]
    (given,) = (value.name for value in exact.graph.input)
    half.graph.CopyFrom(onnx.compose.add_prefix_graph(half.graph, _PREFIX, rename_inputs=False))
    graph = exact.graph
    graph.node.extend(half.graph.node)
    graph.initializer.extend(half.graph.initializer)
    del graph.output[:]
    for index, name in reversed(list(enumerate(names))):
        found = (f"size {index}", f"error {index}", f"highest {index}", f"lowest {index}")
        graph.node.extend(
            [
                helper.make_node("Sub", [name, _PREFIX + name], [f"difference {index}"]),
                helper.make_node("ReduceSumSquare", [name], [found[0]], keepdims=0),
                helper.make_node("ReduceSumSquare", [f"difference {index}"], [found[1]], keepdims=0),
                helper.make_node("ReduceMax", [name], [found[2]], keepdims=0),
                helper.make_node("ReduceMin", [name], [found[3]], keepdims=0),
            ]
        )
        graph.output.extend(helper.make_tensor_value_info(each, TensorProto.FLOAT, []) for each in found)
    session = cpu_session(exact.SerializeToString(), "FP32 beside simulated FP16", as_written=True)
    sums, magnitudes = np.zeros((len(names), 2)), np.zeros(len(names))
    for image in images:
        results = np.array(session.run(None, {given: image}), np.float64).reshape(len(names), 4)[::-1]
        sums += results[:, :2]
        magnitudes = np.maximum(magnitudes, np.abs(results[:, 2:]).max(axis=1))
    errors = np.sqrt(sums[:, 1] / np.maximum(sums[:, 0], 1e-30))
    errors[~np.isfinite(errors)] = np.inf
    return tuple(LayerRange(*each) for each in zip(names, magnitudes.tolist(), errors.tolist(), strict=True))
