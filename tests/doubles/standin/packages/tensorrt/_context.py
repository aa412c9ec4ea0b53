"""Runs an engine on device memory."""

import numpy as np
from standin_cuda import LaunchError, LogicError, enqueue, finish_all, read, write
from standin_faults import crash, fault

from tensorrt._callbacks import IErrorRecorder, IProfiler
from tensorrt._execution import Execution
from tensorrt._native import call_back, native_code
from tensorrt._pybind import Attribute, Object, instance, integer, optional, sequence, size, strict, text
from tensorrt._types import Dims

_LAYER_MS = 0.25


class IExecutionContext(Object):
    """An engine with the memory to run it."""

    _constructible = False
    name = Attribute(text, "")
    profiler = Attribute(optional(instance(IProfiler)))
    error_recorder = Attribute(optional(instance(IErrorRecorder)))
    debug_sync = Attribute(instance(bool), False)
    enqueue_emits_profile = Attribute(instance(bool), True)
    active_optimization_profile = Attribute(default=0)
    all_binding_shapes_specified = Attribute(default=True)
    all_shape_inputs_specified = Attribute(default=True)

    def __init__(self, engine):
        super().__init__()
        self._engine = engine
        self._execution = Execution(engine._facts, engine._model)
        self._addresses = {}
        self._is_reported = True

    @property
    def engine(self):
        """What it runs."""
        return self._engine

    @strict(bindings=sequence(size))
    def execute_v2(self, bindings):
        """Runs it, and returns when it has run."""
        return self._start(bindings, 0)

    @strict(bindings=sequence(size), stream_handle=integer)
    def execute_async_v2(self, bindings, stream_handle, input_consumed=None):
        """Queues a run on a stream."""
        return self._start(bindings, stream_handle)

    @strict(stream_handle=integer)
    def execute_async_v3(self, stream_handle):
        """Queues a run on a stream, with the addresses that were set."""
        addresses = []
        for end in self._engine._ends:
            if end["name"] not in self._addresses:
                self._error("Address is not set for {} tensor {}.".format(_kind(end), end["name"]))
                return False
            addresses.append(self._addresses[end["name"]])
        return self._start(addresses, stream_handle)

    @strict(name=text, memory=size)
    def set_tensor_address(self, name, memory):
        """Where an input or output lies."""
        if self._engine._known(name) is None:
            return False
        self._addresses[name] = memory
        return True

    @strict(name=text)
    def get_tensor_address(self, name):
        """0 where it was not set."""
        return self._addresses.get(name, 0)

    @strict(name=text)
    def get_tensor_shape(self, name):
        """As the engine has it: sizes are fixed here."""
        return self._engine._shape(name)

    @strict(name=text)
    def set_input_shape(self, name, shape):
        """Only the engine's own will do."""
        return self._takes(name, shape)

    @strict(binding=integer)
    def get_binding_shape(self, binding):
        """As the engine has it: sizes are fixed here."""
        return self._engine._shape(binding)

    @strict(binding=integer)
    def set_binding_shape(self, binding, shape):
        """Only the engine's own will do."""
        return self._takes(binding, shape)

    def infer_shapes(self):
        """Nothing is missing."""
        return []

    @strict(profile_index=integer, stream_handle=integer)
    def set_optimization_profile_async(self, profile_index, stream_handle):
        """There is only the first."""
        return profile_index == 0

    def report_to_profiler(self):
        """The times of the last run; False where they have been reported."""
        if self._is_reported or self.profiler is None:
            return False
        finish_all()
        self._report()
        return True

    def _takes(self, place, shape):
        end = self._engine._known(place)
        return end is not None and end["is_input"] and Dims(end["shape"]) == tuple(shape)

    def _start(self, addresses, stream):
        with native_code():
            crash("execute")
            if fault("execute_false"):
                self._error("The engine does not run.")
                return False
            ends = self._engine._ends
            if len(addresses) != len(ends):
                raise AssertionError(
                    "{} addresses for {} inputs and outputs: the real one crashes".format(len(addresses), len(ends))
                )
            for end, address in zip(ends, addresses):
                if not address:
                    self._error(
                        "Tensor {} is bound to nullptr, which is allowed only for an empty input tensor, shape "
                        "tensor, or an output tensor associated with an IOutputAllocator.".format(end["name"])
                    )
                    return False
            return self._enqueue(ends, addresses, stream)

    def _enqueue(self, ends, addresses, stream):
        try:
            enqueue(stream, lambda: self._run(ends, addresses))
        except (LaunchError, LogicError) as error:
            self._engine._voice.error(
                str(error), 1, "executionContext.cpp", "IExecutionContext::enqueue", "Cuda Runtime"
            )
            return False
        self._is_reported = False
        if self.profiler is not None and self.enqueue_emits_profile:
            finish_all()  # with a profiler, a run has ended when the call returns
            self._report()
        return True

    def _run(self, ends, addresses):
        given, wanted = [], []
        for end, address in zip(ends, addresses):
            if end["is_input"]:
                dtype, shape = np.dtype(end["dtype"]), tuple(end["shape"])
                content = read(address, dtype.itemsize * int(np.prod(shape)))
                given.append(np.frombuffer(content, dtype).reshape(shape))
            else:
                wanted.append(address)
        for address, array in zip(wanted, self._execution.run(given)):
            write(address, array.tobytes())

    def _report(self):
        self._is_reported = True
        for number, layer in enumerate(self._engine._facts["layers"], 1):
            call_back(self.profiler, "report_layer_time", layer["Name"], _LAYER_MS * number)

    def _error(self, text):
        self._engine._voice.error(text, 3, "executionContext.cpp::enqueueInternal", "IExecutionContext::enqueue")


def _kind(end):
    return "input" if end["is_input"] else "output"
