"""A builder, a network of five layers, a plan, an engine and a context, all of NVIDIA's classes, that behave.

The network is ``tests.doubles.tiny_model``'s, as TensorRT's parser would leave it, with a constant beside it:

    conv -> conv (1, 4, 16, 32)      relu -> features      head -> logits      argmax -> TopK's values and class_map
"""

import contextlib
import ctypes

from tests.doubles.real_bindings.callbacks import Callbacks
from tests.doubles.real_bindings.world import BUILDER, PARSER, RUNTIME, UNIVERSAL, World

FEATURES = (1, 4, 16, 32)
IMAGE = (1, 3, 32, 64)
LAYERS = (
    ("conv", "CONVOLUTION", (("conv", "FLOAT", FEATURES),)),
    ("relu", "ACTIVATION", (("features", "FLOAT", FEATURES),)),
    ("head", "DECONVOLUTION", (("logits", "FLOAT", (1, 19, 32, 64)),)),
    ("constant", "CONSTANT", (("constant", "FLOAT", (1,)),)),
    ("argmax", "TOPK", (("values", "FLOAT", (1, 1, 32, 64)), ("class_map", "INT32", (1, 1, 32, 64)))),
)
PLAN = b"ftrt the plan of a network of five layers"
CACHE = b"timings of five layers"
INFORMATION = b'{"Layers": ["conv + relu"]}'
INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)  # ILogger::Severity


