"""A network as the parser leaves it, and what a program may change about it."""

from tensorrt._callbacks import IErrorRecorder
from tensorrt._pybind import Attribute, Object, instance, integer, optional, real, sequence, strict, text
from tensorrt._types import (
    MAJOR,
    DataType,
    Dims,
    LayerType,
    NetworkDefinitionCreationFlag,
    TensorFormat,
    TensorLocation,
    data_type,
    numpy_name,
)
from tensorrt._voice import Voice

FLOATS = ("float32", "float16")


class ITensor(Object):
    """What flows between layers; ``_dtype`` in numpy's words, ``_half`` if it was made a FP16 input or output."""

    _constructible = False
    name = Attribute(text)
    allowed_formats = Attribute(integer, 1 << int(TensorFormat.LINEAR))
    location = Attribute(instance(TensorLocation), TensorLocation.DEVICE)
    broadcast_across_batch = Attribute(instance(bool), False)
    is_shape_tensor = Attribute(default=False)
    is_execution_tensor = Attribute(default=True)

    def __init__(self, network, name, dtype, shape):
        super().__init__()
        self._network, self._dtype, self._shape = network, dtype, shape
        self._name = self._onnx_name = name
        self._range = None
        self._wanted = None  # the type of an input or output, where the program chose it

    @property
    def dtype(self):
        """Of an input or output it may be changed, up to TensorRT 10."""
        return data_type(self._wanted or self._dtype)

    if MAJOR < 11:

        @dtype.setter
        @strict(value=instance(DataType))
        def dtype(self, value):
            self._wanted = numpy_name(value)

    @property
    def shape(self):
        """-1 where a size is open."""
        return Dims(self._shape)

    @property
    def is_network_input(self):
        """Whether the program gives it."""
        return self in self._network._inputs

    @property
    def is_network_output(self):
        """Whether the program gets it."""
        return self in self._network._outputs

    @property
    def dynamic_range(self):
        """(smallest, largest), where it was set."""
        return self._range

    @dynamic_range.setter
    @strict(value=sequence(real))
    def dynamic_range(self, value):
        self._range = tuple(value)

    @strict(min=real, max=real)
    def set_dynamic_range(self, min, max):
        """For INT8 without calibration."""
        self._range = (min, max)
        return True

    def reset_dynamic_range(self):
        """Forgets it."""
        self._range = None


class ILayer(Object):
    """A layer: here always one node of the ONNX file."""

    _constructible = False
    name = Attribute(text)
    metadata = Attribute(text, "")

    def __init__(self, name, kind, operator, inputs, outputs):
        super().__init__()
        self._name = self._onnx_name = name
        self._type, self._operator, self._inputs, self._outputs = kind, operator, inputs, outputs
        self._metadata = "[ONNX Layer: {}]".format(name)
        self._precision = None
        self._output_types = {}

    @property
    def type(self):
        """What it computes."""
        return LayerType._members[self._type]

    @property
    def num_inputs(self):
        """Without constants."""
        return len(self._inputs)

    @property
    def num_outputs(self):
        """How many tensors it computes."""
        return len(self._outputs)

    @strict(index=integer)
    def get_input(self, index):
        """``None`` beyond the last."""
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    @strict(index=integer)
    def get_output(self, index):
        """``None`` beyond the last."""
        return self._outputs[index] if 0 <= index < len(self._outputs) else None

    @property
    def precision(self):
        """What it is wished to compute in."""
        return data_type(self._precision or "float32")

    @precision.setter
    @strict(value=instance(DataType))
    def precision(self, value):
        self._precision = numpy_name(value)

    @property
    def precision_is_set(self):
        """Whether it was wished for."""
        return self._precision is not None

    def reset_precision(self):
        """Any precision will do."""
        self._precision = None

    @strict(index=integer, dtype=instance(DataType))
    def set_output_type(self, index, dtype):
        """What it is wished to hand on."""
        self._output_types[index] = numpy_name(dtype)

    @strict(index=integer)
    def get_output_type(self, index):
        """As wished, else as the network has it."""
        return data_type(self._output_types.get(index, self._outputs[index]._dtype))

    @strict(index=integer)
    def output_type_is_set(self, index):
        """Whether it was wished for."""
        return index in self._output_types

    @strict(index=integer)
    def reset_output_type(self, index):
        """Any type will do."""
        self._output_types.pop(index, None)


class INetworkDefinition(Object):
    """Layers, inputs and outputs; ``_onnx`` is the file that they come from."""

    _constructible = False
    name = Attribute(text, "")
    error_recorder = Attribute(optional(instance(IErrorRecorder)))

    def __init__(self, builder, flags):
        super().__init__()
        self._builder, self._flags = builder, flags
        self._onnx, self._layers, self._inputs, self._outputs = b"", [], [], []

    def _has(self, flag):
        """Whether it was created with a flag, by name."""
        member = NetworkDefinitionCreationFlag._members.get(flag)
        return member is not None and bool(self._flags >> int(member) & 1)

    @property
    def _strongly_typed(self):
        return MAJOR >= 11 or self._has("STRONGLY_TYPED")

    @property
    def _voice(self):
        return Voice(self._builder._logger, self.error_recorder)

    @property
    def builder(self):
        """Who made it."""
        return self._builder

    @property
    def flags(self):
        """As it was created."""
        return self._flags

    @strict(flag=instance(NetworkDefinitionCreationFlag))
    def get_flag(self, flag):
        """Whether it was created with it."""
        return self._strongly_typed if flag.name == "STRONGLY_TYPED" else self._has(flag.name)

    @property
    def has_implicit_batch_dimension(self):
        """What 8 makes without the flag for explicit batch."""
        return MAJOR < 10 and not self._has("EXPLICIT_BATCH")

    @property
    def num_layers(self):
        """How many there are."""
        return len(self._layers)

    @property
    def num_inputs(self):
        """How many there are."""
        return len(self._inputs)

    @property
    def num_outputs(self):
        """How many tensors are marked."""
        return len(self._outputs)

    @strict(index=integer)
    def get_layer(self, index):
        """In the order of the file; ``None`` beyond the last."""
        return self._layers[index] if 0 <= index < len(self._layers) else None

    @strict(index=integer)
    def get_input(self, index):
        """``None`` beyond the last."""
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    @strict(index=integer)
    def get_output(self, index):
        """In the order in which they were marked; ``None`` beyond the last."""
        return self._outputs[index] if 0 <= index < len(self._outputs) else None

    def __len__(self):
        return len(self._layers)

    def __getitem__(self, index):
        if not 0 <= index < len(self._layers):
            raise IndexError("Out of bounds")
        return self._layers[index]

    @strict(tensor=instance(ITensor))
    def mark_output(self, tensor):
        """Makes a tensor an output, behind those that are."""
        if tensor in self._outputs:
            self._voice.error("Tensor {} has already been marked as an output.".format(tensor._name), 4, "network.cpp")
            return
        self._outputs.append(tensor)

    @strict(tensor=instance(ITensor))
    def unmark_output(self, tensor):
        """Takes the mark away."""
        if tensor in self._outputs:
            self._outputs.remove(tensor)
