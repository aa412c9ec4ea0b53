"""The layers of an engine: what of the network is needed for its outputs, fused as TensorRT does."""

from tensorrt._network import FLOATS

_NOT_COMPUTED = ("CONSTANT", "IDENTITY")
_FUSED_BEHIND = {"CONVOLUTION": ("ACTIVATION", "PARAMETRIC_RELU"), "DECONVOLUTION": ("ACTIVATION", "PARAMETRIC_RELU")}
_RUNNERS = {"CONVOLUTION": "CaskConvolution", "DECONVOLUTION": "CudnnDeconvolution", "TOPK": "TopK", "RESIZE": "Resize"}


class EngineLayer:
    """One or two layers of the network that run as one."""

    def __init__(self, parts, is_half, pinned):
        self.name = " + ".join(part._name for part in parts)
        self.kind = parts[0]._type
        self.runner = _RUNNERS.get(self.kind, "PointWise")
        self.inputs, self.outputs = parts[0]._inputs, parts[-1]._outputs
        self.is_half = is_half and not any(part in pinned for part in parts)

    @property
    def key(self):
        """Under which a timing cache has it."""
        return "{}|{}".format(self.name, "fp16" if self.is_half else "fp32")

    def facts(self):
        """What the inspector says of it."""
        return {
            "Name": self.name,
            "LayerType": self.runner,
            "Inputs": [self._tensor(tensor) for tensor in self.inputs],
            "Outputs": [self._tensor(tensor) for tensor in self.outputs],
            "ParameterType": self.kind.title().replace("_", ""),
            "TacticName": "standin_{}_{}".format("h" if self.is_half else "s", self.kind.lower()),
        }

    def _tensor(self, tensor):
        dtype = {"float32": "FP32", "float16": "FP16"}.get(tensor._dtype, tensor._dtype.title())
        if self.is_half and tensor._dtype == "float32":
            dtype = "FP16"
        return {"Name": tensor._name, "Dimensions": list(tensor._shape), "Format/Datatype": "Row major linear " + dtype}


def needed(network):
    """The layers that the outputs depend on, in order."""
    wanted, found = set(network._outputs), []
    for layer in reversed(network._layers):
        if wanted.intersection(layer._outputs):
            found.append(layer)
            wanted.update(layer._inputs)
    return found[::-1]


def pinned(network, layers, is_obeyed):
    """The layers that have to compute in FP32 and hand FP32 on.

    A wish for the computation alone leaves the result in half precision, where it overflows as before; of an output of
    the network its own type decides.
    """
    return [
        layer
        for layer in layers
        if is_obeyed
        and layer._precision == "float32"
        and all(
            tensor._dtype == "float32" if tensor in network._outputs else layer._output_types.get(index) == "float32"
            for index, tensor in enumerate(layer._outputs)
            if tensor._dtype in FLOATS
        )
    ]


def engine_layers(network, layers, is_half, kept):
    """What runs one after the other; ``kept`` are the layers in FP32."""
    consumers = {}
    for layer in layers:
        for tensor in layer._inputs:
            consumers.setdefault(tensor, []).append(layer)
    made, done = [], set()
    for layer in layers:
        if layer in done or layer._type in _NOT_COMPUTED:
            continue
        parts = [layer]
        behind = consumers.get(layer._outputs[0], [])
        if (
            len(behind) == 1
            and behind[0]._type in _FUSED_BEHIND.get(layer._type, ())
            and layer._outputs[0] not in network._outputs
        ):
            parts.append(behind[0])
            done.add(behind[0])
        made.append(EngineLayer(parts, is_half, kept))
    return made