class Scene:
    """The objects, as the bindings wrap them, and their answers.

    Members whose answer a check changes, or whose arguments it looks at, have a name: ``Builder.create_network``.

    Args:
        trt: the bindings.
    """

    def __init__(self, trt):
        self.trt = trt
        self.major = int(trt.__version__.split(".")[0])
        self.callbacks = Callbacks(self.major)
        self.world = World(wide=self.major >= 10)
        self._keys = {"Builder": BUILDER, "OnnxParser": PARSER, "Runtime": RUNTIME}
        self._addresses = {}
        for name, key in self._keys.items():
            self._addresses[name] = self.world.object()
            self.world.set(key, self._addresses[name])
        self._logger = trt.Logger(trt.Logger.ERROR)
        self._build_network()
        self._build_config()
        self._build_engine()

    def _member(self, name, call, value=UNIVERSAL):
        self._keys[name] = self.world.answer(call, value)

    def _making(self, name, call):
        """A member that makes an object of its own: the object."""
        self._addresses[name] = self.world.object()
        self._member(name, call, self._addresses[name])
        return call()

    def _build_network(self):
        trt, world = self.trt, self.world
        self.builder = builder = trt.Builder(self._logger)
        self.network = network = self._making("Builder.create_network", lambda: builder.create_network(1))
        self._member("Builder.num_DLA_cores", lambda: builder.num_DLA_cores, 0)
        if hasattr(trt.Builder, "platform_has_fast_fp16"):
            self._member("Builder.platform_has_fast_fp16", lambda: builder.platform_has_fast_fp16, 1)
            self._member("Builder.platform_has_fast_int8", lambda: builder.platform_has_fast_int8, 0)
        self._tensors = {}
        layers = [self._layer(*each) for each in LAYERS]
        world.answer(lambda: network.num_layers, len(layers))
        world.answer(lambda: network.get_layer(0), lambda call: layers[call.arguments[0]])
        image = self._tensor("image", "FLOAT", IMAGE, network.get_input)
        world.answer(lambda: network.num_inputs, 1)
        world.answer(lambda: network.get_input(0), image)
        self._outputs = [self._tensors["class_map"]]
        world.answer(lambda: network.num_outputs, lambda call: len(self._outputs))
        world.answer(lambda: network.get_output(0), lambda call: self._outputs[call.arguments[0]])
        tensor = network.get_input(0)
        world.answer(lambda: network.mark_output(tensor), lambda call: self._outputs.append(call.arguments[0]) or 0)
        world.answer(lambda: network.unmark_output(tensor), lambda call: self._outputs.remove(call.arguments[0]) or 0)
        parser = trt.OnnxParser(network, self._logger)
        self._member("OnnxParser.parse", lambda: parser.parse(b"model"), 1)
        self._member("OnnxParser.num_errors", lambda: parser.num_errors, 0)
        error = self._making("OnnxParser.get_error", lambda: parser.get_error(0))
        world.answer(error.desc, b"No importer registered for op: Einsum")
        world.answer(error.node, 2)

    def _layer(self, name, kind, outputs):
        """The address of a layer."""
        network, world = self.network, self.world
        address = world.object()
        with world.instead(world.made(lambda: network.get_layer(0))[0].key, address):
            layer = network.get_layer(0)
        world.answer(lambda: layer.name, name.encode())
        world.answer(lambda: layer.type, int(getattr(self.trt.LayerType, kind)))
        world.answer(lambda: layer.num_outputs, len(outputs))
        tensors = [self._tensor(each, dtype, shape, layer.get_output) for each, dtype, shape in outputs]
        self._member(name + ".get_output", lambda: layer.get_output(0), lambda call: tensors[call.arguments[0]])
        if hasattr(layer, "precision"):
            self._member(name + ".precision", lambda: setattr(layer, "precision", self.trt.float32))
            self._member(name + ".set_output_type", lambda: layer.set_output_type(0, self.trt.float32))
        return address

    def _tensor(self, name, dtype, shape, giver):
        """The address of a tensor; ``giver`` is a function of the bindings that returns one for an index."""
        world, trt = self.world, self.trt
        address = self._tensors[name] = world.object()
        with world.instead(world.made(lambda: giver(0))[0].key, address):
            tensor = giver(0)
        world.answer(lambda: tensor.name, name.encode())
        world.answer(lambda: tensor.dtype, int(getattr(trt.DataType, dtype)))
        world.answer(lambda: tensor.shape, world.shape(shape))
        if trt.ITensor.dtype.fset is not None:  # TensorRT 11 takes the types of the network as they are
            self._member(name + ".dtype", lambda: setattr(tensor, "dtype", trt.float32))
        self._member(name + ".allowed_formats", lambda: setattr(tensor, "allowed_formats", 1))
        return address

    def _build_config(self):
        trt, world = self.trt, self.world
        self.config = config = self._making(
            "Builder.create_builder_config", lambda: self.builder.create_builder_config()
        )

        def setter(name, value):
            self._member("IBuilderConfig." + name, lambda: setattr(config, name, value))

        self._member("IBuilderConfig.set_flag", lambda: config.set_flag(trt.BuilderFlag.TF32))
        pool = trt.MemoryPoolType.WORKSPACE
        self._member("IBuilderConfig.set_memory_pool_limit", lambda: config.set_memory_pool_limit(pool, 1))
        setter("profiling_verbosity", trt.ProfilingVerbosity.NONE)
        setter("default_device_type", trt.DeviceType.GPU)
        setter("DLA_core", 0)
        if hasattr(config, "max_workspace_size"):
            setter("max_workspace_size", 1)
        if hasattr(config, "int8_calibrator"):
            setter("int8_calibrator", None)
        if hasattr(config, "progress_monitor"):
            setter("progress_monitor", None)
        cache = self._making("IBuilderConfig.create_timing_cache", lambda: config.create_timing_cache(b""))
        self._member("IBuilderConfig.set_timing_cache", lambda: config.set_timing_cache(cache, False), 1)
        key = world.answer(config.get_timing_cache, world.object())
        self._keys["IBuilderConfig.get_timing_cache"] = key
        kept = config.get_timing_cache()
        self._memory("ITimingCache.serialize", kept.serialize, CACHE)

    def _memory(self, name, call, data):
        """A member that returns ``IHostMemory``."""
        world = self.world
        memory = self._making(name, call)
        known = [
            world.answer(lambda: memory.nbytes, len(data)),
            world.answer(lambda: memory.dtype, int(self.trt.int8)),
        ]
        (where,) = {called.key for called in world.made(lambda: memoryview(memory))} - set(known)
        world.set(where, data)

    def _build_engine(self):
        builder, network, config = self.builder, self.network, self.config
        name = "Builder.build_serialized_network"
        self._memory(name, lambda: builder.build_serialized_network(network, config), PLAN)
        runtime = self.trt.Runtime(self._logger)
        name = "Runtime.deserialize_cuda_engine"
        self.engine = self._making(name, lambda: runtime.deserialize_cuda_engine(PLAN))
        self._describe_ends()
        self._build_context()

    def _describe_ends(self):
        """The engine's input and output: by name, and by index as before 8.5."""
        trt, world, engine = self.trt, self.world, self.engine
        names = ("image", "features")
        texts = [world.memory(name.encode()) for name in names]
        modes = [int(trt.TensorIOMode.INPUT), int(trt.TensorIOMode.OUTPUT)]
        types = [int(trt.float32), int(trt.float16)]
        shapes = [world.shape(IMAGE), world.shape(FEATURES)]

        def named(call):
            return names.index(ctypes.string_at(call.arguments[0]).decode())

        world.answer(lambda: engine.num_io_tensors, len(names))
        world.answer(lambda: engine.get_tensor_name(0), lambda call: texts[call.arguments[0]])
        world.answer(lambda: engine.get_tensor_mode("image"), lambda call: modes[named(call)])
        world.answer(lambda: engine.get_tensor_dtype("image"), lambda call: types[named(call)])
        world.answer(lambda: engine.get_tensor_shape("image"), lambda call: shapes[named(call)](call))
        if hasattr(engine, "num_bindings"):
            world.answer(lambda: engine.num_bindings, len(names))
            world.answer(lambda: engine.get_binding_name(0), lambda call: texts[call.arguments[0]])
            world.answer(lambda: engine.binding_is_input(0), lambda call: call.arguments[0] == 0)
            world.answer(lambda: engine.get_binding_dtype(0), lambda call: types[call.arguments[0]])
            world.answer(lambda: engine.get_binding_shape(0), lambda call: shapes[call.arguments[0]](call))

    def _build_context(self):
        engine = self.engine
        name = "ICudaEngine.create_execution_context"
        self.context = context = self._making(name, lambda: engine.create_execution_context())
        self._member("IExecutionContext.set_tensor_address", lambda: context.set_tensor_address("image", 1), 1)
        self._member("IExecutionContext.execute_async_v3", lambda: context.execute_async_v3(0), 1)
        if hasattr(context, "execute_async_v2"):
            self._member("IExecutionContext.execute_async_v2", lambda: context.execute_async_v2([1, 2], 0), 1)
        self._member("IExecutionContext.profiler", lambda: setattr(context, "profiler", None))
        inspector = self._making("ICudaEngine.create_engine_inspector", engine.create_engine_inspector)
        kind = self.trt.LayerInformationFormat.JSON
        name = "EngineInspector.get_engine_information"
        self._member(name, lambda: inspector.get_engine_information(kind), INFORMATION)

    def instead(self, name, value):
        """Another answer of a member while the block lasts; 0 is the ``None`` or ``False`` of a failure."""
        return self.world.instead(self._keys[name], value)

    def arguments(self, name):
        """The arguments of the last call of a member."""
        return self.all_arguments(name)[-1]

    def tensor(self, name):
        """The address of a tensor of the network."""
        return self._tensors[name]

    def outputs(self):
        """Names of the tensors that are outputs of the network now."""
        names = {address: name for name, address in self._tensors.items()}
        return [names[address] for address in self._outputs]

    def all_arguments(self, name):
        """The arguments of every call of a member so far."""
        return self.world.arguments(self._keys[name])

    def address(self, name):
        """Of the object that a member makes."""
        return self._addresses[name]

    def deaths(self, name):
        """How often an object that a member makes was destroyed: of what arrives there, destructors have no answer."""
        address = self._addresses[name]
        return sum(call.object == address and not self.world.answers(call.key) for call in self.world.calls)

    @contextlib.contextmanager
    def saying(self, name, severity, text, value=0):
        """While the block lasts a member logs ``text`` through the logger of the last builder before it returns."""

        def answer(call):
            self.log(severity, text)
            return value

        with self.instead(name, answer):
            yield

    def log(self, severity, text):
        """Says something through the logger that the last builder was made with."""
        self.callbacks.log(self.arguments("Builder")[0], severity, text)
