"""TensorRT called as a program calls it, in few lines; for tests of the stand-in, inside ``standin.installed``."""

import subprocess
import sys

import numpy as np

from tests.doubles import standin

_PROGRAM = """
import pycuda.driver as cuda
import tensorrt as trt
import tests.doubles.tiny_model as tiny
from tests.doubles.standin.lab import Bench, run
"""


def recording_logger(trt):
    """A logger that keeps (severity, text) of every message in ``lines``."""

    class Recorder(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)
            self.lines = []

        def log(self, severity, msg):
            self.lines.append((severity.name, msg))

        def texts(self, severity):
            return [text for name, text in self.lines if name == severity]

    return Recorder()


def in_child(code, version=standin.DEFAULT_VERSION, *arguments, **faults):
    """Runs a program in a process of its own; ``trt``, ``cuda``, ``tiny``, ``Bench`` and ``run`` are imported there.

    Returns its code, standard output and standard error.
    """
    child = subprocess.run(
        [sys.executable, "-c", _PROGRAM + code] + list(arguments),
        env=standin.environment(version, **faults),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    out, err = child.stdout.decode(), child.stderr.decode()
    print(out + err)
    return child.returncode, out, err


class Bench:
    """A builder with a parsed network and a configuration.

    Args:
        trt: the package.
        model: an ONNX file's bytes; ``None`` parses nothing.
        flags: names of builder flags.
        workspace_mib: of the builder.
    """

    def __init__(self, trt, model, flags=(), workspace_mib=64):
        self.trt, self.logger = trt, recording_logger(trt)
        self.builder = trt.Builder(self.logger)
        kinds = trt.NetworkDefinitionCreationFlag
        self.network = self.builder.create_network(
            1 << int(kinds.EXPLICIT_BATCH) if hasattr(kinds, "EXPLICIT_BATCH") else 0
        )
        self.parser = trt.OnnxParser(self.network, self.logger)
        self.parsed = None if model is None else self.parser.parse(model)
        self.config = self.builder.create_builder_config()
        if hasattr(self.config, "set_memory_pool_limit"):
            self.config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_mib << 20)
        else:
            self.config.max_workspace_size = workspace_mib << 20
        for flag in flags:
            self.config.set_flag(getattr(trt.BuilderFlag, flag))

    def layer(self, name):
        """The network's layer of that name."""
        layers = [self.network.get_layer(index) for index in range(self.network.num_layers)]
        return next(layer for layer in layers if layer.name == name)

    def output_only(self, layer, dtype=None):
        """Makes the first output of a layer the network's only one."""
        self.network.unmark_output(self.network.get_output(0))
        tensor = self.layer(layer).get_output(0)
        self.network.mark_output(tensor)
        if dtype is not None:
            tensor.dtype = dtype

    def build(self):
        """The plan's bytes, or ``None``."""
        plan = self.builder.build_serialized_network(self.network, self.config)
        return None if plan is None else bytes(plan)

    def engine(self):
        """The engine, built and loaded."""
        return self.trt.Runtime(self.logger).deserialize_cuda_engine(self.build())


def run(trt, engine, *inputs):
    """Runs an engine on host memory, with the calls that this version has: its outputs."""
    arrays = [np.ascontiguousarray(each) for each in inputs]
    context = engine.create_execution_context()
    if hasattr(engine, "num_io_tensors"):
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        outputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT]
        arrays += [_empty(trt, engine.get_tensor_shape(name), engine.get_tensor_dtype(name)) for name in outputs]
        assert all(context.set_tensor_address(name, each.ctypes.data) for name, each in zip(names, arrays))
        assert context.execute_async_v3(0)
    else:
        outputs = [index for index in range(engine.num_bindings) if not engine.binding_is_input(index)]
        arrays += [_empty(trt, engine.get_binding_shape(index), engine.get_binding_dtype(index)) for index in outputs]
        assert context.execute_async_v2([each.ctypes.data for each in arrays], 0)
    return arrays[len(inputs) :]


def _empty(trt, shape, dtype):
    return np.empty(tuple(shape), trt.nptype(dtype))
