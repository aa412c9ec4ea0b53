"""From a plan to an engine, and its inputs and outputs in both of TensorRT's ways to ask for them."""

from standin_faults import crash, fault

from tensorrt._builder import no_factory
from tensorrt._callbacks import IErrorRecorder, ILogger
from tensorrt._context import IExecutionContext
from tensorrt._inspector import EngineInspector
from tensorrt._native import native_code
from tensorrt._plan import IHostMemory, unpack
from tensorrt._pybind import Attribute, Object, Refused, data, instance, integer, optional, strict, text
from tensorrt._types import (
    DataType,
    Dims,
    ProfilingVerbosity,
    TensorFormat,
    TensorIOMode,
    TensorLocation,
    data_type,
)
from tensorrt._voice import Voice

_MEMORY = 1 << 20


class Runtime(Object):
    """Loads engines."""

    error_recorder = Attribute(optional(instance(IErrorRecorder)))
    DLA_core = Attribute(integer, -1)
    max_threads = Attribute(integer, 1)
    engine_host_code_allowed = Attribute(instance(bool), False)
    num_DLA_cores = Attribute(default=0)

    @strict(logger=instance(ILogger))
    def __init__(self, logger):
        super().__init__()
        no_factory(logger)
        self._logger = logger

    @property
    def logger(self):
        """Who hears what it says."""
        return self._logger

    @strict(serialized_engine=data)
    def deserialize_cuda_engine(self, serialized_engine):
        """The engine; ``None`` where the plan is not for this machine."""
        with native_code():
            crash("deserialize")
            voice = Voice(self._logger, self.error_recorder)
            voice.info("Loaded engine size: {} MiB".format(len(serialized_engine) >> 20))
            parts = None if fault("deserialize_none") else unpack(serialized_engine, voice)
            return None if parts is None else ICudaEngine(self, serialized_engine, *parts)


def _place(value):
    """An input or output by number or by name."""
    try:
        return text(value)
    except Refused:
        return integer(value)


class ICudaEngine(Object):
    """A loaded engine; ``_ends`` are its inputs, then its outputs."""

    _constructible = False
    error_recorder = Attribute(optional(instance(IErrorRecorder)))
    name = Attribute(default="Unnamed Network 0")
    max_batch_size = Attribute(default=1)
    num_optimization_profiles = Attribute(default=1)
    device_memory_size = Attribute(default=_MEMORY)
    device_memory_size_v2 = Attribute(default=_MEMORY)
    has_implicit_batch_dimension = Attribute(default=False)
    refittable = Attribute(default=False)

    def __init__(self, runtime, plan, facts, model):
        super().__init__()
        self._runtime, self._plan, self._facts, self._model = runtime, plan, facts, model
        self._ends = [dict(end, is_input=True) for end in facts["inputs"]]
        self._ends += [dict(end, is_input=False) for end in facts["outputs"]]

    @property
    def _voice(self):
        return Voice(self._runtime._logger, self.error_recorder)

    def _end(self, place):
        """An input or output by number or by name; ``None`` where there is no such one."""
        if isinstance(place, str):
            return next((end for end in self._ends if end["name"] == place), None)
        return self._ends[place] if 0 <= place < len(self._ends) else None

    def _known(self, place):
        found = self._end(place)
        if found is None:
            self._voice.error("{!r} is no input or output of this engine".format(place), 3, "engine.cpp", "ICudaEngine")
        return found

    @property
    def num_layers(self):
        """How many run one after the other."""
        return len(self._facts["layers"])

    @property
    def profiling_verbosity(self):
        """How much it was to say of its layers."""
        return ProfilingVerbosity(self._facts["verbosity"])

    def serialize(self):
        """The plan."""
        return IHostMemory(self._plan)

    def create_engine_inspector(self):
        """What tells of its layers."""
        return EngineInspector(self._facts)

    def create_execution_context(self, strategy=None):
        """What runs it; ``None`` where there is no memory for it."""
        return None if fault("context_none") else IExecutionContext(self)

    # up to 8.6: by number

    @property
    def num_bindings(self):
        """Inputs and outputs."""
        return len(self._ends)

    @strict(index=integer)
    def get_binding_name(self, index):
        """Of an input or output."""
        end = self._known(index)
        return None if end is None else end["name"]

    @strict(name=text)
    def get_binding_index(self, name):
        """-1 where there is none of that name."""
        return next((index for index, end in enumerate(self._ends) if end["name"] == name), -1)

    @strict(index=_place)
    def binding_is_input(self, index):
        """Whether it is one."""
        end = self._known(index)
        return end is not None and end["is_input"]

    @strict(index=_place)
    def get_binding_shape(self, index):
        """Its sizes."""
        return self._shape(index)

    @strict(index=_place)
    def get_binding_dtype(self, index):
        """Its type."""
        return self._dtype(index)

    @strict(index=_place)
    def get_location(self, index):
        """Where it lies."""
        return TensorLocation.DEVICE

    # from 8.5 on: by name

    @property
    def num_io_tensors(self):
        """Inputs and outputs."""
        return len(self._ends)

    @strict(index=integer)
    def get_tensor_name(self, index):
        """Of an input or output."""
        end = self._known(index)
        return None if end is None else end["name"]

    @strict(name=text)
    def get_tensor_mode(self, name):
        """NONE where it is neither an input nor an output."""
        end = self._known(name)
        if end is None:
            return TensorIOMode.NONE
        return TensorIOMode.INPUT if end["is_input"] else TensorIOMode.OUTPUT

    @strict(name=text)
    def get_tensor_shape(self, name):
        """Its sizes."""
        return self._shape(name)

    @strict(name=text)
    def get_tensor_dtype(self, name):
        """Its type."""
        return self._dtype(name)

    @strict(name=text)
    def get_tensor_format(self, name):
        """How it lies in memory."""
        return TensorFormat.LINEAR

    @strict(name=text)
    def get_tensor_location(self, name):
        """Where it lies."""
        return TensorLocation.DEVICE

    def _shape(self, place):
        end = self._known(place)
        return Dims(()) if end is None else Dims(end["shape"])

    def _dtype(self, place):
        end = self._known(place)
        return DataType.FLOAT if end is None else data_type(end["dtype"])
