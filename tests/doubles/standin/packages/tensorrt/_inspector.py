"""What an engine tells of its layers."""

import json

from tensorrt._callbacks import IErrorRecorder
from tensorrt._pybind import Attribute, Object, instance, integer, optional, strict
from tensorrt._types import MAJOR, LayerInformationFormat

_NAMES_ONLY, _NONE, _DETAILED = 0, 1, 2


class EngineInspector(Object):
    """Asked after a build; how much it says depends on the builder's profiling verbosity."""

    _constructible = False
    error_recorder = Attribute(optional(instance(IErrorRecorder)))
    execution_context = Attribute(optional(instance(Object)))

    def __init__(self, facts):
        super().__init__()
        self._facts = facts

    @strict(format=instance(LayerInformationFormat))
    def get_engine_information(self, format):
        """All layers, and the inputs and outputs, as text."""
        layers = [self._layer(index) for index in range(len(self._facts["layers"]))]
        if format.name == "ONELINE":
            return "".join("{}\n".format(json.dumps(layer)) for layer in layers)
        key, ends = self._ends()
        return json.dumps({"Layers": layers, key: ends})

    @strict(layer_index=integer, format=instance(LayerInformationFormat))
    def get_layer_information(self, layer_index, format):
        """One layer, as text."""
        return json.dumps(self._layer(layer_index))

    def _layer(self, index):
        facts, verbosity = self._facts["layers"][index], self._facts["verbosity"]
        if verbosity == _NAMES_ONLY:
            return facts["Name"]
        if verbosity == _NONE:
            return "Layer{}".format(index)
        if MAJOR < 11:
            return facts
        return dict(facts, Inputs=_split(facts["Inputs"]), Outputs=_split(facts["Outputs"]))

    def _ends(self):
        ends = [dict(end, mode="INPUT") for end in self._facts["inputs"]]
        ends += [dict(end, mode="OUTPUT") for end in self._facts["outputs"]]
        if MAJOR < 11:
            return "Bindings", [end["name"] for end in ends]
        return "I/O Tensors", [
            {
                "Name": end["name"],
                "IOMode": end["mode"],
                "DataType": end["dtype"],
                "Dimensions": end["shape"],
                "Location": "Device",
                "IsShapeInferenceIO": False,
                "ProfileInfo": [],
            }
            for end in ends
        ]


def _split(tensors):
    """From 11 on type and format stand apart."""
    apart = []
    for tensor in tensors:
        layout, dtype = tensor["Format/Datatype"].rsplit(" ", 1)
        apart.append({"Name": tensor["Name"], "Dimensions": tensor["Dimensions"], "Format": layout, "Datatype": dtype})
    return apart
