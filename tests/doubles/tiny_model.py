"""A network of two layers with everything an exported file has: contract, head, golden frames. Needs ``onnx``.

Runs in well under a millisecond, so that tests of the runtime measure the runtime.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ccc_jetson.carried import embed
from ccc_jetson.cityscapes import TRAIN_LABELS
from ccc_jetson.contract import (
    BILINEAR,
    TRANSPOSED_CONV,
    Architecture,
    Class,
    Contract,
    Head,
    Input,
    Output,
    Preprocessing,
    Published,
    Source,
)
from ccc_jetson.golden import METADATA_KEY as GOLDEN_KEY
from ccc_jetson.golden import GoldenScores, encode_golden, golden_frame
from ccc_jetson.head import METADATA_KEY as HEAD_KEY
from ccc_jetson.head import HeadWeights, head_logits
from ccc_jetson.layer_ranges import METADATA_KEY as RANGES_KEY
from ccc_jetson.layer_ranges import LayerRange, encode_layer_ranges
from ccc_jetson.onnx_file import with_extra_outputs
from ccc_jetson.ort import cpu_session
from ccc_jetson.preprocess import Preprocessor

WIDTH, HEIGHT, FEATURES = 64, 32, 4
RANGES = (LayerRange("conv", 12.5, 0.0004), LayerRange("features", 12.5, 0.0005), LayerRange("logits", 40.0, 0.0003))


def tiny_contract(
    kind="class_map",
    width=WIDTH,
    height=HEIGHT,
    classes=19,
    batch=1,
    color_order="BGR",
    precision="fp32",
    head=TRANSPOSED_CONV,
    target="tx2",
):
    """The contract of the tiny model, before its attachments are noted; ``head`` is its kind.

    ``kind`` "scores" makes it a classifier, which has none.
    """
    features = classes if head == BILINEAR else FEATURES
    labels = TRAIN_LABELS * (classes // len(TRAIN_LABELS) + 1)  # of scores there may be more
    return Contract(
        architecture=Architecture("tiny", "Tiny", {"features": FEATURES}),
        target=target,
        precision=precision,
        passes=("fold-batchnorm",),
        input=Input("image", width, height, batch),
        preprocessing=Preprocessing(color_order, (70.0, 80.0, 75.0), (45.0, 46.0, 44.0), 1.0),
        output=Output(kind, kind, "scores" if kind == "scores" else "logits"),
        classes=tuple(Class(label.name, label.color, label.train_id, label.label_id) for label in labels[:classes]),
        ignore_index=255,
        head=None if kind == "scores" else Head(head, "features", features, classes, 2, False),
        source=Source("tiny.pth", "0" * 64),
        published=(Published("mIoU %", 61.96, "Cityscapes, paper"),),
        verification={"argmax_agreement": 1.0},
        half=None,
        attachments={},
        tool="tests",
    )


def tiny_weights(classes=19, seed=7):
    """(convolution (F, 3, 3, 3), head) of the tiny model."""
    rng = np.random.RandomState(seed)
    conv = rng.randn(FEATURES, 3, 3, 3).astype(np.float32)
    head = HeadWeights(rng.randn(FEATURES, classes, 2, 2).astype(np.float32), rng.randn(classes).astype(np.float32))
    return conv, head


def tiny_graph(contract, seed=7, quantized=False):
    """The model as ``onnx.ModelProto``, opset 13, IR 7, without a contract; ``quantized``: its image in INT8."""
    if contract.is_classifier:
        return _classifier(contract, seed)
    conv, head = tiny_weights(len(contract.classes), seed)
    batch, width, height = contract.input.batch, contract.input.width, contract.input.height
    upsampling = helper.make_node(
        "ConvTranspose", ["features", "hw", "hb"], ["logits"], "head", kernel_shape=[2, 2], strides=[2, 2]
    )
    arrays = {"w": conv, "hw": head.weight, "hb": head.bias}
    if contract.head is not None and contract.head.kind == BILINEAR:
        upsampling = helper.make_node(
            "Resize",
            ["features", "", "scales"],
            ["logits"],
            "head",
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        filters = np.random.RandomState(seed).randn(len(contract.classes), 3, 3, 3).astype(np.float32)
        arrays = {"w": filters, "scales": np.array([1, 1, 2, 2], np.float32)}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["conv"], "conv", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["conv"], ["features"], "relu"),
        upsampling,
    ]
    if quantized:
        nodes[0].input[0] = "dequantized"
        nodes[:0] = [
            helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["quantized"], "quantize"),
            helper.make_node("DequantizeLinear", ["quantized", "scale", "zero"], ["dequantized"], "dequantize"),
        ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, len(contract.classes), height, width])
    if contract.output.kind == "class_map":
        nodes.append(helper.make_node("ArgMax", ["logits"], ["indices"], "argmax", axis=1, keepdims=0))
        nodes.append(helper.make_node("Cast", ["indices"], ["class_map"], "cast", to=TensorProto.INT32))
        output = helper.make_tensor_value_info("class_map", TensorProto.INT32, [batch, height, width])
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    if quantized:
        weights += [numpy_helper.from_array(np.float32(0.03), "scale"), numpy_helper.from_array(np.int8(0), "zero")]
    return _model(contract, nodes, output, weights)


def _classifier(contract, seed):
    """Convolution, ReLU, and the mean of each channel over the picture."""
    filters = np.random.RandomState(seed).randn(len(contract.classes), 3, 3, 3).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["conv"], "conv", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["conv"], ["features"], "relu"),
        helper.make_node("GlobalAveragePool", ["features"], ["means"], "pool"),
        helper.make_node("Flatten", ["means"], ["scores"], "flatten"),
    ]
    shape = [contract.input.batch, len(contract.classes)]
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)
    return _model(contract, nodes, output, [numpy_helper.from_array(filters, "w")])


def _model(contract, nodes, output, weights):
    shape = [contract.input.batch, 3, contract.input.height, contract.input.width]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "tiny", [image], [output], weights)
    model = helper.make_model(graph, producer_name="tests", opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    onnx.checker.check_model(model)
    return model


def tiny_model_bytes(kind="class_map", golden=2, seed=7, attachments=True, ranges=RANGES, **more):
    """The bytes of a complete file, or of one with the contract alone; keyword arguments as for ``tiny_contract``."""
    contract = tiny_contract(kind, **more)
    _, head = tiny_weights(len(contract.classes), seed)
    model = tiny_graph(contract, seed).SerializeToString()
    if not attachments:
        return embed(model, contract, {})
    attached = {
        GOLDEN_KEY: encode_golden(golden_frames(contract, model, golden, seed)),
        RANGES_KEY: encode_layer_ranges(ranges),
    }
    if contract.head is not None and contract.head.has_weights:
        attached[HEAD_KEY] = head.to_bytes()
    return embed(model, contract, attached)


def golden_frames(contract, model, count, seed):
    """Random frames with what the network in the bytes ``model`` makes of them."""
    rng = np.random.RandomState(1)
    wanted = "scores" if contract.is_classifier else "features"
    data = model if contract.is_classifier else with_extra_outputs(model, [wanted])
    session = cpu_session(data, "the tiny model")
    preprocess = Preprocessor(contract)
    frames = []
    for index in range(count):
        frame = rng.randint(0, 256, (contract.input.height, contract.input.width, 3)).astype(np.uint8)
        image = np.repeat(preprocess(frame), contract.input.batch, axis=0)
        (features,) = session.run([wanted], {contract.input.name: image})
        if contract.is_classifier:
            frames.append(GoldenScores("frame{}".format(index), frame, features[0]))
            continue
        logits = head_logits(features[0], contract.head, tiny_weights(len(contract.classes), seed)[1])
        frames.append(golden_frame("frame{}".format(index), frame, logits))
    return frames


def write_tiny_model(path, **arguments):
    """Writes ``tiny_model_bytes(**arguments)`` to ``path`` and returns it as text."""
    with open(str(path), "wb") as file:
        file.write(tiny_model_bytes(**arguments))
    return str(path)
